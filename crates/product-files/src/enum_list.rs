//! Lists of texts in one cell.

/// Writes a list into a cell: `a,b`, or as JSON when a text holds what `a,b` cannot carry.
pub(crate) fn write(list: &[String]) -> String {
    let plain = |t: &String| !t.is_empty() && !t.contains([',', '，', '[', '"']) && t.trim() == t;
    if !list.is_empty() && list.iter().all(plain) {
        return list.join(",");
    }
    serde_json::to_string(list).expect("texts always make JSON")
}

/// Reads a cell: JSON when it begins with `[`, else texts between commas (Chinese ones too).
///
/// # Errors
/// How the cell must look.
pub(crate) fn read(cell: &str) -> Result<Vec<String>, String> {
    if cell.starts_with('[') {
        return serde_json::from_str(cell).map_err(|e| format!("is no JSON list of texts: {e}"));
    }
    Ok(cell.split([',', '，']).map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_survive_a_cell() {
        for list in [&["a", "b c"][..], &["a,b", "c"], &["", "x"], &[" x"], &["[x"], &[]] {
            let list: Vec<String> = list.iter().map(|t| (*t).to_owned()).collect();
            assert_eq!(read(&write(&list)).expect("own writing"), list);
        }
        assert_eq!(read("开， 关,").expect("plain"), ["开", "关"]);
        assert!(read("[1").is_err());
    }
}
