//! `causeway demo`: the platform with life in it.

use std::path::PathBuf;

use clap::Parser as _;

use crate::cli::ServeArgs;
use crate::load::stop;
use crate::{serve, sim};

/// Run the platform with a sample product line and simulated devices.
///
/// The same as `causeway serve`, and beside it simulated smart meters that register, connect, report, and answer
/// commands, so that there is something to look at in the first minute. Ctrl-C stops both.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Folder that holds the data.
    #[arg(long, value_name = "DIR", default_value = "causeway-demo")]
    data: PathBuf,

    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Set one configuration key, over the file.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Write addresses, ids and the first credentials to this file. Default: ready.json in the data folder.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,

    /// Number of simulated devices.
    #[arg(long, value_name = "N", default_value_t = 20)]
    devices: u32,
}

/// The simulation's own command line, parsed like the one of `causeway sim`.
#[derive(clap::Parser)]
struct Simulation {
    #[command(flatten)]
    args: sim::SimArgs,
}

/// Runs until SIGTERM or Ctrl-C.
///
/// # Errors
/// As `causeway serve`; also when the simulated devices cannot be registered.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let stop = stop::on_signal()?;
    let ready_file = args.ready_file.clone().unwrap_or_else(|| args.data.join("ready.json"));
    let serve_args =
        ServeArgs { data: args.data, config: args.config, set: args.set, ready_file: Some(ready_file.clone()) };
    let running = serve::start(&serve_args).await?;
    running.announce(&serve_args.data);
    let ready_file = ready_file.display().to_string();
    let devices = args.devices.to_string();
    let simulation =
        Simulation::try_parse_from(["sim", "--ready-file", &ready_file, "--devices", &devices, "--rate", "0.2"])?;
    let simulated = tokio::spawn({
        let stop = stop.clone();
        async move {
            let outcome = sim::run_until(simulation.args, stop.clone()).await;
            stop.cancel();
            outcome
        }
    });
    running.until(stop.clone()).await?;
    stop.cancel();
    simulated.await?
}
