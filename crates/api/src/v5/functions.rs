//! Functions that forwarding rules and callers invoke: JavaScript in the sandbox, or an HTTP address.

use causeway_model::{AppId, Code, Error, Result};
use causeway_platform::function::{
    Function as Record, FunctionBody, FunctionChange, FunctionFilter, Invoked, NewBody, NewFunction,
};
use serde_json::value::RawValue;

use crate::bounded::{Any, Free, Id, Ident, Int, Text, Word, words};
use crate::call::{Call, Page, Reply};
use crate::operation::{Built, Param, Success, json};
use crate::shape::{Compact, body, reply};

words! {
    /// What a function is.
    FunctionTypes: "javascript" | "http";
    /// Whose it is.
    FunctionScopes: "GLOBAL" | "APP";
}

type Name = Text<Ident, 1, 64>;
type Description = Text<Free, 0, 256>;
type Source = Text<Any, 1, 65_536>;
type Url = Text<Any, 1, 1024>;
type Token = Text<Any, 0, 4096>;
type Timeout = Int<10, 15_000>;
type Memory = Int<1_048_576, 1_073_741_824>;

body! {
    /// A function to create.
    pub(crate) struct CreateFunction {
        /// Name, unique in the resource space, or among those of the instance.
        name: Name,
        /// `javascript` or `http`.
        r#type: Word<FunctionTypes>,
        /// `APP` for one of a resource space, `GLOBAL` for one of the instance; APP when absent.
        app_type: Option<Word<FunctionScopes>>,
        /// Resource space; the default one when absent. Not for GLOBAL.
        app_id: Option<Id<AppId>>,
        /// Free text.
        description: Option<Description>,
        /// The script of a javascript function, at most 65,536 bytes. It must have a function `handler(event, context)`.
        source: Option<Source>,
        /// The address of an http function; the argument is posted to it.
        url: Option<Url>,
        /// Bearer token that goes along to the address. It is sealed and never shown.
        token: Option<Token>,
        /// How long a call may take, in milliseconds; 3,000 when absent. `script.max_time` is the limit.
        timeout: Option<Timeout>,
        /// Memory of a script in bytes; 16 MB when absent. `script.max_memory` is the limit.
        memory: Option<Memory>,
    }
}

body! {
    /// What of a function changes; absent fields stay.
    pub(crate) struct UpdateFunction {
        /// `javascript` or `http`; with it, what belongs to it.
        r#type: Option<Word<FunctionTypes>>,
        /// Free text; an empty one takes it away.
        description: Option<Description>,
        /// The script of a javascript function.
        source: Option<Source>,
        /// The address of an http function.
        url: Option<Url>,
        /// Bearer token; an empty one takes it away.
        token: Option<Token>,
        /// How long a call may take, in milliseconds.
        timeout: Option<Timeout>,
        /// Memory of a script in bytes.
        memory: Option<Memory>,
    }
}

body! {
    /// A call.
    pub(crate) struct InvokeFunction {
        /// What the function gets as `event`; null when absent.
        argument: Option<Box<RawValue>>,
    }
}

reply! {
    /// A function.
    pub(crate) struct Function {
        /// The id.
        function_id: String,
        /// Its name in `func_urn` of a forwarding action.
        urn: String,
        /// Its name.
        name: String,
        /// `javascript` or `http`.
        r#type: &'static str,
        /// `APP` or `GLOBAL`.
        app_type: &'static str,
        /// The resource space of an APP function.
        app_id: Option<String>,
        /// Free text.
        description: Option<String>,
        /// The script. In the answer to a single function only.
        source: Option<String>,
        /// The address.
        url: Option<String>,
        /// Whether a bearer token goes along to the address.
        has_token: Option<bool>,
        /// How long a call may take, in milliseconds.
        timeout: u64,
        /// Memory of a script in bytes.
        memory: Option<u64>,
        /// When it was made.
        create_time: Compact,
        /// When it was changed last.
        last_modify_time: Compact,
    }
}

reply! {
    /// A page of functions.
    pub(crate) struct Functions {
        /// The functions, newest first, without their scripts.
        functions: Vec<Function>,
        /// The page.
        page: Page,
    }
}

