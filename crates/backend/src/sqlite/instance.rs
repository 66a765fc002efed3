//! The instance's own record.

use async_trait::async_trait;
use causeway_model::{InstanceId, ProjectId, Result, Timestamp};
use causeway_platform::instance::{Instance, InstanceStore};
use rusqlite::{OptionalExtension, params};

use super::{INSTANCE, SqliteStore};

#[async_trait]
impl InstanceStore for SqliteStore {
    async fn instance(&self) -> Result<Option<Instance>> {
        self.read(|conn| {
            let instance = conn
                .prepare_cached("SELECT id, project_id, created_at FROM instance WHERE no = ?1")?
                .query_row([INSTANCE], |row| {
                    Ok(Instance {
                        id: InstanceId::trusted(row.get::<_, String>(0)?),
                        project_id: ProjectId::trusted(row.get::<_, String>(1)?),
                        created_at: Timestamp(row.get(2)?),
                    })
                })
                .optional()?;
            Ok(instance)
        })
        .await
    }

    async fn insert_instance(&self, instance: &Instance) -> Result<()> {
        let instance = instance.clone();
        self.write(move |tx| {
            tx.conn
                .prepare_cached("INSERT INTO instance (no, id, project_id, created_at) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![
                    INSTANCE,
                    instance.id.as_str(),
                    instance.project_id.as_str(),
                    instance.created_at.0
                ])?;
            Ok(())
        })
        .await
    }

    async fn ping(&self) -> Result<()> {
        // Through the writer: a disk that takes no commits is not ready, and neither is a writer that has ended, whose
        // queue is closed.
        self.write(|tx| Ok(tx.conn.query_row("SELECT 1", [], |_| Ok(()))?)).await
    }

    fn has_ended(&self) -> bool {
        // The writer closes the queue when it ends, in whatever way.
        self.queue.is_closed()
    }

    async fn close(&self) {
        self.shut().await;
    }
}
