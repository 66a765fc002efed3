//! Creating, changing and deleting functions.

use causeway_model::registry::{Page, PageRequest};
use causeway_model::{AppId, Code, Error, RecordNo, Result, Spaces};
use causeway_script::FaultKind;

use super::run::refused;
use super::urn::is_name;
use super::{Function, FunctionBody, FunctionFilter, FunctionUrn};
use crate::Platform;

/// What a new function is, before it was looked at.
#[derive(Clone)]
pub enum NewBody {
    /// A script.
    JavaScript {
        /// It.
        source: String,
    },
    /// An address.
    Http {
        /// It.
        url: String,
        /// Bearer token; when a function is changed, none keeps the one there is and an empty one takes it away.
        token: Option<String>,
    },
}

/// A function to create.
#[derive(Clone)]
pub struct NewFunction {
    /// The space that it is for; `None` for the whole instance.
    pub app_id: Option<AppId>,
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// What it is.
    pub body: NewBody,
    /// How long a call may take, in milliseconds; 3,000 when absent.
    pub timeout_ms: Option<u32>,
    /// Memory in bytes; 16 MB when absent.
    pub memory: Option<u32>,
}

/// What of a function changes; absent fields keep their value.
#[derive(Clone, Default)]
pub struct FunctionChange {
    /// Free text.
    pub description: Option<String>,
    /// What it is.
    pub body: Option<NewBody>,
    /// How long a call may take, in milliseconds.
    pub timeout_ms: Option<u32>,
    /// Memory in bytes.
    pub memory: Option<u32>,
}

/// Longest script, bytes.
const SOURCE: usize = 64 << 10;

/// Longest bearer token, bytes.
const TOKEN: usize = 4096;

/// Shortest time limit, in milliseconds.
const LEAST_TIME_MS: u32 = 10;

/// Smallest memory of a script: the engine itself needs some 200 kB.
const LEAST_MEMORY: u32 = 1 << 20;

fn not_found(id: &str) -> Error {
    let id: String = id.chars().take(64).collect();
    Error::new(Code::FunctionNotFound, format!("The function '{id}' does not exist."))
}

fn sees(spaces: &Spaces, function: &Function) -> bool {
    function.app_id.as_ref().map_or(*spaces == Spaces::All, |app| spaces.sees(app))
}

impl Platform {
    /// Creates a function. A script is run once, without a call, to see that it can be.
    ///
    /// # Errors
    /// [`Code::InvalidInput`] says what is wrong with which field, and in a script, where; [`Code::FunctionExists`];
    /// [`Code::TooManyFunctions`]; [`Code::AppNotFound`].
    pub async fn create_function(&self, new: NewFunction) -> Result<Function> {
        if !is_name(&new.name) {
            return Err(Error::invalid("Invalid input. 'name' must be 1 to 64 letters, digits, '_' and '-'."));
        }
        if let Some(app) = &new.app_id {
            self.app(app).await?;
        }
        let now = self.clock.now();
        let function = Function {
            no: RecordNo(0),
            id: uuid::Uuid::new_v4().to_string(),
            app_id: new.app_id,
            name: new.name,
            description: new.description,
            body: self.body(new.body, None)?,
            timeout_ms: new.timeout_ms.unwrap_or_else(|| self.most_time_ms().min(3_000)),
            memory: new.memory.unwrap_or_else(|| self.most_memory().min(16 << 20)),
            created_at: now,
            updated_at: now,
        };
        self.check_function(&function).await?;
        self.store.insert_function(function, self.settings.script.max_functions).await
    }

    /// One function of these spaces.
    ///
    /// # Errors
    /// [`Code::FunctionNotFound`].
    pub async fn function(&self, spaces: &Spaces, id: &str) -> Result<Function> {
        self.store.function(id).await?.filter(|f| sees(spaces, f)).ok_or_else(|| not_found(id))
    }

    /// What forwarding rules call a function.
    #[must_use]
    pub fn function_urn(&self, function: &Function) -> String {
        FunctionUrn::of(&self.instance.project_id, function).to_string()
    }

