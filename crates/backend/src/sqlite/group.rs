//! Groups of devices.

use async_trait::async_trait;
use causeway_model::group::{Group, GroupFilter, GroupKind, GroupLimits};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{AppId, Code, DeviceNo, Error, GroupId, RecordNo, Result, Spaces, Timestamp};
use causeway_platform::group::GroupStore;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::app::{in_spaces, require_app};
use super::error::Outcome;
use super::session::require_device;
use super::{INSTANCE, SqliteStore};
use crate::grouping;

macro_rules! group_sql {
    ($($tail:literal),*) => {
        concat!(
            "SELECT g.no, a.id, g.id, g.name, g.description, u.id, g.rule, g.modified_at FROM device_group g \
             JOIN app a ON a.no = g.app LEFT JOIN device_group u ON u.no = g.above ",
            $($tail),*
        )
    };
}

fn read_group(row: &Row<'_>) -> rusqlite::Result<Group> {
    Ok(Group {
        no: RecordNo(row.get(0)?),
        app_id: AppId::trusted(row.get::<_, String>(1)?),
        id: GroupId::trusted(row.get::<_, String>(2)?),
        name: row.get(3)?,
        description: row.get(4)?,
        super_group_id: row.get::<_, Option<String>>(5)?.map(GroupId::trusted),
        kind: row.get::<_, Option<String>>(6)?.map_or(GroupKind::Static, GroupKind::Dynamic),
        modified_at: Timestamp(row.get(7)?),
    })
}

fn read_groups(conn: &Connection, sql: &str, params: impl rusqlite::Params) -> Outcome<Vec<Group>> {
    Ok(conn.prepare_cached(sql)?.query_map(params, read_group)?.collect::<Result<_, _>>()?)
}

fn count(conn: &Connection, sql: &str, no: i64) -> Outcome<i64> {
    Ok(conn.prepare_cached(sql)?.query_row([no], |row| row.get(0))?)
}

fn refuse_name(conn: &Connection, app: i64, name: &str, except: i64) -> Outcome<()> {
    let taken = conn
        .prepare_cached("SELECT 1 FROM device_group WHERE app = ?1 AND name = ?2 AND no <> ?3")?
        .exists(params![app, name, except])?;
    if taken { Err(grouping::group_exists(name).into()) } else { Ok(()) }
}

