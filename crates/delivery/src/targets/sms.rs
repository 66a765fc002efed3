//! Short messages to subscribers of notification topics, through the operator's gateway (`sms.gateway_url`).

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;

use super::{HttpTarget, Workshop};
use crate::target::{Feeding, Item, Sent, Target};

/// The fields of a notification that a short message needs.
#[derive(Deserialize)]
struct Letter {
    message_id: String,
    message: String,
}

/// One number.
pub(crate) struct SmsTarget {
    gateway: HttpTarget,
    number: String,
}

impl SmsTarget {
    pub(crate) fn new(workshop: &Workshop, gateway: &str, number: &str) -> Result<Self, String> {
        Ok(Self { gateway: HttpTarget::trusted(workshop, gateway)?, number: number.to_owned() })
    }
}

#[async_trait]
impl Target for SmsTarget {
    fn feeding(&self) -> Feeding {
        Feeding::Lanes { concurrency: 1, host: format!("sms:{}", self.number) }
    }

    async fn send(&self, items: &[Item]) -> Sent {
        let Some(item) = items.first() else { return Sent::default() };
        let letter: Letter = match serde_json::from_slice(&item.body) {
            Ok(letter) => letter,
            Err(why) => return Sent::failed("failed", format!("the message cannot be read: {why}")),
        };
        let body = serde_json::json!({ "to": self.number, "text": letter.message, "message_id": letter.message_id })
            .to_string();
        self.gateway.send(&[Item { body: Bytes::from(body), ..item.clone() }]).await
    }
}
