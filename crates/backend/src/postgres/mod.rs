//! The scaled-out store: PostgreSQL, one database for several nodes.
//!
//! Registry calls are ordinary transactions on pooled connections, one file a port. Units go through `uplink` (the
//! queue) to `commit` (one transaction for all that was gathered) on a connection of its own. Connections keep prepared
//! statements and session settings, so a proxy that hands out a connection for each transaction must not stand between.
//!
//! Order of locks, so that transactions wait for each other and never in a circle:
//! 1. `LockClass::Delete`: shared by commits, exclusive to whoever deletes devices. A commit that found a device may
//!    rely on it until its end.
//! 2. Rows: shadow by (device, service), then device by number, then message.
//! 3. `LockClass::Outbox`: held from the first outbox row to the commit, so that sequence numbers become visible in
//!    their order and a reader that continues after a number never skips one.

use std::sync::Arc;
use std::time::Duration;

use causeway_model::{Error, Result};
use causeway_platform::outbox::OutboxSignals;
use deadpool_postgres::{GenericClient, Object, Pool};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::StoreSettings;

mod alarm;
mod amqp_queue;
mod app;
mod audit;
mod batch;
mod batch_file;
mod certificate;
mod commit;
mod connection;
mod device;
mod dump;
mod file;
mod function;
mod gateway;
mod group;
mod history;
mod iam;
mod instance;
mod linkage;
mod log;
mod message;
mod notify;
mod ota;
mod outbox;
mod policy;
mod product;
mod provisioning;
mod routing;
mod schema;
mod search;
mod session;
mod shadow;
mod tag;
mod uplink;

pub use dump::{dump, load};

use connection::{Answer, run};

/// The instance whose rows this store object serves. One for now; every row carries it.
const INSTANCE: i32 = 1;

/// What advisory locks are for. The second key is the instance.
#[derive(Clone, Copy, Debug)]
enum LockClass {
    /// Migrations.
    Schema,
    /// Deleting devices.
    Delete,
    /// Writing outbox rows.
    Outbox,
}

impl LockClass {
    /// First key: `CAU` and a number, so that other programs on the same database are not met by chance.
    fn key(self) -> i32 {
        0x4341_5500 + self as i32
    }
}

/// The PostgreSQL store. Stops its tasks when dropped; [`close`](causeway_platform::instance::InstanceStore::close)
/// commits what is gathered first.
pub struct PostgresStore {
    pool: Pool,
    queue: uplink::Queue,
    signals: Arc<OutboxSignals>,
    purge: Arc<Notify>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl PostgresStore {
    /// Connects to the database that `url` names, brings its schema up to date and starts the committer.
    ///
    /// # Errors
    /// The URL is not understood or asks for TLS ([`Code::NotBuilt`](causeway_model::Code::NotBuilt)), the server does
    /// not answer, or the database belongs to a newer program; the detail says which.
    pub async fn open(url: &str, settings: &StoreSettings) -> Result<Self> {
        let config = connection::config(url)?;
        let mut client = connection::connect(&config).await?;
        schema::migrate(&mut client).await?;
        let signals = Arc::<OutboxSignals>::default();
        let purge = Arc::new(Notify::new());
        purge.notify_one();
        let pool = connection::pool(config.clone(), settings.connections)?;
        let committer = commit::Committer::new(config, Arc::clone(&signals));
        let tasks = vec![
            tokio::spawn(history::purge_deleted(pool.clone(), Arc::clone(&purge))),
            tokio::spawn(outbox::watch_other_nodes(pool.clone(), Arc::clone(&signals))),
        ];
        Ok(Self {
            pool,
            queue: uplink::Queue::start(committer, settings.gather.0, settings.queue_units as usize),
            signals,
            purge,
            tasks: Mutex::new(tasks),
        })
    }

    /// A connection of the pool.
    async fn client(&self) -> Result<Object> {
        connection::take(&self.pool).await
    }

    fn stop_tasks(&self) {
        for task in self.tasks.lock().drain(..) {
            task.abort();
        }
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.stop_tasks();
    }
}

/// Takes an advisory lock until the end of the transaction.
async fn lock<C: GenericClient>(client: &C, class: LockClass) -> Answer<u64> {
    run(client, "SELECT pg_advisory_xact_lock($1, $2)", &[&class.key(), &INSTANCE]).await
}

/// How long a background task waits after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// A limit as `LIMIT` takes it.
fn limit(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The device that a write is for is not there.
fn no_such_device() -> Error {
    Error::new(causeway_model::Code::DeviceNotFound, "The device does not exist.")
}
