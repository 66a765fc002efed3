//! Shadows: the stored rows with what memory holds of newer reports laid over them.

use async_trait::async_trait;
use causeway_model::properties::PropertyObject;
use causeway_model::shadow::{ServiceShadow, ShadowSide};
use causeway_model::{DeviceNo, Error, Result, Timestamp};
use causeway_platform::shadow::{DesiredPatch, ShadowStore};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::Outcome;
use super::memory::{Patch, is_object};
use super::session::require_device;
use super::transaction::Effect;
use super::{INSTANCE, SqliteStore};

macro_rules! shadow_sql {
    ($tail:literal) => {
        concat!(
            "SELECT service_id, version, reported, reported_at, desired, desired_at FROM shadow WHERE device = ?1",
            $tail
        )
    };
}

fn read_side(service_id: &str, text: Option<String>, at: Option<i64>) -> Outcome<Option<ShadowSide>> {
    let Some(text) = text else { return Ok(None) };
    if !is_object(&text) {
        return Err(Error::internal(format_args!("the stored shadow of service '{service_id}' is not JSON")).into());
    }
    let event_time = Timestamp(at.unwrap_or(0));
    Ok(Some(ShadowSide { properties: PropertyObject::trusted(text), event_time }))
}

fn read_shadow(row: &Row<'_>) -> Outcome<ServiceShadow> {
    let service_id: String = row.get(0)?;
    Ok(ServiceShadow {
        reported: read_side(&service_id, row.get(2)?, row.get(3)?)?,
        desired: read_side(&service_id, row.get(4)?, row.get(5)?)?,
        version: row.get(1)?,
        service_id,
    })
}

/// Writes version and desired side.
pub(super) fn put_desired(conn: &Connection, device: DeviceNo, shadow: &ServiceShadow) -> Outcome<()> {
    let (desired, desired_at) = shadow.desired.as_ref().map(|d| (d.properties.as_str(), d.event_time.0)).unzip();
    conn.prepare_cached(
        "INSERT INTO shadow (device, service_id, instance, app, version, desired, desired_at) \
         VALUES (?1, ?2, ?3, (SELECT app FROM device WHERE no = ?1), ?4, ?5, ?6) \
         ON CONFLICT (device, service_id) DO UPDATE SET \
         version = excluded.version, desired = excluded.desired, desired_at = excluded.desired_at",
    )?
    .execute(params![device.0, shadow.service_id, INSTANCE, shadow.version, desired, desired_at])?;
    Ok(())
}

/// Lays what memory holds over what was stored. `stored` is ordered by service.
fn lay(mut stored: Vec<ServiceShadow>, patches: &[Patch]) -> Vec<ServiceShadow> {
    for patch in patches {
        let place = stored.binary_search_by(|s| s.service_id.as_str().cmp(&patch.service_id));
        let at = place.unwrap_or_else(|at| {
            stored.insert(at, ServiceShadow::new(&*patch.service_id));
            at
        });
        patch.lay_over(&mut stored[at]);
    }
    stored
}

#[async_trait]
impl ShadowStore for SqliteStore {
    async fn shadow(&self, device: DeviceNo) -> Result<Vec<ServiceShadow>> {
        // Before the tables are read, see memory.rs.
        let patches = self.memory.read().patches(device.0);
        self.read(move |conn| {
            let mut statement = conn.prepare_cached(shadow_sql!(" ORDER BY service_id"))?;
            let stored = statement.query_and_then([device.0], read_shadow)?.collect::<Outcome<Vec<_>>>()?;
            // Memory may still hold reports of a device that is gone.
            if !patches.is_empty() && !conn.prepare_cached("SELECT 1 FROM device WHERE no = ?1")?.exists([device.0])? {
                return Ok(Vec::new());
            }
            let mut shadows = lay(stored, &patches);
            shadows.retain(|s| s.reported.is_some() || s.desired.is_some());
            Ok(shadows)
        })
        .await
    }

    async fn desire(&self, device: DeviceNo, patches: Vec<DesiredPatch>, now: Timestamp) -> Result<Vec<ServiceShadow>> {
        self.write(move |tx| {
            require_device(tx.conn, device)?;
            let reports = tx.memory.read().patches(device.0);
            let mut touched: Vec<ServiceShadow> = Vec::new();
            for change in &patches {
                let at = match touched.iter().position(|s| s.service_id == change.service_id) {
                    Some(at) => at,
                    None => {
                        let stored = tx
                            .conn
                            .prepare_cached(shadow_sql!(" AND service_id = ?2"))?
                            .query_and_then(params![device.0, change.service_id], read_shadow)?
                            .next()
                            .transpose()?;
                        let mut shadow = stored.unwrap_or_else(|| ServiceShadow::new(change.service_id.as_str()));
                        for report in reports.iter().filter(|r| *r.service_id == *change.service_id) {
                            report.lay_over(&mut shadow);
                        }
                        touched.push(shadow);
                        touched.len() - 1
                    }
                };
                touched[at].desire(&change.patch, change.expected_version, now)?;
            }
            for shadow in &touched {
                put_desired(tx.conn, device, shadow)?;
            }
            Ok(touched)
        })
        .await
    }

    async fn delete_shadow(&self, device: DeviceNo) -> Result<()> {
        self.write(move |tx| {
            let there = tx
                .conn
                .prepare_cached("SELECT 1 FROM device WHERE no = ?1")?
                .query_row([device.0], |_| Ok(()))
                .optional()?;
            if there.is_none() {
                return Ok(());
            }
            tx.conn.prepare_cached("DELETE FROM shadow WHERE device = ?1")?.execute([device.0])?;
            // A start after a crash must not lay the reports before this over the shadow again.
            tx.conn
                .prepare_cached("INSERT OR REPLACE INTO shadow_reset (device, instance, seq) VALUES (?1, ?2, ?3)")?
                .execute([device.0, INSTANCE, tx.last_seq])?;
            tx.effects.push(Effect::ShadowGone(device.0));
            Ok(())
        })
        .await
    }
}
