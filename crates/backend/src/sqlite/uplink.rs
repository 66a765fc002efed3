//! Units.

use async_trait::async_trait;
use causeway_model::Result;
use causeway_platform::uplink::{CommitTicket, Unit, UplinkStore};

use super::SqliteStore;

#[async_trait]
impl UplinkStore for SqliteStore {
    async fn submit(&self, units: Vec<Unit>) -> CommitTicket {
        self.queue.submit(units).await
    }

    fn try_submit(&self, units: Vec<Unit>) -> Result<CommitTicket, Vec<Unit>> {
        self.queue.try_submit(units)
    }
}
