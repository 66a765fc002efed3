//! Lists of devices behind gateways. [`placed`] and [`removed`] keep them; whoever puts a device behind a gateway, or
//! takes it away, calls them in the same transaction.

use async_trait::async_trait;
use causeway_model::registry::{Device, Page, PageRequest};
use causeway_model::service_event::FoundDevice;
use causeway_model::{DeviceId, DeviceNo, NodeId, RecordNo, Result, Timestamp};
use causeway_platform::gateway::{ChildChange, ChildList, Found, GatewayStore, Waiting};
use rusqlite::{Connection, OptionalExtension, params};

use super::device::read_devices;
use super::error::Outcome;
use super::session::require_device;
use super::{INSTANCE, SqliteStore};

/// No chain of gateways is longer.
const DEEPEST: usize = 32;

/// The gateway at the top of the chain above a device; `None` for a direct device.
fn top_of(conn: &Connection, device: i64) -> Outcome<Option<i64>> {
    let mut above = conn.prepare_cached("SELECT gateway FROM device WHERE no = ?1")?;
    let (mut at, mut top) = (device, None);
    for _ in 0..DEEPEST {
        let Some(gateway) = above.query_row([at], |row| row.get::<_, Option<i64>>(0)).optional()?.flatten() else {
            break;
        };
        (at, top) = (gateway, Some(gateway));
    }
    Ok(top)
}

/// The next version of a gateway's list; `None` when the gateway is gone.
fn next_version(conn: &Connection, gateway: i64) -> Outcome<Option<i64>> {
    let next = conn
        .prepare_cached(
            "INSERT INTO gateway_list (gateway, instance, app, version, floor) \
             SELECT no, instance, app, 1, 0 FROM device WHERE no = ?1 \
             ON CONFLICT (gateway) DO UPDATE SET version = version + 1 RETURNING version",
        )?
        .query_row([gateway], |row| row.get(0))
        .optional()?;
    Ok(next)
}

