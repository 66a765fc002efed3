//! What channels that write into tables of a database have in common.

use crate::ColumnMapping;
use crate::field::length;

/// Most columns that a channel fills.
const COLUMNS: usize = 100;

/// Checks the mappings: at least one, each column once.
pub(crate) fn mappings(list: &[ColumnMapping], longest_name: usize) -> Result<(), String> {
    if list.is_empty() || list.len() > COLUMNS {
        return Err(format!("'column_mappings' must hold 1 to {COLUMNS} columns"));
    }
    for (place, mapping) in list.iter().enumerate() {
        identifier("column_name", &mapping.column_name, longest_name)?;
        length("json_key", &mapping.json_key, 1, 256)?;
        if list[..place].iter().any(|m| m.column_name == mapping.column_name) {
            return Err(format!("'column_mappings' names the column '{}' twice", mapping.column_name));
        }
    }
    Ok(())
}

/// Checks a name of a database, table or column, `longest` in bytes. It is quoted when it is used, so any character that
/// can be seen is good.
pub(crate) fn identifier(name: &str, text: &str, longest: usize) -> Result<(), String> {
    if text.len() > longest {
        return Err(format!("'{name}' must be at most {longest} bytes"));
    }
    length(name, text, 1, longest)
}

/// Checks that a certificate of an authority looks like one.
pub(crate) fn certificate(name: &str, pem: Option<&str>) -> Result<(), String> {
    match pem {
        Some(pem) if pem.len() > 64 << 10 || !pem.contains("-----BEGIN CERTIFICATE-----") => {
            Err(format!("'{name}' must be certificates in PEM form, at most 64 KiB"))
        }
        _ => Ok(()),
    }
}
