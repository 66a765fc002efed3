//! A request as handlers see it, and the answer they give.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use causeway_model::registry::{Device, PageRequest};
use causeway_model::{AppId, Code, DeviceId, Error, ProductId, RecordNo, Result, Spaces, Timestamp};
use causeway_platform::Platform;
use causeway_platform::iam::Caller;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::audit::SharedNote;
use crate::bounded::{Flag, Int, Rule};
use crate::decode;
use crate::multipart::{FilePart, Form};
use crate::operation::Operation;
use crate::shape::reply;
use crate::state::ApiState;

/// `limit` of a page.
pub(crate) type PageLimit = Int<1, 50>;
/// `offset` of a page.
pub(crate) type PageOffset = Int<0, 500>;

const DEFAULT_LIMIT: i64 = 10;

/// The keys and values of a query, decoded.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes what stands behind the `?`.
    ///
    /// # Errors
    /// [`Code::BadRequest`] when it is not percent-encoded UTF-8.
    pub(crate) fn parse(raw: &str) -> Result<Self> {
        let decode = |text: &str| {
            percent_decode_str(text)
                .decode_utf8()
                .map(std::borrow::Cow::into_owned)
                .map_err(|_| Error::new(Code::BadRequest, "Invalid input. The query is not percent-encoded UTF-8."))
        };
        raw.split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                Ok((decode(key)?, decode(value)?))
            })
            .collect::<Result<_>>()
            .map(Self)
    }

    /// The value of `key`. A key given twice is refused: which one is meant is not for the platform to guess.
    fn get(&self, key: &str) -> Result<Option<&str>> {
        let mut values = self.0.iter().filter(|(k, _)| k == key).map(|(_, v)| v.as_str());
        let first = values.next();
        if values.next().is_some() {
            return Err(Error::invalid(format!("Invalid input. The parameter '{key}' is given twice.")));
        }
        Ok(first)
    }
}

/// One request to an operation whose caller is known.
pub(crate) struct Call {
    pub(crate) state: ApiState,
    pub(crate) operation: &'static Operation,
    /// Who calls; `None` where everybody may.
    pub(crate) caller: Option<Caller>,
    /// The address that the request came from, where it is known.
    pub(crate) from: Option<IpAddr>,
    /// What the audit log is to know besides; see [`concerns`](Self::concerns).
    pub(crate) note: SharedNote,
    /// How the caller names the platform: a host, with or without a port.
    pub(crate) host: Option<String>,
    /// In which spaces the caller may do what the operation does.
    pub(crate) allowed: Spaces,
    /// Decoded parameters of the path.
    pub(crate) path: Vec<(String, String)>,
    pub(crate) query: Query,
    pub(crate) body: Bytes,
    /// The parts of `multipart/form-data`, for an operation that takes a file.
    pub(crate) form: Option<Form>,
}

impl Call {
    pub(crate) fn platform(&self) -> &Arc<Platform> {
        self.state.platform()
    }

    /// A parameter of the path.
    pub(crate) fn path(&self, name: &str) -> &str {
        let found = self.path.iter().find(|(n, _)| n == name);
        found.map(|(_, v)| v.as_str()).expect("handlers ask for parameters of their own path")
    }

    /// Who calls.
    ///
    /// # Errors
    /// None for operations that need a caller.
    pub(crate) fn caller(&self) -> Result<&Caller> {
        self.caller.as_ref().ok_or_else(|| Error::internal("an operation for everybody asks who calls"))
    }

    /// Refuses a caller that may do what the operation does in some spaces only: for what belongs to no space.
    ///
    /// # Errors
    /// [`Code::NotPermitted`].
    pub(crate) async fn require_everywhere(&self) -> Result<()> {
        self.platform().require_everywhere(self.caller()?, self.operation.action).await
    }

    /// The device of the path.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] when no device can have this id.
    pub(crate) fn device_id(&self) -> Result<DeviceId> {
        DeviceId::parse(self.path("device_id"))
    }

    /// The product of the path.
    ///
    /// # Errors
    /// As [`device_id`](Self::device_id).
    pub(crate) fn product_id(&self) -> Result<ProductId> {
        ProductId::parse(self.path("product_id"))
    }

    /// The space of the path.
    ///
    /// # Errors
    /// As [`device_id`](Self::device_id).
    pub(crate) fn app_id(&self) -> Result<AppId> {
        AppId::parse(self.path("app_id"))
    }

