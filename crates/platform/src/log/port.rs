//! What logs of devices need from the store.

use async_trait::async_trait;
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{DeviceNo, RecordNo, Result, Timestamp};

use super::{LogConfig, LogState};

/// A line of a device's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Paging position.
    pub no: RecordNo,
    /// When the device says that it was written.
    pub at: Timestamp,
    /// When it came.
    pub received_at: Timestamp,
    /// `DEVICE_STATUS`, `DEVICE_PROPERTY`, `DEVICE_MESSAGE`, `DEVICE_COMMAND`, or another word.
    pub kind: String,
    /// The line.
    pub content: String,
}

/// How much of a device's log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogKept {
    /// Lines.
    pub lines: u32,
    /// Bytes of their contents together; the newest line is kept whatever its size.
    pub bytes: u64,
}

/// Keeps logs of devices and what devices were told about them.
#[async_trait]
pub trait LogStore: Send + Sync {
    /// Adds a line (`no` is ignored); older ones beyond `kept` go.
    async fn add_log_line(&self, device: DeviceNo, line: LogLine, kept: LogKept) -> Result<()>;
    /// A page of a device's lines, newest first; of one kind when it is named.
    async fn log_lines(&self, device: DeviceNo, kind: Option<String>, page: PageRequest) -> Result<Page<LogLine>>;
    /// Drops lines that came before; returns how many.
    async fn trim_logs(&self, before: Timestamp) -> Result<u64>;
    /// Sets what a device is to do; it was not sent yet.
    async fn put_log_config(&self, device: DeviceNo, config: LogConfig, now: Timestamp) -> Result<()>;
    /// What a device is to do, if that was ever said.
    async fn log_config(&self, device: DeviceNo) -> Result<Option<LogState>>;
    /// The configuration set at `set_at` was sent.
    async fn log_config_sent(&self, device: DeviceNo, set_at: Timestamp) -> Result<()>;
}
