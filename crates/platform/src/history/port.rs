//! What the history needs from the store.

use async_trait::async_trait;
use causeway_model::history::{HistoryQuery, HistoryRow};
use causeway_model::{Result, Timestamp};

/// Reads the history; [`UplinkStore`](crate::uplink::UplinkStore) writes it.
#[async_trait]
pub trait HistoryStore: Send + Sync {
    /// The rows that match, ordered by (event time, seq) in the asked direction. Sees every committed report.
    async fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryRow>>;
    /// Drops rows whose event time is before `before`, in slices that do not hold up commits; returns how many went.
    async fn trim_history(&self, before: Timestamp) -> Result<u64>;
}
