//! Certificate authorities, certificates of devices, server certificates.

use async_trait::async_trait;
use causeway_model::certificate::{CaCertificate, DeviceCertificate, ServerCertificate};
use causeway_model::registry::{Device, Page, PageRequest, Sealed};
use causeway_model::{AppId, Code, DeviceNo, Error, RecordNo, Result, Spaces, Timestamp};
use causeway_platform::certificate::{CertificateStore, DeviceCertificateFilter};
use causeway_platform::device::CredentialSlot;
use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::connection::{Columns, Params, db, db_or, first, row, rows, run};
use super::{INSTANCE, PostgresStore};
use crate::certificate_words as words;

const CA: &str = "SELECT c.no, a.id, c.id, c.common_name, c.owner, c.fingerprint, c.content, c.verified, c.verify_code,
        c.provision_enable, t.id, c.ocsp_enable, c.ocsp_ssl_enable, c.ocsp_server_ca_id, c.created_at, c.effective_at,
        c.expires_at
    FROM ca_certificate c JOIN app a ON a.no = c.app LEFT JOIN provisioning_template t ON t.no = c.template";

const DEVICE: &str =
    "SELECT c.no, a.id, c.id, c.ca, c.common_name, c.sha256, c.sha1, c.content, c.active, c.created_at,
        c.expires_at
    FROM device_certificate c JOIN app a ON a.no = c.app";

const SERVER: &str = "SELECT c.no, c.id, c.common_name, c.owner, c.issuer, c.fingerprint, c.content, c.private_key,
        c.created_at, c.effective_at, c.expires_at
    FROM server_certificate c";

/// Whether a device of the space has the fingerprint of the certificate `c`. Two searches, so that each has its index.
const IN_USE: &str = "(EXISTS (SELECT 1 FROM device d WHERE d.fingerprint IN (c.sha256, c.sha1) AND d.app = c.app)
    OR EXISTS (SELECT 1 FROM device d WHERE d.secondary_fingerprint IN (c.sha256, c.sha1) AND d.app = c.app))";

fn ca(row: &Row) -> Result<CaCertificate> {
    let mut c = Columns::of(row);
    Ok(CaCertificate {
        no: RecordNo(c.take()?),
        app_id: AppId::trusted(c.take::<String>()?),
        id: c.take()?,
        common_name: c.take()?,
        owner: c.take()?,
        fingerprint: c.take()?,
        content: c.take()?,
        verified: c.take()?,
        verify_code: c.take()?,
        provision_enable: c.take()?,
        template_id: c.take()?,
        ocsp_enable: c.take()?,
        ocsp_ssl_enable: c.take()?,
        ocsp_server_ca_id: c.take()?,
        created_at: Timestamp(c.take()?),
        effective_at: Timestamp(c.take()?),
        expires_at: Timestamp(c.take()?),
    })
}

fn device_certificate(row: &Row) -> Result<DeviceCertificate> {
    let mut c = Columns::of(row);
    Ok(DeviceCertificate {
        no: RecordNo(c.take()?),
        app_id: AppId::trusted(c.take::<String>()?),
        id: c.take()?,
        ca: RecordNo(c.take()?),
        common_name: c.take()?,
        sha256: c.take()?,
        sha1: c.take()?,
        content: c.take()?,
        active: c.take()?,
        created_at: Timestamp(c.take()?),
        expires_at: Timestamp(c.take()?),
    })
}

fn server(row: &Row) -> Result<ServerCertificate> {
    let mut c = Columns::of(row);
    Ok(ServerCertificate {
        no: RecordNo(c.take()?),
        id: c.take()?,
        common_name: c.take()?,
        owner: c.take()?,
        issuer: c.take()?,
        fingerprint: c.take()?,
        content: c.take()?,
        private_key: Sealed(c.take::<Vec<u8>>()?.into()),
        created_at: Timestamp(c.take()?),
        effective_at: Timestamp(c.take()?),
        expires_at: Timestamp(c.take()?),
    })
}

/// A page of the records `c` of `table` that `condition` picks; `params` are its parameters.
pub(super) async fn page_of<T, C: GenericClient>(
    client: &C,
    (select, table): (&'static str, &'static str),
    condition: &'static str,
    params: Params<'_>,
    page: PageRequest,
    read: fn(&Row) -> Result<T>,
    no: fn(&T) -> RecordNo,
) -> Result<Page<T>> {
    let n = params.len();
    let (marker, offset, limit) = (page.marker.0, i64::from(page.offset), i64::from(page.limit));
    let mut all = params.to_vec();
    all.extend([&marker as &(dyn tokio_postgres::types::ToSql + Sync), &offset, &limit]);
    let sql = format!(
        "{select} WHERE {condition} AND c.no < ${} ORDER BY c.no DESC OFFSET ${} LIMIT ${}",
        n + 1,
        n + 2,
        n + 3
    );
    let found = rows(client, &sql, &all).await.map_err(db)?;
    let count = row(client, &format!("SELECT count(*) FROM {table} c WHERE {condition}"), params).await.map_err(db)?;
    let items: Vec<T> = found.iter().map(read).collect::<Result<_>>()?;
    Ok(Page {
        marker: items.last().map_or(page.marker, no),
        count: count.as_ref().map_or(Ok(0), first::<i64>)?.unsigned_abs(),
        items,
    })
}

