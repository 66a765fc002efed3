//! The platform itself: carries out what linkage rules have to do.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use causeway_platform::Platform;

use crate::target::{Feeding, Item, Sent, Target};

/// What cannot be done now is tried again so often before its turn is given up for a while.
const TRIES: u32 = 5;
/// The pause between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// See the module text.
pub(crate) struct LinkageTarget {
    platform: Arc<Platform>,
}

impl LinkageTarget {
    pub(crate) fn new(platform: Arc<Platform>) -> Self {
        Self { platform }
    }
}

#[async_trait]
impl Target for LinkageTarget {
    fn feeding(&self) -> Feeding {
        Feeding::Lanes { concurrency: self.platform.settings.linkage.concurrency, host: "linkage".to_owned() }
    }

    async fn send(&self, items: &[Item]) -> Sent {
        let Some(item) = items.first() else { return Sent::default() };
        let mut failure = None;
        for _ in 0..TRIES {
            match self.platform.act_on_linkage(&item.body).await {
                Ok(()) => return Sent::all(items),
                Err(error) => failure = Some(error),
            }
            tokio::time::sleep(PAUSE).await;
        }
        let why = failure.map(|e| format!("{e:?}")).unwrap_or_default();
        Sent::failed("unavailable", format!("an action of a linkage rule cannot be carried out now: {why}"))
    }
}
