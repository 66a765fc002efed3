//! A gateway tells which of the devices behind it are there (002 §2.1.2.7.4). Their status is what it told last, also
//! after it has gone itself (002 §3.10).

use std::sync::Arc;

use causeway_model::status::{DeviceStatus, StatusEvent};
use causeway_model::{DeviceId, Error, Result};

use super::GatewayNotice;
use super::request::not_behind;
use crate::Platform;
use crate::uplink::DeviceContext;

impl Platform {
    /// Sets the status of devices behind a gateway. The answer is given after the commit.
    pub(super) async fn update_statuses(
        &self,
        gateway: &Arc<DeviceContext>,
        statuses: Vec<(String, String)>,
    ) -> Result<GatewayNotice> {
        let limit = self.settings.gateway.max_statuses;
        let refused = self.check_count(statuses.len(), limit).err();
        let (mut successful, mut failed, mut units, mut came) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (id, word) in statuses.into_iter().take(limit as usize) {
            if let Some(error) = &refused {
                failed.push((id, error.clone()));
                continue;
            }
            let event = match DeviceStatus::parse(&word) {
                Some(DeviceStatus::Online) => StatusEvent::Connected,
                Some(DeviceStatus::Offline) => StatusEvent::Gone,
                _ => {
                    failed.push((id, Error::invalid("Invalid input. 'status' must be ONLINE or OFFLINE.")));
                    continue;
                }
            };
            let known = match self.child_of(gateway, &id).await? {
                Some(child) => self.store.device_by_no(child.no).await?.map(|device| (child, device)),
                None => None,
            };
            let Some((child, device)) = known else {
                let error = not_behind(&id);
                failed.push((id, error));
                continue;
            };
            units.extend(self.status_unit(&child, device.connection, event));
            if event == StatusEvent::Connected {
                came.push(child);
            }
            successful.push((id, word));
        }
        if !units.is_empty() {
            let ticket = self.store.submit(units).await;
            ticket.await.map_err(|_| Error::unavailable("the store stopped before the commit"))??;
        }
        for child in came {
            self.hand_over(&child, &gateway.id).await?;
        }
        Ok(GatewayNotice::StatusResponse { successful, failed })
    }

    /// Hands what waits for a device behind a gateway to the gateway's connection, as far as it has room.
    pub(crate) async fn hand_over(&self, child: &Arc<DeviceContext>, via: &DeviceId) -> Result<()> {
        self.send_open_desired(child);
        self.send_log_config(child.no, &child.id, via).await?;
        self.hand_linkage_commands(child.no);
        self.hand_pending_messages(child, via).await
    }
}
