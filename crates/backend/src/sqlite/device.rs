//! Devices and the tokens of the HTTPS door.

mod insert;

use std::sync::Arc;

use async_trait::async_trait;
use causeway_model::registry::{Device, DeviceAuth, DeviceFilter, Page, PageRequest, Sealed};
use causeway_model::service_event::DeviceVersions;
use causeway_model::status::DeviceStatus;
use causeway_model::{AppId, Code, DeviceId, DeviceNo, Error, NodeId, ProductId, RecordNo, Result, Timestamp};
use causeway_platform::device::{CredentialSlot, DeviceStore, DeviceToken, InitialDesired};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::app::in_spaces;
use super::error::Outcome;
use super::session::require_device;
use super::transaction::{Effect, Tx};
use super::{INSTANCE, SqliteStore, gateway};
use crate::{grouping, rows};

macro_rules! device_sql {
    ($tail:literal) => {
        concat!(
            "SELECT d.no, a.id, a.name, d.id, d.node_id, d.name, d.description, p.no, p.id, p.name, g.id, \
             d.fw_version, d.sw_version, d.sdk_version, d.auth_type, d.secret, d.secondary_secret, d.fingerprint, \
             d.secondary_fingerprint, d.secure_access, d.timeout_s, d.connection, d.frozen, d.created_at, \
             d.status_changed_at, d.activated_at, d.last_online_at, d.extension_info, \
             (SELECT json_group_array(json_array(t.key, t.value) ORDER BY t.key) FROM device_tag t \
             WHERE t.device = d.no) \
             FROM device d JOIN app a ON a.no = d.app JOIN product p ON p.no = d.product \
             LEFT JOIN device g ON g.no = d.gateway ",
            $tail
        )
    };
}

pub(super) use device_sql;

pub(super) fn read_device(row: &Row<'_>) -> Outcome<Device> {
    let text = |at: usize| row.get_ref(at)?.as_str().map_err(rusqlite::Error::from);
    let time = |at: usize| row.get::<_, Option<i64>>(at).map(|t| t.map(Timestamp));
    let sealed = |at: usize| row.get::<_, Option<Vec<u8>>>(at).map(|b| b.map(|b| Sealed(b.into())));
    Ok(Device {
        no: DeviceNo(row.get(0)?),
        app_id: AppId::trusted(text(1)?),
        app_name: row.get(2)?,
        id: DeviceId::trusted(text(3)?),
        node_id: NodeId::trusted(text(4)?),
        name: row.get(5)?,
        description: row.get(6)?,
        product_no: RecordNo(row.get(7)?),
        product_id: ProductId::trusted(text(8)?),
        product_name: row.get(9)?,
        gateway_id: row.get::<_, Option<String>>(10)?.map(DeviceId::trusted),
        fw_version: row.get(11)?,
        sw_version: row.get(12)?,
        sdk_version: row.get(13)?,
        auth: DeviceAuth {
            auth_type: rows::auth_type(text(14)?)?,
            secret: sealed(15)?,
            secondary_secret: sealed(16)?,
            fingerprint: row.get(17)?,
            secondary_fingerprint: row.get(18)?,
            secure_access: row.get(19)?,
            timeout_s: row.get(20)?,
        },
        connection: rows::device_status(text(21)?)?,
        frozen: row.get(22)?,
        created_at: Timestamp(row.get(23)?),
        status_changed_at: time(24)?,
        activated_at: time(25)?,
        last_online_at: time(26)?,
        extension_info: row.get(27)?,
        tags: grouping::tags(row.get_ref(28)?.as_str_or_null().map_err(rusqlite::Error::from)?)?,
    })
}

/// Reads the device with an id.
pub(super) const BY_ID: &str = device_sql!("WHERE d.instance = ?1 AND d.id = ?2");
/// Reads the device with a number.
pub(super) const BY_NO: &str = device_sql!("WHERE d.no = ?1");

