//! Times of day, days of the week, and when a timer comes next.

use causeway_model::Timestamp;
use causeway_model::linkage::{Condition, DailyTimer, Days, MinuteOfDay, SimpleTimer, TimeRange, UtcOffset};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// A time as clocks on the wall show it.
struct Wall {
    /// Days since 1970-01-01.
    day: i64,
    /// Milliseconds of the day.
    ms: i64,
}

impl Wall {
    fn of(at: Timestamp, offset: UtcOffset) -> Self {
        let local = at.0.saturating_add(i64::from(offset.minutes) * MINUTE_MS);
        Self { day: local.div_euclid(DAY_MS), ms: local.rem_euclid(DAY_MS) }
    }
}

/// Whether a day (since 1970-01-01, a Thursday) is among `days`.
fn is_on(days: Days, day: i64) -> bool {
    days.contains(u8::try_from((day + 4).rem_euclid(7)).unwrap_or(0))
}

/// Whether `at` is within the time; from its start, before its end.
#[must_use]
pub fn contains(range: &TimeRange, at: Timestamp, offset: UtcOffset) -> bool {
    let wall = Wall::of(at, offset);
    let ms = |minute: MinuteOfDay| i64::from(minute.0) * MINUTE_MS;
    let (start, end) = (ms(range.start), ms(range.end));
    if start < end {
        return is_on(range.days, wall.day) && (start..end).contains(&wall.ms);
    }
    // It ends on the next day; its days are those that it begins on.
    (wall.ms >= start && is_on(range.days, wall.day)) || (wall.ms < end && is_on(range.days, wall.day - 1))
}

/// The first time of the timer after `after`.
#[must_use]
pub fn next_simple(timer: &SimpleTimer, after: Timestamp) -> Option<Timestamp> {
    if after.0 < timer.start {
        return (timer.count > 0).then_some(Timestamp(timer.start));
    }
    let interval = i64::from(timer.interval_s.max(1)) * 1000;
    let passed = (after.0 - timer.start) / interval + 1;
    (passed < i64::from(timer.count)).then(|| Timestamp(timer.start + passed * interval))
}

/// The first time of the timer after `after`.
#[must_use]
pub fn next_daily(timer: &DailyTimer, after: Timestamp, offset: UtcOffset) -> Option<Timestamp> {
    let today = Wall::of(after, offset).day;
    (today..=today + 7)
        .filter(|day| is_on(timer.days, *day))
        .map(|day| Timestamp(day * DAY_MS + (i64::from(timer.time.0) - i64::from(offset.minutes)) * MINUTE_MS))
        .find(|at| *at > after)
}

/// The first time after `after` at which the clock makes a condition true; `None` when it never will, or is no timer.
#[must_use]
pub fn next(condition: &Condition, after: Timestamp, offset: UtcOffset) -> Option<Timestamp> {
    match condition {
        Condition::SimpleTimer(timer) => next_simple(timer, after),
        Condition::DailyTimer(timer) => next_daily(timer, after, offset),
        Condition::Data { .. } | Condition::Status { .. } => None,
    }
}
