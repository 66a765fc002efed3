//! Writing. Texts stay texts: what looks like a formula is not one.

use std::io::{Cursor, Write as _};

use rust_xlsxwriter::{Format, Workbook};

use crate::SheetError;

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its title.
    pub name: &'static str,
    /// Its width in characters.
    pub width: u16,
}

fn unwritable(why: impl std::fmt::Display) -> SheetError {
    SheetError::Unwritable(why.to_string())
}

/// Writes one sheet: the titles and a row each. All cells are formatted as text, so that what is typed into them later
/// keeps its digits.
///
/// # Errors
/// More rows than a sheet has, or longer texts than a cell takes.
pub fn write_xlsx(columns: &[Column], rows: &[Vec<String>]) -> Result<Vec<u8>, SheetError> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    let (bold, text) = (Format::new().set_bold(), Format::new().set_num_format("@"));
    for (at, column) in (0..).zip(columns) {
        sheet.set_column_format(at, &text).map_err(unwritable)?;
        sheet.set_column_width(at, column.width).map_err(unwritable)?;
        sheet.write_string_with_format(0, at, column.name, &bold).map_err(unwritable)?;
    }
    sheet.set_freeze_panes(1, 0).map_err(unwritable)?;
    for (number, cells) in (1..).zip(rows) {
        for (at, cell) in (0..).zip(cells).filter(|(_, c)| !c.is_empty()) {
            sheet.write_string_with_format(number, at, cell, &text).map_err(unwritable)?;
        }
    }
    book.save_to_buffer().map_err(unwritable)
}

/// Writes CSV in UTF-8 with the mark by which spreadsheets know it.
///
/// # Errors
/// None in practice: it writes to memory.
pub fn write_csv(columns: &[Column], rows: &[Vec<String>]) -> Result<Vec<u8>, SheetError> {
    let mut writer = csv::Writer::from_writer(b"\xef\xbb\xbf".to_vec());
    writer.write_record(columns.iter().map(|c| c.name)).map_err(unwritable)?;
    for row in rows {
        writer.write_record(row).map_err(unwritable)?;
    }
    writer.into_inner().map_err(unwritable)
}

/// A zip of one file.
///
/// # Errors
/// More than a zip takes.
pub fn zip_file(name: &str, content: &[u8]) -> Result<Vec<u8>, SheetError> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file(name, zip::write::SimpleFileOptions::default()).map_err(unwritable)?;
    archive.write_all(content).map_err(unwritable)?;
    archive.finish().map(Cursor::into_inner).map_err(unwritable)
}
