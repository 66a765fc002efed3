//! Device policies and their bindings.

use async_trait::async_trait;
use causeway_model::policy::{BoundTarget, DevicePolicy, PolicyFilter, PolicyTarget, TargetKind};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{AppId, Code, DeviceNo, Error, RecordNo, Result, Timestamp};
use causeway_platform::policy::{PoliciesInForce, PolicyStore};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use super::app::{in_spaces, require_app};
use super::error::Outcome;
use super::{INSTANCE, SqliteStore};
use crate::rows;

macro_rules! policy_sql {
    ($tail:literal) => {
        concat!(
            "SELECT p.no, a.id, p.id, p.name, p.statements, p.created_at, p.updated_at \
             FROM device_policy p JOIN app a ON a.no = p.app ",
            $tail
        )
    };
}

fn read_policy(row: &Row<'_>) -> Outcome<DevicePolicy> {
    Ok(DevicePolicy {
        no: RecordNo(row.get(0)?),
        app_id: AppId::trusted(row.get::<_, String>(1)?),
        id: row.get(2)?,
        name: row.get(3)?,
        statements: rows::statements(row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?)?,
        created_at: Timestamp(row.get(5)?),
        updated_at: Timestamp(row.get(6)?),
    })
}

fn read_policies(conn: &Connection, sql: &str, params: impl rusqlite::Params) -> Outcome<Vec<DevicePolicy>> {
    conn.prepare_cached(sql)?.query_and_then(params, read_policy)?.collect()
}

/// Gives a new space the policy that it is born with.
pub(super) fn insert_default(conn: &Connection, app: i64, at: Timestamp) -> Outcome<()> {
    conn.prepare_cached(
        "INSERT INTO device_policy (instance, app, id, name, statements, is_default, created_at, updated_at) \
         VALUES (?1, ?2, lower(hex(randomblob(12))), ?3, ?4, 1, ?5, ?5)",
    )?
    .execute(params![INSTANCE, app, causeway_model::policy::DEFAULT_NAME, rows::DEFAULT_STATEMENTS, at.0])?;
    let policy = conn.last_insert_rowid();
    conn.prepare_cached("INSERT INTO device_policy_target (instance, app, policy, space) VALUES (?1, ?2, ?3, ?2)")?
        .execute([INSTANCE, app, policy])?;
    Ok(())
}

/// The column of a kind of target.
fn column(target: &PolicyTarget) -> &'static str {
    match target {
        PolicyTarget::Device(_) => "device",
        PolicyTarget::Product(_) => "product",
        PolicyTarget::App(_) => "space",
    }
}

/// The number of a target that is there.
fn number(conn: &Connection, target: &PolicyTarget) -> Outcome<Result<i64>> {
    let (sql, no, code) = match target {
        PolicyTarget::Device(no) => ("SELECT 1 FROM device WHERE no = ?1", no.0, Code::DeviceNotFound),
        PolicyTarget::Product(no) => ("SELECT 1 FROM product WHERE no = ?1", no.0, Code::ProductNotFound),
        PolicyTarget::App(id) => return Ok(Ok(require_app(conn, id)?)),
    };
    if conn.prepare_cached(sql)?.exists([no])? {
        return Ok(Ok(no));
    }
    Ok(Err(Error::new(code, "What the policy was to be bound to is gone.")))
}

#[async_trait]
impl PolicyStore for SqliteStore {
    async fn insert_policy(&self, mut policy: DevicePolicy, limit: u32) -> Result<DevicePolicy> {
        self.write(move |tx| {
            let app = require_app(tx.conn, &policy.app_id)?;
            let count: i64 = tx
                .conn
                .prepare_cached("SELECT count(*) FROM device_policy WHERE instance = ?1 AND is_default = 0")?
                .query_row([INSTANCE], |row| row.get(0))?;
            if count >= i64::from(limit) {
                return Err(rows::too_many_policies(limit).into());
            }
            tx.conn
                .prepare_cached(
                    "INSERT INTO device_policy (instance, app, id, name, statements, is_default, created_at, updated_at) \
                     VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7)",
                )?
                .execute(params![
                    INSTANCE,
                    app,
                    policy.id,
                    policy.name,
                    rows::statements_text(&policy.statements)?,
                    policy.created_at.0,
                    policy.updated_at.0,
                ])?;
            policy.no = RecordNo(tx.conn.last_insert_rowid());
            Ok(policy)
        })
        .await
    }

