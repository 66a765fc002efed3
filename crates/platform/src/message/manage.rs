//! Creating, reading and deleting messages.

use causeway_model::message::{DeviceMessage, Encoding, MessageStatus, MessageTopic, PayloadFormat};
use causeway_model::registry::Device;
use causeway_model::{Code, DeviceId, Error, Result};

use crate::Platform;
use crate::runlog::{Business, Line, outcome};

/// A message to create; checked fields of the API.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// The caller's id, or made.
    pub id: Option<String>,
    /// The caller's name for it.
    pub name: Option<String>,
    /// The content as raw JSON (a string or an object).
    pub content: String,
    /// How a string content is written.
    pub encoding: Encoding,
    /// How the payload is formed.
    pub format: PayloadFormat,
    /// Where it goes.
    pub topic: MessageTopic,
    /// MQTT 5 properties, raw JSON.
    pub properties: Option<String>,
    /// How long it is kept for a device that is not connected; 0 = not at all.
    pub keep_minutes: i64,
}

/// A message that is sent at once but never kept stays open for so long, in milliseconds, until the device took it.
const UNKEPT_MS: i64 = 20_000;

impl Platform {
    /// Creates a message. It is handed to a connected device at once; the result shows what became of it within
    /// `message.send_wait`.
    ///
    /// # Errors
    /// [`Code::DeviceNotFound`]; [`Code::MessageExists`]; [`Code::CustomTopicNotFound`] when the product does not
    /// declare the topic for subscription.
    pub async fn create_message(&self, id: &DeviceId, new: NewMessage) -> Result<DeviceMessage> {
        let device = self.device(id).await?;
        let request = new.content.clone();
        let done = self.message_to(&device, new).await;
        self.log_call(&device, Business::Message, || {
            let (result, status) = outcome(&done, "201", |message| message.status.as_str().into());
            let operation = self.device_path(&device, "/messages").into();
            Line { business: Business::Message, operation, request: request.into(), result, status }
        })
        .await;
        done
    }

    async fn message_to(&self, device: &Device, new: NewMessage) -> Result<DeviceMessage> {
        let id = &device.id;
        let Some(context) = self.context_of(device.clone()).await? else {
            return Err(Error::internal(format!("device {id} has no product")));
        };
        if let MessageTopic::Custom(topic) = &new.topic {
            let product = context.product.current();
            if !product.topics.iter().any(|t| t.topic == *topic && t.right.may_subscribe()) {
                return Err(Error::new(
                    Code::CustomTopicNotFound,
                    format!("The product declares no custom topic '{topic}' that devices may subscribe to."),
                ));
            }
        }
        let via = self.gateway_of(device).await?;
        let online = self.directory.get(via.as_str()).is_some();
        let now = self.clock.now();
        let mut message = DeviceMessage {
            no: 0,
            device: device.no,
            id: new.id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
            name: new.name,
            content: new.content,
            encoding: new.encoding,
            format: new.format,
            topic: new.topic,
            properties: new.properties,
            status: MessageStatus::Pending,
            error: None,
            created_at: now,
            finished_at: None,
            expires_at: now.plus_ms(if new.keep_minutes == 0 { UNKEPT_MS } else { new.keep_minutes * 60_000 }),
        };
        if !online && new.keep_minutes == 0 {
            message.status = MessageStatus::Failed;
            message.finished_at = Some(now);
            message.error = Some((
                Code::DeviceOffline.as_str().to_owned(),
                "Operation not allowed. The device is not online.".to_owned(),
            ));
        }
        let deliveries = self.message_notifications(&context, &message, now);
        let message = self.store.insert_message(message, self.settings.message.keep, deliveries).await?;
        // Looked up again after the commit: a device that connected meanwhile read its waiting messages before this one
        // was among them.
        if message.status.is_final() || self.directory.get(via.as_str()).is_none() {
            return Ok(message);
        }
        let finished = self.message_waits.register(message.no);
        self.hand_pending_messages(&context, &via).await?;
        // Whatever the wait ends with, the store knows the truth.
        let _ = tokio::time::timeout(self.settings.message.send_wait.0, finished.wait()).await;
        Ok(self.store.message(device.no, &message.id).await?.unwrap_or(message))
    }

    /// The device's messages, newest first.
    ///
    /// # Errors
    /// [`Code::DeviceNotFound`].
    pub async fn messages(&self, id: &DeviceId) -> Result<Vec<DeviceMessage>> {
        let device = self.device(id).await?;
        self.store.messages(device.no).await
    }

    /// One message.
    ///
    /// # Errors
    /// [`Code::DeviceNotFound`]; [`Code::MessageNotFound`].
    pub async fn message(&self, id: &DeviceId, message_id: &str) -> Result<DeviceMessage> {
        let device = self.device(id).await?;
        self.store.message(device.no, message_id).await?.ok_or_else(|| not_found(message_id))
    }

    /// Deletes a message; a pending one is not delivered any more.
    ///
    /// # Errors
    /// [`Code::DeviceNotFound`]; [`Code::MessageNotFound`].
    pub async fn delete_message(&self, id: &DeviceId, message_id: &str) -> Result<()> {
        let device = self.device(id).await?;
        if self.store.delete_message(device.no, message_id).await? { Ok(()) } else { Err(not_found(message_id)) }
    }
}

fn not_found(message_id: &str) -> Error {
    let shown: String = message_id.chars().take(100).collect();
    Error::new(Code::MessageNotFound, format!("The device has no message '{shown}'."))
}
