//! Dependencies point inwards; crates of one level do not know each other (`ARCHITECTURE.md`, layout).

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context as _, bail};

/// Which of our crates each of our crates may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    ("causeway-model", &[]),
    ("causeway-wire", &["causeway-model"]),
    ("causeway-rules", &["causeway-model"]),
    ("causeway-sheet", &[]),
    ("causeway-channels", &["causeway-model"]),
    ("causeway-script", &[]),
    (
        "causeway-platform",
        &["causeway-channels", "causeway-model", "causeway-rules", "causeway-script", "causeway-sheet"],
    ),
    ("causeway-backend", &["causeway-model", "causeway-platform"]),
    ("causeway-door-mqtt", &["causeway-model", "causeway-platform", "causeway-wire"]),
    ("causeway-door-http", &["causeway-model", "causeway-platform", "causeway-wire"]),
    ("causeway-product-files", &["causeway-model"]),
    (
        "causeway-api",
        &[
            "causeway-channels",
            "causeway-model",
            "causeway-platform",
            "causeway-product-files",
            "causeway-rules",
            "causeway-sheet",
        ],
    ),
    ("causeway-delivery", &["causeway-channels", "causeway-model", "causeway-platform", "causeway-wire"]),
    (
        "causeway",
        &[
            "causeway-api",
            "causeway-backend",
            "causeway-delivery",
            "causeway-door-http",
            "causeway-door-mqtt",
            "causeway-model",
            "causeway-platform",
            "causeway-script",
            "causeway-wire",
        ],
    ),
    ("xtask", &[]),
];

/// SQL drivers may be named by the store only; sockets and HTTP never by the core.
const FOREIGN: &[(&str, &[&str])] = &[
    ("rusqlite", &["causeway-backend"]),
    ("sqlparser", &["causeway-rules"]),
    // The delivery crate forwards to tables of others.
    ("tokio-postgres", &["causeway-backend", "causeway-delivery"]),
    ("deadpool-postgres", &["causeway-backend"]),
    ("axum", &["causeway-api", "causeway-door-http"]),
    // The store names it for the client of the object store, which it configures by a feature only.
    ("reqwest", &["causeway-backend", "causeway-delivery"]),
];

/// Checks the graph that cargo sees. Test-only dependencies are free.
///
/// # Errors
/// Names the first dependency that points the wrong way.
pub(crate) fn check() -> anyhow::Result<()> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(super::root())
        .output()
        .context("cargo metadata cannot be run")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut seen = 0;
    for package in metadata["packages"].as_array().context("packages")? {
        let name = package["name"].as_str().context("name")?;
        let Some(may_use) = allowed.get(name) else {
            bail!(
                "crate '{name}' has no place in the architecture: add it to xtask/src/dependencies.rs and ARCHITECTURE.md"
            );
        };
        seen += 1;
        for dependency in package["dependencies"].as_array().context("dependencies")? {
            if dependency["kind"].as_str() == Some("dev") {
                continue;
            }
            let other = dependency["name"].as_str().context("dependency name")?;
            if (other.starts_with("causeway") || other == "xtask") && !may_use.contains(&other) {
                bail!("'{name}' depends on '{other}': dependencies point inwards (ARCHITECTURE.md)");
            }
            if let Some((_, users)) = FOREIGN.iter().find(|(n, _)| *n == other)
                && !users.contains(&name)
            {
                bail!("'{name}' depends on '{other}', which only {} may name", users.join(" and "));
            }
        }
    }
    if seen != ALLOWED.len() {
        bail!("the list in xtask/src/dependencies.rs names crates that are gone");
    }
    Ok(())
}
