//! What the platform remembers: the ports of `causeway-platform`, twice, behind one [`open`] that chooses by URL.
//!
//! [`sqlite`] is the embedded store, one file and one writer; [`postgres`] is the scaled-out one. All SQL of the
//! platform is in this crate, and one contract suite (`tests/contract`) runs against both. The crate knows no wire and
//! decides nothing: what a name, a limit or a status means is said by the caller.
//!
//! Both stores agree on these details:
//! * filters by part of a name are case-sensitive;
//! * units are gathered and committed together, in the order in which they were submitted;
//! * the history of a deleted device is gone for readers at once and removed from disk in the background.

use std::path::Path;
use std::sync::Arc;

use causeway_model::settings::{ByteSize, Span};
use causeway_model::{Error, Result};
use causeway_platform::Store;

mod certificate_words;
mod grouping;
mod iam;
mod local_bus;
mod objects;
pub mod postgres;
mod routing_words;
mod rows;
mod search;
pub mod sqlite;

pub use local_bus::LocalBus;
pub use objects::{INCOMING, OBJECTS_FOLDER, ObjectSettings, S3Settings, open_objects};

causeway_model::settings! {
    /// Where and how the platform keeps its data.
    pub struct StoreSettings in "store" {
        /// Database to use: nothing for the SQLite file `causeway.db` in the data folder, or `postgres://user@host/db`.
        url: Option<String> = None,
        /// Reports are gathered so long before they are committed together. Adds to the latency of an acknowledgement,
        /// takes from the cost of a report.
        gather: Span = Span::millis(3),
        /// So many units may wait for their commit, one with more than 4 KiB of text counting as several; beyond that,
        /// doors read more slowly.
        queue_units: u32 = 65_536,
        /// Page cache of the SQLite writer; each reader has an eighth of it.
        cache: ByteSize = ByteSize(16 << 20),
        /// Connections that read (SQLite) or serve registry and reads (PostgreSQL).
        connections: u32 = 4,
        /// Index entries of reports not yet in the database's index may take so much memory, the merged shadows of the
        /// devices that sent them up to four times as much (SQLite). Twice that is held while they are carried over.
        unindexed: ByteSize = ByteSize(16 << 20),
        /// Reports are indexed at the latest after so long (SQLite). Longer is cheaper; it lengthens the start after a
        /// crash.
        unindexed_age: Span = Span::secs(20),
        /// Memory for what lists of devices filter by (SQLite), about 50 bytes a device. With more devices than fit,
        /// lists are read from the database and are slower.
        list_memory: ByteSize = ByteSize(128 << 20),
        /// The write-ahead log is carried over into the database file when it has this size (SQLite).
        wal: ByteSize = ByteSize(32 << 20),
    }
}

/// Name of the SQLite file inside the data folder.
pub const SQLITE_FILE: &str = "causeway.db";

/// Opens the store that `settings.url` names and brings its schema up to date.
///
/// # Errors
/// The URL is of no known kind, or the store cannot be opened; the detail says why.
pub async fn open(settings: &StoreSettings, data_dir: &Path) -> Result<Arc<dyn Store>> {
    match settings.url.as_deref() {
        None | Some("") => Ok(Arc::new(sqlite::SqliteStore::open(&data_dir.join(SQLITE_FILE), settings).await?)),
        Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
            Ok(Arc::new(postgres::PostgresStore::open(url, settings).await?))
        }
        // The URL itself may hold a password and is not repeated.
        Some(_) => Err(Error::unavailable("store.url must be empty or begin with 'postgres://'")),
    }
}