reply! {
    /// Why a function returned nothing.
    pub(crate) struct FunctionFault {
        /// `syntax`, `thrown`, `no_function`, `result`, `time`, `memory`, `broken`; of an address `refused`, `time`,
        /// `unreachable`, `not_public`, `result`.
        kind: &'static str,
        /// What happened.
        message: String,
        /// The line of the script.
        line: Option<u64>,
        /// The column of the script.
        column: Option<u64>,
    }
}

reply! {
    /// How a call went.
    pub(crate) struct FunctionRun {
        /// What the function returned, when it did.
        result: Option<Box<RawValue>>,
        /// Why it did not.
        fault: Option<FunctionFault>,
        /// Lines that it logged.
        log: Vec<String>,
        /// Whether lines were left out, as there were too many.
        log_cut: bool,
        /// How long it ran, in microseconds.
        used_us: u64,
    }
}

impl Function {
    fn of(call: &Call, function: Record, whole: bool) -> Self {
        let urn = call.platform().function_urn(&function);
        let kind = function.body.kind();
        let (source, url, has_token) = match function.body {
            FunctionBody::JavaScript { source } => (Some(source).filter(|_| whole), None, None),
            FunctionBody::Http { url, token } => (None, Some(url), Some(token.is_some())),
        };
        Self {
            function_id: function.id,
            urn,
            name: function.name,
            r#type: kind,
            app_type: if function.app_id.is_some() { "APP" } else { "GLOBAL" },
            app_id: function.app_id.map(|a| a.to_string()),
            description: function.description,
            source,
            memory: url.is_none().then(|| function.memory.into()),
            url,
            has_token,
            timeout: function.timeout_ms.into(),
            create_time: Compact(function.created_at),
            last_modify_time: Compact(function.updated_at),
        }
    }
}

fn small<const MIN: i64, const MAX: i64>(number: Int<MIN, MAX>) -> u32 {
    u32::try_from(number.0).unwrap_or(u32::MAX)
}

/// What a function is to be, from fields that must fit each other.
fn body_of(kind: &str, source: Option<Source>, url: Option<Url>, token: Option<Token>) -> Result<NewBody> {
    match (kind, source, url, token) {
        ("javascript", Some(source), None, None) => Ok(NewBody::JavaScript { source: source.into_string() }),
        ("http", None, Some(url), token) => {
            Ok(NewBody::Http { url: url.into_string(), token: token.map(Text::into_string) })
        }
        ("javascript", ..) => Err(Error::invalid(
            "Invalid input. A function of type 'javascript' needs 'source', and has neither 'url' nor 'token'.",
        )),
        _ => Err(Error::invalid("Invalid input. A function of type 'http' needs 'url', and has no 'source'.")),
    }
}

/// The function of the path.
async fn function(call: &Call) -> Result<Record> {
    let function = call.platform().function(&call.allowed, call.path("function_id")).await?;
    if let Some(app) = &function.app_id {
        call.concerns(app);
    }
    Ok(function)
}

pub(super) static CREATE: Built = Built::new(
    "Creates a function; a script is checked and refused with the place of its fault.",
    json::<Function>(201),
    |c| Box::pin(create(c)),
)
.body::<CreateFunction>()
.errors(&[
    Code::AppNotFound,
    Code::AppRequired,
    Code::NotPermitted,
    Code::FunctionExists,
    Code::TooManyFunctions,
    Code::TooManyPending,
]);

