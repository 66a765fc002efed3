//! The way of every request: find the operation, know the caller, read the body, call the handler, write the answer.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use causeway_model::{Code, Error, Kind, Result, Spaces};
use causeway_platform::Platform;
use causeway_platform::secrets::random_hex;
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::sync::OwnedSemaphorePermit;

use crate::audit::{self, Draft};
use crate::auth::Claim;
use crate::call::{Call, Query, Reply};
use crate::error;
use crate::multipart;
use crate::operation::{Access, Base, Operation};
use crate::serve::Peer;
use crate::state::{ApiState, BODY_UNIT};
use crate::v5::operations;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROJECT_HEADER: HeaderName = HeaderName::from_static("x-project-id");
const INSTANCE_HEADER: HeaderName = HeaderName::from_static("instance-id");

/// A body that is refused is read on and thrown away up to here, so that a client that sends first and listens
/// afterwards gets the answer instead of a broken connection.
const DISCARD_MAX: usize = 64 << 20;

/// … and for so long at most.
const DISCARD_FOR: Duration = Duration::from_secs(10);

/// Bytes of a body that is read for a caller who is not known yet: a request for a token needs a few hundred.
const STRANGER_BODY_MAX: usize = 16 << 10;

/// All operations of one path.
type Group = Arc<[&'static Operation]>;

/// The application interface as a service: every operation of the table, JSON errors for every other address.
pub fn router(state: ApiState) -> Router {
    let mut groups: BTreeMap<String, Vec<&'static Operation>> = BTreeMap::new();
    for operation in operations::all() {
        groups.entry(operation.full_path()).or_default().push(operation);
    }
    let mut router = Router::new();
    for (path, operations) in groups {
        let group: Group = operations.into();
        let serve = move |State(state): State<ApiState>,
                          params: std::result::Result<RawPathParams, RawPathParamsRejection>,
                          request: Request| {
            let group = group.clone();
            async move { serve(state, &group, params, request).await }
        };
        router = router.route(&path, any(serve));
    }
    router.fallback(no_such_path).with_state(state)
}

/// One request, for the answer's header, the log and the metrics.
struct Trace {
    request_id: String,
    began: Instant,
    operation: &'static str,
}

impl Trace {
    fn begin() -> Self {
        Self { request_id: random_hex(16), began: Instant::now(), operation: "unknown" }
    }

    fn finish(&self, head: &Parts, outcome: Result<Response>) -> Response {
        let mut code = "";
        let mut response = outcome.unwrap_or_else(|error| {
            code = error.code().as_str();
            if let Some(detail) = error.detail()
                && matches!(error.kind(), Kind::Internal | Kind::Unavailable)
            {
                tracing::error!(
                    request_id = self.request_id,
                    operation = self.operation,
                    code,
                    detail,
                    "a request failed"
                );
            }
            error::answer(&error)
        });
        let status = response.status();
        metrics::counter!("causeway_http_requests_total", "operation" => self.operation, "status" => status.as_str().to_owned())
            .increment(1);
        // The path alone: a query may hold what its sender would not want in a log.
        tracing::debug!(
            request_id = self.request_id,
            operation = self.operation,
            method = head.method.as_str(),
            path = head.uri.path(),
            status = status.as_u16(),
            code,
            elapsed_us = self.began.elapsed().as_micros() as u64,
            "request"
        );
        if let Ok(value) = HeaderValue::from_str(&self.request_id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        response
    }
}

async fn no_such_path(request: Request) -> Response {
    let (head, body) = request.into_parts();
    discard(&head.headers, body).await;
    let error = Error::new(Code::NoSuchPath, "There is no such path. GET /v5/openapi.json lists all operations.");
    Trace::begin().finish(&head, Err(error))
}

async fn serve(
    state: ApiState,
    group: &[&'static Operation],
    params: std::result::Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
) -> Response {
    let mut trace = Trace::begin();
    let (head, body) = request.into_parts();
    let Some(operation) = group.iter().find(|o| o.verb.serves(&head.method)) else {
        discard(&head.headers, body).await;
        return trace.finish(&head, Ok(no_such_method(group)));
    };
    trace.operation = operation.id;
    let mut draft = audit::is_recorded(operation).then(|| {
        let peer = head.extensions.get::<Peer>().copied();
        Draft::new(operation, state.platform().clock.now(), &trace.request_id, peer)
    });
    let outcome = serve_operation(state.clone(), operation, params, &head, body, &mut draft).await;
    if let Some(draft) = draft {
        // It was refused before it began.
        draft.leave(state.platform(), &outcome).await;
    }
    trace.finish(&head, outcome.map(Reply::into_response))
}

fn no_such_method(group: &[&'static Operation]) -> Response {
    let allowed: Vec<&str> = group.iter().map(|o| o.verb.as_str()).collect();
    let allowed = allowed.join(", ");
    let message = format!("The path does not take this method; it takes {allowed}.");
    let mut response = error::answer(&Error::new(Code::NoSuchMethod, message));
    if let Ok(value) = HeaderValue::from_str(&allowed) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}

async fn serve_operation(
    state: ApiState,
    operation: &'static Operation,
    params: std::result::Result<RawPathParams, RawPathParamsRejection>,
    head: &Parts,
    body: Body,
    draft: &mut Option<Draft>,
) -> Result<Reply> {
    let claim = if operation.needs_caller() {
        match Claim::read(state.platform(), head).await {
            Ok(claim) => Some(claim),
            Err(error) => {
                discard(&head.headers, body).await;
                return Err(error);
            }
        }
    } else {
        None
    };
    if let (Some(draft), Some(claim)) = (draft.as_mut(), &claim) {
        draft.claims(claim.credential());
    }
    let limit = match claim {
        Some(_) if operation.built.is_some_and(|b| b.file.is_some() || b.large) => state.settings().max_upload.0,
        Some(_) => state.settings().max_body.0,
        None => state.settings().max_body.0.min(STRANGER_BODY_MAX),
    };
    let (body, room) = read_body(&state, &head.headers, body, limit).await?;
    let caller = match claim {
        Some(claim) => {
            let caller = claim.verify(head, &body)?;
            if let Some(draft) = draft.as_mut() {
                draft.called_by(&caller);
            }
            check_tenant(&state, head)?;
            Some(caller)
        }
        None => None,
    };
    let path = params
        .map_err(|_| Error::new(Code::BadRequest, "Invalid input. The path is not percent-encoded UTF-8."))?
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect::<Vec<_>>();
    if let Some(draft) = draft.as_mut() {
        draft.goes_to(&path);
    }
    if operation.base == Base::Project {
        check_project(&state, path.iter().find(|(n, _)| n == "project_id").map(|(_, v)| v.as_str()))?;
    }
    let Some(built) = operation.built else {
        return Err(Error::new(
            Code::NotBuilt,
            format!(
                "The operation {} ({} {}) is not built yet.",
                operation.id,
                operation.verb.as_str(),
                operation.full_path()
            ),
        ));
    };
    if built.body.is_some() && !body.is_empty() {
        check_media_type(&head.headers)?;
    }
    let form = match built.file {
        Some(_) => Some(multipart::read(&head.headers, body.clone()).await?),
        None => None,
    };
    let query = Query::parse(head.uri.query().unwrap_or_default())?;
    let limit = time_limit(state.settings().request_timeout.0, state.platform().settings.command.timeout.0);
    let allowed = match &caller {
        // The handler asks once it knows whom the request is about.
        Some(_) if built.access == Access::Account => Spaces::Only(Arc::from([])),
        Some(caller) => state.platform().allowed_spaces(caller, operation.action).await?,
        None => Spaces::All,
    };
    let host = head.uri.authority().map(|a| a.as_str());
    let host = host.or_else(|| head.headers.get(header::HOST)?.to_str().ok()).filter(|h| is_host(h)).map(str::to_owned);
    let from = head.extensions.get::<Peer>().map(|p| p.0);
    let note = draft.as_ref().map(|d| d.note().clone()).unwrap_or_default();
    if let Some(draft) = draft.as_mut() {
        draft.locate(state.platform()).await?;
    }
    let platform = state.platform().clone();
    let call = Call { state, operation, caller, from, host, note, allowed, path, query, body, form };
    let work = async move {
        let _room = room;
        call.check_path().await?;
        (built.handler)(call).await
    };
    finish(operation, work, limit, draft.take().map(|draft| (platform, draft))).await
}

/// Whether a text can be repeated as the host of a URL.
fn is_host(text: &str) -> bool {
    (1..=260).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
}

/// Carries the work out to its end even when the client goes away: a change that is stored must also be announced, and
/// stand in the audit log.
async fn finish(
    operation: &'static Operation,
    work: impl Future<Output = Result<Reply>> + Send + 'static,
    limit: Duration,
    draft: Option<(Arc<Platform>, Draft)>,
) -> Result<Reply> {
    let task = tokio::spawn(async move {
        let outcome = match AssertUnwindSafe(tokio::time::timeout(limit, work)).catch_unwind().await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Error::unavailable(format!("{} took longer than {limit:?}", operation.id))),
            Err(_) => Err(Error::internal(format!("{} panicked", operation.id))),
        };
        if let Some((platform, draft)) = draft {
            draft.leave(&platform, &outcome).await;
        }
        outcome
    });
    task.await.unwrap_or_else(|fault| Err(Error::internal(format!("{} failed: {fault}", operation.id))))
}

/// Calls that wait for a device must be able to wait as long as they may.
fn time_limit(request: Duration, command: Duration) -> Duration {
    request.max(command + Duration::from_secs(5))
}

fn check_project(state: &ApiState, named: Option<&str>) -> Result<()> {
    if named == Some(state.platform().instance.project_id.as_str()) {
        return Ok(());
    }
    Err(Error::new(Code::WrongProject, "Operation not allowed. The project in the path is not the caller's."))
}

/// Headers that name a project or an instance must name this one (`iotda-v5-api.md` §1.1).
fn check_tenant(state: &ApiState, head: &Parts) -> Result<()> {
    let instance = &state.platform().instance;
    let names = |header: &HeaderName, own: &str| {
        head.headers.get(header).is_none_or(|v| v.is_empty() || v.as_bytes() == own.as_bytes())
    };
    if !names(&PROJECT_HEADER, instance.project_id.as_str()) {
        return Err(Error::new(
            Code::WrongProject,
            "Operation not allowed. The project in 'X-Project-Id' is not the caller's.",
        ));
    }
    if !names(&INSTANCE_HEADER, instance.id.as_str()) {
        return Err(Error::new(
            Code::WrongProject,
            "Operation not allowed. The instance in 'Instance-Id' is not served here.",
        ));
    }
    Ok(())
}

/// The SDK writes `application/json` with and without a charset; only the type counts.
fn check_media_type(headers: &HeaderMap) -> Result<()> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Error::new(
        Code::BadRequest,
        "Invalid input. The body must be JSON with the header 'Content-Type: application/json'.",
    ))
}

