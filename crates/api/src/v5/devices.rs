//! Devices (002 §3.3, §3.4).

use causeway_model::registry::{AuthType, Device as Record, DeviceFilter};
use causeway_model::{AppId, Code, DeviceId, Error, NodeId, ProductId, Result};
use causeway_platform::device::{CredentialSlot, DeviceChange, NewDevice, NewDeviceAuth};
use serde_json::value::RawValue;

use super::device_body::{
    AddDevice, AuthInfo, AuthReply, ChangeGateway, Device, DeviceItem, Devices, ResetSecret, SecretReply, UpdateDevice,
};
use crate::bounded::{Any, Flag, Text, Word, words};
use crate::call::{Call, Page, Reply};
use crate::decode;
use crate::operation::{Built, Param, Success, json};
use crate::shape::{Compact, Millis, Nothing};

words! {
    /// Actions of a device; the vendor has this one.
    Action: "resetSecret";
}

/// Most characters of `extension_info` (`iotda-v5-api.md` §5).
const EXTENSION_MAX: usize = 1024;

type NameFilter = Text<Any, 0, 256>;

/// The caller's own JSON, if it is short enough.
pub(super) fn checked_extension(raw: Option<Box<RawValue>>) -> Result<Option<String>> {
    let Some(raw) = raw else { return Ok(None) };
    decode::check_depth("extension_info", &raw)?;
    if decode::characters(&raw) > EXTENSION_MAX {
        return Err(Error::invalid(format!(
            "Invalid input. 'extension_info' is longer than {EXTENSION_MAX} characters."
        )));
    }
    Ok(Some(raw.get().to_owned()))
}

fn new_auth(asked: Option<AuthInfo>) -> NewDeviceAuth {
    let Some(asked) = asked else { return NewDeviceAuth::default() };
    NewDeviceAuth {
        auth_type: asked
            .auth_type
            .map(|t| if t.as_str() == "CERTIFICATES" { AuthType::Certificates } else { AuthType::Secret }),
        secret: asked.secret.map(Text::into_string),
        fingerprint: asked.fingerprint.map(crate::bounded::Fingerprint::into_string),
        secure_access: asked.secure_access,
        timeout_s: asked.timeout.map_or(0, |t| t.0),
    }
}

/// What an answer shows of the credentials: the secret in the answer that made it only, `timeout` in answers to
/// creation and update only (`iotda-v5-api.md`, AuthInfoRes).
struct Shown {
    secret: Option<String>,
    timeout: bool,
}

fn auth_reply(record: &Record, shown: Shown) -> AuthReply {
    AuthReply {
        auth_type: record.auth.auth_type.as_str(),
        secret: shown.secret,
        fingerprint: record.auth.fingerprint.clone(),
        secondary_fingerprint: record.auth.secondary_fingerprint.clone(),
        secure_access: record.auth.secure_access,
        timeout: shown.timeout.then_some(record.auth.timeout_s),
    }
}

fn device_reply(record: Record, shown: Shown) -> Result<Device> {
    let extension_info = match &record.extension_info {
        Some(text) => Some(RawValue::from_string(text.clone()).map_err(Error::internal)?),
        None => None,
    };
    let auth_info = auth_reply(&record, shown);
    let status = record.status().as_str();
    let node_type = record.node_type();
    Ok(Device {
        app_id: record.app_id.to_string(),
        app_name: record.app_name,
        device_id: record.id.to_string(),
        node_id: record.node_id.to_string(),
        gateway_id: record.gateway_id.unwrap_or(record.id).to_string(),
        device_name: record.name,
        node_type,
        description: record.description,
        fw_version: record.fw_version,
        sw_version: record.sw_version,
        device_sdk_version: record.sdk_version,
        auth_info,
        product_id: record.product_id.to_string(),
        product_name: record.product_name,
        status,
        create_time: Compact(record.created_at),
        connection_status_update_time: record.status_changed_at.map(Millis),
        active_time: record.activated_at.map(Millis),
        tags: record.tags.into_iter().map(Into::into).collect(),
        extension_info,
    })
}

