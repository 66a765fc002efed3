//! Certificate authorities of devices (002 §3.3.3, §11.2).

use causeway_model::certificate::CaCertificate;
use causeway_model::{AppId, Code, Error, Result};
use causeway_platform::certificate::{CaChange, NewCa};

use crate::bounded::{Any, Id, Ident, Text, Word, words};
use crate::call::{Call, Page, Reply};
use crate::operation::{Built, Param, Success, json};
use crate::shape::{Clearable, Compact, body, reply};

words! {
    /// Actions of a CA certificate; the vendor has this one.
    CaAction: "verify";
}

/// A certificate of at most 16 KB as PEM, with what tools write around it.
type Pem = Text<Any, 1, 32_768>;
/// An id of one of these records.
type RecordId = Text<Ident, 1, 64>;

body! {
    /// A CA certificate to upload.
    pub(crate) struct CreateCertificate {
        /// The certificate, PEM: exactly one, of an authority that signs certificates of devices.
        content: Pem,
        /// Resource space whose devices it speaks for; the default one when absent.
        app_id: Option<Id<AppId>>,
    }
}

body! {
    /// Fields of a CA certificate to change; absent ones keep their value.
    pub(crate) struct UpdateCertificate {
        /// Whether unknown devices under it are registered by the template.
        provision_enable: Option<bool>,
        /// The provisioning template; null or an empty text unbinds it.
        template_id: Clearable<RecordId>,
        /// Stored and shown; OCSP is not asked.
        ocsp_enable: Option<bool>,
        /// Stored and shown; OCSP is not asked.
        ocsp_ssl_enable: Option<bool>,
        /// Stored and shown; OCSP is not asked. Null or an empty text takes it away.
        ocsp_server_ca_id: Clearable<RecordId>,
    }
}

body! {
    /// Proof that the private key is the caller's.
    pub(crate) struct VerifyCertificate {
        /// A certificate, PEM, that the CA signed and whose common name is the verification code.
        verify_content: Pem,
    }
}

reply! {
    /// A CA certificate.
    pub(crate) struct CaCertificateReply {
        /// The id.
        certificate_id: String,
        /// Common name.
        cn_name: Option<String>,
        /// The subject.
        owner: String,
        /// Whether it was verified; devices under it may connect then.
        status: bool,
        /// UNVERIFIED, VERIFIED, EXPIRING or EXPIRED.
        state: &'static str,
        /// What the verification certificate carries as its common name.
        verify_code: String,
        /// Whether unknown devices under it are registered.
        provision_enable: bool,
        /// The provisioning template for that.
        template_id: Option<String>,
        /// As it was set.
        ocsp_enable: bool,
        /// As it was set.
        ocsp_server_ca_id: Option<String>,
        /// As it was set.
        ocsp_ssl_enable: bool,
        /// When it was uploaded.
        create_date: Compact,
        /// Not valid before.
        effective_date: Compact,
        /// Not valid after.
        expiry_date: Compact,
        /// Name; the common name, or else the subject. In the answer to a single one only.
        name: Option<String>,
        /// The certificate, PEM. In the answer to a single one only.
        content: Option<String>,
    }
}

reply! {
    /// A page of CA certificates.
    pub(crate) struct CaCertificates {
        /// The certificates, newest first.
        certificates: Vec<CaCertificateReply>,
        /// The page.
        page: Page,
    }
}

fn ca_reply(call: &Call, ca: CaCertificate) -> CaCertificateReply {
    let state = call.platform().ca_state(&ca).as_str();
    CaCertificateReply {
        certificate_id: ca.id,
        cn_name: ca.common_name,
        owner: ca.owner,
        status: ca.verified,
        state,
        verify_code: ca.verify_code,
        provision_enable: ca.provision_enable,
        template_id: ca.template_id,
        ocsp_enable: ca.ocsp_enable,
        ocsp_server_ca_id: ca.ocsp_server_ca_id,
        ocsp_ssl_enable: ca.ocsp_ssl_enable,
        create_date: Compact(ca.created_at),
        effective_date: Compact(ca.effective_at),
        expiry_date: Compact(ca.expires_at),
        name: None,
        content: None,
    }
}

