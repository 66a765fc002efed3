//! The instance's own record, and the end.

use async_trait::async_trait;
use causeway_model::{Code, InstanceId, ProjectId, Result, Timestamp};
use causeway_platform::instance::{Instance, InstanceStore};
use tokio_postgres::error::SqlState;

use super::connection::{Columns, db, db_or, row, run};
use super::{INSTANCE, PostgresStore};

#[async_trait]
impl InstanceStore for PostgresStore {
    async fn instance(&self) -> Result<Option<Instance>> {
        let client = self.client().await?;
        let sql = "SELECT id, project_id, created_at FROM instance WHERE no = $1";
        let Some(row) = row(&client, sql, &[&INSTANCE]).await.map_err(db)? else { return Ok(None) };
        let mut c = Columns::of(&row);
        Ok(Some(Instance {
            id: InstanceId::trusted(c.take::<String>()?),
            project_id: ProjectId::trusted(c.take::<String>()?),
            created_at: Timestamp(c.take()?),
        }))
    }

    async fn insert_instance(&self, instance: &Instance) -> Result<()> {
        let client = self.client().await?;
        let sql = "INSERT INTO instance (no, id, project_id, created_at) VALUES ($1, $2, $3, $4)";
        let (id, project) = (instance.id.as_str(), instance.project_id.as_str());
        run(&client, sql, &[&INSTANCE, &id, &project, &instance.created_at.0]).await.map_err(|e| {
            let other = "Another node has just recorded the instance. Start again.";
            db_or(e, &SqlState::UNIQUE_VIOLATION, Code::Unavailable, other)
        })?;
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        let client = self.client().await?;
        run(&client, "SELECT 1", &[]).await.map_err(db)?;
        Ok(())
    }

    async fn close(&self) {
        self.queue.close().await;
        self.stop_tasks();
    }
}