fn item_reply(record: Record) -> DeviceItem {
    let status = record.status().as_str();
    let node_type = record.node_type();
    DeviceItem {
        app_id: record.app_id.to_string(),
        app_name: record.app_name,
        device_id: record.id.to_string(),
        node_id: record.node_id.to_string(),
        gateway_id: record.gateway_id.unwrap_or(record.id).to_string(),
        device_name: record.name,
        node_type,
        description: record.description,
        fw_version: record.fw_version,
        sw_version: record.sw_version,
        device_sdk_version: record.sdk_version,
        product_id: record.product_id.to_string(),
        product_name: record.product_name,
        status,
        tags: record.tags.into_iter().map(Into::into).collect(),
    }
}

pub(super) static ADD: Built =
    Built::new("Registers a device. The answer is the only one that shows its secret.", json::<Device>(201), |c| {
        Box::pin(add(c))
    })
    .body::<AddDevice>()
    .errors(&[
        Code::ProductNotFound,
        Code::AppNotFound,
        Code::InvalidGateway,
        Code::DeviceExists,
        Code::InvalidShadow,
    ]);

async fn add(call: Call) -> Result<Reply> {
    let new: AddDevice = call.body()?;
    let spaces = call.spaces(new.app_id.map(|id| id.0))?;
    let mut desired = Vec::new();
    for (i, entry) in new.shadow.into_iter().flatten().enumerate() {
        desired
            .push((entry.service_id.into_string(), decode::object(&format!("shadow[{i}].desired"), &entry.desired)?));
    }
    let registered = call
        .platform()
        .register_device(NewDevice {
            id: new.device_id.map(|id| id.0),
            node_id: new.node_id.0,
            name: new.device_name.map(Text::into_string),
            product_id: new.product_id.0,
            spaces,
            gateway_id: new.gateway_id.map(|id| id.0),
            description: new.description.map(Text::into_string),
            extension_info: checked_extension(new.extension_info)?,
            auth: new_auth(new.auth_info),
            desired,
        })
        .await?;
    Reply::created(&device_reply(registered.device, Shown { secret: registered.secret, timeout: true })?)
}

pub(super) static LIST: Built = Built::new("Lists devices.", json::<Devices>(200), |c| Box::pin(list(c)))
    .query(&[
        Param::optional::<ProductId>("product_id", "Only of this product."),
        Param::optional::<DeviceId>("gateway_id", "Only those behind this gateway."),
        Param::optional::<Flag>(
            "is_cascade_query",
            "With gateway_id: those behind it on any level, not only directly.",
        ),
        Param::optional::<NodeId>("node_id", "Only the one with this node id."),
        Param::optional::<NameFilter>("device_name", "Only those whose name contains this text."),
        Param::optional::<Text<Any, 0, 64>>("start_time", "Only those registered from here on, like 20151212T121212Z."),
        Param::optional::<Text<Any, 0, 64>>("end_time", "Only those registered before, like 20151212T121212Z."),
        Param::optional::<AppId>("app_id", "Only of this resource space."),
    ])
    .paged()
    .errors(&[Code::AppNotFound, Code::InvalidTime, Code::TimeOrder]);

async fn list(call: Call) -> Result<Reply> {
    let filter = DeviceFilter {
        spaces: call.spaces(call.query("app_id")?)?,
        product_id: call.query("product_id")?,
        gateway_id: call.query("gateway_id")?,
        cascade: call.flag("is_cascade_query")?.unwrap_or(false),
        node_id: call.query::<NodeId>("node_id")?.map(|id| id.to_string()),
        name: call.query::<NameFilter>("device_name")?.map(Text::into_string),
        from: call.time("start_time")?,
        to: call.time("end_time")?,
    };
    let found = call.platform().list_devices(&filter, call.page()?).await?;
    let page = Page::of(&found);
    Reply::ok(&Devices { devices: found.items.into_iter().map(item_reply).collect(), page })
}

pub(super) static SHOW: Built =
    Built::new("Shows a device, without its secret.", json::<Device>(200), |c| Box::pin(show(c)))
        .errors(&[Code::DeviceNotFound]);

