//! Device policies and their bindings.

use async_trait::async_trait;
use causeway_model::policy::{BoundTarget, DevicePolicy, PolicyFilter, PolicyTarget, TargetKind};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{AppId, Code, DeviceNo, Error, RecordNo, Result, Timestamp};
use causeway_platform::policy::{PoliciesInForce, PolicyStore};
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::connection::{Columns, Params, db, first, row, rows, run};
use super::{INSTANCE, PostgresStore};
use crate::rows as words;

/// Reads what [`policy`] turns into a policy; a condition follows.
const SELECT: &str = "SELECT p.no, a.id, p.id, p.name, p.statements, p.created_at, p.updated_at
    FROM device_policy p JOIN app a ON a.no = p.app";

/// Parameters 1 to 3 of every list: instance, space, name.
const MATCHES: &str =
    "p.instance = $1 AND ($2::text[] IS NULL OR a.id = ANY ($2)) AND ($3::text IS NULL OR strpos(p.name, $3) > 0)";

fn policy(row: &Row) -> Result<DevicePolicy> {
    let mut c = Columns::of(row);
    Ok(DevicePolicy {
        no: RecordNo(c.take()?),
        app_id: AppId::trusted(c.take::<String>()?),
        id: c.take()?,
        name: c.take()?,
        statements: words::statements(c.take()?)?,
        created_at: Timestamp(c.take()?),
        updated_at: Timestamp(c.take()?),
    })
}

/// Gives a new space the policy that it is born with.
pub(super) async fn insert_default<C: GenericClient>(client: &C, app: i64, at: Timestamp) -> Result<()> {
    let sql = "WITH made AS (
            INSERT INTO device_policy (instance, app, id, name, statements, is_default, created_at, updated_at)
            VALUES ($1, $2, left(replace(gen_random_uuid()::text, '-', ''), 24), $3, $4, true, $5, $5)
            RETURNING instance, app, no)
        INSERT INTO device_policy_target (instance, app, policy, space) SELECT instance, app, no, app FROM made";
    let params: Params<'_> =
        &[&INSTANCE, &app, &causeway_model::policy::DEFAULT_NAME, &words::DEFAULT_STATEMENTS, &at.0];
    run(client, sql, params).await.map_err(db)?;
    Ok(())
}

/// The number of a target that is there, held until the end of the transaction, or the code for one that is gone; and the
/// column that names it.
async fn number<C: GenericClient>(client: &C, target: &PolicyTarget) -> Result<(Result<i64>, &'static str)> {
    let (found, column, code) = match target {
        PolicyTarget::Device(no) => {
            let sql = "SELECT no FROM device WHERE no = $1 FOR NO KEY UPDATE";
            (row(client, sql, &[&no.0]).await, "device", Code::DeviceNotFound)
        }
        PolicyTarget::Product(no) => {
            let sql = "SELECT no FROM product WHERE no = $1 FOR NO KEY UPDATE";
            (row(client, sql, &[&no.0]).await, "product", Code::ProductNotFound)
        }
        PolicyTarget::App(id) => {
            let sql = "SELECT no FROM app WHERE instance = $1 AND id = $2 FOR NO KEY UPDATE";
            (row(client, sql, &[&INSTANCE, &id.as_str()]).await, "space", Code::AppNotFound)
        }
    };
    let no = match found.map_err(db)? {
        Some(found) => Ok(first(&found)?),
        None => Err(Error::new(code, "What the policy was to be bound to is gone.")),
    };
    Ok((no, column))
}

/// Binds to one target.
async fn bind<C: GenericClient>(
    client: &C,
    policy: RecordNo,
    app: i64,
    target: &PolicyTarget,
    limit: u32,
) -> Result<Result<()>> {
    let (no, column) = number(client, target).await?;
    let no = match no {
        Ok(no) => no,
        Err(error) => return Ok(Err(error)),
    };
    let sql = format!("SELECT policy FROM device_policy_target WHERE {column} = $1");
    let bound: Vec<i64> = rows(client, &sql, &[&no]).await.map_err(db)?.iter().map(first).collect::<Result<_>>()?;
    if bound.contains(&policy.0) {
        return Ok(Ok(()));
    }
    if bound.len() >= limit as usize {
        return Ok(Err(words::policy_target_limit(limit)));
    }
    let sql = format!("INSERT INTO device_policy_target (instance, app, policy, {column}) VALUES ($1, $2, $3, $4)");
    run(client, &sql, &[&INSTANCE, &app, &policy.0, &no]).await.map_err(db)?;
    Ok(Ok(()))
}

