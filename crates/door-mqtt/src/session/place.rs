//! One place a device: its connection of now, and what its persistent session keeps while it is away.

use std::collections::HashMap;
use std::sync::Arc;

use causeway_model::{DeviceNo, Timestamp};
use causeway_platform::downlink::{CloseReason, DeviceLink as _};
use causeway_platform::uplink::DeviceContext;
use parking_lot::Mutex;

use super::Session;
use super::letter::Will;
use crate::downlink::link::Link;

/// What a device left behind.
pub(crate) struct Parked {
    /// The client id without its time; another one does not continue the session.
    pub(crate) client: Box<str>,
    /// The session itself.
    pub(crate) session: Session,
    /// When it ends.
    pub(crate) expires_at: Timestamp,
    /// A will that waits for its time (v5 §3.1.3.2.2).
    pub(crate) will: Option<(Timestamp, Will)>,
    /// Who the device was.
    pub(crate) context: Arc<DeviceContext>,
}

/// All places of a door.
#[derive(Default)]
pub(crate) struct Places {
    live: Mutex<HashMap<DeviceNo, Arc<Link>>>,
    parked: Mutex<HashMap<DeviceNo, Parked>>,
}

impl Places {
    /// Takes the device's place. A connection that had it is told to close, and is over when this returns: what it left
    /// is parked.
    pub(crate) async fn take(&self, link: &Arc<Link>) {
        let old = self.live.lock().insert(link.device, link.clone());
        if let Some(old) = old {
            old.close(CloseReason::TakenOver); // [MQTT-3.1.4-2] v5 [MQTT-3.1.4-3]
            old.until_ended().await;
        }
    }

    /// Gives the place up, unless a newer connection has it, and tells whoever waits for it.
    pub(crate) fn leave(&self, link: &Arc<Link>) {
        {
            let mut live = self.live.lock();
            if live.get(&link.device).is_some_and(|l| Arc::ptr_eq(l, link)) {
                live.remove(&link.device);
            }
        }
        link.end();
    }

    /// Tells the connections of one listening address to close.
    pub(crate) fn close_all(&self, listener: u32, reason: CloseReason) {
        for link in self.live.lock().values().filter(|l| l.listener == listener) {
            link.close(reason);
        }
    }

    /// Keeps what a connection left.
    pub(crate) fn park(&self, device: DeviceNo, parked: Parked) {
        self.parked.lock().insert(device, parked);
    }

    /// Takes what is kept for the device.
    pub(crate) fn unpark(&self, device: DeviceNo) -> Option<Parked> {
        self.parked.lock().remove(&device)
    }

    /// Lets `change` add to the session that is kept for the device, if any.
    pub(crate) fn with_parked(&self, device: DeviceNo, change: impl FnOnce(&mut Session)) {
        if let Some(parked) = self.parked.lock().get_mut(&device) {
            change(&mut parked.session);
        }
    }

    /// Drops sessions whose time is over and returns the wills that are due: their own time has come, or their session
    /// ends first (v5 [MQTT-3.1.2-8], §3.1.3.2.2).
    pub(crate) fn due(&self, now: Timestamp) -> Vec<(Arc<DeviceContext>, Will)> {
        let mut due = Vec::new();
        let mut over = Vec::new();
        {
            let mut parked = self.parked.lock();
            for (device, parked) in parked.iter_mut() {
                let is_over = parked.expires_at <= now;
                if parked.will.as_ref().is_some_and(|(at, _)| is_over || *at <= now)
                    && let Some((_, will)) = parked.will.take()
                {
                    due.push((parked.context.clone(), will));
                }
                if is_over {
                    over.push(*device);
                }
            }
            for device in over {
                parked.remove(&device);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newer_connection_waits_for_the_older_one() {
        let places = Arc::new(Places::default());
        let link = |n| Arc::new(Link::new(DeviceNo(1), n, 1));
        let (first, second, third) = (link(1), link(2), link(3));
        places.take(&first).await;
        let waiting = tokio::spawn({
            let (places, second) = (places.clone(), second.clone());
            async move { places.take(&second).await }
        });
        while first.close_order().is_none() {
            tokio::task::yield_now().await;
        }
        assert!(!waiting.is_finished());
        places.leave(&first);
        waiting.await.expect("not panicked");
        assert_eq!(second.close_order(), None);
        places.leave(&second);
        places.take(&third).await;
        places.leave(&second);
        places.close_all(2, CloseReason::Shutdown);
        assert_eq!(third.close_order(), None);
        places.close_all(3, CloseReason::Shutdown);
        assert_eq!(third.close_order(), Some(CloseReason::Shutdown));
    }
}
