//! The roster: what lists of devices filter by, in memory.
//!
//! A page of a list is easily read from the tables; the number of all devices that match is not, once there are a
//! million of them: an index that counts them costs 30 ms a million, a name that contains a text half a second. The
//! roster has 22 bytes and the name of each device, column by column, newest last, and looks through a million in a few
//! milliseconds whatever is asked ([`bucket`]).
//!
//! It follows the tables: a hook notes which rows of `device` registry work touches, and after the commit, before
//! anybody is told of it, the writer reads them again. A start reads all devices in the background, a million in half a second; should
//! it take much longer, and when there are more devices than the roster may hold, lists are read from the tables.
//!
//! Readers take the buckets as they are at one moment, and share them: a bucket that is being read is copied when it
//! changes.

mod bucket;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use causeway_model::RecordNo;
use causeway_model::registry::{DeviceFilter, PageRequest};
use memchr::memmem;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tokio::sync::watch;

use super::INSTANCE;
use super::app::app_no;
use super::error::Outcome;
use bucket::{BITS, Bucket, Entry, Wanted};

/// So many devices are read at once when the store opens; more of them in the background.
const READ_AT_ONCE: i64 = 20_000;
/// A list that is asked for right after the start waits for that so long; the tables would take longer to count.
const WAIT: Duration = Duration::from_secs(2);
/// Between two looks at whether the store closes.
const LOOK_EVERY: usize = 4096;

#[derive(Default)]
struct Table {
    buckets: BTreeMap<i64, Arc<Bucket>>,
    /// How many devices are behind each gateway.
    behind: HashMap<i64, u32>,
    bytes: usize,
}

enum State {
    /// Devices are being read; these changed meanwhile.
    Loading(Vec<i64>),
    Ready(Table),
    /// There are too many devices, or reading them failed.
    Off,
}

/// See the module text.
pub(super) struct Roster {
    state: Mutex<State>,
    /// Turns true when the devices have been read, or will not be.
    loaded: watch::Sender<bool>,
    limit: usize,
}

fn split(no: i64) -> (i64, u16) {
    (no >> BITS, (no & ((1 << BITS) - 1)) as u16)
}

impl Table {
    fn put(&mut self, entry: &Entry) {
        let (key, low) = split(entry.no);
        if !self.buckets.contains_key(&key)
            && let Some(mut last) = self.buckets.last_entry()
        {
            Arc::make_mut(last.get_mut()).shrink();
        }
        let bucket = Arc::make_mut(self.buckets.entry(key).or_default());
        let before = bucket.bytes();
        let had = bucket.put(low, entry);
        self.bytes = self.bytes - before + bucket.bytes();
        self.moved(had, Some(entry.gateway));
    }

    fn remove(&mut self, no: i64) {
        let (key, low) = split(no);
        let Some(bucket) = self.buckets.get_mut(&key) else { return };
        let bucket = Arc::make_mut(bucket);
        let before = bucket.bytes();
        let had = bucket.remove(low);
        self.bytes = self.bytes - before + bucket.bytes();
        if bucket.len() == 0 {
            self.buckets.remove(&key);
        }
        self.moved(had, None);
    }

    fn moved(&mut self, from: Option<i64>, to: Option<i64>) {
        if from == to {
            return;
        }
        if let Some(gateway) = from.filter(|no| *no != 0)
            && let std::collections::hash_map::Entry::Occupied(mut behind) = self.behind.entry(gateway)
        {
            *behind.get_mut() -= 1;
            if *behind.get() == 0 {
                behind.remove();
            }
        }
        if let Some(gateway) = to.filter(|no| *no != 0) {
            *self.behind.entry(gateway).or_default() += 1;
        }
    }

    fn gateway_of(&self, no: i64) -> Option<i64> {
        let (key, low) = split(no);
        self.buckets.get(&key)?.gateway_of(low).filter(|gateway| *gateway != 0)
    }

    /// The gateway and all devices below it that have others behind them, in order.
    fn gateways_below(&self, gateway: i64) -> Vec<i64> {
        let is_below = |no: &i64| {
            let mut at = *no;
            // Nesting ends long before; a circle would not.
            (0..100).any(|_| match self.gateway_of(at) {
                Some(above) => {
                    at = above;
                    above == gateway
                }
                None => false,
            })
        };
        let mut found: Vec<i64> = self.behind.keys().copied().filter(is_below).chain([gateway]).collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The numbers of one page and of all devices that match.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) page: Vec<i64>,
    pub(super) count: u64,
}

impl Roster {
    pub(super) fn new(limit: usize) -> Self {
        Self { state: Mutex::new(State::Loading(Vec::new())), loaded: watch::Sender::new(false), limit }
    }

    /// Waits for the devices to be read; not for long.
    pub(super) async fn loaded(&self) {
        let mut loaded = self.loaded.subscribe();
        // The tables answer when it takes longer.
        let _ = tokio::time::timeout(WAIT, loaded.wait_for(|loaded| *loaded)).await;
    }

