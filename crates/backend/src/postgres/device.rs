//! Devices and the tokens of the HTTPS door.

mod insert;

use async_trait::async_trait;
use causeway_model::registry::{Device, DeviceAuth, DeviceFilter, Page, PageRequest, Sealed};
use causeway_model::service_event::DeviceVersions;
use causeway_model::status::DeviceStatus;
use causeway_model::{AppId, Code, DeviceId, DeviceNo, Error, NodeId, ProductId, RecordNo, Result, Timestamp};
use causeway_platform::device::{CredentialSlot, DeviceStore, DeviceToken, InitialDesired};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use super::connection::{Columns, Params, db, db_or, first, row, rows, run};
use super::{INSTANCE, LockClass, PostgresStore, gateway, lock, no_such_device};
use crate::{grouping, rows as words};

/// Reads what [`device`] turns into a device; a condition follows.
pub(super) const SELECT: &str =
    "SELECT d.no, a.id, a.name, d.id, d.node_id, d.name, d.description, p.no, p.id, p.name, g.id,
        d.fw_version, d.sw_version, d.sdk_version, d.auth_type, d.secret, d.secondary_secret, d.fingerprint,
        d.secondary_fingerprint, d.secure_access, d.timeout_s, d.status, d.frozen, d.created_at, d.status_changed_at,
        d.activated_at, d.last_online_at, d.extension_info,
        (SELECT json_agg(json_build_array(t.key, t.value) ORDER BY t.key)::text FROM device_tag t WHERE t.device = d.no)
    FROM device d JOIN app a ON a.no = d.app JOIN product p ON p.no = d.product LEFT JOIN device g ON g.no = d.gateway";

pub(super) fn device(row: &Row) -> Result<Device> {
    let mut c = Columns::of(row);
    Ok(Device {
        no: DeviceNo(c.take()?),
        app_id: AppId::trusted(c.take::<String>()?),
        app_name: c.take()?,
        id: DeviceId::trusted(c.take::<String>()?),
        node_id: NodeId::trusted(c.take::<String>()?),
        name: c.take()?,
        description: c.take()?,
        product_no: RecordNo(c.take()?),
        product_id: ProductId::trusted(c.take::<String>()?),
        product_name: c.take()?,
        gateway_id: c.take::<Option<String>>()?.map(DeviceId::trusted),
        fw_version: c.take()?,
        sw_version: c.take()?,
        sdk_version: c.take()?,
        auth: DeviceAuth {
            auth_type: words::auth_type(c.take()?)?,
            secret: sealed(c.take()?),
            secondary_secret: sealed(c.take()?),
            fingerprint: c.take()?,
            secondary_fingerprint: c.take()?,
            secure_access: c.take()?,
            timeout_s: c.take()?,
        },
        connection: words::device_status(c.take()?)?,
        frozen: c.take()?,
        created_at: Timestamp(c.take()?),
        status_changed_at: c.take::<Option<i64>>()?.map(Timestamp),
        activated_at: c.take::<Option<i64>>()?.map(Timestamp),
        last_online_at: c.take::<Option<i64>>()?.map(Timestamp),
        extension_info: c.take()?,
        tags: grouping::tags(c.take()?)?,
    })
}

fn sealed(bytes: Option<Vec<u8>>) -> Option<Sealed> {
    bytes.map(|b| Sealed(b.into()))
}

/// Parameters 1 to 9 of every list: instance, space, product, gateway, cascade, node id, name, from, to. Absent ones fall
/// away when the statement is planned; arrays, unlike `IN`, then still lead into an index.
const MATCHES: &str = "d.instance = $1
    AND ($2::text[] IS NULL OR d.app = ANY (ARRAY (SELECT no FROM app WHERE instance = $1 AND id = ANY ($2))))
    AND ($3::text IS NULL OR d.product = ANY (ARRAY (SELECT no FROM product WHERE instance = $1 AND id = $3)))
    AND ($4::text IS NULL OR d.gateway = ANY (ARRAY (
        WITH RECURSIVE above (no) AS (
            SELECT no FROM device WHERE instance = $1 AND id = $4
            UNION SELECT c.no FROM device c JOIN above ON c.gateway = above.no WHERE $5)
        SELECT no FROM above)))
    AND ($6::text IS NULL OR d.node_id = $6)
    AND ($7::text IS NULL OR strpos(d.name, $7) > 0)
    AND ($8::bigint IS NULL OR d.created_at >= $8)
    AND ($9::bigint IS NULL OR d.created_at < $9)";

impl PostgresStore {
    async fn device_where(&self, condition: &str, params: Params<'_>) -> Result<Option<Device>> {
        let client = self.client().await?;
        let sql = format!("{SELECT} WHERE {condition}");
        row(&client, &sql, params).await.map_err(db)?.as_ref().map(device).transpose()
    }

