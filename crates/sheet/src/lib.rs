//! Spreadsheets as tables of text: xlsx, xls and CSV in ([`read`]), xlsx, CSV and zip out ([`write_xlsx`],
//! [`write_csv`], [`zip_file`]). Bytes in, bytes out; no files, no clock.
//!
//! Input is hostile until shown otherwise: what a file unpacks to, its rows, columns and texts are bounded by
//! [`Limits`] *before* memory is taken for them. The crate knows no column by name: what a title means is said by who
//! reads the table.

mod biff;
mod csv;
mod write;
mod xlsx;

pub use write::{Column, write_csv, write_xlsx, zip_file};

/// What a file may be at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all parts of an xlsx file together, unpacked; and bytes of all texts of the table.
    pub unpacked: u64,
    /// Rows that hold anything, and the number of the last of them.
    pub rows: u32,
    /// Columns.
    pub columns: u32,
}

/// A table of texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The rows that hold anything, from the top.
    pub rows: Vec<Row>,
    /// Cells that cannot be a text; they are empty in `rows`.
    pub bad: Vec<BadCell>,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// As spreadsheets count them, from 1.
    pub number: u32,
    /// Texts without blanks around them; cells behind the last are empty.
    pub cells: Vec<String>,
}

/// A cell that cannot be read as a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadCell {
    /// Number of the row, from 1.
    pub row: u32,
    /// Number of the column, from 0.
    pub column: u32,
    /// What to do about it.
    pub reason: &'static str,
}

/// Why a file cannot be read or written. The text is for the person who made the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SheetError {
    /// It is none of the formats, or damaged.
    #[error("it is no xlsx, xls or CSV file, or it is damaged ({0})")]
    Unreadable(String),
    /// It breaks a limit.
    #[error("it has {0}")]
    TooLarge(String),
    /// It cannot be written.
    #[error("it cannot be written ({0})")]
    Unwritable(String),
}

pub(crate) fn unreadable(why: impl std::fmt::Display) -> SheetError {
    SheetError::Unreadable(why.to_string())
}

/// Name of a column as spreadsheets show it: `A` for 0, `AA` for 26.
#[must_use]
pub fn column_name(mut column: u32) -> String {
    let mut letters = Vec::new();
    loop {
        letters.push(b'A' + u8::try_from(column % 26).unwrap_or(0));
        match (column / 26).checked_sub(1) {
            Some(next) => column = next,
            None => break,
        }
    }
    letters.reverse();
    String::from_utf8(letters).unwrap_or_default()
}

/// Reads the first sheet of a file, whatever of the formats it is.
///
/// # Errors
/// Says what is wrong with the file.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Table, SheetError> {
    const ZIP: &[u8] = b"PK\x03\x04";
    const COMPOUND: &[u8] = &[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];
    if bytes.starts_with(ZIP) {
        xlsx::read(bytes, limits)
    } else if bytes.starts_with(COMPOUND) {
        biff::read(bytes, limits)
    } else {
        csv::read(bytes, limits)
    }
}

/// A table as its cells come, with its limits.
pub(crate) struct Builder<'a> {
    limits: &'a Limits,
    table: Table,
    texts: u64,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(limits: &'a Limits) -> Self {
        Self { limits, table: Table::default(), texts: 0 }
    }

    /// Adds a cell; `row` and `column` from 0. Cells come row by row.
    pub(crate) fn add(&mut self, row: u32, column: u32, text: &str) -> Result<(), SheetError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(());
        }
        check_place(row, column, self.limits)?;
        self.texts += text.len() as u64;
        if self.texts > self.limits.unpacked {
            return Err(SheetError::TooLarge(format!("more than {} bytes of text", self.limits.unpacked)));
        }
        if self.table.rows.last().is_none_or(|r| r.number != row + 1) {
            if self.table.rows.last().is_some_and(|r| r.number > row + 1) {
                return Err(unreadable("rows out of order"));
            }
            self.table.rows.push(Row { number: row + 1, cells: Vec::new() });
        }
        if let Some(last) = self.table.rows.last_mut() {
            let at = column as usize;
            if last.cells.len() <= at {
                last.cells.resize(at + 1, String::new());
            }
            text.clone_into(&mut last.cells[at]);
        }
        Ok(())
    }

    /// Notes a cell that is no text. More than anybody would read are not kept.
    pub(crate) fn bad(&mut self, row: u32, column: u32, reason: &'static str) {
        if self.table.bad.len() < 1000 {
            self.table.bad.push(BadCell { row: row + 1, column, reason });
        }
    }

    pub(crate) fn finish(self) -> Table {
        self.table
    }
}

