//! The history: the index in `history` and the part of it in memory, bodies in `block`.

use std::collections::HashMap;

use async_trait::async_trait;
use causeway_model::history::{HistoryPosition, HistoryQuery, HistoryRow};
use causeway_model::properties::PropertyObject;
use causeway_model::{DeviceNo, Error, Result, Timestamp};
use causeway_platform::history::HistoryStore;
use rusqlite::{Connection, OptionalExtension, params};

use super::SqliteStore;
use super::block::Block;
use super::error::Outcome;
use super::memory::{Entry, is_object, service_tag};

/// Where a report stands.
struct Place {
    event_time: i64,
    seq: i64,
    rank: u32,
}

/// Index rows looked at and removed in one transaction of trimming.
const TRIM_ROWS: usize = 2000;
/// Devices looked for at once when trimming.
const TRIM_DEVICES: usize = 200;

/// One page of places from the tables. The bounds are exclusive on the side where reading begins.
fn indexed(conn: &Connection, query: &HistoryQuery) -> Outcome<Vec<Place>> {
    let tag = query.service_id.as_deref().map(service_tag);
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    let after = query.after.map(|p| (p.event_time.0, p.seq));
    let read = |sql: &'static str, begin: (i64, i64), end: i64| -> Outcome<Vec<Place>> {
        let mut statement = conn.prepare_cached(sql)?;
        let places = statement.query_map(params![query.device.0, begin.0, begin.1, end, tag, limit], |row| {
            Ok(Place { event_time: row.get(0)?, seq: row.get(1)?, rank: row.get(2)? })
        })?;
        Ok(places.collect::<Result<_, _>>()?)
    };
    if query.descending {
        let begin = (query.to.0, i64::MIN);
        read(
            "SELECT event_time, seq, rank FROM history WHERE device = ?1 AND (event_time, seq) < (?2, ?3) \
             AND event_time >= ?4 AND (?5 IS NULL OR service = ?5) ORDER BY event_time DESC, seq DESC LIMIT ?6",
            after.map_or(begin, |a| a.min(begin)),
            query.from.0,
        )
    } else {
        let begin = (query.from.0, i64::MIN);
        read(
            "SELECT event_time, seq, rank FROM history WHERE device = ?1 AND (event_time, seq) > (?2, ?3) \
             AND event_time < ?4 AND (?5 IS NULL OR service = ?5) ORDER BY event_time, seq LIMIT ?6",
            after.map_or(begin, |a| a.max(begin)),
            query.to.0,
        )
    }
}

/// Reads the reports at `places`, in that order, leaving out those of another service and those that retention has
/// taken meanwhile.
fn fetch(conn: &Connection, query: &HistoryQuery, places: &[Place], out: &mut Vec<HistoryRow>) -> Outcome<()> {
    // Each block is read once, whatever the order.
    let mut by_block: HashMap<i64, Vec<usize>> = HashMap::new();
    for (at, place) in places.iter().enumerate() {
        by_block.entry(place.seq - i64::from(place.rank)).or_default().push(at);
    }
    let mut found: Vec<Option<HistoryRow>> = Vec::new();
    found.resize_with(places.len(), || None);
    let mut select = conn.prepare_cached("SELECT body FROM block WHERE first_seq = ?1")?;
    for (first_seq, members) in by_block {
        let mut rows = select.query([first_seq])?;
        let Some(row) = rows.next()? else { continue };
        let block = Block::parse(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?)?;
        for at in members {
            let place = &places[at];
            let report = block.report(place.rank)?;
            if query.service_id.as_deref().is_some_and(|s| s != report.service_id) {
                continue;
            }
            if report.device != query.device.0 || !is_object(report.properties) {
                return Err(Error::internal(format_args!("stored report {} is unreadable", place.seq)).into());
            }
            found[at] = Some(HistoryRow {
                seq: place.seq,
                device: query.device,
                service_id: report.service_id.to_owned(),
                properties: PropertyObject::trusted(report.properties),
                event_time: Timestamp(report.event_time),
                arrival: Timestamp(report.arrival),
            });
        }
    }
    out.extend(found.into_iter().flatten());
    Ok(())
}

