//! Waiting for a device's answer: one mechanism for commands, property set and get.
//!
//! The waiter listens first and sends afterwards, so that no answer is missed, and forgets its place whatever happens.

use std::sync::Arc;
use std::time::Duration;

use causeway_model::DeviceId;
use dashmap::DashMap;
use tokio::sync::oneshot;

use crate::downlink::Answer;

struct Waiting {
    /// Only this device's connection may answer.
    via: DeviceId,
    answer: oneshot::Sender<Answer>,
}

/// Requests that wait for an answer, by request id.
#[derive(Default)]
pub struct Waiters {
    waiting: DashMap<Arc<str>, Waiting>,
    per_device: DashMap<DeviceId, u32>,
}

/// A place in [`Waiters`]; gives it up when dropped.
pub struct Place {
    waiters: Arc<Waiters>,
    request_id: Arc<str>,
    via: DeviceId,
    answer: oneshot::Receiver<Answer>,
}

impl Waiters {
    /// Takes a place, unless `max_pending` requests wait for the device already.
    pub fn listen(self: &Arc<Self>, request_id: Arc<str>, via: DeviceId, max_pending: u32) -> Option<Place> {
        {
            let mut pending = self.per_device.entry(via.clone()).or_insert(0);
            if *pending >= max_pending {
                return None;
            }
            *pending += 1;
        }
        let (sender, answer) = oneshot::channel();
        self.waiting.insert(request_id.clone(), Waiting { via: via.clone(), answer: sender });
        Some(Place { waiters: self.clone(), request_id, via, answer })
    }

    /// Hands an answer to whoever waits for it; false when nobody does (too late, or not this device's to give).
    pub fn complete(&self, via: &DeviceId, request_id: &str, answer: Answer) -> bool {
        match self.waiting.remove_if(request_id, |_, w| w.via == *via) {
            Some((_, waiting)) => waiting.answer.send(answer).is_ok(),
            None => false,
        }
    }

    /// Ends every waiting at once: the platform stops.
    pub fn give_up(&self) {
        self.waiting.clear();
    }

    /// Requests waiting right now.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Place {
    /// Waits a while for the answer and keeps the place when there is none yet.
    pub async fn wait_some(&mut self, time: Duration) -> Option<Answer> {
        match tokio::time::timeout(time, &mut self.answer).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(_)) => {
                // A receiver that has ended must not be asked again; this one ends at once.
                self.answer = oneshot::channel().1;
                None
            }
            Err(_) => None,
        }
    }

    /// Waits for the answer; `None` after `timeout`, or when the platform stops.
    pub async fn wait(mut self, timeout: Duration) -> Option<Answer> {
        self.wait_some(timeout).await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiters.waiting.remove(&self.request_id);
        let emptied = self.waiters.per_device.get_mut(&self.via).is_some_and(|mut pending| {
            *pending -= 1;
            *pending == 0
        });
        if emptied {
            self.waiters.per_device.remove_if(&self.via, |_, pending| *pending == 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(id: &str) -> DeviceId {
        DeviceId::parse(id).expect("id")
    }

    #[tokio::test]
    async fn only_the_asked_device_answers_and_places_are_given_up() {
        let waiters = Arc::new(Waiters::default());
        let place = waiters.listen("r1".into(), device("a"), 1).expect("a place");
        assert!(waiters.listen("r2".into(), device("a"), 1).is_none());
        assert!(!waiters.complete(&device("b"), "r1", Answer { body: vec![1] }));
        assert!(waiters.complete(&device("a"), "r1", Answer { body: vec![2] }));
        assert_eq!(place.wait(Duration::from_secs(1)).await, Some(Answer { body: vec![2] }));
        let place = waiters.listen("r3".into(), device("a"), 1).expect("the place is free again");
        assert_eq!(place.wait(Duration::from_millis(1)).await, None);
        assert!(waiters.is_empty() && waiters.per_device.is_empty());
    }
}
