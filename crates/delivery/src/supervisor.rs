//! Keeps one worker a target while targets come, change and go, and gives up what is too old.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use causeway_model::Timestamp;
use causeway_model::forwarding::FlowScope;
use causeway_platform::clock::Clock;
use causeway_platform::notify::Protocol;
use causeway_platform::outbox::{OutboxStore, TargetKind};
use causeway_platform::routing::OwnTarget;
use causeway_platform::settings::PushSettings;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::batch_worker::BatchWorker;
use crate::counting::Counting;
use crate::flow::{Flow, Gate};
use crate::hosts::Hosts;
use crate::target::{Feeding, Target};
use crate::targets::Workshop;
use crate::worker::{Least, Shared, Worker};

/// Targets are looked at this often, besides whenever this node hears of a change.
const LOOK: Duration = Duration::from_secs(1);
/// Platform time between two sweeps for deliveries that are too old or too many; under a policy, and the least of it.
const SWEEP_MS: i64 = 60_000;
const SWEEP_BY_POLICY_MS: i64 = 5_000;
const SWEEP_LEAST_MS: i64 = 1_000;
/// Workers end by themselves before this.
const STOP_WITHIN: Duration = Duration::from_secs(9);

/// What a target is made of; another one makes another target.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Recipe {
    /// A push address.
    Push(String),
    /// An action of a rule.
    Action(Box<OwnTarget>),
    /// What linkage rules have to do.
    Linkage,
    /// A subscription of a notification topic: how, and where.
    Subscription(Protocol, String),
}

struct Running {
    recipe: Recipe,
    /// What failures are counted for.
    host: Option<String>,
    /// `None` when the target could not be made.
    task: Option<AbortOnDropHandle<()>>,
}

/// See the module text.
pub(crate) struct Supervisor {
    shared: Arc<Shared>,
    workshop: Workshop,
    workers: HashMap<i64, Running>,
    flow: Arc<Flow>,
    counting: Counting,
    counted: Option<Instant>,
    swept: Option<Timestamp>,
}

impl Supervisor {
    pub(crate) fn new(
        store: Arc<dyn OutboxStore>,
        clock: Arc<Clock>,
        settings: PushSettings,
        workshop: Workshop,
    ) -> Self {
        let hosts = Hosts::new(&settings);
        let shared = Shared { store, clock, settings, hosts, least: Mutex::default(), logged: Mutex::new(None) };
        Self {
            shared: Arc::new(shared),
            workshop,
            workers: HashMap::new(),
            flow: Arc::default(),
            counting: Counting::default(),
            counted: None,
            swept: None,
        }
    }

