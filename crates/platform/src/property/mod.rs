//! Property set and get on the live device (002 §2.1.2.8.3, §2.1.2.8.4). Neither touches the shadow.

use causeway_model::properties::PropertyObject;
use causeway_model::registry::Device;
use causeway_model::{DeviceId, Error, Result};
use causeway_rules::event::write_field;

use crate::Platform;
use crate::command::{CommandAnswer, new_request_id};
use crate::downlink::Downlink;
use crate::runlog::{Business, Line, outcome};

/// Properties to set as their request says them.
fn services_text(services: &[(String, PropertyObject)]) -> String {
    let mut text = String::from(r#"{"services":["#);
    for (place, (service_id, properties)) in services.iter().enumerate() {
        text.push_str(if place == 0 { "{" } else { ",{" });
        write_field(&mut text, "service_id", service_id);
        text.push_str(r#","properties":"#);
        text.push_str(properties.as_str());
        text.push('}');
    }
    text.push_str("]}");
    text
}

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
        let request = services_text(&services);
        let done = self.set_on_device(&device, services, &request).await;
        self.log_call(&device, Business::Property, || {
            let (result, status) = outcome(&done, "200", |a| String::from_utf8_lossy(&a.answer.body));
            let operation = self.device_path(&device, "/properties").into();
            Line { business: Business::Property, operation, request: request.as_str().into(), result, status }
        })
        .await;
        done
    }

    async fn set_on_device(
        &self,
        device: &Device,
        services: Vec<(String, PropertyObject)>,
        request: &str,
    ) -> Result<CommandAnswer> {
        let id = &device.id;
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
        let answered = self.ask(device, request_id.clone(), downlink).await;
        self.log_sent(device, Business::Property, &answered, || {
            (format!("$oc/devices/{id}/sys/properties/set/request_id={request_id}"), request.to_owned())
        })
        .await;
        Ok(CommandAnswer { command_id: request_id, answer: answered? })
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
