//! Certificate authorities, certificates of devices, server certificates.

use async_trait::async_trait;
use causeway_model::certificate::{CaCertificate, DeviceCertificate, ServerCertificate};
use causeway_model::registry::{Device, Page, PageRequest, Sealed};
use causeway_model::{AppId, Code, DeviceNo, Error, RecordNo, Result, Spaces, Timestamp};
use causeway_platform::certificate::{CertificateStore, DeviceCertificateFilter};
use causeway_platform::device::CredentialSlot;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::app::{in_spaces, require_app};
use super::device::devices_where;
use super::error::Outcome;
use super::{INSTANCE, SqliteStore};
use crate::certificate_words as words;

const CA: &str = "SELECT c.no, a.id, c.id, c.common_name, c.owner, c.fingerprint, c.content, c.verified, c.verify_code, \
     c.provision_enable, t.id, c.ocsp_enable, c.ocsp_ssl_enable, c.ocsp_server_ca_id, c.created_at, c.effective_at, \
     c.expires_at FROM ca_certificate c JOIN app a ON a.no = c.app \
     LEFT JOIN provisioning_template t ON t.no = c.template WHERE ";

const DEVICE: &str = "SELECT c.no, a.id, c.id, c.ca, c.common_name, c.sha256, c.sha1, c.content, c.active, \
     c.created_at, c.expires_at FROM device_certificate c JOIN app a ON a.no = c.app WHERE ";

const SERVER: &str = "SELECT c.no, c.id, c.common_name, c.owner, c.issuer, c.fingerprint, c.content, c.private_key, \
     c.created_at, c.effective_at, c.expires_at FROM server_certificate c WHERE ";

/// Whether a device of the space has the fingerprint of the certificate `c`. Two searches, so that each has its index.
macro_rules! in_use {
    ($head:literal) => {
        concat!(
            $head,
            " AND (EXISTS (SELECT 1 FROM device d WHERE d.fingerprint IN (c.sha256, c.sha1) AND d.app = c.app) \
             OR EXISTS (SELECT 1 FROM device d WHERE d.secondary_fingerprint IN (c.sha256, c.sha1) AND d.app = c.app))"
        )
    };
}

fn read_ca(row: &Row<'_>) -> rusqlite::Result<CaCertificate> {
    Ok(CaCertificate {
        no: RecordNo(row.get(0)?),
        app_id: AppId::trusted(row.get::<_, String>(1)?),
        id: row.get(2)?,
        common_name: row.get(3)?,
        owner: row.get(4)?,
        fingerprint: row.get(5)?,
        content: row.get(6)?,
        verified: row.get(7)?,
        verify_code: row.get(8)?,
        provision_enable: row.get(9)?,
        template_id: row.get(10)?,
        ocsp_enable: row.get(11)?,
        ocsp_ssl_enable: row.get(12)?,
        ocsp_server_ca_id: row.get(13)?,
        created_at: Timestamp(row.get(14)?),
        effective_at: Timestamp(row.get(15)?),
        expires_at: Timestamp(row.get(16)?),
    })
}

fn read_device_certificate(row: &Row<'_>) -> rusqlite::Result<DeviceCertificate> {
    Ok(DeviceCertificate {
        no: RecordNo(row.get(0)?),
        app_id: AppId::trusted(row.get::<_, String>(1)?),
        id: row.get(2)?,
        ca: RecordNo(row.get(3)?),
        common_name: row.get(4)?,
        sha256: row.get(5)?,
        sha1: row.get(6)?,
        content: row.get(7)?,
        active: row.get(8)?,
        created_at: Timestamp(row.get(9)?),
        expires_at: Timestamp(row.get(10)?),
    })
}

fn read_server(row: &Row<'_>) -> rusqlite::Result<ServerCertificate> {
    Ok(ServerCertificate {
        no: RecordNo(row.get(0)?),
        id: row.get(1)?,
        common_name: row.get(2)?,
        owner: row.get(3)?,
        issuer: row.get(4)?,
        fingerprint: row.get(5)?,
        content: row.get(6)?,
        private_key: Sealed(row.get::<_, Vec<u8>>(7)?.into()),
        created_at: Timestamp(row.get(8)?),
        effective_at: Timestamp(row.get(9)?),
        expires_at: Timestamp(row.get(10)?),
    })
}

