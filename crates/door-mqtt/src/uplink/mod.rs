//! From a device's payload to a typed event.

pub(crate) mod events;
pub(crate) mod gzip;
pub(crate) mod message;
pub(crate) mod publication;
pub(crate) mod report;
pub(crate) mod shadow;

/// Why a payload could not be read. The connection lives on; the PUBLISH is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Not JSON of the documented form.
    Json,
    /// `?encoding=` names something else than gzip, or the gzip data is damaged.
    Encoding,
    /// Larger than the limit once unpacked.
    TooLarge,
    /// More devices in one report than the limit.
    TooManyDevices,
    /// More events in one envelope than the limit.
    TooManyEvents,
    /// Properties that are no object, or nest too deep.
    Properties,
}

impl Malformed {
    /// The word for metrics and logs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Encoding => "encoding",
            Self::TooLarge => "too_large",
            Self::TooManyDevices => "too_many_devices",
            Self::TooManyEvents => "too_many_events",
            Self::Properties => "properties",
        }
    }
}

/// Whether a JSON text begins as an object. Derived readers would take an array of the members too.
fn begins_object(payload: &[u8]) -> bool {
    payload.iter().find(|b| !b.is_ascii_whitespace()).is_some_and(|b| *b == b'{')
}
