//! Groups of devices. The row of a group is locked before devices are put into it, so that limits hold between nodes.

use async_trait::async_trait;
use causeway_model::group::{Group, GroupFilter, GroupKind, GroupLimits};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{AppId, Code, DeviceNo, Error, GroupId, RecordNo, Result, Spaces, Timestamp};
use causeway_platform::group::GroupStore;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::connection::{Columns, Params, db, first, row, rows, run};
use super::{INSTANCE, PostgresStore, no_such_device};
use crate::grouping;

/// Reads what [`group`] turns into a group; joins and a condition follow.
const SELECT: &str = "SELECT g.no, a.id, g.id, g.name, g.description, u.id, g.rule, g.modified_at
    FROM device_group g JOIN app a ON a.no = g.app LEFT JOIN device_group u ON u.no = g.above";

/// Parameters 1 to 5 of every list: instance, spaces, name, dynamic, modified after.
const MATCHES: &str = "g.instance = $1
    AND ($2::text[] IS NULL OR g.app = ANY (ARRAY (SELECT no FROM app WHERE instance = $1 AND id = ANY ($2))))
    AND ($3::text IS NULL OR strpos(g.name, $3) > 0)
    AND ($4::boolean IS NULL OR (g.rule IS NOT NULL) = $4)
    AND ($5::bigint IS NULL OR g.modified_at > $5)";

fn read(c: &mut Columns<'_>) -> Result<Group> {
    Ok(Group {
        no: RecordNo(c.take()?),
        app_id: AppId::trusted(c.take::<String>()?),
        id: GroupId::trusted(c.take::<String>()?),
        name: c.take()?,
        description: c.take()?,
        super_group_id: c.take::<Option<String>>()?.map(GroupId::trusted),
        kind: c.take::<Option<String>>()?.map_or(GroupKind::Static, GroupKind::Dynamic),
        modified_at: Timestamp(c.take()?),
    })
}

fn group(row: &Row) -> Result<Group> {
    read(&mut Columns::of(row))
}

/// What a refused write of a name means.
fn name_taken(error: tokio_postgres::Error, name: &str) -> Error {
    match error.code() {
        Some(state) if *state == SqlState::UNIQUE_VIOLATION => grouping::group_exists(name),
        Some(state) if *state == SqlState::FOREIGN_KEY_VIOLATION => {
            Error::new(Code::AppNotFound, "No such resource space.")
        }
        _ => db(error),
    }
}

