//! The vendor's model package: a zip with `profile/devicetype-capability.json` and, for each service type,
//! `service/{type}/profile/servicetype-capability.json` (vendor's page "Developing a Product Model Offline").
//!
//! Read generously: a folder around the whole, any order, either spelling of the file names (`servicetype-…`,
//! `serviceType-…`), numbers as numbers or texts, `null` for what is not there. What is beside these files (codec
//! plug-ins, pictures) is passed over.

mod fields;
mod read;
mod write;

pub use read::read;
pub use write::write;