async fn create(call: Call) -> Result<Reply> {
    let new: CreateFunction = call.body()?;
    let app_id = if new.app_type.is_some_and(|t| t.as_str() == "GLOBAL") {
        if new.app_id.is_some() {
            return Err(Error::invalid("Invalid input. A function of 'app_type' GLOBAL has no 'app_id'."));
        }
        call.require_everywhere().await?;
        None
    } else {
        let spaces = call.spaces(new.app_id.map(|a| a.0))?;
        let app = call.platform().home_for_new(&spaces).await?;
        call.concerns(&app);
        Some(app)
    };
    let new = NewFunction {
        app_id,
        name: new.name.into_string(),
        description: new.description.map(Text::into_string).filter(|d| !d.is_empty()),
        body: body_of(new.r#type.as_str(), new.source, new.url, new.token)?,
        timeout_ms: new.timeout.map(small),
        memory: new.memory.map(small),
    };
    let made = call.platform().create_function(new).await?;
    Reply::created(&Function::of(&call, made, true))
}

pub(super) static LIST: Built = Built::new("Lists functions.", json::<Functions>(200), |c| Box::pin(list(c)))
    .query(&[
        Param::optional::<AppId>("app_id", "Resource space; all, and the instance, when absent."),
        Param::optional::<Name>("name", "A part of the name."),
    ])
    .paged()
    .errors(&[Code::AppNotFound]);

async fn list(call: Call) -> Result<Reply> {
    let filter = FunctionFilter {
        spaces: call.spaces(call.query::<AppId>("app_id")?)?,
        name: call.query::<Name>("name")?.map(Text::into_string),
    };
    let found = call.platform().list_functions(&filter, call.page()?).await?;
    let page = Page::of(&found);
    let functions = found.items.into_iter().map(|f| Function::of(&call, f, false)).collect();
    Reply::ok(&Functions { functions, page })
}

pub(super) static SHOW: Built =
    Built::new("Shows a function.", json::<Function>(200), |c| Box::pin(show(c))).errors(&[Code::FunctionNotFound]);

async fn show(call: Call) -> Result<Reply> {
    let found = function(&call).await?;
    Reply::ok(&Function::of(&call, found, true))
}

pub(super) static UPDATE: Built =
    Built::new("Changes a function; the next call is of the new one.", json::<Function>(200), |c| Box::pin(update(c)))
        .body::<UpdateFunction>()
        .errors(&[Code::FunctionNotFound, Code::TooManyPending]);

async fn update(call: Call) -> Result<Reply> {
    let change: UpdateFunction = call.body()?;
    let old = function(&call).await?;
    let kind = change.r#type.as_ref().map_or_else(|| old.body.kind(), |t| t.as_str());
    let body = match (change.source, change.url, change.token, &old.body) {
        (None, None, None, old) if old.kind() == kind => None,
        // A new token for the address that is there.
        (None, None, Some(token), FunctionBody::Http { url, .. }) if kind == "http" => {
            Some(NewBody::Http { url: url.clone(), token: Some(token.into_string()) })
        }
        // A token goes to the address that it was given for.
        (None, Some(url), None, FunctionBody::Http { url: old, token: Some(_) })
            if kind == "http" && url.as_str() != old =>
        {
            return Err(Error::invalid(
                "Invalid input. With a new 'url' say 'token' too: the new one, or an empty one for none.",
            ));
        }
        (source, url, token, _) => Some(body_of(kind, source, url, token)?),
    };
    let change = FunctionChange {
        description: change.description.map(Text::into_string),
        body,
        timeout_ms: change.timeout.map(small),
        memory: change.memory.map(small),
    };
    let changed = call.platform().update_function(&call.allowed, &old.id, change).await?;
    Reply::ok(&Function::of(&call, changed, true))
}

pub(super) static DELETE: Built =
    Built::new("Deletes a function; what forwarding rules still send to it fails.", Success::Empty, |c| {
        Box::pin(delete(c))
    })
    .errors(&[Code::FunctionNotFound]);

async fn delete(call: Call) -> Result<Reply> {
    let found = function(&call).await?;
    call.platform().delete_function(&call.allowed, &found.id).await?;
    Ok(Reply::empty())
}

pub(super) static INVOKE: Built =
    Built::new("Calls a function and tells its result, or its fault with its place.", json::<FunctionRun>(200), |c| {
        Box::pin(invoke(c))
    })
    .body::<InvokeFunction>()
    .errors(&[Code::FunctionNotFound, Code::TooManyPending]);

async fn invoke(call: Call) -> Result<Reply> {
    let asked: InvokeFunction = call.body()?;
    let found = function(&call).await?;
    let argument = asked.argument.as_ref().map_or("null", |a| a.get());
    let Invoked { result, log, log_cut, used } = call.platform().run_function(&found, argument).await?;
    let (result, fault) = match result {
        Ok(text) => (Some(RawValue::from_string(text).map_err(Error::internal)?), None),
        Err(fault) => {
            let message = fault.message;
            let (line, column) = (fault.line.map(u64::from), fault.column.map(u64::from));
            (None, Some(FunctionFault { kind: fault.kind, message, line, column }))
        }
    };
    let used_us = u64::try_from(used.as_micros()).unwrap_or(u64::MAX);
    Reply::ok(&FunctionRun { result, fault, log, log_cut, used_us })
}
