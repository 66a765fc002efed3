//! Provisioning templates.

use async_trait::async_trait;
use causeway_model::certificate::ProvisioningTemplate;
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{Code, Error, RecordNo, Result, Timestamp};
use causeway_platform::provisioning::ProvisioningStore;
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params};

use super::certificate::{check_limit, page_of};
use super::{INSTANCE, SqliteStore};
use crate::certificate_words as words;

const SELECT: &str = "SELECT c.no, c.id, c.name, c.description, c.body, c.created_at, c.updated_at \
     FROM provisioning_template c WHERE ";

fn read(row: &Row<'_>) -> rusqlite::Result<ProvisioningTemplate> {
    Ok(ProvisioningTemplate {
        no: RecordNo(row.get(0)?),
        id: row.get(1)?,
        name: row.get(2)?,
        description: row.get(3)?,
        body: row.get(4)?,
        created_at: Timestamp(row.get(5)?),
        updated_at: Timestamp(row.get(6)?),
    })
}

#[async_trait]
impl ProvisioningStore for SqliteStore {
    async fn insert_template(&self, mut template: ProvisioningTemplate, limit: u32) -> Result<ProvisioningTemplate> {
        self.write(move |tx| {
            check_limit(tx.conn, "provisioning_template", limit, words::TOO_MANY_TEMPLATES)?;
            tx.conn
                .prepare_cached(
                    "INSERT INTO provisioning_template (instance, id, name, description, body, created_at, updated_at) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    INSTANCE,
                    template.id,
                    template.name,
                    template.description,
                    template.body,
                    template.created_at.0,
                    template.updated_at.0,
                ])?;
            template.no = RecordNo(tx.conn.last_insert_rowid());
            Ok(template)
        })
        .await
    }

    async fn template(&self, id: &str) -> Result<Option<ProvisioningTemplate>> {
        let id = id.to_owned();
        self.read(move |conn| {
            Ok(conn
                .prepare_cached(&format!("{SELECT}c.instance = ?1 AND c.id = ?2"))?
                .query_row(params![INSTANCE, id], read)
                .optional()?)
        })
        .await
    }

    async fn list_templates(&self, name: Option<&str>, page: PageRequest) -> Result<Page<ProvisioningTemplate>> {
        let mut clause = String::from("c.instance = ?");
        let mut values = vec![Value::from(INSTANCE)];
        if let Some(name) = name {
            clause.push_str(" AND instr(c.name, ?) > 0");
            values.push(Value::from(name.to_owned()));
        }
        self.read(move |conn| page_of(conn, (SELECT, "provisioning_template"), &clause, values, page, read, |t| t.no))
            .await
    }

    async fn update_template(&self, template: &ProvisioningTemplate) -> Result<bool> {
        let template = template.clone();
        self.write(move |tx| {
            let changed = tx
                .conn
                .prepare_cached(
                    "UPDATE provisioning_template SET description = ?2, body = ?3, updated_at = ?4 WHERE no = ?1",
                )?
                .execute(params![template.no.0, template.description, template.body, template.updated_at.0])?;
            Ok(changed > 0)
        })
        .await
    }

    async fn delete_template(&self, no: RecordNo) -> Result<bool> {
        self.write(move |tx| {
            if tx.conn.prepare_cached("SELECT 1 FROM ca_certificate WHERE template = ?1")?.exists([no.0])? {
                return Err(Error::new(Code::TemplateInUse, words::TEMPLATE_USED).into());
            }
            Ok(tx.conn.prepare_cached("DELETE FROM provisioning_template WHERE no = ?1")?.execute([no.0])? > 0)
        })
        .await
    }
}
