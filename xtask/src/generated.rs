//! Pages that are made from the code: `docs/configuration.md` and `docs/cli.md`.

use std::process::Command;

use anyhow::{Context as _, bail};

const COMMANDS: &[&[&str]] = &[
    &["--help"],
    &["serve", "--help"],
    &["demo", "--help"],
    &["sim", "--help"],
    &["bench", "--help"],
    &["bench", "ingest", "--help"],
    &["bench", "idle", "--help"],
    &["bench", "command", "--help"],
    &["bench", "connect", "--help"],
    &["bench", "registry", "--help"],
    &["backup", "--help"],
    &["restore", "--help"],
];

fn causeway(args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(super::root().join("target/debug/causeway"))
        .args(args)
        .env("COLUMNS", "100")
        .output()
        .context("target/debug/causeway cannot be run")?;
    if !output.status.success() {
        bail!("causeway {} failed: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn pages() -> anyhow::Result<Vec<(&'static str, String)>> {
    super::cargo(&["build", "--quiet", "--locked", "-p", "causeway"])?;
    let mut cli = String::from("# Command line\n\nMade by `cargo xtask docs` from `--help`; do not edit.\n");
    for args in COMMANDS {
        let title = args.iter().filter(|a| **a != "--help").copied().collect::<Vec<_>>().join(" ");
        let help = causeway(args)?;
        let help: Vec<&str> = help.lines().map(str::trim_end).collect();
        cli.push_str(&format!("\n## causeway {title}\n\n```text\n{}\n```\n", help.join("\n").trim_end()));
    }
    Ok(vec![("docs/configuration.md", causeway(&["keys"])?), ("docs/cli.md", cli)])
}

/// Rewrites the pages.
///
/// # Errors
/// When the binary cannot be built or run.
pub(crate) fn write() -> anyhow::Result<()> {
    for (path, text) in pages()? {
        std::fs::write(super::root().join(path), text)?;
    }
    Ok(())
}

/// Fails when a page differs from what the code says.
///
/// # Errors
/// Names the page and the command that rewrites it.
pub(crate) fn check() -> anyhow::Result<()> {
    for (path, text) in pages()? {
        let stands = std::fs::read_to_string(super::root().join(path)).unwrap_or_default();
        if stands != text {
            bail!("{path} is not what the code says; run `cargo xtask docs`");
        }
    }
    Ok(())
}
