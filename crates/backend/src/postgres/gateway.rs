//! Lists of devices behind gateways. [`placed`] and [`removed`] keep them; whoever puts a device behind a gateway, or
//! takes it away, calls them in the same transaction. The row of `gateway_list` is the lock under which a list changes,
//! so that versions become visible in their order; several are locked in the order of the gateways' numbers.

use async_trait::async_trait;
use causeway_model::registry::{Device, Page, PageRequest};
use causeway_model::service_event::FoundDevice;
use causeway_model::{DeviceId, DeviceNo, Error, NodeId, RecordNo, Result, Timestamp};
use causeway_platform::gateway::{ChildChange, ChildList, Found, GatewayStore, Waiting};
use deadpool_postgres::{GenericClient, Transaction};

use super::connection::{Answer, Columns, db, first, row, rows, run};
use super::device::{SELECT, device};
use super::{INSTANCE, PostgresStore, no_such_device};

/// The devices of `$1` and all behind them, each with the gateway at the top of its chain, if there is one.
const TOPS: &str = "WITH RECURSIVE moved (no) AS (
        SELECT unnest($1::bigint[]) UNION SELECT d.no FROM moved m JOIN device d ON d.gateway = m.no),
    up (no, at, depth) AS (
        SELECT d.no, d.gateway, 1 FROM moved m JOIN device d ON d.no = m.no WHERE d.gateway IS NOT NULL
        UNION ALL SELECT u.no, d.gateway, u.depth + 1 FROM up u JOIN device d ON d.no = u.at
            WHERE d.gateway IS NOT NULL AND u.depth < 32),
    top (no, gateway) AS (SELECT u.no, u.at FROM up u JOIN device t ON t.no = u.at WHERE t.gateway IS NULL)
    SELECT m.no, t.gateway FROM moved m LEFT JOIN top t ON t.no = m.no ORDER BY t.gateway, m.no";

/// Raises the version of a list by `$2`, and locks it; nothing when the gateway is gone.
const RAISE: &str = "INSERT INTO gateway_list (gateway, instance, app, version, floor)
    SELECT no, instance, app, $2, 0 FROM device WHERE no = $1
    ON CONFLICT (gateway) DO UPDATE SET version = gateway_list.version + $2 RETURNING version";

const LIST: &str = "INSERT INTO gateway_child (gateway, version, instance, is_deleted, device_id, node_id, parent_id)
    SELECT $1, $2 + n.rank, d.instance, false, d.id, d.node_id, g.id
    FROM unnest($3::bigint[]) WITH ORDINALITY n (no, rank) JOIN device d ON d.no = n.no JOIN device g ON g.no = d.gateway
    ON CONFLICT (device_id, instance, gateway) DO UPDATE
        SET version = excluded.version, is_deleted = false, node_id = excluded.node_id, parent_id = excluded.parent_id";

async fn raise(transaction: &Transaction<'_>, gateway: i64, by: usize) -> Answer<Option<i64>> {
    let by = i64::try_from(by).unwrap_or(0);
    let raised = row(transaction, RAISE, &[&gateway, &by]).await?;
    raised.map(|row| row.try_get(0)).transpose()
}

