//! Certificates of the platform's own doors (`iotda-v5-api.md`, server certificates). They belong to the whole instance;
//! no door serves them before domain configurations are built.

use causeway_model::certificate::ServerCertificate as Record;
use causeway_model::{Code, Result};
use zeroize::Zeroizing;

use crate::bounded::{Any, Text};
use crate::call::{Call, Page, Reply};
use crate::operation::{Built, Success, json};
use crate::shape::{Compact, body, reply};

body! {
    /// A server certificate to store.
    pub(crate) struct CreateServerCertificate {
        /// The certificate and then those that lead to its authority, PEM.
        certificate_pem: Text<Any, 1, 131_072>,
        /// Its private key, PEM; it is sealed and never shown.
        private_key: Text<Any, 1, 32_768>,
        /// What opens the key, when that is an ENCRYPTED PRIVATE KEY.
        private_key_password: Option<Text<Any, 0, 1024>>,
    }
}

reply! {
    /// A server certificate.
    pub(crate) struct ServerCertificate {
        /// The id.
        server_certificate_id: String,
        /// Common name.
        common_name: Option<String>,
        /// The certificate, PEM. In the answer to a single one only.
        certificate_pem: Option<String>,
        /// Not valid before.
        effective_date: Compact,
        /// Not valid after.
        expiry_date: Compact,
        /// The subject.
        certificate_owner: String,
        /// The issuer.
        certificate_issuer: String,
    }
}

reply! {
    /// A page of server certificates.
    pub(crate) struct ServerCertificates {
        /// The certificates, newest first.
        server_certificates: Vec<ServerCertificate>,
        /// The page.
        page: Page,
    }
}

fn certificate_reply(record: Record, whole: bool) -> ServerCertificate {
    ServerCertificate {
        server_certificate_id: record.id,
        common_name: record.common_name,
        certificate_pem: whole.then_some(record.content),
        effective_date: Compact(record.effective_at),
        expiry_date: Compact(record.expires_at),
        certificate_owner: record.owner,
        certificate_issuer: record.issuer,
    }
}

pub(super) static CREATE: Built =
    Built::new("Stores a server certificate with its key.", json::<ServerCertificate>(201), |c| Box::pin(create(c)))
        .body::<CreateServerCertificate>()
        .errors(&[
            Code::NotPermitted,
            Code::InvalidServerCertificate,
            Code::ServerCertificateExists,
            Code::TooManyServerCertificates,
        ]);

async fn create(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let new: CreateServerCertificate = call.body()?;
    let key = Zeroizing::new(new.private_key.into_string());
    let password = new.private_key_password.map(|p| Zeroizing::new(p.into_string()));
    let stored = call.platform().store_server_certificate(new.certificate_pem.as_str(), key, password).await?;
    Reply::created(&certificate_reply(stored, false))
}

pub(super) static LIST: Built =
    Built::new("Lists server certificates.", json::<ServerCertificates>(200), |c| Box::pin(list(c)))
        .paged()
        .errors(&[Code::NotPermitted]);

async fn list(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let found = call.platform().list_server_certificates(call.page()?).await?;
    let page = Page::of(&found);
    let server_certificates = found.items.into_iter().map(|c| certificate_reply(c, false)).collect();
    Reply::ok(&ServerCertificates { server_certificates, page })
}

pub(super) static SHOW: Built =
    Built::new("Shows a server certificate, without its key.", json::<ServerCertificate>(200), |c| Box::pin(show(c)))
        .errors(&[Code::NotPermitted, Code::ServerCertificateNotFound]);

async fn show(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let found = call.platform().server_certificate(call.path("server_certificate_id")).await?;
    Reply::ok(&certificate_reply(found, true))
}

pub(super) static DELETE: Built = Built::new("Deletes a server certificate.", Success::Empty, |c| Box::pin(delete(c)))
    .errors(&[Code::NotPermitted, Code::ServerCertificateNotFound]);

async fn delete(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    call.platform().delete_server_certificate(call.path("server_certificate_id")).await?;
    Ok(Reply::empty())
}
