//! The part of a queue that is in memory: what was read ahead and what consumers have in hand.
//!
//! No I/O and no clock. A message is *ready* until a consumer takes it, then *held* until its outcome, then *done* until the
//! store has taken it out of the outbox. What comes back goes to its old place, so that a single consumer sees the order of
//! the queue. Memory is bounded by [`Room`], which all queues share.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use causeway_model::Timestamp;
use causeway_platform::outbox::{Delivery, Finish};
use causeway_wire::amqp::Outcome;
use tokio::sync::Notify;

/// Rows read at once.
const MAX_BATCH: u32 = 1024;
/// Bytes that a batch should have.
const BATCH_BYTES: usize = 4 << 20;
/// What a queue may hold although the room of all is used up.
const OWN_ROWS: usize = 64;
const OWN_BYTES: usize = 1 << 20;
/// What a row costs besides its body.
const ROW_BYTES: usize = 160;
/// Rows taken out of the store by one write.
const FINISH_ROWS: usize = 4096;

/// A consumer: one link.
pub(super) type ConsumerId = u64;

/// Memory of all queues together.
pub(super) struct Room {
    used: AtomicUsize,
    max: usize,
    /// Somebody waits for room.
    is_short: AtomicBool,
    /// Told when there is room again.
    pub(super) freed: Notify,
}

impl Room {
    pub(super) fn new(max: usize) -> Self {
        Self { used: AtomicUsize::new(0), max, is_short: AtomicBool::new(false), freed: Notify::new() }
    }

    fn is_full(&self) -> bool {
        let full = self.used.load(Ordering::Relaxed) >= self.max;
        if full {
            self.is_short.store(true, Ordering::Relaxed);
        }
        full
    }

    fn take(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        if self.is_short.swap(false, Ordering::Relaxed) {
            self.freed.notify_waiters();
        }
    }
}

struct Row {
    body: Arc<str>,
    at: Timestamp,
    /// Deliveries that failed.
    failed: u32,
    /// Links that must not get it again.
    not_for: Vec<ConsumerId>,
}

impl Row {
    fn bytes(&self) -> usize {
        ROW_BYTES + self.body.len()
    }
}

/// A message for a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) seq: i64,
    pub(super) body: Arc<str>,
    pub(super) at: Timestamp,
    pub(super) failed: u32,
}

/// How a taking ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Supply {
    /// There was something; others wait for their share of the rest.
    Shared,
    /// There was something, and there may be more.
    Some,
    /// There is nothing now, but the store has not been read to its end.
    Later,
    /// The queue is empty.
    Dry,
}

struct Consumer {
    /// Wakes its connection.
    wake: Arc<Notify>,
    /// It has credit and got nothing.
    is_hungry: bool,
    /// The turn in which it got something last.
    served: u64,
}

/// See the module text.
pub(super) struct Window {
    room: Arc<Room>,
    ready: BTreeMap<i64, Row>,
    held: HashMap<i64, (ConsumerId, Row)>,
    /// Failed deliveries of rows that are not in memory now.
    failed: HashMap<i64, u32>,
    consumers: HashMap<ConsumerId, Consumer>,
    /// To be taken out of the store.
    done: Vec<i64>,
    rejected: Vec<i64>,
    /// A write that takes rows out is under way.
    is_finishing: bool,
    bytes: usize,
    largest: usize,
    read_to: i64,
    /// The store may have more than was read.
    more: bool,
    is_reading: bool,
    /// The queue was deleted.
    is_gone: bool,
    /// Rises with every taking.
    turn: u64,
}

impl Window {
    pub(super) fn new(room: Arc<Room>) -> Self {
        Self {
            room,
            ready: BTreeMap::new(),
            held: HashMap::new(),
            failed: HashMap::new(),
            consumers: HashMap::new(),
            done: Vec::new(),
            rejected: Vec::new(),
            is_finishing: false,
            bytes: 0,
            largest: BATCH_BYTES / 64,
            read_to: 0,
            more: true,
            is_reading: false,
            is_gone: false,
            turn: 0,
        }
    }

    /// A consumer comes.
    pub(super) fn join(&mut self, consumer: ConsumerId, wake: Arc<Notify>) {
        self.consumers.insert(consumer, Consumer { wake, is_hungry: false, served: 0 });
    }

