//! Property set and get on the live device (002 §2.1.2.8.3, §2.1.2.8.4). Neither touches the shadow.

use causeway_model::properties::PropertyObject;
use causeway_model::{DeviceId, Error, Result};

use crate::Platform;
use crate::command::{CommandAnswer, new_request_id};
use crate::downlink::Downlink;

impl Platform {
    /// Sets properties on the device and waits for its answer.
    ///
    /// # Errors
    /// As [`send_command`](Platform::send_command);
    /// [`Code::PropertyNotWritable`](causeway_model::Code::PropertyNotWritable) from the product model.
    pub async fn set_properties(
        &self,
        id: &DeviceId,
        services: Vec<(String, PropertyObject)>,
    ) -> Result<CommandAnswer> {
        let device = self.device(id).await?;
        let Some(product) = self.products.get(&*self.store, device.product_no).await? else {
            return Err(Error::internal(format!("device {id} has no product")));
        };
        for (service_id, properties) in &services {
            product.current().model.check_service(service_id)?;
            product.current().model.check_writable(service_id, properties)?;
        }
        let request_id = new_request_id();
        let downlink =
            Downlink::PropertySet { request_id: request_id.clone(), object_device_id: device.id.clone(), services };
        let answer = self.ask(&device, request_id.clone(), downlink).await?;
        Ok(CommandAnswer { command_id: request_id, answer })
    }

    /// Asks the device for the properties of a service and waits for its answer.
    ///
    /// # Errors
    /// As [`send_command`](Platform::send_command).
    pub async fn get_properties(&self, id: &DeviceId, service_id: Option<String>) -> Result<CommandAnswer> {
        let device = self.device(id).await?;
        if let Some(service_id) = &service_id {
            let Some(product) = self.products.get(&*self.store, device.product_no).await? else {
                return Err(Error::internal(format!("device {id} has no product")));
            };
            product.current().model.check_service(service_id)?;
        }
        let request_id = new_request_id();
        let downlink =
            Downlink::PropertyGet { request_id: request_id.clone(), object_device_id: device.id.clone(), service_id };
        let answer = self.ask(&device, request_id.clone(), downlink).await?;
        Ok(CommandAnswer { command_id: request_id, answer })
    }
}
