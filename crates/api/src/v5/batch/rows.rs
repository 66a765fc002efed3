//! From a table to the rows of a task. Every fault is told with its place, and one fault refuses the file.

use std::collections::HashMap;

use causeway_model::batch::TaskType;
use causeway_model::{AppId, Code, DeviceId, Error, Fault, NodeId, ProductId, Result};
use causeway_platform::batch::{DeviceRow, Row as TaskRow};
use causeway_sheet::{Row, Table, column_name};
use serde_json::value::RawValue;

use super::columns::{Field, fields};
use crate::bounded::{Fingerprint, Free, Ident, Int, Name, Rule, Text};
use crate::v5::devices::checked_extension;

/// Titles stand in one of the first rows.
const ROWS_ABOVE: usize = 10;

fn refuse(faults: Vec<Fault>) -> Error {
    Error::of_faults(Code::InvalidBatchFile, "Invalid batch file.", faults)
}

fn refuse_whole(text: String) -> Error {
    Error::new(Code::InvalidBatchFile, text)
}

/// Reads the rows of a table for a task.
///
/// # Errors
/// [`Code::InvalidBatchFile`] with every fault and its place, up to [`Error::MAX_FAULTS`] of them.
pub(super) fn read(task_type: TaskType, table: &Table, max_rows: usize) -> Result<Vec<TaskRow>> {
    let fields = fields(task_type);
    let Some((at, titles)) = find_titles(table, fields) else {
        let needed: Vec<&str> = fields.iter().filter(|f| f.required).map(|f| f.name).collect();
        return Err(refuse_whole(format!(
            "Invalid batch file. No row has the titles of {}: the columns {} are needed.",
            task_type.as_str(),
            needed.join(", ")
        )));
    };
    let rows = &table.rows[at + 1..];
    if rows.is_empty() || rows.len() > max_rows {
        return Err(refuse_whole(format!(
            "Invalid batch file. It must have 1 to {max_rows} rows below its titles; it has {}.",
            rows.len()
        )));
    }
    let mut reader = Reader { titles, faults: Vec::new(), seen: HashMap::new() };
    reader.check_titles(&table.rows[at], rows);
    for bad in &table.bad {
        let field = reader.titles.name_of(bad.column);
        reader.faults.push(Fault::at(place(bad.row, bad.column, field), bad.reason));
    }
    let mut read = Vec::with_capacity(rows.len());
    for row in rows {
        read.push(reader.row(task_type, row));
        if reader.faults.len() > Error::MAX_FAULTS {
            break;
        }
    }
    if reader.faults.is_empty() { Ok(read.into_iter().flatten().collect()) } else { Err(refuse(reader.faults)) }
}

/// Which column holds which field.
struct Titles(Vec<Option<&'static Field>>);

impl Titles {
    fn name_of(&self, column: u32) -> Option<&'static str> {
        self.0.get(column as usize).copied().flatten().map(|f| f.name)
    }

    fn column_of(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|f| f.is_some_and(|f| f.name == name))
    }
}

/// The first row that has all the titles that are needed.
fn find_titles(table: &Table, fields: &'static [Field]) -> Option<(usize, Titles)> {
    table.rows.iter().take(ROWS_ABOVE).enumerate().find_map(|(at, row)| {
        let titles: Vec<_> = row.cells.iter().map(|t| fields.iter().find(|f| f.has_title(t))).collect();
        let complete = fields.iter().filter(|f| f.required).all(|f| titles.contains(&Some(f)));
        complete.then_some((at, Titles(titles)))
    })
}

fn place(row: u32, column: u32, field: Option<&str>) -> String {
    let letters = column_name(column);
    match field {
        Some(field) => format!("Row {row}, column {letters} ({field})"),
        None => format!("Row {row}, column {letters}"),
    }
}

struct Reader {
    titles: Titles,
    faults: Vec<Fault>,
    /// Where a device was named first.
    seen: HashMap<String, u32>,
}

impl Reader {
    /// A column that nobody knows is a fault when it holds anything; so is a field that stands twice.
    fn check_titles(&mut self, titles: &Row, rows: &[Row]) {
        for (at, title) in titles.cells.iter().enumerate() {
            let column = u32::try_from(at).unwrap_or(u32::MAX);
            let filled = || rows.iter().any(|r| r.cells.get(at).is_some_and(|c| !c.is_empty()));
            let reason = match self.titles.0[at] {
                None if filled() => {
                    let shown: String = title.chars().take(64).collect();
                    if shown.is_empty() {
                        "has no title".to_owned()
                    } else {
                        format!("the title '{shown}' is not known; GET /batchtask-templates lists the columns")
                    }
                }
                Some(field) if self.titles.column_of(field.name) != Some(at) => {
                    format!("the field '{}' has a column before this one", field.name)
                }
                _ => continue,
            };
            self.faults.push(Fault::at(place(titles.number, column, None), reason));
        }
        let width = titles.cells.len();
        for row in rows.iter().filter(|r| r.cells.len() > width) {
            if let Some(at) = (width..row.cells.len()).find(|at| !row.cells[*at].is_empty()) {
                let column = u32::try_from(at).unwrap_or(u32::MAX);
                self.faults.push(Fault::at(place(row.number, column, None), "stands in a column without a title"));
            }
        }
    }

