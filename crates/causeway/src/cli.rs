//! The command line. The doc comments are its manual.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use crate::{backup, bench, config, demo, serve, sim};

/// Causeway: the open, self-hosted device-access platform for the Internet of Things.
///
/// One program is the platform, a demonstration of it, and the tools around it. Begin with `causeway demo` to see it
/// live, or `causeway serve` to run it.
#[derive(Debug, Parser)]
#[command(name = "causeway", version, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the platform.
    Serve(ServeArgs),
    /// Run the platform with a sample product line and simulated devices.
    Demo(demo::DemoArgs),
    /// Simulate devices of a product against a platform.
    Sim(sim::SimArgs),
    /// Measure a platform or MQTT broker from outside.
    Bench(bench::BenchArgs),
    /// Write everything the platform knows into one file, while it serves.
    Backup(backup::BackupArgs),
    /// Fill an empty data folder (and database) from a backup.
    Restore(backup::RestoreArgs),
    /// Print every configuration key with its default and meaning.
    Keys,
}

/// Run the platform.
///
/// The first start needs no configuration: it makes the data folder with a database, a certificate authority, server
/// certificates and an administrator, and prints the addresses and the first password. SIGTERM and Ctrl-C stop it
/// within ten seconds; nothing that was acknowledged is lost, however it ends.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServeArgs {
    /// Folder that holds the data: database, keys, certificates. It is made when it is not there.
    #[arg(long, value_name = "DIR", default_value = "causeway-data")]
    pub(crate) data: PathBuf,

    /// Configuration file (TOML). `causeway keys` lists what may stand in it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Set one configuration key, over the file. May be repeated: --set listen.mqtt=0.0.0.0:1884
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,

    /// Write addresses, ids and the first credentials to this file (JSON, readable by the owner only) once everything
    /// listens. For programs that start the platform.
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
}

/// Runs a command to its end.
pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Keys => {
            print!("{}", config::keys_as_markdown());
            Ok(())
        }
        Command::Backup(args) => runtime()?.block_on(backup::backup(args)),
        Command::Restore(args) => runtime()?.block_on(backup::restore(args)),
        Command::Bench(args) => runtime()?.block_on(bench::run(args)),
        Command::Sim(args) => runtime()?.block_on(sim::run(args)),
        Command::Serve(args) => runtime()?.block_on(serve::run(args)),
        Command::Demo(args) => runtime()?.block_on(demo::run(args)),
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime cannot be started")
}
