//! Pages that are made from the code: `docs/configuration.md`, `docs/cli.md` and the table of `docs/permissions.md`.

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
    let permissions = permissions()?;
    Ok(vec![
        ("docs/configuration.md", causeway(&["keys"])?),
        ("docs/cli.md", cli),
        ("docs/permissions.md", permissions),
    ])
}

/// What stands above the table is written by hand.
const TABLE: &str = "<!-- Made by `cargo xtask docs` from crates/api/openapi.json; do not edit below this line. -->";

/// `docs/permissions.md` with its table of operations and actions made anew.
fn permissions() -> anyhow::Result<String> {
    let root = super::root();
    let page =
        std::fs::read_to_string(root.join("docs/permissions.md")).context("docs/permissions.md cannot be read")?;
    let (above, _) = page.split_once(TABLE).context("docs/permissions.md has lost the line above its table")?;
    let document = std::fs::read_to_string(root.join("crates/api/openapi.json"))?;
    let document: serde_json::Value = serde_json::from_str(&document)?;
    let mut table = String::from("\n\n| area | operation | method and path | action |\n| --- | --- | --- | --- |\n");
    let mut rows = Vec::new();
    for (path, item) in document["paths"].as_object().context("no paths")? {
        for (method, operation) in item.as_object().context("no methods")? {
            if operation["x-built"] == false {
                continue;
            }
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let action = match operation.get("x-action") {
                Some(action) => format!("`{}`", text(action)),
                None if operation["security"].as_array().is_some_and(Vec::is_empty) => "everybody".to_owned(),
                None => "every caller".to_owned(),
            };
            let address = format!("{} {}", method.to_uppercase(), path.replace("/v5/iot/{project_id}", "…"));
            rows.push((text(&operation["tags"][0]), text(&operation["operationId"]), address, action));
        }
    }
    rows.sort();
    for (area, id, address, action) in rows {
        table.push_str(&format!("| {area} | {id} | `{address}` | {action} |\n"));
    }
    Ok(format!("{above}{TABLE}{table}"))
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
