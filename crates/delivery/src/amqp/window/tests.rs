use causeway_model::DeviceNo;

use super::*;

const EVER: Timestamp = Timestamp(i64::MIN);
const FAILED: Outcome = Outcome::Modified { failed: true, not_here: false };

/// A queue over a store in memory.
struct Bench {
    window: Window,
    stored: BTreeMap<i64, Delivery>,
    delivered: Vec<i64>,
    rejected: Vec<i64>,
}

fn delivery(seq: i64, size: usize) -> Delivery {
    Delivery { seq, target: 1, device: Some(DeviceNo(1)), body: "x".repeat(size).into(), at: Timestamp(seq) }
}

impl Bench {
    fn new(memory: usize, rows: impl IntoIterator<Item = Delivery>) -> Self {
        let window = Window::new(Arc::new(Room::new(memory)));
        let stored = rows.into_iter().map(|d| (d.seq, d)).collect();
        Self { window, stored, delivered: Vec::new(), rejected: Vec::new() }
    }

    fn of(rows: i64) -> Self {
        Self::new(64 << 20, (1..=rows).map(|seq| delivery(seq, 10)))
    }

    fn join(&mut self, consumer: ConsumerId) {
        self.window.join(consumer, Arc::new(Notify::new()));
    }

    fn found(&self, (after, limit): (i64, u32)) -> Vec<Delivery> {
        self.stored.range(after + 1..).take(limit as usize).map(|(_, d)| d.clone()).collect()
    }

    fn read_all(&mut self) {
        while let Some(wanted) = self.window.wants() {
            let found = self.found(wanted);
            self.window.take_in(wanted, found);
        }
    }

    fn take(&mut self, consumer: ConsumerId, limit: usize) -> Vec<i64> {
        let mut taken = Vec::new();
        self.window.take(consumer, limit, EVER, &mut taken);
        taken.iter().map(|t| t.seq).collect()
    }

    fn failures(&mut self, consumer: ConsumerId) -> Vec<(i64, u32)> {
        let mut taken = Vec::new();
        self.window.take(consumer, 1000, EVER, &mut taken);
        taken.iter().map(|t| (t.seq, t.failed)).collect()
    }

    fn finish_all(&mut self) {
        while let Some((seqs, outcome)) = self.window.next_to_finish() {
            self.stored.retain(|seq, _| !seqs.contains(seq));
            match outcome {
                Finish::Rejected => self.rejected.extend(seqs),
                _ => self.delivered.extend(seqs),
            }
            self.window.finished();
        }
    }
}

#[test]
fn one_consumer_sees_the_order_of_the_queue() {
    let mut bench = Bench::of(5000);
    bench.join(1);
    let mut seen = Vec::new();
    loop {
        bench.read_all();
        let taken = bench.take(1, 100);
        if taken.is_empty() {
            break;
        }
        bench.window.settle(1, &taken, Outcome::Accepted);
        bench.finish_all();
        seen.extend(taken);
    }
    assert_eq!(seen, (1..=5000).collect::<Vec<_>>());
    assert_eq!(bench.delivered, seen);
    assert!(bench.stored.is_empty());
    assert_eq!(bench.window.bytes, 0);
}

#[test]
fn what_comes_back_has_its_old_place() {
    let mut bench = Bench::of(6);
    bench.join(1);
    bench.read_all();
    assert_eq!(bench.take(1, 4), [1, 2, 3, 4]);
    bench.window.settle(1, &[2], Outcome::Released);
    bench.window.settle(1, &[3], FAILED);
    bench.window.settle(1, &[4], Outcome::Rejected);
    bench.window.settle(1, &[4], Outcome::Released);
    assert_eq!(bench.failures(1), [(2, 0), (3, 1), (5, 0), (6, 0)]);
    bench.finish_all();
    assert_eq!((bench.rejected.as_slice(), bench.delivered.len()), ([4].as_slice(), 0));
}