pub(super) fn read_devices(conn: &Connection, sql: &str, params: impl rusqlite::Params) -> Outcome<Vec<Device>> {
    conn.prepare_cached(sql)?.query_and_then(params, read_device)?.collect()
}

/// Deletes a device; its shadow, messages, session, retained messages and tokens go with it. False when it is not there.
pub(super) fn delete_device(tx: &mut Tx<'_>, no: i64) -> Outcome<bool> {
    gateway::removed(tx.conn, no)?;
    if tx.conn.prepare_cached("DELETE FROM device WHERE no = ?1")?.execute([no])? == 0 {
        return Ok(false);
    }
    tx.conn
        .prepare_cached("INSERT OR IGNORE INTO purge (kind, no, instance) VALUES ('history', ?1, ?2)")?
        .execute([no, INSTANCE])?;
    tx.effects.extend([Effect::DeviceGone(no), Effect::Purge]);
    Ok(true)
}

/// A page of the devices `d` that `clause` picks.
pub(super) fn devices_where(
    conn: &Connection,
    clause: &str,
    mut values: Vec<Value>,
    page: PageRequest,
) -> Outcome<Page<Device>> {
    let count: i64 = conn
        .prepare_cached(&format!("SELECT count(*) FROM device d WHERE {clause}"))?
        .query_row(params_from_iter(&values), |row| row.get(0))?;
    values.extend([page.marker.0, i64::from(page.limit), i64::from(page.offset)].map(Value::from));
    let sql = format!(
        device_sql!(
            "WHERE d.no IN (SELECT d.no FROM device d WHERE {} AND d.no < ? ORDER BY d.no DESC \
             LIMIT ? OFFSET ?) ORDER BY d.no DESC"
        ),
        clause
    );
    let items = read_devices(conn, &sql, params_from_iter(&values))?;
    let marker = items.last().map_or(page.marker, |d| d.no.into());
    Ok(Page { items, count: u64::try_from(count).unwrap_or(0), marker })
}

/// The conditions of a filter on `device d`, made of constant pieces, and their values.
fn conditions(filter: &DeviceFilter) -> (String, Vec<Value>) {
    // The plus keeps SQLite from walking all devices by the index that begins with the instance.
    let mut clause = String::from("+d.instance = ?");
    let mut values = vec![Value::from(INSTANCE)];
    in_spaces(&filter.spaces, "d.app", &mut clause, &mut values);
    let mut add = |sql: &'static str, more: &[&str]| {
        clause.push_str(sql);
        values.extend(more.iter().map(|text| Value::from((*text).to_owned())));
    };
    if let Some(product) = &filter.product_id {
        add(" AND d.product IN (SELECT no FROM product WHERE instance = 1 AND id = ?)", &[product.as_str()]);
    }
    if let Some(gateway) = &filter.gateway_id {
        let sql = if filter.cascade {
            " AND d.no IN (WITH RECURSIVE below (no) AS (\
             SELECT c.no FROM device c WHERE c.gateway = (SELECT no FROM device WHERE instance = 1 AND id = ?) \
             UNION SELECT c.no FROM below b JOIN device c ON c.gateway = b.no) SELECT no FROM below)"
        } else {
            " AND d.gateway = (SELECT no FROM device WHERE instance = 1 AND id = ?)"
        };
        add(sql, &[gateway.as_str()]);
    }
    if let Some(node_id) = &filter.node_id {
        add(" AND d.node_id = ?", &[node_id]);
    }
    if let Some(name) = &filter.name {
        add(" AND instr(d.name, ?) > 0", &[name]);
    }
    if let Some(from) = filter.from {
        clause.push_str(" AND d.created_at >= ?");
        values.push(Value::from(from.0));
    }
    if let Some(to) = filter.to {
        clause.push_str(" AND d.created_at < ?");
        values.push(Value::from(to.0));
    }
    (clause, values)
}

