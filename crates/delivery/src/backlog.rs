//! The part of a target's outbox that is in memory, in lanes: one a device, each in its order.
//!
//! No I/O and no clock. Memory is bounded by [`MAX_ROWS`] and [`MAX_BYTES`]. A lane that fails again and again must not
//! fill that room and stop the others, so when the room is full of failing lanes they are *parked*: all but their first
//! delivery is dropped from memory, what follows is skipped when read, and once the lane is through with its first one,
//! the outbox is read again from where it was parked.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use bytes::Bytes;
use causeway_model::{DeviceNo, Timestamp};
use causeway_platform::outbox::Delivery;

/// Deliveries in memory.
const MAX_ROWS: usize = 2048;
/// Bytes of their bodies; exceeded by one batch at most.
const MAX_BYTES: usize = 8 << 20;
/// Deliveries read at once. Bounds what a batch of the largest bodies (1 MB) takes.
pub(crate) const MAX_BATCH: u32 = 64;
/// Bytes that a batch should have.
const BATCH_BYTES: usize = 2 << 20;
/// The longest pause between two tries.
const MAX_PAUSE_MS: i64 = 60_000;

/// Deliveries of one device keep their order; those without a device are one lane.
pub(crate) type Lane = Option<DeviceNo>;

struct Waiting {
    seq: i64,
    at: Timestamp,
    body: Bytes,
}

#[derive(Default)]
struct Queue {
    /// The first one may be under way.
    waiting: VecDeque<Waiting>,
    /// Failures of the first one in a row.
    failures: u32,
}

/// A delivery to push now. Its lane waits until the outcome is told.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) lane: Lane,
    pub(crate) seq: i64,
    pub(crate) at: Timestamp,
    pub(crate) body: Bytes,
}

/// See the module text.
pub(crate) struct Backlog {
    lanes: HashMap<Lane, Queue>,
    ready: VecDeque<Lane>,
    paused: BTreeSet<(Timestamp, Lane)>,
    /// Lanes of which only the first delivery is in memory, and where to read on.
    parked: HashMap<Lane, i64>,
    /// In memory, or pushed and not yet finished in the store: not to be taken in again after going back.
    known: HashSet<i64>,
    rows: usize,
    bytes: usize,
    largest: usize,
    read_to: i64,
    /// The outbox may have more than was read.
    more: bool,
    retry_ms: i64,
    max_rows: usize,
}

impl Backlog {
    /// `retry_ms` is the pause after a first failure.
    pub(crate) fn new(retry_ms: i64) -> Self {
        Self::with_room(retry_ms, MAX_ROWS)
    }

    fn with_room(retry_ms: i64, max_rows: usize) -> Self {
        Self {
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            paused: BTreeSet::new(),
            parked: HashMap::new(),
            known: HashSet::new(),
            rows: 0,
            bytes: 0,
            largest: BATCH_BYTES / MAX_BATCH as usize,
            read_to: 0,
            more: true,
            retry_ms: retry_ms.max(1),
            max_rows,
        }
    }

    /// Deliveries were committed.
    pub(crate) fn has_more(&mut self) {
        self.more = true;
    }

    /// Whether all that was there has been read, as far as is known.
    pub(crate) fn is_read(&self) -> bool {
        !self.more
    }

    /// Where to read on and how many, if there may be more and there is room.
    pub(crate) fn wants(&mut self) -> Option<(i64, u32)> {
        if !self.more {
            return None;
        }
        if self.is_full() && self.paused.len() == self.lanes.len() {
            self.park();
        }
        let batch = u32::try_from(BATCH_BYTES / self.largest.max(1)).unwrap_or(MAX_BATCH).clamp(4, MAX_BATCH);
        // Pushed but unfinished ones count: a store that cannot finish must not make this grow.
        (!self.is_full() && self.known.len() < 2 * self.max_rows).then_some((self.read_to, batch))
    }

    fn is_full(&self) -> bool {
        self.rows >= self.max_rows || self.bytes >= MAX_BYTES
    }

