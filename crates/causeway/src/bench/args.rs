//! Command line of `causeway bench`. The doc comments are the manual.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::load::platform::PlatformArgs;
use crate::load::tls::TlsArgs;

/// Measure a platform or a plain MQTT broker from outside.
///
/// Every mode drives the target over real sockets, prints a table, and on request JSON, with the machine, the versions,
/// throughput, latency, and, when the target runs on this machine, its CPU time and memory read from /proc. The time
/// before the measured window (connecting, warming up) counts for nothing. When the target refuses, disconnects or
/// loses anything, the report lists it and the exit code is 1.
///
/// With --ready-file, or --api and its companions, the target is a Causeway platform (or another with the same REST
/// interface): the product `bench` and the devices are created on it and stay there for the next run. Without, it is
/// any MQTT broker at --target, and the devices connect with their id as user name and no password.
#[derive(Clone, Debug, Args)]
pub(crate) struct BenchArgs {
    /// What to measure.
    #[command(subcommand)]
    pub(crate) mode: Mode,
}

/// What to measure.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Mode {
    /// Property reports with QoS 1, as many as the target takes, or at a given rate.
    Ingest(IngestArgs),
    /// Memory for each open connection that says nothing.
    Idle(IdleArgs),
    /// Commands from an application through the platform to a device and back.
    Command(CommandArgs),
    /// A queue that is filled, and drained by one AMQP 1.0 receiver.
    Amqp(AmqpArgs),
    /// What forwarding rules and their targets add to a report, stage by stage.
    Rules(RulesArgs),
    /// A batch task that sends a command to many connected devices while others report.
    Batch(BatchArgs),
    /// Authenticated connects, one after another on each line.
    Connect(ConnectArgs),
    /// A large registry over REST: registering in bulk, reading devices and lists of them.
    Registry(RegistryArgs),
}

/// Options of every mode.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TargetArgs {
    /// Where the platform is.
    #[command(flatten, next_help_heading = "Platform")]
    pub(crate) platform: PlatformArgs,

    /// TLS of the devices.
    #[command(flatten, next_help_heading = "Target")]
    pub(crate) tls: TlsArgs,

    /// MQTT address of the target. Default: the `mqtt` (with --tls the `mqtts`) address of the ready file.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) target: Option<String>,

    /// MQTT user name of all connections to a plain broker. Default: the device id.
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,

    /// MQTT password of all connections to a plain broker. Default: none.
    #[arg(long, value_name = "TEXT", requires = "user")]
    pub(crate) password: Option<String>,

    /// Process whose CPU time and memory are measured, with all threads and child processes. Default: the one that the
    /// ready file names; without either, these figures are missing.
    #[arg(long, value_name = "PID")]
    pub(crate) target_pid: Option<u32>,

    /// Name and version of the target for the report, for example "mosquitto 2.0.11".
    #[arg(long, value_name = "TEXT")]
    pub(crate) target_name: Option<String>,

    /// Also write the report as JSON: to a file, or with `-` to stdout (the table then goes to stderr).
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// `causeway bench amqp`: on a platform, devices fill the queue by reports that a rule forwards; on another broker
/// (`--target HOST:PORT --user NAME --password TEXT --queue ADDRESS`) a sender does.
#[derive(Clone, Debug, Args)]
pub(crate) struct AmqpArgs {
    /// Messages.
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) messages: u32,

    /// Size of each report's payload in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 200)]
    pub(crate) size: usize,

    /// Credit that the receiver keeps open.
    #[arg(long, value_name = "N", default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) credit: u32,

    /// Devices that fill the queue of a platform.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) devices: u32,

    /// Receive while the queue is filled, and measure both together.
    #[arg(long)]
    pub(crate) together: bool,

    /// Address of the queue on a broker; it must be there.
    #[arg(long, value_name = "ADDRESS", default_value = "bench_queue")]
    pub(crate) queue: String,

    /// Options of every mode.
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// `causeway bench rules`: the same reports without a rule, with one, with many of which one matches, and with a target
/// that takes connections and never answers. The platform wants `--set listen.amqp=127.0.0.1:0 --set
/// push.allow_private=true`, and for more than 100 rules `--set routing.max_rules=…`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RulesArgs {
    /// Reports in each stage.
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) messages: u32,

    /// Rules in the stage with many.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rules: u32,

    /// Size of each report's payload in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 200)]
    pub(crate) size: usize,

    /// Credit that the receiver keeps open.
    #[arg(long, value_name = "N", default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) credit: u32,

    /// Devices that report.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) devices: u32,

    /// Options of every mode.
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// `causeway bench ingest`
#[derive(Clone, Debug, Args)]
pub(crate) struct IngestArgs {
    /// Devices that report, each on its own connection.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections: u32,

    /// Size of each report's payload in bytes: a properties/report whose text property fills the rest.
    #[arg(long, value_name = "BYTES", default_value_t = 200)]
    pub(crate) size: usize,

    /// Reports of one connection that may wait for their PUBACK.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=32_768))]
    pub(crate) inflight: u32,

    /// Free places among --inflight at which a connection sends again; what is free is then sent in one write.
    /// Default: half of --inflight. With --rate it has no effect.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=32_768))]
    pub(crate) batch: Option<u32>,

    /// Reports per second of all connections together; 0 = as fast as the target acknowledges.
    #[arg(long, value_name = "N", default_value_t = 0.0, value_parser = rate)]
    pub(crate) rate: f64,

    /// Time before the measured window.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(crate) warmup: Duration,