    /// A page of the devices `d` that `condition` picks; `params` are its parameters.
    pub(super) async fn devices_page(
        &self,
        condition: &str,
        params: Params<'_>,
        page: PageRequest,
    ) -> Result<Page<Device>> {
        let mut client = self.client().await?;
        // Planned for the filter at hand: one plan for all filters would read every device for the rarest of them.
        let client = client.transaction().await.map_err(db)?;
        client.batch_execute("SET LOCAL plan_cache_mode = force_custom_plan").await.map_err(db)?;
        let n = params.len();
        let (marker, offset, limit) = (page.marker.0, i64::from(page.offset), i64::from(page.limit));
        let mut all = params.to_vec();
        all.extend([&marker as &(dyn ToSql + Sync), &offset, &limit]);
        let sql = format!(
            "{SELECT} WHERE {condition} AND d.no < ${} ORDER BY d.no DESC OFFSET ${} LIMIT ${}",
            n + 1,
            n + 2,
            n + 3
        );
        let found = rows(&client, &sql, &all).await.map_err(db)?;
        let sql = format!("SELECT count(*) FROM device d WHERE {condition}");
        let count = row(&client, &sql, params).await.map_err(db)?;
        client.commit().await.map_err(db)?;
        let items: Vec<Device> = found.iter().map(device).collect::<Result<_>>()?;
        Ok(Page {
            marker: items.last().map_or(page.marker, |d| d.no.into()),
            count: count.as_ref().map_or(Ok(0), first::<i64>)?.unsigned_abs(),
            items,
        })
    }

    /// Runs an update of one device; false when it is gone.
    async fn touch(&self, sql: &str, params: Params<'_>) -> Result<bool> {
        let client = self.client().await?;
        Ok(run(&client, sql, params).await.map_err(db)? > 0)
    }
}

#[async_trait]
impl DeviceStore for PostgresStore {
    async fn insert_devices(&self, devices: Vec<(Device, InitialDesired)>) -> Vec<Result<Device>> {
        insert::insert_devices(self, devices).await
    }

    async fn device(&self, id: &DeviceId) -> Result<Option<Device>> {
        self.device_where("d.instance = $1 AND d.id = $2", &[&INSTANCE, &id.as_str()]).await
    }

    async fn device_by_no(&self, no: DeviceNo) -> Result<Option<Device>> {
        self.device_where("d.no = $1", &[&no.0]).await
    }

    async fn list_devices(&self, filter: &DeviceFilter, page: PageRequest) -> Result<Page<Device>> {
        let spaces = filter.spaces.ids();
        let product = filter.product_id.as_ref().map(ProductId::as_str);
        let gateway = filter.gateway_id.as_ref().map(DeviceId::as_str);
        let (from, to) = (filter.from.map(|t| t.0), filter.to.map(|t| t.0));
        let params: Params<'_> =
            &[&INSTANCE, &spaces, &product, &gateway, &filter.cascade, &filter.node_id, &filter.name, &from, &to];
        self.devices_page(MATCHES, params, page).await
    }