    /// Drops all but the first delivery of every lane. Only called while all lanes pause.
    fn park(&mut self) {
        for (lane, queue) in &mut self.lanes {
            let Some(second) = queue.waiting.get(1).map(|w| w.seq) else { continue };
            self.parked.entry(*lane).or_insert(second);
            for dropped in queue.waiting.drain(1..) {
                self.known.remove(&dropped.seq);
                self.rows -= 1;
                self.bytes -= dropped.body.len();
            }
        }
    }

    /// Takes in what was read as [`wants`](Self::wants) said. Deliveries older than `oldest` are left to their expiry in
    /// the store.
    pub(crate) fn take_in(&mut self, (after, limit): (i64, u32), batch: Vec<Delivery>, oldest: Timestamp) {
        if after != self.read_to {
            // Gone back meanwhile: what comes before must be read first.
            return;
        }
        self.more = batch.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        self.largest = batch.iter().map(|d| d.body.len()).max().unwrap_or(self.largest);
        for delivery in batch {
            self.read_to = self.read_to.max(delivery.seq);
            let lane = delivery.device;
            let skipped = delivery.at < oldest || self.parked.contains_key(&lane);
            if skipped || !self.known.insert(delivery.seq) {
                continue;
            }
            let body = Bytes::from(String::from(delivery.body));
            self.rows += 1;
            self.bytes += body.len();
            let queue = self.lanes.entry(lane).or_default();
            if queue.waiting.is_empty() {
                self.ready.push_back(lane);
            }
            queue.waiting.push_back(Waiting { seq: delivery.seq, at: delivery.at, body });
        }
    }

    /// The next delivery to push. One older than `oldest` is left to its expiry in the store.
    pub(crate) fn next(&mut self, oldest: Timestamp) -> Option<Job> {
        while let Some(lane) = self.ready.pop_front() {
            let Some(first) = self.lanes.get(&lane).and_then(|q| q.waiting.front()) else { continue };
            if first.at >= oldest {
                return Some(Job { lane, seq: first.seq, at: first.at, body: first.body.clone() });
            }
            let seq = first.seq;
            self.known.remove(&seq);
            self.drop_first(lane);
        }
        None
    }

    /// A delivery was pushed; it stays known until [`finished`](Self::finished).
    pub(crate) fn succeeded(&mut self, lane: Lane) {
        self.drop_first(lane);
    }

    /// Goes on with the lane's next delivery.
    fn drop_first(&mut self, lane: Lane) {
        let Some(queue) = self.lanes.get_mut(&lane) else { return };
        if let Some(first) = queue.waiting.pop_front() {
            self.rows -= 1;
            self.bytes -= first.body.len();
        }
        queue.failures = 0;
        if queue.waiting.is_empty() {
            self.lanes.remove(&lane);
            if let Some(seq) = self.parked.remove(&lane) {
                self.read_to = self.read_to.min(seq - 1);
                self.more = true;
            }
        } else {
            self.ready.push_back(lane);
        }
    }

    /// A push failed: the lane pauses, longer with every failure.
    pub(crate) fn failed(&mut self, lane: Lane, now: Timestamp) {
        let Some(queue) = self.lanes.get_mut(&lane) else { return };
        let doubled = self.retry_ms.saturating_mul(1 << queue.failures.min(30));
        queue.failures += 1;
        let until = now.plus_ms(doubled.min(MAX_PAUSE_MS));
        self.paused.insert((until, lane));
    }

    /// Ends the pauses that are over at `now`; returns when the next one is.
    pub(crate) fn wake(&mut self, now: Timestamp) -> Option<Timestamp> {
        while let Some(&(until, lane)) = self.paused.first() {
            if until > now {
                return Some(until);
            }
            self.paused.pop_first();
            self.ready.push_back(lane);
        }
        None
    }

