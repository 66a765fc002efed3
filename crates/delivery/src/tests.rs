//! Whole workers against a receiver on the wire and an outbox in memory.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use causeway_model::settings::Span;
use causeway_model::{AppId, DeviceNo, Error, Result, Timestamp};
use causeway_platform::clock::Clock;
use causeway_platform::outbox::{
    Delivery, Finish, NewDelivery, OutboxSignals, OutboxStore, PushTarget, TargetCounters, TargetKind, TargetState,
    Trimmed,
};
use causeway_platform::settings::PushSettings;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::client::{Destination, Outcome, PushClient};
use crate::settings::ForwardingSettings;
use crate::supervisor::Supervisor;
use crate::targets::Workshop;

/// Waits for a condition; the deadline is far beyond what any test needs.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "not within the deadline: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The outbox in memory: a stand-in for the store at its port.
struct Outbox {
    rows: Mutex<BTreeMap<i64, Delivery>>,
    last_seq: AtomicI64,
    targets: Mutex<Vec<PushTarget>>,
    signals: Arc<OutboxSignals>,
    finishes: AtomicBool,
}

impl Outbox {
    fn new(urls: &[&str]) -> Arc<Self> {
        let outbox = Self {
            rows: Mutex::default(),
            last_seq: AtomicI64::new(0),
            targets: Mutex::default(),
            signals: Arc::default(),
            finishes: AtomicBool::new(true),
        };
        for (no, url) in (1..).zip(urls) {
            outbox.set_target(no, url);
        }
        Arc::new(outbox)
    }

    fn set_target(&self, no: i64, url: &str) {
        let app_id = AppId::trusted(format!("app{no}"));
        let target = PushTarget { no, app_id, url: url.to_owned(), created_at: Timestamp(0) };
        let mut targets = self.targets.lock();
        targets.retain(|t| t.no != no);
        targets.push(target);
    }

    /// Adds deliveries whose body is `device/number`.
    fn add(&self, target: i64, at: Timestamp, deliveries: impl IntoIterator<Item = (i64, i64)>) {
        {
            let mut rows = self.rows.lock();
            for (device, number) in deliveries {
                let seq = self.last_seq.fetch_add(1, Ordering::SeqCst) + 1;
                let body = format!("{device}/{number}").into();
                rows.insert(seq, Delivery { seq, target, device: Some(DeviceNo(device)), body, at });
            }
        }
        self.signals.raise([target]);
    }

    fn len(&self) -> usize {
        self.rows.lock().len()
    }
}

#[async_trait]
impl OutboxStore for Outbox {
    async fn set_push_target(&self, _: &AppId, _: &str, _: Timestamp) -> Result<PushTarget> {
        Err(Error::internal("not asked by deliveries"))
    }

    async fn delete_push_target(&self, _: &AppId) -> Result<bool> {
        Err(Error::internal("not asked by deliveries"))
    }

    async fn push_targets(&self) -> Result<Vec<PushTarget>> {
        Ok(self.targets.lock().clone())
    }

    async fn deliveries(&self, target: i64, after: i64, limit: u32) -> Result<Vec<Delivery>> {
        let rows = self.rows.lock();
        Ok(rows
            .range(after + 1..)
            .map(|(_, d)| d)
            .filter(|d| d.target == target)
            .take(limit as usize)
            .cloned()
            .collect())
    }

    async fn finish_deliveries(&self, _: i64, seqs: Vec<i64>, _: Finish) -> Result<()> {
        if !self.finishes.load(Ordering::SeqCst) {
            return Err(Error::unavailable("switched off by the test"));
        }
        self.rows.lock().retain(|seq, _| !seqs.contains(seq));
        Ok(())
    }

    async fn put_deliveries(&self, _: Vec<NewDelivery>) -> Result<()> {
        Err(Error::internal("not asked by deliveries"))
    }

    async fn instance_target(&self, _: TargetKind) -> Result<i64> {
        Err(Error::internal("not asked by deliveries"))
    }

    async fn trim_target(&self, target: i64, before: Timestamp, _: u64) -> Result<Trimmed> {
        let mut rows = self.rows.lock();
        let all = rows.len();
        rows.retain(|_, d| d.target != target || d.at >= before);
        Ok(Trimmed { expired: (all - rows.len()) as u64, overflowed: 0 })
    }

    async fn target_states(&self) -> Result<Vec<TargetState>> {
        let rows = self.rows.lock();
        let state = |target: &PushTarget| {
            let taken = rows.values().filter(|d| d.target == target.no).count() as u64;
            let counters = TargetCounters { taken, ..TargetCounters::default() };
            TargetState { no: target.no, kind: TargetKind::Push, app_id: Some(target.app_id.clone()), counters }
        };
        Ok(self.targets.lock().iter().map(state).collect())
    }

