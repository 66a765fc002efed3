//! What files need from the store.

use async_trait::async_trait;
use causeway_model::file::{File, FileFilter, FileState, ObjectKey, Transfer, TransferResult};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{DeviceNo, FileId, RecordNo, Result, Timestamp};

/// How many files somebody may have.
#[derive(Clone, Copy, Debug)]
pub struct FileLimits {
    /// Of a device, or of the applications of a space.
    pub files: u32,
    /// Of these, how many may wait for their content.
    pub waiting: u32,
}

/// Keeps what is known of files. A record that goes, for whatever reason, leaves its key in the list of garbage in the
/// same transaction.
#[async_trait]
pub trait FileStore: Send + Sync {
    /// Adds a file; `file.no` is ignored. Its owner is the device for what devices upload, and the space for what
    /// applications upload. The owner's oldest waiting files go when it has `limits.waiting` of them.
    /// [`Code::TooManyFiles`](causeway_model::Code::TooManyFiles), [`Code::DeviceNotFound`](causeway_model::Code),
    /// [`Code::AppNotFound`](causeway_model::Code).
    async fn insert_file(
        &self,
        file: File,
        device: Option<DeviceNo>,
        product: Option<RecordNo>,
        limits: FileLimits,
    ) -> Result<File>;
    /// The file with this id.
    async fn file(&self, id: &FileId) -> Result<Option<File>>;
    /// The file at this place.
    async fn file_at(&self, key: &ObjectKey) -> Result<Option<File>>;
    /// A page of files, newest first.
    async fn list_files(&self, filter: &FileFilter, page: PageRequest) -> Result<Page<File>>;
    /// The newest stored file of this name that the device may download: what applications put there for it, for its
    /// product, for its space, or what it uploaded itself, in this order.
    async fn file_for_device(&self, device: DeviceNo, name: &str) -> Result<Option<File>>;
    /// The newest file of this name that the device asked to upload, in whatever state.
    async fn file_of_device(&self, device: DeviceNo, name: &str) -> Result<Option<File>>;
    /// Whether the device may download this file.
    async fn may_download(&self, device: DeviceNo, file: RecordNo) -> Result<bool>;
    /// Sets the state with what is known of the content. False when the file is gone.
    async fn settle_file(&self, no: RecordNo, content: &FileContent) -> Result<bool>;
    /// Keeps what a device says of a transfer; a `state` replaces the file's if it is still `WAITING`.
    async fn report_transfer(
        &self,
        no: RecordNo,
        transfer: Transfer,
        result: &TransferResult,
        state: Option<FileState>,
    ) -> Result<bool>;
    /// Removes the record. [`Code::FileInUse`](causeway_model::Code::FileInUse) when an OTA package refers to it. False
    /// when it is not there.
    async fn delete_file(&self, no: RecordNo) -> Result<bool>;
    /// Files in `CHECKING`, and files in `WAITING` whose URL has ended, oldest first.
    async fn due_files(&self, now: Timestamp, limit: u32) -> Result<Vec<File>>;
    /// Some objects that no record refers to any more.
    async fn garbage_objects(&self, limit: u32) -> Result<Vec<(i64, String)>>;
    /// Takes an object off the list of garbage.
    async fn forget_garbage(&self, no: i64) -> Result<()>;
}

/// What became of a file's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileContent {
    /// The state from now on.
    pub state: FileState,
    /// Bytes.
    pub size: Option<u64>,
    /// SHA-256, when it was computed.
    pub sha256: Option<String>,
    /// When.
    pub at: Timestamp,
}