    /// A consumer goes; what it holds comes back as delivered in vain. With the last one the memory is given up.
    pub(super) fn leave(&mut self, consumer: ConsumerId) {
        self.consumers.remove(&consumer);
        let held: Vec<i64> = self.held.iter().filter(|(_, (by, _))| *by == consumer).map(|(seq, _)| *seq).collect();
        for seq in held {
            self.put_back(seq, Outcome::Modified { failed: true, not_here: false });
        }
        if self.consumers.is_empty() {
            for (seq, row) in std::mem::take(&mut self.ready) {
                if row.failed > 0 {
                    self.failed.insert(seq, row.failed);
                }
            }
            self.room.give_back(std::mem::take(&mut self.bytes));
            self.read_to = 0;
            self.more = true;
        } else {
            self.wake_hungry();
        }
    }

    pub(super) fn has_consumers(&self) -> bool {
        !self.consumers.is_empty()
    }

    /// Whether nothing is left to tell the store.
    pub(super) fn is_settled(&self) -> bool {
        self.done.is_empty() && self.rejected.is_empty() && !self.is_finishing
    }

    /// The queue was deleted: nobody gets anything any more.
    pub(super) fn close(&mut self) {
        self.is_gone = true;
        self.ready.clear();
        self.consumers.values().for_each(|c| c.wake.notify_one());
    }

    pub(super) fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// Deliveries were committed.
    pub(super) fn has_more(&mut self) {
        self.more = true;
    }

    fn wake_hungry(&mut self) {
        for consumer in self.consumers.values_mut().filter(|c| c.is_hungry) {
            consumer.wake.notify_one();
        }
    }

    /// Where to read on and how many, if there may be more, somebody wants it, and there is room.
    pub(super) fn wants(&mut self) -> Option<(i64, u32)> {
        if !self.more || self.is_reading || self.is_gone || self.consumers.is_empty() {
            return None;
        }
        // After going back to the start, what is done must be out of the store before it is read again.
        if self.read_to == 0 && !self.is_settled() {
            return None;
        }
        let rows = self.ready.len() + self.held.len();
        let has_own = rows < OWN_ROWS && self.bytes < OWN_BYTES;
        // As much is ready as consumers take at once: reading on would only take the room of others.
        if self.ready.len() >= 2 * MAX_BATCH as usize || (!has_own && self.room.is_full()) {
            return None;
        }
        let batch = u32::try_from(BATCH_BYTES / self.largest.max(1)).unwrap_or(MAX_BATCH).clamp(4, MAX_BATCH);
        self.is_reading = true;
        Some((self.read_to, batch))
    }

    /// A reading failed.
    pub(super) fn not_read(&mut self) {
        self.is_reading = false;
    }

    /// Takes in what was read as [`wants`](Self::wants) said.
    pub(super) fn take_in(&mut self, (after, limit): (i64, u32), batch: Vec<Delivery>) {
        self.is_reading = false;
        if after != self.read_to || self.consumers.is_empty() {
            // All consumers went meanwhile.
            return;
        }
        if batch.len() < limit as usize {
            self.more = false;
        }
        self.largest = batch.iter().map(|d| d.body.len()).max().unwrap_or(self.largest);
        let before = self.bytes;
        for delivery in batch {
            self.read_to = self.read_to.max(delivery.seq);
            let failed = self.failed.remove(&delivery.seq).unwrap_or(0);
            let row = Row { body: delivery.body.into(), at: delivery.at, failed, not_for: Vec::new() };
            self.bytes += row.bytes();
            self.ready.insert(delivery.seq, row);
        }
        self.room.take(self.bytes - before);
        // Also when there was nothing: a consumer that drains its credit waits for that answer.
        self.wake_hungry();
    }

    fn forget(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.room.give_back(bytes);
    }

    /// Hands a consumer its share of what is ready, at most `limit`. What is older than `oldest` is left to its expiry in
    /// the store.
    pub(super) fn take(
        &mut self,
        consumer: ConsumerId,
        limit: usize,
        oldest: Timestamp,
        into: &mut Vec<Taken>,
    ) -> Supply {
        let (others, share) = self.share(consumer);
        let share = share.min(limit);
        let before = into.len();
        let mut passed = Vec::new();
        while into.len() - before < share {
            let Some((seq, row)) = self.ready.pop_first() else { break };
            if row.at < oldest {
                self.forget(row.bytes());
            } else if row.not_for.contains(&consumer) {
                passed.push((seq, row));
            } else {
                into.push(Taken { seq, body: row.body.clone(), at: row.at, failed: row.failed });
                self.held.insert(seq, (consumer, row));
            }
        }
        self.ready.extend(passed);
        let got = into.len() > before;
        self.turn += 1;
        if let Some(found) = self.consumers.get_mut(&consumer) {
            found.is_hungry = !got;
            if got {
                found.served = self.turn;
            }
        }
        if got && !self.ready.is_empty() {
            // Their shares have changed.
            self.wake_hungry();
        }
        match (got, others > 0) {
            (true, true) => Supply::Shared,
            (true, false) => Supply::Some,
            (false, _) if self.more || self.is_reading => Supply::Later,
            (false, _) => Supply::Dry,
        }
    }

