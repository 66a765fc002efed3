//! Blocks: the reports of one commit, one after another, in one row of the database.
//!
//! ```text
//! body = count  u32 LE
//!        ends   count x u32 LE      where each report ends, counted from the first report
//!        report                     count times
//! report = device      varint
//!          event time  zigzag varint, ms
//!          delay       zigzag varint, ms   arrival - event time
//!          length      varint              of the service id
//!          service id  UTF-8
//!          properties  UTF-8               the rest
//! ```
//!
//! Report `rank` of the block has the sequence number `first_seq + rank`.

use causeway_model::Error;
use causeway_platform::uplink::ReportRow;

use super::error::Outcome;

/// A block is closed when it has this size: reading one report costs reading its block.
const TARGET_BYTES: usize = 16 * 1024;

/// Collects reports into a body. Buffers are kept from block to block.
#[derive(Default)]
pub(super) struct BlockBuilder {
    ends: Vec<u32>,
    reports: Vec<u8>,
    body: Vec<u8>,
    latest: i64,
}

impl BlockBuilder {
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.reports.len() >= TARGET_BYTES
    }

    /// Number of reports.
    pub(super) fn len(&self) -> u32 {
        // Each report takes some bytes and `is_full` bounds those.
        self.ends.len() as u32
    }

    /// The greatest event time.
    pub(super) fn latest(&self) -> i64 {
        self.latest
    }

    /// Adds a report and returns its rank. Fails only for a report beyond all limits.
    pub(super) fn push(&mut self, device: i64, arrival: i64, row: &ReportRow) -> Outcome<u32> {
        let rank = self.len();
        let out = &mut self.reports;
        put_varint(out, device as u64);
        put_varint(out, zigzag(row.event_time.0));
        put_varint(out, zigzag(arrival.wrapping_sub(row.event_time.0)));
        put_varint(out, row.service_id.len() as u64);
        out.extend_from_slice(row.service_id.as_bytes());
        out.extend_from_slice(row.properties.as_str().as_bytes());
        let end = u32::try_from(out.len()).map_err(|_| Error::internal("a report is larger than a block can hold"))?;
        self.ends.push(end);
        self.latest = if rank == 0 { row.event_time.0 } else { self.latest.max(row.event_time.0) };
        Ok(rank)
    }

    /// The body; the builder is ready for the next block after [`clear`](Self::clear).
    pub(super) fn body(&mut self) -> &[u8] {
        self.body.clear();
        self.body.extend_from_slice(&self.len().to_le_bytes());
        for end in &self.ends {
            self.body.extend_from_slice(&end.to_le_bytes());
        }
        self.body.extend_from_slice(&self.reports);
        &self.body
    }

    pub(super) fn clear(&mut self) {
        self.ends.clear();
        self.reports.clear();
        // A giant report does not keep its memory for ever.
        self.reports.shrink_to(4 * TARGET_BYTES);
        self.body.shrink_to(4 * TARGET_BYTES);
    }
}

/// A report inside a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoredReport<'a> {
    pub(super) device: i64,
    pub(super) event_time: i64,
    pub(super) arrival: i64,
    pub(super) service_id: &'a str,
    pub(super) properties: &'a str,
}

/// A body that was read.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    ends: &'a [u8],
    reports: &'a [u8],
}

fn damaged(what: &str) -> Error {
    Error::internal(format_args!("a stored block of reports is damaged: {what}"))
}

impl<'a> Block<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Outcome<Self> {
        let (count, rest) = body.split_first_chunk::<4>().ok_or_else(|| damaged("no count"))?;
        let directory = (u32::from_le_bytes(*count) as usize).saturating_mul(4);
        let (ends, reports) = rest.split_at_checked(directory).ok_or_else(|| damaged("short directory"))?;
        Ok(Self { ends, reports })
    }

    pub(super) fn len(&self) -> u32 {
        (self.ends.len() / 4) as u32
    }

    fn end(&self, rank: usize) -> Option<usize> {
        let at = rank * 4;
        let bytes = self.ends.get(at..at + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    }

    pub(super) fn report(&self, rank: u32) -> Outcome<StoredReport<'a>> {
        let rank = rank as usize;
        let start = if rank == 0 { Some(0) } else { self.end(rank - 1) };
        let range = start.zip(self.end(rank)).ok_or_else(|| damaged("no such report"))?;
        let mut rest = self.reports.get(range.0..range.1).ok_or_else(|| damaged("a report leaves the block"))?;
        let mut number = || take_varint(&mut rest).ok_or_else(|| damaged("a number is cut off"));
        let device = number()? as i64;
        let event_time = unzigzag(number()?);
        let arrival = event_time.wrapping_add(unzigzag(number()?));
        let length = usize::try_from(number()?).map_err(|_| damaged("a length"))?;
        let (service_id, properties) = rest.split_at_checked(length).ok_or_else(|| damaged("a service is cut off"))?;
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| damaged("a text is not UTF-8"));
        Ok(StoredReport { device, event_time, arrival, service_id: text(service_id)?, properties: text(properties)? })
    }
}

fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut n = 0_u64;
    for shift in (0..70).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        n |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(n);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use causeway_model::Timestamp;
    use causeway_model::properties::PropertyObject;

    use super::*;

    fn row(service: &str, properties: &str, at: i64) -> ReportRow {
        ReportRow {
            service_id: service.into(),
            properties: PropertyObject::trusted(properties),
            event_time: Timestamp(at),
        }
    }

    #[test]
    fn reports_come_back_as_they_went_in() {
        let mut builder = BlockBuilder::default();
        let rows = [
            (1, 1_700_000_000_123, row("Battery", r#"{"level":1.10}"#, 1_700_000_000_000)),
            (i64::MAX, i64::MIN, row("温度", "{}", i64::MAX)),
            (300, -5, row("", r#"{"a":"é"}"#, -7)),
        ];
        for (rank, (device, arrival, row)) in rows.iter().enumerate() {
            assert_eq!(builder.push(*device, *arrival, row).expect("push"), rank as u32);
        }
        assert_eq!(builder.latest(), i64::MAX);
        let body = builder.body().to_vec();
        let block = Block::parse(&body).expect("parse");
        assert_eq!(block.len(), 3);
        for (rank, (device, arrival, row)) in rows.iter().enumerate() {
            let expected = StoredReport {
                device: *device,
                event_time: row.event_time.0,
                arrival: *arrival,
                service_id: &row.service_id,
                properties: row.properties.as_str(),
            };
            assert_eq!(block.report(rank as u32).expect("report"), expected);
        }
        assert!(block.report(3).is_err());
        builder.clear();
        assert!(builder.is_empty());
        builder.push(1, 0, &row("s", "{}", -1)).expect("push");
        assert_eq!(builder.latest(), -1);
    }

    #[test]
    fn damage_is_an_error_not_a_panic() {
        let mut builder = BlockBuilder::default();
        for n in 0..5 {
            builder.push(n, n, &row("service", r#"{"a":1}"#, n)).expect("push");
        }
        let body = builder.body().to_vec();
        for cut in 0..body.len() {
            if let Ok(block) = Block::parse(&body[..cut]) {
                for rank in 0..6 {
                    let _ = block.report(rank);
                }
            }
        }
        for at in 0..body.len() {
            let mut bent = body.clone();
            bent[at] ^= 0xff;
            if let Ok(block) = Block::parse(&bent) {
                for rank in 0..6 {
                    let _ = block.report(rank);
                }
            }
        }
        assert!(Block::parse(&[0xff; 4]).is_err());
    }
}
