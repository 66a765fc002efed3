//! What the newest reports mean, until the database's own tables say it: the part of the history index and of the
//! shadows that is not written yet.
//!
//! Only the writer changes it, after each commit and with one short write lock. Readers copy out what they need, *then*
//! read the tables; what was carried over in between they see twice, which does no harm: history rows are told apart by
//! `seq`, and laying the same values over a shadow twice gives the same shadow.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Instant;

use causeway_model::Timestamp;
use causeway_model::history::HistoryQuery;
use causeway_model::properties::PropertyObject;
use causeway_model::shadow::{ServiceShadow, ShadowSide};
use causeway_platform::uplink::ReportRow;

/// See [`Table::fill`].
const PATCHES: usize = 4;
/// Marks the end of a device's chain of reports.
const NONE: u32 = u32::MAX;

/// Where a report stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) device: i64,
    pub(super) event_time: i64,
    pub(super) seq: i64,
    /// See [`service_tag`].
    pub(super) service: u32,
    /// Place inside its block, which is block `seq - rank`.
    pub(super) rank: u32,
    /// The device's report before this one.
    prev: u32,
}

impl Entry {
    pub(super) fn new(device: i64, seq: i64, rank: u32, service_id: &str, event_time: Timestamp) -> Self {
        Self { device, event_time: event_time.0, seq, service: service_tag(service_id), rank, prev: NONE }
    }
}

/// 24 bits of a service's name (FNV-1a), so that the index can tell most services apart without their names. Stored:
/// never to be changed.
pub(super) fn service_tag(service_id: &str) -> u32 {
    let hash = service_id.bytes().fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    (hash >> 8) ^ (hash & 0xff)
}

/// What the reports changed at one service, merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Patch {
    pub(super) service_id: Box<str>,
    /// Of the names in `properties`, in their order.
    names: u64,
    pub(super) properties: PropertyObject,
    pub(super) event_time: Timestamp,
}

impl Patch {
    fn new(row: ReportRow) -> Self {
        let names = names_hash(row.properties.as_str());
        Self { service_id: row.service_id, names, properties: row.properties, event_time: row.event_time }
    }

    /// Lays a later report over this one. A device mostly reports the same names again: then its text replaces the
    /// old one, and nothing is taken apart.
    fn lay(&mut self, row: ReportRow) {
        let names = names_hash(row.properties.as_str());
        if names == self.names {
            self.properties = row.properties;
        } else {
            self.properties = self.properties.merged(&row.properties);
            self.names = names_hash(self.properties.as_str());
        }
        self.event_time = row.event_time;
    }

    /// Whether the object has the same names in the same order, so that nothing of it remains.
    pub(super) fn has_names_of(&self, text: &str) -> bool {
        names_hash(text) == self.names
    }

    /// Lays this over the stored side of a shadow, given as valid JSON text.
    pub(super) fn over(&self, stored: Option<&str>) -> PropertyObject {
        match stored {
            Some(text) if !self.has_names_of(text) => PropertyObject::trusted(text).merged(&self.properties),
            _ => self.properties.clone(),
        }
    }

    /// Lays this over the reported side.
    pub(super) fn lay_over(&self, shadow: &mut ServiceShadow) {
        let stored = shadow.reported.as_ref().map(|side| side.properties.as_str());
        shadow.reported = Some(ShadowSide { properties: self.over(stored), event_time: self.event_time });
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.service_id.len() + self.properties.as_str().len()
    }
}

