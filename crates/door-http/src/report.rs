//! The JSON of property reports, read into what the road takes (001, tables 1 to 3; `iotda-device-access.md` §5).
//!
//! Text is borrowed from the body; the values of properties are not looked at here.

use std::borrow::Cow;

use causeway_model::event::{ServiceReport, Services};
use causeway_model::{Code, Error, Result, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct ReportBody<'a> {
    #[serde(borrow)]
    services: Vec<ServiceBody<'a>>,
}

#[derive(Deserialize)]
struct ServiceBody<'a> {
    #[serde(borrow)]
    service_id: Cow<'a, str>,
    #[serde(borrow)]
    properties: &'a RawValue,
    /// Anything: a bad time is no reason to lose a report.
    #[serde(borrow, default)]
    event_time: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct GatewayBody<'a> {
    #[serde(borrow)]
    devices: Vec<DeviceBody<'a>>,
}

#[derive(Deserialize)]
struct DeviceBody<'a> {
    #[serde(borrow)]
    device_id: Cow<'a, str>,
    #[serde(borrow)]
    services: Vec<ServiceBody<'a>>,
}

impl<'a> From<ServiceBody<'a>> for ServiceReport<'a> {
    fn from(body: ServiceBody<'a>) -> Self {
        let time = body.event_time.and_then(|t| t.get().strip_prefix('"')?.strip_suffix('"'));
        Self {
            service_id: body.service_id,
            properties: body.properties.get(),
            event_time: time.and_then(Timestamp::parse),
        }
    }
}

/// Says what is wrong and where, without repeating much of the body.
fn unreadable(error: &serde_json::Error) -> Error {
    /// Longest piece of the parser's words that is handed on: they may quote the body.
    const SHOWN: usize = 160;
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let what: String = text.strip_suffix(place.as_str()).unwrap_or(&text).chars().take(SHOWN).collect();
    Error::new(Code::InvalidInput, format!("Invalid input data. The body cannot be read{place}: {what}."))
}

fn services(bodies: Vec<ServiceBody<'_>>) -> Services<'_> {
    bodies.into_iter().map(ServiceReport::from).collect()
}

/// `{"services":[{"service_id","properties","event_time"?}]}`.
///
/// # Errors
/// [`Code::InvalidInput`].
pub(crate) fn report(body: &str) -> Result<Services<'_>> {
    let body: ReportBody<'_> = serde_json::from_str(body).map_err(|e| unreadable(&e))?;
    Ok(services(body.services))
}

/// `{"devices":[{"device_id","services":[…]}]}`.
///
/// # Errors
/// [`Code::InvalidInput`]; [`Code::TooManySubDevices`] above `limit`.
pub(crate) fn gateway_report(body: &str, limit: usize) -> Result<Vec<(Cow<'_, str>, Services<'_>)>> {
    let body: GatewayBody<'_> = serde_json::from_str(body).map_err(|e| unreadable(&e))?;
    if body.devices.len() > limit {
        return Err(Error::new(
            Code::TooManySubDevices,
            format!("The number of child devices in the request has reached the upper limit ({limit})."),
        ));
    }
    Ok(body.devices.into_iter().map(|d| (d.device_id, services(d.services))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_borrowed_and_values_stay_verbatim() {
        let body = r#"{"services":[{"service_id":"Temp","properties":{"v": 23.10},"event_time":"2021-08-13T10:10:10.555Z"},
            {"service_id":"a\"b","properties":7,"more":[]}],"more":1}"#;
        let read = report(body).expect("sound");
        assert!(matches!(read[0].service_id, Cow::Borrowed("Temp")));
        assert_eq!(read[0].properties, r#"{"v": 23.10}"#);
        assert_eq!(read[0].event_time, Some(Timestamp(1_628_849_410_555)));
        assert_eq!((&*read[1].service_id, read[1].properties, read[1].event_time), ("a\"b", "7", None));
    }

    #[test]
    fn a_bad_event_time_never_fails() {
        for time in ["null", "7", "{}", r#""yesterday""#, r#""""#, "\"", r#""2021-08-13 10:10:10""#] {
            let body = format!(r#"{{"services":[{{"service_id":"a","properties":{{}},"event_time":{time}}}]}}"#);
            match report(&body) {
                Ok(read) => assert_eq!(read[0].event_time, None, "{time}"),
                Err(_) => assert_eq!(time, "\"", "only what is no JSON at all fails"),
            }
        }
    }

    #[test]
    fn what_is_missing_or_of_another_kind_is_refused_with_its_place() {
        for (body, place) in [
            ("", "line 1 column 0"),
            ("{", "line 1 column 1"),
            ("[]", "line 1 column"),
            ("{}", "`services`"),
            (r#"{"services":null}"#, "sequence"),
            (r#"{"services":{}}"#, "sequence"),
            (r#"{"services":[1]}"#, "line 1 column 14"),
            (r#"{"services":[{"service_id":"T"}]}"#, "`properties`"),
            (r#"{"services":[{"properties":{}}]}"#, "`service_id`"),
            (r#"{"services":[{"service_id":7,"properties":{}}]}"#, "line 1 column 28"),
            (r#"{"services":[]} x"#, "line 1 column 17"),
        ] {
            let error = report(body).expect_err(body);
            assert_eq!(error.code(), Code::InvalidInput);
            assert!(error.message().contains(place), "{error} for {body}");
        }
        let long = format!(r#"{{"services":"{}"}}"#, "x".repeat(100_000));
        assert!(report(&long).expect_err("long").message().len() < 300);
    }

    #[test]
    fn gateways_report_for_as_many_as_allowed() {
        let body = |n: usize| {
            let devices = vec![r#"{"device_id":"c","services":[{"service_id":"s","properties":{}}]}"#; n];
            format!(r#"{{"devices":[{}]}}"#, devices.join(","))
        };
        assert_eq!(gateway_report(&body(50), 50).expect("sound").len(), 50);
        assert_eq!(gateway_report(&body(0), 50).expect("sound").len(), 0);
        let error = gateway_report(&body(51), 50).expect_err("too many");
        assert_eq!((error.code(), error.message().contains("(50)")), (Code::TooManySubDevices, true));
        for bad in ["{}", r#"{"devices":{}}"#, r#"{"devices":[{}]}"#, r#"{"devices":[{"device_id":"x"}]}"#] {
            assert_eq!(gateway_report(bad, 50).expect_err(bad).code(), Code::InvalidInput);
        }
    }
}