    /// The spaces that the operation concerns: `named`, when the request names one, else all that the caller may use.
    ///
    /// # Errors
    /// [`Code::AppNotFound`] for a space that is not the caller's; it is not told apart from one that is not there.
    pub(crate) fn spaces(&self, named: Option<AppId>) -> Result<Spaces> {
        if let Some(app) = &named {
            self.concerns(app);
        }
        match named {
            None => Ok(self.allowed.clone()),
            Some(app) if self.allowed.sees(&app) => Ok(Spaces::one(app)),
            Some(app) => Err(Error::new(Code::AppNotFound, format!("The application '{app}' does not exist."))),
        }
    }

    /// A device named in a body or query.
    ///
    /// # Errors
    /// [`Code::DeviceNotFound`], also for a device of a space that is not the caller's.
    pub(crate) async fn named_device(&self, id: &DeviceId) -> Result<Device> {
        let device = self.platform().device(id).await?;
        self.concerns(&device.app_id);
        if self.allowed.sees(&device.app_id) {
            return Ok(device);
        }
        Err(Error::new(Code::DeviceNotFound, format!("The device '{id}' does not exist.")))
    }

    /// Refuses paths that lead to a space, a product or a device of a space that is not the caller's, as if it were not
    /// there. Other things that stand in paths are checked by their handlers.
    ///
    /// # Errors
    /// [`Code::AppNotFound`], [`Code::DeviceNotFound`].
    pub(crate) async fn check_path(&self) -> Result<()> {
        if self.allowed == Spaces::All {
            return Ok(());
        }
        for (name, value) in &self.path {
            match name.as_str() {
                "app_id" => drop(self.spaces(Some(AppId::parse(value)?))?),
                "device_id" => drop(self.named_device(&DeviceId::parse(value)?).await?),
                _ => {}
            }
        }
        Ok(())
    }

    /// The JSON body.
    ///
    /// # Errors
    /// As [`decode::body`].
    pub(crate) fn body<T: DeserializeOwned>(&self) -> Result<T> {
        decode::body(&self.body)
    }

    /// The file that the request carries.
    ///
    /// # Errors
    /// [`Code::BadRequest`] when its part is missing, is there twice or has no file name.
    #[allow(dead_code, reason = "operations that take files come next")]
    pub(crate) fn file(&self) -> Result<&FilePart> {
        let name = self.operation.built.and_then(|b| b.file).expect("only operations that declare a file ask for it");
        self.form.as_ref().expect("the form was read before").file(name)
    }

    fn raw_query(&self, name: &str) -> Result<Option<&str>> {
        debug_assert!(
            self.operation.built.is_some_and(|b| {
                b.query.iter().any(|p| p.name == name) || b.paged && ["limit", "marker", "offset"].contains(&name)
            }),
            "{} reads '{name}' without declaring it",
            self.operation.id
        );
        self.query.get(name)
    }

    /// A parameter of the query; an empty one is like an absent one.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] when it breaks the rule `R`.
    pub(crate) fn query<R: Rule>(&self, name: &str) -> Result<Option<R>> {
        match self.raw_query(name)?.filter(|v| !v.is_empty()) {
            None => Ok(None),
            Some(value) => match R::read(value) {
                Some(read) => Ok(Some(read)),
                None => Err(Error::invalid(format!("Invalid input. '{name}' must be {}.", R::rule()))),
            },
        }
    }

    /// `true` or `false` in the query.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>> {
        Ok(self.query::<Flag>(name)?.map(|f| f.0))
    }

    /// A time in the query, in either documented form.
    ///
    /// # Errors
    /// [`Code::InvalidTime`].
    pub(crate) fn time(&self, name: &str) -> Result<Option<Timestamp>> {
        match self.raw_query(name)?.filter(|v| !v.is_empty()) {
            None => Ok(None),
            Some(value) => Timestamp::parse(value).map(Some).ok_or_else(|| {
                Error::new(
                    Code::InvalidTime,
                    format!("Invalid input. Invalid time format. '{name}' must look like 20151212T121212Z or 2015-12-12T12:12:12.000Z."),
                )
            }),
        }
    }

    /// A whole number of the query, with the code that tells of a bad one.
    ///
    /// # Errors
    /// `code` when it is no number or out of range.
    pub(crate) fn number<const MIN: i64, const MAX: i64>(&self, name: &str, code: Code) -> Result<Option<i64>> {
        match self.raw_query(name)? {
            None => Ok(None),
            Some(value) => match Int::<MIN, MAX>::read(value) {
                Some(number) => Ok(Some(number.0)),
                None => Err(Error::new(
                    code,
                    format!(
                        "Invalid input. The parameter '{name}' is out of range; it must be a whole number from {MIN} to {MAX}."
                    ),
                )),
            },
        }
    }

    /// A parameter of the query as it stands.
    ///
    /// # Errors
    /// When it is given twice.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>> {
        self.raw_query(name)
    }

    /// Which page is asked for (`iotda-v5-api.md` §1.4).
    ///
    /// # Errors
    /// [`Code::LimitOutOfRange`], [`Code::MarkerOutOfRange`], [`Code::OffsetOutOfRange`].
    pub(crate) fn page(&self) -> Result<PageRequest> {
        let limit = self.number::<1, 50>("limit", Code::LimitOutOfRange)?.unwrap_or(DEFAULT_LIMIT);
        let offset = self.number::<0, 500>("offset", Code::OffsetOutOfRange)?.unwrap_or(0);
        let marker = self.raw_query("marker")?.map_or(Ok(RecordNo::LAST), RecordNo::parse_marker)?;
        let small = |n: i64| u32::try_from(n).expect("checked to be at most 500");
        Ok(PageRequest { marker, offset: small(offset), limit: small(limit) })
    }
}

