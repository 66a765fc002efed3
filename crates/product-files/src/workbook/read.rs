//! From a workbook to a model.

use std::collections::HashMap;
use std::io::{Cursor, Read as _};

use calamine::{Data, Range, Reader as _, Xlsx};
use causeway_model::product::{
    ServiceCapability, ServiceCommand, ServiceCommandPara, ServiceCommandResponse, ServiceEvent, ServiceProperty,
};
use causeway_model::{Error, Fault};

use super::columns::{COMMANDS, EVENTS, PROPERTIES, SERVICES, Sheet};
use crate::{MAX_UNPACKED, ModelFile, ProductHead, enum_list, sound, unreadable};

/// Most rows of a sheet that are read.
const MAX_ROWS: usize = 20_000;

/// Reads a workbook.
///
/// # Errors
/// [`Code::InvalidModel`](causeway_model::Code::InvalidModel) with every fault and its place.
pub fn read(bytes: &[u8]) -> Result<ModelFile, Error> {
    check_size(bytes)?;
    let damaged = |e: &dyn std::fmt::Display| unreadable(&format!("The workbook is damaged: {e}."));
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(|e| damaged(&e))?;
    let mut model = Model::default();
    let mut known = 0;
    for name in book.sheet_names() {
        let Some(sheet) = [&SERVICES, &PROPERTIES, &COMMANDS, &EVENTS]
            .into_iter()
            .find(|s| s.name.eq_ignore_ascii_case(name.trim()) || s.chinese == name.trim())
        else {
            continue;
        };
        known += 1;
        let range = book.worksheet_range(&name).map_err(|e| damaged(&e))?;
        let Some(rows) = Rows::of(sheet, &range, &mut model.faults) else { continue };
        for (row, number) in rows.iter() {
            let row = Row { sheet, rows: &rows, cells: row, number };
            match sheet.name {
                "Services" => model.take_service(&row),
                "Properties" => model.take_property(&row),
                "Commands" => model.take_command(&row),
                _ => model.take_event(&row),
            }
            if model.faults.len() > Error::MAX_FAULTS {
                return sound(ProductHead::default(), Vec::new(), model.faults);
            }
        }
    }
    if known == 0 {
        return Err(unreadable("The workbook has none of the sheets Services, Properties, Commands, Events."));
    }
    sound(ProductHead::default(), model.services, model.faults)
}

/// A workbook is a zip: what it unpacks to is measured before it is read, without believing what it says.
fn check_size(bytes: &[u8]) -> Result<(), Error> {
    let damaged = |e: &dyn std::fmt::Display| unreadable(&format!("The workbook is damaged: {e}."));
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| damaged(&e))?;
    let mut room = MAX_UNPACKED;
    for i in 0..archive.len() {
        let entry = archive.by_index(i).map_err(|e| damaged(&e))?;
        let size = std::io::copy(&mut entry.take(room + 1), &mut std::io::sink()).map_err(|e| damaged(&e))?;
        room = room.checked_sub(size).ok_or_else(|| unreadable("The workbook unpacks to too much."))?;
    }
    Ok(())
}

/// The rows of a sheet below its titles.
struct Rows<'a> {
    range: &'a Range<Data>,
    /// Column numbers by field.
    places: HashMap<&'static str, usize>,
    first: usize,
}

impl<'a> Rows<'a> {
    fn of(sheet: &'static Sheet, range: &'a Range<Data>, faults: &mut Vec<Fault>) -> Option<Self> {
        let first = range.start().map_or(0, |(row, _)| row as usize);
        let titles = range.rows().next()?;
        let mut places = HashMap::new();
        for (at, title) in titles.iter().enumerate() {
            let title = text_of(title);
            if title.is_empty() {
                continue;
            }
            match sheet.columns.iter().find(|c| c.has_title(&title)) {
                Some(column) => drop(places.insert(column.field, at)),
                None => faults.push(Fault::at(
                    format!("Sheet '{}', row {}", sheet.name, first + 1),
                    format!("has the column '{}', which is not known.", title.chars().take(64).collect::<String>()),
                )),
            }
        }
        if range.height() > MAX_ROWS {
            faults.push(Fault::at(format!("Sheet '{}'", sheet.name), format!("has more than {MAX_ROWS} rows.")));
            return None;
        }
        Some(Self { range, places, first })
    }

    fn iter(&self) -> impl Iterator<Item = (&'a [Data], usize)> {
        let first = self.first;
        let filled = |cells: &[Data]| cells.iter().any(|c| !text_of(c).is_empty());
        self.range.rows().enumerate().skip(1).filter(move |(_, r)| filled(r)).map(move |(i, r)| (r, first + i + 1))
    }
}

/// One row; `number` as the spreadsheet shows it.
struct Row<'a> {
    sheet: &'static Sheet,
    rows: &'a Rows<'a>,
    cells: &'a [Data],
    number: usize,
}

