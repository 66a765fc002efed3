//! Errors on this wire: one table from kind and code to HTTP status (`iotda-v5-api.md` §4), one body.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use causeway_model::{Code, Error, Kind};
use serde::Serialize;

/// The HTTP status of a code.
#[must_use]
pub fn status_of(code: Code) -> StatusCode {
    match code {
        // The vendor counts a full rate limit among what is forbidden; its SDKs retry 429 only when told to.
        Code::RateLimited | Code::TenantRateLimited => StatusCode::FORBIDDEN,
        Code::NoSuchMethod => StatusCode::METHOD_NOT_ALLOWED,
        Code::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::NoRoomForFile => StatusCode::INSUFFICIENT_STORAGE,
        code => match code.kind() {
            Kind::Invalid | Kind::Conflict => StatusCode::BAD_REQUEST,
            Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
            Kind::Forbidden => StatusCode::FORBIDDEN,
            Kind::NotFound => StatusCode::NOT_FOUND,
            // A command that the device left unanswered was carried out by the platform as asked: the vendor's public
            // error list has it with 200, and the SDK's answer type carries `error_code` and `error_msg` for it. With
            // 4xx or 5xx the SDK would throw, and with 5xx proxies would repeat what the device may have done already.
            Kind::DeviceTimeout => StatusCode::OK,
            Kind::Overloaded => StatusCode::TOO_MANY_REQUESTS,
            Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Kind::NotBuilt => StatusCode::NOT_IMPLEMENTED,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        },
    }
}

/// Both fields must be there, or the SDK looks elsewhere for them (`iotda-v5-api.md` §1.2).
#[derive(Serialize)]
struct Body<'a> {
    error_code: &'a str,
    error_msg: &'a str,
    /// Every fault of a file or document with its place; the SDK skips what it does not know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Place<'a>>,
}

#[derive(Serialize)]
struct Place<'a> {
    place: &'a str,
    reason: &'a str,
}

/// The answer that tells the client of an error.
pub(crate) fn answer(error: &Error) -> Response {
    let errors = error.faults().iter().map(|f| Place { place: &f.place, reason: &f.reason }).collect();
    let body = Body { error_code: error.code().as_str(), error_msg: error.message(), errors };
    let body = serde_json::to_vec(&body).expect("texts always make JSON");
    let status = status_of(error.code());
    let mut response = (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
    if error.is_retryable() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: Code, status: u16) {
        assert_eq!(status_of(code).as_u16(), status, "{code:?}");
    }

    #[test]
    fn statuses_follow_the_sheet() {
        check(Code::Unauthenticated, 401);
        check(Code::InvalidAccessToken, 403);
        check(Code::InvalidInput, 400);
        check(Code::BadRequest, 400);
        check(Code::LimitOutOfRange, 400);
        check(Code::AppNotFound, 403);
        check(Code::InvalidApp, 400);
        check(Code::NoSuchModel, 400);
        check(Code::ProductNotFound, 404);
        check(Code::DeviceNotFound, 404);
        check(Code::DeviceExists, 400);
        check(Code::DeviceOffline, 403);
        check(Code::InvalidGateway, 400);
        check(Code::ShadowVersion, 400);
        check(Code::CommandTimeout, 200);
        check(Code::TooManyPending, 429);
        check(Code::RateLimited, 403);
        check(Code::NotBuilt, 501);
        check(Code::NoSuchPath, 404);
        check(Code::NoSuchMethod, 405);
        check(Code::BodyTooLarge, 413);
        check(Code::Unavailable, 503);
    }

    /// Only what the platform itself does wrong, cannot do now or has not learnt is 5xx.
    #[test]
    fn bad_input_is_never_5xx() {
        for code in Code::ALL {
            let own_fault = matches!(code.kind(), Kind::Internal | Kind::Unavailable | Kind::NotBuilt);
            assert_eq!(status_of(*code).is_server_error(), own_fault, "{code:?}");
        }
    }

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Code::ALL.len());
    }
}