/// Marks a device as gone in all lists but that of `except`.
fn mark_gone(conn: &Connection, device_id: &str, except: Option<i64>) -> Outcome<()> {
    let listed: Vec<(i64, i64)> = conn
        .prepare_cached(
            "SELECT gateway, version FROM gateway_child WHERE device_id = ?1 AND instance = ?2 AND NOT is_deleted",
        )?
        .query_map(params![device_id, INSTANCE], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (gateway, version) in listed {
        if Some(gateway) == except {
            continue;
        }
        if let Some(next) = next_version(conn, gateway)? {
            conn.prepare_cached(
                "UPDATE gateway_child SET version = ?3, is_deleted = 1 WHERE gateway = ?1 AND version = ?2",
            )?
            .execute([gateway, version, next])?;
        }
    }
    Ok(())
}

/// A device was put behind a gateway, or moved, or became a direct one: it and all devices behind it are listed where
/// they are now, and gone from where they were.
pub(super) fn placed(conn: &Connection, device: i64) -> Outcome<()> {
    let mut moved = vec![device];
    let mut at = 0;
    while at < moved.len() {
        let behind: Vec<i64> = conn
            .prepare_cached("SELECT no FROM device WHERE gateway = ?1 ORDER BY no")?
            .query_map([moved[at]], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        moved.extend(behind);
        at += 1;
    }
    let top = top_of(conn, device)?;
    for no in moved {
        let (id, node_id, parent): (String, String, Option<String>) = conn
            .prepare_cached(
                "SELECT d.id, d.node_id, g.id FROM device d LEFT JOIN device g ON g.no = d.gateway WHERE d.no = ?1",
            )?
            .query_row([no], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        // Of a device that became a direct one, those behind it are listed with itself from now on.
        let list = if top.is_none() && no != device { Some(device) } else { top };
        mark_gone(conn, &id, list)?;
        if let (Some(list), Some(parent)) = (list, parent)
            && let Some(version) = next_version(conn, list)?
        {
            conn.prepare_cached(
                "INSERT OR REPLACE INTO gateway_child \
                 (gateway, version, instance, is_deleted, device_id, node_id, parent_id) \
                 VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6)",
            )?
            .execute(params![list, version, INSTANCE, id, node_id, parent])?;
        }
    }
    Ok(())
}

/// A device is about to be deleted.
pub(super) fn removed(conn: &Connection, device: i64) -> Outcome<()> {
    let child: Option<String> = conn
        .prepare_cached("SELECT id FROM device WHERE no = ?1 AND gateway IS NOT NULL")?
        .query_row([device], |row| row.get(0))
        .optional()?;
    match child {
        Some(id) => mark_gone(conn, &id, None),
        None => Ok(()),
    }
}

/// A row of `gateway_child`.
struct Row {
    version: i64,
    is_deleted: bool,
    device_id: DeviceId,
    node_id: NodeId,
    parent_id: DeviceId,
}

/// The numbers of all devices behind a gateway, of those with a number beyond `?2`, in their order.
const BEHIND: &str = "WITH RECURSIVE below (no) AS (SELECT no FROM device WHERE gateway = ?1 \
     UNION SELECT d.no FROM below b JOIN device d ON d.gateway = b.no) \
     SELECT no FROM below WHERE no > ?2 AND (\
     EXISTS (SELECT 1 FROM message m WHERE m.device = below.no AND m.status = 'PENDING') \
     OR EXISTS (SELECT 1 FROM shadow s WHERE s.device = below.no AND s.desired IS NOT NULL) \
     OR EXISTS (SELECT 1 FROM linkage_command c WHERE c.device = below.no) \
     OR EXISTS (SELECT 1 FROM log_config l WHERE l.device = below.no AND NOT l.is_sent)) ORDER BY no LIMIT ?3";

#[async_trait]
impl GatewayStore for SqliteStore {
    async fn child_list(&self, gateway: DeviceNo) -> Result<ChildList> {
        self.read(move |conn| {
            let found = conn
                .prepare_cached("SELECT version, floor FROM gateway_list WHERE gateway = ?1")?
                .query_row([gateway.0], |row| Ok(ChildList { version: row.get(0)?, floor: row.get(1)? }))
                .optional()?;
            Ok(found.unwrap_or_default())
        })
        .await
    }

    async fn list_versions_of(&self, devices: &[DeviceId]) -> Result<Vec<(DeviceId, i64)>> {
        let devices = devices.to_vec();
        self.read(move |conn| {
            let mut lists: Vec<(DeviceId, i64)> = Vec::new();
            let mut read = conn.prepare_cached(
                "SELECT g.id, c.version FROM gateway_child c JOIN device g ON g.no = c.gateway \
                 WHERE c.device_id = ?1 AND c.instance = ?2",
            )?;
            for device in devices {
                let found = read.query_map(params![device.as_str(), INSTANCE], |row| {
                    Ok((DeviceId::trusted(row.get::<_, String>(0)?), row.get::<_, i64>(1)?))
                })?;
                for entry in found {
                    let (gateway, version) = entry?;
                    match lists.iter_mut().find(|(id, _)| *id == gateway) {
                        Some((_, least)) => *least = version.min(*least),
                        None => lists.push((gateway, version)),
                    }
                }
            }
            Ok(lists)
        })
        .await
    }

    async fn child_changes(&self, gateway: DeviceNo, after: i64, limit: u32) -> Result<Vec<ChildChange>> {
        self.read(move |conn| {
            let rows: Vec<Row> = conn
                .prepare_cached(
                    "SELECT version, is_deleted, device_id, node_id, parent_id FROM gateway_child \
                     WHERE gateway = ?1 AND version > ?2 ORDER BY version LIMIT ?3",
                )?
                .query_map([gateway.0, after, i64::from(limit)], |row| {
                    Ok(Row {
                        version: row.get(0)?,
                        is_deleted: row.get(1)?,
                        device_id: DeviceId::trusted(row.get::<_, String>(2)?),
                        node_id: NodeId::trusted(row.get::<_, String>(3)?),
                        parent_id: DeviceId::trusted(row.get::<_, String>(4)?),
                    })
                })?
                .collect::<Result<_, _>>()?;
            let mut changes = Vec::with_capacity(rows.len());
            for row in rows {
                let device: Option<Device> = if row.is_deleted {
                    None
                } else {
                    read_devices(conn, super::device::BY_ID, params![INSTANCE, row.device_id.as_str()])?.pop()
                };
                changes.push(ChildChange {
                    version: row.version,
                    device_id: row.device_id,
                    node_id: row.node_id,
                    parent_id: row.parent_id,
                    device,
                });
            }
            Ok(changes)
        })
        .await
    }

    async fn forget_deletions(&self, gateway: &DeviceId, keep: u32) -> Result<()> {
        let gateway = gateway.clone();
        self.write(move |tx| {
            let beyond: Option<(i64, i64)> = tx
                .conn
                .prepare_cached(
                    "SELECT gateway, version FROM gateway_child WHERE is_deleted \
                     AND gateway = (SELECT no FROM device WHERE instance = ?1 AND id = ?2) \
                     ORDER BY version DESC LIMIT 1 OFFSET ?3",
                )?
                .query_row(params![INSTANCE, gateway.as_str(), keep], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((gateway, version)) = beyond else { return Ok(()) };
            tx.conn
                .prepare_cached("DELETE FROM gateway_child WHERE gateway = ?1 AND version <= ?2 AND is_deleted")?
                .execute([gateway, version])?;
            tx.conn
                .prepare_cached("UPDATE gateway_list SET floor = ?2 WHERE gateway = ?1")?
                .execute([gateway, version])?;
            Ok(())
        })
        .await
    }

    async fn raise_child_list(&self, gateway: DeviceNo, above: i64) -> Result<()> {
        self.write(move |tx| {
            tx.conn
                .prepare_cached("DELETE FROM gateway_child WHERE gateway = ?1 AND is_deleted")?
                .execute([gateway.0])?;
            // First out of the way of the new numbers, then to them.
            let count = tx
                .conn
                .prepare_cached(
                    "UPDATE gateway_child SET version = -r.rank FROM (SELECT version AS old, \
                     row_number() OVER (ORDER BY version) AS rank FROM gateway_child WHERE gateway = ?1) r \
                     WHERE gateway = ?1 AND version = r.old",
                )?
                .execute([gateway.0])?;
            tx.conn
                .prepare_cached("UPDATE gateway_child SET version = ?2 - version WHERE gateway = ?1")?
                .execute([gateway.0, above])?;
            let version = above + i64::try_from(count).unwrap_or(0);
            tx.conn
                .prepare_cached("UPDATE gateway_list SET version = ?2, floor = ?3 WHERE gateway = ?1")?
                .execute([gateway.0, version, above])?;
            Ok(())
        })
        .await
    }

    async fn waiting(&self, device: DeviceNo) -> Result<Waiting> {
        self.read(move |conn| {
            let waiting = conn
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM device WHERE gateway = ?1), \
                     EXISTS (SELECT 1 FROM log_config WHERE device = ?1 AND NOT is_sent), \
                     EXISTS (SELECT 1 FROM linkage_command WHERE device = ?1)",
                )?
                .query_row([device.0], |row| {
                    Ok(Waiting { has_children: row.get(0)?, has_log_config: row.get(1)?, has_commands: row.get(2)? })
                })?;
            Ok(waiting)
        })
        .await
    }

    async fn children_awaiting(&self, gateway: DeviceNo, after: DeviceNo, limit: u32) -> Result<Vec<Device>> {
        self.read(move |conn| {
            let numbers: Vec<i64> = conn
                .prepare_cached(BEHIND)?
                .query_map([gateway.0, after.0, i64::from(limit)], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let mut devices = Vec::with_capacity(numbers.len());
            for no in numbers {
                devices.extend(read_devices(conn, super::device::BY_NO, [no])?);
            }
            Ok(devices)
        })
        .await
    }

    async fn put_found(&self, gateway: DeviceNo, found: Vec<FoundDevice>, at: Timestamp, keep: u32) -> Result<()> {
        self.write(move |tx| {
            let app = require_device(tx.conn, gateway)?;
            let mut put = tx.conn.prepare_cached(
                "INSERT OR REPLACE INTO scan_result (instance, app, gateway, node_id, found_at, found) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            for device in found {
                put.execute(params![INSTANCE, app, gateway.0, device.node_id, at.0, device.fields])?;
            }
            tx.conn
                .prepare_cached(
                    "DELETE FROM scan_result WHERE no IN (SELECT no FROM scan_result WHERE gateway = ?1 \
                     ORDER BY no DESC LIMIT -1 OFFSET ?2)",
                )?
                .execute([gateway.0, i64::from(keep)])?;
            Ok(())
        })
        .await
    }

    async fn found(&self, gateway: DeviceNo, page: PageRequest) -> Result<Page<Found>> {
        self.read(move |conn| {
            let count: i64 = conn
                .prepare_cached("SELECT count(*) FROM scan_result WHERE gateway = ?1")?
                .query_row([gateway.0], |row| row.get(0))?;
            let items: Vec<Found> = conn
                .prepare_cached(
                    "SELECT no, found, found_at FROM scan_result WHERE gateway = ?1 AND no < ?2 \
                     ORDER BY no DESC LIMIT ?3 OFFSET ?4",
                )?
                .query_map(params![gateway.0, page.marker.0, page.limit, page.offset], |row| {
                    Ok(Found { no: RecordNo(row.get(0)?), fields: row.get(1)?, at: Timestamp(row.get(2)?) })
                })?
                .collect::<Result<_, _>>()?;
            let marker = items.last().map_or(page.marker, |found| found.no);
            Ok(Page { items, count: u64::try_from(count).unwrap_or(0), marker })
        })
        .await
    }

    async fn forget_found(&self, gateway: DeviceNo) -> Result<()> {
        self.write(move |tx| {
            tx.conn.prepare_cached("DELETE FROM scan_result WHERE gateway = ?1")?.execute([gateway.0])?;
            Ok(())
        })
        .await
    }
}
