//! Moving a device behind another gateway (`iotda-v5-api.md`, `change_gateway`).

use causeway_model::{Code, DeviceId, Error, Result, Spaces};

use crate::Platform;
use crate::bus::Changed;

impl Platform {
    /// Moves a device that is behind a gateway behind another one of its space. What the platform remembers of it is
    /// forgotten, so that the next report comes through the new gateway only.
    ///
    /// # Errors
    /// [`Code::DeviceNotFound`]; [`Code::DeviceState`] for a direct device; [`Code::InvalidGateway`] when the gateway is
    /// the present one, the device itself, not in `spaces` or in another space than the device, or on the lowest level;
    /// [`Code::DeviceHasChildren`].
    pub async fn change_gateway(&self, spaces: &Spaces, id: &DeviceId, gateway: &DeviceId) -> Result<()> {
        let device = self.device(id).await?;
        let Some(present) = &device.gateway_id else {
            return Err(Error::new(
                Code::DeviceState,
                "Operation not allowed. Only devices behind a gateway can be moved to another one.",
            ));
        };
        let refuse =
            |why: &str| Err(Error::new(Code::InvalidGateway, format!("Invalid input. The gateway '{gateway}' {why}.")));
        if gateway == present {
            return refuse("is the gateway of the device already");
        }
        if gateway == id {
            return refuse("is the device itself");
        }
        let target = self.store.device(gateway).await?.filter(|g| spaces.sees(&g.app_id));
        let Some(target) = target else { return refuse("does not exist") };
        self.check_gateway(gateway, &device.app_id).await?;
        if !self.store.set_gateway(device.no, target.no).await? {
            return Err(Error::new(Code::DeviceNotFound, format!("The device '{id}' does not exist.")));
        }
        self.bus.announce(Changed::Device(id.clone())).await;
        // Both gateways hear of it, each as far as it is connected.
        self.tell_of_children(std::slice::from_ref(id), true).await;
        self.tell_device_changed(&device.app_id, id).await;
        Ok(())
    }
}
