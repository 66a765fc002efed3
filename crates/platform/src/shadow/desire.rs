//! Reading and writing shadows for applications and devices.

use causeway_model::shadow::{ServiceShadow, is_shadow_key};
use causeway_model::{Code, DeviceId, Error, Result};

use super::DesiredPatch;
use crate::Platform;
use crate::bus::Changed;
use crate::uplink::DeviceContext;

impl Platform {
    /// The whole shadow of a device.
    ///
    /// # Errors
    /// [`Code::DeviceNotFound`].
    pub async fn shadow(&self, id: &DeviceId) -> Result<Vec<ServiceShadow>> {
        let device = self.device(id).await?;
        self.store.shadow(device.no).await
    }

    /// The shadow that a connected device asks for: its own or that of a device behind it, whole or one service
    /// (002 §2.1.2.8.5). `None` when the device named is not its to ask for.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn shadow_for_device(
        &self,
        from: &DeviceContext,
        object: Option<&str>,
        service_id: Option<&str>,
    ) -> Result<Option<(DeviceId, Vec<ServiceShadow>)>> {
        let (no, id) = match object {
            None | Some("") => (from.no, from.id.clone()),
            Some(id) if id == from.id.as_str() => (from.no, from.id.clone()),
            Some(id) => match self.child_of(from, id).await? {
                Some(child) => (child.no, child.id.clone()),
                None => return Ok(None),
            },
        };
        let mut shadow = self.store.shadow(no).await?;
        if let Some(service_id) = service_id.filter(|s| !s.is_empty()) {
            shadow.retain(|s| s.service_id == service_id);
        }
        Ok(Some((id, shadow)))
    }

    /// Changes the desired side; a connected device gets what does not match at once.
    ///
    /// # Errors
    /// [`Code::DeviceNotFound`]; [`Code::InvalidShadow`] for a refused key; [`Code::NoSuchModel`],
    /// [`Code::PropertyNotWritable`] and [`Code::InvalidInput`] from the product model; [`Code::ShadowVersion`].
    pub async fn desire(&self, id: &DeviceId, patches: Vec<DesiredPatch>) -> Result<Vec<ServiceShadow>> {
        let device = self.device(id).await?;
        let Some(product) = self.products.get(&*self.store, device.product_no).await? else {
            return Err(Error::internal(format!("device {id} has no product")));
        };
        let version = product.current().clone();
        for patch in &patches {
            let mut refused = None;
            patch.patch.for_each(|name, _| {
                if !is_shadow_key(name) && refused.is_none() {
                    refused = Some(name.to_owned());
                }
            });
            if let Some(name) = refused {
                return Err(Error::new(
                    Code::InvalidShadow,
                    format!("Invalid input. The key '{name}' may not be empty nor hold '.', '$' or NUL."),
                ));
            }
            version.model.check_service(&patch.service_id)?;
            version.model.check_writable(&patch.service_id, &patch.patch)?;
        }
        let shadows = self.store.desire(device.no, patches, self.clock.now()).await?;
        self.bus.announce(Changed::Desired(id.clone())).await;
        Ok(shadows)
    }

    /// Deletes the whole shadow.
    ///
    /// # Errors
    /// [`Code::DeviceNotFound`].
    pub async fn delete_shadow(&self, id: &DeviceId) -> Result<()> {
        let device = self.device(id).await?;
        self.store.delete_shadow(device.no).await?;
        self.bus.announce(Changed::Desired(id.clone())).await;
        Ok(())
    }
}
