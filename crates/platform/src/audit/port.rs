//! What the audit log needs from the store.

use async_trait::async_trait;
use causeway_model::audit::{AuditFilter, AuditRecord};
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{Result, Timestamp};

/// Records counted in one list at most: a page of a long range must not count millions.
pub const COUNT_MAX: i64 = 100_000;

/// How far the order of the numbers may be from the order of the times, in milliseconds.
pub const DISORDER_MS: i64 = 3_600_000;

/// Keeps the audit log.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Adds records (`no` is ignored), all or none, and answers after the commit. Numbers rise with the times of the
    /// records but for [`DISORDER_MS`].
    async fn insert_audit(&self, records: Vec<AuditRecord>) -> Result<()>;
    /// A page of records, newest first; `count` stops at [`COUNT_MAX`].
    async fn audit_records(&self, filter: &AuditFilter, page: PageRequest) -> Result<Page<AuditRecord>>;
    /// Removes at most `limit` records older than `before`; how many.
    async fn trim_audit(&self, before: Timestamp, limit: u32) -> Result<u64>;
}
