//! What a device can say, typed, as every door hands it to the road. Borrowed from the door's read buffer.

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::service_event::Events;
use crate::time::Timestamp;

/// One service of a property report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceReport<'a> {
    /// The service named by the device.
    pub service_id: Cow<'a, str>,
    /// The raw JSON text of `properties`.
    pub properties: &'a str,
    /// When the device measured; `None` when it did not say or said it badly (then arrival counts, A1.13).
    pub event_time: Option<Timestamp>,
}

/// When and under which id an event was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard<'a> {
    /// When the platform took it.
    pub at: Timestamp,
    /// The id the device gave it (`?request_id=…`), shown to applications in place of one that the platform makes.
    pub request_id: Option<&'a str>,
}

impl Heard<'_> {
    /// An event without an id of its own.
    #[must_use]
    pub fn at(at: Timestamp) -> Self {
        Self { at, request_id: None }
    }
}

/// The services of one report.
pub type Services<'a> = SmallVec<[ServiceReport<'a>; 2]>;

/// What a device answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnswerKind {
    /// A command.
    Command,
    /// A property set.
    PropertySet,
    /// A property get.
    PropertyGet,
}

/// What a device says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceEvent<'a> {
    /// Properties of the device itself.
    Report(Services<'a>),
    /// Properties of devices behind it.
    SubDeviceReport(Vec<(Cow<'a, str>, Services<'a>)>),
    /// Data that the product model does not describe.
    Message {
        /// The topic or path it came on, as notifications show it.
        topic: &'a str,
        /// The device it speaks for, when not itself.
        object_device_id: Option<Cow<'a, str>>,
        /// Any bytes.
        payload: &'a [u8],
    },
    /// Events of services, its own or of a device behind it.
    Events(Events<'a>),
    /// The answer to something the platform asked.
    Answer {
        /// What was asked.
        kind: AnswerKind,
        /// The id the platform gave, verbatim.
        request_id: &'a str,
        /// The body, verbatim.
        body: &'a [u8],
    },
}
