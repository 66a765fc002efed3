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
