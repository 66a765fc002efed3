//! A sending thread: one poller, its share of the connections, no allocation per report.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

use super::publisher::Publisher;
use super::subscriber::Subscriber;
use crate::bench::payload::TIME_LEN;
use crate::bench::report::Errors;
use crate::load::histogram::Histogram;
use crate::load::identity::now;

/// Longest sleep while acknowledgements gather.
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
/// Shortest sleep worth a system call.
const SHORTEST_PAUSE: Duration = Duration::from_micros(100);
/// How often a silent subscriber pings.
const PING_INTERVAL: Duration = Duration::from_secs(60);

/// What all threads do at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
#[repr(u8)]
pub(super) enum Phase {
    /// Sending, figures do not count.
    WarmUp,
    /// Sending, figures count.
    Measure,
    /// Not sending, waiting for what is under way.
    Drain,
    /// Ending.
    Stop,
}

/// Counters and phase, read and written by all threads.
#[derive(Default)]
pub(super) struct Shared {
    phase: AtomicU8,
    /// Reports handed to the sockets.
    pub(super) sent: AtomicU64,
    /// Reports acknowledged.
    pub(super) acknowledged: AtomicU64,
    /// Reports that the subscriber received.
    pub(super) received: AtomicU64,
    /// Reports that waited for their PUBACK on connections that broke.
    pub(super) lost: AtomicU64,
    /// Connections that still stand.
    pub(super) alive: AtomicU64,
}

impl Shared {
    /// Moves all threads to `phase`; they follow within 100 ms.
    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::WarmUp,
            1 => Phase::Measure,
            2 => Phase::Drain,
            _ => Phase::Stop,
        }
    }
}

/// How a thread sends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Free places at which a connection is filled up.
    pub(super) batch: usize,
    /// Reports per second of this thread; `None` = as fast as acknowledged.
    pub(super) rate: Option<f64>,
    /// Every how many reports one latency is taken.
    pub(super) sample: u64,
}

/// What a thread found.
pub(super) struct Findings {
    /// Latencies from write to PUBACK, of samples that began in the measured window.
    pub(super) latency: Histogram,
    /// Connections lost and rules broken.
    pub(super) errors: Errors,
    /// PUBACKs out of order.
    pub(super) out_of_order: u64,
    /// Reports that were never acknowledged.
    pub(super) outstanding: u64,
}

/// One sending thread.
pub(super) struct Worker {
    shared: Arc<Shared>,
    plan: Plan,
    poll: Poll,
    /// `None` = the connection is lost.
    publishers: Vec<Option<Publisher>>,
    subscriber: Option<Subscriber>,
    scratch: Box<[u8]>,
    findings: Findings,
    /// Reports of this thread, for sampling.
    prepared: u64,
    time: [u8; TIME_LEN],
    time_made: Instant,
    measuring_since: Option<Instant>,
    /// Connection whose turn it is under a rate.
    turn: usize,
    owed: f64,
}

fn compact_time() -> [u8; TIME_LEN] {
    now().compact().into_bytes().try_into().expect("the compact form of a four-digit year has 16 bytes")
}

impl Worker {
    /// Takes over connections and registers them.
    ///
    /// # Errors
    /// When the kernel refuses an event queue.
    pub(super) fn new(
        shared: Arc<Shared>,
        plan: Plan,
        mut publishers: Vec<Publisher>,
        mut subscriber: Option<Subscriber>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let registry = poll.registry();
        for (index, publisher) in publishers.iter_mut().enumerate() {
            registry.register(publisher.stream(), Token(index), Interest::READABLE | Interest::WRITABLE)?;
        }
        if let Some(subscriber) = &mut subscriber {
            let token = Token(publishers.len());
            registry.register(subscriber.stream(), token, Interest::READABLE | Interest::WRITABLE)?;
        }
        shared.alive.fetch_add(publishers.len() as u64, Ordering::Relaxed);
        Ok(Self {
            shared,
            plan,
            poll,
            publishers: publishers.into_iter().map(Some).collect(),
            subscriber,
            scratch: vec![0; 64 << 10].into_boxed_slice(),
            findings: Findings {
                latency: Histogram::new(),
                errors: Errors::default(),
                out_of_order: 0,
                outstanding: 0,
            },
            prepared: 0,
            time: compact_time(),
            time_made: Instant::now(),
            measuring_since: None,
            turn: 0,
            owed: 0.0,
        })
    }