    async fn update_device(&self, device: &Device) -> Result<bool> {
        let sql = "UPDATE device SET name = $2, description = $3, extension_info = $4, secure_access = $5,
            timeout_s = $6 WHERE no = $1";
        let params: Params<'_> = &[
            &device.no.0,
            &device.name,
            &device.description,
            &device.extension_info,
            &device.auth.secure_access,
            &device.auth.timeout_s,
        ];
        self.touch(sql, params).await
    }

    async fn set_versions(&self, no: DeviceNo, versions: &DeviceVersions<'static>) -> Result<bool> {
        let sql = "UPDATE device SET fw_version = coalesce($2, fw_version), sw_version = coalesce($3, sw_version),
            sdk_version = coalesce($4, sdk_version) WHERE no = $1";
        self.touch(sql, &[&no.0, &versions.firmware, &versions.software, &versions.sdk]).await
    }

    async fn delete_device(&self, no: DeviceNo) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        lock(&transaction, LockClass::Delete).await.map_err(db)?;
        let purge = "INSERT INTO history_purge (device, instance, app)
            SELECT no, instance, app FROM device WHERE no = $1 FOR UPDATE";
        if run(&transaction, purge, &[&no.0]).await.map_err(db)? == 0 {
            return Ok(false);
        }
        gateway::removed(&transaction, &[no.0]).await.map_err(db)?;
        // Its shadow, messages, session, retained messages and tokens go with it; devices behind it hold it.
        run(&transaction, "DELETE FROM device WHERE no = $1", &[&no.0]).await.map_err(|e| {
            let children = "The device has devices behind it. Delete them first.";
            db_or(e, &SqlState::FOREIGN_KEY_VIOLATION, Code::DeviceHasChildren, children)
        })?;
        transaction.commit().await.map_err(db)?;
        self.purge.notify_one();
        Ok(true)
    }

    async fn set_gateway(&self, no: DeviceNo, above: DeviceNo) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        // The key is locked too: whoever puts a device behind this one waits, or is waited for.
        let sql = "SELECT no FROM device WHERE no = $1 FOR UPDATE";
        if row(&transaction, sql, &[&no.0]).await.map_err(db)?.is_none() {
            return Ok(false);
        }
        let sql = "SELECT 1 FROM device WHERE gateway = $1 LIMIT 1";
        if row(&transaction, sql, &[&no.0]).await.map_err(db)?.is_some() {
            let children = "Operation not allowed. The device has devices behind it.";
            return Err(Error::new(Code::DeviceHasChildren, children));
        }
        run(&transaction, "UPDATE device SET gateway = $2 WHERE no = $1", &[&no.0, &above.0]).await.map_err(|e| {
            let gone = "Invalid input. The gateway does not exist.";
            db_or(e, &SqlState::FOREIGN_KEY_VIOLATION, Code::InvalidGateway, gone)
        })?;
        gateway::placed(&transaction, &[no.0]).await.map_err(db)?;
        transaction.commit().await.map_err(db)?;
        Ok(true)
    }

    async fn set_frozen(&self, no: DeviceNo, frozen: bool) -> Result<bool> {
        self.touch("UPDATE device SET frozen = $2 WHERE no = $1", &[&no.0, &frozen]).await
    }

    async fn set_secret(&self, no: DeviceNo, slot: CredentialSlot, secret: &Sealed) -> Result<bool> {
        let sql = match slot {
            CredentialSlot::Primary => "UPDATE device SET secret = $2 WHERE no = $1",
            CredentialSlot::Secondary => "UPDATE device SET secondary_secret = $2 WHERE no = $1",
        };
        self.touch(sql, &[&no.0, &&*secret.0]).await
    }

    async fn devices_with_status(&self, status: DeviceStatus) -> Result<Vec<(DeviceNo, DeviceId)>> {
        let client = self.client().await?;
        let sql = "SELECT no, id FROM device WHERE instance = $1 AND status = $2 AND gateway IS NULL ORDER BY no";
        let rows = rows(&client, sql, &[&INSTANCE, &status.as_str()]).await.map_err(db)?;
        rows.iter()
            .map(|row| {
                let mut c = Columns::of(row);
                Ok((DeviceNo(c.take()?), DeviceId::trusted(c.take::<String>()?)))
            })
            .collect()
    }

    async fn overdue_devices(&self, now: Timestamp, limit: u32) -> Result<Vec<Device>> {
        let client = self.client().await?;
        let sql = format!(
            "{SELECT} WHERE d.instance = $1 AND d.activated_at IS NULL AND d.gateway IS NULL AND d.timeout_s > 0
                AND d.timeout_s <= ($2 - d.created_at) / 1000
                AND NOT EXISTS (SELECT 1 FROM device c WHERE c.gateway = d.no)
            ORDER BY d.created_at LIMIT $3"
        );
        rows(&client, &sql, &[&INSTANCE, &now.0, &i64::from(limit)]).await.map_err(db)?.iter().map(device).collect()
    }

    async fn put_device_token(&self, token: &DeviceToken, others_end_at: Timestamp, now: Timestamp) -> Result<()> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let sql = "SELECT app FROM device WHERE no = $1 FOR NO KEY UPDATE";
        let Some(found) = row(&transaction, sql, &[&token.device.0]).await.map_err(db)? else {
            return Err(no_such_device());
        };
        let app: i64 = first(&found)?;
        // Rows that another node is dropping right now are skipped.
        let drop_ended = "DELETE FROM device_token WHERE hash IN (
            SELECT hash FROM device_token WHERE expires_at < $1 FOR UPDATE SKIP LOCKED)";
        run(&transaction, drop_ended, &[&now.0]).await.map_err(db)?;
        let end_others = "UPDATE device_token SET expires_at = $2 WHERE device = $1 AND expires_at > $2";
        run(&transaction, end_others, &[&token.device.0, &others_end_at.0]).await.map_err(db)?;
        let put = "INSERT INTO device_token (hash, instance, app, device, expires_at) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (hash) DO UPDATE SET expires_at = excluded.expires_at";
        let params: Params<'_> = &[&token.hash.as_slice(), &INSTANCE, &app, &token.device.0, &token.expires_at.0];
        run(&transaction, put, params).await.map_err(db)?;
        transaction.commit().await.map_err(db)
    }

    async fn device_token(&self, hash: &[u8; 32]) -> Result<Option<DeviceToken>> {
        let client = self.client().await?;
        let sql = "SELECT device, expires_at FROM device_token WHERE hash = $1";
        let Some(row) = row(&client, sql, &[&hash.as_slice()]).await.map_err(db)? else { return Ok(None) };
        let mut c = Columns::of(&row);
        Ok(Some(DeviceToken { hash: *hash, device: DeviceNo(c.take()?), expires_at: Timestamp(c.take()?) }))
    }
}