/// Devices were put behind gateways, or moved, or became direct ones: they and all devices behind them are listed where
/// they are now, and gone from where they were.
pub(super) async fn placed(transaction: &Transaction<'_>, devices: &[i64]) -> Answer<()> {
    if devices.is_empty() {
        return Ok(());
    }
    let mut lists: Vec<(i64, Vec<i64>)> = Vec::new();
    let mut moved = Vec::new();
    let mut now = Vec::new();
    for row in &rows(transaction, TOPS, &[&devices]).await? {
        let (no, gateway): (i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
        moved.push(no);
        now.push(gateway.unwrap_or(0));
        let Some(gateway) = gateway else { continue };
        match lists.last_mut() {
            Some((last, list)) if *last == gateway => list.push(no),
            _ => lists.push((gateway, vec![no])),
        }
    }
    mark_gone(transaction, &moved, &now).await?;
    for (gateway, list) in lists {
        if let Some(version) = raise(transaction, gateway, list.len()).await? {
            let before = version - i64::try_from(list.len()).unwrap_or(0);
            run(transaction, LIST, &[&gateway, &before, &list]).await?;
        }
    }
    Ok(())
}

/// Devices are about to be deleted.
pub(super) async fn removed(transaction: &Transaction<'_>, devices: &[i64]) -> Answer<()> {
    mark_gone(transaction, devices, &vec![0; devices.len()]).await
}

/// Marks devices as gone in all lists but those where they are now.
async fn mark_gone(transaction: &Transaction<'_>, devices: &[i64], now: &[i64]) -> Answer<()> {
    let sql = "SELECT c.gateway, c.version FROM unnest($1::bigint[], $2::bigint[]) n (no, now)
        JOIN device d ON d.no = n.no
        JOIN gateway_child c ON c.device_id = d.id AND c.instance = d.instance AND NOT c.is_deleted
        WHERE c.gateway <> n.now ORDER BY c.gateway, c.version";
    for row in &rows(transaction, sql, &[&devices, &now]).await? {
        let (gateway, version): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        if let Some(next) = raise(transaction, gateway, 1).await? {
            let sql = "UPDATE gateway_child SET version = $3, is_deleted = true WHERE gateway = $1 AND version = $2";
            run(transaction, sql, &[&gateway, &version, &next]).await?;
        }
    }
    Ok(())
}

async fn devices<C: GenericClient>(
    client: &C,
    condition: &str,
    key: &(dyn tokio_postgres::types::ToSql + Sync),
) -> Result<Vec<Device>> {
    let sql = format!("{SELECT} WHERE d.instance = $1 AND {condition} ORDER BY d.no");
    rows(client, &sql, &[&INSTANCE, key]).await.map_err(db)?.iter().map(device).collect()
}

#[async_trait]
impl GatewayStore for PostgresStore {
    async fn child_list(&self, gateway: DeviceNo) -> Result<ChildList> {
        let client = self.client().await?;
        let sql = "SELECT version, floor FROM gateway_list WHERE gateway = $1";
        let Some(row) = row(&client, sql, &[&gateway.0]).await.map_err(db)? else { return Ok(ChildList::default()) };
        let mut c = Columns::of(&row);
        Ok(ChildList { version: c.take()?, floor: c.take()? })
    }

    async fn list_versions_of(&self, devices: &[DeviceId]) -> Result<Vec<(DeviceId, i64)>> {
        let client = self.client().await?;
        let ids: Vec<&str> = devices.iter().map(DeviceId::as_str).collect();
        let sql = "SELECT g.id, min(c.version) FROM gateway_child c JOIN device g ON g.no = c.gateway
            WHERE c.instance = $1 AND c.device_id = ANY ($2) GROUP BY g.id";
        let found = rows(&client, sql, &[&INSTANCE, &ids]).await.map_err(db)?;
        found
            .iter()
            .map(|row| {
                let mut c = Columns::of(row);
                Ok((DeviceId::trusted(c.take::<String>()?), c.take()?))
            })
            .collect()
    }

    async fn child_changes(&self, gateway: DeviceNo, after: i64, limit: u32) -> Result<Vec<ChildChange>> {
        let client = self.client().await?;
        let sql = "SELECT version, is_deleted, device_id, node_id, parent_id FROM gateway_child
            WHERE gateway = $1 AND version > $2 ORDER BY version LIMIT $3";
        let found = rows(&client, sql, &[&gateway.0, &after, &i64::from(limit)]).await.map_err(db)?;
        let mut changes = Vec::with_capacity(found.len());
        let mut live = Vec::new();
        for row in &found {
            let mut c = Columns::of(row);
            let (version, is_deleted): (i64, bool) = (c.take()?, c.take()?);
            let device_id = c.take::<String>()?;
            if !is_deleted {
                live.push(device_id.clone());
            }
            let device_id = DeviceId::trusted(device_id);
            let node_id = NodeId::trusted(c.take::<String>()?);
            let parent_id = DeviceId::trusted(c.take::<String>()?);
            changes.push(ChildChange { version, device_id, node_id, parent_id, device: None });
        }
        let mut live = devices(&client, "d.id = ANY ($2)", &live).await?;
        for change in &mut changes {
            if let Some(at) = live.iter().position(|d| d.id == change.device_id) {
                change.device = Some(live.swap_remove(at));
            }
        }
        Ok(changes)
    }

    async fn forget_deletions(&self, gateway: &DeviceId, keep: u32) -> Result<()> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let sql = "SELECT l.gateway FROM gateway_list l JOIN device d ON d.no = l.gateway
            WHERE d.instance = $1 AND d.id = $2 FOR UPDATE OF l";
        let Some(found) = row(&transaction, sql, &[&INSTANCE, &gateway.as_str()]).await.map_err(db)? else {
            return Ok(());
        };
        let gateway: i64 = Columns::of(&found).take()?;
        let sql = "SELECT version FROM gateway_child WHERE gateway = $1 AND is_deleted
            ORDER BY version DESC LIMIT 1 OFFSET $2";
        let Some(found) = row(&transaction, sql, &[&gateway, &i64::from(keep)]).await.map_err(db)? else {
            return Ok(());
        };
        let version: i64 = Columns::of(&found).take()?;
        for sql in [
            "DELETE FROM gateway_child WHERE gateway = $1 AND version <= $2 AND is_deleted",
            "UPDATE gateway_list SET floor = $2 WHERE gateway = $1",
        ] {
            run(&transaction, sql, &[&gateway, &version]).await.map_err(db)?;
        }
        transaction.commit().await.map_err(db)
    }

    async fn raise_child_list(&self, gateway: DeviceNo, above: i64) -> Result<()> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let sql = "SELECT 1 FROM gateway_list WHERE gateway = $1 FOR UPDATE";
        if row(&transaction, sql, &[&gateway.0]).await.map_err(db)?.is_none() {
            return Ok(());
        }
        let sql = "DELETE FROM gateway_child WHERE gateway = $1 AND is_deleted";
        run(&transaction, sql, &[&gateway.0]).await.map_err(db)?;
        let sql = "UPDATE gateway_child c SET version = $2 + r.rank FROM (
                SELECT version, row_number() OVER (ORDER BY version) AS rank FROM gateway_child WHERE gateway = $1) r
            WHERE c.gateway = $1 AND c.version = r.version";
        let count = run(&transaction, sql, &[&gateway.0, &above]).await.map_err(db)?;
        let version = above + i64::try_from(count).unwrap_or(0);
        let sql = "UPDATE gateway_list SET version = $2, floor = $3 WHERE gateway = $1";
        run(&transaction, sql, &[&gateway.0, &version, &above]).await.map_err(db)?;
        transaction.commit().await.map_err(db)
    }

    async fn waiting(&self, device: DeviceNo) -> Result<Waiting> {
        let client = self.client().await?;
        let sql = "SELECT EXISTS (SELECT 1 FROM device WHERE gateway = $1),
            EXISTS (SELECT 1 FROM log_config WHERE device = $1 AND NOT is_sent),
            EXISTS (SELECT 1 FROM linkage_command WHERE device = $1)";
        let Some(row) = row(&client, sql, &[&device.0]).await.map_err(db)? else {
            return Err(Error::internal("a query without a table returned nothing"));
        };
        let mut c = Columns::of(&row);
        Ok(Waiting { has_children: c.take()?, has_log_config: c.take()?, has_commands: c.take()? })
    }

    async fn children_awaiting(&self, gateway: DeviceNo, after: DeviceNo, limit: u32) -> Result<Vec<Device>> {
        let client = self.client().await?;
        let sql = "WITH RECURSIVE below (no) AS (SELECT no FROM device WHERE gateway = $1
                UNION SELECT d.no FROM below b JOIN device d ON d.gateway = b.no)
            SELECT no FROM below WHERE no > $2 AND (
                EXISTS (SELECT 1 FROM message m WHERE m.device = below.no AND m.status = 'PENDING')
                OR EXISTS (SELECT 1 FROM shadow s WHERE s.device = below.no AND s.desired IS NOT NULL)
                OR EXISTS (SELECT 1 FROM linkage_command c WHERE c.device = below.no)
                OR EXISTS (SELECT 1 FROM log_config l WHERE l.device = below.no AND NOT l.is_sent))
            ORDER BY no LIMIT $3";
        let found = rows(&client, sql, &[&gateway.0, &after.0, &i64::from(limit)]).await.map_err(db)?;
        let numbers: Vec<i64> = found.iter().map(|row| Columns::of(row).take()).collect::<Result<_>>()?;
        devices(&client, "d.no = ANY ($2)", &numbers).await
    }

    async fn put_found(&self, gateway: DeviceNo, found: Vec<FoundDevice>, at: Timestamp, keep: u32) -> Result<()> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // One result at a time of a gateway, so that the limit holds.
        let sql = "SELECT app FROM device WHERE no = $1 FOR NO KEY UPDATE";
        let Some(row) = row(&transaction, sql, &[&gateway.0]).await.map_err(db)? else { return Err(no_such_device()) };
        let app: i64 = first(&row)?;
        for device in &found {
            run(
                &transaction,
                "DELETE FROM scan_result WHERE gateway = $1 AND node_id = $2",
                &[&gateway.0, &device.node_id],
            )
            .await
            .map_err(db)?;
            let sql = "INSERT INTO scan_result (instance, app, gateway, node_id, found_at, found)
                VALUES ($1, $2, $3, $4, $5, $6)";
            run(&transaction, sql, &[&INSTANCE, &app, &gateway.0, &device.node_id, &at.0, &device.fields])
                .await
                .map_err(db)?;
        }
        let sql = "DELETE FROM scan_result WHERE no IN (
            SELECT no FROM scan_result WHERE gateway = $1 ORDER BY no DESC OFFSET $2)";
        run(&transaction, sql, &[&gateway.0, &i64::from(keep)]).await.map_err(db)?;
        transaction.commit().await.map_err(db)
    }

    async fn found(&self, gateway: DeviceNo, page: PageRequest) -> Result<Page<Found>> {
        let client = self.client().await?;
        let counted =
            row(&client, "SELECT count(*) FROM scan_result WHERE gateway = $1", &[&gateway.0]).await.map_err(db)?;
        let count: i64 = counted.as_ref().map_or(Ok(0), first)?;
        let sql = "SELECT no, found, found_at FROM scan_result WHERE gateway = $1 AND no < $2
            ORDER BY no DESC LIMIT $3 OFFSET $4";
        let (limit, offset) = (i64::from(page.limit), i64::from(page.offset));
        let rows = rows(&client, sql, &[&gateway.0, &page.marker.0, &limit, &offset]).await.map_err(db)?;
        let found = |row| -> Result<Found> {
            let mut c = Columns::of(row);
            Ok(Found { no: RecordNo(c.take()?), fields: c.take()?, at: Timestamp(c.take()?) })
        };
        let items = rows.iter().map(found).collect::<Result<Vec<_>>>()?;
        let marker = items.last().map_or(page.marker, |found| found.no);
        Ok(Page { items, count: u64::try_from(count).unwrap_or(0), marker })
    }

    async fn forget_found(&self, gateway: DeviceNo) -> Result<()> {
        let client = self.client().await?;
        run(&client, "DELETE FROM scan_result WHERE gateway = $1", &[&gateway.0]).await.map_err(db).map(|_| ())
    }
}
