//! Authorities of devices (002 §3.3.3, §11.2).

use causeway_model::certificate::{CaCertificate, CaState};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{AppId, Code, Error, RecordNo, Result, Spaces};

use super::x509::{self, Fingerprints};
use crate::Platform;
use crate::bus::Changed;
use crate::secrets::random_hex;

/// A certificate of an authority to upload.
#[derive(Clone, Debug)]
pub struct NewCa {
    /// PEM.
    pub content: String,
    /// The space whose devices it may speak for.
    pub app_id: AppId,
}

/// Fields of an authority to change; absent ones keep their value.
#[derive(Clone, Debug, Default)]
pub struct CaChange {
    /// Whether unknown devices are registered.
    pub provision_enable: Option<bool>,
    /// By which template; the inner `None` takes it away.
    pub template_id: Option<Option<String>>,
    /// Stored only.
    pub ocsp_enable: Option<bool>,
    /// Stored only.
    pub ocsp_ssl_enable: Option<bool>,
    /// Stored only.
    pub ocsp_server_ca_id: Option<Option<String>>,
}

fn not_found(id: &str) -> Error {
    Error::new(Code::CaNotFound, format!("The CA certificate '{id}' does not exist."))
}

fn invalid(why: &str) -> Error {
    Error::new(Code::InvalidCa, format!("Invalid input. The content is not a CA certificate: {why}."))
}

impl Platform {
    /// Takes the certificate of an authority. It counts once the caller has shown that the private key is theirs.
    ///
    /// # Errors
    /// [`Code::InvalidCa`] says what is wrong with the content; [`Code::CaExists`]; [`Code::TooManyCas`];
    /// [`Code::AppNotFound`].
    pub async fn upload_ca(&self, new: NewCa) -> Result<CaCertificate> {
        let found = x509::certificates_of_pem(&new.content).map_err(invalid)?;
        let der = match &found[..] {
            [] => return Err(invalid("it holds no PEM section CERTIFICATE")),
            [one] => one,
            several => {
                return Err(invalid(&format!(
                    "it holds {} certificates; upload each CA certificate of a chain by itself, and only those that sign \
                     certificates of devices",
                    several.len()
                )));
            }
        };
        let certificate = x509::read(der).ok_or_else(|| invalid("it cannot be read as X.509"))?;
        x509::may_sign(&certificate, true).map_err(invalid)?;
        if let Some(fault) = x509::key_fault(certificate.public_key()) {
            return Err(invalid(fault));
        }
        let is_own = certificate.subject().as_raw() == certificate.issuer().as_raw();
        if is_own && !x509::is_signed_by(&certificate, certificate.public_key()) {
            return Err(invalid(
                "its signature does not hold, or was made with SHA-1 or another algorithm of the past",
            ));
        }
        let (effective_at, expires_at) = x509::validity(&certificate);
        let now = self.clock.now();
        if now > expires_at {
            return Err(invalid(&format!("it expired at {}", expires_at.compact())));
        }
        if certificate.subject().as_raw().len() <= 2 {
            return Err(invalid("its subject is empty"));
        }
        let ca = CaCertificate {
            no: RecordNo(0),
            app_id: new.app_id,
            id: uuid::Uuid::new_v4().to_string(),
            common_name: x509::common_name(&certificate),
            owner: x509::distinguished_name(certificate.subject()),
            fingerprint: Fingerprints::of(der).sha256_text,
            content: x509::pem(der),
            verified: false,
            verify_code: random_hex(24),
            provision_enable: false,
            template_id: None,
            ocsp_enable: false,
            ocsp_ssl_enable: false,
            ocsp_server_ca_id: None,
            created_at: now,
            effective_at,
            expires_at,
        };
        let ca = self.store.insert_ca(ca, self.settings.certificate.max_cas).await?;
        self.bus.announce(Changed::Authorities).await;
        Ok(ca)
    }

    /// One authority of `spaces`.
    ///
    /// # Errors
    /// [`Code::CaNotFound`].
    pub async fn ca(&self, spaces: &Spaces, id: &str) -> Result<CaCertificate> {
        self.store.ca(id).await?.filter(|ca| spaces.sees(&ca.app_id)).ok_or_else(|| not_found(id))
    }

    /// What people see of an authority now.
    #[must_use]
    pub fn ca_state(&self, ca: &CaCertificate) -> CaState {
        ca.state(self.clock.now(), self.settings.certificate.expiry_notice.as_millis())
    }

