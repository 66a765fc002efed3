//! The files that product models come in (002 §3.2): the vendor's zip of JSON profiles ([`profile`]), an Excel workbook
//! ([`workbook`]), and a library of ready models ([`presets`]).
//!
//! Bytes in, a [`ModelFile`] out, and back. A file is read whole or not at all: what is wrong with it is told as a list
//! of faults with their places. Nothing here does I/O; sizes are bounded before anything is unpacked.

mod enum_list;
pub mod presets;
pub mod profile;
pub mod workbook;

use causeway_model::product::{DataType, ServiceCapability, model_faults};
use causeway_model::{Code, Error, Fault};

/// Largest file read, in bytes. The model in it may not be larger than 500 KB anyway (`iotda-v5-api.md` §5).
pub const MAX_FILE: usize = 4 << 20;

/// Most bytes that a file may unpack to.
const MAX_UNPACKED: u64 = 16 << 20;

/// What a file says of the product itself. All fields may be missing; a workbook has none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProductHead {
    /// Kind of device.
    pub device_type: Option<String>,
    /// `MQTT`, `CoAP`, ….
    pub protocol_type: Option<String>,
    /// Who makes it.
    pub manufacturer_name: Option<String>,
}

/// A product model with what its file says of the product.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelFile {
    /// The product itself.
    pub product: ProductHead,
    /// The model.
    pub services: Vec<ServiceCapability>,
}

/// The two kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// The vendor's zip of JSON profiles.
    Profile,
    /// An Excel workbook.
    Workbook,
}

impl FileKind {
    /// Tells a workbook from a profile. Both are zip files; what is no zip file at all is neither.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).ok()?;
        let is_workbook = archive.file_names().any(|n| n == "xl/workbook.xml" || n == "[Content_Types].xml");
        Some(if is_workbook { Self::Workbook } else { Self::Profile })
    }
}

/// Reads a file of either kind.
///
/// # Errors
/// [`Code::InvalidModel`] with every fault and its place.
pub fn read(bytes: &[u8]) -> Result<ModelFile, Error> {
    if bytes.len() > MAX_FILE {
        return Err(unreadable(&format!("The file is larger than {} MB.", MAX_FILE >> 20)));
    }
    match FileKind::of(bytes) {
        Some(FileKind::Profile) => profile::read(bytes),
        Some(FileKind::Workbook) => workbook::read(bytes),
        None => Err(unreadable("It must be a zip file of JSON profiles, or an Excel workbook (.xlsx).")),
    }
}

fn unreadable(why: &str) -> Error {
    Error::new(Code::InvalidModel, format!("Invalid product model file. {why}"))
}

/// The model, unless there are faults in the file or in the model itself.
fn sound(
    product: ProductHead,
    mut services: Vec<ServiceCapability>,
    mut faults: Vec<Fault>,
) -> Result<ModelFile, Error> {
    for service in &mut services {
        canonical_types(service);
    }
    faults.extend(model_faults(&services));
    if faults.is_empty() {
        return Ok(ModelFile { product, services });
    }
    Err(Error::of_faults(Code::InvalidModel, "Invalid product model file.", faults))
}

/// Older files write `bool`, `dateTime` or `array`; the API shows the names of today.
fn canonical_types(service: &mut ServiceCapability) {
    let canonical = |name: &mut String| {
        if let Some(data_type) = DataType::parse(name) {
            *name = data_type.as_str().to_owned();
        }
    };
    service.properties.iter_mut().for_each(|p| canonical(&mut p.data_type));
    let commands = service.commands.iter_mut();
    let of_commands =
        commands.flat_map(|c| c.paras.iter_mut().chain(c.responses.iter_mut().flat_map(|r| r.paras.iter_mut())));
    let of_events = service.events.iter_mut().flat_map(|e| e.paras.iter_mut());
    of_commands.chain(of_events).for_each(|p| canonical(&mut p.data_type));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_model_file_is_refused_with_a_sentence() {
        for bytes in [&b""[..], b"PK", b"PK\x03\x04 not a zip", b"{\"services\":[]}"] {
            let error = read(bytes).expect_err("no model file");
            assert_eq!(error.code(), Code::InvalidModel);
            assert!(error.message().contains("must be a zip file"), "{error}");
        }
        assert!(read(&vec![0; MAX_FILE + 1]).expect_err("too large").message().contains("larger than 4 MB"));
    }

    #[test]
    fn every_preset_survives_both_formats() {
        for preset in presets::all() {
            let file = ModelFile {
                product: ProductHead {
                    device_type: Some(preset.device_type.clone()),
                    protocol_type: Some(preset.protocol_type.clone()),
                    manufacturer_name: Some("Maker".to_owned()),
                },
                services: preset.services.clone(),
            };
            let zipped = profile::write(&file).expect("a zip");
            assert_eq!(FileKind::of(&zipped), Some(FileKind::Profile));
            assert_eq!(read(&zipped).expect("reads back"), file, "{}", preset.id);
            let book = workbook::write(&file.services).expect("a workbook");
            assert_eq!(FileKind::of(&book), Some(FileKind::Workbook));
            assert_eq!(read(&book).expect("reads back").services, file.services, "{}", preset.id);
        }
    }
}
