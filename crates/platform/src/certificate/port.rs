//! What certificates need from the store.

use async_trait::async_trait;
use causeway_model::certificate::{CaCertificate, DeviceCertificate, ServerCertificate};
use causeway_model::registry::{Device, Page, PageRequest};
use causeway_model::{AppId, DeviceNo, RecordNo, Result, Spaces};

use crate::device::CredentialSlot;

/// Which certificates of devices to list. Absent fields do not restrict.
#[derive(Clone, Debug, Default)]
pub struct DeviceCertificateFilter {
    /// Of these spaces.
    pub spaces: Spaces,
    /// Whose common name begins so.
    pub common_name: Option<String>,
    /// With this SHA-1 or SHA-256, lower-case hex.
    pub fingerprint: Option<String>,
}

/// Keeps certificates.
#[async_trait]
pub trait CertificateStore: Send + Sync {
    /// Adds an authority; `no` is ignored. [`Code::TooManyCas`](causeway_model::Code::TooManyCas) when the instance has
    /// `limit` of them, [`Code::CaExists`](causeway_model::Code::CaExists) when the space has this certificate,
    /// [`Code::AppNotFound`](causeway_model::Code::AppNotFound).
    async fn insert_ca(&self, ca: CaCertificate, limit: u32) -> Result<CaCertificate>;
    /// One authority.
    async fn ca(&self, id: &str) -> Result<Option<CaCertificate>>;
    /// Every authority of the instance, oldest first.
    async fn cas(&self) -> Result<Vec<CaCertificate>>;
    /// A page of authorities, newest first.
    async fn list_cas(&self, spaces: &Spaces, page: PageRequest) -> Result<Page<CaCertificate>>;
    /// Sets `provision_enable`, `template_id`, and the fields of OCSP. False when gone;
    /// [`Code::TemplateNotFound`](causeway_model::Code::TemplateNotFound).
    async fn update_ca(&self, ca: &CaCertificate) -> Result<bool>;
    /// Notes that the private key was shown. False when gone.
    async fn set_ca_verified(&self, no: RecordNo) -> Result<bool>;
    /// Deletes an authority with the certificates of devices under it. False when it is not there;
    /// [`Code::CaInUse`](causeway_model::Code::CaInUse) when a device of its space has the fingerprint of one of them.
    async fn delete_ca(&self, no: RecordNo) -> Result<bool>;

    /// Adds a certificate that a device has shown, or sets the authority of the one that is there; the stored one is
    /// returned. `no` is ignored. [`Code::CaNotFound`](causeway_model::Code::CaNotFound) when the authority went.
    async fn put_device_certificate(&self, certificate: DeviceCertificate) -> Result<DeviceCertificate>;
    /// One certificate.
    async fn device_certificate(&self, id: &str) -> Result<Option<DeviceCertificate>>;
    /// The certificate of a space with this SHA-256, lower-case hex.
    async fn device_certificate_by_sha256(&self, app: &AppId, sha256: &str) -> Result<Option<DeviceCertificate>>;
    /// A page of certificates, newest first.
    async fn list_device_certificates(
        &self,
        filter: &DeviceCertificateFilter,
        page: PageRequest,
    ) -> Result<Page<DeviceCertificate>>;
    /// Revokes a certificate or lets it be used again. False when gone.
    async fn set_device_certificate_active(&self, no: RecordNo, active: bool) -> Result<bool>;
    /// Deletes a certificate. False when it is not there;
    /// [`Code::DeviceCertificateInUse`](causeway_model::Code::DeviceCertificateInUse) when a device of its space has its
    /// fingerprint.
    async fn delete_device_certificate(&self, no: RecordNo) -> Result<bool>;
    /// A page of the devices of its space that have its fingerprint, newest first.
    async fn devices_of_certificate(&self, certificate: &DeviceCertificate, page: PageRequest) -> Result<Page<Device>>;
    /// Replaces or clears a fingerprint of a device. False when gone.
    async fn set_fingerprint(&self, no: DeviceNo, slot: CredentialSlot, fingerprint: Option<&str>) -> Result<bool>;
    /// Sets the first fingerprint of a device that has none. False when it has one, or is gone.
    async fn bind_fingerprint(&self, no: DeviceNo, fingerprint: &str) -> Result<bool>;

    /// Adds a server certificate; `no` is ignored.
    /// [`Code::TooManyServerCertificates`](causeway_model::Code::TooManyServerCertificates) when there are `limit` of
    /// them, [`Code::ServerCertificateExists`](causeway_model::Code::ServerCertificateExists).
    async fn insert_server_certificate(&self, certificate: ServerCertificate, limit: u32) -> Result<ServerCertificate>;
    /// One server certificate.
    async fn server_certificate(&self, id: &str) -> Result<Option<ServerCertificate>>;
    /// A page of server certificates, newest first.
    async fn list_server_certificates(&self, page: PageRequest) -> Result<Page<ServerCertificate>>;
    /// Deletes one. False when it is not there.
    async fn delete_server_certificate(&self, no: RecordNo) -> Result<bool>;
}
