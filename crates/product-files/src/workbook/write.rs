//! From a model to a workbook.

use causeway_model::Error;
use causeway_model::product::{ServiceCapability, ServiceCommandPara, ServiceProperty};
use rust_xlsxwriter::{Format, Workbook};

use super::columns::{COMMANDS, EVENTS, PROPERTIES, SERVICES, Sheet};
use crate::{enum_list, presets};

/// The cells of a row by field; fields that are not there stay empty.
type Cells = Vec<(&'static str, String)>;

/// Writes a workbook.
///
/// # Errors
/// Internal, when the workbook cannot be written.
pub fn write(services: &[ServiceCapability]) -> Result<Vec<u8>, Error> {
    let mut book = Workbook::new();
    add(&mut book, &SERVICES, services.iter().map(service).collect())?;
    add(&mut book, &PROPERTIES, services.iter().flat_map(|s| s.properties.iter().map(|p| property(s, p))).collect())?;
    add(&mut book, &COMMANDS, services.iter().flat_map(commands).collect())?;
    add(&mut book, &EVENTS, services.iter().flat_map(events).collect())?;
    book.save_to_buffer().map_err(Error::internal)
}

/// A workbook to fill in: the titles, and the first preset as an example.
///
/// # Errors
/// As [`write`].
pub fn template() -> Result<Vec<u8>, Error> {
    write(presets::all().first().map_or(&[], |p| p.services.as_slice()))
}

fn add(book: &mut Workbook, sheet: &'static Sheet, rows: Vec<Cells>) -> Result<(), Error> {
    let page = book.add_worksheet();
    page.set_name(sheet.name).map_err(Error::internal)?;
    let bold = Format::new().set_bold();
    for (at, column) in (0..).zip(sheet.columns) {
        page.write_string_with_format(0, at, column.title(), &bold).map_err(Error::internal)?;
        page.set_column_width(at, column.width).map_err(Error::internal)?;
    }
    page.set_freeze_panes(1, 0).map_err(Error::internal)?;
    for (number, cells) in (1..).zip(rows) {
        for (at, column) in (0..).zip(sheet.columns) {
            if let Some((_, text)) = cells.iter().find(|(field, text)| *field == column.field && !text.is_empty()) {
                page.write_string(number, at, text).map_err(Error::internal)?;
            }
        }
    }
    Ok(())
}

fn text<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map(T::to_string).unwrap_or_default()
}

fn list(value: &Option<Vec<String>>) -> String {
    value.as_deref().map(enum_list::write).unwrap_or_default()
}

fn service(s: &ServiceCapability) -> Cells {
    vec![
        ("service_id", s.service_id.clone()),
        ("service_type", s.service_type.clone()),
        ("option", text(&s.option)),
        ("description", text(&s.description)),
    ]
}

fn property(s: &ServiceCapability, p: &ServiceProperty) -> Cells {
    vec![
        ("service_id", s.service_id.clone()),
        ("property_name", p.property_name.clone()),
        ("data_type", p.data_type.clone()),
        ("method", p.method.clone()),
        ("required", text(&p.required)),
        ("min", text(&p.min)),
        ("max", text(&p.max)),
        ("step", text(&p.step)),
        ("max_length", text(&p.max_length)),
        ("unit", text(&p.unit)),
        ("enum_list", list(&p.enum_list)),
        ("default_value", text(&p.default_value)),
        ("description", text(&p.description)),
    ]
}

fn para(p: &ServiceCommandPara) -> Cells {
    vec![
        ("para_name", p.para_name.clone()),
        ("data_type", p.data_type.clone()),
        ("required", text(&p.required)),
        ("min", text(&p.min)),
        ("max", text(&p.max)),
        ("step", text(&p.step)),
        ("max_length", text(&p.max_length)),
        ("unit", text(&p.unit)),
        ("enum_list", list(&p.enum_list)),
        ("description", text(&p.description)),
    ]
}

/// A row for each parameter, or one without a parameter for something that has none.
fn rows_of<'a>(head: Cells, paras: &'a [ServiceCommandPara]) -> impl Iterator<Item = Cells> + 'a {
    let bare = paras.is_empty().then(|| head.clone());
    bare.into_iter().chain(paras.iter().map(move |p| head.iter().cloned().chain(para(p)).collect()))
}

fn commands(s: &ServiceCapability) -> Vec<Cells> {
    let mut rows = Vec::new();
    for command in &s.commands {
        let head: Cells = vec![("service_id", s.service_id.clone()), ("command_name", command.command_name.clone())];
        rows.extend(rows_of(head.clone(), &command.paras));
        for response in &command.responses {
            let mut head = head.clone();
            head.push(("response_name", response.response_name.clone()));
            rows.extend(rows_of(head, &response.paras));
        }
    }
    rows
}

fn events(s: &ServiceCapability) -> Vec<Cells> {
    let head = |e: &str| vec![("service_id", s.service_id.clone()), ("event_type", e.to_owned())];
    s.events.iter().flat_map(|e| rows_of(head(&e.event_type), &e.paras)).collect()
}
