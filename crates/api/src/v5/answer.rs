//! What a device answered, as applications get it.

use causeway_model::properties::write_json_string;
use causeway_model::{Code, Error, Result};
use causeway_platform::downlink::Answer;
use serde_json::value::RawValue;

/// The device's JSON as it was sent; as a string when it is other text.
///
/// # Errors
/// [`Code::CommandTimeout`] when it is no text at all: the device's answer did not come in a form that can be shown.
pub(super) fn verbatim(answer: Answer) -> Result<Box<RawValue>> {
    let text = String::from_utf8(answer.body).map_err(|_| {
        Error::new(
            Code::CommandTimeout,
            "The device answered with bytes that are neither JSON nor text. Check its firmware.",
        )
    })?;
    match serde_json::from_str::<&RawValue>(&text) {
        Ok(raw) => Ok(raw.to_owned()),
        Err(_) => quoted(&text),
    }
}

fn quoted(text: &str) -> Result<Box<RawValue>> {
    let mut json = String::with_capacity(text.len() + 2);
    write_json_string(&mut json, text);
    RawValue::from_string(json).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &[u8], expected: &str) {
        assert_eq!(verbatim(Answer { body: body.to_vec() }).expect("an answer").get(), expected);
    }

    #[test]
    fn json_stays_as_it_is_and_the_rest_is_text() {
        check(br#" {"result_code": 0, "n": 1.10} "#, r#"{"result_code": 0, "n": 1.10}"#);
        check(b"7", "7");
        check(b"", r#""""#);
        check(b"it's \"done\"\n", r#""it's \"done\"\n""#);
        let error = verbatim(Answer { body: b"\xff\xfe".to_vec() }).expect_err("no text");
        assert_eq!(error.code(), Code::CommandTimeout);
    }
}
