//! Linkage rules, their state and timers, and commands that wait.

use async_trait::async_trait;
use causeway_model::linkage::LinkageRule;
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{AppId, Code, DeviceNo, Error, RecordNo, Result, Spaces, Timestamp};
use causeway_platform::linkage::{LinkageCommand, LinkageStore, LinkageTimer};
use causeway_platform::outbox::NewDelivery;
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::connection::{Columns, Params, db, first, row, rows, run};
use super::{INSTANCE, PostgresStore, outbox};
use crate::rows as words;

const SELECT: &str = "SELECT r.no, a.id, r.id, r.name, r.description, r.active, r.version, r.definition, r.created_at,
    r.updated_at";
const FROM: &str = "FROM linkage_rule r JOIN app a ON a.no = r.app";

/// Parameter 2 of every list: the spaces.
const IN_SPACES: &str =
    "r.instance = $1 AND ($2::text[] IS NULL OR r.app IN (SELECT no FROM app WHERE instance = $1 AND id = ANY ($2)))";

fn columns(c: &mut Columns<'_>) -> Result<LinkageRule> {
    Ok(LinkageRule {
        no: RecordNo(c.take()?),
        app_id: AppId::trusted(c.take::<String>()?),
        id: c.take()?,
        name: c.take()?,
        description: c.take()?,
        is_active: c.take()?,
        version: c.take()?,
        definition: words::definition(c.take()?)?,
        created_at: Timestamp(c.take()?),
        updated_at: Timestamp(c.take()?),
    })
}

fn rule(row: &Row) -> Result<LinkageRule> {
    columns(&mut Columns::of(row))
}

fn due(row: &Row) -> Result<(LinkageTimer, LinkageRule)> {
    let mut c = Columns::of(row);
    let rule = columns(&mut c)?;
    let timer = LinkageTimer {
        rule: rule.no,
        condition: condition(c.take()?),
        device: c.take::<Option<i64>>()?.map(DeviceNo),
        at: Timestamp(c.take()?),
    };
    Ok((timer, rule))
}

fn condition(n: i32) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

async fn put_timers<C: GenericClient>(transaction: &C, rule: i64, timers: &[LinkageTimer]) -> Result<()> {
    let sql = "INSERT INTO linkage_timer (rule, condition, device, next_at) VALUES ($1, $2, $3, $4)";
    for timer in timers {
        let device = timer.device.map(|d| d.0);
        run(transaction, sql, &[&rule, &i32::from(timer.condition), &device, &timer.at.0]).await.map_err(db)?;
    }
    Ok(())
}