    fn outbox_signals(&self) -> Arc<OutboxSignals> {
        self.signals.clone()
    }
}

type Judge = dyn Fn(&str, usize) -> u16 + Send + Sync;

/// An application: judges each push by its body and how often it came before.
struct Receiver {
    judge: Box<Judge>,
    url: String,
    accepted: Mutex<Vec<String>>,
    tries: Mutex<HashMap<String, usize>>,
    content_types: Mutex<Vec<String>>,
    here: AtomicUsize,
    most_here: AtomicUsize,
    /// Pushes are answered only while this is open.
    gate: Semaphore,
}

impl Receiver {
    async fn new(judge: impl Fn(&str, usize) -> u16 + Send + Sync + 'static) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/push", listener.local_addr().expect("bound"));
        let receiver = Arc::new(Self {
            judge: Box::new(judge),
            url,
            accepted: Mutex::default(),
            tries: Mutex::default(),
            content_types: Mutex::default(),
            here: AtomicUsize::new(0),
            most_here: AtomicUsize::new(0),
            gate: Semaphore::new(1000),
        });
        let app = Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        receiver
    }

    async fn accepting() -> Arc<Self> {
        Self::new(|_, _| 200).await
    }

    fn accepted(&self) -> usize {
        self.accepted.lock().len()
    }

    fn tries(&self) -> usize {
        self.tries.lock().values().sum()
    }

    /// Numbers accepted from a device, in order of arrival.
    fn of_device(&self, device: i64) -> Vec<i64> {
        let start = format!("{device}/");
        let accepted = self.accepted.lock();
        accepted.iter().filter_map(|body| body.strip_prefix(&start)?.parse().ok()).collect()
    }
}

async fn take(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let body = String::from_utf8_lossy(&body).into_owned();
    let here = receiver.here.fetch_add(1, Ordering::SeqCst) + 1;
    receiver.most_here.fetch_max(here, Ordering::SeqCst);
    let before = {
        let mut tries = receiver.tries.lock();
        let times = tries.entry(body.clone()).or_default();
        *times += 1;
        *times - 1
    };
    let open = receiver.gate.acquire().await;
    let status = (receiver.judge)(&body, before);
    if status == 200 {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        receiver.content_types.lock().push(content_type.to_owned());
        receiver.accepted.lock().push(body);
    }
    drop(open);
    receiver.here.fetch_sub(1, Ordering::SeqCst);
    let location = format!("{}/elsewhere", receiver.url);
    (StatusCode::from_u16(status).expect("a status"), [(header::LOCATION, location)], "thanks")
}

fn settings() -> PushSettings {
    // Only the HTTPS test needs it, but a client without a provider cannot be made at all. Others may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    PushSettings { allow_private: true, retry: Span::millis(1), max_failures: 1000, ..PushSettings::default() }
}

struct Running {
    clock: Arc<Clock>,
    stop: CancellationToken,
    changed: watch::Sender<u64>,
    task: AbortOnDropHandle<()>,
}

fn start(outbox: &Arc<Outbox>, settings: PushSettings) -> Running {
    let clock = Arc::new(Clock::default());
    let stop = CancellationToken::new();
    let changed = watch::Sender::new(0);
    let workshop = Workshop::new(&settings, ForwardingSettings::default(), Path::new("/nowhere"), None);
    let supervisor = Supervisor::new(outbox.clone(), clock.clone(), settings, workshop);
    let task = AbortOnDropHandle::new(tokio::spawn(supervisor.run(changed.subscribe(), stop.clone())));
    Running { clock, stop, changed, task }
}

impl Running {
    fn targets_changed(&self) {
        self.changed.send_modify(|n| *n += 1);
    }

    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(10), self.task).await.expect("within ten seconds").expect("no panic");
    }
}

#[tokio::test]
async fn devices_keep_their_order_under_failures() {
    // Every third body is refused once, every seventh four times, in different ways.
    let receiver = Receiver::new(|body, before| {
        let number: usize = body.split('/').nth(1).and_then(|n| n.parse().ok()).expect("a number");
        let refusals = if number.is_multiple_of(7) { 4 } else { usize::from(number.is_multiple_of(3)) };
        if before < refusals { [500, 201, 302, 404][before] } else { 200 }
    })
    .await;
    let outbox = Outbox::new(&[&receiver.url]);
    let running = start(&outbox, settings());
    for number in 1..=40 {
        outbox.add(1, running.clock.now(), (1..=5).map(|device| (device, number)));
    }
    until("the outbox to be empty", || outbox.len() == 0).await;
    for device in 1..=5 {
        assert_eq!(receiver.of_device(device), (1..=40).collect::<Vec<_>>());
    }
    assert!(receiver.content_types.lock().iter().all(|t| t == "application/json; charset=utf-8"));
    running.stop().await;
}