    /// Length of the measured window.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub(crate) duration: Duration,

    /// Let one more connection receive all reports, for a fair comparison of a broker with a platform that stores
    /// them. It subscribes to `$oc/devices/+/sys/properties/report`, which a platform does not offer to its devices.
    #[arg(long, value_name = "QOS", value_enum, default_value_t = SubscribeQos::None)]
    pub(crate) subscribe: SubscribeQos,

    /// Measure the latency of every N-th report of each thread.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) sample: u32,

    /// Threads that send. One is enough for several hundred thousand reports per second and costs the least.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) threads: u16,

    /// Options of every mode.
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// QoS of the extra subscriber of [`IngestArgs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SubscribeQos {
    /// No subscriber.
    None,
    /// One with QoS 0.
    Qos0,
    /// One with QoS 1, which acknowledges every report.
    Qos1,
}

/// `causeway bench idle`
#[derive(Clone, Debug, Args)]
pub(crate) struct IdleArgs {
    /// Connections to open, each of another device. The limit of open files is raised as far as the kernel allows, and
    /// loopback source addresses are spread when local ports run short.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections: u32,

    /// How long the connections are held in silence.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(crate) hold: Duration,

    /// Connects under way at once.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) concurrency: u32,

    /// Options of every mode.
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// `causeway bench command`
#[derive(Clone, Debug, Args)]
pub(crate) struct CommandArgs {
    /// Devices that are connected and answer.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) devices: u32,

    /// Commands per second, started evenly whether or not earlier ones have been answered.
    #[arg(long, value_name = "N", default_value_t = 500.0, value_parser = rate)]
    pub(crate) rate: f64,

    /// Keep-alive HTTP/1.1 connections, and so commands under way at once.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) http_connections: u32,

    /// Let the devices subscribe to their commands with QoS 1, as some SDKs do, so that the platform waits for their
    /// PUBACK. Otherwise they rely on the platform's implicit subscription, which has QoS 0.
    #[arg(long)]
    pub(crate) subscribe: bool,

    /// Time before the measured window.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(crate) warmup: Duration,

    /// Length of the measured window.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub(crate) duration: Duration,

    /// Options of every mode.
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// `causeway bench batch`
#[derive(Clone, Debug, Args)]
pub(crate) struct BatchArgs {
    /// Devices that are connected and answer: the targets of the task.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=30_000))]
    pub(crate) devices: u32,

    /// Further devices that report, each on its own connection, one report under way at a time.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) reporters: u32,

    /// Reports per second of all of them together.
    #[arg(long, value_name = "N", default_value_t = 2000.0, value_parser = rate)]
    pub(crate) report_rate: f64,

    /// Size of each report's payload in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 200)]
    pub(crate) size: usize,

    /// Time of reports alone before the task.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(crate) warmup: Duration,

    /// Options of every mode.
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// `causeway bench connect`
#[derive(Clone, Debug, Args)]
pub(crate) struct ConnectArgs {
    /// Lines that each connect, wait for the CONNACK, disconnect, and begin again.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) concurrency: u32,

    /// Devices that take turns, so that none connects again while its last connection is being cleared away.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) devices: u32,

    /// Time before the measured window.
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = duration)]
    pub(crate) warmup: Duration,

    /// Length of the measured window.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(crate) duration: Duration,

    /// Options of every mode.
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// `causeway bench registry`
///
/// Without --ready-file or --api, the run starts a platform of its own on free ports, and at the end once more on the same
/// data, to measure the start.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct RegistryArgs {
    /// Devices to have in the end; those that are there count.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) devices: u32,

    /// Products that they are of.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) products: u32,

    /// How devices are registered.
    #[arg(long, value_enum, default_value_t = Via::Files)]
    pub(crate) via: Via,

    /// Rows of a file.
    #[arg(long, value_name = "N", default_value_t = 30_000, value_parser = clap::value_parser!(u32).range(1..=30_000))]
    pub(crate) file_rows: u32,

    /// Files whose tasks run at once.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=10))]
    pub(crate) files_at_once: u32,

    /// Requests of each kind of read.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) reads: u32,

    /// Reads under way at once.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) concurrency: u32,

    /// Folder of the platform that the run starts; it stays, and a later run goes on with its devices. Default: a
    /// temporary one.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Configuration key of the platform that the run starts. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,

    /// Options of every mode.
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// How [`RegistryArgs`] registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Via {
    /// Batch tasks that create the devices of an uploaded file.
    #[default]
    Files,
    /// One request a device.
    Requests,
}

/// Reads `500ms`, `30s`, `2m`, `1h`, or a bare number of seconds.
///
/// # Errors
/// For anything else, and for more than a year.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let seconds = match unit.trim() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err("a time is a number and ms, s, m or h".into()),
    };
    let value: f64 = number.parse().map_err(|_| "a time is a number and ms, s, m or h".to_owned())?;
    let total = value * seconds;
    if !(0.0..=31_536_000.0).contains(&total) {
        return Err("a time is at most a year".into());
    }
    Ok(Duration::from_secs_f64(total))
}

/// Reads a rate: a finite number, not negative.
///
/// # Errors
/// For anything else.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate >= 0.0 => Ok(rate),
        _ => Err("a rate is a number of 0 or more".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        for bad in ["", "s", "-1s", "1 day", "1e9h", "99999999h", "nan"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
        assert!(rate("nan").is_err() && rate("-1").is_err() && rate("inf").is_err());
        assert_eq!(rate("0.5"), Ok(0.5));
    }
}
