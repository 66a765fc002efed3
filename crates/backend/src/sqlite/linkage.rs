//! Linkage rules, their state and timers, and commands that wait.

use async_trait::async_trait;
use causeway_model::linkage::LinkageRule;
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{AppId, DeviceNo, RecordNo, Result, Spaces, Timestamp};
use causeway_platform::linkage::{LinkageCommand, LinkageStore, LinkageTimer};
use causeway_platform::outbox::NewDelivery;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::app::{in_spaces, require_app};
use super::error::Outcome;
use super::{INSTANCE, SqliteStore};
use crate::rows;

macro_rules! rule_sql {
    ($more:literal, $tail:literal) => {
        concat!(
            "SELECT r.no, a.id, r.id, r.name, r.description, r.active, r.version, r.definition, r.created_at, \
             r.updated_at",
            $more,
            " FROM linkage_rule r JOIN app a ON a.no = r.app ",
            $tail
        )
    };
}

fn read_rule(row: &Row<'_>) -> Outcome<LinkageRule> {
    Ok(LinkageRule {
        no: RecordNo(row.get(0)?),
        app_id: AppId::trusted(row.get::<_, String>(1)?),
        id: row.get(2)?,
        name: row.get(3)?,
        description: row.get(4)?,
        is_active: row.get(5)?,
        version: row.get(6)?,
        definition: rows::definition(row.get_ref(7)?.as_str().map_err(rusqlite::Error::from)?)?,
        created_at: Timestamp(row.get(8)?),
        updated_at: Timestamp(row.get(9)?),
    })
}

fn read_rules(conn: &Connection, sql: &str, params: impl rusqlite::Params) -> Outcome<Vec<LinkageRule>> {
    conn.prepare_cached(sql)?.query_and_then(params, read_rule)?.collect()
}

fn put_timers(conn: &Connection, rule: i64, timers: &[LinkageTimer]) -> Outcome<()> {
    let mut put =
        conn.prepare_cached("INSERT INTO linkage_timer (rule, condition, device, next_at) VALUES (?1, ?2, ?3, ?4)")?;
    for timer in timers {
        put.execute(params![rule, timer.condition, timer.device.map(|d| d.0), timer.at.0])?;
    }
    Ok(())
}

fn is_there(conn: &Connection, rule: RecordNo, device: DeviceNo) -> Outcome<bool> {
    Ok(conn
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM linkage_rule WHERE no = ?1) AND EXISTS (SELECT 1 FROM device WHERE no = ?2)",
        )?
        .query_row([rule.0, device.0], |row| row.get(0))?)
}

