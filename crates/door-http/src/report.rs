//! Property reports: what the common reader refuses, in the words of this door (001, tables 1 to 3).

use causeway_model::event::Services;
use causeway_model::{Code, Error, Result};
use causeway_wire::report::{ReportError, SubDevices};

/// Says what is wrong and where, without repeating much of the body.
fn unreadable(error: &serde_json::Error) -> Error {
    /// Longest piece of the parser's words that is handed on: they may quote the body.
    const SHOWN: usize = 160;
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let what: String = text.strip_suffix(place.as_str()).unwrap_or(&text).chars().take(SHOWN).collect();
    Error::new(Code::InvalidInput, format!("Invalid input data. The body cannot be read{place}: {what}."))
}

fn refusal(error: &ReportError, limit: usize) -> Error {
    match error {
        ReportError::Text => Error::new(Code::InvalidInput, "Invalid input data. The body is not UTF-8."),
        ReportError::Json(error) => unreadable(error),
        ReportError::TooManyDevices => Error::new(
            Code::TooManySubDevices,
            format!("The number of child devices in the request has reached the upper limit ({limit})."),
        ),
    }
}

/// `{"services":[{"service_id","properties","event_time"?}]}`.
///
/// # Errors
/// [`Code::InvalidInput`].
pub(crate) fn report(body: &str) -> Result<Services<'_>> {
    causeway_wire::report::report(body.as_bytes()).map_err(|e| refusal(&e, 0))
}

/// `{"devices":[{"device_id","services":[…]}]}`.
///
/// # Errors
/// [`Code::InvalidInput`]; [`Code::TooManySubDevices`] above `limit`.
pub(crate) fn gateway_report(body: &str, limit: usize) -> Result<SubDevices<'_>> {
    causeway_wire::report::sub_device_report(body.as_bytes(), limit).map_err(|e| refusal(&e, limit))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use causeway_model::Timestamp;

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
            (r#"{"services":null}"#, "list of services"),
            (r#"{"services":{}}"#, "list of services"),
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