    /// Sends until the phase is [`Phase::Stop`].
    pub(super) fn run(mut self) -> Findings {
        let mut events = Events::with_capacity(1024);
        let mut ready: Vec<usize> = Vec::with_capacity(self.publishers.len());
        let window: u64 = self.publishers.iter().flatten().map(|p| p.room() as u64).sum();
        let mut pause = Duration::ZERO;
        let mut last = Instant::now();
        let mut pinged = last;
        // Every connection begins without being asked.
        ready.extend(0..self.publishers.len());
        loop {
            let phase = self.shared.phase();
            if phase == Phase::Stop {
                break;
            }
            self.follow(phase);
            let elapsed = last.elapsed();
            last += elapsed;
            if phase < Phase::Drain {
                match self.plan.rate {
                    None => self.fill(&ready),
                    Some(rate) => self.pace(rate, elapsed),
                }
            }
            if self.plan.rate.is_none() {
                gather(pause);
            }
            let timeout = self.timeout(phase);
            if let Err(error) = self.poll.poll(&mut events, Some(timeout))
                && error.kind() != io::ErrorKind::Interrupted
            {
                self.findings.errors.add(format!("the event queue failed: {error}"));
                break;
            }
            if self.time_made.elapsed() >= Duration::from_millis(500) {
                self.time = compact_time();
                self.time_made = Instant::now();
            }
            ready.clear();
            let mut acknowledged = 0;
            for event in &events {
                let index = event.token().0;
                if index == self.publishers.len() {
                    self.serve_subscriber(event.is_readable() || event.is_read_closed());
                } else {
                    acknowledged +=
                        self.serve(index, event.is_readable() || event.is_read_closed(), event.is_writable());
                    ready.push(index);
                }
            }
            self.shared.acknowledged.fetch_add(acknowledged, Ordering::Relaxed);
            pause = next_pause(pause, acknowledged, window);
            if self.subscriber.is_some() && pinged.elapsed() >= PING_INTERVAL {
                pinged = Instant::now();
                let result = self.subscriber.as_mut().map_or(Ok(()), Subscriber::ping);
                self.note_subscriber(result);
            }
        }
        self.findings.outstanding = self.publishers.iter().flatten().map(|p| p.outstanding() as u64).sum();
        self.findings
    }

    /// Starts and ends the taking of samples with the measured window.
    fn follow(&mut self, phase: Phase) {
        match (phase, self.measuring_since) {
            (Phase::Measure, None) => {
                self.measuring_since = Some(Instant::now());
                self.findings.latency.clear();
            }
            (Phase::Drain, Some(_)) => self.measuring_since = None,
            _ => {}
        }
    }

    fn timeout(&self, phase: Phase) -> Duration {
        match self.plan.rate {
            Some(rate) if phase < Phase::Drain => {
                let next = Duration::try_from_secs_f64((1.0 - self.owed).max(0.0) / rate).unwrap_or(Duration::MAX);
                next.clamp(Duration::from_millis(1), Duration::from_millis(100))
            }
            _ => Duration::from_millis(100),
        }
    }

    /// Reads and writes one connection; returns the reports that were acknowledged.
    fn serve(&mut self, index: usize, readable: bool, writable: bool) -> u64 {
        let Some(publisher) = &mut self.publishers[index] else { return 0 };
        if writable {
            publisher.set_writable();
        }
        let result = if readable { publisher.read(&mut self.scratch) } else { Ok(super::publisher::Acks::default()) };
        let result = result.and_then(|acks| publisher.flush().map(|()| acks));
        match result {
            Ok(acks) => {
                self.findings.out_of_order += acks.out_of_order;
                if let (Some((latency, began)), Some(since)) = (acks.sample, self.measuring_since)
                    && began >= since
                {
                    self.findings.latency.record(latency);
                }
                acks.count
            }
            Err(error) => {
                self.lose(index, &error);
                0
            }
        }
    }

