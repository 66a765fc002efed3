//! Messages to all devices of a space that subscribed to a topic.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use causeway_model::{AppId, Code, Error, Result};
use causeway_platform::broadcast::NewBroadcast;

use crate::bounded::{Any, Id, Ident, Int, Text, TopicName};
use crate::call::{Call, Reply};
use crate::operation::{Built, json};
use crate::shape::{Compact, body, reply};

/// Where broadcasts go.
const PREFIX: &str = "$oc/broadcast/";
/// Longest message as it is sent, base64.
const MESSAGE_MAX: usize = 128 << 10;

body! {
    /// A broadcast.
    pub(crate) struct NewDeviceBroadcast {
        /// Resource space; the default one when absent.
        app_id: Option<Id<AppId>>,
        /// The topic, below `$oc/broadcast/`.
        topic_full_name: Text<TopicName, 1, 128>,
        /// The message, base64 of at most 128 KB.
        message: Text<Any, 0, { 128 << 10 }>,
        /// Minutes it is kept for devices that are not connected, a multiple of 5; only 0 is built.
        ttl: Option<Int<0, 1440>>,
        /// Id; made when absent.
        message_id: Option<Text<Ident, 1, 100>>,
    }
}

reply! {
    /// A broadcast that is on its way.
    pub(crate) struct BroadcastReply {
        /// The resource space.
        app_id: String,
        /// The topic.
        topic_full_name: String,
        /// The id.
        message_id: String,
        /// When it was taken.
        created_time: Compact,
    }
}

fn payload(message: &str) -> Result<Vec<u8>> {
    let refused = || Error::invalid("Invalid input. 'message' must be base64 of at most 128 KB.");
    if message.len() > MESSAGE_MAX {
        return Err(refused());
    }
    STANDARD.decode(message.trim()).map_err(|_| refused())
}

fn topic(text: Text<TopicName, 1, 128>) -> Result<String> {
    let topic = text.into_string();
    match topic.strip_prefix(PREFIX) {
        Some(rest) if !rest.is_empty() => Ok(topic),
        _ => Err(Error::invalid(format!("Invalid input. 'topic_full_name' must begin with '{PREFIX}' and go on."))),
    }
}

pub(super) static SEND: Built = Built::new(
    "Sends a message to all connected devices of a resource space that subscribed to its topic.",
    json::<BroadcastReply>(201),
    |c| Box::pin(send(c)),
)
.body::<NewDeviceBroadcast>()
.errors(&[Code::AppNotFound, Code::AppRequired, Code::BroadcastsBusy]);

async fn send(call: Call) -> Result<Reply> {
    let asked: NewDeviceBroadcast = call.body()?;
    let topic = topic(asked.topic_full_name)?;
    let payload = payload(asked.message.as_str())?;
    let ttl = asked.ttl.map_or(0, |ttl| ttl.0);
    if ttl % 5 != 0 {
        return Err(Error::invalid("Invalid input. 'ttl' must be a multiple of 5 from 0 to 1440."));
    }
    if ttl > 0 {
        return Err(Error::new(
            Code::NotBuilt,
            "Broadcasts that are kept for devices that are not connected are not built. Send ttl 0, or a message to each device.",
        ));
    }
    let spaces = call.spaces(asked.app_id.map(|id| id.0))?;
    let app = call.platform().home_for_new(&spaces).await?;
    let new = NewBroadcast { app, topic, payload, id: asked.message_id.map(Text::into_string) };
    let broadcast = call.platform().broadcast(new).await?;
    Reply::created(&BroadcastReply {
        app_id: broadcast.app.to_string(),
        topic_full_name: broadcast.topic.clone(),
        message_id: broadcast.id.clone(),
        created_time: Compact(broadcast.created_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_base64() {
        assert_eq!(payload("aGk=").expect("base64"), b"hi");
        assert_eq!(payload("").expect("nothing"), b"");
        for bad in ["%", "aGk", "aGk=aGk="] {
            assert_eq!(payload(bad).expect_err(bad).code(), Code::InvalidInput);
        }
    }
}
