//! Fanning a broadcast out, beside everything else.

use std::sync::Arc;
use std::time::Duration;

use causeway_model::{AppId, Code, Error, Result, Timestamp};
use tokio::sync::Semaphore;

use crate::Platform;
use crate::bus::Changed;
use crate::downlink::{DeviceLink, Downlink, Refused};

/// Broadcasts under way at once; their payloads are in memory.
const UNDER_WAY: usize = 8;
/// Connections served before others have their turn.
const TOGETHER: usize = 64;
/// A connection that is busy is tried again after so long, and so often.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSES: u32 = 25;

/// A broadcast to send; checked fields of the API.
#[derive(Clone, Debug)]
pub struct NewBroadcast {
    /// The space.
    pub app: AppId,
    /// A topic name below `$oc/broadcast/`.
    pub topic: String,
    /// The message.
    pub payload: Vec<u8>,
    /// The caller's id, or made.
    pub id: Option<String>,
}

/// A broadcast, shared by all connections that it goes to.
#[derive(Debug)]
pub struct Broadcast {
    /// The space.
    pub app: AppId,
    /// Its topic.
    pub topic: String,
    /// The message.
    pub payload: Vec<u8>,
    /// Its id.
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Broadcasts under way.
pub(crate) struct Broadcasts(Arc<Semaphore>);

impl Default for Broadcasts {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(UNDER_WAY)))
    }
}

impl Platform {
    /// Sends a message to all devices of a space that are connected now and subscribed to its topic. Returns once it is
    /// on its way: a device that is slow is waited for some seconds, one that leaves does not get it.
    ///
    /// # Errors
    /// [`Code::AppNotFound`]; [`Code::BroadcastsBusy`] while as many are under way as may be.
    pub async fn broadcast(&self, new: NewBroadcast) -> Result<Arc<Broadcast>> {
        self.app(&new.app).await?;
        if self.broadcasts.0.available_permits() == 0 {
            return Err(Error::new(Code::BroadcastsBusy, "Too many broadcasts are under way. Try again in a moment."));
        }
        let broadcast = Arc::new(Broadcast {
            app: new.app,
            topic: new.topic,
            payload: new.payload,
            id: new.id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
            created_at: self.clock.now(),
        });
        self.bus.announce(Changed::Broadcast(broadcast.clone())).await;
        Ok(broadcast)
    }

    /// Sends a broadcast to the connections of this node.
    pub(crate) fn fan_out(&self, broadcast: Arc<Broadcast>) {
        let Ok(permit) = self.broadcasts.0.clone().try_acquire_owned() else {
            tracing::warn!(id = broadcast.id, "a broadcast was dropped: too many are under way");
            return;
        };
        let links = self.directory.listening(&broadcast.app);
        tokio::spawn(async move {
            send(links, &broadcast).await;
            drop(permit);
        });
    }
}

async fn send(mut links: Vec<Arc<dyn DeviceLink>>, broadcast: &Arc<Broadcast>) {
    for _ in 0..PAUSES {
        let mut busy = Vec::new();
        for part in links.chunks(TOGETHER) {
            for link in part {
                if link.deliver(Downlink::Broadcast(broadcast.clone())) == Err(Refused::Busy) {
                    busy.push(link.clone());
                }
            }
            tokio::task::yield_now().await;
        }
        if busy.is_empty() {
            return;
        }
        links = busy;
        tokio::time::sleep(PAUSE).await;
    }
    metrics::counter!("causeway_broadcasts_dropped_total").increment(links.len() as u64);
}