/// Refuses what would be one record of `table` too many. No other one is added before the end of the transaction.
pub(super) async fn check_limit<C: GenericClient>(
    client: &C,
    table: &'static str,
    limit: u32,
    full: (Code, &str),
) -> Result<()> {
    run(client, &format!("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"), &[]).await.map_err(db)?;
    let sql = format!("SELECT count(*) FROM {table} WHERE instance = $1");
    let count = row(client, &sql, &[&INSTANCE]).await.map_err(db)?;
    if count.as_ref().map_or(Ok(0), first::<i64>)? < i64::from(limit) {
        return Ok(());
    }
    Err(words::limit_reached(limit, full))
}

fn returned_nothing() -> Error {
    Error::internal("an insert returned nothing")
}

#[async_trait]
impl CertificateStore for PostgresStore {
    async fn insert_ca(&self, mut new: CaCertificate, limit: u32) -> Result<CaCertificate> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        check_limit(&transaction, "ca_certificate", limit, words::TOO_MANY_CAS).await?;
        let sql = "INSERT INTO ca_certificate (instance, app, id, common_name, owner, fingerprint, content, verified,
                verify_code, provision_enable, ocsp_enable, ocsp_ssl_enable, ocsp_server_ca_id, created_at, effective_at,
                expires_at)
            SELECT $1, no, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16
            FROM app WHERE instance = $1 AND id = $2 RETURNING no";
        let params: Params<'_> = &[
            &INSTANCE,
            &new.app_id.as_str(),
            &new.id,
            &new.common_name,
            &new.owner,
            &new.fingerprint,
            &new.content,
            &new.verified,
            &new.verify_code,
            &new.provision_enable,
            &new.ocsp_enable,
            &new.ocsp_ssl_enable,
            &new.ocsp_server_ca_id,
            &new.created_at.0,
            &new.effective_at.0,
            &new.expires_at.0,
        ];
        let stored = row(&transaction, sql, params)
            .await
            .map_err(|e| db_or(e, &SqlState::UNIQUE_VIOLATION, Code::CaExists, words::CA_TAKEN))?;
        let Some(stored) = stored else {
            return Err(Error::new(Code::AppNotFound, format!("The application '{}' does not exist.", new.app_id)));
        };
        new.no = RecordNo(first(&stored)?);
        transaction.commit().await.map_err(db)?;
        Ok(new)
    }

    async fn ca(&self, id: &str) -> Result<Option<CaCertificate>> {
        let client = self.client().await?;
        let sql = format!("{CA} WHERE c.instance = $1 AND c.id = $2");
        row(&client, &sql, &[&INSTANCE, &id]).await.map_err(db)?.as_ref().map(ca).transpose()
    }

    async fn cas(&self) -> Result<Vec<CaCertificate>> {
        let client = self.client().await?;
        let sql = format!("{CA} WHERE c.instance = $1 ORDER BY c.no");
        rows(&client, &sql, &[&INSTANCE]).await.map_err(db)?.iter().map(ca).collect()
    }

    async fn list_cas(&self, spaces: &Spaces, page: PageRequest) -> Result<Page<CaCertificate>> {
        let client = self.client().await?;
        let condition = "c.instance = $1
            AND ($2::text[] IS NULL OR c.app IN (SELECT no FROM app WHERE instance = $1 AND id = ANY ($2)))";
        let spaces = spaces.ids();
        page_of(&client, (CA, "ca_certificate"), condition, &[&INSTANCE, &spaces], page, ca, |c| c.no).await
    }

    async fn update_ca(&self, changed: &CaCertificate) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let template: Option<i64> = match &changed.template_id {
            None => None,
            Some(id) => {
                let sql = "SELECT no FROM provisioning_template WHERE instance = $1 AND id = $2 FOR KEY SHARE";
                let found = row(&transaction, sql, &[&INSTANCE, id]).await.map_err(db)?;
                Some(first(&found.ok_or_else(|| words::no_such_template(id))?)?)
            }
        };
        let sql = "UPDATE ca_certificate SET provision_enable = $2, template = $3, ocsp_enable = $4,
            ocsp_ssl_enable = $5, ocsp_server_ca_id = $6 WHERE no = $1";
        let params: Params<'_> = &[
            &changed.no.0,
            &changed.provision_enable,
            &template,
            &changed.ocsp_enable,
            &changed.ocsp_ssl_enable,
            &changed.ocsp_server_ca_id,
        ];
        let touched = run(&transaction, sql, params).await.map_err(db)?;
        transaction.commit().await.map_err(db)?;
        Ok(touched > 0)
    }

    async fn set_ca_verified(&self, no: RecordNo) -> Result<bool> {
        let client = self.client().await?;
        let sql = "UPDATE ca_certificate SET verified = true WHERE no = $1";
        Ok(run(&client, sql, &[&no.0]).await.map_err(db)? > 0)
    }

    async fn delete_ca(&self, no: RecordNo) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let sql = format!("SELECT 1 FROM device_certificate c WHERE c.ca = $1 AND {IN_USE} LIMIT 1");
        if row(&transaction, &sql, &[&no.0]).await.map_err(db)?.is_some() {
            return Err(Error::new(Code::CaInUse, words::CA_USED));
        }
        // The certificates of devices under it go with it.
        let deleted = run(&transaction, "DELETE FROM ca_certificate WHERE no = $1", &[&no.0]).await.map_err(db)?;
        transaction.commit().await.map_err(db)?;
        Ok(deleted > 0)
    }

    async fn put_device_certificate(&self, new: DeviceCertificate) -> Result<DeviceCertificate> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let sql = "INSERT INTO device_certificate (instance, app, ca, id, common_name, sha256, sha1, content, active,
                created_at, expires_at)
            SELECT $1, c.app, c.no, $4, $5, $6, $7, $8, $9, $10, $11
            FROM ca_certificate c JOIN app a ON a.no = c.app WHERE c.no = $3 AND a.id = $2 AND a.instance = $1
            ON CONFLICT (app, sha256) DO UPDATE SET ca = excluded.ca RETURNING no";
        let params: Params<'_> = &[
            &INSTANCE,
            &new.app_id.as_str(),
            &new.ca.0,
            &new.id,
            &new.common_name,
            &new.sha256,
            &new.sha1,
            &new.content,
            &new.active,
            &new.created_at.0,
            &new.expires_at.0,
        ];
        let stored = row(&transaction, sql, params).await.map_err(|e| {
            let gone = "The CA certificate was deleted meanwhile.";
            db_or(e, &SqlState::FOREIGN_KEY_VIOLATION, Code::CaNotFound, gone)
        })?;
        let no: i64 = first(&stored.ok_or_else(words::no_such_ca)?)?;
        let stored = row(&transaction, &format!("{DEVICE} WHERE c.no = $1"), &[&no]).await.map_err(db)?;
        transaction.commit().await.map_err(db)?;
        stored.as_ref().map_or_else(|| Err(returned_nothing()), device_certificate)
    }

    async fn device_certificate(&self, id: &str) -> Result<Option<DeviceCertificate>> {
        let client = self.client().await?;
        let sql = format!("{DEVICE} WHERE c.instance = $1 AND c.id = $2");
        row(&client, &sql, &[&INSTANCE, &id]).await.map_err(db)?.as_ref().map(device_certificate).transpose()
    }

    async fn device_certificate_by_sha256(&self, app: &AppId, sha256: &str) -> Result<Option<DeviceCertificate>> {
        let client = self.client().await?;
        let sql = format!("{DEVICE} WHERE c.sha256 = $3 AND a.instance = $1 AND a.id = $2");
        let found = row(&client, &sql, &[&INSTANCE, &app.as_str(), &sha256]).await.map_err(db)?;
        found.as_ref().map(device_certificate).transpose()
    }

    async fn list_device_certificates(
        &self,
        filter: &DeviceCertificateFilter,
        page: PageRequest,
    ) -> Result<Page<DeviceCertificate>> {
        let client = self.client().await?;
        let condition = "c.instance = $1
            AND ($2::text[] IS NULL OR c.app IN (SELECT no FROM app WHERE instance = $1 AND id = ANY ($2)))
            AND ($3::text IS NULL OR (c.common_name >= $3 AND c.common_name <= $4))
            AND ($5::text IS NULL OR c.sha256 = $5 OR c.sha1 = $5)";
        let spaces = filter.spaces.ids();
        let last = filter.common_name.as_deref().map(words::last_with_prefix);
        let params: Params<'_> = &[&INSTANCE, &spaces, &filter.common_name, &last, &filter.fingerprint];
        page_of(&client, (DEVICE, "device_certificate"), condition, params, page, device_certificate, |c| c.no).await
    }

    async fn set_device_certificate_active(&self, no: RecordNo, active: bool) -> Result<bool> {
        let client = self.client().await?;
        let sql = "UPDATE device_certificate SET active = $2 WHERE no = $1";
        Ok(run(&client, sql, &[&no.0, &active]).await.map_err(db)? > 0)
    }

    async fn delete_device_certificate(&self, no: RecordNo) -> Result<bool> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        let sql = format!("SELECT 1 FROM device_certificate c WHERE c.no = $1 AND {IN_USE}");
        if row(&transaction, &sql, &[&no.0]).await.map_err(db)?.is_some() {
            return Err(Error::new(Code::DeviceCertificateInUse, words::DEVICE_CERTIFICATE_USED));
        }
        let deleted = run(&transaction, "DELETE FROM device_certificate WHERE no = $1", &[&no.0]).await.map_err(db)?;
        transaction.commit().await.map_err(db)?;
        Ok(deleted > 0)
    }

    async fn devices_of_certificate(&self, certificate: &DeviceCertificate, page: PageRequest) -> Result<Page<Device>> {
        let condition = "d.no IN (SELECT no FROM device WHERE fingerprint IN ($3, $4)
                UNION SELECT no FROM device WHERE secondary_fingerprint IN ($3, $4))
            AND d.app = (SELECT no FROM app WHERE instance = $1 AND id = $2)";
        let app = certificate.app_id.as_str();
        let params: Params<'_> = &[&INSTANCE, &app, &certificate.sha256, &certificate.sha1];
        self.devices_page(condition, params, page).await
    }

    async fn set_fingerprint(&self, no: DeviceNo, slot: CredentialSlot, fingerprint: Option<&str>) -> Result<bool> {
        let client = self.client().await?;
        let sql = match slot {
            CredentialSlot::Primary => "UPDATE device SET fingerprint = $2 WHERE no = $1",
            CredentialSlot::Secondary => "UPDATE device SET secondary_fingerprint = $2 WHERE no = $1",
        };
        Ok(run(&client, sql, &[&no.0, &fingerprint]).await.map_err(db)? > 0)
    }

    async fn bind_fingerprint(&self, no: DeviceNo, fingerprint: &str) -> Result<bool> {
        let client = self.client().await?;
        let sql = "UPDATE device SET fingerprint = $2 WHERE no = $1 AND fingerprint IS NULL";
        Ok(run(&client, sql, &[&no.0, &fingerprint]).await.map_err(db)? > 0)
    }

    async fn insert_server_certificate(&self, mut new: ServerCertificate, limit: u32) -> Result<ServerCertificate> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.map_err(db)?;
        check_limit(&transaction, "server_certificate", limit, words::TOO_MANY_SERVER_CERTIFICATES).await?;
        let sql = "INSERT INTO server_certificate (instance, id, common_name, owner, issuer, fingerprint, content,
                private_key, created_at, effective_at, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING no";
        let params: Params<'_> = &[
            &INSTANCE,
            &new.id,
            &new.common_name,
            &new.owner,
            &new.issuer,
            &new.fingerprint,
            &new.content,
            &&*new.private_key.0,
            &new.created_at.0,
            &new.effective_at.0,
            &new.expires_at.0,
        ];
        let stored = row(&transaction, sql, params).await.map_err(|e| {
            let taken = words::SERVER_CERTIFICATE_TAKEN;
            db_or(e, &SqlState::UNIQUE_VIOLATION, Code::ServerCertificateExists, taken)
        })?;
        new.no = RecordNo(first(&stored.ok_or_else(returned_nothing)?)?);
        transaction.commit().await.map_err(db)?;
        Ok(new)
    }

    async fn server_certificate(&self, id: &str) -> Result<Option<ServerCertificate>> {
        let client = self.client().await?;
        let sql = format!("{SERVER} WHERE c.instance = $1 AND c.id = $2");
        row(&client, &sql, &[&INSTANCE, &id]).await.map_err(db)?.as_ref().map(server).transpose()
    }

    async fn list_server_certificates(&self, page: PageRequest) -> Result<Page<ServerCertificate>> {
        let client = self.client().await?;
        let table = (SERVER, "server_certificate");
        page_of(&client, table, "c.instance = $1", &[&INSTANCE], page, server, |c| c.no).await
    }

    async fn delete_server_certificate(&self, no: RecordNo) -> Result<bool> {
        let client = self.client().await?;
        let sql = "DELETE FROM server_certificate WHERE no = $1";
        Ok(run(&client, sql, &[&no.0]).await.map_err(db)? > 0)
    }
}