fn too_large(limit: usize) -> Error {
    Error::new(Code::BodyTooLarge, format!("Invalid input. The body is larger than {limit} bytes."))
}

/// A part of the memory for bodies, given back when dropped.
type Room = Option<OwnedSemaphorePermit>;

/// Reads a body of at most `limit` bytes. Memory for it is taken before its first byte is read.
async fn read_body(state: &ApiState, headers: &HeaderMap, mut body: Body, limit: usize) -> Result<(Bytes, Room)> {
    if body.is_end_stream() {
        return Ok((Bytes::new(), None));
    }
    let announced = announced_length(headers);
    if announced.is_some_and(|n| n > limit as u64) {
        discard(headers, body).await;
        return Err(too_large(limit));
    }
    let deadline = tokio::time::Instant::now() + state.settings().body_timeout.0;
    let expected = announced.map_or(limit, |n| usize::try_from(n).unwrap_or(limit));
    let units = u32::try_from(expected.div_ceil(BODY_UNIT)).unwrap_or(u32::MAX);
    let room = match tokio::time::timeout_at(deadline, state.body_room().clone().acquire_many_owned(units)).await {
        Ok(room) => Some(room.map_err(Error::internal)?),
        Err(_) => {
            discard(headers, body).await;
            return Err(Error::unavailable("bodies of other requests take all of api.body_memory"));
        }
    };
    let mut whole: Vec<u8> = Vec::new();
    loop {
        let frame = match tokio::time::timeout_at(deadline, body.frame()).await {
            Err(_) => return Err(Error::new(Code::BadRequest, "Invalid input. The body did not arrive in time.")),
            Ok(None) => return Ok((whole.into(), room)),
            Ok(Some(Err(_))) => return Err(Error::new(Code::BadRequest, "Invalid input. The body broke off.")),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > limit {
            drop((whole, room));
            discard(headers, body).await;
            return Err(too_large(limit));
        }
        if whole.is_empty() && announced == Some(data.len() as u64) {
            // The usual case: the body came in one piece and needs no copy.
            return Ok((data, room));
        }
        whole.extend_from_slice(&data);
    }
}

fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok())
}