    fn fault(&mut self, row: &Row, name: &'static str, reason: impl Into<String>) {
        let column = self.titles.column_of(name).and_then(|at| u32::try_from(at).ok()).unwrap_or(0);
        self.faults.push(Fault::at(place(row.number, column, Some(name)), reason));
    }

    /// A cell's text.
    fn text(&self, row: &Row, name: &str) -> Option<String> {
        let cell = row.cells.get(self.titles.column_of(name)?)?;
        (!cell.is_empty()).then(|| cell.clone())
    }

    /// A cell that keeps the rule `R`, as it stands.
    fn checked<R: Rule>(&mut self, row: &Row, name: &'static str) -> Option<String> {
        let text = self.text(row, name)?;
        if R::read(&text).is_some() {
            return Some(text);
        }
        self.fault(row, name, format!("must be {}", R::rule()));
        None
    }

    /// A cell that keeps the rule `R` and must be there.
    fn needed<R: Rule>(&mut self, row: &Row, name: &'static str) -> Option<String> {
        if self.text(row, name).is_none() {
            self.fault(row, name, "is missing");
        }
        self.checked::<R>(row, name)
    }

    /// Refuses what stands in an earlier row already. True when it does not.
    fn once(&mut self, row: &Row, name: &'static str, key: String) -> bool {
        let first = *self.seen.entry(key).or_insert(row.number);
        if first != row.number {
            self.fault(row, name, format!("stands in row {first} already"));
        }
        first == row.number
    }

    /// Reads a row; what is wrong with it is among the faults.
    fn row(&mut self, task_type: TaskType, row: &Row) -> Option<TaskRow> {
        match task_type {
            TaskType::CreateDevices => self.new_device(row).map(|r| TaskRow::New(Box::new(r))),
            TaskType::UpdateDevices => {
                let device_id = self.device_id(row)?;
                let mut change = self.common(row);
                change.device_id = Some(device_id);
                Some(TaskRow::Change(Box::new(change)))
            }
            _ => self.device_id(row).and_then(|id| DeviceId::parse(&id).ok()).map(TaskRow::Device),
        }
    }

    fn device_id(&mut self, row: &Row) -> Option<String> {
        let id = self.needed::<DeviceId>(row, "device_id")?;
        self.once(row, "device_id", id.clone());
        Some(id)
    }

    /// What new and changed devices have in common.
    fn common(&mut self, row: &Row) -> DeviceRow {
        DeviceRow {
            device_name: self.checked::<Text<Name, 0, 256>>(row, "device_name"),
            description: self.checked::<Text<Free, 0, 2048>>(row, "description"),
            secure_access: self.flag(row, "secure_access"),
            timeout: self.checked::<Int<0, 2_147_483_647>>(row, "timeout").and_then(|t| t.parse().ok()),
            extension_info: self.extension(row),
            ..DeviceRow::default()
        }
    }

    fn new_device(&mut self, row: &Row) -> Option<DeviceRow> {
        let (product_id, node_id) =
            (self.needed::<ProductId>(row, "product_id"), self.needed::<NodeId>(row, "node_id"));
        let device_id = self.checked::<DeviceId>(row, "device_id");
        let certificate = match self.text(row, "auth_type").map(|t| t.to_uppercase()).as_deref() {
            None | Some("SECRET" | "密钥" | "密钥认证") => false,
            Some("CERTIFICATES" | "CERTIFICATE" | "X.509" | "X.509证书" | "X509" | "证书" | "证书认证") => true,
            Some(_) => {
                self.fault(row, "auth_type", "must be SECRET or CERTIFICATES");
                false
            }
        };
        let new = DeviceRow {
            product_id,
            node_id,
            device_id,
            certificate,
            secret: self.checked::<Text<Ident, 8, 32>>(row, "secret"),
            fingerprint: self.checked::<Fingerprint>(row, "fingerprint"),
            gateway_id: self.checked::<DeviceId>(row, "gateway_id"),
            app_id: self.checked::<AppId>(row, "app_id"),
            ..self.common(row)
        };
        let (product, node) = (new.product_id.as_ref()?, new.node_id.as_ref()?);
        let id = new.device_id.clone().unwrap_or_else(|| format!("{product}_{node}"));
        if id.len() > DeviceId::MAX_LEN {
            self.fault(row, "node_id", format!("makes a device id longer than {} characters", DeviceId::MAX_LEN));
        }
        let node = format!("{product}/{node}");
        if self.once(row, "node_id", node) {
            self.once(row, if new.device_id.is_some() { "device_id" } else { "node_id" }, id);
        }
        Some(new)
    }

