//! Connections that read, used from blocking threads.

use std::path::PathBuf;
use std::sync::Arc;

use causeway_model::{Error, Result};
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::connection::open_reader;
use super::error::Outcome;

/// A bounded pool; connections are opened when first needed.
pub(super) struct Readers {
    path: PathBuf,
    cache: usize,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(path: PathBuf, count: u32, cache: usize) -> Self {
        let count = count.max(1) as usize;
        Self { path, cache, idle: Arc::default(), permits: Arc::new(Semaphore::new(count)) }
    }

    /// Runs `work` with a connection, inside one read transaction: all it reads is of one moment.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        let permit =
            Arc::clone(&self.permits).acquire_owned().await.map_err(|_| Error::unavailable("the store is closed"))?;
        let idle = Arc::clone(&self.idle);
        let open = {
            let (path, cache) = (self.path.clone(), self.cache);
            move || open_reader(&path, cache)
        };
        let done = tokio::task::spawn_blocking(move || {
            let pooled = idle.lock().pop();
            let conn = pooled.map_or_else(open, Ok)?;
            let result = (|| {
                let tx = conn.unchecked_transaction()?;
                let value = work(&tx)?;
                tx.finish()?;
                Ok(value)
            })();
            // A connection that failed in SQLite is not used again.
            if !matches!(result, Err(super::error::Failure::Sqlite(_))) {
                idle.lock().push(conn);
            }
            drop(permit);
            result
        });
        match done.await {
            Ok(result) => Ok(result?),
            Err(e) => Err(Error::internal(format_args!("a read of the store did not end: {e}"))),
        }
    }

    /// Lets no more reads in and closes what is idle.
    pub(super) fn close(&self) {
        self.permits.close();
        self.idle.lock().clear();
    }
}
