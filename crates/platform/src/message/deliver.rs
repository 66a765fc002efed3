//! Handing messages to connections and recording what became of them.

use std::sync::{Arc, Weak};

use causeway_model::event::Heard;
use causeway_model::message::{DeviceMessage, MessageStatus, MessageTopic};
use causeway_model::{Code, DeviceId, Result, Timestamp};
use causeway_rules::event::write_field;
use dashmap::DashMap;
use tokio::sync::oneshot;

use super::MessageOutcome;
use crate::Platform;
use crate::downlink::Downlink;
use crate::outbox::NewDelivery;
use crate::outbox::notification::MessageStatusUpdate;
use crate::runlog::{Business, Line};
use crate::uplink::{Change, DeviceContext, Unit};

/// Why a connection cannot send a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageRefused {
    /// The device has not subscribed to the topic.
    NotSubscribed,
    /// Larger than the device takes (MQTT 5 maximum packet size), or not a payload at all.
    Unsendable,
}

/// To be told by the door what became of a message. Dropped without a word, the message stays pending and is handed
/// over again when the device connects next.
#[derive(Debug)]
pub struct MessageDone {
    platform: Weak<Platform>,
    /// The device that is meant.
    context: Arc<DeviceContext>,
    /// The device whose connection carries the message.
    via: Arc<DeviceContext>,
    no: i64,
    head: MessageHead,
}

/// What a status notification needs of a message.
#[derive(Debug)]
struct MessageHead {
    id: String,
    name: Option<String>,
    topic: String,
}

impl MessageDone {
    /// The device took the message: its PUBACK at QoS 1, sent at QoS 0.
    pub async fn delivered(self) {
        self.finish(MessageStatus::Delivered, None).await;
    }

    /// The message cannot be sent.
    pub async fn refused(self, reason: MessageRefused) {
        let error = match reason {
            MessageRefused::NotSubscribed => {
                (Code::NotSubscribed.as_str(), "Send to device failed, device not subscribe topic.")
            }
            MessageRefused::Unsendable => (
                Code::InvalidInput.as_str(),
                "The message cannot be sent: it is larger than the device takes, or malformed.",
            ),
        };
        self.finish(MessageStatus::Failed, Some((error.0.to_owned(), error.1.to_owned()))).await;
    }

    async fn finish(self, status: MessageStatus, error: Option<(String, String)>) {
        let Some(platform) = self.platform.upgrade() else { return };
        let at = platform.clock.now();
        let outcome = MessageOutcome { no: self.no, status, error, at };
        platform.finish_message(&self.context, &self.head, outcome).await;
        self.via.handed.lock().remove(&self.no);
    }
}

/// Callers that wait a moment for a message's final status.
#[derive(Default)]
pub(crate) struct MessageWaits(DashMap<i64, oneshot::Sender<()>>);

/// One waiting caller.
pub(crate) struct MessageWait<'a> {
    waits: &'a MessageWaits,
    no: i64,
    finished: oneshot::Receiver<()>,
}

impl MessageWaits {
    pub(crate) fn register(&self, no: i64) -> MessageWait<'_> {
        let (sender, finished) = oneshot::channel();
        self.0.insert(no, sender);
        MessageWait { waits: self, no, finished }
    }
}

impl MessageWait<'_> {
    pub(crate) async fn wait(mut self) {
        let _ = (&mut self.finished).await;
    }
}

impl Drop for MessageWait<'_> {
    fn drop(&mut self) {
        self.waits.0.remove(&self.no);
    }
}

fn topic_text(context: &DeviceContext, topic: &MessageTopic) -> String {
    match topic {
        MessageTopic::System => format!("$oc/devices/{}/sys/messages/down", context.id),
        MessageTopic::Custom(suffix) => format!("$oc/devices/{}/user/{suffix}", context.id),
        MessageTopic::Full(topic) => topic.clone(),
    }
}

fn head_of(context: &DeviceContext, message: &DeviceMessage) -> MessageHead {
    MessageHead { id: message.id.clone(), name: message.name.clone(), topic: topic_text(context, &message.topic) }
}