#[async_trait]
impl LinkageStore for SqliteStore {
    async fn insert_linkage_rule(
        &self,
        mut rule: LinkageRule,
        timers: Vec<LinkageTimer>,
        deliveries: Vec<NewDelivery>,
        limit: u32,
    ) -> Result<LinkageRule> {
        self.write(move |tx| {
            let app = require_app(tx.conn, &rule.app_id)?;
            let count: i64 = tx
                .conn
                .prepare_cached("SELECT count(*) FROM linkage_rule WHERE instance = ?1")?
                .query_row([INSTANCE], |row| row.get(0))?;
            if count >= i64::from(limit) {
                return Err(rows::too_many_linkage_rules(limit).into());
            }
            tx.conn
                .prepare_cached(
                    "INSERT INTO linkage_rule (instance, app, id, name, description, active, version, definition, \
                     created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                )?
                .execute(params![
                    INSTANCE,
                    app,
                    rule.id,
                    rule.name,
                    rule.description,
                    rule.is_active,
                    rule.version,
                    rows::definition_text(&rule.definition)?,
                    rule.created_at.0,
                    rule.updated_at.0
                ])?;
            rule.no = RecordNo(tx.conn.last_insert_rowid());
            put_timers(tx.conn, rule.no.0, &timers)?;
            tx.outbox.write(tx.conn, &deliveries)?;
            Ok(rule)
        })
        .await
    }

    async fn linkage_rule(&self, id: &str) -> Result<Option<LinkageRule>> {
        let id = id.to_owned();
        self.read(move |conn| {
            Ok(read_rules(conn, rule_sql!("", "WHERE r.instance = ?1 AND r.id = ?2"), params![INSTANCE, id])?.pop())
        })
        .await
    }

    async fn list_linkage_rules(&self, spaces: &Spaces, page: PageRequest) -> Result<Page<LinkageRule>> {
        let mut clause = String::from("r.instance = ?");
        let mut values = vec![Value::from(INSTANCE)];
        in_spaces(spaces, "r.app", &mut clause, &mut values);
        self.read(move |conn| {
            let count: i64 = conn
                .prepare_cached(&format!("SELECT count(*) FROM linkage_rule r WHERE {clause}"))?
                .query_row(params_from_iter(&values), |row| row.get(0))?;
            values.extend([page.marker.0, i64::from(page.limit), i64::from(page.offset)].map(Value::from));
            let sql = format!(rule_sql!("", "WHERE {} AND r.no < ? ORDER BY r.no DESC LIMIT ? OFFSET ?"), clause);
            let items = read_rules(conn, &sql, params_from_iter(&values))?;
            let marker = items.last().map_or(page.marker, |r| r.no);
            Ok(Page { items, count: rows::count(count), marker })
        })
        .await
    }

    async fn update_linkage_rule(
        &self,
        rule: &LinkageRule,
        timers: Vec<LinkageTimer>,
        deliveries: Vec<NewDelivery>,
    ) -> Result<bool> {
        let rule = rule.clone();
        self.write(move |tx| {
            let changed = tx
                .conn
                .prepare_cached(
                    "UPDATE linkage_rule SET name = ?2, description = ?3, active = ?4, version = ?5, definition = ?6, \
                     updated_at = ?7 WHERE no = ?1",
                )?
                .execute(params![
                    rule.no.0,
                    rule.name,
                    rule.description,
                    rule.is_active,
                    rule.version,
                    rows::definition_text(&rule.definition)?,
                    rule.updated_at.0
                ])?;
            if changed == 0 {
                return Ok(false);
            }
            for sql in ["DELETE FROM linkage_timer WHERE rule = ?1", "DELETE FROM linkage_state WHERE rule = ?1"] {
                tx.conn.prepare_cached(sql)?.execute([rule.no.0])?;
            }
            put_timers(tx.conn, rule.no.0, &timers)?;
            tx.outbox.write(tx.conn, &deliveries)?;
            Ok(true)
        })
        .await
    }

    async fn delete_linkage_rule(&self, no: RecordNo) -> Result<bool> {
        self.write(move |tx| Ok(tx.conn.prepare_cached("DELETE FROM linkage_rule WHERE no = ?1")?.execute([no.0])? > 0))
            .await
    }

    async fn active_linkage_rules(&self) -> Result<Vec<LinkageRule>> {
        self.read(|conn| {
            read_rules(conn, rule_sql!("", "WHERE r.instance = ?1 AND r.active ORDER BY r.no"), [INSTANCE])
        })
        .await
    }

    async fn held_conditions(&self, rule: RecordNo, device: DeviceNo) -> Result<Vec<u16>> {
        self.read(move |conn| {
            Ok(conn
                .prepare_cached(
                    "SELECT condition FROM linkage_state WHERE rule = ?1 AND device = ?2 ORDER BY condition",
                )?
                .query_map([rule.0, device.0], |row| row.get(0))?
                .collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn set_held(&self, rule: RecordNo, device: DeviceNo, condition: u16, holds: bool) -> Result<()> {
        self.write(move |tx| {
            let sql = if !holds {
                "DELETE FROM linkage_state WHERE rule = ?1 AND device = ?2 AND condition = ?3"
            } else if is_there(tx.conn, rule, device)? {
                "INSERT OR IGNORE INTO linkage_state (rule, device, condition) VALUES (?1, ?2, ?3)"
            } else {
                return Ok(());
            };
            tx.conn.prepare_cached(sql)?.execute(params![rule.0, device.0, condition])?;
            Ok(())
        })
        .await
    }

    async fn set_linkage_timer(&self, timer: &LinkageTimer) -> Result<()> {
        let timer = timer.clone();
        self.write(move |tx| {
            if timer.device.is_some_and(|d| !is_there(tx.conn, timer.rule, d).unwrap_or(false)) {
                return Ok(());
            }
            tx.conn
                .prepare_cached(
                    "INSERT INTO linkage_timer (rule, condition, device, next_at) VALUES (?1, ?2, ?3, ?4) \
                     ON CONFLICT (rule, condition, coalesce(device, 0)) DO UPDATE SET next_at = excluded.next_at",
                )?
                .execute(params![timer.rule.0, timer.condition, timer.device.map(|d| d.0), timer.at.0])?;
            Ok(())
        })
        .await
    }

    async fn drop_linkage_timer(&self, rule: RecordNo, condition: u16, device: DeviceNo) -> Result<()> {
        self.write(move |tx| {
            tx.conn
                .prepare_cached("DELETE FROM linkage_timer WHERE rule = ?1 AND condition = ?2 AND device = ?3")?
                .execute(params![rule.0, condition, device.0])?;
            Ok(())
        })
        .await
    }

    async fn due_linkage_timers(&self, now: Timestamp, limit: u32) -> Result<Vec<(LinkageTimer, LinkageRule)>> {
        self.read(move |conn| {
            conn.prepare_cached(rule_sql!(
                ", t.condition, t.device, t.next_at",
                "JOIN linkage_timer t ON t.rule = r.no WHERE r.instance = ?1 AND r.active AND t.next_at <= ?2 \
                 ORDER BY t.next_at LIMIT ?3"
            ))?
            .query_and_then(params![INSTANCE, now.0, limit], |row| {
                let rule = read_rule(row)?;
                let timer = LinkageTimer {
                    rule: rule.no,
                    condition: row.get(10)?,
                    device: row.get::<_, Option<i64>>(11)?.map(DeviceNo),
                    at: Timestamp(row.get(12)?),
                };
                Ok((timer, rule))
            })?
            .collect()
        })
        .await
    }

    async fn claim_linkage_timer(
        &self,
        timer: &LinkageTimer,
        next: Option<Timestamp>,
        deliveries: Vec<NewDelivery>,
    ) -> Result<bool> {
        let timer = timer.clone();
        self.write(move |tx| {
            let device = timer.device.map_or(0, |d| d.0);
            let claimed = match next {
                Some(next) => tx
                    .conn
                    .prepare_cached(
                        "UPDATE linkage_timer SET next_at = ?5 \
                         WHERE rule = ?1 AND condition = ?2 AND coalesce(device, 0) = ?3 AND next_at = ?4",
                    )?
                    .execute(params![timer.rule.0, timer.condition, device, timer.at.0, next.0])?,
                None => tx
                    .conn
                    .prepare_cached(
                        "DELETE FROM linkage_timer \
                         WHERE rule = ?1 AND condition = ?2 AND coalesce(device, 0) = ?3 AND next_at = ?4",
                    )?
                    .execute(params![timer.rule.0, timer.condition, device, timer.at.0])?,
            };
            if claimed > 0 {
                tx.outbox.write(tx.conn, &deliveries)?;
            }
            Ok(claimed > 0)
        })
        .await
    }

    async fn keep_linkage_command(&self, command: &LinkageCommand, keep: u32) -> Result<()> {
        let command = command.clone();
        self.write(move |tx| {
            tx.conn
                .prepare_cached(
                    "INSERT INTO linkage_command (device, rule_id, action, expires_at) \
                     SELECT no, ?2, ?3, ?4 FROM device WHERE no = ?1 AND NOT EXISTS (SELECT 1 FROM linkage_command \
                     WHERE device = ?1 AND rule_id = ?2 AND action = ?3 AND expires_at = ?4)",
                )?
                .execute(params![command.device.0, command.rule_id, command.action, command.expires_at.0])?;
            tx.conn
                .prepare_cached(
                    "DELETE FROM linkage_command WHERE no IN (SELECT no FROM linkage_command WHERE device = ?1 \
                     ORDER BY no DESC LIMIT -1 OFFSET ?2)",
                )?
                .execute(params![command.device.0, keep])?;
            Ok(())
        })
        .await
    }

    async fn next_linkage_command(&self, device: DeviceNo, now: Timestamp) -> Result<Option<LinkageCommand>> {
        self.read(move |conn| {
            Ok(conn
                .prepare_cached(
                    "SELECT no, rule_id, action, expires_at FROM linkage_command WHERE device = ?1 AND expires_at > ?2 \
                     ORDER BY no LIMIT 1",
                )?
                .query_row([device.0, now.0], |row| {
                    Ok(LinkageCommand {
                        no: RecordNo(row.get(0)?),
                        device,
                        rule_id: row.get(1)?,
                        action: row.get(2)?,
                        expires_at: Timestamp(row.get(3)?),
                    })
                })
                .optional()?)
        })
        .await
    }

    async fn drop_linkage_command(&self, no: RecordNo) -> Result<bool> {
        self.write(move |tx| {
            Ok(tx.conn.prepare_cached("DELETE FROM linkage_command WHERE no = ?1")?.execute([no.0])? > 0)
        })
        .await
    }

    async fn drop_old_linkage_commands(&self, now: Timestamp) -> Result<u64> {
        self.write(move |tx| {
            let gone =
                tx.conn.prepare_cached("DELETE FROM linkage_command WHERE expires_at <= ?1")?.execute([now.0])?;
            Ok(gone as u64)
        })
        .await
    }
}
