//! The platform: every use case hangs on this one object, in the folder of its capability.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use causeway_model::{Code, DeviceId, Error, Result};
use parking_lot::Mutex;
use ring::hmac;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::Store;
use crate::audit::AuditLog;
use crate::broadcast::Broadcasts;
use crate::bus::{Bus, BusEar, Changed};
use crate::certificate::Trust;
use crate::clock::Clock;
use crate::device::KnownTokens;
use crate::downlink::{Answer, CloseReason, Delivered, Downlink, Refused};
use crate::file::{FileAccess, Files};
use crate::function::Functions;
use crate::group::GroupRules;
use crate::iam::{Standings, Throttle};
use crate::instance::{Instance, bootstrap};
use crate::linkage::Linkage;
use crate::message::MessageWaits;
use crate::policy::PolicyTable;
use crate::product::ProductCache;
use crate::queue::QueueAccess;
use crate::routing::{Prober, RouteTable};
use crate::search::SearchRate;
use crate::secrets::Secrets;
use crate::session::{Departures, Directory, Waiters};
use crate::settings::PlatformSettings;
use crate::uplink::Children;

/// Lets a few log lines a second through.
pub(crate) struct LogGate(Mutex<(Instant, u32)>);

impl LogGate {
    const PER_SECOND: u32 = 20;

    pub(crate) fn new() -> Self {
        Self(Mutex::new((Instant::now(), 0)))
    }

    pub(crate) fn allow(&self) -> bool {
        let mut state = self.0.lock();
        if state.0.elapsed() >= Duration::from_secs(1) {
            *state = (Instant::now(), 0);
        }
        state.1 += 1;
        state.1 <= Self::PER_SECOND
    }
}

/// See the module text.
pub struct Platform {
    pub(crate) itself: Weak<Self>,
    /// Settings of the use cases.
    pub settings: PlatformSettings,
    /// The one clock.
    pub clock: Arc<Clock>,
    /// The instance served.
    pub instance: Instance,
    /// The store. Doors and interfaces call use cases instead.
    pub store: Arc<dyn Store>,
    /// Live connections of this node.
    pub directory: Directory,
    pub(crate) files: Files,
    pub(crate) functions: Functions,
    /// Sends test messages to targets.
    pub(crate) prober: OnceLock<Arc<dyn Prober>>,
    pub(crate) secrets: Secrets,
    pub(crate) bus: Arc<dyn Bus>,
    /// Requests that wait for a device.
    pub waiters: Arc<Waiters>,
    pub(crate) products: ProductCache,
    pub(crate) group_rules: GroupRules,
    pub(crate) search_rate: SearchRate,
    pub(crate) children: Children,
    pub(crate) departures: Departures,
    pub(crate) broadcasts: Broadcasts,
    /// Gateways whose devices are being handed what waits for them.
    pub(crate) handing_over: Semaphore,
    pub(crate) device_tokens: KnownTokens,
    pub(crate) routes: ArcSwap<RouteTable>,
    /// Routes are read one time after another, so that an older reading never replaces a newer one.
    pub(crate) routes_reloading: tokio::sync::Mutex<()>,
    pub(crate) targets_changed: watch::Sender<u64>,
    pub(crate) linkage: Linkage,
    pub(crate) queues_changed: watch::Sender<u64>,
    pub(crate) queue_access: watch::Sender<QueueAccess>,
    pub(crate) policies: ArcSwap<PolicyTable>,
    /// Policies are read one time after another, so that an older reading never replaces a newer one.
    pub(crate) policies_reloading: tokio::sync::Mutex<()>,
    pub(crate) message_waits: MessageWaits,
    pub(crate) batch: crate::batch::Engine,
    pub(crate) standings: Standings,
    pub(crate) throttle: Throttle,
    pub(crate) token_key: hmac::Key,
    pub(crate) password_checks: Semaphore,
    pub(crate) decoy_hash: String,
    pub(crate) trust: ArcSwap<Trust>,
    pub(crate) trust_readings: AtomicU64,
    pub(crate) mismatch_log: LogGate,
    pub(crate) audit_log: AuditLog,
    pub(crate) reports: metrics::Counter,
}