    /// Follows the devices whose rows were touched. Called by the writer, after its commit.
    pub(super) fn follow(&self, conn: &Connection, mut touched: Vec<i64>) {
        if touched.is_empty() {
            return;
        }
        match &mut *self.state.lock() {
            State::Off => return,
            State::Loading(changed) => return changed.append(&mut touched),
            // Only the writer changes a table that is ready: it may read without the lock.
            State::Ready(_) => {}
        }
        touched.sort_unstable();
        touched.dedup();
        let read = touched.iter().map(|no| Ok((*no, read_entry(conn, *no)?))).collect::<Outcome<Vec<_>>>();
        let mut state = self.state.lock();
        let State::Ready(table) = &mut *state else { return };
        match read {
            Ok(entries) => {
                apply(table, entries);
                if table.bytes > self.limit {
                    *state = self.too_many();
                }
            }
            Err(error) => {
                tracing::error!(%error, "changed devices cannot be read; lists are slower from now on");
                *state = State::Off;
            }
        }
    }

    fn too_many(&self) -> State {
        tracing::warn!(
            limit = self.limit,
            "the devices take more memory than store.list_memory allows; lists are read from the tables and are slower"
        );
        State::Off
    }

    /// Reads all devices. `stop` ends it early.
    fn load(&self, conn: &Connection, stop: &AtomicBool) {
        let outcome = self.read_all(conn, stop);
        if let Err(error) = outcome {
            tracing::error!(%error, "the devices cannot be read; lists are slower");
            *self.state.lock() = State::Off;
        }
        self.loaded.send_replace(true);
    }

    fn read_all(&self, conn: &Connection, stop: &AtomicBool) -> Outcome<()> {
        let mut table = Table::default();
        {
            let mut read = conn.prepare(
                "SELECT no, app, product, coalesce(gateway, 0), created_at, coalesce(name, '') FROM device ORDER BY no",
            )?;
            let mut rows = read.query([])?;
            let mut until_look = LOOK_EVERY;
            while let Some(row) = rows.next()? {
                table.put(&entry(row)?);
                until_look -= 1;
                if until_look == 0 {
                    until_look = LOOK_EVERY;
                    if stop.load(Ordering::Relaxed) || table.bytes > self.limit {
                        break;
                    }
                }
            }
        }
        loop {
            if table.bytes > self.limit || stop.load(Ordering::Relaxed) {
                let off = if stop.load(Ordering::Relaxed) { State::Off } else { self.too_many() };
                *self.state.lock() = off;
                return Ok(());
            }
            let changed = {
                let mut state = self.state.lock();
                let State::Loading(changed) = &mut *state else { return Ok(()) };
                if changed.is_empty() {
                    *state = State::Ready(table);
                    return Ok(());
                }
                std::mem::take(changed)
            };
            // What is read now is at least as new as the change that was told of.
            let entries = changed.into_iter().map(|no| Ok((no, read_entry(conn, no)?))).collect::<Outcome<Vec<_>>>()?;
            apply(&mut table, entries);
        }
    }

    /// Looks for a page. `None` when the tables must be asked: the roster is not ready, or the filter is not one of its.
    pub(super) fn find(&self, conn: &Connection, filter: &DeviceFilter, page: PageRequest) -> Outcome<Option<Found>> {
        if filter.node_id.is_some() || filter.name.as_deref() == Some("") {
            return Ok(None);
        }
        // The buckets before the numbers are looked up: what is new in the tables since is not in this list.
        let Some(buckets) = self.buckets() else { return Ok(None) };
        let Some(wanted) = self.wanted(conn, filter)? else {
            return Ok(Some(Found { page: Vec::new(), count: 0 }));
        };
        Ok(Some(search(&buckets, &wanted, page)))
    }

    /// All buckets, newest first.
    fn buckets(&self) -> Option<Vec<(i64, Arc<Bucket>)>> {
        match &*self.state.lock() {
            State::Ready(table) => Some(table.buckets.iter().rev().map(|(key, b)| (*key, Arc::clone(b))).collect()),
            _ => None,
        }
    }

    /// The filter in numbers; `None` when nothing can match.
    fn wanted(&self, conn: &Connection, filter: &DeviceFilter) -> Outcome<Option<Wanted>> {
        let apps = match filter.spaces.clone() {
            causeway_model::Spaces::All => None,
            causeway_model::Spaces::Only(ids) => {
                let mut apps = Vec::with_capacity(ids.len());
                for id in &*ids {
                    apps.extend(app_no(conn, id)?.and_then(|no| u32::try_from(no).ok()));
                }
                apps.sort_unstable();
                Some(apps)
            }
        };
        let products = match &filter.product_id {
            None => None,
            Some(id) => {
                let mut read =
                    conn.prepare_cached("SELECT no FROM product WHERE instance = ?1 AND id = ?2 ORDER BY no")?;
                let found = read.query_map(params![INSTANCE, id.as_str()], |row| row.get::<_, u32>(0))?;
                Some(found.collect::<Result<Vec<_>, _>>()?)
            }
        };
        let gateways = match &filter.gateway_id {
            None => None,
            Some(id) => {
                let found: Option<i64> = conn
                    .prepare_cached("SELECT no FROM device WHERE instance = ?1 AND id = ?2")?
                    .query_row(params![INSTANCE, id.as_str()], |row| row.get(0))
                    .optional()?;
                Some(match (found, &*self.state.lock()) {
                    (Some(no), State::Ready(table)) if filter.cascade => table.gateways_below(no),
                    (found, _) => Vec::from_iter(found),
                })
            }
        };
        let nothing = apps.as_ref().is_some_and(Vec::is_empty)
            || products.as_ref().is_some_and(Vec::is_empty)
            || gateways.as_ref().is_some_and(Vec::is_empty);
        let name = filter.name.as_ref().map(|text| memmem::Finder::new(text).into_owned());
        let (from, to) = (filter.from.map(|t| t.0), filter.to.map(|t| t.0));
        Ok((!nothing).then_some(Wanted { apps, products, gateways, from, to, name }))
    }
}

