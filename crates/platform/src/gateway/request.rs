//! Gateways register, change and delete the devices behind them (002 §2.1.2.7.9–14). Each device of a request has an
//! outcome of its own.

use std::sync::Arc;

use causeway_model::registry::Device;
use causeway_model::service_event::{NewSubDevice, SubDeviceChange};
use causeway_model::{Code, DeviceId, Error, NodeId, ProductId, Result, Spaces};
use serde_json::value::RawValue;

use super::{GatewayNotice, SubDevice};
use crate::Platform;
use crate::device::{DeviceChange, NewDevice, NewDeviceAuth};
use crate::uplink::DeviceContext;

/// Longest display name, description and extension, in characters (`iotda-v5-api.md`, `add_device`).
const NAME_MAX: usize = 256;
const DESCRIPTION_MAX: usize = 2048;
const EXTENSION_MAX: usize = 1024;

fn check_texts(name: Option<&str>, description: Option<&str>, extension_info: Option<&str>) -> Result<()> {
    let long = |text: Option<&str>, max: usize| text.is_some_and(|t| t.chars().count() > max);
    let has_control =
        |text: Option<&str>| text.is_some_and(|t| t.chars().any(|c| c.is_control() && !"\n\r\t".contains(c)));
    if long(name, NAME_MAX) || has_control(name) {
        return Err(Error::invalid("Invalid input. 'name' must be at most 256 characters without control characters."));
    }
    if long(description, DESCRIPTION_MAX) || has_control(description) {
        return Err(Error::invalid(
            "Invalid input. 'description' must be at most 2048 characters without control characters.",
        ));
    }
    if long(extension_info, EXTENSION_MAX)
        || extension_info.is_some_and(|text| serde_json::from_str::<&RawValue>(text).is_err())
    {
        return Err(Error::invalid("Invalid input. 'extension_info' must be JSON of at most 1024 characters."));
    }
    Ok(())
}

pub(super) fn not_behind(id: &str) -> Error {
    let shown: String = id.chars().take(128).collect();
    Error::new(Code::NotASubDevice, format!("The device '{shown}' does not exist or is not behind the gateway."))
}

impl Platform {
    pub(super) fn check_count(&self, count: usize, limit: u32) -> Result<()> {
        if count == 0 || count > limit as usize {
            return Err(Error::new(
                Code::TooManyInRequest,
                format!("The request names {count} devices; it must name 1 to {limit}."),
            ));
        }
        Ok(())
    }

    /// Registers devices behind a gateway (002 §2.1.2.7.9).
    pub(super) async fn add_sub_devices(
        &self,
        gateway: &Arc<DeviceContext>,
        devices: Vec<NewSubDevice>,
    ) -> Result<GatewayNotice> {
        let limit = self.settings.gateway.max_request;
        let refused = self.check_count(devices.len(), limit).err();
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        if let Some(error) = refused {
            let named = devices.into_iter().take(limit as usize);
            failed.extend(named.map(|d| (d.node_id, d.product_id, error.clone())));
            return Ok(GatewayNotice::AddResponse { successful, failed });
        }
        let (mut asked, mut ready) = (Vec::new(), Vec::new());
        for device in devices {
            match self.new_sub_device(gateway, &device).await {
                Ok(new) => {
                    asked.push((device.node_id, device.product_id));
                    ready.push(new);
                }
                Err(error) if error.is_retryable() => return Err(error),
                Err(error) => failed.push((device.node_id, device.product_id, error)),
            }
        }
        let outcomes = self.register_devices(ready).await;
        for ((node_id, product_id), outcome) in asked.into_iter().zip(outcomes) {
            match outcome {
                Ok(registered) => successful.push(self.sub_device(gateway, &registered.device).await?),
                Err(error) => failed.push((node_id, product_id, error)),
            }
        }
        Ok(GatewayNotice::AddResponse { successful, failed })
    }

    async fn new_sub_device(&self, gateway: &Arc<DeviceContext>, device: &NewSubDevice) -> Result<NewDevice> {
        check_texts(device.name.as_deref(), device.description.as_deref(), device.extension_info.as_deref())?;
        let parent = match device.parent_device_id.as_deref() {
            Some(id) if id != gateway.id.as_str() => {
                self.child_of(gateway, id).await?.ok_or_else(|| not_behind(id))?.id.clone()
            }
            _ => gateway.id.clone(),
        };
        Ok(NewDevice {
            id: device.device_id.as_deref().map(DeviceId::parse).transpose()?,
            node_id: NodeId::parse(&device.node_id)?,
            name: device.name.clone(),
            product_id: ProductId::parse(&device.product_id)?,
            spaces: Spaces::one(gateway.app_id.clone()),
            gateway_id: Some(parent),
            description: device.description.clone(),
            extension_info: device.extension_info.clone(),
            auth: NewDeviceAuth::default(),
            desired: Vec::new(),
        })
    }

    async fn sub_device(&self, gateway: &Arc<DeviceContext>, device: &Device) -> Result<SubDevice> {
        let product = self.store.product(device.product_no).await?;
        Ok(SubDevice::new(device, device.gateway_id.as_ref().unwrap_or(&gateway.id), product.as_ref()))
    }

    /// Deletes devices behind a gateway (002 §2.1.2.7.11).
    pub(super) async fn delete_sub_devices(
        &self,
        gateway: &Arc<DeviceContext>,
        devices: Vec<String>,
    ) -> Result<GatewayNotice> {
        let limit = self.settings.gateway.max_request;
        let refused = self.check_count(devices.len(), limit).err();
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for id in devices.into_iter().take(limit as usize) {
            let outcome = match (&refused, self.child_of(gateway, &id).await?) {
                (Some(error), _) => Err(error.clone()),
                (None, None) => Err(not_behind(&id)),
                (None, Some(child)) => self.delete_device(&child.id).await.map(|()| child.id.clone()),
            };
            match outcome {
                Ok(id) => successful.push(id),
                Err(error) if error.is_retryable() => return Err(error),
                Err(error) => failed.push((id, error)),
            }
        }
        Ok(GatewayNotice::DeleteResponse { successful, failed })
    }

    /// Changes devices behind a gateway (002 §2.1.2.7.13).
    pub(super) async fn update_sub_devices(
        &self,
        gateway: &Arc<DeviceContext>,
        devices: Vec<SubDeviceChange>,
    ) -> Result<GatewayNotice> {
        let limit = self.settings.gateway.max_request;
        let refused = self.check_count(devices.len(), limit).err();
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for change in devices.into_iter().take(limit as usize) {
            let id = change.device_id.clone();
            let outcome = match &refused {
                Some(error) => Err(error.clone()),
                None => self.update_sub_device(gateway, change).await,
            };
            match outcome {
                Ok(device) => successful.push(self.sub_device(gateway, &device).await?),
                Err(error) if error.is_retryable() => return Err(error),
                Err(error) => failed.push((id, error)),
            }
        }
        Ok(GatewayNotice::UpdateResponse { successful, failed })
    }

    async fn update_sub_device(&self, gateway: &Arc<DeviceContext>, change: SubDeviceChange) -> Result<Device> {
        check_texts(change.name.as_deref(), change.description.as_deref(), change.extension_info.as_deref())?;
        let child = self.child_of(gateway, &change.device_id).await?.ok_or_else(|| not_behind(&change.device_id))?;
        let SubDeviceChange { name, description, extension_info, .. } = change;
        self.update_device(&child.id, DeviceChange { name, description, extension_info, ..DeviceChange::default() })
            .await
    }
}