async fn show(call: Call) -> Result<Reply> {
    let device = call.platform().device(&call.device_id()?).await?;
    // The vendor's platform shows the secret here as well. Ours shows it once, when it is made.
    Reply::ok(&device_reply(device, Shown { secret: None, timeout: false })?)
}

pub(super) static UPDATE: Built = Built::new("Changes a device.", json::<Device>(200), |c| Box::pin(update(c)))
    .body::<UpdateDevice>()
    .errors(&[Code::DeviceNotFound]);

async fn update(call: Call) -> Result<Reply> {
    let id = call.device_id()?;
    let change: UpdateDevice = call.body()?;
    let (secure_access, timeout) = change.auth_info.map_or((None, None), |a| (a.secure_access, a.timeout));
    let change = DeviceChange {
        name: change.device_name.map(Text::into_string),
        description: change.description.map(Text::into_string),
        extension_info: checked_extension(change.extension_info)?,
        secure_access,
        timeout_s: timeout.map(|t| t.0),
    };
    let device = call.platform().update_device(&id, change).await?;
    Reply::ok(&device_reply(device, Shown { secret: None, timeout: true })?)
}

pub(super) static DELETE: Built =
    Built::new("Deletes a device with its shadow, history and messages.", Success::Empty, |c| Box::pin(delete(c)))
        .errors(&[Code::DeviceNotFound, Code::DeviceHasChildren]);

async fn delete(call: Call) -> Result<Reply> {
    call.platform().delete_device(&call.device_id()?).await?;
    Ok(Reply::empty())
}

pub(super) static CHANGE_GATEWAY: Built =
    Built::new("Moves a device behind another gateway of its resource space.", json::<Nothing>(200), |c| {
        Box::pin(change_gateway(c))
    })
    .body::<ChangeGateway>()
    .errors(&[Code::DeviceNotFound, Code::InvalidGateway, Code::DeviceState, Code::DeviceHasChildren]);

async fn change_gateway(call: Call) -> Result<Reply> {
    let id = call.device_id()?;
    let asked: ChangeGateway = call.body()?;
    call.platform().change_gateway(&call.allowed, &id, &asked.gateway_id.0).await?;
    Reply::ok(&Nothing)
}

pub(super) static FREEZE: Built =
    Built::new("Disconnects a device and keeps it from connecting.", Success::Empty, |c| Box::pin(set_frozen(c, true)))
        .errors(&[Code::DeviceNotFound, Code::DeviceState]);

pub(super) static UNFREEZE: Built =
    Built::new("Lets a frozen device connect again.", Success::Empty, |c| Box::pin(set_frozen(c, false)))
        .errors(&[Code::DeviceNotFound, Code::DeviceState]);

async fn set_frozen(call: Call, frozen: bool) -> Result<Reply> {
    call.platform().set_frozen(&call.device_id()?, frozen).await?;
    Ok(Reply::empty())
}

pub(super) static RESET_SECRET: Built =
    Built::new("Replaces a secret. The answer is the only one that shows it.", json::<SecretReply>(200), |c| {
        Box::pin(reset_secret(c))
    })
    .query(&[Param::mandatory::<Word<Action>>("action_id", "What to do.")])
    .body::<ResetSecret>()
    .errors(&[Code::DeviceNotFound, Code::WrongAuthType]);

async fn reset_secret(call: Call) -> Result<Reply> {
    let id = call.device_id()?;
    if call.query::<Word<Action>>("action_id")?.is_none() {
        return Err(Error::invalid(
            "Invalid input. The mandatory parameter 'action_id' is missing; it must be resetSecret.",
        ));
    }
    let asked: ResetSecret = call.body()?;
    let secret_type = asked.secret_type.map_or("PRIMARY", |t| t.as_str());
    let slot = if secret_type == "SECONDARY" { CredentialSlot::Secondary } else { CredentialSlot::Primary };
    let secret = call
        .platform()
        .reset_secret(&id, asked.secret.map(Text::into_string), slot, asked.force_disconnect.unwrap_or(false))
        .await?;
    Reply::ok(&SecretReply { device_id: id.to_string(), secret, secret_type })
}