pub(crate) fn check_place(row: u32, column: u32, limits: &Limits) -> Result<(), SheetError> {
    if row >= limits.rows {
        return Err(SheetError::TooLarge(format!("more than {} rows", limits.rows)));
    }
    if column >= limits.columns {
        return Err(SheetError::TooLarge(format!("more than {} columns", limits.columns)));
    }
    Ok(())
}

/// What a number that a spreadsheet made of an input is as text. Spreadsheets keep 15 digits.
pub(crate) fn number_text(number: f64) -> Result<String, &'static str> {
    if number.fract() != 0.0 {
        return Ok(number.to_string());
    }
    if number.abs() < 1e15 {
        Ok(format!("{number:.0}"))
    } else {
        Err(
            "is a number of more than 15 digits, which spreadsheets do not keep; format the cell as text and type it again",
        )
    }
}

pub(crate) const DATE: &str = "is a date; format the cell as text and type it again";
pub(crate) const ERROR: &str = "is an error of the spreadsheet's formula";

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) const LIMITS: Limits = Limits { unpacked: 1 << 20, rows: 100, columns: 8 };

    #[test]
    fn columns_have_letters() {
        for (column, name) in [(0, "A"), (25, "Z"), (26, "AA"), (27, "AB"), (701, "ZZ"), (702, "AAA")] {
            assert_eq!(column_name(column), name);
        }
    }

    #[test]
    fn numbers_are_texts() {
        assert_eq!(number_text(860_000_000_000_001.0), Ok("860000000000001".to_owned()));
        assert_eq!(number_text(-3.0), Ok("-3".to_owned()));
        assert_eq!(number_text(1.5), Ok("1.5".to_owned()));
        assert!(number_text(1e15).is_err());
    }

    #[test]
    fn what_was_written_is_read() {
        const COLUMNS: &[Column] = &[Column { name: "node_id", width: 20 }, Column { name: "备注", width: 20 }];
        let rows = vec![vec!["n1".to_owned(), "=1+1".to_owned()], vec!["00012".to_owned(), "温度".to_owned()]];
        for bytes in [write_xlsx(COLUMNS, &rows).expect("xlsx"), write_csv(COLUMNS, &rows).expect("csv")] {
            let table = read(&bytes, &LIMITS).expect("reads");
            let cells: Vec<_> = table.rows.iter().map(|r| (r.number, r.cells.clone())).collect();
            let expected = [vec!["node_id", "备注"], vec!["n1", "=1+1"], vec!["00012", "温度"]];
            for ((number, cells), (at, expected)) in cells.iter().zip(expected.iter().enumerate()) {
                assert_eq!((*number as usize, cells.as_slice()), (at + 1, &expected.map_to_strings()[..]));
            }
            assert_eq!(table.rows.len(), 3);
        }
    }

    trait Strings {
        fn map_to_strings(&self) -> Vec<String>;
    }

    impl Strings for Vec<&str> {
        fn map_to_strings(&self) -> Vec<String> {
            self.iter().map(ToString::to_string).collect()
        }
    }

    #[test]
    fn limits_hold() {
        const COLUMNS: &[Column] = &[Column { name: "a", width: 9 }];
        let rows = |n: usize| vec![vec!["x".repeat(20)]; n];
        let small = Limits { unpacked: 1 << 20, rows: 11, columns: 8 };
        for write in [write_xlsx, write_csv] {
            assert!(read(&write(COLUMNS, &rows(10)).expect("written"), &small).is_ok());
            let error = read(&write(COLUMNS, &rows(11)).expect("written"), &small).expect_err("too many");
            assert!(matches!(error, SheetError::TooLarge(_)), "{error}");
            let tight = Limits { unpacked: 100, ..small };
            assert!(matches!(read(&write(COLUMNS, &rows(10)).expect("written"), &tight), Err(SheetError::TooLarge(_))));
        }
    }

    #[test]
    fn what_is_no_spreadsheet_is_refused() {
        for bytes in [&b"PK\x03\x04nonsense"[..], b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1nonsense", b"\xff\xff\xff", b"a\0b"]
        {
            assert!(matches!(read(bytes, &LIMITS), Err(SheetError::Unreadable(_))), "{bytes:?}");
        }
        assert_eq!(read(b"", &LIMITS), Ok(Table::default()));
    }
}