#[test]
fn hungry_consumers_share() {
    let mut bench = Bench::of(0);
    (1..=3).for_each(|consumer| bench.join(consumer));
    bench.read_all();
    for consumer in 1..=3 {
        assert!(bench.take(consumer, 100).is_empty());
    }
    bench.stored = (1..=9).map(|seq| (seq, delivery(seq, 10))).collect();
    bench.window.has_more();
    bench.read_all();
    assert_eq!(bench.take(2, 100), [1, 2, 3]);
    assert_eq!(bench.take(1, 2), [4, 5]);
    assert_eq!(bench.take(3, 100), [6, 7, 8, 9]);
    // Nobody settles for another.
    bench.window.settle(1, &[1, 6], Outcome::Accepted);
    assert!(bench.window.is_settled());
}

#[test]
fn single_messages_go_round() {
    let mut bench = Bench::of(0);
    (1..=3).for_each(|consumer| bench.join(consumer));
    bench.read_all();
    let mut got = Vec::new();
    for seq in 1..=9 {
        for consumer in 1..=3 {
            assert!(bench.take(consumer, 100).is_empty());
        }
        bench.stored.insert(seq, delivery(seq, 10));
        bench.window.has_more();
        bench.read_all();
        // Whoever asks first: it is for the one that has waited longest.
        got.extend((1..=3).filter(|consumer| !bench.take(*consumer, 100).is_empty()));
    }
    assert_eq!(got, [1, 2, 3, 1, 2, 3, 1, 2, 3]);
    // One that can take nothing keeps nobody waiting.
    bench.stored.insert(10, delivery(10, 10));
    bench.window.has_more();
    bench.read_all();
    bench.window.is_fed(1);
    bench.window.is_fed(2);
    assert_eq!(bench.take(3, 100), [10]);
}

#[test]
fn what_a_lost_consumer_held_goes_to_another_as_tried() {
    let mut bench = Bench::of(4);
    bench.join(1);
    bench.join(2);
    bench.read_all();
    assert_eq!(bench.take(1, 3), [1, 2, 3]);
    bench.window.settle(1, &[2], Outcome::Accepted);
    bench.window.leave(1);
    assert_eq!(bench.failures(2), [(1, 1), (3, 1), (4, 0)]);
}

#[test]
fn the_last_consumer_leaves_nothing_in_memory_and_its_tries_are_remembered() {
    let mut bench = Bench::of(4);
    bench.join(1);
    bench.read_all();
    let taken = bench.take(1, 3);
    bench.window.settle(1, &taken[..1], Outcome::Accepted);
    bench.window.leave(1);
    assert_eq!((bench.window.bytes, bench.window.ready.len(), bench.window.held.len()), (0, 0, 0));
    // What is done is not read again: it must be out of the store first.
    bench.join(2);
    assert_eq!(bench.window.wants(), None);
    bench.finish_all();
    bench.read_all();
    assert_eq!(bench.failures(2), [(2, 1), (3, 1), (4, 0)]);
}

#[test]
fn a_message_that_is_not_for_a_link_waits_for_another() {
    let mut bench = Bench::of(2);
    bench.join(1);
    bench.read_all();
    assert_eq!(bench.take(1, 1), [1]);
    bench.window.settle(1, &[1], Outcome::Modified { failed: false, not_here: true });
    assert_eq!(bench.take(1, 10), [2]);
    bench.join(2);
    assert_eq!(bench.take(2, 10), [1]);
}

#[test]
fn memory_is_bounded_and_a_full_room_starves_nobody() {
    let mut bench = Bench::new(100_000, (1..=20_000).map(|seq| delivery(seq, 1000)));
    bench.join(1);
    let mut held = 0;
    for _ in 0..50 {
        bench.read_all();
        held += bench.take(1, 1000).len();
    }
    // One batch more than there was room for.
    assert!(bench.window.bytes < 100_000 + (1024 + 64) * 1200, "{}", bench.window.bytes);
    assert!(held >= 64, "{held}");
    // Another queue gets some although the first one holds everything.
    let mut other = Window::new(bench.window.room.clone());
    other.join(1, Arc::new(Notify::new()));
    assert!(other.wants().is_some());
}

