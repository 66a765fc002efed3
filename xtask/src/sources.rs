//! What every source file keeps: a size one can hold in mind, and a first paragraph that says what it is.

use std::path::{Path, PathBuf};

use anyhow::bail;

/// Split a file before it has more lines than this.
const MAX_LINES: usize = 800;

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && name != "corpus" {
            rust_files(&path, into)?;
        } else if name.ends_with(".rs") {
            into.push(path);
        }
    }
    Ok(())
}

/// Checks all files of `crates/` and `xtask/`.
///
/// # Errors
/// Lists the files that break a rule.
pub(crate) fn check() -> anyhow::Result<()> {
    let mut files = Vec::new();
    for folder in ["crates", "xtask"] {
        rust_files(&super::root().join(folder), &mut files)?;
    }
    let mut faults = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path)?;
        let shown = path.strip_prefix(super::root()).unwrap_or(&path).display().to_string();
        let lines = text.lines().count();
        if lines > MAX_LINES {
            faults.push(format!("{shown}: {lines} lines; split it"));
        }
        let is_root = shown.ends_with("/lib.rs") || shown.ends_with("/main.rs");
        if is_root && !text.trim_start().starts_with("//!") && !text.contains("\n//!") {
            faults.push(format!("{shown}: the first paragraph (//!) that says what the crate is, is missing"));
        }
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(())
}