    /// A page of functions, newest first.
    ///
    /// # Errors
    /// [`Code::AppNotFound`].
    pub async fn list_functions(&self, filter: &FunctionFilter, page: PageRequest) -> Result<Page<Function>> {
        if let Some(app) = filter.spaces.single() {
            self.app(app).await?;
        }
        self.store.list_functions(filter, page).await
    }

    /// Changes a function; the next call is of the new one.
    ///
    /// # Errors
    /// [`Code::FunctionNotFound`]; [`Code::InvalidInput`].
    pub async fn update_function(&self, spaces: &Spaces, id: &str, change: FunctionChange) -> Result<Function> {
        let mut function = self.function(spaces, id).await?;
        if let Some(description) = change.description {
            function.description = Some(description).filter(|d| !d.is_empty());
        }
        if let Some(body) = change.body {
            function.body = self.body(body, Some(&function.body))?;
        }
        function.timeout_ms = change.timeout_ms.unwrap_or(function.timeout_ms);
        function.memory = change.memory.unwrap_or(function.memory);
        function.updated_at = self.clock.now();
        self.check_function(&function).await?;
        if self.store.update_function(&function).await? { Ok(function) } else { Err(not_found(id)) }
    }

    /// Deletes a function. What forwarding rules still send to it fails from now on.
    ///
    /// # Errors
    /// [`Code::FunctionNotFound`].
    pub async fn delete_function(&self, spaces: &Spaces, id: &str) -> Result<()> {
        let function = self.function(spaces, id).await?;
        if self.store.delete_function(function.no).await? { Ok(()) } else { Err(not_found(id)) }
    }

    fn most_time_ms(&self) -> u32 {
        u32::try_from(self.settings.script.max_time.as_millis()).unwrap_or(u32::MAX)
    }

    fn most_memory(&self) -> u32 {
        u32::try_from(self.settings.script.max_memory.0).unwrap_or(u32::MAX)
    }

    fn body(&self, new: NewBody, old: Option<&FunctionBody>) -> Result<FunctionBody> {
        match new {
            NewBody::JavaScript { source } => Ok(FunctionBody::JavaScript { source }),
            NewBody::Http { url, token } => {
                self.check_address(&url)?;
                let token = match (token, old) {
                    (None, Some(FunctionBody::Http { token, .. })) => token.clone(),
                    (None, _) => None,
                    (Some(token), _) if token.is_empty() => None,
                    (Some(token), _) if token.len() <= TOKEN && token.bytes().all(|b| b.is_ascii_graphic()) => {
                        Some(self.secrets.seal(token.as_bytes()))
                    }
                    _ => {
                        return Err(Error::invalid(format!(
                            "Invalid input. 'token' must be at most {TOKEN} printable ASCII characters without blanks."
                        )));
                    }
                };
                Ok(FunctionBody::Http { url, token })
            }
        }
    }

    async fn check_function(&self, function: &Function) -> Result<()> {
        let (time, memory) = (self.most_time_ms(), self.most_memory());
        if !(LEAST_TIME_MS..=time).contains(&function.timeout_ms) {
            return Err(Error::invalid(format!(
                "Invalid input. 'timeout' must be {LEAST_TIME_MS} to {time} milliseconds."
            )));
        }
        if !(LEAST_MEMORY..=memory).contains(&function.memory) {
            return Err(Error::invalid(format!(
                "Invalid input. 'memory' must be {LEAST_MEMORY} to {memory} bytes; the operator's limit is 'script.max_memory'."
            )));
        }
        let FunctionBody::JavaScript { source } = &function.body else { return Ok(()) };
        if source.len() > SOURCE {
            return Err(Error::invalid(format!("Invalid input. 'source' must be at most {SOURCE} bytes.")));
        }
        if source.contains('\0') {
            return Err(Error::invalid("Invalid input. 'source' holds a character that is no text."));
        }
        self.check_script(function, source).await.map_err(|fault| match fault.kind {
            FaultKind::Busy | FaultKind::Broken => refused(&fault),
            _ => Error::invalid(format!("Invalid input. 'source': {fault}.")),
        })
    }
}
