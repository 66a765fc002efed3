//! HTTP push: `HTTP_FORWARDING`, and the push address of a space (002 §4.6.2).

use async_trait::async_trait;

use super::Workshop;
use crate::client::{Destination, Outcome, PushClient};
use crate::target::{Feeding, Item, Sent, Target};

/// See the module text.
pub(crate) struct HttpTarget {
    client: PushClient,
    to: Destination,
    concurrency: u32,
}

impl HttpTarget {
    pub(crate) fn new(workshop: &Workshop, url: &str) -> Result<Self, String> {
        let to = Destination::parse(url).ok_or_else(|| "the address is not one of HTTP".to_owned())?;
        Ok(Self { client: workshop.client.clone(), to, concurrency: workshop.concurrency })
    }
}

#[async_trait]
impl Target for HttpTarget {
    fn feeding(&self) -> Feeding {
        Feeding::Lanes { concurrency: self.concurrency, host: self.to.host.clone() }
    }

    async fn send(&self, items: &[Item]) -> Sent {
        let Some(item) = items.first() else { return Sent::default() };
        let outcome = self.client.push(&self.to, item.body.clone()).await;
        let word = outcome.as_str();
        let host = &self.to.host;
        match outcome {
            Outcome::Delivered => Sent::all(items),
            Outcome::Refused(status) => {
                Sent::failed(word, format!("{host} answered with status {status}; only 200 counts as taken"))
            }
            Outcome::TimedOut => Sent::failed(word, format!("{host} did not answer in time")),
            Outcome::NotPublic => Sent::failed(
                word,
                format!("{host} leads into the platform's own network; the key push.allow_private would permit it"),
            ),
            Outcome::Unreachable(why) => Sent::failed(word, format!("{host} cannot be reached: {why}")),
        }
    }
}
