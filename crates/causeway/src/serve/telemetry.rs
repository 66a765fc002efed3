//! Logs and metrics.

use std::sync::Arc;

use anyhow::Context as _;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tracing_subscriber::EnvFilter;

use crate::config::LogSettings;

/// Renders the metrics as Prometheus text.
pub(crate) type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Histogram bounds in seconds, from 100 µs to 10 s.
const SECONDS: [f64; 16] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Histogram bounds for counts of things done together.
const COUNTS: [f64; 8] = [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0];

/// Starts logging to stderr and collecting metrics.
///
/// # Errors
/// When `log.level` or `log.format` cannot be understood.
pub(crate) fn start(settings: &LogSettings) -> anyhow::Result<RenderMetrics> {
    let filter = EnvFilter::try_new(&settings.level)
        .with_context(|| format!("log.level: '{}' is not a level or filter", settings.level))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match settings.format.as_str() {
        "text" => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        "json" => builder.json().try_init(),
        other => anyhow::bail!("log.format: '{other}' is neither text nor json"),
    };
    started.map_err(|e| anyhow::anyhow!("logging cannot be started: {e}"))?;
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(|b| b.set_buckets_for_metric(Matcher::Suffix("_units".to_owned()), &COUNTS))
        .context("histogram bounds")?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|e| anyhow::anyhow!("metrics cannot be started: {e}"))?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            upkeep.run_upkeep();
        }
    });
    Ok(Arc::new(move || handle.render()))
}
