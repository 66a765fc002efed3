//! The JSON of property reports, the same at the MQTT and the HTTPS door (002 §2.1.2.8.1, §2.1.2.8.2; 001 tables 1 to 3), read
//! without copying. The values of properties are not looked at here.

use std::borrow::Cow;
use std::fmt;

use causeway_model::Timestamp;
use causeway_model::event::{ServiceReport, Services};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Why a report could not be read.
#[derive(Debug)]
pub enum ReportError {
    /// Not UTF-8.
    Text,
    /// Not JSON of the documented form; the parser says where.
    Json(serde_json::Error),
    /// More devices than the limit.
    TooManyDevices,
}

/// Devices and what each reported.
pub type SubDevices<'a> = Vec<(Cow<'a, str>, Services<'a>)>;

/// Reads `{"services":[{"service_id","properties":{},"event_time"?}]}`. Unknown keys are passed over, of a repeated key the
/// last one counts, and an event time of any type or form never fails the report (A1.13).
///
/// # Errors
/// [`ReportError::Text`], [`ReportError::Json`].
pub fn report(payload: &[u8]) -> Result<Services<'_>, ReportError> {
    read(payload, ServicesObject)
}

/// Reads `{"devices":[{"device_id","services":[…]}]}`.
///
/// # Errors
/// As [`report`]; [`ReportError::TooManyDevices`] beyond `limit`.
pub fn sub_device_report(payload: &[u8], limit: usize) -> Result<SubDevices<'_>, ReportError> {
    let devices = read(payload, DevicesObject { limit })?;
    if devices.len() > limit { Err(ReportError::TooManyDevices) } else { Ok(devices) }
}

fn read<'de, S: DeserializeSeed<'de>>(payload: &'de [u8], seed: S) -> Result<S::Value, ReportError> {
    let text = std::str::from_utf8(payload).map_err(|_| ReportError::Text)?;
    let mut json = serde_json::Deserializer::from_str(text);
    seed.deserialize(&mut json).and_then(|value| json.end().map(|()| value)).map_err(ReportError::Json)
}

/// A string borrowed from the payload, or owned when it holds escapes.
pub struct Text<'a>(pub Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        d.deserialize_str(TextVisitor)
    }
}

/// An event time: `None` for every value that is not one of the two documented forms.
struct EventTime(Option<Timestamp>);

impl<'de> Deserialize<'de> for EventTime {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(d)?.get();
        // A time holds no character that JSON escapes.
        let text = raw.strip_prefix('"').and_then(|r| r.strip_suffix('"'));
        Ok(Self(text.and_then(Timestamp::parse)))
    }
}

/// The keys of a report that matter.
enum Key {
    Devices,
    DeviceId,
    Services,
    ServiceId,
    Properties,
    EventTime,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_str<E>(self, key: &str) -> Result<Key, E> {
                Ok(match key {
                    "services" => Key::Services,
                    "service_id" => Key::ServiceId,
                    "properties" => Key::Properties,
                    "event_time" => Key::EventTime,
                    "devices" => Key::Devices,
                    "device_id" => Key::DeviceId,
                    _ => Key::Other,
                })
            }
        }
        d.deserialize_str(KeyVisitor)
    }
}

macro_rules! seed {
    ($seed:ident, $method:ident, $value:ty) => {
        impl<'de> DeserializeSeed<'de> for $seed {
            type Value = $value;
            fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
                d.$method(self)
            }
        }
    };
}

/// `{"services":[…]}`
struct ServicesObject;
seed!(ServicesObject, deserialize_map, Services<'de>);

impl<'de> Visitor<'de> for ServicesObject {
    type Value = Services<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with services")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut services = None;
        while let Some(key) = map.next_key()? {
            match key {
                Key::Services => services = Some(map.next_value_seed(ServiceList)?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        services.ok_or_else(|| A::Error::missing_field("services"))
    }
}

/// `[{"service_id",…}]`
struct ServiceList;
seed!(ServiceList, deserialize_seq, Services<'de>);

impl<'de> Visitor<'de> for ServiceList {
    type Value = Services<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of services")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut services = Services::new();
        while let Some(service) = seq.next_element_seed(ServiceObject)? {
            services.push(service);
        }
        Ok(services)
    }
}

/// `{"service_id","properties":{},"event_time"?}`
struct ServiceObject;
seed!(ServiceObject, deserialize_map, ServiceReport<'de>);

impl<'de> Visitor<'de> for ServiceObject {
    type Value = ServiceReport<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a service")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut service_id, mut properties, mut event_time) = (None, None, None);
        while let Some(key) = map.next_key()? {
            match key {
                Key::ServiceId => service_id = Some(map.next_value::<Text<'de>>()?.0),
                Key::Properties => properties = Some(map.next_value::<&'de RawValue>()?.get()),
                Key::EventTime => event_time = map.next_value::<EventTime>()?.0,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(ServiceReport {
            service_id: service_id.ok_or_else(|| A::Error::missing_field("service_id"))?,
            properties: properties.ok_or_else(|| A::Error::missing_field("properties"))?,
            event_time,
        })
    }
}

/// `{"devices":[…]}`
struct DevicesObject {
    limit: usize,
}
seed!(DevicesObject, deserialize_map, SubDevices<'de>);

impl<'de> Visitor<'de> for DevicesObject {
    type Value = SubDevices<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with devices")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut devices = None;
        while let Some(key) = map.next_key()? {
            match key {
                Key::Devices => devices = Some(map.next_value_seed(DeviceList { limit: self.limit })?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        devices.ok_or_else(|| A::Error::missing_field("devices"))
    }
}

/// `[{"device_id","services":[…]}]`, one more than the limit at most.
struct DeviceList {
    limit: usize,
}
seed!(DeviceList, deserialize_seq, SubDevices<'de>);

impl<'de> Visitor<'de> for DeviceList {
    type Value = SubDevices<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of devices")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut devices = Vec::new();
        while devices.len() <= self.limit {
            match seq.next_element_seed(DeviceObject)? {
                Some(device) => devices.push(device),
                None => return Ok(devices),
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(devices)
    }
}

/// `{"device_id","services":[…]}`
struct DeviceObject;

impl<'de> DeserializeSeed<'de> for DeviceObject {
    type Value = (Cow<'de, str>, Services<'de>);
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DeviceObject {
    type Value = (Cow<'de, str>, Services<'de>);
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a device")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut device_id, mut services) = (None, None);
        while let Some(key) = map.next_key()? {
            match key {
                Key::DeviceId => device_id = Some(map.next_value::<Text<'de>>()?.0),
                Key::Services => services = Some(map.next_value_seed(ServiceList)?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let device_id = device_id.ok_or_else(|| A::Error::missing_field("device_id"))?;
        Ok((device_id, services.ok_or_else(|| A::Error::missing_field("services"))?))
    }
}

#[cfg(test)]
mod tests;
