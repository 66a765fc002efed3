//! Shadows: reading, and the desired side. The committer writes the reported side.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use causeway_model::properties::PropertyObject;
use causeway_model::shadow::{ServiceShadow, ShadowSide};
use causeway_model::{DeviceNo, Result, Timestamp};
use causeway_platform::shadow::{DesiredPatch, ShadowStore};
use tokio_postgres::Row;

use super::connection::{Columns, Params, db, rows, run};
use super::{PostgresStore, no_such_device};

fn shadow(row: &Row) -> Result<ServiceShadow> {
    let mut c = Columns::of(row);
    let (service_id, version) = (c.take()?, c.take()?);
    let reported = side(c.take()?, c.take()?);
    let desired = side(c.take()?, c.take()?);
    Ok(ServiceShadow { service_id, reported, desired, version })
}

fn side(text: Option<&str>, at: Option<i64>) -> Option<ShadowSide> {
    let (text, at) = text.zip(at)?;
    Some(ShadowSide { properties: PropertyObject::trusted(text), event_time: Timestamp(at) })
}

#[async_trait]
impl ShadowStore for PostgresStore {
    async fn shadow(&self, device: DeviceNo) -> Result<Vec<ServiceShadow>> {
        let client = self.client().await?;
        let sql = "SELECT service, version, reported, reported_at, desired, desired_at FROM shadow
            WHERE device = $1 AND (reported IS NOT NULL OR desired IS NOT NULL) ORDER BY service";
        rows(&client, sql, &[&device.0]).await.map_err(db)?.iter().map(shadow).collect()
    }

    async fn desire(&self, device: DeviceNo, patches: Vec<DesiredPatch>, now: Timestamp) -> Result<Vec<ServiceShadow>> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let services: Vec<&str> =
            patches.iter().map(|p| p.service_id.as_str()).collect::<BTreeSet<_>>().into_iter().collect();
        // Rows are made first, so that two callers who begin the same service wait for each other.
        let make = "INSERT INTO shadow (device, service, instance, app, version)
            SELECT d.no, s.service, d.instance, d.app, 0 FROM device d, unnest($2::text[]) s (service)
            WHERE d.no = $1 ORDER BY s.service COLLATE \"C\" ON CONFLICT DO NOTHING";
        run(&transaction, make, &[&device.0, &services]).await.map_err(db)?;
        let read = "SELECT service, version, reported, reported_at, desired, desired_at FROM shadow
            WHERE device = $1 AND service = ANY ($2::text[]) ORDER BY service FOR UPDATE";
        let found = rows(&transaction, read, &[&device.0, &services]).await.map_err(db)?;
        let mut shadows = BTreeMap::new();
        for row in &found {
            let shadow = shadow(row)?;
            shadows.insert(shadow.service_id.clone(), shadow);
        }
        for patch in &patches {
            let shadow = shadows.get_mut(&patch.service_id).ok_or_else(no_such_device)?;
            shadow.desire(&patch.patch, patch.expected_version, now)?;
        }
        let write = "UPDATE shadow SET version = $3, desired = $4, desired_at = $5 WHERE device = $1 AND service = $2";
        for shadow in shadows.values() {
            let text = shadow.desired.as_ref().map(|d| d.properties.as_str());
            let at = shadow.desired.as_ref().map(|d| d.event_time.0);
            let params: Params<'_> = &[&device.0, &shadow.service_id, &shadow.version, &text, &at];
            run(&transaction, write, params).await.map_err(db)?;
        }
        transaction.commit().await.map_err(db)?;
        Ok(shadows.into_values().collect())
    }

    async fn delete_shadow(&self, device: DeviceNo) -> Result<()> {
        let client = self.client().await?;
        run(&client, "DELETE FROM shadow WHERE device = $1", &[&device.0]).await.map_err(db)?;
        Ok(())
    }
}