    async fn policy(&self, id: &str) -> Result<Option<DevicePolicy>> {
        let id = id.to_owned();
        self.read(move |conn| {
            Ok(read_policies(conn, policy_sql!("WHERE p.instance = ?1 AND p.id = ?2"), params![INSTANCE, id])?.pop())
        })
        .await
    }

    async fn list_policies(&self, filter: &PolicyFilter, page: PageRequest) -> Result<Page<DevicePolicy>> {
        let mut clause = String::from("p.instance = ?");
        let mut values = vec![Value::from(INSTANCE)];
        in_spaces(&filter.spaces, "p.app", &mut clause, &mut values);
        if let Some(name) = &filter.name {
            clause.push_str(" AND instr(p.name, ?) > 0");
            values.push(Value::from(name.clone()));
        }
        self.read(move |conn| {
            let count: i64 = conn
                .prepare_cached(&format!("SELECT count(*) FROM device_policy p WHERE {clause}"))?
                .query_row(params_from_iter(&values), |row| row.get(0))?;
            values.extend([page.marker.0, i64::from(page.limit), i64::from(page.offset)].map(Value::from));
            let sql = format!(policy_sql!("WHERE {} AND p.no < ? ORDER BY p.no DESC LIMIT ? OFFSET ?"), clause);
            let items = read_policies(conn, &sql, params_from_iter(&values))?;
            let marker = items.last().map_or(page.marker, |p| p.no);
            Ok(Page { items, count: u64::try_from(count).unwrap_or(0), marker })
        })
        .await
    }

    async fn update_policy(&self, policy: &DevicePolicy) -> Result<bool> {
        let policy = policy.clone();
        self.write(move |tx| {
            let changed = tx
                .conn
                .prepare_cached("UPDATE device_policy SET name = ?2, statements = ?3, updated_at = ?4 WHERE no = ?1")?
                .execute(params![
                    policy.no.0,
                    policy.name,
                    rows::statements_text(&policy.statements)?,
                    policy.updated_at.0
                ])?;
            Ok(changed > 0)
        })
        .await
    }

    async fn delete_policy(&self, no: RecordNo) -> Result<bool> {
        self.write(
            move |tx| Ok(tx.conn.prepare_cached("DELETE FROM device_policy WHERE no = ?1")?.execute([no.0])? > 0),
        )
        .await
    }

    async fn bind_policy(&self, policy: RecordNo, targets: Vec<PolicyTarget>, limit: u32) -> Result<Vec<Result<()>>> {
        self.write(move |tx| {
            let app: Option<i64> = rusqlite::OptionalExtension::optional(
                tx.conn
                    .prepare_cached("SELECT app FROM device_policy WHERE no = ?1")?
                    .query_row([policy.0], |row| row.get(0)),
            )?;
            let Some(app) = app else {
                return Err(Error::new(Code::PolicyNotFound, "The device policy does not exist.").into());
            };
            let mut outcomes = Vec::with_capacity(targets.len());
            for target in &targets {
                let column = column(target);
                let no = match number(tx.conn, target)? {
                    Ok(no) => no,
                    Err(error) => {
                        outcomes.push(Err(error));
                        continue;
                    }
                };
                let bound: Vec<i64> = tx
                    .conn
                    .prepare_cached(&format!("SELECT policy FROM device_policy_target WHERE {column} = ?1"))?
                    .query_map([no], |row| row.get(0))?
                    .collect::<Result<_, _>>()?;
                if bound.contains(&policy.0) {
                    outcomes.push(Ok(()));
                    continue;
                }
                if bound.len() >= limit as usize {
                    outcomes.push(Err(rows::policy_target_limit(limit)));
                    continue;
                }
                tx.conn
                    .prepare_cached(&format!(
                        "INSERT INTO device_policy_target (instance, app, policy, {column}) VALUES (?1, ?2, ?3, ?4)"
                    ))?
                    .execute([INSTANCE, app, policy.0, no])?;
                outcomes.push(Ok(()));
            }
            Ok(outcomes)
        })
        .await
    }

