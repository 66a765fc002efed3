//! xls (BIFF5 and BIFF8, [MS-XLS]): records in a stream of a compound file.
//!
//! The reader fills whole rectangles and copies shared texts into every cell, so a small file can ask for much memory.
//! The records are therefore walked first, and what they would take is added up.

use std::io::{Cursor, Read as _};

use calamine::{Data, Reader as _, Xls};

use crate::{Builder, DATE, ERROR, Limits, SheetError, Table, check_place, number_text, unreadable};

pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Table, SheetError> {
    check(&workbook_stream(bytes)?, limits)?;
    let mut book: Xls<_> = Xls::new(Cursor::new(bytes)).map_err(unreadable)?;
    let name = book.sheet_names().first().cloned().ok_or_else(|| unreadable("it has no sheet"))?;
    let range = book.worksheet_range(&name).map_err(unreadable)?;
    let (top, left) = range.start().unwrap_or((0, 0));
    let mut builder = Builder::new(limits);
    for (at_row, at_column, value) in range.used_cells() {
        let place = |at: usize, from: u32| u32::try_from(at).unwrap_or(u32::MAX).saturating_add(from);
        let (row, column) = (place(at_row, top), place(at_column, left));
        match value {
            Data::Empty => {}
            Data::String(text) => builder.add(row, column, text)?,
            Data::Int(number) => builder.add(row, column, &number.to_string())?,
            Data::Bool(value) => builder.add(row, column, if *value { "true" } else { "false" })?,
            Data::Float(number) => match number_text(*number) {
                Ok(text) => builder.add(row, column, &text)?,
                Err(reason) => builder.bad(row, column, reason),
            },
            Data::DateTime(_) | Data::DateTimeIso(_) | Data::DurationIso(_) => builder.bad(row, column, DATE),
            Data::Error(_) => builder.bad(row, column, ERROR),
        }
    }
    Ok(builder.finish())
}

/// The stream that holds the records.
fn workbook_stream(bytes: &[u8]) -> Result<Vec<u8>, SheetError> {
    let mut file = cfb::CompoundFile::open(Cursor::new(bytes)).map_err(unreadable)?;
    let name = ["/Workbook", "/Book"].into_iter().find(|n| file.is_stream(n));
    let name = name.ok_or_else(|| unreadable("it holds no workbook"))?;
    let mut stream = Vec::new();
    // A stream is a chain of sectors of the file and cannot be longer than it, unless the chain is a ring.
    let limit = bytes.len() as u64 + 1;
    file.open_stream(name).map_err(unreadable)?.take(limit).read_to_end(&mut stream).map_err(unreadable)?;
    if stream.len() > bytes.len() { Err(unreadable("its stream is longer than the file")) } else { Ok(stream) }
}

/// Types of records ([MS-XLS] 2.3).
mod kind {
    pub(super) const BOF: u16 = 0x0809;
    pub(super) const SST: u16 = 0x00fc;
    pub(super) const CONTINUE: u16 = 0x003c;
    pub(super) const LABEL_SST: u16 = 0x00fd;
    /// Records that begin with row and column: BLANK, NUMBER, LABEL, BOOLERR, RK, LABELSST, FORMULA, RSTRING, MULRK,
    /// MULBLANK, and the older forms of some.
    pub(super) const CELLS: &[u16] = &[
        0x0001, 0x0002, 0x0003, 0x0004, 0x0005, 0x0201, 0x0203, 0x0204, 0x0205, 0x027e, LABEL_SST, 0x0006, 0x0206,
        0x0406, 0x00d6, 0x00bd, 0x00be,
    ];
    /// MULRK and MULBLANK end with their last column.
    pub(super) const MANY: &[u16] = &[0x00bd, 0x00be];
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// One record.
struct Record<'a> {
    kind: u16,
    body: &'a [u8],
}

/// The records of a stream, up to the first that is cut off.
fn records(mut stream: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        let (kind, length) = (u16_at(stream, 0)?, usize::from(u16_at(stream, 2)?));
        let body = stream.get(4..4 + length)?;
        stream = &stream[4 + length..];
        Some(Record { kind, body })
    })
}

