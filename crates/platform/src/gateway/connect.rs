//! What waits for the devices behind a gateway is handed over when the gateway connects.

use std::time::Duration;

use causeway_model::{DeviceNo, Result};

use crate::Platform;
use crate::session::Entry;

/// Devices looked at together.
const PAGE: u32 = 100;
/// The pause while the gateway's connection has no room.
const PAUSE: Duration = Duration::from_millis(50);
/// So many pauses in a row, and the rest waits for the next connection or the devices' next sign of life.
const PAUSES: u32 = 200;

impl Platform {
    /// Begins to hand over beside the connection. A gateway may have thousands of devices behind it; they are gone
    /// through page by page, for a few gateways at a time, as fast as the connection takes what waits.
    pub(crate) fn begin_handing_over(&self, entry: Entry) {
        let Some(platform) = self.itself.upgrade() else { return };
        tokio::spawn(async move {
            let Ok(_turn) = platform.handing_over.acquire().await else { return };
            if let Err(error) = platform.hand_over_all(&entry).await {
                tracing::warn!(device_id = %entry.context.id, ?error, "what waits for devices behind a gateway stays");
            }
        });
    }

    async fn hand_over_all(&self, entry: &Entry) -> Result<()> {
        let gateway = &entry.context;
        let mut after = DeviceNo(0);
        loop {
            let page = self.store.children_awaiting(gateway.no, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.no;
            for device in page {
                let Some(child) = self.behind_gateway(device.id.as_str()).await? else { continue };
                for _ in 0..PAUSES {
                    if entry.link.has_room() {
                        break;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                if !self.directory.get(gateway.id.as_str()).is_some_and(|now| now.is_same(entry)) {
                    return Ok(());
                }
                self.hand_over(&child, &gateway.id).await?;
            }
        }
    }
}