/// A page of the records `c` of `table` that `clause` picks. All texts are constant pieces; values are bound.
pub(super) fn page_of<T>(
    conn: &Connection,
    (select, table): (&'static str, &'static str),
    clause: &str,
    mut values: Vec<Value>,
    page: PageRequest,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
    no: fn(&T) -> RecordNo,
) -> Outcome<Page<T>> {
    let count: i64 = conn
        .prepare_cached(&format!("SELECT count(*) FROM {table} c WHERE {clause}"))?
        .query_row(params_from_iter(&values), |row| row.get(0))?;
    values.extend([page.marker.0, i64::from(page.limit), i64::from(page.offset)].map(Value::from));
    let items: Vec<T> = conn
        .prepare_cached(&format!("{select}{clause} AND c.no < ? ORDER BY c.no DESC LIMIT ? OFFSET ?"))?
        .query_map(params_from_iter(&values), read)?
        .collect::<Result<_, _>>()?;
    let marker = items.last().map_or(page.marker, no);
    Ok(Page { items, count: u64::try_from(count).unwrap_or(0), marker })
}

/// Refuses what would be one record of `table` too many.
pub(super) fn check_limit(conn: &Connection, table: &'static str, limit: u32, full: (Code, &str)) -> Outcome<()> {
    let count: i64 = conn
        .prepare_cached(&format!("SELECT count(*) FROM {table} WHERE instance = ?1"))?
        .query_row([INSTANCE], |row| row.get(0))?;
    if count < i64::from(limit) {
        return Ok(());
    }
    Err(words::limit_reached(limit, full).into())
}

