//! What a target is for whoever drains its part of the outbox. One file a channel in `targets/`.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use causeway_model::{DeviceNo, Timestamp};

/// A delivery as a target gets it.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Its number, rising for each target: usable for de-duplication by receivers.
    pub(crate) seq: i64,
    /// Ordering key.
    pub(crate) device: Option<DeviceNo>,
    /// When the cause happened.
    pub(crate) at: Timestamp,
    /// The notification, or what a rule selected of it: the text of a JSON object.
    pub(crate) body: Bytes,
}

/// How a target likes to be fed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Feeding {
    /// One by one, several devices at the same time, the deliveries of one device in their order. `host` (`host:port`) is
    /// what failures are counted for: after ten in a row it is left alone for five minutes (002 §4.6.2).
    Lanes {
        /// Deliveries under way at the same time.
        concurrency: u32,
        /// Whom failures are counted for.
        host: String,
    },
    /// Many at once, in the order of the outbox, one batch at a time.
    Batches {
        /// At most so many.
        rows: usize,
        /// And so many bytes of bodies, unless one alone has more.
        bytes: usize,
        /// A batch that is not full waits so long for more.
        linger: Duration,
    },
}

/// Why deliveries were not taken now. They are tried again, later each time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// One word for metrics: `refused`, `timeout`, `unreachable`, `not_public`, …
    pub(crate) word: &'static str,
    /// For the operator and the connectivity test: what happened and what to look at. Without credentials.
    pub(crate) text: String,
}

/// How a sending ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    /// So many, from the first, were taken (or rejected).
    pub(crate) done: usize,
    /// Places among those that can never be taken, and why. They are dropped and counted.
    pub(crate) rejected: Vec<(usize, String)>,
    /// Why the rest was not taken; `None` when all were.
    pub(crate) failure: Option<Failure>,
}

impl Sent {
    /// Everything was taken.
    pub(crate) fn all(items: &[Item]) -> Self {
        Self { done: items.len(), ..Self::default() }
    }

    /// Nothing was.
    pub(crate) fn failed(word: &'static str, text: impl Into<String>) -> Self {
        Self { failure: Some(Failure { word, text: text.into() }), ..Self::default() }
    }
}

impl From<Failure> for Sent {
    fn from(failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::default() }
    }
}

/// A target. Dropped, and made anew, when its configuration changes; connections are opened when first needed.
#[async_trait]
pub(crate) trait Target: Send + Sync {
    /// How it likes to be fed.
    fn feeding(&self) -> Feeding;

    /// Sends items, in order; with [`Feeding::Lanes`] there is one. Returns when the receiver has said that it has them.
    /// Takes care of its own time limit.
    async fn send(&self, items: &[Item]) -> Sent;

    /// The connectivity test (002 §5.5): sends one item for real.
    async fn probe(&self, item: &Item) -> Result<(), Failure> {
        let sent = self.send(std::slice::from_ref(item)).await;
        match (sent.failure, sent.rejected.into_iter().next()) {
            (Some(failure), _) => Err(failure),
            (None, Some((_, text))) => Err(Failure { word: "rejected", text }),
            (None, None) => Ok(()),
        }
    }
}
