//! Scans: a gateway looks for devices that are not registered yet (002 §2.1.2.7.7–8).

use causeway_model::registry::{Page, PageRequest};
use causeway_model::service_event::FoundDevice;
use causeway_model::{Code, DeviceId, Error, Result};

use super::{Found, GatewayNotice, Scan};
use crate::Platform;
use crate::downlink::{Downlink, EventNotice, NoticeBody};
use crate::outbox::notification::ModelEvent;
use crate::uplink::{Change, Speaker, Taken, Unit};

impl Platform {
    /// Tells a gateway to look for devices. What earlier scans found is forgotten.
    ///
    /// # Errors
    /// [`Code::DeviceNotFound`]; [`Code::InvalidGateway`] for a device that is behind another one, and when
    /// `parent_device_id` is not the gateway or behind it; [`Code::GatewayOffline`].
    pub async fn start_scan(&self, gateway: &DeviceId, scan: Scan) -> Result<()> {
        let device = self.device(gateway).await?;
        if device.gateway_id.is_some() {
            return Err(Error::new(
                Code::InvalidGateway,
                "Invalid input. The device is behind a gateway. Name the gateway that has the connection.",
            ));
        }
        if let Some(parent) = scan.parent_device_id.as_ref().filter(|id| *id != gateway) {
            let Some(context) = self.context_of(device.clone()).await? else {
                return Err(Error::internal(format!("device {gateway} has no product")));
            };
            if self.child_of(&context, parent.as_str()).await?.is_none() {
                return Err(Error::new(
                    Code::InvalidGateway,
                    "Invalid input. 'parent_device_id' is not the gateway and not behind it.",
                ));
            }
        }
        let notice = EventNotice {
            object_device_id: gateway.clone(),
            event_id: None,
            body: NoticeBody::Gateway(GatewayNotice::StartScan(scan)),
        };
        self.store.forget_found(device.no).await?;
        self.bus.deliver(gateway, Downlink::Event(Box::new(notice))).await.map_err(|error| match error.code() {
            Code::DeviceOffline => Error::new(Code::GatewayOffline, "Invalid input. The gateway is not online."),
            _ => error,
        })
    }

    /// A page of what the scans of a gateway found, newest first.
    ///
    /// # Errors
    /// [`Code::DeviceNotFound`].
    pub async fn scan_results(&self, gateway: &DeviceId, page: PageRequest) -> Result<Page<Found>> {
        let device = self.device(gateway).await?;
        self.store.found(device.no, page).await
    }

    /// Keeps what a scan found and tells the application.
    pub(super) async fn take_scan_result(
        &self,
        speaker: &Speaker<'_>,
        mut found: Vec<FoundDevice>,
        taken: &mut Taken,
    ) -> Result<()> {
        let gateway = speaker.from;
        found.truncate(self.settings.gateway.kept_scan_results as usize);
        if found.is_empty() {
            return Ok(());
        }
        let listed: Vec<&str> = found.iter().map(|f| f.fields.as_str()).collect();
        let paras = format!(r#"{{"devices":[{}]}}"#, listed.join(","));
        self.store.put_found(gateway.no, found, speaker.heard.at, self.settings.gateway.kept_scan_results).await?;
        let event =
            ModelEvent { service_id: "$sub_device_discovery", event_type: "scan_result", paras: &paras, at: None };
        let deliveries = self.tell_model_event(gateway, &gateway.id, &event, speaker.heard);
        if !deliveries.is_empty() {
            taken.units.push(Unit { device: gateway.no, arrival: speaker.heard.at, change: Change::None, deliveries });
        }
        Ok(())
    }
}