/// The number of the group above a new one, which may not be too deep.
fn above(conn: &Connection, app: i64, id: &GroupId, depth: u32) -> Outcome<i64> {
    let found: Option<(i64, bool)> = conn
        .prepare_cached("SELECT no, rule IS NULL FROM device_group WHERE instance = ?1 AND id = ?2 AND app = ?3")?
        .query_row(params![INSTANCE, id.as_str(), app], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((no, is_static)) = found else { return Err(grouping::no_group_above(id).into()) };
    if !is_static {
        return Err(grouping::dynamic_group_above(id).into());
    }
    let levels = count(
        conn,
        "WITH RECURSIVE line (no, above) AS (SELECT no, above FROM device_group WHERE no = ?1 \
         UNION ALL SELECT g.no, g.above FROM line JOIN device_group g ON g.no = line.above) SELECT count(*) FROM line",
        no,
    )?;
    if levels >= i64::from(depth) { Err(grouping::group_too_deep(depth).into()) } else { Ok(no) }
}

#[async_trait]
impl GroupStore for SqliteStore {
    async fn insert_group(&self, mut group: Group, limits: GroupLimits) -> Result<Group> {
        self.write(move |tx| {
            let app = require_app(tx.conn, &group.app_id)?;
            let above = match &group.super_group_id {
                Some(id) => Some(above(tx.conn, app, id, limits.depth)?),
                None => None,
            };
            refuse_name(tx.conn, app, &group.name, 0)?;
            let groups = count(tx.conn, "SELECT count(*) FROM device_group WHERE instance = ?1", INSTANCE)?;
            if groups >= i64::from(limits.groups) {
                return Err(grouping::too_many_groups(limits.groups).into());
            }
            tx.conn
                .prepare_cached(
                    "INSERT INTO device_group (instance, app, above, id, name, description, rule, modified_at) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                )?
                .execute(params![
                    INSTANCE,
                    app,
                    above,
                    group.id.as_str(),
                    group.name,
                    group.description,
                    group.kind.rule(),
                    group.modified_at.0
                ])?;
            group.no = RecordNo(tx.conn.last_insert_rowid());
            Ok(group)
        })
        .await
    }

    async fn group(&self, id: &GroupId) -> Result<Option<Group>> {
        let id = id.clone();
        self.read(move |conn| {
            let sql = group_sql!("WHERE g.instance = ?1 AND g.id = ?2");
            Ok(read_groups(conn, sql, params![INSTANCE, id.as_str()])?.pop())
        })
        .await
    }

    async fn groups(&self, ids: &[String]) -> Result<Vec<Group>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids = ids.to_vec();
        self.read(move |conn| {
            let marks = vec!["?"; ids.len()].join(", ");
            let sql = format!(group_sql!("WHERE g.instance = 1 AND g.id IN ({})"), marks);
            read_groups(conn, &sql, params_from_iter(&ids))
        })
        .await
    }

    async fn list_groups(&self, filter: &GroupFilter, page: PageRequest) -> Result<Page<Group>> {
        let mut clause = String::from("g.instance = ?");
        let mut values = vec![Value::from(INSTANCE)];
        in_spaces(&filter.spaces, "g.app", &mut clause, &mut values);
        if let Some(name) = &filter.name {
            clause.push_str(" AND instr(g.name, ?) > 0");
            values.push(Value::from(name.clone()));
        }
        match filter.dynamic {
            Some(true) => clause.push_str(" AND g.rule IS NOT NULL"),
            Some(false) => clause.push_str(" AND g.rule IS NULL"),
            None => {}
        }
        if let Some(after) = filter.modified_after {
            clause.push_str(" AND g.modified_at > ?");
            values.push(Value::from(after.0));
        }
        self.read(move |conn| {
            let count: i64 = conn
                .prepare_cached(&format!("SELECT count(*) FROM device_group g WHERE {clause}"))?
                .query_row(params_from_iter(&values), |row| row.get(0))?;
            values.extend([page.marker.0, i64::from(page.limit), i64::from(page.offset)].map(Value::from));
            let sql = format!(group_sql!("WHERE {} AND g.no < ? ORDER BY g.no DESC LIMIT ? OFFSET ?"), clause);
            let items = read_groups(conn, &sql, params_from_iter(&values))?;
            let marker = items.last().map_or(page.marker, |g| g.no);
            Ok(Page { items, count: u64::try_from(count).unwrap_or(0), marker })
        })
        .await
    }

    async fn dynamic_groups(&self, spaces: &Spaces) -> Result<Vec<Group>> {
        let mut clause = String::from("g.rule IS NOT NULL");
        let mut values = Vec::new();
        in_spaces(spaces, "g.app", &mut clause, &mut values);
        self.read(move |conn| {
            let sql = format!(group_sql!("WHERE {} ORDER BY g.no DESC"), clause);
            read_groups(conn, &sql, params_from_iter(&values))
        })
        .await
    }

    async fn update_group(&self, group: &Group) -> Result<bool> {
        let group = group.clone();
        self.write(move |tx| {
            let app = require_app(tx.conn, &group.app_id)?;
            refuse_name(tx.conn, app, &group.name, group.no.0)?;
            let changed = tx
                .conn
                .prepare_cached("UPDATE device_group SET name = ?2, description = ?3, modified_at = ?4 WHERE no = ?1")?
                .execute(params![group.no.0, group.name, group.description, group.modified_at.0])?;
            Ok(changed > 0)
        })
        .await
    }

    async fn delete_group(&self, no: RecordNo) -> Result<bool> {
        self.write(move |tx| {
            for (sql, what) in [
                ("SELECT 1 FROM device_group WHERE above = ?1", "groups below it"),
                ("SELECT 1 FROM group_member WHERE grp = ?1", "devices"),
            ] {
                if tx.conn.prepare_cached(sql)?.exists([no.0])? {
                    return Err(grouping::group_in_use(what).into());
                }
            }
            Ok(tx.conn.prepare_cached("DELETE FROM device_group WHERE no = ?1")?.execute([no.0])? > 0)
        })
        .await
    }

    async fn add_to_group(&self, group: RecordNo, device: DeviceNo, limits: GroupLimits, at: Timestamp) -> Result<()> {
        self.write(move |tx| {
            let app = require_device(tx.conn, device)?;
            let found = tx
                .conn
                .prepare_cached("SELECT 1 FROM device_group WHERE no = ?1 AND app = ?2 AND rule IS NULL")?
                .exists([group.0, app])?;
            if !found {
                return Err(Error::new(Code::GroupNotFound, "The device group does not exist.").into());
            }
            let added = tx
                .conn
                .prepare_cached(
                    "INSERT OR IGNORE INTO group_member (grp, device, instance, app, added_at) \
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![group.0, device.0, INSTANCE, app, at.0])?;
            if added == 0 {
                return Ok(());
            }
            let devices = count(tx.conn, "SELECT count(*) FROM group_member WHERE grp = ?1", group.0)?;
            if devices > i64::from(limits.devices) {
                return Err(grouping::group_full(limits.devices).into());
            }
            let groups = count(tx.conn, "SELECT count(*) FROM group_member WHERE device = ?1", device.0)?;
            if groups > i64::from(limits.of_device) {
                return Err(grouping::too_many_groups_of_device(limits.of_device).into());
            }
            Ok(())
        })
        .await
    }

    async fn remove_from_group(&self, group: RecordNo, device: DeviceNo) -> Result<bool> {
        self.write(move |tx| {
            let mut remove = tx.conn.prepare_cached("DELETE FROM group_member WHERE grp = ?1 AND device = ?2")?;
            Ok(remove.execute([group.0, device.0])? > 0)
        })
        .await
    }

    async fn groups_of_devices(&self, devices: &[DeviceNo]) -> Result<Vec<(DeviceNo, Group)>> {
        let devices = devices.to_vec();
        self.read(move |conn| {
            let mut statement = conn.prepare_cached(group_sql!(
                "JOIN group_member m ON m.grp = g.no WHERE m.device = ?1 ORDER BY g.no DESC"
            ))?;
            let mut found = Vec::new();
            for device in devices {
                for group in statement.query_map([device.0], read_group)? {
                    found.push((device, group?));
                }
            }
            Ok(found)
        })
        .await
    }
}