#[tokio::test]
async fn devices_are_pushed_beside_each_other_up_to_the_limit() {
    let receiver = Receiver::accepting().await;
    receiver.gate.forget_permits(1000);
    let outbox = Outbox::new(&[&receiver.url]);
    let running = start(&outbox, PushSettings { concurrency: 4, ..settings() });
    outbox.add(1, running.clock.now(), (1..=20).flat_map(|device| [(device, 1), (device, 2)]));
    until("four pushes to be under way", || receiver.here.load(Ordering::SeqCst) == 4).await;
    receiver.gate.add_permits(1000);
    until("the outbox to be empty", || outbox.len() == 0).await;
    assert_eq!(receiver.most_here.load(Ordering::SeqCst), 4);
    running.stop().await;
}

#[tokio::test]
async fn a_failing_host_is_blocked_and_tried_again_when_the_clock_is_moved() {
    let healthy = Arc::new(AtomicBool::new(false));
    let judged_by = healthy.clone();
    let sick = Receiver::new(move |_, _| if judged_by.load(Ordering::SeqCst) { 200 } else { 503 }).await;
    let other = Receiver::accepting().await;
    let outbox = Outbox::new(&[&sick.url, &other.url]);
    let running = start(&outbox, PushSettings { max_failures: 3, concurrency: 1, ..settings() });
    outbox.add(1, running.clock.now(), [(1, 1), (1, 2)]);
    until("three failures", || sick.tries() == 3).await;
    // The other host is not blocked, and many rounds later the sick one has still been left alone.
    for round in 1..=50 {
        outbox.add(2, running.clock.now(), [(9, round)]);
        until("the other host to be pushed to", || other.accepted() == usize::try_from(round).expect("small")).await;
    }
    running.clock.advance(299_000);
    outbox.add(2, running.clock.now(), [(9, 51)]);
    until("the other host to be pushed to while time passes", || other.accepted() == 51).await;
    assert_eq!(sick.tries(), 3);
    // It goes on after five minutes, is blocked again after three more failures, and then has recovered.
    running.clock.advance(1001);
    until("three more failures", || sick.tries() == 6).await;
    healthy.store(true, Ordering::SeqCst);
    outbox.add(2, running.clock.now(), [(9, 52)]);
    until("the other host to be pushed to again", || other.accepted() == 52).await;
    assert_eq!(sick.tries(), 6);
    running.clock.advance(300_001);
    until("the outbox to be empty", || outbox.len() == 0).await;
    assert_eq!(sick.of_device(1), [1, 2]);
    running.stop().await;
}

#[tokio::test]
async fn what_was_not_finished_is_pushed_again_after_a_restart() {
    let receiver = Receiver::accepting().await;
    let outbox = Outbox::new(&[&receiver.url]);
    outbox.finishes.store(false, Ordering::SeqCst);
    let first = start(&outbox, settings());
    outbox.add(1, first.clock.now(), (1..=30).flat_map(|number| (1..=3).map(move |device| (device, number))));
    until("all to be pushed", || receiver.accepted() == 90).await;
    // As after `kill -9`: nothing was finished, the worker is gone.
    drop(first);
    assert_eq!(outbox.len(), 90);
    outbox.finishes.store(true, Ordering::SeqCst);
    let second = start(&outbox, settings());
    until("the outbox to be empty", || outbox.len() == 0).await;
    for device in 1..=3 {
        let arrived = receiver.of_device(device);
        assert_eq!(arrived, (1..=30).chain(1..=30).collect::<Vec<_>>());
    }
    second.stop().await;
}

#[tokio::test]
async fn a_store_that_cannot_finish_for_a_while_repeats_nothing() {
    let receiver = Receiver::accepting().await;
    let outbox = Outbox::new(&[&receiver.url]);
    outbox.finishes.store(false, Ordering::SeqCst);
    let running = start(&outbox, settings());
    outbox.add(1, running.clock.now(), (1..=30).map(|number| (1, number)));
    until("all to be pushed", || receiver.accepted() == 30).await;
    outbox.finishes.store(true, Ordering::SeqCst);
    until("the outbox to be empty", || outbox.len() == 0).await;
    assert_eq!(receiver.of_device(1), (1..=30).collect::<Vec<_>>());
    running.stop().await;
}

#[tokio::test]
async fn a_push_under_way_ends_before_the_stop() {
    let receiver = Receiver::accepting().await;
    receiver.gate.forget_permits(1000);
    let outbox = Outbox::new(&[&receiver.url]);
    let running = start(&outbox, settings());
    outbox.add(1, running.clock.now(), [(1, 1), (1, 2)]);
    until("a push to be under way", || receiver.here.load(Ordering::SeqCst) == 1).await;
    running.stop.cancel();
    receiver.gate.add_permits(1000);
    running.stop().await;
    assert_eq!(receiver.of_device(1), [1], "nothing new is begun");
    assert_eq!(outbox.len(), 1, "and what was pushed is finished");
}

