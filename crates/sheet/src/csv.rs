//! CSV: commas, semicolons or tabs; UTF-8, or GB 18030 as Chinese spreadsheets write it.

use crate::{Builder, Limits, SheetError, Table, unreadable};

pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Result<Table, SheetError> {
    let text = decode(bytes)?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter(&text))
        .from_reader(text.as_bytes());
    let mut builder = Builder::new(limits);
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(unreadable)? {
        // Blank lines hold nothing, but count in what editors show as the number of a line; a cell may span lines.
        let spanned = record.iter().map(|c| c.matches('\n').count() as u64).sum::<u64>();
        let line = reader.position().line().saturating_sub(2 + spanned);
        for (column, cell) in (0..).zip(&record) {
            builder.add(u32::try_from(line).unwrap_or(u32::MAX), column, cell)?;
        }
    }
    Ok(builder.finish())
}

fn decode(bytes: &[u8]) -> Result<String, SheetError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::GB18030
            .decode_without_bom_handling_and_without_replacement(bytes)
            .ok_or_else(|| unreadable("text that is neither UTF-8 nor GB 18030"))?
            .into_owned(),
    };
    if text.contains('\0') {
        return Err(unreadable("it holds NUL"));
    }
    // With every line ended in one way, lines are easily counted.
    let mut text = text.replace("\r\n", "\n");
    text.push('\n');
    Ok(text)
}

/// What separates the titles.
fn delimiter(text: &str) -> u8 {
    let titles = text.lines().find(|l| !l.trim().is_empty()).unwrap_or_default();
    let count = |c: char| titles.matches(c).count();
    [b'\t', b';'].into_iter().find(|d| count(char::from(*d)) > count(',')).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: &[(u32, &[&str])]) {
        let table = read(bytes, &crate::tests::LIMITS).expect("reads");
        let rows: Vec<(u32, Vec<&str>)> =
            table.rows.iter().map(|r| (r.number, r.cells.iter().map(String::as_str).collect())).collect();
        let expected: Vec<(u32, Vec<&str>)> = expected.iter().map(|(n, c)| (*n, c.to_vec())).collect();
        assert_eq!(rows, expected);
    }

    #[test]
    fn dialects() {
        check(b"\xef\xbb\xbfa,b\r\n1,\"x,\"\"y\"\r\n", &[(1, &["a", "b"]), (2, &["1", "x,\"y"])]);
        check(b"a;b\n1;2", &[(1, &["a", "b"]), (2, &["1", "2"])]);
        check(b"a\tb\n\n1\t\n \t \n2\t3\n", &[(1, &["a", "b"]), (3, &["1"]), (5, &["2", "3"])]);
        // 温度 in GB 18030.
        check(b"\xce\xc2\xb6\xc8,b\n", &[(1, &["温度", "b"])]);
        // A quoted cell over two lines does not shift what follows.
        check(b"a,b\n\"1\n2\",3\n4,5\n", &[(1, &["a", "b"]), (2, &["1\n2", "3"]), (4, &["4", "5"])]);
    }
}
