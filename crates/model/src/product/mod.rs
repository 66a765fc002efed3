//! Product models: what a device of a product can report, be set to and be commanded to do.
//!
//! [`ServiceCapability`] and its parts are the document form of a model, with the field names of the vendor's model
//! files and API (`iotda-v5-api.md`, shared models); that form is stored and exchanged. [`CompiledModel`] is made from
//! it once per product version and checks messages without parsing anything but the message.

mod check;
mod compiled;
mod document;

pub use check::{check_model, model_faults};
pub use compiled::{CompiledModel, CompiledService, Mismatch, MismatchReason, Strictness};
pub use document::{
    DataType, ServiceCapability, ServiceCommand, ServiceCommandPara, ServiceCommandResponse, ServiceEvent,
    ServiceProperty,
};