/// Adds up what reading the stream would take.
fn check(stream: &[u8], limits: &Limits) -> Result<(), SheetError> {
    let lengths = shared_lengths(stream)?;
    let (mut texts, mut cells) = (0_u64, 0_u64);
    let (mut rows, mut columns) = (0_u64, 0_u64);
    let most = u64::from(limits.rows) * u64::from(limits.columns);
    for record in records(stream) {
        if record.kind == kind::BOF {
            cells += rows * columns;
            (rows, columns) = (0, 0);
        }
        if !kind::CELLS.contains(&record.kind) {
            continue;
        }
        let (Some(row), Some(mut column)) = (u16_at(record.body, 0), u16_at(record.body, 2)) else {
            return Err(unreadable("a cell is cut off"));
        };
        if kind::MANY.contains(&record.kind) {
            let last = record.body.len().checked_sub(2).and_then(|at| u16_at(record.body, at));
            column = column.max(last.unwrap_or(u16::MAX));
        }
        check_place(row.into(), column.into(), limits)?;
        rows = rows.max(u64::from(row) + 1);
        columns = columns.max(u64::from(column) + 1);
        if record.kind == kind::LABEL_SST {
            let number = u32_at(record.body, 6).and_then(|n| usize::try_from(n).ok());
            let length = number.and_then(|n| lengths.get(n)).ok_or_else(|| unreadable("a text is missing"))?;
            // A character takes up to three bytes.
            texts += u64::from(*length) * 3;
        }
    }
    if texts > limits.unpacked || cells + rows * columns > most {
        return Err(SheetError::TooLarge(format!("more than {} bytes of text", limits.unpacked)));
    }
    Ok(())
}

/// Characters of each shared text ([MS-XLS] 2.4.265, 2.5.293). The table goes on in CONTINUE records; a text that is cut
/// there begins anew with a byte that says how its characters are written.
fn shared_lengths(stream: &[u8]) -> Result<Vec<u16>, SheetError> {
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut inside = false;
    for record in records(stream) {
        match record.kind {
            kind::SST if segments.is_empty() => inside = true,
            kind::CONTINUE if inside => {}
            _ if inside => break,
            _ => continue,
        }
        segments.push(record.body);
    }
    let Some(first) = segments.first() else { return Ok(Vec::new()) };
    let count = u32_at(first, 4).ok_or_else(|| unreadable("its texts are cut off"))?;
    let mut at = Place { segments: &segments, segment: 0, byte: 8 };
    let mut lengths = Vec::new();
    for _ in 0..count {
        // A wrong count ends with the bytes there are.
        let Some(length) = at.skip_text() else { break };
        lengths.push(length);
    }
    Ok(lengths)
}

/// A place in the table of shared texts.
struct Place<'a> {
    segments: &'a [&'a [u8]],
    segment: usize,
    byte: usize,
}

