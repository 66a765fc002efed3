//! `causeway serve`: composes store, platform, doors, interfaces and deliveries, and stops them in order.

mod admin_file;
mod certificates;
mod client_certificates;
mod data_folder;
mod listen;
mod ready;
mod telemetry;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use causeway_platform::Platform;
use causeway_platform::clock::Clock;
use causeway_platform::downlink::CloseReason;
use causeway_platform::file::FileAccess;
use causeway_platform::secrets::Secrets;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cli::ServeArgs;
use crate::config::Config;
use crate::load::stop;
pub(crate) use ready::Ready;

/// All parts drain within this time after SIGTERM.
const DRAIN: Duration = Duration::from_secs(10);
/// Of that, the store's part.
const CLOSING: Duration = Duration::from_secs(2);
/// The store is asked so often whether it lives.
const PULSE: Duration = Duration::from_secs(5);

/// A platform that listens.
pub(crate) struct Running {
    /// What the ready file says.
    pub(crate) ready: Ready,
    /// Credentials made by this very start; they are shown once.
    pub(crate) is_first_start: bool,
    platform: Arc<Platform>,
    parts: JoinSet<&'static str>,
    stop_doors: CancellationToken,
    stop_work: CancellationToken,
    stop_rest: CancellationToken,
    _lock: data_folder::Lock,
}

/// Serves until SIGTERM or Ctrl-C.
///
/// # Errors
/// A sentence for the operator: a port that is taken, a folder in use, a key with a wrong value.
pub(crate) async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let stop = stop::on_signal()?;
    let running = start(&args).await?;
    running.announce(&args.data);
    running.until(stop).await
}

/// Starts everything and returns once it listens.
///
/// # Errors
/// See [`run`].
pub(crate) async fn start(args: &ServeArgs) -> anyhow::Result<Running> {
    let started = std::time::Instant::now();
    let config = Config::load(args.config.as_deref(), &args.set)?;
    let metrics = telemetry::start(&config.log)?;
    raise_open_files();
    let lock = data_folder::open(&args.data)?;
    let listeners = listen::bind_all(&config.listen).await?;

    let instance_key = data_folder::instance_key(&args.data)?;
    let store = causeway_backend::open(&config.store, &args.data)
        .await
        .map_err(|e| anyhow::anyhow!("{}", e.detail().unwrap_or(e.message())))
        .context("the store cannot be opened (key store.url)")?;
    let clock = Arc::new(Clock::default());
    let bus = Arc::new(causeway_backend::LocalBus::default());
    let objects = causeway_backend::open_objects(&config.objects, &config.s3, &args.data)
        .await
        .map_err(|e| anyhow::anyhow!("{}", e.detail().unwrap_or(e.message())))
        .context("the object store cannot be opened (key objects.url)")?;
    let files = FileAccess { objects, doors: listeners.file_doors() };
    let platform = Platform::open(config.platform.clone(), store, bus, Secrets::new(&instance_key), clock, files)
        .await
        .map_err(|e| anyhow::anyhow!("{e:?}"))
        .context("the platform cannot be opened")?;
    platform.set_prober(causeway_delivery::prober(&platform, config.forwarding.clone(), &args.data));
    platform.set_http_caller(causeway_delivery::http_caller(&platform.settings.push));
    let (admin, is_first_start) = admin_file::ensure(&args.data, &platform).await?;
    let certificates = certificates::load_or_make(&args.data.join("tls"), &config.tls)?;

    let stop_doors = CancellationToken::new();
    let stop_work = CancellationToken::new();
    let stop_rest = CancellationToken::new();
    let mut parts = JoinSet::new();
    let addresses = listeners.addresses();
    let api = causeway_api::ApiState::new(
        platform.clone(),
        metrics,
        config.clock.movable,
        env!("CARGO_PKG_VERSION").to_owned(),
        config.api.clone(),
    );
    listeners.spawn(
        &mut parts,
        &listen::Doors {
            platform: platform.clone(),
            api,
            tls: certificates.server.clone(),
            device_tls: certificates.devices.clone(),
            mqtt: causeway_door_mqtt::Door::new(platform.clone(), Arc::new(config.mqtt)),
            device_http: config.device_http,
            api_settings: config.api,
            amqp: causeway_delivery::AmqpServer::new(platform.clone(), config.amqp, stop_doors.clone()),
        },
        &stop_doors,
    );
    parts.spawn({
        let (platform, stop) = (platform.clone(), stop_rest.clone());
        let (forwarding, data) = (config.forwarding.clone(), args.data.clone());
        async move {
            causeway_delivery::run(platform, forwarding, &data, stop).await;
            "deliveries"
        }
    });
    parts.spawn({
        let (platform, stop) = (platform.clone(), stop_rest.clone());
        async move {
            platform.keep_time(stop).await;
            "timekeeping"
        }
    });
    parts.spawn({
        let (platform, stop) = (platform.clone(), stop_rest.clone());
        async move {
            platform.keep_files(stop).await;
            "files"
        }
    });

    parts.spawn({
        let (platform, stop) = (platform.clone(), stop_work.clone());
        async move {
            platform.run_batch_tasks(stop).await;
            "batch tasks"
        }
    });

    let default_app = platform.default_app().await.map_err(|e| anyhow::anyhow!("{e:?}"))?;
    let queues = platform.ensure_queue_access().await.map_err(|e| anyhow::anyhow!("{e:?}"))?;
    let ready = Ready::new(addresses, &certificates.ca, &platform, default_app.id.as_str(), admin, queues);
    if let Some(path) = &args.ready_file {
        ready.write(path).with_context(|| format!("cannot write the ready file {}", path.display()))?;
    }
    tracing::info!(elapsed_ms = started.elapsed().as_millis() as u64, "ready");
    Ok(Running { ready, is_first_start, platform, parts, stop_doors, stop_work, stop_rest, _lock: lock })
}