    /// The other consumers that wait, and how much of what is ready is for this one: equal parts, and what is left over for
    /// those that have waited longest.
    fn share(&self, consumer: ConsumerId) -> (usize, usize) {
        let served = self.consumers.get(&consumer).map_or(0, |c| c.served);
        let (mut others, mut before) = (0, 0);
        for (id, other) in self.consumers.iter().filter(|(id, c)| **id != consumer && c.is_hungry) {
            others += 1;
            before += usize::from((other.served, *id) < (served, consumer));
        }
        let ready = self.ready.len();
        // Whoever is first may not be allowed to have the first message: then nobody stands back.
        if self.ready.first_key_value().is_some_and(|(_, row)| !row.not_for.is_empty()) {
            return (others, ready.div_ceil(others + 1));
        }
        (others, ready / (others + 1) + usize::from(before < ready % (others + 1)))
    }

    /// A consumer cannot take anything now: it does not count when shares are made.
    pub(super) fn is_fed(&mut self, consumer: ConsumerId) {
        let Some(found) = self.consumers.get_mut(&consumer) else { return };
        if std::mem::take(&mut found.is_hungry) && !self.ready.is_empty() {
            self.wake_hungry();
        }
    }

    /// Outcomes of messages that the consumer holds; others are passed over.
    pub(super) fn settle(&mut self, consumer: ConsumerId, seqs: &[i64], outcome: Outcome) {
        for seq in seqs {
            if self.held.get(seq).is_none_or(|(by, _)| *by != consumer) {
                continue;
            }
            match outcome {
                Outcome::Accepted | Outcome::Rejected => {
                    let Some((_, row)) = self.held.remove(seq) else { continue };
                    self.forget(row.bytes());
                    let list = if outcome == Outcome::Accepted { &mut self.done } else { &mut self.rejected };
                    list.push(*seq);
                }
                Outcome::Released | Outcome::Modified { .. } => self.put_back(*seq, outcome),
            }
        }
        if matches!(outcome, Outcome::Released | Outcome::Modified { .. }) {
            self.wake_hungry();
        }
    }

    fn put_back(&mut self, seq: i64, outcome: Outcome) {
        let Some((by, mut row)) = self.held.remove(&seq) else { return };
        if let Outcome::Modified { failed, not_here } = outcome {
            row.failed += u32::from(failed);
            if not_here {
                row.not_for.push(by);
            }
        }
        self.ready.insert(seq, row);
    }

    /// What the store is to be told next. [`finished`](Self::finished) or [`not_finished`](Self::not_finished) follows.
    pub(super) fn next_to_finish(&mut self) -> Option<(Vec<i64>, Finish)> {
        if self.is_finishing {
            return None;
        }
        let (list, outcome) = if self.rejected.is_empty() {
            (&mut self.done, Finish::Delivered)
        } else {
            (&mut self.rejected, Finish::Rejected)
        };
        if list.is_empty() {
            return None;
        }
        let rest = list.split_off(list.len().min(FINISH_ROWS));
        let seqs = std::mem::replace(list, rest);
        self.is_finishing = true;
        Some((seqs, outcome))
    }

    /// Messages whose outcome the store has not been told.
    pub(super) fn unfinished(&self) -> usize {
        self.done.len() + self.rejected.len()
    }

    pub(super) fn finished(&mut self) {
        self.is_finishing = false;
    }

    /// The store failed: these are told again.
    pub(super) fn not_finished(&mut self, mut seqs: Vec<i64>, outcome: Finish) {
        self.is_finishing = false;
        let list = if outcome == Finish::Rejected { &mut self.rejected } else { &mut self.done };
        seqs.append(list);
        *list = seqs;
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.room.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests;