#[async_trait]
impl PolicyStore for PostgresStore {
    async fn insert_policy(&self, new: DevicePolicy, limit: u32) -> Result<DevicePolicy> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // Two policies made at once must not pass the limit together. Reading goes on.
        run(&transaction, "LOCK TABLE device_policy IN SHARE ROW EXCLUSIVE MODE", &[]).await.map_err(db)?;
        let sql = "SELECT count(*) FROM device_policy WHERE instance = $1 AND NOT is_default";
        let count = row(&transaction, sql, &[&INSTANCE]).await.map_err(db)?;
        if count.as_ref().map_or(Ok(0), first::<i64>)? >= i64::from(limit) {
            return Err(words::too_many_policies(limit));
        }
        let sql = "INSERT INTO device_policy (instance, app, id, name, statements, is_default, created_at, updated_at)
            SELECT instance, no, $3, $4, $5, false, $6, $7 FROM app WHERE instance = $1 AND id = $2 FOR KEY SHARE
            RETURNING no";
        let statements = words::statements_text(&new.statements)?;
        let params: Params<'_> =
            &[&INSTANCE, &new.app_id.as_str(), &new.id, &new.name, &statements, &new.created_at.0, &new.updated_at.0];
        let Some(made) = row(&transaction, sql, params).await.map_err(db)? else {
            return Err(Error::new(Code::AppNotFound, "No such resource space."));
        };
        let no = RecordNo(first(&made)?);
        transaction.commit().await.map_err(db)?;
        Ok(DevicePolicy { no, ..new })
    }

    async fn policy(&self, id: &str) -> Result<Option<DevicePolicy>> {
        let client = self.client().await?;
        let sql = format!("{SELECT} WHERE p.instance = $1 AND p.id = $2");
        row(&client, &sql, &[&INSTANCE, &id]).await.map_err(db)?.as_ref().map(policy).transpose()
    }

    async fn list_policies(&self, filter: &PolicyFilter, page: PageRequest) -> Result<Page<DevicePolicy>> {
        let client = self.client().await?;
        let spaces = filter.spaces.ids();
        let (marker, offset, limit) = (page.marker.0, i64::from(page.offset), i64::from(page.limit));
        let list: Params<'_> = &[&INSTANCE, &spaces, &filter.name, &marker, &offset, &limit];
        let sql = format!("{SELECT} WHERE {MATCHES} AND p.no < $4 ORDER BY p.no DESC OFFSET $5 LIMIT $6");
        let found = rows(&client, &sql, list).await.map_err(db)?;
        let items: Vec<DevicePolicy> = found.iter().map(policy).collect::<Result<_>>()?;
        let sql = format!("SELECT count(*) FROM device_policy p JOIN app a ON a.no = p.app WHERE {MATCHES}");
        let count = row(&client, &sql, &list[..3]).await.map_err(db)?;
        Ok(Page {
            marker: items.last().map_or(page.marker, |p| p.no),
            count: count.as_ref().map_or(Ok(0), first::<i64>)?.unsigned_abs(),
            items,
        })
    }

    async fn update_policy(&self, policy: &DevicePolicy) -> Result<bool> {
        let client = self.client().await?;
        let sql = "UPDATE device_policy SET name = $2, statements = $3, updated_at = $4 WHERE no = $1";
        let statements = words::statements_text(&policy.statements)?;
        let params: Params<'_> = &[&policy.no.0, &policy.name, &statements, &policy.updated_at.0];
        Ok(run(&client, sql, params).await.map_err(db)? > 0)
    }

    async fn delete_policy(&self, no: RecordNo) -> Result<bool> {
        let client = self.client().await?;
        Ok(run(&client, "DELETE FROM device_policy WHERE no = $1", &[&no.0]).await.map_err(db)? > 0)
    }

    async fn bind_policy(&self, policy: RecordNo, targets: Vec<PolicyTarget>, limit: u32) -> Result<Vec<Result<()>>> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // One after another: bindings are rare, and two calls with the same targets must not wait for each other.
        let sql = "SELECT app FROM device_policy WHERE no = $1 FOR KEY SHARE";
        run(&transaction, "LOCK TABLE device_policy_target IN SHARE ROW EXCLUSIVE MODE", &[]).await.map_err(db)?;
        let Some(found) = row(&transaction, sql, &[&policy.0]).await.map_err(db)? else {
            return Err(Error::new(Code::PolicyNotFound, "The device policy does not exist."));
        };
        let app: i64 = first(&found)?;
        let mut outcomes = Vec::with_capacity(targets.len());
        for target in &targets {
            outcomes.push(bind(&transaction, policy, app, target, limit).await?);
        }
        transaction.commit().await.map_err(db)?;
        Ok(outcomes)
    }

    async fn unbind_policy(&self, policy: RecordNo, targets: Vec<PolicyTarget>) -> Result<Vec<bool>> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        run(&transaction, "LOCK TABLE device_policy_target IN SHARE ROW EXCLUSIVE MODE", &[]).await.map_err(db)?;
        let mut outcomes = Vec::with_capacity(targets.len());
        for target in &targets {
            let (no, column) = number(&transaction, target).await?;
            let sql = format!("DELETE FROM device_policy_target WHERE policy = $1 AND {column} = $2");
            outcomes.push(match no {
                Ok(no) => run(&transaction, &sql, &[&policy.0, &no]).await.map_err(db)? > 0,
                Err(_) => false,
            });
        }
        transaction.commit().await.map_err(db)?;
        Ok(outcomes)
    }

    async fn policy_targets(
        &self,
        policy: RecordNo,
        kind: Option<TargetKind>,
        page: PageRequest,
    ) -> Result<Page<BoundTarget>> {
        let client = self.client().await?;
        let only = match kind {
            None => "",
            Some(TargetKind::Device) => " AND t.device IS NOT NULL",
            Some(TargetKind::Product) => " AND t.product IS NOT NULL",
            Some(TargetKind::App) => " AND t.space IS NOT NULL",
        };
        let sql = format!(
            "SELECT t.no, CASE WHEN t.device IS NOT NULL THEN 'device' WHEN t.product IS NOT NULL THEN 'product'
                ELSE 'app' END, coalesce(d.id, p.id, a.id)
            FROM device_policy_target t LEFT JOIN device d ON d.no = t.device
                LEFT JOIN product p ON p.no = t.product LEFT JOIN app a ON a.no = t.space
            WHERE t.policy = $1{only} AND t.no < $2 ORDER BY t.no DESC OFFSET $3 LIMIT $4"
        );
        let (marker, offset, limit) = (page.marker.0, i64::from(page.offset), i64::from(page.limit));
        let found = rows(&client, &sql, &[&policy.0, &marker, &offset, &limit]).await.map_err(db)?;
        let items = found
            .iter()
            .map(|row| {
                let mut c = Columns::of(row);
                Ok(BoundTarget { no: RecordNo(c.take()?), kind: words::target_kind(c.take()?)?, id: c.take()? })
            })
            .collect::<Result<Vec<_>>>()?;
        let sql = format!("SELECT count(*) FROM device_policy_target t WHERE t.policy = $1{only}");
        let count = row(&client, &sql, &[&policy.0]).await.map_err(db)?;
        Ok(Page {
            marker: items.last().map_or(page.marker, |t| t.no),
            count: count.as_ref().map_or(Ok(0), first::<i64>)?.unsigned_abs(),
            items,
        })
    }

    async fn policies_in_force(&self) -> Result<PoliciesInForce> {
        let client = self.client().await?;
        let sql = format!("{SELECT} WHERE p.instance = $1 ORDER BY p.no");
        let policies = rows(&client, &sql, &[&INSTANCE]).await.map_err(db)?;
        let sql = "SELECT policy, product FROM device_policy_target WHERE instance = $1 AND product IS NOT NULL";
        let products = rows(&client, sql, &[&INSTANCE]).await.map_err(db)?;
        let sql =
            "SELECT t.policy, a.id FROM device_policy_target t JOIN app a ON a.no = t.space WHERE t.instance = $1";
        let apps = rows(&client, sql, &[&INSTANCE]).await.map_err(db)?;
        let sql = "SELECT 1 FROM device_policy_target WHERE device IS NOT NULL LIMIT 1";
        let has_devices = row(&client, sql, &[]).await.map_err(db)?.is_some();
        let pair = |row: &Row| {
            let mut c = Columns::of(row);
            Ok((RecordNo(c.take()?), RecordNo(c.take()?)))
        };
        let of_app = |row: &Row| {
            let mut c = Columns::of(row);
            Ok((RecordNo(c.take()?), AppId::trusted(c.take::<String>()?)))
        };
        Ok(PoliciesInForce {
            policies: policies.iter().map(policy).collect::<Result<_>>()?,
            products: products.iter().map(pair).collect::<Result<_>>()?,
            apps: apps.iter().map(of_app).collect::<Result<_>>()?,
            has_devices,
        })
    }

    async fn policies_of_device(&self, device: DeviceNo) -> Result<Vec<RecordNo>> {
        let client = self.client().await?;
        let sql = "SELECT policy FROM device_policy_target WHERE device = $1 ORDER BY policy";
        let found = rows(&client, sql, &[&device.0]).await.map_err(db)?;
        found.iter().map(|row| Ok(RecordNo(first(row)?))).collect()
    }
}
