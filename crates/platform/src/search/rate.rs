//! How often may be searched.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// So many searches in any second of the clock; the vendor's cloud allows one.
#[derive(Default)]
pub(crate) struct SearchRate(Mutex<Option<(Instant, u32)>>);

impl SearchRate {
    /// Whether one more is allowed at `now`; `per_second` 0 allows every one.
    pub(crate) fn allow(&self, per_second: u32, now: Instant) -> bool {
        if per_second == 0 {
            return true;
        }
        let mut window = self.0.lock();
        let count = match *window {
            Some((start, count)) if now.duration_since(start) < Duration::from_secs(1) => count + 1,
            _ => 1,
        };
        if count > per_second {
            return false;
        }
        let start = window.map_or(now, |(start, _)| if count == 1 { now } else { start });
        *window = Some((start, count));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_so_many() {
        let (rate, start) = (SearchRate::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let allowed: Vec<bool> = [0, 10, 999, 1000, 1500, 1600, 2600].map(|ms| rate.allow(2, at(ms))).to_vec();
        assert_eq!(allowed, [true, true, false, true, true, false, true]);
        assert!((0..100).all(|_| rate.allow(0, start)));
    }
}
