//! Calling functions.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use causeway_channels::Channel;
use causeway_model::forwarding::RuleScope;
use causeway_model::{AppId, Code, Error, Result};
use causeway_script::{Call, FaultKind, Limits, Run, Sandbox, SandboxSettings, ScriptFault};

use super::{Function, FunctionBody, FunctionUrn};
use crate::Platform;
use crate::settings::ScriptSettings;

/// A POST of JSON.
#[derive(Clone)]
pub struct HttpCall {
    /// Where it goes.
    pub url: String,
    /// Bearer token.
    pub token: Option<String>,
    /// JSON.
    pub body: Bytes,
    /// How long it may take until the answer has been read.
    pub timeout: Duration,
    /// Longest answer, bytes.
    pub longest: usize,
}

/// Why a call had no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFailed {
    /// One word: `refused`, `time`, `unreachable`, `not_public`, `result`.
    pub word: &'static str,
    /// What happened; without credentials.
    pub text: String,
}

/// Whoever can speak HTTP for the platform. It must not lead into the platform's own network unless `push.allow_private`.
#[async_trait]
pub trait HttpCaller: Send + Sync {
    /// Posts; the body of an answer with status 2xx.
    async fn post(&self, call: HttpCall) -> std::result::Result<Bytes, CallFailed>;
}

/// How a call went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoked {
    /// What it returned, JSON.
    pub result: std::result::Result<String, CallFault>,
    /// Lines that it logged.
    pub log: Vec<String>,
    /// Lines were left out.
    pub log_cut: bool,
    /// How long it ran.
    pub used: Duration,
}

/// Why a function returned nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFault {
    /// One word; see [`FaultKind::as_str`] and [`CallFailed::word`].
    pub kind: &'static str,
    /// What happened, with its place.
    pub message: String,
    /// The line of the script.
    pub line: Option<u32>,
    /// The column of the script.
    pub column: Option<u32>,
}

/// What the platform keeps for functions.
#[derive(Default)]
pub(crate) struct Functions {
    sandbox: OnceLock<Sandbox>,
    caller: OnceLock<Arc<dyn HttpCaller>>,
}

/// Longest result of a function, bytes.
const RESULT: usize = 1 << 20;

/// Most bytes that a call may log.
const LOG: usize = 16 << 10;

/// The function that a script must have.
const HANDLER: &str = "handler";

impl Functions {
    fn sandbox(&self, settings: &ScriptSettings) -> &Sandbox {
        self.sandbox.get_or_init(|| {
            Sandbox::new(SandboxSettings {
                workers: settings.workers as usize,
                queue: settings.queue as usize,
                patience: settings.wait.0,
                ..SandboxSettings::default()
            })
        })
    }
}

/// The sandbox could not take the script now.
pub(super) fn refused(fault: &ScriptFault) -> Error {
    match fault.kind {
        FaultKind::Busy => Error::new(Code::TooManyPending, "Too many scripts wait. Try again in a moment."),
        _ => Error::internal(fault),
    }
}

fn owner(app: Option<&AppId>) -> Arc<str> {
    app.map_or("", AppId::as_str).into()
}

fn limits(function: &Function) -> Limits {
    Limits {
        time: Duration::from_millis(u64::from(function.timeout_ms)),
        memory: function.memory as usize,
        result: RESULT,
        log: LOG,
    }
}

impl Platform {
    /// Tells who speaks HTTP for functions; only the first one counts.
    pub fn set_http_caller(&self, caller: Arc<dyn HttpCaller>) {
        // A second one would be the same.
        let _ = self.functions.caller.set(caller);
    }

    pub(super) async fn check_script(&self, function: &Function, source: &str) -> std::result::Result<(), ScriptFault> {
        let sandbox = self.functions.sandbox(&self.settings.script);
        sandbox.check(&owner(function.app_id.as_ref()), source, HANDLER, limits(function)).await
    }

    /// Calls a function with `argument`, JSON.
    ///
    /// # Errors
    /// Only when it could not even be tried: [`Code::TooManyPending`], internal ones. What the function did wrong is in
    /// [`Invoked::result`].
    pub async fn run_function(&self, function: &Function, argument: &str) -> Result<Invoked> {
        let invoked = match &function.body {
            FunctionBody::JavaScript { source } => self.run_script(function, source, argument).await?,
            FunctionBody::Http { url, token } => {
                let token = match token {
                    None => None,
                    Some(token) => {
                        let open = self.secrets.open(token)?;
                        Some(String::from_utf8(open.to_vec()).map_err(Error::internal)?)
                    }
                };
                self.call_out(function, url, token, argument).await?
            }
        };
        let outcome = invoked.result.as_ref().map_or_else(|fault| fault.kind, |_| "done");
        let kind = function.body.kind();
        metrics::counter!("causeway_function_calls_total", "type" => kind, "outcome" => outcome).increment(1);
        Ok(invoked)
    }