impl Platform {
    /// The notifications of a message's present status.
    pub(crate) fn message_notifications(
        &self,
        context: &DeviceContext,
        message: &DeviceMessage,
        at: Timestamp,
    ) -> Vec<NewDelivery> {
        self.status_notifications(context, &head_of(context, message), message.status, message.error.as_ref(), at)
    }

    fn status_notifications(
        &self,
        context: &DeviceContext,
        head: &MessageHead,
        status: MessageStatus,
        error: Option<&(String, String)>,
        at: Timestamp,
    ) -> Vec<NewDelivery> {
        let update = MessageStatusUpdate {
            message_id: &head.id,
            name: head.name.as_deref(),
            topic: &head.topic,
            status: status.as_str(),
            error,
        };
        self.tell_message_status(context, &update, at)
    }

    /// Hands over pending messages that the connection of `via` does not have yet, oldest first. Several callers may
    /// do so at once: each message is handed over once a connection.
    pub(crate) async fn hand_pending_messages(&self, device: &Arc<DeviceContext>, via: &DeviceId) -> Result<()> {
        let Some(entry) = self.directory.get(via.as_str()) else { return Ok(()) };
        let object = if device.id == entry.context.id { &entry.context } else { device };
        let pending = self.store.pending_messages(device.no, self.clock.now()).await?;
        for message in pending {
            if !entry.context.handed.lock().insert(message.no) {
                continue;
            }
            let done = MessageDone {
                platform: self.itself.clone(),
                context: object.clone(),
                via: entry.context.clone(),
                no: message.no,
                head: head_of(object, &message),
            };
            let no = message.no;
            let downlink = Downlink::Message { object_device_id: device.id.clone(), message: Box::new(message), done };
            if entry.link.deliver(downlink).is_err() {
                // It stays pending: the next connection, or the next message, brings it.
                entry.context.handed.lock().remove(&no);
                break;
            }
        }
        Ok(())
    }

    async fn finish_message(&self, context: &Arc<DeviceContext>, head: &MessageHead, outcome: MessageOutcome) {
        let mut deliveries =
            self.status_notifications(context, head, outcome.status, outcome.error.as_ref(), outcome.at);
        deliveries.extend(self.run_line(context, Business::Message, Heard::at(outcome.at), || {
            let mut request = String::from("{");
            write_field(&mut request, "message_id", &head.id);
            request.push('}');
            let (result, status) = match &outcome.error {
                Some((code, text)) => (text.as_str().into(), code.as_str()),
                None => (outcome.status.as_str().into(), "200"),
            };
            let operation = head.topic.as_str().into();
            Line { business: Business::Message, operation, request: request.into(), result, status }
        }));
        let no = outcome.no;
        let unit = Unit { device: context.no, arrival: outcome.at, change: Change::Message(outcome), deliveries };
        let ticket = self.store.submit(vec![unit]).await;
        // A failed commit leaves the message pending; it is handed over again at the next connection.
        let _ = ticket.await;
        if let Some((_, waiting)) = self.message_waits.0.remove(&no) {
            let _ = waiting.send(());
        }
    }

    /// Ends pending messages whose time is over.
    pub(crate) async fn expire_messages(&self) -> Result<()> {
        loop {
            let now = self.clock.now();
            let expired = self.store.expired_messages(now, 500).await?;
            let last = expired.len() < 500;
            let mut units = Vec::with_capacity(expired.len());
            for (id, message) in expired {
                let Some(device) = self.store.device(&id).await? else { continue };
                let Some(context) = self.context_of(device).await? else { continue };
                let error = Some((
                    Code::MessageExpired.as_str().to_owned(),
                    "The device did not come online in time.".to_owned(),
                ));
                let deliveries = self.status_notifications(
                    &context,
                    &head_of(&context, &message),
                    MessageStatus::Timeout,
                    error.as_ref(),
                    now,
                );
                let outcome = MessageOutcome { no: message.no, status: MessageStatus::Timeout, error, at: now };
                units.push(Unit { device: context.no, arrival: now, change: Change::Message(outcome), deliveries });
            }
            if !units.is_empty() {
                let _ = self.store.submit(units).await.await;
            }
            if last {
                return Ok(());
            }
        }
    }
}
