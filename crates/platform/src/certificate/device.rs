//! Certificates that devices have shown.

use causeway_model::certificate::DeviceCertificate;
use causeway_model::registry::{Device, Page, PageRequest};
use causeway_model::{Code, Error, Result, Spaces};

use super::DeviceCertificateFilter;
use crate::Platform;
use crate::bus::Changed;

fn not_found(id: &str) -> Error {
    Error::new(Code::DeviceCertificateNotFound, format!("The device certificate '{id}' does not exist."))
}

impl Platform {
    /// One certificate of `spaces`.
    ///
    /// # Errors
    /// [`Code::DeviceCertificateNotFound`].
    pub async fn device_certificate(&self, spaces: &Spaces, id: &str) -> Result<DeviceCertificate> {
        let found = self.store.device_certificate(id).await?;
        found.filter(|c| spaces.sees(&c.app_id)).ok_or_else(|| not_found(id))
    }

    /// A page of certificates, newest first.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn list_device_certificates(
        &self,
        filter: &DeviceCertificateFilter,
        page: PageRequest,
    ) -> Result<Page<DeviceCertificate>> {
        self.store.list_device_certificates(filter, page).await
    }

    /// Revokes a certificate, which ends the connections that were opened with it, or lets it be used again.
    ///
    /// # Errors
    /// [`Code::DeviceCertificateNotFound`].
    pub async fn set_device_certificate_active(
        &self,
        spaces: &Spaces,
        id: &str,
        active: bool,
    ) -> Result<DeviceCertificate> {
        let mut certificate = self.device_certificate(spaces, id).await?;
        if !self.store.set_device_certificate_active(certificate.no, active).await? {
            return Err(not_found(id));
        }
        certificate.active = active;
        if !active {
            let mut sha256 = [0; 32];
            hex::decode_to_slice(&certificate.sha256, &mut sha256).map_err(Error::internal)?;
            self.bus.announce(Changed::CertificateRevoked { app: certificate.app_id.clone(), sha256 }).await;
        }
        Ok(certificate)
    }

    /// Forgets a certificate that no device uses.
    ///
    /// # Errors
    /// [`Code::DeviceCertificateNotFound`]; [`Code::DeviceCertificateInUse`].
    pub async fn delete_device_certificate(&self, spaces: &Spaces, id: &str) -> Result<()> {
        let certificate = self.device_certificate(spaces, id).await?;
        if !self.store.delete_device_certificate(certificate.no).await? {
            return Err(not_found(id));
        }
        Ok(())
    }

    /// A page of the devices that use a certificate, newest first.
    ///
    /// # Errors
    /// [`Code::DeviceCertificateNotFound`].
    pub async fn devices_of_certificate(&self, spaces: &Spaces, id: &str, page: PageRequest) -> Result<Page<Device>> {
        let certificate = self.device_certificate(spaces, id).await?;
        self.store.devices_of_certificate(&certificate, page).await
    }
}