    async fn unbind_policy(&self, policy: RecordNo, targets: Vec<PolicyTarget>) -> Result<Vec<bool>> {
        self.write(move |tx| {
            let mut outcomes = Vec::with_capacity(targets.len());
            for target in &targets {
                let removed = match number(tx.conn, target)? {
                    Ok(no) => tx
                        .conn
                        .prepare_cached(&format!(
                            "DELETE FROM device_policy_target WHERE policy = ?1 AND {} = ?2",
                            column(target)
                        ))?
                        .execute([policy.0, no])?,
                    Err(_) => 0,
                };
                outcomes.push(removed > 0);
            }
            Ok(outcomes)
        })
        .await
    }

    async fn policy_targets(
        &self,
        policy: RecordNo,
        kind: Option<TargetKind>,
        page: PageRequest,
    ) -> Result<Page<BoundTarget>> {
        self.read(move |conn| {
            let only = match kind {
                None => "",
                Some(TargetKind::Device) => " AND t.device IS NOT NULL",
                Some(TargetKind::Product) => " AND t.product IS NOT NULL",
                Some(TargetKind::App) => " AND t.space IS NOT NULL",
            };
            let count: i64 = conn
                .prepare_cached(&format!("SELECT count(*) FROM device_policy_target t WHERE t.policy = ?1{only}"))?
                .query_row([policy.0], |row| row.get(0))?;
            let sql = format!(
                "SELECT t.no, CASE WHEN t.device IS NOT NULL THEN 'device' WHEN t.product IS NOT NULL THEN 'product' \
                 ELSE 'app' END, coalesce(d.id, p.id, a.id) FROM device_policy_target t \
                 LEFT JOIN device d ON d.no = t.device LEFT JOIN product p ON p.no = t.product \
                 LEFT JOIN app a ON a.no = t.space WHERE t.policy = ?1{only} AND t.no < ?2 \
                 ORDER BY t.no DESC LIMIT ?3 OFFSET ?4"
            );
            let items = conn
                .prepare_cached(&sql)?
                .query_and_then(
                    [policy.0, page.marker.0, i64::from(page.limit), i64::from(page.offset)],
                    |row| -> Outcome<BoundTarget> {
                        Ok(BoundTarget {
                            no: RecordNo(row.get(0)?),
                            kind: rows::target_kind(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?,
                            id: row.get(2)?,
                        })
                    },
                )?
                .collect::<Outcome<Vec<_>>>()?;
            let marker = items.last().map_or(page.marker, |t| t.no);
            Ok(Page { items, count: u64::try_from(count).unwrap_or(0), marker })
        })
        .await
    }

    async fn policies_in_force(&self) -> Result<PoliciesInForce> {
        self.read(|conn| {
            let policies = read_policies(conn, policy_sql!("WHERE p.instance = ?1 ORDER BY p.no"), [INSTANCE])?;
            let mut products = conn.prepare_cached(
                "SELECT policy, product FROM device_policy_target WHERE instance = ?1 AND product IS NOT NULL",
            )?;
            let products = products.query_map([INSTANCE], |row| Ok((RecordNo(row.get(0)?), RecordNo(row.get(1)?))))?;
            let mut apps = conn.prepare_cached(
                "SELECT t.policy, a.id FROM device_policy_target t JOIN app a ON a.no = t.space WHERE t.instance = ?1",
            )?;
            let apps = apps
                .query_map([INSTANCE], |row| Ok((RecordNo(row.get(0)?), AppId::trusted(row.get::<_, String>(1)?))))?;
            let has_devices = conn
                .prepare_cached("SELECT 1 FROM device_policy_target WHERE device IS NOT NULL LIMIT 1")?
                .exists([])?;
            Ok(PoliciesInForce {
                policies,
                products: products.collect::<Result<_, _>>()?,
                apps: apps.collect::<Result<_, _>>()?,
                has_devices,
            })
        })
        .await
    }

    async fn policies_of_device(&self, device: DeviceNo) -> Result<Vec<RecordNo>> {
        self.read(move |conn| {
            let mut statement =
                conn.prepare_cached("SELECT policy FROM device_policy_target WHERE device = ?1 ORDER BY policy")?;
            let found = statement.query_map([device.0], |row| Ok(RecordNo(row.get(0)?)))?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }
}