pub(super) static ADD: Built =
    Built::new("Uploads a CA certificate of devices.", json::<CaCertificateReply>(201), |c| Box::pin(add(c)))
        .body::<CreateCertificate>()
        .errors(&[Code::InvalidCa, Code::CaExists, Code::TooManyCas, Code::AppNotFound, Code::AppRequired]);

async fn add(call: Call) -> Result<Reply> {
    let new: CreateCertificate = call.body()?;
    let spaces = call.spaces(new.app_id.map(|id| id.0))?;
    let app_id = call.platform().home_for_new(&spaces).await?;
    let ca = call.platform().upload_ca(NewCa { content: new.content.into_string(), app_id }).await?;
    Reply::created(&ca_reply(&call, ca))
}

pub(super) static LIST: Built =
    Built::new("Lists CA certificates of devices.", json::<CaCertificates>(200), |c| Box::pin(list(c)))
        .query(&[Param::optional::<AppId>("app_id", "Only of this resource space.")])
        .paged()
        .errors(&[Code::AppNotFound]);

async fn list(call: Call) -> Result<Reply> {
    let spaces = call.spaces(call.query("app_id")?)?;
    let found = call.platform().list_cas(&spaces, call.page()?).await?;
    let page = Page::of(&found);
    let certificates = found.items.into_iter().map(|ca| ca_reply(&call, ca)).collect();
    Reply::ok(&CaCertificates { certificates, page })
}

pub(super) static SHOW: Built =
    Built::new("Shows a CA certificate of devices.", json::<CaCertificateReply>(200), |c| Box::pin(show(c)))
        .errors(&[Code::CaNotFound]);

async fn show(call: Call) -> Result<Reply> {
    let ca = call.platform().ca(&call.allowed, call.path("certificate_id")).await?;
    let name = Some(ca.common_name.clone().unwrap_or_else(|| ca.owner.clone()));
    let content = Some(ca.content.clone());
    Reply::ok(&CaCertificateReply { name, content, ..ca_reply(&call, ca) })
}

pub(super) static UPDATE: Built =
    Built::new("Changes a CA certificate of devices.", json::<CaCertificateReply>(200), |c| Box::pin(update(c)))
        .body::<UpdateCertificate>()
        .errors(&[Code::CaNotFound, Code::TemplateNotFound]);

async fn update(call: Call) -> Result<Reply> {
    let change: UpdateCertificate = call.body()?;
    let change = CaChange {
        provision_enable: change.provision_enable,
        template_id: change.template_id.map(Text::into_string),
        ocsp_enable: change.ocsp_enable,
        ocsp_ssl_enable: change.ocsp_ssl_enable,
        ocsp_server_ca_id: change.ocsp_server_ca_id.map(Text::into_string),
    };
    let ca = call.platform().update_ca(&call.allowed, call.path("certificate_id"), change).await?;
    Reply::ok(&ca_reply(&call, ca))
}

pub(super) static DELETE: Built =
    Built::new("Deletes a CA certificate that no device uses.", Success::Empty, |c| Box::pin(delete(c)))
        .errors(&[Code::CaNotFound, Code::CaInUse]);

async fn delete(call: Call) -> Result<Reply> {
    call.platform().delete_ca(&call.allowed, call.path("certificate_id")).await?;
    Ok(Reply::empty())
}

pub(super) static CHECK: Built =
    Built::new("Verifies a CA certificate; devices under it may connect then.", json::<CaCertificateReply>(200), |c| {
        Box::pin(check(c))
    })
    .query(&[Param::mandatory::<Word<CaAction>>("action_id", "What to do.")])
    .body::<VerifyCertificate>()
    .errors(&[Code::CaNotFound, Code::InvalidVerification]);

async fn check(call: Call) -> Result<Reply> {
    if call.query::<Word<CaAction>>("action_id")?.is_none() {
        return Err(Error::invalid(
            "Invalid input. The mandatory parameter 'action_id' is missing; it must be verify.",
        ));
    }
    let shown: VerifyCertificate = call.body()?;
    let id = call.path("certificate_id");
    let ca = call.platform().verify_ca(&call.allowed, id, shown.verify_content.as_str()).await?;
    Reply::ok(&ca_reply(&call, ca))
}