    fn flag(&mut self, row: &Row, name: &'static str) -> Option<bool> {
        match self.text(row, name)?.to_lowercase().as_str() {
            "true" | "yes" | "是" | "1" => Some(true),
            "false" | "no" | "否" | "0" => Some(false),
            _ => {
                self.fault(row, name, "must be true or false");
                None
            }
        }
    }

    fn extension(&mut self, row: &Row) -> Option<String> {
        let text = self.text(row, "extension_info")?;
        let checked = RawValue::from_string(text)
            .map_err(|_| Error::invalid("must be JSON"))
            .and_then(|raw| checked_extension(Some(raw)));
        match checked {
            Ok(info) => info,
            Err(error) => {
                self.fault(row, "extension_info", error.message());
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use causeway_sheet::Limits;

    use super::*;

    fn table(csv: &str) -> Table {
        let limits = Limits { unpacked: 1 << 20, rows: 1000, columns: 64 };
        causeway_sheet::read(csv.as_bytes(), &limits).expect("a table")
    }

    fn faults(task_type: TaskType, csv: &str) -> Vec<(String, String)> {
        let error = read(task_type, &table(csv), 100).expect_err("faults");
        assert_eq!(error.code(), Code::InvalidBatchFile);
        error.faults().iter().map(|f| (f.place.clone(), f.reason.clone())).collect()
    }

    #[test]
    fn rows_are_read_whatever_the_titles() {
        let csv = "批量注册设备\n*产品ID,设备标识码（必填）,设备名称,安全模式,安全接入,empty\np1,n1,温度计,密钥,是\np1,n2,,X.509证书,\n";
        let rows = read(TaskType::CreateDevices, &table(csv), 100).expect("rows");
        let rows: Vec<_> = rows
            .iter()
            .map(|r| match r {
                TaskRow::New(r) => (**r).clone(),
                other => panic!("{other:?}"),
            })
            .collect();
        let text = |t: &str| Some(t.to_owned());
        assert_eq!(rows[0].product_id, text("p1"));
        assert_eq!((rows[0].node_id.clone(), rows[0].device_name.clone()), (text("n1"), text("温度计")));
        assert_eq!((rows[0].certificate, rows[0].secure_access), (false, Some(true)));
        assert_eq!((rows[1].certificate, rows[1].secure_access), (true, None));
    }

    #[test]
    fn every_fault_has_its_place() {
        let csv = "product_id,node_id,device_id,secret,colour,timeout,extension_info\n\
                   p1,n 1,,short,red,x,{\n\
                   ,n2,d1,,,,\n\
                   p1,n3,d1,,,,\n\
                   p1,n3,,,,,{},more\n";
        let found = faults(TaskType::CreateDevices, csv);
        let places: Vec<_> = found.iter().map(|(p, _)| p.as_str()).collect();
        assert_eq!(
            places,
            [
                "Row 1, column E",
                "Row 5, column H",
                "Row 2, column B (node_id)",
                "Row 2, column D (secret)",
                "Row 2, column F (timeout)",
                "Row 2, column G (extension_info)",
                "Row 3, column A (product_id)",
                "Row 5, column B (node_id)",
            ]
        );
        assert_eq!(found[4].1, "must be a whole number from 0 to 2147483647");
        assert_eq!(found[7].1, "stands in row 4 already");
    }

    #[test]
    fn faults_are_bounded() {
        let csv = format!("device_id\n{}", "a b\n".repeat(900));
        let error = read(TaskType::DeleteDevices, &table(&csv), 1000).expect_err("faults");
        assert_eq!(error.faults().len(), Error::MAX_FAULTS);
    }

    #[test]
    fn files_without_titles_or_rows() {
        for csv in ["", "device_id\n", "name\nx\n"] {
            assert!(read(TaskType::DeleteDevices, &table(csv), 100).is_err(), "{csv}");
        }
        let csv = format!("device_id\n{}", (0..101).map(|n| format!("d{n}\n")).collect::<String>());
        assert!(read(TaskType::DeleteDevices, &table(&csv), 100).is_err());
        assert!(read(TaskType::DeleteDevices, &table(&csv), 101).is_ok());
    }
}
