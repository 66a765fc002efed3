//! `causeway bench`: measures a platform, or any MQTT broker, from outside over real sockets.
//!
//! A mode opens its connections with [`target`], does its work, and hands a [`report`] over. CPU time and memory of the
//! target come from `/proc` ([`process`]); nothing inside a target is asked.

mod amqp;
mod amqp_client;
mod args;
mod batch;
mod command;
mod connect;
mod idle;
mod ingest;
mod payload;
mod process;
mod registry;
mod report;
mod rules;
mod target;

pub(crate) use args::{BenchArgs, duration, rate};

/// Runs one mode and prints its report.
///
/// # Errors
/// When the target cannot be reached or prepared, and, after the report is printed, when the run had errors.
pub(crate) async fn run(args: BenchArgs) -> anyhow::Result<()> {
    match args.mode {
        args::Mode::Ingest(args) => ingest::run(args).await,
        args::Mode::Idle(args) => idle::run(args).await,
        args::Mode::Command(args) => command::run(args).await,
        args::Mode::Amqp(args) => amqp::run(args).await,
        args::Mode::Rules(args) => rules::run(args).await,
        args::Mode::Batch(args) => batch::run(args).await,
        args::Mode::Connect(args) => connect::run(args).await,
        args::Mode::Registry(args) => registry::run(args).await,
    }
}