/// Which page a JSON body asks for: the few lists that are asked for by POST (`iotda-v5-api.md` §1.4).
///
/// # Errors
/// As [`Call::page`].
pub(crate) fn page_of_body(limit: Option<i64>, marker: Option<&str>, offset: Option<i64>) -> Result<PageRequest> {
    let within = |name: &str, value: Option<i64>, default: i64, least: i64, most: i64, code| match value {
        None => Ok(u32::try_from(default).unwrap_or_default()),
        Some(n) if (least..=most).contains(&n) => Ok(u32::try_from(n).unwrap_or_default()),
        Some(_) => Err(Error::new(
            code,
            format!(
                "Invalid input. The parameter '{name}' is out of range; it must be a whole number from {least} to {most}."
            ),
        )),
    };
    Ok(PageRequest {
        limit: within("limit", limit, DEFAULT_LIMIT, 1, 50, Code::LimitOutOfRange)?,
        offset: within("offset", offset, 0, 0, 500, Code::OffsetOutOfRange)?,
        marker: marker.map_or(Ok(RecordNo::LAST), RecordNo::parse_marker)?,
    })
}

reply! {
    /// Where a page stands in its list.
    pub(crate) struct Page {
        /// All records that match, on any page.
        count: u64,
        /// Send it as `marker` to get the next page.
        marker: String,
    }
}

impl Page {
    pub(crate) fn of<T>(page: &causeway_model::registry::Page<T>) -> Self {
        Self { count: page.count, marker: page.marker.to_string() }
    }
}

/// What a handler answers with.
pub(crate) struct Reply {
    status: StatusCode,
    content_type: Option<&'static str>,
    body: Bytes,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Reply {
    /// A JSON body.
    ///
    /// # Errors
    /// Internal, when the value cannot be written.
    fn json<T: Serialize>(status: StatusCode, value: &T) -> Result<Self> {
        let body = serde_json::to_vec(value).map_err(Error::internal)?;
        Ok(Self { status, content_type: Some("application/json"), body: body.into(), header: None })
    }

    /// 200 with a JSON body.
    pub(crate) fn ok<T: Serialize>(value: &T) -> Result<Self> {
        Self::json(StatusCode::OK, value)
    }

    /// 201 with a JSON body.
    pub(crate) fn created<T: Serialize>(value: &T) -> Result<Self> {
        Self::json(StatusCode::CREATED, value)
    }

    /// 204.
    pub(crate) fn empty() -> Self {
        Self { status: StatusCode::NO_CONTENT, content_type: None, body: Bytes::new(), header: None }
    }

    /// 200 with any body.
    pub(crate) fn of_type(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status: StatusCode::OK, content_type: Some(content_type), body: body.into(), header: None }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Adds a header.
    pub(crate) fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    pub(crate) fn into_response(self) -> Response {
        let mut response = (self.status, self.body).into_response();
        let headers = response.headers_mut();
        // axum names a type for every body of bytes; an empty answer has none.
        headers.remove(header::CONTENT_TYPE);
        if let Some(content_type) = self.content_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        if let Some((name, value)) = self.header {
            headers.insert(name, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded_and_unambiguous() {
        let query = Query::parse("a=1&b=%E6%B8%A9+x&c&&a=2&d=x=y").expect("reads");
        assert_eq!(query.get("b").expect("once"), Some("温+x"));
        assert_eq!(query.get("c").expect("once"), Some(""));
        assert_eq!(query.get("d").expect("once"), Some("x=y"));
        assert_eq!(query.get("e").expect("never"), None);
        assert!(query.get("a").is_err());
        assert!(Query::parse("a=%ff").is_err());
    }
}