/// See [`DISCARD_MAX`]. A client that waits for `100 Continue` has not sent anything yet.
async fn discard(headers: &HeaderMap, mut body: Body) {
    if headers.contains_key(header::EXPECT) || announced_length(headers).is_some_and(|n| n > DISCARD_MAX as u64) {
        return;
    }
    let throw_away = async {
        let mut total = 0;
        while let Some(Ok(frame)) = body.frame().await {
            total += frame.data_ref().map_or(0, Bytes::len);
            if total > DISCARD_MAX {
                break;
            }
        }
    };
    tokio::time::timeout(DISCARD_FOR, throw_away).map(drop).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn outcome(work: impl Future<Output = Result<Reply>> + Send + 'static) -> Option<Code> {
        let operation = operations::all().next().expect("there are operations");
        finish(operation, work, Duration::from_millis(20), None).await.err().map(|e| e.code())
    }

    #[tokio::test]
    async fn work_ends_one_way_or_another() {
        assert_eq!(outcome(async { Ok(Reply::empty()) }).await, None);
        assert_eq!(outcome(std::future::pending()).await, Some(Code::Unavailable));
        assert_eq!(outcome(async { panic!("a fault of a handler") }).await, Some(Code::Internal));
    }

    #[test]
    fn waiting_calls_may_wait() {
        let seconds = Duration::from_secs;
        assert_eq!(time_limit(seconds(60), seconds(20)), seconds(60));
        assert_eq!(time_limit(seconds(10), seconds(20)), seconds(25));
    }
}