    /// The function of a name, for a rule: one of `app`, or one of the instance. `app` is the space of the rule; a rule of
    /// all spaces (`None`) may name every function.
    ///
    /// # Errors
    /// [`Code::FunctionNotFound`].
    pub async fn function_of_rule(&self, app: Option<&AppId>, urn: &str) -> Result<Function> {
        let not_found = || {
            let urn: String = urn.chars().take(256).collect();
            Error::new(Code::FunctionNotFound, format!("The function '{urn}' does not exist."))
        };
        let name =
            FunctionUrn::parse(urn).filter(|n| n.project_id == self.instance.project_id).ok_or_else(not_found)?;
        let may_call = match (app, &name.app_id) {
            (None, _) | (_, None) => true,
            (Some(app), Some(of)) => app == of,
        };
        if !may_call {
            return Err(not_found());
        }
        self.store.function_by_name(name.app_id.as_ref(), &name.name).await?.ok_or_else(not_found)
    }

    /// Refuses a channel that calls a function which rules of `scope` may not name.
    ///
    /// # Errors
    /// [`Code::FunctionNotFound`].
    pub(crate) async fn check_function_of(&self, scope: &RuleScope, channel: &Channel) -> Result<()> {
        let Channel::Functiongraph(function) = channel else { return Ok(()) };
        let app = match scope {
            RuleScope::Global => None,
            RuleScope::App(app) => Some(app),
        };
        self.function_of_rule(app, &function.func_urn).await.map(|_| ())
    }

    /// Calls the function of a name for a rule, as [`function_of_rule`](Self::function_of_rule) finds it.
    ///
    /// # Errors
    /// [`Code::FunctionNotFound`]; [`Code::FunctionFailed`] with what the function did wrong, and where;
    /// [`Code::TooManyPending`].
    pub async fn invoke_function(&self, app: Option<&AppId>, urn: &str, argument: &str) -> Result<String> {
        let function = self.function_of_rule(app, urn).await?;
        let invoked = self.run_function(&function, argument).await?;
        invoked.result.map_err(|fault| {
            Error::new(Code::FunctionFailed, format!("The function '{}' failed: {}.", function.name, fault.message))
        })
    }

    async fn run_script(&self, function: &Function, source: &str, argument: &str) -> Result<Invoked> {
        let context = serde_json::json!({
            "function_id": function.id,
            "function_name": function.name,
            "function_urn": self.function_urn(function),
            "app_id": function.app_id.as_ref().map(AppId::as_str),
            "timeout": function.timeout_ms,
            "memory": function.memory,
        });
        let call = Call {
            owner: &owner(function.app_id.as_ref()),
            source,
            function: HANDLER,
            argument,
            context: &context.to_string(),
            limits: limits(function),
        };
        let Run { result, log, log_cut, used } = self.functions.sandbox(&self.settings.script).call(call).await;
        let result = match result {
            Err(fault) if fault.kind == FaultKind::Busy => return Err(refused(&fault)),
            Err(fault) => Err(CallFault {
                kind: fault.kind.as_str(),
                message: fault.to_string(),
                line: fault.line,
                column: fault.column,
            }),
            Ok(result) => Ok(result),
        };
        Ok(Invoked { result, log, log_cut, used })
    }

    async fn call_out(&self, function: &Function, url: &str, token: Option<String>, argument: &str) -> Result<Invoked> {
        let caller = self.functions.caller.get().ok_or_else(|| Error::internal("nobody speaks HTTP for functions"))?;
        let started = Instant::now();
        let answer = caller
            .post(HttpCall {
                url: url.to_owned(),
                token,
                body: Bytes::copy_from_slice(argument.as_bytes()),
                timeout: Duration::from_millis(u64::from(function.timeout_ms)),
                longest: RESULT,
            })
            .await;
        let fault = |kind, message| CallFault { kind, message, line: None, column: None };
        let result = answer.map_err(|failed| fault(failed.word, failed.text)).and_then(|body| {
            let body = if body.trim_ascii().is_empty() { Bytes::from_static(b"null") } else { body };
            let read = serde_json::from_slice::<&serde_json::value::RawValue>(&body);
            read.map(|json| json.get().to_owned()).map_err(|e| fault("result", format!("the answer is not JSON: {e}")))
        });
        Ok(Invoked { result, log: Vec::new(), log_cut: false, used: started.elapsed() })
    }
}