/// A page of the index, what memory holds included, with its reports. The position is where to go on: the index may
/// offer reports of services that share a tag, so that a page can yield less than was asked for.
fn read_page(
    conn: &Connection,
    query: &HistoryQuery,
    newest: &[Entry],
) -> Outcome<(Vec<HistoryRow>, Option<HistoryPosition>)> {
    let mut rows = Vec::new();
    // Rows of a device that is gone may wait for the purge.
    if !conn.prepare_cached("SELECT 1 FROM device WHERE no = ?1")?.exists([query.device.0])? {
        return Ok((rows, None));
    }
    let mut places = indexed(conn, query)?;
    places.extend(newest.iter().map(|e| Place { event_time: e.event_time, seq: e.seq, rank: e.rank }));
    places.sort_unstable_by_key(|p| (p.event_time, p.seq));
    // Carried over since memory was copied.
    places.dedup_by_key(|p| p.seq);
    if query.descending {
        places.reverse();
    }
    places.truncate(query.limit);
    fetch(conn, query, &places, &mut rows)?;
    let last = places.last().filter(|_| places.len() == query.limit);
    Ok((rows, last.map(|p| HistoryPosition { event_time: Timestamp(p.event_time), seq: p.seq })))
}

#[async_trait]
impl HistoryStore for SqliteStore {
    async fn history(&self, query: &HistoryQuery) -> Result<Vec<HistoryRow>> {
        let mut query = query.clone();
        let mut out = Vec::new();
        let limit = query.limit;
        while out.len() < limit {
            query.limit = limit - out.len();
            // Before the tables are read, see memory.rs.
            let newest = self.memory.read().entries(&query);
            let asked = query.clone();
            let (rows, next) = self.read(move |conn| read_page(conn, &asked, &newest)).await?;
            out.extend(rows);
            if next.is_none() {
                break;
            }
            query.after = next;
        }
        Ok(out)
    }

    async fn trim_history(&self, before: Timestamp) -> Result<u64> {
        // What memory holds would come into the index later.
        self.flush().await?;
        let (mut after, mut dropped) = (i64::MIN, 0);
        loop {
            let devices = self.read(move |conn| devices_with_older(conn, after, before)).await?;
            let Some(last) = devices.last() else { break };
            after = last.0;
            dropped += self.trim_devices(devices, before).await?;
        }
        self.trim_blocks(before).await?;
        Ok(dropped)
    }
}

/// The next devices whose oldest report is older than `before`.
fn devices_with_older(conn: &Connection, after: i64, before: Timestamp) -> Outcome<Vec<DeviceNo>> {
    let mut next = conn.prepare_cached(
        "SELECT device, event_time FROM history WHERE device > ?1 ORDER BY device, event_time LIMIT 1",
    )?;
    let mut found = Vec::new();
    let mut at = after;
    while found.len() < TRIM_DEVICES {
        let row: Option<(i64, i64)> = next.query_row([at], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((device, oldest)) = row else { break };
        at = device;
        if oldest < before.0 {
            found.push(DeviceNo(device));
        }
    }
    Ok(found)
}

impl SqliteStore {
    async fn trim_devices(&self, mut devices: Vec<DeviceNo>, before: Timestamp) -> Result<u64> {
        let mut dropped = 0;
        while !devices.is_empty() {
            let (removed, left) = self
                .write(move |tx| {
                    let mut delete = tx.conn.prepare_cached(
                        "DELETE FROM history WHERE (device, event_time, seq) IN (SELECT device, event_time, seq \
                         FROM history WHERE device = ?1 AND event_time < ?2 ORDER BY event_time, seq LIMIT ?3)",
                    )?;
                    let mut removed = 0;
                    while removed < TRIM_ROWS
                        && let Some(device) = devices.last()
                    {
                        let quota = TRIM_ROWS - removed;
                        let gone = delete.execute([device.0, before.0, quota as i64])?;
                        removed += gone;
                        if gone < quota {
                            devices.pop();
                        }
                    }
                    Ok((removed, devices))
                })
                .await?;
            dropped += removed as u64;
            devices = left;
        }
        Ok(dropped)
    }

    /// Blocks go when all of their reports are older; those not indexed yet stay.
    async fn trim_blocks(&self, before: Timestamp) -> Result<()> {
        loop {
            let removed = self
                .write(move |tx| {
                    let mut delete = tx.conn.prepare_cached(
                        "DELETE FROM block WHERE first_seq IN (SELECT first_seq FROM block WHERE latest < ?1 \
                         AND first_seq <= (SELECT indexed_seq FROM progress) LIMIT 500)",
                    )?;
                    Ok(delete.execute([before.0])?)
                })
                .await?;
            if removed == 0 {
                return Ok(());
            }
        }
    }
}
