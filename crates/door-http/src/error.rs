//! The one table from the platform's errors to answers of this door.

use bytes::Bytes;
use causeway_model::properties::write_json_string;
use causeway_model::{Code, Error, Kind};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};

use crate::file::Content;

/// A body.
pub(crate) enum Body {
    /// A short text.
    Text(Bytes),
    /// A file.
    File(Content),
}

impl Default for Body {
    fn default() -> Self {
        Self::Text(Bytes::new())
    }
}

/// An answer.
pub(crate) type Answer = Response<Body>;

/// 001, tables of HTTP status codes; `iotda-v5-api.md` §4 for the codes that 001 does not name.
fn status_of(code: Code) -> StatusCode {
    match code {
        Code::NoSuchMethod => StatusCode::METHOD_NOT_ALLOWED,
        Code::FileTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::NoSuchRange => StatusCode::RANGE_NOT_SATISFIABLE,
        Code::NoRoomForFile => StatusCode::INSUFFICIENT_STORAGE,
        Code::RateLimited | Code::TenantRateLimited => StatusCode::FORBIDDEN,
        code => match code.kind() {
            Kind::Invalid => StatusCode::BAD_REQUEST,
            Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
            Kind::Forbidden => StatusCode::FORBIDDEN,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::Overloaded => StatusCode::TOO_MANY_REQUESTS,
            Kind::NotBuilt => StatusCode::NOT_IMPLEMENTED,
            Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::DeviceTimeout => StatusCode::GATEWAY_TIMEOUT,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        },
    }
}

/// 200 with a JSON body, or without any.
pub(crate) fn ok(json: Option<String>) -> Answer {
    match json {
        None => Response::new(Body::default()),
        Some(text) => with_json(text),
    }
}

fn with_json(text: String) -> Answer {
    let mut answer = Response::new(Body::Text(Bytes::from(text)));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// `{"error_code":"…","error_msg":"…"}` with the status of the code. What only the operator may read goes to the log.
pub(crate) fn refusal(error: &Error) -> Answer {
    match error.kind() {
        Kind::Internal => tracing::error!(?error, "a device's request failed"),
        Kind::Unavailable => tracing::debug!(?error, "a device's request could not be served"),
        _ => {}
    }
    let mut text = String::with_capacity(64 + error.message().len());
    text.push_str(r#"{"error_code":"#);
    write_json_string(&mut text, error.code().as_str());
    text.push_str(r#","error_msg":"#);
    write_json_string(&mut text, error.message());
    text.push('}');
    let mut answer = with_json(text);
    *answer.status_mut() = status_of(error.code());
    match error.kind() {
        _ if error.code() == Code::NoSuchMethod => {
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        }
        Kind::Overloaded | Kind::Unavailable => {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_those_of_the_tables() {
        for (code, status) in [
            (Code::Unauthenticated, 401),
            (Code::InvalidAccessToken, 403),
            (Code::InvalidInput, 400),
            (Code::RateLimited, 403),
            (Code::TenantRateLimited, 403),
            (Code::TooManySubDevices, 403),
            (Code::NotASubDevice, 400),
            (Code::ReportTooLarge, 403),
            (Code::NoSuchPath, 404),
            (Code::NoSuchMethod, 405),
            (Code::Unavailable, 503),
        ] {
            assert_eq!(status_of(code).as_u16(), status, "{}", code.as_str());
        }
    }
}
