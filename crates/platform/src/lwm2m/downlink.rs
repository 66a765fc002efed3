//! What the platform asks of a device that speaks LwM2M or the older CoAP binding; the door translates it.

use bytes::Bytes;
use tokio::sync::oneshot;

/// Binary data for the device: a command as its codec wrote it, a codec's acknowledgement, or a PCP frame. The door
/// writes it to `/19/1/0`, or posts it to `/t/d`.
#[derive(Debug)]
pub struct BinaryDownlink {
    /// The bytes.
    pub payload: Bytes,
    /// To be told what became of it. Nobody needs to listen.
    pub done: oneshot::Sender<BinaryOutcome>,
}

/// What became of binary data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOutcome {
    /// The module acknowledged the frame with a code of success.
    Acknowledged,
    /// The module answered with an error, for example `404`, or with a reset (`0`).
    Refused(u16),
    /// No acknowledgement came within the time of all retransmissions.
    Silent,
    /// The registration ended, or was replaced, before an answer came.
    Gone,
}

/// An operation on an object of the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Read a resource, an instance or an object.
    Read,
    /// Replace a resource with this text.
    WriteText(String),
    /// Execute a resource without arguments.
    Execute,
    /// Observe a resource: its value is the answer; changes go to the use case that asked.
    Observe,
    /// Stop observing.
    CancelObserve,
}

/// An operation and where its answer goes.
#[derive(Debug)]
pub struct ObjectRequest {
    /// The path, for example `[5, 0, 3]`.
    pub path: Path,
    /// What to do.
    pub operation: Operation,
    /// The answer.
    pub answer: oneshot::Sender<Result<Vec<Value>, OperationFailed>>,
}

/// Object, instance, resource: one to three numbers.
pub type Path = smallvec::SmallVec<[u16; 4]>;

/// A resource and its value, whatever the format on the wire was.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// The whole path of the resource (and resource instance).
    pub path: Path,
    /// What it holds.
    pub content: Content,
}

/// The value of a resource. TLV and plain text do not name types: the door reads them by the type that the object has
/// in the registry, unknown resources as [`Content::Opaque`].
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Whole number, also of booleans (0, 1) and times (seconds).
    Integer(i64),
    /// Number with a fraction.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Opaque(Vec<u8>),
}

/// Why an operation has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationFailed {
    /// The device answered with an error code, for example `404`.
    Refused(u16),
    /// It answered what cannot be read.
    Malformed,
    /// It did not answer.
    Silent,
    /// Its registration ended.
    Gone,
}