/// A list as the tables have it: exact, and slow when many match.
pub(super) fn list_from_tables(conn: &Connection, filter: &DeviceFilter, page: PageRequest) -> Outcome<Page<Device>> {
    let (clause, values) = conditions(filter);
    devices_where(conn, &clause, values, page)
}

#[async_trait]
impl DeviceStore for SqliteStore {
    async fn insert_devices(&self, devices: Vec<(Device, InitialDesired)>) -> Vec<Result<Device>> {
        insert::insert_devices(self, devices).await
    }

    async fn device(&self, id: &DeviceId) -> Result<Option<Device>> {
        let id = id.clone();
        self.read(move |conn| {
            let params = params![INSTANCE, id.as_str()];
            Ok(read_devices(conn, BY_ID, params)?.pop())
        })
        .await
    }

    async fn device_by_no(&self, no: DeviceNo) -> Result<Option<Device>> {
        self.read(move |conn| Ok(read_devices(conn, BY_NO, [no.0])?.pop())).await
    }

    async fn list_devices(&self, filter: &DeviceFilter, page: PageRequest) -> Result<Page<Device>> {
        let (filter, roster) = (filter.clone(), Arc::clone(&self.roster));
        roster.loaded().await;
        self.read(move |conn| match roster.find(conn, &filter, page)? {
            None => list_from_tables(conn, &filter, page),
            Some(found) => {
                let mut items = Vec::with_capacity(found.page.len());
                for no in found.page {
                    // One that was deleted in this very moment is left out.
                    items.append(&mut read_devices(conn, device_sql!("WHERE d.no = ?1"), [no])?);
                }
                let marker = items.last().map_or(page.marker, |d| d.no.into());
                Ok(Page { items, count: found.count, marker })
            }
        })
        .await
    }

    async fn update_device(&self, device: &Device) -> Result<bool> {
        let device = device.clone();
        self.write(move |tx| {
            let changed = tx
                .conn
                .prepare_cached(
                    "UPDATE device SET name = ?2, description = ?3, extension_info = ?4, secure_access = ?5, \
                     timeout_s = ?6 WHERE no = ?1",
                )?
                .execute(params![
                    device.no.0,
                    device.name,
                    device.description,
                    device.extension_info,
                    device.auth.secure_access,
                    device.auth.timeout_s,
                ])?;
            Ok(changed > 0)
        })
        .await
    }

    async fn set_versions(&self, no: DeviceNo, versions: &DeviceVersions<'static>) -> Result<bool> {
        let versions = versions.clone();
        self.write(move |tx| {
            let mut update = tx.conn.prepare_cached(
                "UPDATE device SET fw_version = coalesce(?2, fw_version), sw_version = coalesce(?3, sw_version), \
                 sdk_version = coalesce(?4, sdk_version) WHERE no = ?1",
            )?;
            let values = params![no.0, versions.firmware, versions.software, versions.sdk];
            Ok(update.execute(values)? > 0)
        })
        .await
    }

    async fn delete_device(&self, no: DeviceNo) -> Result<bool> {
        self.write(move |tx| {
            if tx.conn.prepare_cached("SELECT 1 FROM device WHERE gateway = ?1")?.exists([no.0])? {
                return Err(Error::new(
                    Code::DeviceHasChildren,
                    "The device has devices behind it. Delete them first.",
                )
                .into());
            }
            delete_device(tx, no.0)
        })
        .await
    }

    async fn set_gateway(&self, no: DeviceNo, above: DeviceNo) -> Result<bool> {
        self.write(move |tx| {
            if tx.conn.prepare_cached("SELECT 1 FROM device WHERE gateway = ?1")?.exists([no.0])? {
                return Err(Error::new(
                    Code::DeviceHasChildren,
                    "Operation not allowed. The device has devices behind it.",
                )
                .into());
            }
            if !tx.conn.prepare_cached("SELECT 1 FROM device WHERE no = ?1")?.exists([above.0])? {
                return Err(Error::new(Code::InvalidGateway, "Invalid input. The gateway does not exist.").into());
            }
            let mut update = tx.conn.prepare_cached("UPDATE device SET gateway = ?2 WHERE no = ?1")?;
            if update.execute([no.0, above.0])? == 0 {
                return Ok(false);
            }
            gateway::placed(tx.conn, no.0)?;
            Ok(true)
        })
        .await
    }