fn one<T>(
    conn: &Connection,
    select: &'static str,
    condition: &'static str,
    values: impl rusqlite::Params,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Outcome<Option<T>> {
    Ok(conn.prepare_cached(&format!("{select}{condition}"))?.query_row(values, read).optional()?)
}

#[async_trait]
impl CertificateStore for SqliteStore {
    async fn insert_ca(&self, mut ca: CaCertificate, limit: u32) -> Result<CaCertificate> {
        self.write(move |tx| {
            let app = require_app(tx.conn, &ca.app_id)?;
            check_limit(tx.conn, "ca_certificate", limit, words::TOO_MANY_CAS)?;
            let taken = tx
                .conn
                .prepare_cached("SELECT 1 FROM ca_certificate WHERE app = ?1 AND fingerprint = ?2")?
                .exists(params![app, ca.fingerprint])?;
            if taken {
                return Err(Error::new(Code::CaExists, words::CA_TAKEN).into());
            }
            tx.conn
                .prepare_cached(
                    "INSERT INTO ca_certificate (instance, app, id, common_name, owner, fingerprint, content, verified, \
                     verify_code, provision_enable, ocsp_enable, ocsp_ssl_enable, ocsp_server_ca_id, created_at, \
                     effective_at, expires_at) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
                )?
                .execute(params![
                    INSTANCE,
                    app,
                    ca.id,
                    ca.common_name,
                    ca.owner,
                    ca.fingerprint,
                    ca.content,
                    ca.verified,
                    ca.verify_code,
                    ca.provision_enable,
                    ca.ocsp_enable,
                    ca.ocsp_ssl_enable,
                    ca.ocsp_server_ca_id,
                    ca.created_at.0,
                    ca.effective_at.0,
                    ca.expires_at.0,
                ])?;
            ca.no = RecordNo(tx.conn.last_insert_rowid());
            Ok(ca)
        })
        .await
    }

    async fn ca(&self, id: &str) -> Result<Option<CaCertificate>> {
        let id = id.to_owned();
        self.read(move |conn| one(conn, CA, "c.instance = ?1 AND c.id = ?2", params![INSTANCE, id], read_ca)).await
    }

    async fn cas(&self) -> Result<Vec<CaCertificate>> {
        self.read(|conn| {
            let mut statement = conn.prepare_cached(&format!("{CA}c.instance = ?1 ORDER BY c.no"))?;
            Ok(statement.query_map([INSTANCE], read_ca)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn list_cas(&self, spaces: &Spaces, page: PageRequest) -> Result<Page<CaCertificate>> {
        let mut clause = String::from("c.instance = ?");
        let mut values = vec![Value::from(INSTANCE)];
        in_spaces(spaces, "c.app", &mut clause, &mut values);
        self.read(move |conn| page_of(conn, (CA, "ca_certificate"), &clause, values, page, read_ca, |c| c.no)).await
    }

    async fn update_ca(&self, ca: &CaCertificate) -> Result<bool> {
        let ca = ca.clone();
        self.write(move |tx| {
            let template: Option<i64> = match &ca.template_id {
                None => None,
                Some(id) => {
                    let found = tx
                        .conn
                        .prepare_cached("SELECT no FROM provisioning_template WHERE instance = ?1 AND id = ?2")?
                        .query_row(params![INSTANCE, id], |row| row.get(0))
                        .optional()?;
                    if found.is_none() {
                        return Err(words::no_such_template(id).into());
                    }
                    found
                }
            };
            let changed = tx
                .conn
                .prepare_cached(
                    "UPDATE ca_certificate SET provision_enable = ?2, template = ?3, ocsp_enable = ?4, \
                     ocsp_ssl_enable = ?5, ocsp_server_ca_id = ?6 WHERE no = ?1",
                )?
                .execute(params![
                    ca.no.0,
                    ca.provision_enable,
                    template,
                    ca.ocsp_enable,
                    ca.ocsp_ssl_enable,
                    ca.ocsp_server_ca_id
                ])?;
            Ok(changed > 0)
        })
        .await
    }

    async fn set_ca_verified(&self, no: RecordNo) -> Result<bool> {
        self.write(move |tx| {
            let mut update = tx.conn.prepare_cached("UPDATE ca_certificate SET verified = 1 WHERE no = ?1")?;
            Ok(update.execute([no.0])? > 0)
        })
        .await
    }

    async fn delete_ca(&self, no: RecordNo) -> Result<bool> {
        self.write(move |tx| {
            let used = tx
                .conn
                .prepare_cached(in_use!("SELECT 1 FROM device_certificate c WHERE c.ca = ?1"))?
                .exists([no.0])?;
            if used {
                return Err(Error::new(Code::CaInUse, words::CA_USED).into());
            }
            // The certificates of devices under it go with it.
            Ok(tx.conn.prepare_cached("DELETE FROM ca_certificate WHERE no = ?1")?.execute([no.0])? > 0)
        })
        .await
    }

    async fn put_device_certificate(&self, certificate: DeviceCertificate) -> Result<DeviceCertificate> {
        self.write(move |tx| {
            let app = require_app(tx.conn, &certificate.app_id)?;
            let is_there = tx
                .conn
                .prepare_cached("SELECT 1 FROM ca_certificate WHERE no = ?1 AND app = ?2")?
                .exists([certificate.ca.0, app])?;
            if !is_there {
                return Err(words::no_such_ca().into());
            }
            tx.conn
                .prepare_cached(
                    "INSERT INTO device_certificate (instance, app, ca, id, common_name, sha256, sha1, content, active, \
                     created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
                     ON CONFLICT (app, sha256) DO UPDATE SET ca = excluded.ca",
                )?
                .execute(params![
                    INSTANCE,
                    app,
                    certificate.ca.0,
                    certificate.id,
                    certificate.common_name,
                    certificate.sha256,
                    certificate.sha1,
                    certificate.content,
                    certificate.active,
                    certificate.created_at.0,
                    certificate.expires_at.0,
                ])?;
            let params = params![app, certificate.sha256];
            let stored = one(tx.conn, DEVICE, "c.app = ?1 AND c.sha256 = ?2", params, read_device_certificate)?;
            stored.ok_or_else(|| Error::internal("a new certificate was not found").into())
        })
        .await
    }

    async fn device_certificate(&self, id: &str) -> Result<Option<DeviceCertificate>> {
        let id = id.to_owned();
        self.read(move |conn| {
            one(conn, DEVICE, "c.instance = ?1 AND c.id = ?2", params![INSTANCE, id], read_device_certificate)
        })
        .await
    }

    async fn device_certificate_by_sha256(&self, app: &AppId, sha256: &str) -> Result<Option<DeviceCertificate>> {
        let (app, sha256) = (app.clone(), sha256.to_owned());
        self.read(move |conn| {
            let condition = "c.sha256 = ?3 AND c.app = (SELECT no FROM app WHERE instance = ?1 AND id = ?2)";
            one(conn, DEVICE, condition, params![INSTANCE, app.as_str(), sha256], read_device_certificate)
        })
        .await
    }

    async fn list_device_certificates(
        &self,
        filter: &DeviceCertificateFilter,
        page: PageRequest,
    ) -> Result<Page<DeviceCertificate>> {
        let mut clause = String::from("c.instance = ?");
        let mut values = vec![Value::from(INSTANCE)];
        in_spaces(&filter.spaces, "c.app", &mut clause, &mut values);
        if let Some(name) = &filter.common_name {
            clause.push_str(" AND c.common_name >= ? AND c.common_name <= ?");
            values.extend([name.clone(), words::last_with_prefix(name)].map(Value::from));
        }
        if let Some(fingerprint) = &filter.fingerprint {
            clause.push_str(" AND (c.sha256 = ? OR c.sha1 = ?)");
            values.extend([fingerprint.clone(), fingerprint.clone()].map(Value::from));
        }
        self.read(move |conn| {
            let table = (DEVICE, "device_certificate");
            page_of(conn, table, &clause, values, page, read_device_certificate, |c| c.no)
        })
        .await
    }

    async fn set_device_certificate_active(&self, no: RecordNo, active: bool) -> Result<bool> {
        self.write(move |tx| {
            let mut update = tx.conn.prepare_cached("UPDATE device_certificate SET active = ?2 WHERE no = ?1")?;
            Ok(update.execute(params![no.0, active])? > 0)
        })
        .await
    }

    async fn delete_device_certificate(&self, no: RecordNo) -> Result<bool> {
        self.write(move |tx| {
            let used = tx
                .conn
                .prepare_cached(in_use!("SELECT 1 FROM device_certificate c WHERE c.no = ?1"))?
                .exists([no.0])?;
            if used {
                return Err(Error::new(Code::DeviceCertificateInUse, words::DEVICE_CERTIFICATE_USED).into());
            }
            Ok(tx.conn.prepare_cached("DELETE FROM device_certificate WHERE no = ?1")?.execute([no.0])? > 0)
        })
        .await
    }

    async fn devices_of_certificate(&self, certificate: &DeviceCertificate, page: PageRequest) -> Result<Page<Device>> {
        let clause = "d.no IN (SELECT no FROM device WHERE fingerprint IN (?, ?) \
             UNION SELECT no FROM device WHERE secondary_fingerprint IN (?, ?)) \
             AND d.app = (SELECT no FROM app WHERE instance = 1 AND id = ?)";
        let (sha256, sha1) = (&certificate.sha256, &certificate.sha1);
        let values = [sha256, sha1, sha256, sha1].map(|text| Value::from(text.clone()));
        let values = values.into_iter().chain([Value::from(certificate.app_id.to_string())]).collect();
        self.read(move |conn| devices_where(conn, clause, values, page)).await
    }

    async fn set_fingerprint(&self, no: DeviceNo, slot: CredentialSlot, fingerprint: Option<&str>) -> Result<bool> {
        let fingerprint = fingerprint.map(str::to_owned);
        self.write(move |tx| {
            let mut update = tx.conn.prepare_cached(match slot {
                CredentialSlot::Primary => "UPDATE device SET fingerprint = ?2 WHERE no = ?1",
                CredentialSlot::Secondary => "UPDATE device SET secondary_fingerprint = ?2 WHERE no = ?1",
            })?;
            Ok(update.execute(params![no.0, fingerprint])? > 0)
        })
        .await
    }

    async fn bind_fingerprint(&self, no: DeviceNo, fingerprint: &str) -> Result<bool> {
        let fingerprint = fingerprint.to_owned();
        self.write(move |tx| {
            let sql = "UPDATE device SET fingerprint = ?2 WHERE no = ?1 AND fingerprint IS NULL";
            Ok(tx.conn.prepare_cached(sql)?.execute(params![no.0, fingerprint])? > 0)
        })
        .await
    }

    async fn insert_server_certificate(
        &self,
        mut certificate: ServerCertificate,
        limit: u32,
    ) -> Result<ServerCertificate> {
        self.write(move |tx| {
            check_limit(tx.conn, "server_certificate", limit, words::TOO_MANY_SERVER_CERTIFICATES)?;
            let taken = tx
                .conn
                .prepare_cached("SELECT 1 FROM server_certificate WHERE instance = ?1 AND fingerprint = ?2")?
                .exists(params![INSTANCE, certificate.fingerprint])?;
            if taken {
                return Err(Error::new(Code::ServerCertificateExists, words::SERVER_CERTIFICATE_TAKEN).into());
            }
            tx.conn
                .prepare_cached(
                    "INSERT INTO server_certificate (instance, id, common_name, owner, issuer, fingerprint, content, \
                     private_key, created_at, effective_at, expires_at) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                )?
                .execute(params![
                    INSTANCE,
                    certificate.id,
                    certificate.common_name,
                    certificate.owner,
                    certificate.issuer,
                    certificate.fingerprint,
                    certificate.content,
                    &*certificate.private_key.0,
                    certificate.created_at.0,
                    certificate.effective_at.0,
                    certificate.expires_at.0,
                ])?;
            certificate.no = RecordNo(tx.conn.last_insert_rowid());
            Ok(certificate)
        })
        .await
    }

    async fn server_certificate(&self, id: &str) -> Result<Option<ServerCertificate>> {
        let id = id.to_owned();
        self.read(move |conn| one(conn, SERVER, "c.instance = ?1 AND c.id = ?2", params![INSTANCE, id], read_server))
            .await
    }

    async fn list_server_certificates(&self, page: PageRequest) -> Result<Page<ServerCertificate>> {
        self.read(move |conn| {
            let values = vec![Value::from(INSTANCE)];
            page_of(conn, (SERVER, "server_certificate"), "c.instance = ?", values, page, read_server, |c| c.no)
        })
        .await
    }

    async fn delete_server_certificate(&self, no: RecordNo) -> Result<bool> {
        self.write(move |tx| {
            Ok(tx.conn.prepare_cached("DELETE FROM server_certificate WHERE no = ?1")?.execute([no.0])? > 0)
        })
        .await
    }
}