#[async_trait]
impl GroupStore for PostgresStore {
    async fn insert_group(&self, mut new: Group, limits: GroupLimits) -> Result<Group> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // Groups made at once must not pass the limits together. Reading goes on.
        run(&transaction, "LOCK TABLE device_group IN SHARE ROW EXCLUSIVE MODE", &[]).await.map_err(db)?;
        let sql = "SELECT no FROM app WHERE instance = $1 AND id = $2";
        let Some(app) = row(&transaction, sql, &[&INSTANCE, &new.app_id.as_str()]).await.map_err(db)? else {
            return Err(Error::new(Code::AppNotFound, "No such resource space."));
        };
        let app: i64 = first(&app)?;
        let mut above: Option<i64> = None;
        if let Some(id) = &new.super_group_id {
            let sql = "SELECT no, rule IS NULL FROM device_group WHERE instance = $1 AND id = $2 AND app = $3";
            let found = row(&transaction, sql, &[&INSTANCE, &id.as_str(), &app]).await.map_err(db)?;
            let Some(found) = found else { return Err(grouping::no_group_above(id)) };
            let mut c = Columns::of(&found);
            let (no, is_static): (i64, bool) = (c.take()?, c.take()?);
            if !is_static {
                return Err(grouping::dynamic_group_above(id));
            }
            let sql = "WITH RECURSIVE line (no, above) AS (SELECT no, above FROM device_group WHERE no = $1
                UNION ALL SELECT g.no, g.above FROM line JOIN device_group g ON g.no = line.above)
                SELECT count(*) FROM line";
            let levels = row(&transaction, sql, &[&no]).await.map_err(db)?;
            if levels.as_ref().map_or(Ok(0), first::<i64>)? >= i64::from(limits.depth) {
                return Err(grouping::group_too_deep(limits.depth));
            }
            above = Some(no);
        }
        let sql = "SELECT 1 FROM device_group WHERE app = $1 AND name = $2";
        if row(&transaction, sql, &[&app, &new.name]).await.map_err(db)?.is_some() {
            return Err(grouping::group_exists(&new.name));
        }
        let sql = "SELECT count(*) FROM device_group WHERE instance = $1";
        let count = row(&transaction, sql, &[&INSTANCE]).await.map_err(db)?;
        if count.as_ref().map_or(Ok(0), first::<i64>)? >= i64::from(limits.groups) {
            return Err(grouping::too_many_groups(limits.groups));
        }
        let sql = "INSERT INTO device_group (instance, app, above, id, name, description, rule, modified_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING no";
        let params: Params<'_> = &[
            &INSTANCE,
            &app,
            &above,
            &new.id.as_str(),
            &new.name,
            &new.description,
            &new.kind.rule(),
            &new.modified_at.0,
        ];
        let stored = row(&transaction, sql, params).await.map_err(|e| name_taken(e, &new.name))?;
        let no: i64 = stored.as_ref().map_or_else(|| Err(Error::internal("an insert returned nothing")), first)?;
        transaction.commit().await.map_err(db)?;
        new.no = RecordNo(no);
        Ok(new)
    }

    async fn group(&self, id: &GroupId) -> Result<Option<Group>> {
        let client = self.client().await?;
        let sql = format!("{SELECT} WHERE g.instance = $1 AND g.id = $2");
        row(&client, &sql, &[&INSTANCE, &id.as_str()]).await.map_err(db)?.as_ref().map(group).transpose()
    }

    async fn groups(&self, ids: &[String]) -> Result<Vec<Group>> {
        let client = self.client().await?;
        let sql = format!("{SELECT} WHERE g.instance = $1 AND g.id = ANY ($2)");
        rows(&client, &sql, &[&INSTANCE, &ids]).await.map_err(db)?.iter().map(group).collect()
    }

    async fn list_groups(&self, filter: &GroupFilter, page: PageRequest) -> Result<Page<Group>> {
        let client = self.client().await?;
        let spaces = filter.spaces.ids();
        let after = filter.modified_after.map(|t| t.0);
        let (marker, offset, limit) = (page.marker.0, i64::from(page.offset), i64::from(page.limit));
        let list: Params<'_> = &[&INSTANCE, &spaces, &filter.name, &filter.dynamic, &after, &marker, &offset, &limit];
        let sql = format!("{SELECT} WHERE {MATCHES} AND g.no < $6 ORDER BY g.no DESC OFFSET $7 LIMIT $8");
        let items: Vec<Group> =
            rows(&client, &sql, list).await.map_err(db)?.iter().map(group).collect::<Result<_>>()?;
        let sql = format!("SELECT count(*) FROM device_group g WHERE {MATCHES}");
        let count = row(&client, &sql, &list[..5]).await.map_err(db)?;
        Ok(Page {
            marker: items.last().map_or(page.marker, |g| g.no),
            count: count.as_ref().map_or(Ok(0), first::<i64>)?.unsigned_abs(),
            items,
        })
    }

    async fn dynamic_groups(&self, spaces: &Spaces) -> Result<Vec<Group>> {
        let client = self.client().await?;
        let spaces = spaces.ids();
        let sql = format!(
            "{SELECT} WHERE g.rule IS NOT NULL AND g.instance = $1 AND ($2::text[] IS NULL OR a.id = ANY ($2))
            ORDER BY g.no DESC"
        );
        rows(&client, &sql, &[&INSTANCE, &spaces]).await.map_err(db)?.iter().map(group).collect()
    }

    async fn update_group(&self, group: &Group) -> Result<bool> {
        let client = self.client().await?;
        let sql = "UPDATE device_group SET name = $2, description = $3, modified_at = $4 WHERE no = $1";
        let params: Params<'_> = &[&group.no.0, &group.name, &group.description, &group.modified_at.0];
        Ok(run(&client, sql, params).await.map_err(|e| name_taken(e, &group.name))? > 0)
    }

    async fn delete_group(&self, no: RecordNo) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let sql = "SELECT no FROM device_group WHERE no = $1 FOR UPDATE";
        if row(&transaction, sql, &[&no.0]).await.map_err(db)?.is_none() {
            return Ok(false);
        }
        for (sql, what) in [
            ("SELECT 1 FROM device_group WHERE above = $1 LIMIT 1", "groups below it"),
            ("SELECT 1 FROM group_member WHERE grp = $1 LIMIT 1", "devices"),
        ] {
            if row(&transaction, sql, &[&no.0]).await.map_err(db)?.is_some() {
                return Err(grouping::group_in_use(what));
            }
        }
        run(&transaction, "DELETE FROM device_group WHERE no = $1", &[&no.0]).await.map_err(db)?;
        transaction.commit().await.map_err(db)?;
        Ok(true)
    }

    async fn add_to_group(&self, group: RecordNo, device: DeviceNo, limits: GroupLimits, at: Timestamp) -> Result<()> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let no_group = || Error::new(Code::GroupNotFound, "The device group does not exist.");
        let sql = "SELECT app FROM device_group WHERE no = $1 AND rule IS NULL FOR UPDATE";
        let Some(found) = row(&transaction, sql, &[&group.0]).await.map_err(db)? else { return Err(no_group()) };
        let app: i64 = first(&found)?;
        let sql = "SELECT app FROM device WHERE no = $1 FOR NO KEY UPDATE";
        let Some(found) = row(&transaction, sql, &[&device.0]).await.map_err(db)? else {
            return Err(no_such_device());
        };
        if first::<i64>(&found)? != app {
            return Err(no_group());
        }
        let sql = "INSERT INTO group_member (grp, device, instance, app, added_at) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT DO NOTHING";
        let params: Params<'_> = &[&group.0, &device.0, &INSTANCE, &app, &at.0];
        if run(&transaction, sql, params).await.map_err(db)? == 0 {
            return Ok(());
        }
        let sql = "SELECT (SELECT count(*) FROM group_member WHERE grp = $1),
            (SELECT count(*) FROM group_member WHERE device = $2)";
        if let Some(found) = row(&transaction, sql, &[&group.0, &device.0]).await.map_err(db)? {
            let mut c = Columns::of(&found);
            if c.take::<i64>()? > i64::from(limits.devices) {
                return Err(grouping::group_full(limits.devices));
            }
            if c.take::<i64>()? > i64::from(limits.of_device) {
                return Err(grouping::too_many_groups_of_device(limits.of_device));
            }
        }
        transaction.commit().await.map_err(db)
    }

    async fn remove_from_group(&self, group: RecordNo, device: DeviceNo) -> Result<bool> {
        let client = self.client().await?;
        let sql = "DELETE FROM group_member WHERE grp = $1 AND device = $2";
        Ok(run(&client, sql, &[&group.0, &device.0]).await.map_err(db)? > 0)
    }

    async fn groups_of_devices(&self, devices: &[DeviceNo]) -> Result<Vec<(DeviceNo, Group)>> {
        let client = self.client().await?;
        let numbers: Vec<i64> = devices.iter().map(|d| d.0).collect();
        let sql = format!(
            "{SELECT} JOIN group_member m ON m.grp = g.no WHERE m.device = ANY ($1) ORDER BY m.device, g.no DESC"
        )
        .replacen("SELECT", "SELECT m.device,", 1);
        rows(&client, &sql, &[&numbers])
            .await
            .map_err(db)?
            .iter()
            .map(|row| {
                let mut c = Columns::of(row);
                Ok((DeviceNo(c.take()?), read(&mut c)?))
            })
            .collect()
    }
}
