//! Command line of `causeway sim`. The doc comments are the manual.

use std::time::Duration;

use clap::Args;

use crate::bench::{duration, rate};
use crate::load::platform::PlatformArgs;
use crate::load::tls::TlsArgs;

/// Simulate devices of a product.
///
/// Creates the devices over REST (and, when it does not exist yet, the product, as a sample smart meter), connects them
/// by MQTT, and lets them live: they report every readable property of the product model with values that wander within
/// the model's ranges, answer commands as the model says, keep what is set on them, answer property queries, tell their
/// versions when asked, and connect again with growing delays when a connection is lost.
///
/// Runs until Ctrl-C, SIGTERM or the end of --duration, then disconnects all devices and prints a summary. The product
/// and the devices stay on the platform; the next run with the same access key uses them again.
#[derive(Clone, Debug, Args)]
pub(crate) struct SimArgs {
    /// Where the platform is.
    #[command(flatten, next_help_heading = "Platform")]
    pub(crate) platform: PlatformArgs,

    /// MQTT address of the platform. Default: the `mqtt` (with --tls the `mqtts`) address of the ready file.
    #[arg(long, value_name = "HOST:PORT", help_heading = "Platform")]
    pub(crate) server: Option<String>,

    /// TLS of the devices.
    #[command(flatten, next_help_heading = "Platform")]
    pub(crate) tls: TlsArgs,

    /// Product whose devices are simulated. Its model is read from the platform; a product that does not exist is
    /// created as a sample smart meter.
    #[arg(long, value_name = "ID", default_value = "smart-meter", help_heading = "Devices")]
    pub(crate) product_id: String,

    /// Number of devices.
    #[arg(
        long, value_name = "N", default_value_t = 10, help_heading = "Devices",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub(crate) devices: u32,

    /// Node ids are this text and a number, so that two simulations of one product can run side by side.
    #[arg(long, value_name = "TEXT", default_value = "sim", help_heading = "Devices")]
    pub(crate) prefix: String,

    /// Reports per second of each device, for example 0.1 for one in ten seconds. 0 = no reports.
    #[arg(long, value_name = "N", default_value_t = 0.1, value_parser = rate, help_heading = "Devices")]
    pub(crate) rate: f64,

    /// Reports per second of all devices together, in place of --rate.
    #[arg(long, value_name = "N", value_parser = rate, conflicts_with = "rate", help_heading = "Devices")]
    pub(crate) total_rate: Option<f64>,

    /// QoS of both directions. With 1 the devices subscribe to their downlink topics, as some SDKs do; with 0 they rely
    /// on the platform's implicit subscriptions.
    #[arg(
        long, value_name = "0|1", default_value_t = 1, help_heading = "Devices",
        value_parser = clap::value_parser!(u8).range(0..=1)
    )]
    pub(crate) qos: u8,

    /// Keep-alive of the connections in seconds.
    #[arg(
        long, value_name = "S", default_value_t = 120, help_heading = "Devices",
        value_parser = clap::value_parser!(u16).range(30..=1200)
    )]
    pub(crate) keep_alive: u16,

    /// Stop after this time. Default: run until stopped.
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Devices")]
    pub(crate) duration: Option<Duration>,
}

impl SimArgs {
    /// Time between two reports of one device; `None` = it does not report.
    pub(crate) fn report_interval(&self) -> Option<Duration> {
        let rate = self.total_rate.map_or(self.rate, |total| total / f64::from(self.devices));
        // A rate so low that its interval has no number is as good as none.
        (rate > 0.0).then(|| Duration::try_from_secs_f64(1.0 / rate).ok()).flatten()
    }
}