#[tokio::test]
async fn old_deliveries_are_given_up() {
    let receiver = Receiver::new(|body, _| if body == "1/1" { 500 } else { 200 }).await;
    let outbox = Outbox::new(&[&receiver.url]);
    let running = start(&outbox, PushSettings { retention: Span::secs(3600), ..settings() });
    outbox.add(1, running.clock.now(), [(1, 1), (1, 2)]);
    until("a failure", || receiver.tries() > 0).await;
    running.clock.advance(3_600_001);
    outbox.add(1, running.clock.now(), [(1, 3)]);
    until("the outbox to be empty", || outbox.len() == 0).await;
    assert_eq!(receiver.of_device(1), [3]);
    running.stop().await;
}

#[tokio::test]
async fn targets_come_change_and_go() {
    let (first, second) = (Receiver::accepting().await, Receiver::accepting().await);
    let outbox = Outbox::new(&[]);
    let running = start(&outbox, settings());
    outbox.set_target(1, &first.url);
    running.targets_changed();
    outbox.add(1, running.clock.now(), [(1, 1)]);
    until("the first address", || first.accepted() == 1).await;
    outbox.set_target(1, &second.url);
    running.targets_changed();
    until("the worker to follow", || {
        outbox.add(1, running.clock.now(), [(1, 2)]);
        second.accepted() > 0
    })
    .await;
    outbox.targets.lock().clear();
    outbox.rows.lock().clear();
    running.targets_changed();
    // A target that comes after it shows that the going was heard.
    outbox.set_target(2, &first.url);
    running.targets_changed();
    let before = first.accepted();
    outbox.add(1, running.clock.now(), [(1, 3)]);
    outbox.add(2, running.clock.now(), [(2, 1)]);
    until("the new target", || first.accepted() == before + 1).await;
    assert!(!second.of_device(1).contains(&3));
    running.stop().await;
}

#[tokio::test]
async fn a_failing_device_does_not_hold_up_the_others() {
    let receiver = Receiver::new(|body, _| if body.starts_with("1/") { 500 } else { 200 }).await;
    let outbox = Outbox::new(&[&receiver.url]);
    let patient = PushSettings { max_failures: u32::MAX, retry: Span::secs(3600), ..settings() };
    let running = start(&outbox, patient);
    outbox.add(1, running.clock.now(), (1..=5000).map(|number| (1, number)).chain([(2, 1)]));
    until("the other device", || receiver.of_device(2) == [1]).await;
    assert_eq!(receiver.tries.lock().len(), 2, "of the failing device only the first is tried");
    running.stop().await;
}

async fn outcome(settings: &PushSettings, url: &str) -> Outcome {
    let to = Destination::parse(url).expect("an address");
    PushClient::new(settings).push(&to, HeaderMap::new(), Bytes::from_static(b"1/1")).await
}

#[tokio::test]
async fn private_addresses_are_never_connected_to() {
    let receiver = Receiver::accepting().await;
    let port =
        Destination::parse(&receiver.url).expect("an address").host.rsplit(':').next().expect("a port").to_owned();
    let careful = PushSettings { allow_private: false, ..settings() };
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "0.0.0.0", "10.0.0.1"]
    {
        assert_eq!(outcome(&careful, &format!("http://{host}:{port}/")).await, Outcome::NotPublic, "{host}");
    }
    assert_eq!(receiver.tries(), 0);
    assert_eq!(outcome(&settings(), &receiver.url).await, Outcome::Delivered);
}

#[tokio::test]
async fn only_200_counts_and_redirects_are_not_followed() {
    for status in [201, 204, 301, 302, 307, 308, 400, 500] {
        let receiver = Receiver::new(move |_, _| status).await;
        assert_eq!(outcome(&settings(), &receiver.url).await, Outcome::Refused(status));
        assert_eq!(receiver.tries(), 1, "{status}");
    }
}

#[tokio::test]
async fn silence_is_a_failure_after_the_timeout() {
    let receiver = Receiver::accepting().await;
    receiver.gate.forget_permits(1000);
    let hasty = PushSettings { timeout: Span::millis(50), ..settings() };
    assert_eq!(outcome(&hasty, &receiver.url).await, Outcome::TimedOut);
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let settings = settings();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![made.cert.der().clone()], key.into()).expect("a sound pair");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://{}/", listener.local_addr().expect("bound"));
    let handshake = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        acceptor.accept(stream).await.is_ok()
    });
    assert!(matches!(outcome(&settings, &url).await, Outcome::Unreachable(_)));
    assert!(!handshake.await.expect("no panic"), "no session was made");
}