    /// The store has dropped these.
    pub(crate) fn finished(&mut self, seqs: &[i64]) {
        for seq in seqs {
            self.known.remove(seq);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const EVER: Timestamp = Timestamp(i64::MIN);

    fn delivery(seq: i64, device: i64) -> Delivery {
        Delivery { seq, target: 1, device: Some(DeviceNo(device)), body: seq.to_string().into(), at: Timestamp(seq) }
    }

    /// An outbox, and what was pushed from it in what order.
    struct Bench {
        backlog: Backlog,
        stored: BTreeMap<i64, Delivery>,
        pushed: Vec<i64>,
        now: Timestamp,
        largest: usize,
    }

    impl Bench {
        fn new(room: usize, deliveries: impl Iterator<Item = Delivery>) -> Self {
            let backlog = Backlog::with_room(1000, room);
            Self {
                backlog,
                stored: deliveries.map(|d| (d.seq, d)).collect(),
                pushed: Vec::new(),
                now: Timestamp(0),
                largest: 0,
            }
        }

        fn found(&self, (after, limit): (i64, u32)) -> Vec<Delivery> {
            self.stored.range(after + 1..).take(limit as usize).map(|(_, d)| d.clone()).collect()
        }

        fn read(&mut self) -> bool {
            let Some(wanted) = self.backlog.wants() else { return false };
            self.backlog.take_in(wanted, self.found(wanted), EVER);
            self.largest = self.largest.max(self.backlog.rows);
            true
        }

        fn read_all(&mut self) {
            while self.read() {}
        }

        fn push(&mut self, job: &Job) {
            self.backlog.succeeded(job.lane);
            self.pushed.push(job.seq);
        }

        fn finish(&mut self, seqs: &[i64]) {
            self.stored.retain(|seq, _| !seqs.contains(seq));
            self.backlog.finished(seqs);
        }
    }

    #[test]
    fn a_lane_pushes_one_at_a_time_and_lanes_do_not_wait_for_each_other() {
        let mut bench = Bench::new(100, (1..=6).map(|seq| delivery(seq, seq % 2)));
        bench.read_all();
        let first = bench.backlog.next(EVER).expect("device 1");
        let second = bench.backlog.next(EVER).expect("device 0");
        assert_eq!((first.seq, second.seq), (1, 2));
        assert!(bench.backlog.next(EVER).is_none());
        bench.push(&second);
        assert_eq!(bench.backlog.next(EVER).expect("device 0 goes on").seq, 4);
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_end_with_a_success() {
        let mut bench = Bench::new(100, (1..=2).map(|seq| delivery(seq, 7)));
        bench.read_all();
        for pause in [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000] {
            let job = bench.backlog.next(EVER).expect("due");
            assert_eq!(job.seq, 1);
            bench.backlog.failed(job.lane, bench.now);
            assert!(bench.backlog.next(EVER).is_none());
            assert_eq!(bench.backlog.wake(bench.now.plus_ms(pause - 1)), Some(bench.now.plus_ms(pause)));
            bench.now = bench.now.plus_ms(pause);
            assert_eq!(bench.backlog.wake(bench.now), None);
        }
        let job = bench.backlog.next(EVER).expect("due");
        bench.push(&job);
        let job = bench.backlog.next(EVER).expect("the second");
        bench.backlog.failed(job.lane, bench.now);
        assert_eq!(bench.backlog.wake(bench.now), Some(bench.now.plus_ms(1000)));
    }

    #[test]
    fn a_failing_lane_that_fills_the_room_does_not_stop_the_others() {
        let mut bench =
            Bench::new(50, (1..=300).map(|seq| delivery(seq, 1)).chain([delivery(301, 2), delivery(302, 1)]));
        bench.read_all();
        let job = bench.backlog.next(EVER).expect("device 1");
        bench.backlog.failed(job.lane, bench.now);
        bench.read_all();
        let other = bench.backlog.next(EVER).expect("device 2 is read past the failing lane");
        assert_eq!(other.seq, 301);
        bench.push(&other);
        assert!(bench.backlog.next(EVER).is_none());
        // The failing lane goes on where it was, and nothing of it is lost.
        bench.backlog.wake(Timestamp(i64::MAX));
        while let Some(job) = bench.backlog.next(EVER) {
            bench.push(&job);
            bench.finish(&[job.seq]);
            bench.read_all();
        }
        let expected: Vec<i64> = [301].into_iter().chain(1..=300).chain([302]).collect();
        assert_eq!(bench.pushed, expected);
        assert!(bench.largest <= 50 + MAX_BATCH as usize);
    }

    #[test]
    fn what_was_read_before_going_back_is_not_taken_in() {
        let mut bench = Bench::new(4, (1..=10).map(|seq| delivery(seq, 1)));
        bench.read_all();
        let job = bench.backlog.next(EVER).expect("first");
        bench.backlog.failed(job.lane, bench.now);
        let wanted = bench.backlog.wants();
        bench.read_all();
        bench.stored.insert(11, delivery(11, 1));
        bench.backlog.has_more();
        let wanted = bench.backlog.wants().or(wanted).expect("room after parking");
        bench.backlog.wake(Timestamp(i64::MAX));
        let job = bench.backlog.next(EVER).expect("first again");
        bench.push(&job);
        // The answer to the reading that was under way comes only now: 11 must not overtake 2.
        bench.backlog.take_in(wanted, vec![delivery(11, 1)], EVER);
        assert!(bench.backlog.next(EVER).is_none());
        bench.finish(&[1]);
        bench.read_all();
        assert_eq!(bench.backlog.next(EVER).expect("second").seq, 2);
    }

    #[test]
    fn old_deliveries_are_left_out() {
        let mut bench = Bench::new(100, (1..=4).map(|seq| delivery(seq, 1)));
        bench.read_all();
        assert_eq!(bench.backlog.next(Timestamp(3)).expect("young enough").seq, 3);
        let mut late = Bench::new(100, (1..=4).map(|seq| delivery(seq, 1)));
        let wanted = late.backlog.wants().expect("room");
        late.backlog.take_in(wanted, late.stored.values().cloned().collect(), Timestamp(4));
        assert_eq!(late.backlog.next(EVER).expect("the youngest").seq, 4);
    }

    /// Any interleaving of readings, pushes, failures and finishings pushes everything, each device in its order, once.
    #[test]
    fn any_interleaving_keeps_order_and_loses_nothing() {
        for seed in 1..=100_u64 {
            let mut random = seed;
            let mut dice = move |sides: u64| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (random >> 33) % sides
            };
            let devices = 1 + dice(6);
            let all: Vec<_> = (1..=400).map(|seq| delivery(seq, dice(devices) as i64)).collect();
            let mut bench = Bench::new(8 + dice(40) as usize, all.clone().into_iter());
            let fails = 1 + dice(9);
            let (mut under_way, mut unfinished): (Vec<Job>, Vec<i64>) = (Vec::new(), Vec::new());
            // A reading shows the outbox as it was when it began; no finishing runs beside it.
            let mut reading: Option<((i64, u32), Vec<Delivery>)> = None;
            let mut steps = 0;
            while !bench.stored.is_empty() {
                steps += 1;
                assert!(steps < 100_000, "seed {seed} does not come to an end");
                match dice(5) {
                    0 => match reading.take() {
                        Some((wanted, batch)) => bench.backlog.take_in(wanted, batch, EVER),
                        None => reading = bench.backlog.wants().map(|wanted| (wanted, bench.found(wanted))),
                    },
                    1 if under_way.len() < 4 => under_way.extend(bench.backlog.next(EVER)),
                    2 if !under_way.is_empty() => {
                        let job = under_way.swap_remove(dice(under_way.len() as u64) as usize);
                        if dice(10) < fails {
                            bench.backlog.failed(job.lane, bench.now);
                        } else {
                            bench.push(&job);
                            unfinished.push(job.seq);
                        }
                    }
                    3 if reading.is_none() => bench.finish(&std::mem::take(&mut unfinished)),
                    _ => {
                        bench.now = bench.now.plus_ms(dice(30_000) as i64);
                        bench.backlog.wake(bench.now);
                    }
                }
            }
            for device in 0..devices {
                let of_device = |seqs: Vec<i64>| -> Vec<i64> {
                    let lane = Some(DeviceNo(device as i64));
                    seqs.into_iter().filter(|seq| all[*seq as usize - 1].device == lane).collect()
                };
                assert_eq!(of_device(bench.pushed.clone()), of_device((1..=400).collect()), "seed {seed}");
            }
            assert!(
                bench.backlog.known.is_empty() && bench.backlog.rows == 0 && bench.backlog.bytes == 0,
                "seed {seed}"
            );
        }
    }
}
