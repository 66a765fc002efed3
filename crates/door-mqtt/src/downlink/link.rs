//! A connection as the platform sees it: a bounded mailbox and an order to close.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use causeway_model::DeviceNo;
use causeway_platform::downlink::{CloseReason, DeviceLink, Downlink, LinkPlace, Refused};
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// See the module text. Shared by the connection's task, the session directory and the door.
pub(crate) struct Link {
    /// The device.
    pub(crate) device: DeviceNo,
    /// Number of the listening address it came through.
    pub(crate) listener: u32,
    place: LinkPlace,
    capacity: usize,
    mail: Mutex<Mail>,
    /// Something changed since the task looked last.
    changed: AtomicBool,
    /// The device subscribed to broadcasts.
    hears_broadcasts: AtomicBool,
    waker: AtomicWaker,
    ended: Notify,
}

#[derive(Default)]
struct Mail {
    waiting: VecDeque<Downlink>,
    close: Option<CloseReason>,
    has_ended: bool,
}

impl Link {
    pub(crate) fn new(device: DeviceNo, listener: u32, capacity: usize) -> Self {
        Self {
            device,
            listener,
            place: LinkPlace::default(),
            capacity,
            mail: Mutex::default(),
            changed: AtomicBool::new(false),
            hears_broadcasts: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            ended: Notify::new(),
        }
    }

    /// The same, ending at `place`.
    pub(crate) fn at(self, place: LinkPlace) -> Self {
        Self { place, ..self }
    }

    /// Wakes the task whenever mail comes. True when something came since the last call.
    pub(crate) fn listen(&self, waker: &Waker) -> bool {
        self.waker.register(waker);
        self.changed.swap(false, Ordering::AcqRel)
    }

    /// The next downlink.
    pub(crate) fn next(&self) -> Option<Downlink> {
        let mut mail = self.mail.lock();
        let next = mail.waiting.pop_front();
        if mail.waiting.is_empty() {
            // An idle connection keeps no buffer.
            mail.waiting = VecDeque::new();
        }
        next
    }

    /// Whether broadcasts are for the device at all.
    pub(crate) fn set_hears_broadcasts(&self, hears: bool) {
        self.hears_broadcasts.store(hears, Ordering::Release);
    }

    /// The order to close, if one was given.
    pub(crate) fn close_order(&self) -> Option<CloseReason> {
        self.mail.lock().close
    }

    /// Nothing is taken any more; what waits is given back to its owners by being dropped.
    pub(crate) fn shut(&self) {
        let waiting = {
            let mut mail = self.mail.lock();
            mail.close.get_or_insert(CloseReason::Shutdown);
            std::mem::take(&mut mail.waiting)
        };
        drop(waiting);
    }

    /// The connection is over and what lives on of its session is where the next one finds it.
    pub(crate) fn end(&self) {
        self.shut();
        self.mail.lock().has_ended = true;
        self.ended.notify_waiters();
    }

    /// Waits for [`end`](Self::end).
    pub(crate) async fn until_ended(&self) {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            if self.mail.lock().has_ended {
                return;
            }
            ended.await;
        }
    }

    fn wake(&self) {
        self.changed.store(true, Ordering::Release);
        self.waker.wake();
    }
}

impl DeviceLink for Link {
    fn deliver(&self, downlink: Downlink) -> Result<(), Refused> {
        {
            let mut mail = self.mail.lock();
            if mail.close.is_some() {
                return Err(Refused::Closed);
            }
            if mail.waiting.len() >= self.capacity {
                return Err(Refused::Busy);
            }
            mail.waiting.push_back(downlink);
        }
        self.wake();
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.mail.lock().waiting.len() < self.capacity.div_ceil(2)
    }

    fn hears_broadcasts(&self) -> bool {
        self.hears_broadcasts.load(Ordering::Acquire)
    }

    fn close(&self, reason: CloseReason) {
        self.mail.lock().close.get_or_insert(reason);
        self.wake();
    }

    fn place(&self) -> LinkPlace {
        self.place
    }
}

#[cfg(test)]
mod tests {
    use causeway_model::DeviceId;

    use super::*;

    fn downlink() -> Downlink {
        let object_device_id = DeviceId::parse("d").expect("id");
        Downlink::PropertyGet { request_id: "r".into(), object_device_id, service_id: None }
    }

    #[tokio::test]
    async fn mail_is_bounded_and_ends_with_the_link() {
        let link = Link::new(DeviceNo(1), 0, 2);
        assert!(!link.listen(Waker::noop()));
        assert!(link.deliver(downlink()).is_ok() && link.deliver(downlink()).is_ok());
        assert!(matches!(link.deliver(downlink()), Err(Refused::Busy)));
        assert!(link.listen(Waker::noop()) && !link.listen(Waker::noop()));
        assert!(link.next().is_some());
        link.close(CloseReason::Frozen);
        link.close(CloseReason::TakenOver);
        assert_eq!(link.close_order(), Some(CloseReason::Frozen));
        assert!(matches!(link.deliver(downlink()), Err(Refused::Closed)));
        link.end();
        assert!(link.next().is_none());
        link.until_ended().await;
    }
}