fn search(buckets: &[(i64, Arc<Bucket>)], wanted: &Wanted, page: PageRequest) -> Found {
    let RecordNo(marker) = page.marker;
    let (mut to_skip, limit) = (page.offset, page.limit as usize);
    let mut found = Found { page: Vec::with_capacity(limit), count: 0 };
    let mut keep = Vec::new();
    for (key, bucket) in buckets {
        let matching = bucket.select(wanted, &mut keep);
        found.count += matching as u64;
        let first = key << BITS;
        if matching == 0 || found.page.len() == limit || first >= marker {
            continue;
        }
        for at in (0..keep.len()).rev() {
            let no = first | i64::from(bucket.low(at));
            if keep[at] == 0 || no >= marker {
                continue;
            }
            if to_skip > 0 {
                to_skip -= 1;
            } else {
                found.page.push(no);
                if found.page.len() == limit {
                    break;
                }
            }
        }
    }
    found
}

fn apply(table: &mut Table, entries: Vec<(i64, Option<Entry>)>) {
    for (no, entry) in entries {
        match entry {
            Some(entry) => table.put(&entry),
            None => table.remove(no),
        }
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        no: row.get(0)?,
        app: row.get(1)?,
        product: row.get(2)?,
        gateway: row.get(3)?,
        created_at: row.get(4)?,
        name: row.get(5)?,
    })
}

fn read_entry(conn: &Connection, no: i64) -> Outcome<Option<Entry>> {
    Ok(conn
        .prepare_cached(
            "SELECT no, app, product, coalesce(gateway, 0), created_at, coalesce(name, '') FROM device WHERE no = ?1",
        )?
        .query_row([no], entry)
        .optional()?)
}

/// The writer's side: which rows registry work touches, and the thread that reads all devices at the start.
pub(super) struct Follower {
    pub(super) roster: Arc<Roster>,
    touched: Arc<Mutex<Vec<i64>>>,
    listening: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    loading: Option<std::thread::JoinHandle<()>>,
}

impl Follower {
    /// Watches what `conn` writes, and fills the roster: at once when there are few devices, else with a connection that
    /// `open` makes, in the background.
    pub(super) fn start(
        roster: Arc<Roster>,
        conn: &mut Connection,
        open: impl FnOnce() -> Outcome<Connection> + Send + 'static,
    ) -> Outcome<Self> {
        let touched = Arc::new(Mutex::new(Vec::new()));
        let (listening, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (noted, on) = (Arc::clone(&touched), Arc::clone(&listening));
        conn.update_hook(Some(move |_, _: &str, table: &str, no| {
            if on.load(Ordering::Relaxed) && table == "device" {
                noted.lock().push(no);
            }
        }))?;
        let last: Option<i64> = conn.query_row("SELECT max(no) FROM device", [], |row| row.get(0))?;
        let mut loading = None;
        if last.unwrap_or(0) <= READ_AT_ONCE {
            roster.load(conn, &stop);
        } else {
            let (roster, stop) = (Arc::clone(&roster), Arc::clone(&stop));
            let load = move || match open() {
                Ok(conn) => roster.load(&conn, &stop),
                Err(error) => {
                    tracing::error!(%error, "the devices cannot be read; lists are slower");
                    *roster.state.lock() = State::Off;
                    roster.loaded.send_replace(true);
                }
            };
            let thread = std::thread::Builder::new().name("store-roster".into()).spawn(load);
            loading = Some(thread.map_err(|e| causeway_model::Error::unavailable(format_args!("no thread: {e}")))?);
        }
        Ok(Self { roster, touched, listening, stop, loading })
    }

    /// Registry work begins or ends. What units change, the connection status foremost, is nothing to filter by here.
    pub(super) fn listen(&self, on: bool) {
        self.listening.store(on, Ordering::Relaxed);
    }

    /// After the commit, before anybody is told of it.
    pub(super) fn committed(&self, conn: &Connection) {
        let touched = std::mem::take(&mut *self.touched.lock());
        self.roster.follow(conn, touched);
    }

    /// After a transaction that failed.
    pub(super) fn rolled_back(&self) {
        self.touched.lock().clear();
    }

    /// Ends reading.
    pub(super) fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.loading.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that reads the devices panicked");
        }
    }
}