    /// A page of authorities, newest first.
    ///
    /// # Errors
    /// [`Code::AppNotFound`] when the one space asked for is not there.
    pub async fn list_cas(&self, spaces: &Spaces, page: PageRequest) -> Result<Page<CaCertificate>> {
        if let Some(app) = spaces.single() {
            self.app(app).await?;
        }
        self.store.list_cas(spaces, page).await
    }

    /// Changes an authority.
    ///
    /// # Errors
    /// [`Code::CaNotFound`]; [`Code::TemplateNotFound`]; [`Code::InvalidInput`] when devices are to be registered without
    /// a template.
    pub async fn update_ca(&self, spaces: &Spaces, id: &str, change: CaChange) -> Result<CaCertificate> {
        let mut ca = self.ca(spaces, id).await?;
        ca.provision_enable = change.provision_enable.unwrap_or(ca.provision_enable);
        ca.template_id = change.template_id.unwrap_or(ca.template_id);
        ca.ocsp_enable = change.ocsp_enable.unwrap_or(ca.ocsp_enable);
        ca.ocsp_ssl_enable = change.ocsp_ssl_enable.unwrap_or(ca.ocsp_ssl_enable);
        ca.ocsp_server_ca_id = change.ocsp_server_ca_id.unwrap_or(ca.ocsp_server_ca_id);
        if ca.provision_enable && ca.template_id.is_none() {
            return Err(Error::invalid(
                "Invalid input. 'provision_enable' needs a provisioning template: send 'template_id', or \
                 'provision_enable' false.",
            ));
        }
        if !self.store.update_ca(&ca).await? {
            return Err(not_found(id));
        }
        self.bus.announce(Changed::Authorities).await;
        Ok(ca)
    }

    /// Deletes an authority. Connections under it end.
    ///
    /// # Errors
    /// [`Code::CaNotFound`]; [`Code::CaInUse`].
    pub async fn delete_ca(&self, spaces: &Spaces, id: &str) -> Result<()> {
        let ca = self.ca(spaces, id).await?;
        if !self.store.delete_ca(ca.no).await? {
            return Err(not_found(id));
        }
        self.bus.announce(Changed::Authorities).await;
        Ok(())
    }

    /// Checks the verification certificate: signed by the authority, its common name the verification code
    /// (002 §11.2.3). From then on devices under the authority may connect.
    ///
    /// # Errors
    /// [`Code::CaNotFound`]; [`Code::InvalidVerification`] says what does not fit.
    pub async fn verify_ca(&self, spaces: &Spaces, id: &str, content: &str) -> Result<CaCertificate> {
        let mut ca = self.ca(spaces, id).await?;
        let refuse = |why: &str| {
            Error::new(
                Code::InvalidVerification,
                format!("Invalid input. The verification certificate is refused: {why}."),
            )
        };
        let shown = x509::certificates_of_pem(content).map_err(refuse)?;
        let [der] = &shown[..] else {
            return Err(refuse(&format!("the content must hold one PEM certificate, not {}", shown.len())));
        };
        let shown = x509::read(der).ok_or_else(|| refuse("it cannot be read as X.509"))?;
        let stored = x509::certificates_of_pem(&ca.content).unwrap_or_default();
        let authority = stored.first().and_then(|der| x509::read(der));
        let authority = authority.ok_or_else(|| Error::internal("a stored CA certificate cannot be read"))?;
        if shown.issuer().as_raw() != authority.subject().as_raw() {
            return Err(refuse("its issuer is not the CA certificate's subject"));
        }
        if !x509::is_signed_by(&shown, authority.public_key()) {
            return Err(refuse("it was not signed with the CA's private key, or with SHA-1"));
        }
        if x509::common_name(&shown).as_deref() != Some(ca.verify_code.as_str()) {
            return Err(refuse("its common name (CN) is not the verification code of this CA certificate"));
        }
        let (from, to) = x509::validity(&shown);
        let now = self.clock.now();
        if now > to || now < from.plus_ms(-CLOCK_DIFFERENCE_MS) {
            return Err(refuse("it is not valid now"));
        }
        if !self.store.set_ca_verified(ca.no).await? {
            return Err(not_found(id));
        }
        ca.verified = true;
        self.bus.announce(Changed::Authorities).await;
        Ok(ca)
    }
}

/// A verification certificate is made for this moment, by a machine whose clock may be ahead.
const CLOCK_DIFFERENCE_MS: i64 = 86_400_000;
