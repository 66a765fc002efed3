//! Provisioning templates.

use async_trait::async_trait;
use causeway_model::certificate::ProvisioningTemplate;
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{Code, Error, RecordNo, Result, Timestamp};
use causeway_platform::provisioning::ProvisioningStore;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::certificate::{check_limit, page_of};
use super::connection::{Columns, Params, db, db_or, first, row, run};
use super::{INSTANCE, PostgresStore};
use crate::certificate_words as words;

const SELECT: &str = "SELECT c.no, c.id, c.name, c.description, c.body, c.created_at, c.updated_at
    FROM provisioning_template c";

fn template(row: &Row) -> Result<ProvisioningTemplate> {
    let mut c = Columns::of(row);
    Ok(ProvisioningTemplate {
        no: RecordNo(c.take()?),
        id: c.take()?,
        name: c.take()?,
        description: c.take()?,
        body: c.take()?,
        created_at: Timestamp(c.take()?),
        updated_at: Timestamp(c.take()?),
    })
}

#[async_trait]
impl ProvisioningStore for PostgresStore {
    async fn insert_template(&self, mut new: ProvisioningTemplate, limit: u32) -> Result<ProvisioningTemplate> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        check_limit(&transaction, "provisioning_template", limit, words::TOO_MANY_TEMPLATES).await?;
        let sql = "INSERT INTO provisioning_template (instance, id, name, description, body, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING no";
        let params: Params<'_> =
            &[&INSTANCE, &new.id, &new.name, &new.description, &new.body, &new.created_at.0, &new.updated_at.0];
        let stored = row(&transaction, sql, params).await.map_err(db)?;
        new.no = RecordNo(stored.as_ref().map_or_else(|| Err(Error::internal("an insert returned nothing")), first)?);
        transaction.commit().await.map_err(db)?;
        Ok(new)
    }

    async fn template(&self, id: &str) -> Result<Option<ProvisioningTemplate>> {
        let client = self.client().await?;
        let sql = format!("{SELECT} WHERE c.instance = $1 AND c.id = $2");
        row(&client, &sql, &[&INSTANCE, &id]).await.map_err(db)?.as_ref().map(template).transpose()
    }

    async fn list_templates(&self, name: Option<&str>, page: PageRequest) -> Result<Page<ProvisioningTemplate>> {
        let client = self.client().await?;
        let condition = "c.instance = $1 AND ($2::text IS NULL OR strpos(c.name, $2) > 0)";
        let table = (SELECT, "provisioning_template");
        page_of(&client, table, condition, &[&INSTANCE, &name], page, template, |t| t.no).await
    }

    async fn update_template(&self, changed: &ProvisioningTemplate) -> Result<bool> {
        let client = self.client().await?;
        let sql = "UPDATE provisioning_template SET description = $2, body = $3, updated_at = $4 WHERE no = $1";
        let params: Params<'_> = &[&changed.no.0, &changed.description, &changed.body, &changed.updated_at.0];
        Ok(run(&client, sql, params).await.map_err(db)? > 0)
    }

    async fn delete_template(&self, no: RecordNo) -> Result<bool> {
        let client = self.client().await?;
        let deleted = run(&client, "DELETE FROM provisioning_template WHERE no = $1", &[&no.0])
            .await
            .map_err(|e| db_or(e, &SqlState::FOREIGN_KEY_VIOLATION, Code::TemplateInUse, words::TEMPLATE_USED))?;
        Ok(deleted > 0)
    }
}