impl Row<'_> {
    fn place(&self, field: &str) -> String {
        format!("Sheet '{}', row {}, column '{field}'", self.sheet.name, self.number)
    }

    fn text(&self, field: &str) -> Option<String> {
        let cell = self.cells.get(*self.rows.places.get(field)?)?;
        Some(text_of(cell)).filter(|t| !t.is_empty())
    }

    fn needed(&self, field: &str, faults: &mut Vec<Fault>) -> Option<String> {
        let text = self.text(field);
        if text.is_none() {
            faults.push(Fault::at(self.place(field), "is missing."));
        }
        text
    }

    fn parsed<T>(
        &self,
        field: &str,
        faults: &mut Vec<Fault>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(field)?;
        parse(&text).map_err(|why| faults.push(Fault::at(self.place(field), why))).ok()
    }

    fn number(&self, field: &str, faults: &mut Vec<Fault>) -> Option<f64> {
        self.parsed(field, faults, |t| {
            t.parse().ok().filter(|n: &f64| n.is_finite()).ok_or_else(|| "must be a number.".to_owned())
        })
    }

    fn whole(&self, field: &str, faults: &mut Vec<Fault>) -> Option<i64> {
        self.parsed(field, faults, |t| t.parse().map_err(|_| "must be a whole number.".to_owned()))
    }

    fn flag(&self, field: &str, faults: &mut Vec<Fault>) -> Option<bool> {
        self.parsed(field, faults, |t| match t.to_lowercase().as_str() {
            "true" | "yes" | "y" | "1" | "是" => Ok(true),
            "false" | "no" | "n" | "0" | "否" => Ok(false),
            _ => Err("must be true or false.".to_owned()),
        })
    }

    fn para(&self, name: String, faults: &mut Vec<Fault>) -> ServiceCommandPara {
        ServiceCommandPara {
            para_name: name,
            data_type: self.needed("data_type", faults).unwrap_or_else(|| "string".to_owned()),
            required: self.flag("required", faults),
            enum_list: self.parsed("enum_list", faults, enum_list::read),
            min: self.text("min"),
            max: self.text("max"),
            max_length: self.whole("max_length", faults),
            step: self.number("step", faults),
            unit: self.text("unit"),
            description: self.text("description"),
        }
    }
}

/// The text of a cell: whole numbers without a fraction, formulas and errors as nothing.
fn text_of(cell: &Data) -> String {
    match cell {
        Data::String(text) => text.trim().to_owned(),
        Data::Float(number) => number.to_string(),
        Data::Int(number) => number.to_string(),
        Data::Bool(flag) => flag.to_string(),
        Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::DateTime(time) => time.as_f64().to_string(),
        Data::Error(_) | Data::Empty => String::new(),
    }
}

/// The model as it grows, row by row.
#[derive(Default)]
struct Model {
    services: Vec<ServiceCapability>,
    faults: Vec<Fault>,
}

impl Model {
    /// The service of a row; made when it is named for the first time.
    fn service(&mut self, row: &Row<'_>) -> Option<&mut ServiceCapability> {
        let id = row.needed("service_id", &mut self.faults)?;
        let at = match self.services.iter().position(|s| s.service_id == id) {
            Some(at) => at,
            None => {
                let service_type = id.clone();
                self.services.push(ServiceCapability { service_id: id, service_type, ..ServiceCapability::default() });
                self.services.len() - 1
            }
        };
        self.services.get_mut(at)
    }

    fn take_service(&mut self, row: &Row<'_>) {
        let Some(service) = self.service(row) else { return };
        if let Some(service_type) = row.text("service_type") {
            service.service_type = service_type;
        }
        service.option = row.text("option");
        service.description = row.text("description");
    }

    fn take_property(&mut self, row: &Row<'_>) {
        let mut faults = Vec::new();
        let property = ServiceProperty {
            property_name: row.needed("property_name", &mut faults).unwrap_or_default(),
            data_type: row.needed("data_type", &mut faults).unwrap_or_else(|| "string".to_owned()),
            required: row.flag("required", &mut faults),
            enum_list: row.parsed("enum_list", &mut faults, enum_list::read),
            min: row.text("min"),
            max: row.text("max"),
            max_length: row.whole("max_length", &mut faults),
            step: row.number("step", &mut faults),
            unit: row.text("unit"),
            method: row.needed("method", &mut faults).map(|m| m.to_uppercase()).unwrap_or_else(|| "R".to_owned()),
            description: row.text("description"),
            // What is no JSON is a text, so that nobody must write quotes into a cell.
            default_value: row.text("default_value").map(|t| serde_json::from_str(&t).unwrap_or_else(|_| t.into())),
        };
        self.faults.append(&mut faults);
        if let Some(service) = self.service(row)
            && !property.property_name.is_empty()
        {
            service.properties.push(property);
        }
    }