    async fn set_frozen(&self, no: DeviceNo, frozen: bool) -> Result<bool> {
        self.write(move |tx| {
            let mut update = tx.conn.prepare_cached("UPDATE device SET frozen = ?2 WHERE no = ?1")?;
            Ok(update.execute(params![no.0, frozen])? > 0)
        })
        .await
    }

    async fn set_secret(&self, no: DeviceNo, slot: CredentialSlot, secret: &Sealed) -> Result<bool> {
        let secret = secret.clone();
        self.write(move |tx| {
            let mut update = tx.conn.prepare_cached(match slot {
                CredentialSlot::Primary => "UPDATE device SET secret = ?2 WHERE no = ?1",
                CredentialSlot::Secondary => "UPDATE device SET secondary_secret = ?2 WHERE no = ?1",
            })?;
            Ok(update.execute(params![no.0, &*secret.0])? > 0)
        })
        .await
    }

    async fn devices_with_status(&self, status: DeviceStatus) -> Result<Vec<(DeviceNo, DeviceId)>> {
        self.read(move |conn| {
            let mut statement = conn.prepare_cached(
                "SELECT no, id FROM device WHERE +instance = ?1 AND connection = ?2 AND gateway IS NULL ORDER BY no",
            )?;
            let found = statement.query_map(params![INSTANCE, status.as_str()], |row| {
                Ok((DeviceNo(row.get(0)?), DeviceId::trusted(row.get::<_, String>(1)?)))
            })?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn overdue_devices(&self, now: Timestamp, limit: u32) -> Result<Vec<Device>> {
        self.read(move |conn| {
            read_devices(
                conn,
                device_sql!(
                    "WHERE d.activated_at IS NULL AND d.timeout_s > 0 AND d.gateway IS NULL \
                     AND d.created_at + d.timeout_s * 1000 <= ?1 \
                     AND NOT EXISTS (SELECT 1 FROM device c WHERE c.gateway = d.no) \
                     ORDER BY d.created_at + d.timeout_s * 1000 LIMIT ?2"
                ),
                [now.0, i64::from(limit)],
            )
        })
        .await
    }

    async fn put_device_token(&self, token: &DeviceToken, others_end_at: Timestamp, now: Timestamp) -> Result<()> {
        let token = token.clone();
        self.write(move |tx| {
            let app = require_device(tx.conn, token.device)?;
            tx.conn.prepare_cached("DELETE FROM device_token WHERE expires_at < ?1")?.execute([now.0])?;
            tx.conn
                .prepare_cached("UPDATE device_token SET expires_at = ?2 WHERE device = ?1 AND expires_at > ?2")?
                .execute([token.device.0, others_end_at.0])?;
            tx.conn
                .prepare_cached(
                    "INSERT OR REPLACE INTO device_token (hash, instance, app, device, expires_at) \
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![token.hash, INSTANCE, app, token.device.0, token.expires_at.0])?;
            Ok(())
        })
        .await
    }

    async fn device_token(&self, hash: &[u8; 32]) -> Result<Option<DeviceToken>> {
        let hash = *hash;
        self.read(move |conn| {
            let token = conn
                .prepare_cached("SELECT device, expires_at FROM device_token WHERE hash = ?1")?
                .query_row([hash], |row| {
                    Ok(DeviceToken { hash, device: DeviceNo(row.get(0)?), expires_at: Timestamp(row.get(1)?) })
                })
                .optional()?;
            Ok(token)
        })
        .await
    }
}
