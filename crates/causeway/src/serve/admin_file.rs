//! The administrator's first credentials: `initial-admin.json` in the data folder, readable by its owner only.
//!
//! The store keeps a hash of the password and a sealed key, so this file is the only place where they can be read
//! again. It may be deleted once they are noted or replaced.

use std::path::Path;

use anyhow::Context as _;
use causeway_platform::Platform;
use causeway_platform::instance::AdminCredentials;
use serde::{Deserialize, Serialize};

/// Name of the file.
pub(crate) const ADMIN_FILE: &str = "initial-admin.json";

#[derive(Serialize, Deserialize)]
struct AdminFile {
    user: String,
    password: String,
    ak: String,
    sk: String,
}

/// Makes the administrator at the first start; later reads the credentials back while the file is there.
///
/// # Errors
/// When the file is damaged, or the data was sealed under another instance key.
pub(crate) async fn ensure(folder: &Path, platform: &Platform) -> anyhow::Result<(Option<AdminCredentials>, bool)> {
    let path = folder.join(ADMIN_FILE);
    let fault = |e: causeway_model::Error| anyhow::anyhow!("{e:?}");
    let credentials = match std::fs::read(&path) {
        Ok(bytes) => {
            let file: AdminFile = serde_json::from_slice(&bytes)
                .with_context(|| format!("{} is damaged; delete it if the credentials are known", path.display()))?;
            AdminCredentials { user: file.user, password: file.password, ak: file.ak, sk: file.sk }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if platform.has_users().await.map_err(fault)? {
                return Ok((None, false));
            }
            let made = AdminCredentials::generate();
            // Written before the store hears of them: a crash in between must not leave unknown credentials behind.
            let file = AdminFile {
                user: made.user.clone(),
                password: made.password.clone(),
                ak: made.ak.clone(),
                sk: made.sk.clone(),
            };
            super::write_private(&path, &serde_json::to_vec_pretty(&file)?)
                .with_context(|| format!("cannot write {}", path.display()))?;
            made
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let is_new = platform.ensure_admin(&credentials).await.map_err(fault)?;
    Ok((Some(credentials), is_new))
}
