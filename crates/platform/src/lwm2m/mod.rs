//! Devices that come over CoAP: what the platform asks of them, and what it makes of what they say.

mod downlink;

pub use downlink::{BinaryDownlink, BinaryOutcome, Content, ObjectRequest, Operation, OperationFailed, Path, Value};