    fn lose(&mut self, index: usize, error: &io::Error) {
        if let Some(publisher) = self.publishers[index].take() {
            let outstanding = publisher.outstanding();
            self.findings.errors.add(format!(
                "connection of {} lost with {outstanding} reports unacknowledged: {error}",
                publisher.device_id()
            ));
            self.shared.lost.fetch_add(outstanding as u64, Ordering::Relaxed);
            self.shared.alive.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn serve_subscriber(&mut self, readable: bool) {
        let Some(subscriber) = &mut self.subscriber else { return };
        let result = if readable {
            subscriber.read(&mut self.scratch).map(|received| {
                self.shared.received.fetch_add(received, Ordering::Relaxed);
            })
        } else {
            subscriber.flush()
        };
        self.note_subscriber(result);
    }

    fn note_subscriber(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.findings.errors.add(format!("connection of the subscriber lost: {error}"));
            self.subscriber = None;
        }
    }

    fn prepare(&mut self, index: usize) {
        let Some(publisher) = &mut self.publishers[index] else { return };
        self.prepared += 1;
        let sampled = (self.prepared.is_multiple_of(self.plan.sample) && publisher.can_sample()).then(Instant::now);
        publisher.prepare(&self.time, sampled);
    }

    fn flush(&mut self, index: usize) {
        let result = self.publishers[index].as_mut().map_or(Ok(()), Publisher::flush);
        if let Err(error) = result {
            self.lose(index, &error);
        }
    }

    /// Fills up each of `ready` that has enough room.
    fn fill(&mut self, ready: &[usize]) {
        let mut sent = 0;
        for &index in ready {
            let room = self.publishers[index].as_ref().map_or(0, Publisher::room);
            if room < self.plan.batch {
                continue;
            }
            for _ in 0..room {
                self.prepare(index);
            }
            sent += room as u64;
            self.flush(index);
        }
        self.shared.sent.fetch_add(sent, Ordering::Relaxed);
    }

    /// Sends what is due at `rate` since the last call, one report on each connection in turn.
    fn pace(&mut self, rate: f64, elapsed: Duration) {
        // A target that falls behind does not get a flood later: at most 100 ms are made up for.
        self.owed = (self.owed + rate * elapsed.as_secs_f64()).min((rate * 0.1).max(1.0));
        let mut sent = 0;
        let mut full = 0;
        while self.owed >= 1.0 && full < self.publishers.len() {
            let index = self.turn;
            self.turn = (self.turn + 1) % self.publishers.len();
            if self.publishers[index].as_ref().is_none_or(|p| p.room() == 0) {
                full += 1;
                continue;
            }
            full = 0;
            self.owed -= 1.0;
            self.prepare(index);
            self.flush(index);
            sent += 1;
        }
        self.shared.sent.fetch_add(sent, Ordering::Relaxed);
    }
}

/// Lets acknowledgements gather.
#[expect(clippy::disallowed_methods, reason = "a thread of its own, whose purpose is to sleep through single answers")]
fn gather(pause: Duration) {
    if !pause.is_zero() {
        std::thread::sleep(pause);
    }
}

/// How long to let acknowledgements gather before the next look, so that one read takes several of them.
///
/// A broker that answers each report alone would otherwise wake this thread for each. Aims at a sixteenth of all
/// reports under way, so that the measured latency is at most that much too long.
fn next_pause(pause: Duration, acknowledged: u64, window: u64) -> Duration {
    if acknowledged == 0 || acknowledged > window / 16 {
        let shorter = pause.mul_f64(0.8);
        return if shorter < SHORTEST_PAUSE { Duration::ZERO } else { shorter };
    }
    pause.mul_f64(1.1).max(SHORTEST_PAUSE).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_few_answers_come_and_stay_bounded() {
        let mut pause = Duration::ZERO;
        for _ in 0..100 {
            pause = next_pause(pause, 1, 6400);
        }
        assert_eq!(pause, LONGEST_PAUSE);
        pause = next_pause(pause, 401, 6400);
        assert_eq!(pause, Duration::from_millis(8));
        for _ in 0..100 {
            pause = next_pause(pause, 0, 6400);
        }
        assert_eq!(pause, Duration::ZERO);
    }
}