#[async_trait]
impl LinkageStore for PostgresStore {
    async fn insert_linkage_rule(
        &self,
        mut new: LinkageRule,
        timers: Vec<LinkageTimer>,
        deliveries: Vec<NewDelivery>,
        limit: u32,
    ) -> Result<LinkageRule> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // Two rules made at once must not pass the limit together. Reading goes on.
        run(&transaction, "LOCK TABLE linkage_rule IN SHARE ROW EXCLUSIVE MODE", &[]).await.map_err(db)?;
        let sql = "SELECT count(*) FROM linkage_rule WHERE instance = $1";
        let count = row(&transaction, sql, &[&INSTANCE]).await.map_err(db)?;
        if count.as_ref().map_or(Ok(0), first::<i64>)? >= i64::from(limit) {
            return Err(words::too_many_linkage_rules(limit));
        }
        let definition = words::definition_text(&new.definition)?;
        let sql = "INSERT INTO linkage_rule (instance, app, id, name, description, active, version, definition,
                created_at, updated_at)
            SELECT $1, no, $3, $4, $5, $6, $7, $8, $9, $10 FROM app WHERE instance = $1 AND id = $2 FOR KEY SHARE
            RETURNING no";
        let params: Params<'_> = &[
            &INSTANCE,
            &new.app_id.as_str(),
            &new.id,
            &new.name,
            &new.description,
            &new.is_active,
            &new.version,
            &definition,
            &new.created_at.0,
            &new.updated_at.0,
        ];
        let Some(made) = row(&transaction, sql, params).await.map_err(db)? else {
            return Err(Error::new(Code::AppNotFound, format!("The resource space '{}' does not exist.", new.app_id)));
        };
        new.no = RecordNo(first(&made)?);
        put_timers(&transaction, new.no.0, &timers).await?;
        outbox::insert(&transaction, &deliveries).await.map_err(db)?;
        transaction.commit().await.map_err(db)?;
        self.signals.raise(deliveries.iter().map(|d| d.target));
        Ok(new)
    }

    async fn linkage_rule(&self, id: &str) -> Result<Option<LinkageRule>> {
        let client = self.client().await?;
        let sql = format!("{SELECT} {FROM} WHERE r.instance = $1 AND r.id = $2");
        row(&client, &sql, &[&INSTANCE, &id]).await.map_err(db)?.as_ref().map(rule).transpose()
    }

    async fn list_linkage_rules(&self, spaces: &Spaces, page: PageRequest) -> Result<Page<LinkageRule>> {
        let client = self.client().await?;
        let spaces = spaces.ids();
        let (marker, offset, limit) = (page.marker.0, i64::from(page.offset), i64::from(page.limit));
        let list: Params<'_> = &[&INSTANCE, &spaces, &marker, &offset, &limit];
        let sql = format!("{SELECT} {FROM} WHERE {IN_SPACES} AND r.no < $3 ORDER BY r.no DESC OFFSET $4 LIMIT $5");
        let found = rows(&client, &sql, list).await.map_err(db)?;
        let items: Vec<LinkageRule> = found.iter().map(rule).collect::<Result<_>>()?;
        let sql = format!("SELECT count(*) FROM linkage_rule r WHERE {IN_SPACES}");
        let count = row(&client, &sql, &list[..2]).await.map_err(db)?;
        Ok(Page {
            marker: items.last().map_or(page.marker, |r| r.no),
            count: count.as_ref().map_or(Ok(0), first::<i64>)?.unsigned_abs(),
            items,
        })
    }

    async fn update_linkage_rule(
        &self,
        changed: &LinkageRule,
        timers: Vec<LinkageTimer>,
        deliveries: Vec<NewDelivery>,
    ) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let definition = words::definition_text(&changed.definition)?;
        let sql = "UPDATE linkage_rule SET name = $2, description = $3, active = $4, version = $5, definition = $6,
            updated_at = $7 WHERE no = $1";
        let params: Params<'_> = &[
            &changed.no.0,
            &changed.name,
            &changed.description,
            &changed.is_active,
            &changed.version,
            &definition,
            &changed.updated_at.0,
        ];
        if run(&transaction, sql, params).await.map_err(db)? == 0 {
            return Ok(false);
        }
        for sql in ["DELETE FROM linkage_timer WHERE rule = $1", "DELETE FROM linkage_state WHERE rule = $1"] {
            run(&transaction, sql, &[&changed.no.0]).await.map_err(db)?;
        }
        put_timers(&transaction, changed.no.0, &timers).await?;
        outbox::insert(&transaction, &deliveries).await.map_err(db)?;
        transaction.commit().await.map_err(db)?;
        self.signals.raise(deliveries.iter().map(|d| d.target));
        Ok(true)
    }

    async fn delete_linkage_rule(&self, no: RecordNo) -> Result<bool> {
        let client = self.client().await?;
        Ok(run(&client, "DELETE FROM linkage_rule WHERE no = $1", &[&no.0]).await.map_err(db)? > 0)
    }

    async fn active_linkage_rules(&self) -> Result<Vec<LinkageRule>> {
        let client = self.client().await?;
        let sql = format!("{SELECT} {FROM} WHERE r.instance = $1 AND r.active ORDER BY r.no");
        rows(&client, &sql, &[&INSTANCE]).await.map_err(db)?.iter().map(rule).collect()
    }

    async fn held_conditions(&self, rule: RecordNo, device: DeviceNo) -> Result<Vec<u16>> {
        let client = self.client().await?;
        let sql = "SELECT condition FROM linkage_state WHERE rule = $1 AND device = $2 ORDER BY condition";
        let found = rows(&client, sql, &[&rule.0, &device.0]).await.map_err(db)?;
        found.iter().map(|row| first::<i32>(row).map(condition)).collect()
    }

    async fn set_held(&self, rule: RecordNo, device: DeviceNo, condition: u16, holds: bool) -> Result<()> {
        let client = self.client().await?;
        let sql = if holds {
            "INSERT INTO linkage_state (rule, device, condition)
            SELECT r.no, d.no, $3 FROM linkage_rule r, device d WHERE r.no = $1 AND d.no = $2 FOR KEY SHARE
            ON CONFLICT DO NOTHING"
        } else {
            "DELETE FROM linkage_state WHERE rule = $1 AND device = $2 AND condition = $3"
        };
        run(&client, sql, &[&rule.0, &device.0, &i32::from(condition)]).await.map_err(db)?;
        Ok(())
    }

    async fn set_linkage_timer(&self, timer: &LinkageTimer) -> Result<()> {
        let Some(device) = timer.device else { return Ok(()) };
        let client = self.client().await?;
        let sql = "INSERT INTO linkage_timer (rule, condition, device, next_at)
            SELECT r.no, $2, d.no, $4 FROM linkage_rule r, device d WHERE r.no = $1 AND d.no = $3 FOR KEY SHARE
            ON CONFLICT (rule, condition, coalesce(device, 0)) DO UPDATE SET next_at = excluded.next_at";
        let params: Params<'_> = &[&timer.rule.0, &i32::from(timer.condition), &device.0, &timer.at.0];
        run(&client, sql, params).await.map_err(db)?;
        Ok(())
    }

    async fn drop_linkage_timer(&self, rule: RecordNo, condition: u16, device: DeviceNo) -> Result<()> {
        let client = self.client().await?;
        let sql = "DELETE FROM linkage_timer WHERE rule = $1 AND condition = $2 AND device = $3";
        run(&client, sql, &[&rule.0, &i32::from(condition), &device.0]).await.map_err(db)?;
        Ok(())
    }

    async fn due_linkage_timers(&self, now: Timestamp, limit: u32) -> Result<Vec<(LinkageTimer, LinkageRule)>> {
        let client = self.client().await?;
        let sql = format!(
            "{SELECT}, t.condition, t.device, t.next_at {FROM} JOIN linkage_timer t ON t.rule = r.no
            WHERE r.instance = $1 AND r.active AND t.next_at <= $2 ORDER BY t.next_at LIMIT $3"
        );
        let found = rows(&client, &sql, &[&INSTANCE, &now.0, &i64::from(limit)]).await.map_err(db)?;
        found.iter().map(due).collect()
    }

    async fn claim_linkage_timer(
        &self,
        timer: &LinkageTimer,
        next: Option<Timestamp>,
        deliveries: Vec<NewDelivery>,
    ) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let device = timer.device.map_or(0, |d| d.0);
        let condition = i32::from(timer.condition);
        // The second of two who claim waits for the first, and then finds another time.
        let claimed = match next {
            Some(next) => {
                let sql = "UPDATE linkage_timer SET next_at = $5
                    WHERE rule = $1 AND condition = $2 AND coalesce(device, 0) = $3 AND next_at = $4";
                run(&transaction, sql, &[&timer.rule.0, &condition, &device, &timer.at.0, &next.0]).await
            }
            None => {
                let sql = "DELETE FROM linkage_timer
                    WHERE rule = $1 AND condition = $2 AND coalesce(device, 0) = $3 AND next_at = $4";
                run(&transaction, sql, &[&timer.rule.0, &condition, &device, &timer.at.0]).await
            }
        };
        if claimed.map_err(db)? == 0 {
            return Ok(false);
        }
        outbox::insert(&transaction, &deliveries).await.map_err(db)?;
        transaction.commit().await.map_err(db)?;
        self.signals.raise(deliveries.iter().map(|d| d.target));
        Ok(true)
    }

    async fn keep_linkage_command(&self, command: &LinkageCommand, keep: u32) -> Result<()> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // One command at a time of a device, so that the limit holds.
        let sql = "SELECT no FROM device WHERE no = $1 FOR NO KEY UPDATE";
        if row(&transaction, sql, &[&command.device.0]).await.map_err(db)?.is_none() {
            return Ok(());
        }
        let sql = "INSERT INTO linkage_command (device, rule_id, action, expires_at)
            SELECT $1::bigint, $2::text, $3::text, $4::bigint WHERE NOT EXISTS (SELECT 1 FROM linkage_command
                WHERE device = $1 AND rule_id = $2 AND action = $3 AND expires_at = $4)";
        let params: Params<'_> = &[&command.device.0, &command.rule_id, &command.action, &command.expires_at.0];
        run(&transaction, sql, params).await.map_err(db)?;
        let sql = "DELETE FROM linkage_command WHERE no IN (
            SELECT no FROM linkage_command WHERE device = $1 ORDER BY no DESC OFFSET $2)";
        run(&transaction, sql, &[&command.device.0, &i64::from(keep)]).await.map_err(db)?;
        transaction.commit().await.map_err(db)
    }

    async fn next_linkage_command(&self, device: DeviceNo, now: Timestamp) -> Result<Option<LinkageCommand>> {
        let client = self.client().await?;
        let sql = "SELECT no, rule_id, action, expires_at FROM linkage_command WHERE device = $1 AND expires_at > $2
            ORDER BY no LIMIT 1";
        let found = row(&client, sql, &[&device.0, &now.0]).await.map_err(db)?;
        found
            .as_ref()
            .map(|row| {
                let mut c = Columns::of(row);
                Ok(LinkageCommand {
                    no: RecordNo(c.take()?),
                    device,
                    rule_id: c.take()?,
                    action: c.take()?,
                    expires_at: Timestamp(c.take()?),
                })
            })
            .transpose()
    }

    async fn drop_linkage_command(&self, no: RecordNo) -> Result<bool> {
        let client = self.client().await?;
        Ok(run(&client, "DELETE FROM linkage_command WHERE no = $1", &[&no.0]).await.map_err(db)? > 0)
    }

    async fn drop_old_linkage_commands(&self, now: Timestamp) -> Result<u64> {
        let client = self.client().await?;
        run(&client, "DELETE FROM linkage_command WHERE expires_at <= $1", &[&now.0]).await.map_err(db)
    }
}
