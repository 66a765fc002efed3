//! What an operation is: its address, what it reads and answers, and who serves it.

use axum::http::Method;
use causeway_model::{Code, Result};
use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::call::{Call, Reply};
use crate::shape::{Definitions, Shape};

/// The methods in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether a request with `method` means this verb.
    pub(crate) fn serves(self, method: &Method) -> bool {
        match self {
            Self::Get => *method == Method::GET || *method == Method::HEAD,
            Self::Post => *method == Method::POST,
            Self::Put => *method == Method::PUT,
            Self::Patch => *method == Method::PATCH,
            Self::Delete => *method == Method::DELETE,
        }
    }
}

/// Where an operation's path starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base {
    /// Below `/v5/iot/{project_id}`.
    Project,
    /// Below the server.
    Server,
}

/// Path of a project.
pub(crate) const PROJECT: &str = "/v5/iot/{project_id}";

/// One operation.
#[derive(Clone, Copy)]
pub(crate) struct Operation {
    /// Name in metrics and in the document; the SDK's method for the vendor's operations.
    pub(crate) id: &'static str,
    pub(crate) verb: Verb,
    pub(crate) base: Base,
    /// Path below the base, parameters in braces.
    pub(crate) path: &'static str,
    /// What permission it needs, in the vendor's words (`iotda:devices:register`); empty where everybody may.
    pub(crate) action: &'static str,
    /// What it belongs to; a tag of the document.
    pub(crate) area: &'static str,
    /// `None`: described by the vendor, not built yet.
    pub(crate) built: Option<&'static Built>,
}

impl Operation {
    /// The whole path.
    pub(crate) fn full_path(&self) -> String {
        match self.base {
            Base::Project => format!("{PROJECT}{}", self.path),
            Base::Server => self.path.to_owned(),
        }
    }

    /// Whether only known callers may use it.
    pub(crate) fn needs_caller(&self) -> bool {
        self.built.is_none_or(|b| b.access != Access::Open)
    }
}

/// Who may use an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Whoever shows a token or signs.
    Caller,
    /// Whoever may do the action, and every caller for its own account: the handler asks.
    Account,
    /// Everybody.
    Open,
}

/// A parameter of the query.
#[derive(Clone, Copy)]
pub(crate) struct Param {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    pub(crate) schema: fn() -> Value,
    pub(crate) text: &'static str,
}

impl Param {
    /// One that may be left out, read by the rule `R`.
    pub(crate) const fn optional<R: crate::bounded::Rule>(name: &'static str, text: &'static str) -> Self {
        Self { name, required: false, schema: R::rule_schema, text }
    }

    /// One that must be there, read by the rule `R`.
    pub(crate) const fn mandatory<R: crate::bounded::Rule>(name: &'static str, text: &'static str) -> Self {
        Self { name, required: true, schema: R::rule_schema, text }
    }
}

/// Writes a body's schema.
pub(crate) type Schema = fn(&mut Definitions) -> Value;

/// What a successful answer looks like.
#[derive(Clone, Copy)]
pub(crate) enum Success {
    /// A status and a JSON body.
    Json(u16, Schema),
    /// 204 without a body.
    Empty,
    /// 200 and a body of this media type.
    Text(&'static str),
}

/// `Success::Json` of a type.
pub(crate) const fn json<T: Shape>(status: u16) -> Success {
    Success::Json(status, T::schema)
}

/// Serves a call.
pub(crate) type Handler = fn(Call) -> BoxFuture<'static, Result<Reply>>;

/// What an operation that is built reads, answers and does.
pub(crate) struct Built {
    /// One sentence.
    pub(crate) summary: &'static str,
    pub(crate) access: Access,
    /// Parameters of the query.
    pub(crate) query: &'static [Param],
    /// Whether it takes `limit`, `marker` and `offset` (`iotda-v5-api.md` §1.4).
    pub(crate) paged: bool,
    /// The JSON body it reads.
    pub(crate) body: Option<Schema>,
    /// The part of `multipart/form-data` that holds the file it takes instead of a JSON body.
    pub(crate) file: Option<&'static str>,
    /// Whether its JSON body may be as large as a file.
    pub(crate) large: bool,
    pub(crate) success: Success,
    /// What can go wrong besides what can go wrong with every operation.
    pub(crate) errors: &'static [Code],
    pub(crate) handler: Handler,
}

impl Built {
    /// The usual case, to be completed with `..`: a caller, no query, no body.
    pub(crate) const fn new(summary: &'static str, success: Success, handler: Handler) -> Self {
        Self {
            summary,
            access: Access::Caller,
            query: &[],
            paged: false,
            body: None,
            file: None,
            large: false,
            success,
            errors: &[],
            handler,
        }
    }

    pub(crate) const fn query(self, query: &'static [Param]) -> Self {
        Self { query, ..self }
    }

    pub(crate) const fn paged(self) -> Self {
        Self { paged: true, ..self }
    }

    pub(crate) const fn body<T: Shape>(self) -> Self {
        Self { body: Some(T::schema), ..self }
    }

    /// Takes `multipart/form-data` with a file in the part `name`, up to `api.max_upload`; see [`Call::file`].
    #[allow(dead_code, reason = "operations that take files come next")]
    pub(crate) const fn file(self, name: &'static str) -> Self {
        Self { file: Some(name), ..self }
    }

    /// Takes JSON up to `api.max_upload` instead of `api.max_body`.
    pub(crate) const fn large(self) -> Self {
        Self { large: true, ..self }
    }

    pub(crate) const fn errors(self, errors: &'static [Code]) -> Self {
        Self { errors, ..self }
    }

    /// See [`Access::Account`].
    pub(crate) const fn account(self) -> Self {
        Self { access: Access::Account, ..self }
    }

    pub(crate) const fn open(self) -> Self {
        Self { access: Access::Open, ..self }
    }
}
