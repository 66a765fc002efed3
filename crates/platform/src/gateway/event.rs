//! What a gateway says, by event.

use causeway_model::service_event::GatewayEvent;
use causeway_model::{Error, ProductId, Result, Spaces};

use super::GatewayNotice;
use crate::Platform;
use crate::downlink::{EventNotice, NoticeBody};
use crate::uplink::{Speaker, Taken};

/// Products of one request, and in one answer.
const PRODUCTS_MAX: usize = 100;
/// One answer holds models of so much text, or one product.
const PRODUCTS_SIZE: usize = 256 << 10;

impl Platform {
    /// Serves an event of a gateway. Answers carry the id of the event, or one that is made
    /// (002 §2.1.2.7.9, `event_id`).
    pub(crate) async fn take_gateway_event(
        &self,
        speaker: &Speaker<'_>,
        event_id: Option<Box<str>>,
        event: GatewayEvent,
        taken: &mut Taken,
    ) -> Result<()> {
        // Whatever the envelope says it is about, the gateway that has the connection has the list.
        let gateway = speaker.from;
        let mut answers = Vec::new();
        match event {
            GatewayEvent::Sync { version } => self.sync_children(gateway, version).await?,
            GatewayEvent::UpdateStatus(statuses) => answers.push(self.update_statuses(gateway, statuses).await?),
            GatewayEvent::Add(devices) => answers.push(self.add_sub_devices(speaker.subject, devices).await?),
            GatewayEvent::Delete(devices) => answers.push(self.delete_sub_devices(gateway, devices).await?),
            GatewayEvent::Update(devices) => answers.push(self.update_sub_devices(gateway, devices).await?),
            GatewayEvent::Products(ids) => answers = self.products_for(speaker, ids).await?,
            GatewayEvent::ScanResult(found) => self.take_scan_result(speaker, found, taken).await?,
        }
        let event_id = event_id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string().into());
        taken.answers.extend(answers.into_iter().map(|notice| EventNotice {
            object_device_id: gateway.id.clone(),
            event_id: Some(event_id.clone()),
            body: NoticeBody::Gateway(notice),
        }));
        Ok(())
    }

    /// Products of the gateway's space (002 §2.1.2.7.5); unknown ones are left out. Large models come in several answers.
    async fn products_for(&self, speaker: &Speaker<'_>, ids: Vec<String>) -> Result<Vec<GatewayNotice>> {
        let spaces = Spaces::one(speaker.from.app_id.clone());
        let mut answers = vec![Vec::new()];
        let mut size = 0;
        for id in ids.into_iter().take(PRODUCTS_MAX) {
            let Ok(id) = ProductId::parse(&id) else { continue };
            let product = match self.product(&spaces, &id).await {
                Ok(product) => product,
                Err(error) if error.is_retryable() => return Err(error),
                Err(_) => continue,
            };
            let text = serde_json::to_string(&product.services).map_err(Error::internal)?;
            if size > 0 && size + text.len() > PRODUCTS_SIZE {
                answers.push(Vec::new());
                size = 0;
            }
            size += text.len();
            if let Some(last) = answers.last_mut() {
                last.push(product);
            }
        }
        Ok(answers.into_iter().map(GatewayNotice::Products).collect())
    }
}
