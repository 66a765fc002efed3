//! Uploaded files. What they hold is read by the interface that knows their formats; here they are bytes, sealed: rows
//! may hold devices' secrets.

use causeway_model::batch::BatchFile;
use causeway_model::{Code, Error, RecordNo, Result, Spaces};
use causeway_sheet::{Limits, Table};
use zeroize::Zeroizing;

use crate::Platform;
use crate::iam::Caller;
use crate::secrets::random_hex;

/// Rows that may stand above the first one of a target: titles and what a template says above them.
pub(crate) const ROWS_ABOVE: u32 = 10;

/// More columns than any file needs.
const COLUMNS_MAX: u32 = 64;

fn not_found(id: &str) -> Error {
    let shown: String = id.chars().take(50).collect();
    Error::new(Code::BatchFileNotFound, format!("The file '{shown}' does not exist."))
}

/// Files belong to no space: who may use all spaces sees all files, others see their own.
fn sees(file: &BatchFile, caller: &Caller, spaces: &Spaces) -> bool {
    *spaces == Spaces::All || file.owner == caller.user
}

impl Platform {
    /// Keeps an uploaded file.
    ///
    /// # Errors
    /// [`Code::TooManyBatchFiles`].
    pub async fn add_batch_file(&self, caller: &Caller, name: String, content: &[u8]) -> Result<BatchFile> {
        let file =
            BatchFile { no: RecordNo(0), id: random_hex(12), owner: caller.user, name, uploaded_at: self.clock.now() };
        self.store.insert_batch_file(file, self.secrets.seal(content), self.settings.batch.max_files).await
    }

    /// The files that `caller` may see, newest first.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn batch_files(&self, caller: &Caller, spaces: &Spaces) -> Result<Vec<BatchFile>> {
        let mut files = self.store.batch_files().await?;
        files.retain(|f| sees(f, caller, spaces));
        Ok(files)
    }

    /// A file and its content.
    ///
    /// # Errors
    /// [`Code::BatchFileNotFound`].
    pub async fn batch_file(
        &self,
        caller: &Caller,
        spaces: &Spaces,
        id: &str,
    ) -> Result<(BatchFile, Zeroizing<Vec<u8>>)> {
        match self.store.batch_file(id).await? {
            Some((file, content)) if sees(&file, caller, spaces) => Ok((file, self.secrets.open(&content)?)),
            _ => Err(not_found(id)),
        }
    }

    /// Deletes a file. Tasks that were made of it keep their targets.
    ///
    /// # Errors
    /// [`Code::BatchFileNotFound`].
    pub async fn delete_batch_file(&self, caller: &Caller, spaces: &Spaces, id: &str) -> Result<()> {
        let mine = self.batch_files(caller, spaces).await?.iter().any(|f| f.id == id);
        if mine && self.store.delete_batch_file(id).await? { Ok(()) } else { Err(not_found(id)) }
    }
}

impl Platform {
    /// Reads a spreadsheet, off the threads that serve connections and one at a time: a large one takes memory.
    ///
    /// # Errors
    /// [`Code::InvalidBatchFile`] says what is wrong with it.
    pub async fn read_sheet(&self, content: impl AsRef<[u8]> + Send + 'static) -> Result<Table> {
        let limits = Limits {
            unpacked: self.settings.batch.max_unpacked.0 as u64,
            // A few rows above the titles are let through.
            rows: self.settings.batch.max_targets.saturating_add(ROWS_ABOVE),
            columns: COLUMNS_MAX,
        };
        let _turn = self.batch.reading.acquire().await.map_err(Error::internal)?;
        let read = tokio::task::spawn_blocking(move || causeway_sheet::read(content.as_ref(), &limits)).await;
        match read {
            Ok(Ok(table)) => Ok(table),
            Ok(Err(wrong)) => Err(Error::new(Code::InvalidBatchFile, format!("Invalid batch file: {wrong}."))),
            // The reader of the format gave up: a file that no spreadsheet program wrote.
            Err(fault) => {
                let text = "Invalid batch file: it is damaged. Write it anew from the template.";
                Err(Error::new(Code::InvalidBatchFile, text).with_detail(fault))
            }
        }
    }
}
