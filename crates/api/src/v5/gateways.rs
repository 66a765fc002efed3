//! Scans of gateways for devices that are not registered yet (002 §2.1.2.7.7–8); the vendor's console has them, its API
//! has not.

use causeway_model::{Code, DeviceId, Error, Result};
use causeway_platform::gateway::Scan;
use serde_json::value::RawValue;

use crate::bounded::{Id, Name, Text};
use crate::call::{Call, Page, Reply};
use crate::decode;
use crate::operation::{Built, Success, json};
use crate::shape::{Millis, body, reply};

/// Most characters of `scan_settings`.
const SETTINGS_MAX: usize = 4096;

body! {
    /// What a gateway is to look for.
    pub(crate) struct StartScan {
        /// The protocol to look on.
        protocol: Option<Text<Name, 0, 64>>,
        /// The channel to look on.
        channel: Option<Text<Name, 0, 64>>,
        /// The device below which to look: the gateway, or one behind it.
        parent_device_id: Option<Id<DeviceId>>,
        /// Settings that the gateway understands, a JSON object of at most 4096 characters.
        scan_settings: Option<Box<RawValue>>,
    }
}

reply! {
    /// A device that was found.
    pub(crate) struct FoundDevice {
        /// When the gateway told of it.
        found_time: Millis,
        /// What the gateway told: node_id, product_id, name and other fields.
        device: Box<RawValue>,
    }
}

reply! {
    /// Devices that were found, newest first.
    pub(crate) struct ScanResults {
        /// The devices.
        devices: Vec<FoundDevice>,
        /// Where the page stands.
        page: Page,
    }
}

fn checked_settings(raw: Option<Box<RawValue>>) -> Result<Option<String>> {
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else { return Ok(None) };
    decode::check_depth("scan_settings", &raw)?;
    if !raw.get().starts_with('{') || raw.get().chars().count() > SETTINGS_MAX {
        return Err(Error::invalid(format!(
            "Invalid input. 'scan_settings' must be a JSON object of at most {SETTINGS_MAX} characters."
        )));
    }
    Ok(Some(raw.get().to_owned()))
}

pub(super) static START: Built =
    Built::new("Tells a gateway to look for devices; what earlier scans found is forgotten.", Success::Empty, |c| {
        Box::pin(start(c))
    })
    .body::<StartScan>()
    .errors(&[Code::DeviceNotFound, Code::InvalidGateway, Code::GatewayOffline]);

async fn start(call: Call) -> Result<Reply> {
    let gateway = call.device_id()?;
    let asked: StartScan = call.body()?;
    let scan = Scan {
        protocol: asked.protocol.map(Text::into_string),
        channel: asked.channel.map(Text::into_string),
        parent_device_id: asked.parent_device_id.map(|id| id.0),
        settings: checked_settings(asked.scan_settings)?,
    };
    call.platform().start_scan(&gateway, scan).await?;
    Ok(Reply::empty())
}

pub(super) static RESULTS: Built =
    Built::new("Lists the devices that the scans of a gateway found.", json::<ScanResults>(200), |c| {
        Box::pin(results(c))
    })
    .paged()
    .errors(&[Code::DeviceNotFound]);

async fn results(call: Call) -> Result<Reply> {
    let found = call.platform().scan_results(&call.device_id()?, call.page()?).await?;
    let page = Page::of(&found);
    let device = |found: causeway_platform::gateway::Found| {
        let device = RawValue::from_string(found.fields).map_err(Error::internal)?;
        Ok(FoundDevice { found_time: Millis(found.at), device })
    };
    let devices = found.items.into_iter().map(device).collect::<Result<_>>()?;
    Reply::ok(&ScanResults { devices, page })
}
