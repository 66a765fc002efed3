//! Repository checks: `cargo xtask check` is what CI runs before the black-box suite; `cargo xtask docs` rewrites the
//! generated pages.

mod dependencies;
mod generated;
mod sources;

use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};

/// Runs a cargo command in the workspace.
fn cargo(args: &[&str]) -> anyhow::Result<()> {
    eprintln!("xtask: cargo {}", args.join(" "));
    let status = Command::new(env!("CARGO")).args(args).current_dir(root()).status().context("cargo cannot be run")?;
    if !status.success() {
        bail!("cargo {} failed", args.join(" "));
    }
    Ok(())
}

/// The repository's root.
fn root() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the repository")
}

fn check() -> anyhow::Result<()> {
    dependencies::check()?;
    sources::check()?;
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])?;
    generated::check()
}

fn main() -> ExitCode {
    let outcome = match std::env::args().nth(1).as_deref() {
        Some("check") => check(),
        Some("deps") => dependencies::check(),
        Some("docs") => generated::write(),
        _ => {
            eprintln!(
                "usage: cargo xtask check | deps | docs\n\n\
                 check  dependency directions, file sizes, format, clippy, generated pages\n\
                 deps   dependency directions only\n\
                 docs   rewrite the generated pages (docs/configuration.md, docs/cli.md, docs/permissions.md)"
            );
            return ExitCode::FAILURE;
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
