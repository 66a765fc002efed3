//! The data folder: one process at a time, readable by its owner only, with the instance key.

use std::fs::File;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use causeway_platform::secrets::{INSTANCE_KEY_LEN, Secrets};
use zeroize::Zeroizing;

/// Name of the instance key's file.
pub(crate) const KEY_FILE: &str = "instance.key";

/// Keeps other processes out of the folder while it lives.
pub(crate) struct Lock(#[expect(dead_code, reason = "held open, never read")] File);

/// Makes the folder if need be and locks it.
///
/// # Errors
/// When another process serves from it, or it cannot be made.
pub(crate) fn open(folder: &Path) -> anyhow::Result<Lock> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("the data folder {} cannot be made", folder.display()))?;
    let path = folder.join("lock");
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("the data folder {} is not writable", folder.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(std::fs::TryLockError::WouldBlock) => bail!(
            "the data folder {} is in use by another causeway process; stop it or choose another folder with --data",
            folder.display()
        ),
        Err(std::fs::TryLockError::Error(error)) => Err(error).context("the data folder cannot be locked"),
    }
}

/// Reads the instance key, or makes it in a new folder.
///
/// # Errors
/// When the file is damaged.
pub(crate) fn instance_key(folder: &Path) -> anyhow::Result<Zeroizing<[u8; INSTANCE_KEY_LEN]>> {
    let path = folder.join(KEY_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let text = Zeroizing::new(text);
            let mut key = Zeroizing::new([0; INSTANCE_KEY_LEN]);
            hex::decode_to_slice(text.trim(), &mut *key).with_context(|| {
                format!(
                    "{} must hold {} hexadecimal digits; restore it from a backup",
                    path.display(),
                    2 * INSTANCE_KEY_LEN
                )
            })?;
            let mode = std::fs::metadata(&path)?.permissions().mode();
            if mode & 0o077 != 0 {
                tracing::warn!(file = %path.display(), "the instance key can be read by other users; run chmod 600 on it");
            }
            Ok(key)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if folder.join(causeway_backend::SQLITE_FILE).exists() {
                bail!("{} is missing although there is a database; restore it from a backup", path.display());
            }
            let key = Secrets::generate_key();
            let text = Zeroizing::new(format!("{}\n", hex::encode(*key)));
            super::write_private(&path, text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(key)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_serves_one_process_and_keeps_its_key() {
        let dir = tempfile::tempdir().expect("folder");
        let folder = dir.path().join("data");
        let lock = open(&folder).expect("first");
        let error = open(&folder).err().expect("second is refused");
        assert!(error.to_string().contains("in use by another causeway process"));
        drop(lock);
        let _lock = open(&folder).expect("free again");
        let key = instance_key(&folder).expect("made");
        assert_eq!(*key, *instance_key(&folder).expect("read back"));
        std::fs::write(folder.join(KEY_FILE), "zz").expect("damaged");
        assert!(instance_key(&folder).is_err());
    }
}
