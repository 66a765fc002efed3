//! xlsx: a zip of XML. Cells are read one by one: a sheet with a cell in its last corner takes no more memory than one
//! without.

use std::io::{Cursor, Read as _};

use calamine::{DataRef, Reader as _, Xlsx};

use crate::{Builder, DATE, ERROR, Limits, SheetError, Table, number_text, unreadable};

pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Table, SheetError> {
    check_size(bytes, limits.unpacked)?;
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(unreadable)?;
    let name = book.sheet_names().first().cloned().ok_or_else(|| unreadable("it has no sheet"))?;
    let mut cells = book.worksheet_cells_reader(&name).map_err(unreadable)?;
    let mut builder = Builder::new(limits);
    while let Some(cell) = cells.next_cell().map_err(unreadable)? {
        let (row, column) = cell.get_position();
        match cell.get_value() {
            DataRef::Empty => {}
            DataRef::String(text) => builder.add(row, column, text)?,
            DataRef::SharedString(text) => builder.add(row, column, text)?,
            DataRef::Int(number) => builder.add(row, column, &number.to_string())?,
            DataRef::Bool(value) => builder.add(row, column, if *value { "true" } else { "false" })?,
            DataRef::Float(number) => match number_text(*number) {
                Ok(text) => builder.add(row, column, &text)?,
                Err(reason) => builder.bad(row, column, reason),
            },
            DataRef::DateTime(_) | DataRef::DateTimeIso(_) | DataRef::DurationIso(_) => builder.bad(row, column, DATE),
            DataRef::Error(_) => builder.bad(row, column, ERROR),
        }
    }
    Ok(builder.finish())
}

/// Measures what a zip unpacks to without believing what it says.
fn check_size(bytes: &[u8], limit: u64) -> Result<(), SheetError> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(unreadable)?;
    let mut room = limit;
    for at in 0..archive.len() {
        let entry = archive.by_index(at).map_err(unreadable)?;
        let size = std::io::copy(&mut entry.take(room + 1), &mut std::io::sink()).map_err(unreadable)?;
        room = room
            .checked_sub(size)
            .ok_or_else(|| SheetError::TooLarge(format!("more than {limit} bytes when it is unpacked")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rust_xlsxwriter::{Format, Formula, Workbook};

    use super::*;
    use crate::tests::LIMITS;

    fn cells(fill: impl FnOnce(&mut rust_xlsxwriter::Worksheet)) -> Result<Table, SheetError> {
        let mut book = Workbook::new();
        fill(book.add_worksheet());
        read(&book.save_to_buffer().expect("written"), &LIMITS)
    }

    #[test]
    fn cells_of_every_kind() {
        let table = cells(|sheet| {
            sheet.write_number(0, 0, 860_000_000_000_001_f64).expect("a cell");
            sheet.write_boolean(0, 1, true).expect("a cell");
            sheet.write_formula(0, 2, Formula::new("=1+1").set_result("2")).expect("a cell");
            sheet.write_number(1, 0, 12_345_678_901_234_567_890_f64).expect("a cell");
            sheet
                .write_number_with_format(1, 1, 45_000.0, &Format::new().set_num_format("yyyy-mm-dd"))
                .expect("a cell");
            sheet.write_string(3, 2, " x ").expect("a cell");
        })
        .expect("reads");
        let texts: Vec<_> = table.rows.iter().map(|r| (r.number, r.cells.join("|"))).collect();
        assert_eq!(texts, [(1, "860000000000001|true|2".to_owned()), (4, "||x".to_owned())]);
        let bad: Vec<_> = table.bad.iter().map(|b| (b.row, b.column)).collect();
        assert_eq!(bad, [(2, 0), (2, 1)]);
    }

    #[test]
    fn a_cell_in_the_last_corner_takes_no_memory() {
        let error = cells(|sheet| drop(sheet.write_string(1_048_575, 16_383, "x"))).expect_err("too many rows");
        assert!(matches!(error, SheetError::TooLarge(_)));
        let error = cells(|sheet| drop(sheet.write_string(0, 16_383, "x"))).expect_err("too many columns");
        assert!(matches!(error, SheetError::TooLarge(_)));
    }

    #[test]
    fn bombs_are_measured() {
        let bomb = crate::zip_file("xl/sharedStrings.xml", &vec![b' '; 8 << 20]).expect("a zip");
        assert!(bomb.len() < 1 << 20);
        assert!(matches!(read(&bomb, &LIMITS), Err(SheetError::TooLarge(_))));
    }
}
