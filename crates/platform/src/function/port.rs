//! What functions need from the store.

use async_trait::async_trait;
use causeway_model::registry::{Page, PageRequest, Sealed};
use causeway_model::{AppId, RecordNo, Result, Spaces, Timestamp};

/// What a function is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FunctionBody {
    /// A script with a function `handler(event, context)`.
    JavaScript {
        /// The script.
        source: String,
    },
    /// An address that the argument is posted to.
    Http {
        /// `http://` or `https://`.
        url: String,
        /// Bearer token that is sent along.
        token: Option<Sealed>,
    },
}

impl FunctionBody {
    /// The word of API and store.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::JavaScript { .. } => "javascript",
            Self::Http { .. } => "http",
        }
    }
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Paging position.
    pub no: RecordNo,
    /// The id.
    pub id: String,
    /// The space whose function it is; `None` for one of the whole instance.
    pub app_id: Option<AppId>,
    /// Name, unique among those of its space, or of the instance.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// What it is.
    pub body: FunctionBody,
    /// How long a call may take, in milliseconds.
    pub timeout_ms: u32,
    /// Memory that a script may use, in bytes.
    pub memory: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// Which functions a list shows.
#[derive(Clone, Debug, Default)]
pub struct FunctionFilter {
    /// Those of these spaces; those of the instance only to who may see every space.
    pub spaces: Spaces,
    /// Part of the name.
    pub name: Option<String>,
}

/// Keeps functions. They go with their space.
#[async_trait]
pub trait FunctionStore: Send + Sync {
    /// Adds a function (`no` is ignored) unless `limit` are there
    /// ([`Code::TooManyFunctions`](causeway_model::Code::TooManyFunctions)), the name is taken
    /// ([`Code::FunctionExists`](causeway_model::Code::FunctionExists)) or the space is gone
    /// ([`Code::AppNotFound`](causeway_model::Code::AppNotFound)), checked in the same transaction.
    async fn insert_function(&self, function: Function, limit: u32) -> Result<Function>;
    /// One function by id.
    async fn function(&self, id: &str) -> Result<Option<Function>>;
    /// One function by its name in a space, or in the instance.
    async fn function_by_name(&self, app: Option<&AppId>, name: &str) -> Result<Option<Function>>;
    /// A page of functions, newest first.
    async fn list_functions(&self, filter: &FunctionFilter, page: PageRequest) -> Result<Page<Function>>;
    /// Writes all but id, space, name and the time of making. False when it is not there.
    async fn update_function(&self, function: &Function) -> Result<bool>;
    /// Deletes a function. False when it is not there.
    async fn delete_function(&self, no: RecordNo) -> Result<bool>;
}
