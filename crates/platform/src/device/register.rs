//! Registering a device (002 §3.3.1).

use causeway_model::properties::{ObjectBuilder, PropertyObject};
use causeway_model::registry::{AuthType, Device, DeviceAuth, Product};
use causeway_model::shadow::is_shadow_key;
use causeway_model::status::DeviceStatus;
use causeway_model::{AppId, Code, DeviceId, DeviceNo, Error, NodeId, ProductId, Result, Spaces};

use super::InitialDesired;
use crate::Platform;
use crate::secrets::random_hex;

/// Credentials asked for at registration.
#[derive(Clone, Debug, Default)]
pub struct NewDeviceAuth {
    /// Secret unless said otherwise.
    pub auth_type: Option<AuthType>,
    /// Chosen by the caller, or made.
    pub secret: Option<String>,
    /// Fingerprint of the certificate, hex.
    pub fingerprint: Option<String>,
    /// Whether only encrypted doors are open.
    pub secure_access: Option<bool>,
    /// Seconds within which the device must connect first; 0 = no limit.
    pub timeout_s: i64,
}

/// A device to register; checked fields of the API.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// Chosen by the caller, or `{product_id}_{node_id}`.
    pub id: Option<DeviceId>,
    /// What the device calls itself.
    pub node_id: NodeId,
    /// Display name.
    pub name: Option<String>,
    /// Its product.
    pub product_id: ProductId,
    /// The one space that the caller named, or those in which it may register devices.
    pub spaces: Spaces,
    /// The gateway it is behind.
    pub gateway_id: Option<DeviceId>,
    /// Free text.
    pub description: Option<String>,
    /// The caller's own JSON.
    pub extension_info: Option<String>,
    /// Credentials.
    pub auth: NewDeviceAuth,
    /// Initial desired properties by service.
    pub desired: InitialDesired,
}

/// A registered device with the secret to show once.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The device.
    pub device: Device,
    /// Its secret in the clear, for the answer to this call only.
    pub secret: Option<String>,
}

/// The product's default values as the desired side of a new shadow, with what the caller asked for laid over it.
fn initial_desired(product: &Product, asked: InitialDesired) -> Result<InitialDesired> {
    let mut desired: InitialDesired = Vec::new();
    for service in &product.services {
        let mut builder = ObjectBuilder::default();
        for property in &service.properties {
            if let Some(value) = property.default_value.as_ref().filter(|v| !v.is_null()) {
                builder.set(&property.property_name, &value.to_string());
            }
        }
        let defaults = builder.finish();
        if !defaults.is_empty() {
            desired.push((service.service_id.clone(), defaults));
        }
    }
    for (service_id, properties) in asked {
        let mut refused = None;
        properties.for_each(|name, _| {
            if !is_shadow_key(name) {
                refused = Some(name.to_owned());
            }
        });
        if let Some(name) = refused {
            return Err(Error::new(
                Code::InvalidShadow,
                format!("Invalid input. The shadow key '{name}' may not be empty nor hold '.', '$' or NUL."),
            ));
        }
        match desired.iter_mut().find(|(s, _)| *s == service_id) {
            Some((_, defaults)) => *defaults = defaults.merged(&properties),
            None => desired.push((service_id, properties)),
        }
    }
    desired.retain(|(_, p): &(String, PropertyObject)| !p.is_empty());
    Ok(desired)
}

impl Platform {
    /// Registers a device.
    ///
    /// # Errors
    /// [`Code::ProductNotFound`]; [`Code::InvalidGateway`]; [`Code::DeviceExists`]; [`Code::InvalidInput`].
    pub async fn register_device(&self, new: NewDevice) -> Result<Registered> {
        let product = self.product(&new.spaces, &new.product_id).await?;
        if let Some(gateway) = &new.gateway_id {
            self.check_gateway(gateway, &product.app_id).await?;
        }
        let id = match new.id {
            Some(id) => id,
            None => DeviceId::parse(&format!("{}_{}", new.product_id, new.node_id))?,
        };
        let auth_type = new.auth.auth_type.unwrap_or(AuthType::Secret);
        let secret = match auth_type {
            AuthType::Secret => Some(new.auth.secret.unwrap_or_else(|| random_hex(16))),
            AuthType::Certificates => None,
        };
        let desired = initial_desired(&product, new.desired)?;
        let device = Device {
            no: DeviceNo(0),
            app_id: product.app_id,
            app_name: product.app_name,
            id,
            node_id: new.node_id,
            name: new.name,
            description: new.description,
            product_no: product.no,
            product_id: product.id,
            product_name: product.name,
            gateway_id: new.gateway_id,
            fw_version: None,
            sw_version: None,
            sdk_version: None,
            auth: DeviceAuth {
                auth_type,
                secret: secret.as_ref().map(|s| self.secrets.seal(s.as_bytes())),
                secondary_secret: None,
                fingerprint: new.auth.fingerprint.map(|f| f.to_ascii_lowercase()),
                secondary_fingerprint: None,
                secure_access: new.auth.secure_access.unwrap_or(false),
                timeout_s: new.auth.timeout_s,
            },
            connection: DeviceStatus::Inactive,
            frozen: false,
            created_at: self.clock.now(),
            status_changed_at: None,
            activated_at: None,
            last_online_at: None,
            extension_info: new.extension_info,
        };
        let device = self.store.insert_device(device, desired).await?;
        Ok(Registered { device, secret })
    }

    /// A gateway must exist in the same space and not be too deep itself (`iotda-v5-api.md`, `add_device`).
    async fn check_gateway(&self, gateway: &DeviceId, app: &AppId) -> Result<()> {
        let refuse =
            |why: &str| Err(Error::new(Code::InvalidGateway, format!("Invalid input. The gateway '{gateway}' {why}.")));
        let Some(mut at) = self.store.device(gateway).await? else { return refuse("does not exist") };
        if at.app_id != *app {
            return refuse("belongs to another resource space");
        }
        for depth in 1..=self.settings.registry.max_gateway_depth {
            let Some(above) = at.gateway_id.clone() else { return Ok(()) };
            if depth == self.settings.registry.max_gateway_depth {
                break;
            }
            match self.store.device(&above).await? {
                Some(device) => at = device,
                None => return Ok(()),
            }
        }
        refuse("is on the lowest level already")
    }
}
