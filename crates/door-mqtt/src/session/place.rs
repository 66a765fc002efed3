//! One place a device: its connection of now, and what its persistent session keeps while it is away.

use std::collections::HashMap;
use std::ops::Deref;
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
    /// A will that waits for its time.
    pub(crate) will: Option<WaitingWill>,
}

/// A will that waits for its time (v5 §3.1.3.2.2).
pub(crate) struct WaitingWill {
    /// When it is published, if the device does not come back before.
    pub(crate) at: Timestamp,
    /// The will itself.
    pub(crate) will: Will,
    /// Who the device was.
    pub(crate) context: Arc<DeviceContext>,
}

/// A connection in its device's place. Dropping it gives the place up, however the connection comes to its end: the next
/// one waits for that.
pub(crate) struct Seat {
    places: Arc<Places>,
    link: Arc<Link>,
}

impl Deref for Seat {
    type Target = Link;

    fn deref(&self) -> &Link {
        &self.link
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.places.leave(&self.link);
    }
}

/// What was kept for a device, in the hands of a connection that is being opened. It is kept again, unless something newer
/// is, when that fails: when this is dropped before [`take`](Self::take).
pub(crate) struct Unparked {
    places: Arc<Places>,
    device: DeviceNo,
    parked: Option<Parked>,
}

impl Unparked {
    /// A look at it.
    pub(crate) fn get(&self) -> Option<&Parked> {
        self.parked.as_ref()
    }

    /// Takes it for good.
    pub(crate) fn take(mut self) -> Option<Parked> {
        self.parked.take()
    }
}

impl Drop for Unparked {
    fn drop(&mut self) {
        if let Some(parked) = self.parked.take() {
            self.places.parked.lock().entry(self.device).or_insert(parked);
        }
    }
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
    pub(crate) async fn take(self: &Arc<Self>, link: Arc<Link>) -> Seat {
        let old = self.live.lock().insert(link.device, link.clone());
        let seat = Seat { places: self.clone(), link };
        if let Some(old) = old {
            old.close(CloseReason::TakenOver); // [MQTT-3.1.4-2] v5 [MQTT-3.1.4-3]
            old.until_ended().await;
        }
        seat
    }

    /// Gives the place up, unless a newer connection has it, and tells whoever waits for it.
    fn leave(&self, link: &Arc<Link>) {
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
    pub(crate) fn unpark(self: &Arc<Self>, device: DeviceNo) -> Unparked {
        let parked = self.parked.lock().remove(&device);
        Unparked { places: self.clone(), device, parked }
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
                if parked.will.as_ref().is_some_and(|will| is_over || will.at <= now)
                    && let Some(waiting) = parked.will.take()
                {
                    due.push((waiting.context, waiting.will));
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
        let first_seat = places.take(first.clone()).await;
        let waiting = tokio::spawn({
            let (places, second) = (places.clone(), second.clone());
            async move { places.take(second).await }
        });
        while first.close_order().is_none() {
            tokio::task::yield_now().await;
        }
        assert!(!waiting.is_finished());
        drop(first_seat);
        let second_seat = waiting.await.expect("not panicked");
        assert_eq!(second.close_order(), None);
        drop(second_seat);
        let _third_seat = places.take(third.clone()).await;
        places.leave(&second);
        places.close_all(2, CloseReason::Shutdown);
        assert_eq!(third.close_order(), None);
        places.close_all(3, CloseReason::Shutdown);
        assert_eq!(third.close_order(), Some(CloseReason::Shutdown));
    }

    #[tokio::test]
    async fn a_panic_locks_no_device_out() {
        let places = Arc::new(Places::default());
        let seat = places.take(Arc::new(Link::new(DeviceNo(1), 1, 1))).await;
        let task = tokio::spawn(async move {
            let _seat = seat;
            panic!("as a defect would");
        });
        assert!(task.await.expect_err("panicked").is_panic());
        let next = tokio::time::timeout(std::time::Duration::from_secs(5), async {
            places.take(Arc::new(Link::new(DeviceNo(1), 2, 1))).await
        });
        assert_eq!(next.await.expect("the place is free").close_order(), None);
    }

    fn parked(expires_at: i64) -> Parked {
        Parked { client: "c".into(), session: Session::default(), expires_at: Timestamp(expires_at), will: None }
    }

    #[test]
    fn a_session_is_kept_again_when_its_connection_does_not_come_about() {
        let places = Arc::new(Places::default());
        places.park(DeviceNo(1), parked(1));
        let unparked = places.unpark(DeviceNo(1));
        assert!(places.unpark(DeviceNo(1)).get().is_none());
        drop(unparked);
        let unparked = places.unpark(DeviceNo(1));
        assert_eq!(unparked.get().map(|p| p.expires_at), Some(Timestamp(1)));
        places.park(DeviceNo(1), parked(2));
        drop(unparked);
        let newer = places.unpark(DeviceNo(1)).take();
        assert_eq!(newer.map(|p| p.expires_at), Some(Timestamp(2)), "the newer one stays");
        assert!(places.unpark(DeviceNo(1)).get().is_none(), "it was taken for good");
    }
}
