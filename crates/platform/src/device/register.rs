//! Registering devices (002 §3.3.1), one or many.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use causeway_model::forwarding::Subject;
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

/// Devices made ready before they go to the store: sealing so many takes a millisecond or two, the store as long again.
const CHUNK: usize = 512;

/// What many devices of one product have in common.
struct Prototype {
    product: Product,
    desired: InitialDesired,
}

/// A device to insert: its place in the call, the device, the desired side of its shadow, its secret in the clear.
type Ready = (usize, Device, InitialDesired, Option<String>);

/// What a product id means to a caller who sees these spaces.
type Found = (Spaces, Result<Arc<Prototype>>);

/// What a call that registers many has looked up.
#[derive(Default)]
struct LookedUp {
    prototypes: HashMap<ProductId, Vec<Found>>,
    /// Fit to have devices of the space behind them. One that is not there may be registered by this very call.
    gateways: HashSet<(DeviceId, AppId)>,
}

/// The product's default values as the desired side of a new shadow.
fn default_desired(product: &Product) -> InitialDesired {
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
    desired
}

/// `desired` with what the caller asked for laid over it.
fn lay_over(mut desired: InitialDesired, asked: InitialDesired) -> Result<InitialDesired> {
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
        let mut outcomes = self.register_devices(vec![new]).await;
        outcomes.pop().unwrap_or_else(|| Err(Error::internal("a new device has no outcome")))
    }

    /// Registers devices, each as [`register_device`](Self::register_device) does and in their order: one may be behind
    /// another that comes before it. Each has an outcome of its own, in the same order.
    pub async fn register_devices(&self, new: Vec<NewDevice>) -> Vec<Result<Registered>> {
        let mut outcomes: Vec<Option<Result<Registered>>> = Vec::new();
        outcomes.resize_with(new.len(), || None);
        let mut looked_up = LookedUp::default();
        let mut ready = Vec::new();
        let mut ready_ids: HashSet<DeviceId> = HashSet::new();
        for (at, new) in new.into_iter().enumerate() {
            let behind_one_of_these = new.gateway_id.as_ref().is_some_and(|gateway| ready_ids.contains(gateway));
            if behind_one_of_these || ready.len() == CHUNK {
                self.insert_ready(&mut ready, &mut outcomes).await;
                ready_ids.clear();
            }
            match self.make_ready(new, &mut looked_up).await {
                Ok((device, desired, secret)) => {
                    ready_ids.insert(device.id.clone());
                    ready.push((at, device, desired, secret));
                }
                Err(error) => outcomes[at] = Some(Err(error)),
            }
        }
        self.insert_ready(&mut ready, &mut outcomes).await;
        let none = || Err(Error::internal("a new device has no outcome"));
        outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(none)).collect()
    }

    /// Hands the devices that are ready to the store.
    async fn insert_ready(&self, ready: &mut Vec<Ready>, outcomes: &mut [Option<Result<Registered>>]) {
        if ready.is_empty() {
            return;
        }
        let (mut places, mut devices) = (Vec::with_capacity(ready.len()), Vec::with_capacity(ready.len()));
        for (at, device, desired, secret) in ready.drain(..) {
            places.push((at, secret));
            devices.push((device, desired));
        }
        let inserted = self.store.insert_devices(devices).await;
        let behind = inserted.iter().flatten().filter(|device| device.gateway_id.is_some());
        let behind: Vec<DeviceId> = behind.map(|device| device.id.clone()).collect();
        self.tell_of_children(&behind, false).await;
        self.tell_devices(Subject::DEVICE_CREATE, inserted.iter().flatten()).await;
        for ((at, secret), device) in places.into_iter().zip(inserted) {
            outcomes[at] = Some(device.map(|device| Registered { device, secret }));
        }
    }

    /// The device to insert, the desired side of its shadow, and its secret in the clear.
    async fn make_ready(
        &self,
        new: NewDevice,
        looked_up: &mut LookedUp,
    ) -> Result<(Device, InitialDesired, Option<String>)> {
        let prototype = self.prototype(&new, &mut looked_up.prototypes).await?;
        let product = &prototype.product;
        if let Some(gateway) = &new.gateway_id {
            let key = (gateway.clone(), product.app_id.clone());
            if !looked_up.gateways.contains(&key) {
                self.check_gateway(gateway, &product.app_id).await?;
                looked_up.gateways.insert(key);
            }
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
        let desired = lay_over(prototype.desired.clone(), new.desired)?;
        let device = Device {
            no: DeviceNo(0),
            app_id: product.app_id.clone(),
            app_name: product.app_name.clone(),
            id,
            node_id: new.node_id,
            name: new.name,
            description: new.description,
            product_no: product.no,
            product_id: product.id.clone(),
            product_name: product.name.clone(),
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
            tags: Vec::new(),
        };
        Ok((device, desired, secret))
    }

    /// The product of a new device and what comes of it, looked up once a call.
    async fn prototype(&self, new: &NewDevice, known: &mut HashMap<ProductId, Vec<Found>>) -> Result<Arc<Prototype>> {
        let of_id = known.entry(new.product_id.clone()).or_default();
        if let Some((_, outcome)) = of_id.iter().find(|(spaces, _)| *spaces == new.spaces) {
            return outcome.clone();
        }
        let outcome = self.product(&new.spaces, &new.product_id).await.map(|product| {
            let desired = default_desired(&product);
            Arc::new(Prototype { product, desired })
        });
        of_id.push((new.spaces.clone(), outcome.clone()));
        outcome
    }

    /// A gateway must exist in the same space and not be too deep itself (`iotda-v5-api.md`, `add_device`).
    pub(super) async fn check_gateway(&self, gateway: &DeviceId, app: &AppId) -> Result<()> {
        let refuse =
            |why: &str| Err(Error::new(Code::InvalidGateway, format!("Invalid input. The gateway '{gateway}' {why}.")));
        let Some(mut at) = self.store.device(gateway).await? else {
            return refuse("does not exist in the resource space");
        };
        if at.app_id != *app {
            // No other words than for one that is nowhere: whoever asks may not know the other space.
            return refuse("does not exist in the resource space");
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