impl Platform {
    /// Opens the platform over a store: makes the instance at the first start, loads what the road needs.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn open(
        settings: PlatformSettings,
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        secrets: Secrets,
        clock: Arc<Clock>,
        files: FileAccess,
    ) -> Result<Arc<Self>> {
        let instance = bootstrap(&*store, &clock).await?;
        let token_key = hmac::Key::new(hmac::HMAC_SHA256, &secrets.derive("auth tokens"));
        let files = Files::new(files, &secrets);
        let batch = crate::batch::Engine::new(&settings.batch);
        let platform = Arc::new_cyclic(|itself| Self {
            itself: itself.clone(),
            audit_log: AuditLog::start(store.clone(), settings.audit.queue),
            products: ProductCache::new(settings.model.strictness),
            settings,
            clock,
            instance,
            store,
            directory: Directory::default(),
            files,
            functions: Functions::default(),
            prober: OnceLock::new(),
            secrets,
            bus: bus.clone(),
            waiters: Arc::default(),
            children: Children::default(),
            group_rules: GroupRules::default(),
            search_rate: SearchRate::default(),
            departures: Departures::default(),
            broadcasts: Broadcasts::default(),
            handing_over: Semaphore::new(HANDING_OVER),
            device_tokens: KnownTokens::default(),
            routes: ArcSwap::default(),
            routes_reloading: tokio::sync::Mutex::default(),
            targets_changed: watch::Sender::new(0),
            linkage: Linkage::default(),
            queues_changed: watch::Sender::new(0),
            queue_access: watch::Sender::default(),
            policies: ArcSwap::default(),
            policies_reloading: tokio::sync::Mutex::default(),
            message_waits: MessageWaits::default(),
            batch,
            standings: Standings::default(),
            throttle: Throttle::default(),
            token_key,
            password_checks: Semaphore::new(1),
            decoy_hash: DECOY_HASH.to_owned(),
            mismatch_log: LogGate::new(),
            trust: ArcSwap::default(),
            trust_readings: AtomicU64::new(0),
            reports: metrics::counter!("causeway_property_reports_total"),
        });
        bus.join(platform.clone());
        platform.reload_routes().await?;
        platform.reload_linkage().await?;
        platform.reload_queue_access(false).await?;
        platform.reload_policies().await?;
        platform.ensure_admin_group().await?;
        platform.reload_trust().await?;
        Ok(platform)
    }

    /// Runs what happens by time until `stop`: OFFLINE after the delay, messages that expire, devices that never came,
    /// history that is too old.
    pub async fn keep_time(self: Arc<Self>, stop: CancellationToken) {
        let mut trimmed = self.clock.now();
        let started = trimmed;
        let mut adopted = false;
        while !stop.is_cancelled() {
            tokio::select! {
                () = self.clock.tick(Duration::from_secs(1)) => {}
                () = stop.cancelled() => return,
            }
            let mut outcome = Ok(());
            if !adopted {
                outcome = self.adopt_departed(started).await;
                adopted = outcome.is_ok();
            }
            outcome = outcome.and(self.mark_offline().await);
            outcome = outcome.and(self.expire_messages().await);
            outcome = outcome.and(self.fire_linkage_timers().await);
            outcome = outcome.and(self.remove_overdue_devices().await);
            if self.clock.now().0 - trimmed.0 > TRIM_EVERY_MS {
                trimmed = self.clock.now();
                outcome = outcome.and(self.trim_history().await).and(self.trim_audit().await);
                outcome = outcome.and(self.store.drop_old_linkage_commands(trimmed).await.map(drop));
                outcome = outcome.and(self.trim_logs().await).and(self.trim_alarms().await);
            }
            if let Err(error) = outcome {
                tracing::warn!(?error, "work that is due is tried again in a second");
            }
        }
    }

    async fn trim_history(&self) -> Result<()> {
        let retention = self.settings.history.retention.as_millis();
        if retention > 0 {
            let dropped = self.store.trim_history(self.clock.now().plus_ms(-retention)).await?;
            tracing::debug!(dropped, "old history");
        }
        Ok(())
    }

    /// A device that did not connect within the `timeout` of its registration is removed (002 §2.1.1).
    async fn remove_overdue_devices(&self) -> Result<()> {
        for device in self.store.overdue_devices(self.clock.now(), 100).await? {
            // It may have come while its turn was waited for.
            if self.device(&device.id).await.is_ok_and(|d| d.activated_at.is_some()) {
                continue;
            }
            match self.delete_device(&device.id).await {
                Ok(()) => tracing::info!(device_id = %device.id, "removed: it did not connect within its timeout"),
                Err(e) if matches!(e.code(), Code::DeviceNotFound | Code::DeviceHasChildren) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// Gateways handed over at once.
const HANDING_OVER: usize = 4;

const TRIM_EVERY_MS: i64 = 3_600_000;

/// An Argon2id hash of a random text that was thrown away: unknown users take as long to refuse as wrong passwords.
pub(crate) const DECOY_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Wm0n0q0m3kqZ1h0J0b7Q0m7kV4dXy1c2V0s3bq8l9rU";

#[async_trait]
impl BusEar for Platform {
    fn deliver_here(&self, via: &DeviceId, downlink: Downlink) -> Delivered {
        let offline = || Error::new(Code::DeviceOffline, "Operation not allowed. The device is not online.");
        let entry = self.directory.get(via.as_str()).ok_or_else(offline)?;
        entry.link.deliver(downlink).map_err(|refused| match refused {
            Refused::Closed => offline(),
            Refused::Busy => {
                Error::new(Code::TooManyPending, "The device's connection is busy. Try again in a moment.")
            }
        })
    }

    fn answer_here(&self, via: &DeviceId, request_id: &str, answer: Answer) {
        if !self.waiters.complete(via, request_id, answer) {
            tracing::debug!(device_id = %via, "an answer that nobody waits for is dropped");
        }
    }

    async fn changed(&self, change: Changed) {
        let outcome = match change {
            Changed::Product(no) => self.products.reload(&*self.store, no).await,
            Changed::Device(id) => self.reconsider_device(&id).await,
            Changed::Desired(id) => self.reconsider_desired(&id).await,
            Changed::Children { gateway, version } => {
                self.tell_gateway(&gateway, version);
                Ok(())
            }
            Changed::Broadcast(broadcast) => {
                self.fan_out(broadcast);
                Ok(())
            }
            Changed::Routes => {
                // A space that is deleted takes its devices and its rules with it, and is announced as this change.
                self.device_tokens.forget_all();
                let authorities = self.reconsider_authorities().await;
                self.reload_routes().await.and(self.reload_linkage().await).and(authorities)
            }
            Changed::Linkage => self.reload_linkage().await,
            Changed::Authorities => self.reconsider_authorities().await,
            Changed::CertificateRevoked { app, sha256 } => {
                self.directory.close_where(
                    |c| c.app_id == app && c.proof.as_ref().is_some_and(|p| p.sha256 == sha256),
                    CloseReason::CertificateRefused,
                );
                Ok(())
            }
            Changed::Queues => {
                self.queues_changed.send_modify(|n| *n += 1);
                Ok(())
            }
            Changed::QueueAccess { disconnect } => self.reload_queue_access(disconnect).await,
            Changed::Policies => self.reload_policies().await,
            Changed::DevicePolicies(id) => self.reconsider_policies(&id).await,
            Changed::Users => {
                self.standings.forget();
                Ok(())
            }
        };
        if let Err(error) = outcome {
            tracing::warn!(?error, "a change was heard but could not be followed");
        }
    }
}

impl Platform {
    async fn reconsider_device(&self, id: &DeviceId) -> Result<()> {
        self.children.forget(id);
        self.device_tokens.forget(id);
        let Some(entry) = self.directory.get(id.as_str()) else { return Ok(()) };
        let reading = entry.context.begin_reading_tags();
        match self.store.device(id).await? {
            None => entry.link.close(CloseReason::Deleted),
            Some(device) if device.no != entry.context.no => entry.link.close(CloseReason::Deleted),
            Some(device) if device.frozen => entry.link.close(CloseReason::Frozen),
            Some(device) => entry.context.set_tags(reading, &device.tags),
        }
        Ok(())
    }

    async fn reconsider_authorities(&self) -> Result<()> {
        self.reload_trust().await?;
        let trust = self.trust.load();
        self.directory
            .close_where(|c| c.proof.as_ref().is_some_and(|p| !trust.holds(p.ca)), CloseReason::CertificateRefused);
        Ok(())
    }

    async fn reconsider_desired(&self, id: &DeviceId) -> Result<()> {
        let context = match self.directory.get(id.as_str()) {
            Some(entry) => Some(entry.context),
            None => self.behind_gateway(id.as_str()).await?,
        };
        if let Some(context) = context {
            self.load_open_desired(&context).await?;
            self.send_open_desired(&context);
        }
        Ok(())
    }
}
