//! What happens to files by itself: contents in a foreign store are compared with what was announced, uploads that did
//! not come are given up, and what deleted records leave in the object store is removed. All of it is found in the store
//! again after a restart.

use std::sync::Arc;
use std::time::Duration;

use causeway_model::Result;
use causeway_model::file::{File, FileState, ObjectKey};
use ring::digest::{Context, SHA256};
use tokio_util::sync::CancellationToken;

use super::FileContent;
use crate::Platform;

/// Files and objects looked at before the next look at `stop`.
const BATCH: u32 = 100;

impl Platform {
    /// Works until `stop`.
    pub async fn keep_files(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = self.clock.tick(Duration::from_secs(5)) => {}
                () = self.files.due.notified() => {}
                () = stop.cancelled() => return,
            }
            let work = async {
                while self.remove_garbage().await? {}
                while self.examine_due().await? {}
                Ok::<(), causeway_model::Error>(())
            };
            let outcome = tokio::select! {
                outcome = work => outcome,
                () = stop.cancelled() => return,
            };
            if let Err(error) = outcome {
                tracing::warn!(?error, "work on files is tried again in some seconds");
            }
        }
    }

    /// Removes some objects that no record refers to. True when there may be more.
    async fn remove_garbage(&self) -> Result<bool> {
        let garbage = self.store.garbage_objects(BATCH).await?;
        for (no, key) in &garbage {
            match ObjectKey::parse(key) {
                Some(key) => self.files.objects.delete(&key).await?,
                None => tracing::error!(key, "a key in the list of garbage is not the platform's; nothing is removed"),
            }
            self.store.forget_garbage(*no).await?;
        }
        Ok(garbage.len() as u32 == BATCH)
    }

    async fn examine_due(&self) -> Result<bool> {
        let due = self.store.due_files(self.clock.now(), BATCH).await?;
        for file in &due {
            self.examine(file).await?;
        }
        Ok(due.len() as u32 == BATCH)
    }

    /// Compares what lies in the object store with what was announced, and settles the file.
    pub(super) async fn examine(&self, file: &File) -> Result<()> {
        let at = self.clock.now();
        let failed = FileContent { state: FileState::Failed, size: None, sha256: None, at };
        let Some(size) = self.files.objects.size(&file.key).await? else {
            self.store.settle_file(file.no, &failed).await?;
            return Ok(());
        };
        let largest = self.settings.files.max_size.0 as u64;
        let has_size = size <= largest && file.announced.size.is_none_or(|announced| announced == size);
        let (fits, sha256) = match file.announced.sha256() {
            Some(announced) if has_size => {
                let found = self.hash_of(&file.key).await?;
                (found.as_ref() == Some(&announced), found)
            }
            _ => (has_size, None),
        };
        if fits {
            let stored = FileContent { state: FileState::Stored, size: Some(size), sha256, at };
            self.store.settle_file(file.no, &stored).await?;
            return Ok(());
        }
        tracing::info!(file_id = %file.id, "an uploaded file is not what was announced; it is removed");
        // The content first: after a crash in between it is missing, which comes to the same.
        self.files.objects.delete(&file.key).await?;
        self.store.settle_file(file.no, &failed).await?;
        Ok(())
    }

    async fn hash_of(&self, key: &ObjectKey) -> Result<Option<String>> {
        let Some(mut reader) = self.files.objects.read(key, None).await? else { return Ok(None) };
        let mut hash = Context::new(&SHA256);
        while let Some(bytes) = reader.next().await? {
            hash.update(&bytes);
        }
        Ok(Some(hex::encode(hash.finish().as_ref())))
    }
}
