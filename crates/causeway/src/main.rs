//! The `causeway` binary: the platform itself, its demonstration, and the tools around it.
//!
//! Nothing is decided here: `serve` composes the crates, the other commands are clients from outside. Start reading at
//! [`serve::run`].

mod backup;
mod bench;
mod cli;
mod config;
mod demo;
mod load;
mod serve;
mod sim;

use clap::Parser as _;

/// Short-lived buffers of many sizes are the platform's daily bread; mimalloc gives their memory back sooner than glibc.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // Not a command for people: the sandbox starts this program anew for the scripts of users.
    if std::env::args_os().nth(1).is_some_and(|first| first == causeway_script::WORKER_ARGUMENT) {
        let ended = causeway_script::run_worker();
        return if ended.is_ok() { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE };
    }
    let command = cli::Cli::parse().command;
    rustls::crypto::ring::default_provider().install_default().expect("the provider is installed once, here");
    match cli::run(command) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("causeway: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