#[test]
fn large_messages_are_read_few_at_a_time() {
    let mut bench = Bench::new(64 << 20, (1..=500).map(|seq| delivery(seq, 1 << 20)));
    bench.join(1);
    bench.read_all();
    assert!(bench.window.bytes <= (64 << 20) + (64 << 20), "{}", bench.window.bytes);
    // A deleted queue is not read on.
    bench.window.close();
    assert_eq!(bench.window.wants(), None);
}

#[test]
fn what_is_too_old_is_left_to_its_expiry() {
    let mut bench = Bench::of(4);
    bench.join(1);
    bench.read_all();
    let mut taken = Vec::new();
    bench.window.take(1, 10, Timestamp(3), &mut taken);
    assert_eq!(taken.iter().map(|t| t.seq).collect::<Vec<_>>(), [3, 4]);
    // What is in hand keeps its consumer, and its outcome counts if the store still has it.
    bench.window.settle(1, &[3, 4], Outcome::Accepted);
    bench.finish_all();
    assert_eq!(bench.delivered, [3, 4]);
}

#[test]
fn an_empty_queue_is_told_from_one_that_is_not_read_yet() {
    let mut bench = Bench::of(0);
    bench.join(1);
    assert_eq!(bench.window.take(1, 1, EVER, &mut Vec::new()), Supply::Later);
    bench.read_all();
    assert_eq!(bench.window.take(1, 1, EVER, &mut Vec::new()), Supply::Dry);
    bench.window.has_more();
    assert_eq!(bench.window.take(1, 1, EVER, &mut Vec::new()), Supply::Later);
}

#[test]
fn outcomes_that_the_store_did_not_take_are_told_again() {
    let mut bench = Bench::of(3);
    bench.join(1);
    bench.read_all();
    let taken = bench.take(1, 3);
    bench.window.settle(1, &taken, Outcome::Accepted);
    let (seqs, outcome) = bench.window.next_to_finish().expect("three");
    assert!(bench.window.next_to_finish().is_none());
    bench.window.not_finished(seqs, outcome);
    bench.finish_all();
    assert_eq!(bench.delivered, [1, 2, 3]);
    assert!(bench.window.is_settled());
}

/// Whatever consumers do, each message ends accepted exactly once, and none is lost or held by two.
#[test]
fn any_interleaving_loses_nothing() {
    for seed in 1..=60_u64 {
        let mut random = seed;
        let mut dice = move |sides: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % sides
        };
        let mut bench = Bench::new(20_000, (1..=300).map(|seq| delivery(seq, 50)));
        let mut held: HashMap<ConsumerId, Vec<i64>> = HashMap::new();
        let mut next: ConsumerId = 0;
        let mut steps = 0;
        while bench.delivered.len() < 300 {
            steps += 1;
            assert!(steps < 100_000, "no progress with seed {seed}");
            let who = held.keys().copied().nth(dice(4) as usize);
            match (dice(8), who) {
                (0, _) | (_, None) if held.len() < 4 => {
                    next += 1;
                    bench.join(next);
                    held.insert(next, Vec::new());
                }
                (1, Some(who)) if dice(4) == 0 => {
                    bench.window.leave(who);
                    held.remove(&who);
                }
                (2, _) => bench.finish_all(),
                (3, Some(who)) => {
                    let seqs = std::mem::take(held.get_mut(&who).expect("known"));
                    let outcome = [Outcome::Released, FAILED][dice(2) as usize];
                    bench.window.settle(who, &seqs, outcome);
                }
                (4 | 5, Some(who)) => {
                    let seqs = std::mem::take(held.get_mut(&who).expect("known"));
                    bench.window.settle(who, &seqs, Outcome::Accepted);
                }
                (_, Some(who)) => {
                    if let Some(wanted) = bench.window.wants() {
                        let found = bench.found(wanted);
                        bench.window.take_in(wanted, found);
                    }
                    let taken = bench.take(who, 1 + dice(20) as usize);
                    held.get_mut(&who).expect("known").extend(taken);
                }
                (_, None) => {}
            }
        }
        let mut delivered = bench.delivered.clone();
        delivered.sort_unstable();
        assert_eq!(delivered, (1..=300).collect::<Vec<_>>(), "seed {seed}");
    }
}
