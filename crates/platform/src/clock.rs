//! The one clock. Every rule that compares times asks it, so that a laboratory can move it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use causeway_model::Timestamp;
use tokio::sync::watch;

/// The platform's time: the machine's, plus an offset that tests may move (key `clock.movable`).
#[derive(Debug)]
pub struct Clock {
    offset_ms: AtomicI64,
    moved: watch::Sender<i64>,
}

impl Default for Clock {
    fn default() -> Self {
        Self { offset_ms: AtomicI64::new(0), moved: watch::Sender::new(0) }
    }
}

impl Clock {
    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ms = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        Timestamp(ms.saturating_add(self.offset_ms.load(Ordering::Relaxed)))
    }

    /// Moves the clock forward and wakes everything that waits for a time.
    pub fn advance(&self, by_ms: i64) -> Timestamp {
        let total = self.offset_ms.fetch_add(by_ms, Ordering::Relaxed) + by_ms;
        self.moved.send_replace(total);
        self.now()
    }

    /// Waits for `period` of real time, or less when the clock is moved.
    pub async fn tick(&self, period: Duration) {
        let mut moved = self.moved.subscribe();
        let _ = tokio::time::timeout(period, moved.changed()).await;
    }
}