impl Running {
    /// Says on the terminal what a newcomer needs next.
    pub(crate) fn announce(&self, data: &Path) {
        println!("{}", self.ready.banner(data, self.is_first_start));
    }

    /// Serves until `stop`, then drains: doors first, so that what they took is committed and acknowledged, then what
    /// works behind them, the store last.
    ///
    /// # Errors
    /// When a part ended by itself or did not drain in time.
    pub(crate) async fn until(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut ended = None;
        tokio::select! {
            () = stop.cancelled() => {}
            part = self.parts.join_next() => ended = part,
            () = store_is_gone(&self.platform) => ended = Some(Ok("store")),
        }
        tracing::info!("stopping");
        // Before waiting calls are given up: that must not look like the outcome of a target.
        self.stop_work.cancel();
        self.stop_doors.cancel();
        self.platform.waiters.give_up();
        self.platform.directory.close_where(|_| true, CloseReason::Shutdown);
        self.stop_rest.cancel();
        let drained =
            tokio::time::timeout(DRAIN - CLOSING, async { while self.parts.join_next().await.is_some() {} }).await;
        // Calls that were under way have left their records by now.
        let _ = tokio::time::timeout(CLOSING, self.platform.flush_audit()).await;
        self.platform.store.close().await;
        if drained.is_err() {
            tracing::warn!("some connections did not end in time and were cut");
        }
        match ended {
            Some(Ok(part)) => anyhow::bail!("the part '{part}' ended by itself; the log above says why"),
            Some(Err(panic)) => Err(panic).context("a part of the platform failed"),
            None => {
                tracing::info!("stopped");
                Ok(())
            }
        }
    }
}

/// Returns when the store has failed for good. A store that cannot be reached for a while answers again later; the
/// embedded one does not come back once its writer is gone.
async fn store_is_gone(platform: &Platform) {
    loop {
        tokio::time::sleep(PULSE).await;
        if platform.store.has_ended() {
            return;
        }
    }
}

/// Every connection is an open file: takes as many as the system gives without asking.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
        if raised.is_err() {
            tracing::warn!(limit = ?limit.current, "the number of connections is limited by RLIMIT_NOFILE");
        }
    }
}

/// Writes a file that only its owner may read, whole or not at all.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut partial = PathBuf::from(path);
    partial.as_mut_os_string().push(".partial");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&partial, path)?;
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}