/// Whether stored text is a JSON object and may be taken apart.
pub(super) fn is_object(text: &str) -> bool {
    text.starts_with('{') && serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

/// A hash of the top-level names of a compact JSON object, in order. Equal hashes mean equal names for all practical
/// purposes (64 bits, and the texts compared come from one service of one device).
fn names_hash(text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut level = 0_u32;
    let mut in_string = false;
    let mut escaped = false;
    // At level 1, whether the string that begins is a name.
    let mut name_next = false;
    let mut in_name = false;
    for &byte in text.as_bytes() {
        if in_string {
            if in_name {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
            if escaped {
                escaped = false;
            } else if byte == b'\\' {
                escaped = true;
            } else if byte == b'"' {
                in_string = false;
                in_name = false;
            }
            continue;
        }
        match byte {
            b'"' => {
                in_string = true;
                in_name = name_next && level == 1;
                name_next = false;
            }
            b'{' | b'[' => {
                level += 1;
                name_next = level == 1;
            }
            b'}' | b']' => level = level.saturating_sub(1),
            b',' if level == 1 => name_next = true,
            _ => {}
        }
    }
    hash
}

/// Device numbers come from our own counter: spreading them is enough.
#[derive(Default)]
pub(super) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }
    fn write_u64(&mut self, n: u64) {
        let mixed = (self.0 ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
    fn write_i64(&mut self, n: i64) {
        self.write_u64(n as u64);
    }
}

/// A map by device number.
pub(super) type ByDevice<T> = HashMap<i64, T, BuildHasherDefault<NumberHasher>>;

/// One device in a table.
struct Reports {
    /// Its newest entry, the head of the chain.
    head: u32,
    patches: Vec<Patch>,
}

/// The reports of some seconds.
pub(super) struct Table {
    entries: Vec<Entry>,
    devices: ByDevice<Reports>,
    patch_bytes: usize,
    started: Option<Instant>,
    last_seq: i64,
}

impl Table {
    fn new(limit: usize) -> Self {
        Self {
            // Address space, not memory, until it is used.
            entries: Vec::with_capacity((limit / size_of::<Entry>()).min(1 << 24)),
            devices: ByDevice::default(),
            patch_bytes: 0,
            started: None,
            last_seq: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// When its first report came.
    pub(super) fn started(&self) -> Option<Instant> {
        self.started
    }

    /// The newest report in it.
    pub(super) fn last_seq(&self) -> i64 {
        self.last_seq
    }

    /// The part of `limit` bytes that it takes; merged shadows may take [`PATCHES`] times as much again, because how
    /// many there are is a matter of how many devices report, not of how much they report.
    fn fill(&self, limit: usize) -> f64 {
        let index = self.entries.len() * size_of::<Entry>() + self.devices.len() * size_of::<Reports>();
        let fill = |bytes: usize, limit: usize| bytes as f64 / limit.max(1) as f64;
        fill(index, limit).max(fill(self.patch_bytes, limit.saturating_mul(PATCHES)))
    }

    fn push(&mut self, mut entry: Entry, row: Option<ReportRow>) {
        let at = self.entries.len() as u32;
        let reports = self.devices.entry(entry.device).or_insert_with(|| Reports { head: NONE, patches: Vec::new() });
        entry.prev = std::mem::replace(&mut reports.head, at);
        self.last_seq = entry.seq;
        self.entries.push(entry);
        let Some(row) = row else { return };
        match reports.patches.iter_mut().find(|p| p.service_id == row.service_id) {
            Some(patch) => {
                let before = patch.bytes();
                patch.lay(row);
                self.patch_bytes = (self.patch_bytes + patch.bytes()).saturating_sub(before);
            }
            None => {
                let patch = Patch::new(row);
                self.patch_bytes += patch.bytes();
                reports.patches.push(patch);
            }
        }
    }

    /// Device numbers in it, ascending.
    pub(super) fn devices(&self) -> Vec<i64> {
        let mut devices: Vec<i64> = self.devices.keys().copied().collect();
        devices.sort_unstable();
        devices
    }

    /// The device's entries, newest arrival first.
    pub(super) fn chain(&self, device: i64) -> impl Iterator<Item = &Entry> {
        let mut at = self.devices.get(&device).map_or(NONE, |r| r.head);
        std::iter::from_fn(move || {
            let entry = self.entries.get(at as usize)?;
            at = entry.prev;
            Some(entry)
        })
    }

    /// What the device reported, by service.
    pub(super) fn patches(&self, device: i64) -> &[Patch] {
        self.devices.get(&device).map_or(&[], |r| &r.patches)
    }

    fn forget_shadow(&mut self, device: i64) {
        if let Some(reports) = self.devices.get_mut(&device) {
            let bytes: usize = reports.patches.iter().map(Patch::bytes).sum();
            self.patch_bytes = self.patch_bytes.saturating_sub(bytes);
            reports.patches = Vec::new();
        }
    }
}

/// At most two tables: one that grows and one that is being carried over into the database.
pub(super) struct Memory {
    limit: usize,
    pub(super) active: Table,
    pub(super) frozen: Option<Table>,
}

impl Memory {
    /// `limit`: bytes that the index entries of one table may take, see [`Table::fill`].
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, active: Table::new(limit), frozen: None }
    }

    /// Adds a committed report; `row` is `None` when a later deletion of the shadow has made it void there.
    pub(super) fn push(&mut self, entry: Entry, row: Option<ReportRow>) {
        if self.active.started.is_none() {
            self.active.started = Some(Instant::now());
        }
        self.active.push(entry, row);
    }

    /// Whether the growing table has all the memory that it may take.
    pub(super) fn is_full(&self) -> bool {
        self.active.fill(self.limit) >= 1.0
    }

    /// About so many reports fit into the growing table still.
    pub(super) fn room(&self) -> usize {
        let fill = self.active.fill(self.limit);
        if fill < 0.01 {
            return self.limit / size_of::<Entry>();
        }
        (self.active.len() as f64 * (1.0 - fill).max(0.0) / fill) as usize
    }

    /// Starts a new growing table. The one before must have been carried over.
    pub(super) fn freeze(&mut self) {
        debug_assert!(self.frozen.is_none(), "one table is carried over at a time");
        self.frozen = Some(std::mem::replace(&mut self.active, Table::new(self.limit)));
    }

    /// The device's shadow was deleted: what it reported so far no longer counts.
    pub(super) fn forget_shadow(&mut self, device: i64) {
        self.active.forget_shadow(device);
        if let Some(frozen) = &mut self.frozen {
            frozen.forget_shadow(device);
        }
    }

    /// Patches to lay over the stored shadow, in order.
    pub(super) fn patches(&self, device: i64) -> Vec<Patch> {
        let frozen = self.frozen.as_ref().map_or(&[][..], |t| t.patches(device));
        frozen.iter().chain(self.active.patches(device)).cloned().collect()
    }

    /// Entries that match the query, in its order, at most its limit.
    pub(super) fn entries(&self, query: &HistoryQuery) -> Vec<Entry> {
        let tag = query.service_id.as_deref().map(service_tag);
        let position = query.after.map(|p| (p.event_time.0, p.seq));
        let matches = |e: &&Entry| {
            let place = (e.event_time, e.seq);
            let beyond = match position {
                None => true,
                Some(after) if query.descending => place < after,
                Some(after) => place > after,
            };
            beyond && e.event_time >= query.from.0 && e.event_time < query.to.0 && tag.is_none_or(|t| t == e.service)
        };
        let tables = self.frozen.iter().chain(std::iter::once(&self.active));
        let mut found: Vec<Entry> = Vec::new();
        // Two services may share a tag, so that more than `limit` entries can be needed; the caller asks again then.
        let keep = query.limit.max(1);
        for table in tables {
            for entry in table.chain(query.device.0).filter(matches) {
                found.push(*entry);
                if found.len() >= keep.saturating_mul(4).max(1024) {
                    sort(&mut found, query.descending);
                    found.truncate(keep);
                }
            }
        }
        sort(&mut found, query.descending);
        found.truncate(keep);
        found
    }
}

/// Sorts by (event time, seq).
pub(super) fn sort(entries: &mut [Entry], descending: bool) {
    if descending {
        entries.sort_unstable_by_key(|e| std::cmp::Reverse((e.event_time, e.seq)));
    } else {
        entries.sort_unstable_by_key(|e| (e.event_time, e.seq));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use causeway_model::DeviceNo;
    use causeway_model::history::HistoryPosition;

    fn row(service: &str, properties: &str, at: i64) -> ReportRow {
        ReportRow {
            service_id: service.into(),
            properties: PropertyObject::parse(properties).expect("test object"),
            event_time: Timestamp(at),
        }
    }

    fn push(memory: &mut Memory, seq: i64, device: i64, row: ReportRow) {
        memory.push(Entry::new(device, seq, 0, &row.service_id, row.event_time), Some(row));
    }

    fn query(device: i64, descending: bool, limit: usize) -> HistoryQuery {
        HistoryQuery {
            device: DeviceNo(device),
            service_id: None,
            from: Timestamp(i64::MIN),
            to: Timestamp(i64::MAX),
            descending,
            after: None,
            limit,
        }
    }

    #[test]
    fn patches_equal_reports_laid_one_by_one() {
        let reports = [
            r#"{"a":1,"b":2}"#,
            r#"{"a":3,"b":4}"#,
            r#"{"b":5}"#,
            r#"{"b":6,"a":7}"#,
            r#"{"c":{"a":1,"b":"}\",{"},"a":[1,{"x":2}]}"#,
            r#"{"c":"\\","a":0}"#,
        ];
        let mut memory = Memory::new(1 << 20);
        let mut expected = ServiceShadow::new("s");
        for (at, text) in reports.iter().enumerate() {
            let report = row("s", text, at as i64);
            expected.report(&report.properties, report.event_time);
            push(&mut memory, at as i64 + 1, 7, report);
            if at == 2 {
                memory.freeze();
            }
            let mut shadow = ServiceShadow::new("s");
            for patch in memory.patches(7) {
                patch.lay_over(&mut shadow);
            }
            assert_eq!(shadow, expected, "after report {at}");
        }
        memory.forget_shadow(7);
        assert!(memory.patches(7).is_empty());
    }

    #[test]
    fn names_count_only_at_the_top_and_in_order() {
        let same = |a: &str, b: &str| names_hash(a) == names_hash(b);
        assert!(same(r#"{"a":1,"b":"x"}"#, r#"{"a":{"c":[1,2]},"b":[{"d":","}]}"#));
        assert!(!same(r#"{"a":1,"b":1}"#, r#"{"b":1,"a":1}"#));
        assert!(!same(r#"{"a":1}"#, r#"{"a":1,"b":1}"#));
        assert!(!same(r#"{"ab":1,"c":1}"#, r#"{"a":1,"bc":1}"#));
        assert!(same(r#"{"a":"}","b":1}"#, r#"{"a":"\"","b":2}"#));
        assert!(!same(r#"{"a":"b"}"#, r#"{"a":1,"b":2}"#));
    }

    #[test]
    fn entries_follow_the_query() {
        let mut memory = Memory::new(1 << 20);
        for seq in 1..=5000_i64 {
            // Event times go up and down, and two devices take turns.
            let service = if seq % 3 == 0 { "x" } else { "y" };
            push(&mut memory, seq, seq % 2, row(service, "{}", (seq * 7919) % 1000));
            if seq == 2000 {
                memory.freeze();
            }
        }
        let all: Vec<(i64, i64)> = {
            let mut all: Vec<_> = (1..=5000_i64).filter(|s| s % 2 == 1).map(|s| ((s * 7919) % 1000, s)).collect();
            all.sort_unstable();
            all
        };
        let places = |q: &HistoryQuery| memory.entries(q).iter().map(|e| (e.event_time, e.seq)).collect::<Vec<_>>();
        assert_eq!(places(&query(1, false, 10)), all[..10]);
        let last: Vec<_> = all.iter().rev().take(10).copied().collect();
        assert_eq!(places(&query(1, true, 10)), last);
        let after = all[1200];
        let mut q = query(1, false, 50);
        q.after = Some(HistoryPosition { event_time: Timestamp(after.0), seq: after.1 });
        assert_eq!(places(&q), all[1201..1251]);
        q.descending = true;
        let down: Vec<_> = all[..1200].iter().rev().take(50).copied().collect();
        assert_eq!(places(&q), down);
        let mut q = query(1, false, 10_000);
        (q.from, q.to) = (Timestamp(100), Timestamp(200));
        q.service_id = Some("x".into());
        let expected: Vec<_> = all.iter().copied().filter(|(t, s)| (100..200).contains(t) && s % 3 == 0).collect();
        assert_eq!(places(&q), expected);
        assert!(places(&query(9, false, 10)).is_empty());
    }
}