    /// Works until `stop`; returns within ten seconds after it.
    pub(crate) async fn run(mut self, mut changed: watch::Receiver<u64>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            changed.mark_unchanged();
            if let Err(error) = self.follow_policies().await {
                tracing::warn!(?error, "policies of forwarding cannot be read now");
            }
            match self.recipes().await {
                Ok(recipes) => self.follow(recipes, &stop),
                Err(error) => tracing::warn!(?error, "targets cannot be read now"),
            }
            self.sweep().await;
            self.count().await;
            tokio::select! {
                Ok(()) = changed.changed() => {}
                () = self.shared.clock.tick(LOOK) => {}
                () = stop.cancelled() => {}
            }
        }
        let end = Instant::now() + STOP_WITHIN;
        for mut task in self.workers.drain().filter_map(|(_, running)| running.task) {
            if tokio::time::timeout_at(end, &mut task).await.is_err() {
                tracing::warn!("a worker of the outbox did not end in time");
            }
        }
    }

    /// Every target that this crate sends to, by number.
    async fn recipes(&self) -> causeway_model::Result<HashMap<i64, Recipe>> {
        let push = self.shared.store.push_targets().await?;
        let mut recipes: HashMap<i64, Recipe> =
            push.into_iter().map(|target| (target.no, Recipe::Push(target.url))).collect();
        if let Some(platform) = &self.workshop.platform {
            let own = platform.own_targets().await?;
            recipes.extend(own.into_iter().map(|target| (target.target, Recipe::Action(Box::new(target)))));
            let subscriptions = platform.store.subscriptions(None).await?;
            recipes.extend(subscriptions.into_iter().map(|s| (s.target, Recipe::Subscription(s.protocol, s.endpoint))));
        }
        recipes.extend(self.workshop.linkage_target().map(|no| (no, Recipe::Linkage)));
        Ok(recipes)
    }

    /// Reads how fast deliveries may leave and how much may wait.
    async fn follow_policies(&mut self) -> causeway_model::Result<()> {
        let Some(platform) = &self.workshop.platform else { return Ok(()) };
        self.flow.follow(&platform.store.flow_control_policies().await?);
        let policies = platform.store.backlog_policies().await?;
        let least = Least {
            bytes: policies.iter().map(|p| p.size).min(),
            // Whatever waits is tried for a moment.
            ms: policies.iter().map(|p| i64::try_from(p.seconds.max(1)).unwrap_or(i64::MAX / 1000) * 1000).min(),
        };
        let before = std::mem::replace(&mut *self.shared.least.lock(), least);
        if before != least {
            self.swept = None;
        }
        Ok(())
    }

    /// Tells metrics what became of deliveries, once in a while.
    async fn count(&mut self) {
        if self.counted.is_some_and(|at| at.elapsed() < LOOK) {
            return;
        }
        self.counted = Some(Instant::now());
        match self.shared.store.target_states().await {
            Ok(states) => self.counting.tell(&states),
            Err(error) => tracing::warn!(?error, "targets cannot be counted now"),
        }
    }

    fn follow(&mut self, wanted: HashMap<i64, Recipe>, stop: &CancellationToken) {
        // The deliveries of a target that is gone are gone, so its worker is dropped as it stands; so is one whose target
        // changed: what it had under way may be sent twice. One that died is started again below.
        self.workers.retain(|no, running| {
            wanted.get(no) == Some(&running.recipe)
                && !running.task.as_ref().is_some_and(AbortOnDropHandle::is_finished)
        });
        for (no, recipe) in wanted {
            if !self.workers.contains_key(&no) {
                let running = self.start(no, recipe, stop.clone());
                self.workers.insert(no, running);
            }
        }
        let hosts: HashSet<&str> = self.workers.values().filter_map(|running| running.host.as_deref()).collect();
        self.shared.hosts.keep_only(&hosts);
    }

    fn start(&self, no: i64, recipe: Recipe, stop: CancellationToken) -> Running {
        let made = match &recipe {
            Recipe::Push(url) => self.workshop.push(url),
            Recipe::Action(own) => self.workshop.channel(&own.channel),
            Recipe::Linkage => self.workshop.linkage(),
            Recipe::Subscription(protocol, endpoint) => self.workshop.subscription(*protocol, endpoint),
        };
        match made {
            Ok(target) => {
                let (task, host) = self.serve(no, target, self.gate(&recipe), stop);
                Running { recipe, host, task: Some(task) }
            }
            Err(why) => {
                tracing::warn!(target_no = no, why, "a target cannot be made; its deliveries wait until it is changed");
                Running { recipe, host: None, task: None }
            }
        }
    }

    /// The policies that a target is under.
    fn gate(&self, recipe: &Recipe) -> Gate {
        let mut scopes = Vec::new();
        if matches!(recipe, Recipe::Push(_) | Recipe::Action(_)) {
            scopes.push(FlowScope::User);
        }
        if let Recipe::Action(own) = recipe {
            scopes.push(FlowScope::Channel(own.channel.word().to_owned()));
            scopes.push(FlowScope::Rule(own.rule_id.clone()));
            scopes.push(FlowScope::Action(own.action_id.clone()));
        }
        Gate::new(self.flow.clone(), scopes)
    }

    fn serve(
        &self,
        no: i64,
        target: Arc<dyn Target>,
        gate: Gate,
        stop: CancellationToken,
    ) -> (AbortOnDropHandle<()>, Option<String>) {
        let shared = self.shared.clone();
        match target.feeding() {
            Feeding::Lanes { concurrency, host } => {
                let worker = Worker::new(shared, no, target, gate, concurrency, host.clone());
                (AbortOnDropHandle::new(tokio::spawn(worker.run(stop))), Some(host))
            }
            Feeding::Batches { rows, bytes, linger } => {
                let worker = BatchWorker::new(shared, no, target, gate, rows, bytes, linger);
                (AbortOnDropHandle::new(tokio::spawn(worker.run(stop))), None)
            }
        }
    }

    /// Gives up deliveries that are older than `push.retention` and policies allow, and the oldest where more than
    /// `push.max_backlog` and they allow wait.
    async fn sweep(&mut self) {
        let now = self.shared.clock.now();
        let least = *self.shared.least.lock();
        let every = match (least.ms, least.bytes) {
            (None, None) => SWEEP_MS,
            (ms, _) => (ms.unwrap_or(i64::MAX) / 10).clamp(SWEEP_LEAST_MS, SWEEP_BY_POLICY_MS),
        };
        if self.swept.is_some_and(|at| now.0 - at.0 < every) {
            return;
        }
        self.swept = Some(now);
        if let Err(error) = self.sweep_all().await {
            tracing::warn!(?error, "old deliveries cannot be dropped now");
            self.swept = None;
        }
    }

    async fn sweep_all(&self) -> causeway_model::Result<()> {
        for state in self.shared.store.target_states().await? {
            if state.counters.waiting() == 0 {
                continue;
            }
            // What linkage rules have to do, and what they tell people, is no forwarding.
            let by_policy = matches!(state.kind, TargetKind::Push | TargetKind::Action | TargetKind::Queue);
            let (oldest, most) = (self.shared.oldest(by_policy), self.shared.most_bytes(by_policy));
            let trimmed = self.shared.store.trim_target(state.no, oldest, most).await?;
            let dropped = [("expired", trimmed.expired), ("overflowed", trimmed.overflowed)];
            for (reason, count) in dropped.into_iter().filter(|(_, count)| *count > 0) {
                metrics::counter!("causeway_outbox_dropped_total", "reason" => reason).increment(count);
                tracing::warn!(target_no = state.no, count, reason, "deliveries are given up");
            }
        }
        Ok(())
    }
}