impl Place<'_> {
    fn left(&self) -> usize {
        self.segments.get(self.segment).map_or(0, |s| s.len().saturating_sub(self.byte))
    }

    fn next_segment(&mut self) -> Option<()> {
        self.segment += 1;
        self.byte = 0;
        (self.segment < self.segments.len()).then_some(())
    }

    fn byte(&mut self) -> Option<u8> {
        while self.left() == 0 {
            self.next_segment()?;
        }
        let byte = self.segments[self.segment][self.byte];
        self.byte += 1;
        Some(byte)
    }

    fn number(&mut self, bytes: u32) -> Option<usize> {
        let mut number = 0;
        for at in 0..bytes {
            number |= usize::from(self.byte()?) << (8 * at);
        }
        Some(number)
    }

    fn skip(&mut self, mut bytes: usize) -> Option<()> {
        while bytes > 0 {
            if self.left() == 0 {
                self.next_segment()?;
                continue;
            }
            let step = bytes.min(self.left());
            self.byte += step;
            bytes -= step;
        }
        Some(())
    }

    /// Skips a text; how many characters it has.
    fn skip_text(&mut self) -> Option<u16> {
        let length = self.number(2)?;
        let mut flags = self.byte()?;
        let runs = if flags & 8 == 0 { 0 } else { self.number(2)? };
        let extra = if flags & 4 == 0 { 0 } else { self.number(4)? };
        let mut characters = length;
        while characters > 0 {
            if self.left() == 0 {
                self.next_segment()?;
                flags = self.byte()?;
                continue;
            }
            let width = 1 + usize::from(flags & 1);
            let step = characters.min(self.left().div_ceil(width));
            self.skip(step * width)?;
            characters -= step;
        }
        self.skip(runs.saturating_mul(4))?;
        self.skip(extra)?;
        u16::try_from(length).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::tests::LIMITS;

    fn record(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).expect("short");
        [&kind.to_le_bytes()[..], &length.to_le_bytes(), body].concat()
    }

    fn bof(substream: u16) -> Vec<u8> {
        record(kind::BOF, &[&[0, 6][..], &substream.to_le_bytes(), &[0; 12]].concat())
    }

    fn label(row: u16, column: u16, text: u32) -> Vec<u8> {
        let place = [row.to_le_bytes(), column.to_le_bytes(), [0, 0]].concat();
        record(kind::LABEL_SST, &[place, text.to_le_bytes().to_vec()].concat())
    }

    /// A workbook with the shared texts and cells given.
    fn workbook(texts: &[&str], cells: &[Vec<u8>]) -> Vec<u8> {
        let count = u32::try_from(texts.len()).expect("few").to_le_bytes();
        let mut shared = [count, count].concat();
        for text in texts {
            shared.extend(u16::try_from(text.len()).expect("short").to_le_bytes());
            shared.push(0);
            shared.extend(text.as_bytes());
        }
        let head = [bof(5), record(0x0042, &1200_u16.to_le_bytes())].concat();
        let mut parts: Vec<Vec<u8>> = vec![];
        let pieces: Vec<&[u8]> = shared.chunks(8000).collect();
        for (at, piece) in pieces.iter().enumerate() {
            parts.push(record(if at == 0 { kind::SST } else { kind::CONTINUE }, piece));
        }
        let end = record(0x000a, &[]);
        let sheet_name = [&[0, 0, 2, 0][..], b"S1"].concat();
        let before = head.len() + 4 + 4 + sheet_name.len() + parts.iter().map(Vec::len).sum::<usize>() + end.len();
        let offset = u32::try_from(before).expect("short").to_le_bytes();
        let bound = record(0x0085, &[&offset[..], &sheet_name].concat());
        let stream = [head, bound, parts.concat(), end.clone(), bof(0x10), cells.concat(), end].concat();
        let mut file =
            cfb::CompoundFile::create_with_version(cfb::Version::V3, Cursor::new(Vec::new())).expect("a file");
        file.create_stream("/Workbook").expect("a stream").write_all(&stream).expect("written");
        file.flush().expect("written");
        file.into_inner().into_inner()
    }

    #[test]
    fn cells_are_read() {
        let number = record(0x0203, &[&[1, 0, 1, 0, 0, 0][..], &12.0_f64.to_le_bytes()].concat());
        let bytes = workbook(&["node_id", "name", "n1"], &[label(0, 0, 0), label(0, 1, 1), label(1, 0, 2), number]);
        let table = read(&bytes, &LIMITS).expect("reads");
        let texts: Vec<_> = table.rows.iter().map(|r| (r.number, r.cells.join("|"))).collect();
        assert_eq!(texts, [(1, "node_id|name".to_owned()), (2, "n1|12".to_owned())]);
    }

    #[test]
    fn memory_is_bounded_before_it_is_taken() {
        let far = workbook(&["x"], &[label(0, 0, 0), label(65_000, 200, 0)]);
        assert!(matches!(read(&far, &LIMITS), Err(SheetError::TooLarge(_))));
        // One long text, named by many cells.
        let long = "x".repeat(7000);
        let cells: Vec<_> = (0..90).map(|row| label(row, 0, 0)).collect();
        assert!(matches!(read(&workbook(&[&long], &cells), &LIMITS), Err(SheetError::TooLarge(_))));
        assert_eq!(read(&workbook(&[&long], &cells[..3]), &LIMITS).map(|t| t.rows.len()), Ok(3));
        let none = workbook(&["x"], &[label(0, 0, 9)]);
        assert!(matches!(read(&none, &LIMITS), Err(SheetError::Unreadable(_))));
    }

    #[test]
    fn shared_texts_go_on_in_later_records() {
        // "abcdef" cut after three characters; then one of two wide characters.
        let first = [&2_u32.to_le_bytes()[..], &2_u32.to_le_bytes(), &[6, 0, 0], b"abc"].concat();
        let second = [&[0][..], b"def", &[2, 0, 1, b'x', 0, b'y', 0]].concat();
        let stream = [record(kind::SST, &first), record(kind::CONTINUE, &second)].concat();
        assert_eq!(shared_lengths(&stream).expect("reads"), [6, 2]);
    }
}