    fn take_command(&mut self, row: &Row<'_>) {
        let mut faults = Vec::new();
        let command = row.needed("command_name", &mut faults);
        let para = row.text("para_name").map(|name| row.para(name, &mut faults));
        self.faults.append(&mut faults);
        let Some((service, name)) = self.service(row).zip(command) else { return };
        let at = service.commands.iter().position(|c| c.command_name == name).unwrap_or_else(|| {
            service.commands.push(ServiceCommand { command_name: name, ..ServiceCommand::default() });
            service.commands.len() - 1
        });
        let command = &mut service.commands[at];
        let Some(response) = row.text("response_name") else { return command.paras.extend(para) };
        let at = command.responses.iter().position(|r| r.response_name == response).unwrap_or_else(|| {
            command.responses.push(ServiceCommandResponse { response_name: response, paras: Vec::new() });
            command.responses.len() - 1
        });
        command.responses[at].paras.extend(para);
    }

    fn take_event(&mut self, row: &Row<'_>) {
        let mut faults = Vec::new();
        let event = row.needed("event_type", &mut faults);
        let para = row.text("para_name").map(|name| row.para(name, &mut faults));
        self.faults.append(&mut faults);
        let Some((service, name)) = self.service(row).zip(event) else { return };
        let at = service.events.iter().position(|e| e.event_type == name).unwrap_or_else(|| {
            service.events.push(ServiceEvent { event_type: name, paras: Vec::new() });
            service.events.len() - 1
        });
        service.events[at].paras.extend(para);
    }
}

#[cfg(test)]
mod tests {
    use rust_xlsxwriter::Workbook;

    use super::*;

    fn book(sheets: &[(&str, &[&[&str]])]) -> Vec<u8> {
        let mut book = Workbook::new();
        for (name, rows) in sheets {
            let sheet = book.add_worksheet();
            sheet.set_name(*name).expect("a name");
            for (r, row) in rows.iter().enumerate() {
                for (c, cell) in row.iter().enumerate() {
                    let (r, c) = (u32::try_from(r).expect("few"), u16::try_from(c).expect("few"));
                    match cell.parse::<f64>() {
                        Ok(number) => drop(sheet.write_number(r, c, number).expect("a cell")),
                        Err(_) => drop(sheet.write_string(r, c, *cell).expect("a cell")),
                    }
                }
            }
        }
        book.save_to_buffer().expect("a workbook")
    }

    #[test]
    fn chinese_titles_and_number_cells_are_read() {
        let bytes = book(&[(
            "属性",
            &[
                &["属性名称", "服务ID", "数据类型", "访问权限", "最小值", "最大值", "枚举值", "默认值"],
                &["temperature", "Thermo", "decimal", "rw", "-40", "85.5", "", "21"],
                &["mode", "Thermo", "enum", "RWE", "", "", "开，关", "开"],
            ],
        )]);
        let services = read(&bytes).expect("sound").services;
        let [temperature, mode] = &services[0].properties[..] else { panic!("two properties") };
        assert_eq!((temperature.min.as_deref(), temperature.max.as_deref()), (Some("-40"), Some("85.5")));
        assert_eq!((temperature.method.as_str(), &temperature.default_value), ("RW", &Some(21.into())));
        assert_eq!(mode.enum_list.as_deref(), Some(&["开".to_owned(), "关".to_owned()][..]));
        assert_eq!(mode.default_value, Some("开".into()));
    }

    #[test]
    fn every_fault_has_its_cell() {
        let bytes = book(&[
            (
                "Properties",
                &[
                    &["service_id", "property_name", "data_type", "method", "max_length", "required", "colour"],
                    &["S", "", "int", "R", "", "", ""],
                    &["S", "b", "float", "R", "many", "perhaps", ""],
                    &["", "c", "int", "R", "", "", ""],
                ],
            ),
            ("Commands", &[&["service_id", "command_name", "para_name"], &["S", "", "p"]]),
        ]);
        let error = read(&bytes).expect_err("faults");
        let told: Vec<&str> = error.faults().iter().map(|f| f.place.as_str()).collect();
        for expected in [
            "Sheet 'Properties', row 1",
            "Sheet 'Properties', row 2, column 'property_name'",
            "Sheet 'Properties', row 3, column 'max_length'",
            "Sheet 'Properties', row 3, column 'required'",
            "Sheet 'Properties', row 4, column 'service_id'",
            "Sheet 'Commands', row 2, column 'command_name'",
            "Sheet 'Commands', row 2, column 'data_type'",
            "Service 'S', property 'b'",
        ] {
            assert!(told.contains(&expected), "{expected} in {told:?}");
        }
    }

    #[test]
    fn a_workbook_of_something_else_is_refused() {
        let error = read(&book(&[("Sheet1", &[&["a"]])])).expect_err("no model");
        assert!(error.message().contains("none of the sheets"), "{error}");
    }
}
