//! Users, groups, policies, keys, tokens and projects in the manner of the vendor's IAM v3, as its SDK asks for them.

mod grants;
mod groups;
mod keys;
mod operations;
mod projects;
mod roles;
mod users;

pub(crate) use operations::OPERATIONS;

use axum::http::{HeaderName, HeaderValue};
use causeway_model::{Code, Error, Result, Timestamp};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json as value};

use crate::bounded::{Any, Text};
use crate::call::{Call, Reply};
use crate::operation::{Built, json};
use crate::shape::{Definitions, Shape, body, reply};

const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

/// Name of the one project. The vendor's projects bear the names of regions; a self-hosted platform has none, so any
/// name that a client asks for means this project.
const PROJECT_NAME: &str = "default";

body! {
    /// A user with a password.
    pub(crate) struct TokenUser {
        /// Sign-in name.
        name: Text<Any, 1, 255>,
        /// Password.
        password: Text<Any, 1, 255>,
        /// Accepted for the sake of clients; there is one domain.
        domain: Option<Box<RawValue>>,
    }
}

body! {
    /// The password method.
    pub(crate) struct TokenPassword {
        /// Who signs in.
        user: TokenUser,
    }
}

body! {
    /// Who signs in, and how.
    pub(crate) struct TokenIdentity {
        /// `password`.
        methods: Vec<String>,
        /// The password method.
        password: TokenPassword,
    }
}

body! {
    /// A project by id or name.
    pub(crate) struct ScopeProject {
        /// Its id.
        id: Option<String>,
        /// Its name; any name means the platform's one project.
        name: Option<String>,
    }
}

body! {
    /// What the token is for.
    pub(crate) struct TokenScope {
        /// A project.
        project: Option<ScopeProject>,
        /// The whole domain.
        domain: Option<Box<RawValue>>,
    }
}

body! {
    /// See `auth`.
    pub(crate) struct TokenAuth {
        /// Who signs in.
        identity: TokenIdentity,
        /// What the token is for; the platform's one project unless said otherwise.
        scope: Option<TokenScope>,
    }
}

body! {
    /// A request for a token.
    pub(crate) struct TokenRequest {
        /// Who signs in for what.
        auth: TokenAuth,
    }
}

/// A time as IAM writes it, with microseconds.
pub(crate) struct Micros(pub(crate) Timestamp);

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let millis = self.0.millis();
        serializer.collect_str(&format_args!("{}000Z", millis.trim_end_matches('Z')))
    }
}

impl Shape for Micros {
    fn schema(_: &mut Definitions) -> Value {
        value!({ "type": "string", "examples": ["2015-12-12T12:12:12.000000Z"] })
    }
}

reply! {
    /// A domain.
    pub(crate) struct Domain {
        /// Its id.
        id: String,
        /// Its name.
        name: String,
    }
}

reply! {
    /// A project of a token.
    pub(crate) struct TokenProject {
        /// Its id.
        id: String,
        /// Its name.
        name: String,
        /// Its domain.
        domain: Domain,
    }
}

reply! {
    /// The user of a token.
    pub(crate) struct UserReply {
        /// Its id.
        id: String,
        /// Its name.
        name: String,
        /// Its domain.
        domain: Domain,
        /// Empty: passwords do not expire.
        password_expires_at: &'static str,
    }
}

reply! {
    /// What a token holds. The token itself is in the header X-Subject-Token.
    pub(crate) struct TokenBody {
        /// Not valid from here on.
        expires_at: Micros,
        /// When it was made.
        issued_at: Micros,
        /// How the user signed in.
        methods: Vec<String>,
        /// The project it is for.
        project: Option<TokenProject>,
        /// The domain it is for.
        domain: Option<Domain>,
        /// Who signed in.
        user: UserReply,
        /// Services; empty.
        catalog: Vec<String>,
        /// Roles; empty.
        roles: Vec<String>,
    }
}

reply! {
    /// A token's description.
    pub(crate) struct TokenReply {
        /// The token.
        token: TokenBody,
    }
}

/// The text of 002 §10.1.
fn not_permitted() -> Error {
    Error::new(Code::NotPermitted, "Operation not allowed. The user does not have the permission")
}

/// Refuses callers who may not do the operation to the user of the path and are somebody else.
async fn require_for_user(call: &Call) -> Result<()> {
    call.platform().require_for_user(call.caller()?, call.path("user_id"), call.operation.action).await
}

/// Whether the query asks for the platform's one domain, or for none.
fn is_own_domain(call: &Call) -> Result<bool> {
    let asked = call.text("domain_id")?.filter(|v| !v.is_empty());
    Ok(asked.is_none_or(|id| id == call.platform().instance.id.as_str()))
}

/// The one domain: the instance.
fn domain(call: &Call) -> Domain {
    let id = call.platform().instance.id.to_string();
    Domain { name: "default".to_owned(), id }
}

pub(super) static CREATE_TOKEN: Built = Built::new(
    "Signs in with user name and password. The token is in the header X-Subject-Token; send it as X-Auth-Token.",
    json::<TokenReply>(201),
    |c| Box::pin(create_token(c)),
)
.body::<TokenRequest>()
.errors(&[Code::Unauthenticated, Code::SignInLocked])
.open();

async fn create_token(call: Call) -> Result<Reply> {
    let asked: TokenRequest = call.body()?;
    let identity = asked.auth.identity;
    if !identity.methods.iter().any(|m| m == "password") {
        return Err(Error::invalid("Invalid input. 'auth.identity.methods' must hold 'password'."));
    }
    let own_project = call.platform().instance.project_id.as_str();
    let scope = asked.auth.scope;
    let for_domain = scope.as_ref().is_some_and(|s| s.project.is_none() && s.domain.is_some());
    let project_id = scope.and_then(|s| s.project).and_then(|p| p.id);
    let user = identity.password.user;
    call.signs_in(None, user.name.as_str());
    let issued = call.platform().sign_in(user.name.as_str(), user.password.as_str(), call.from).await?;
    call.signs_in(Some(&issued.user.id), &issued.user.name);
    // Only after the password, so that strangers cannot try project ids.
    if project_id.is_some_and(|id| id != own_project) {
        return Err(Error::new(Code::Unauthenticated, "The project in 'auth.scope' is not the user's."));
    }
    let token = HeaderValue::from_str(&issued.token).map_err(Error::internal)?;
    let project = TokenProject { id: own_project.to_owned(), name: PROJECT_NAME.to_owned(), domain: domain(&call) };
    let body = TokenBody {
        expires_at: Micros(issued.expires_at),
        issued_at: Micros(issued.issued_at),
        methods: vec!["password".to_owned()],
        project: (!for_domain).then_some(project),
        domain: for_domain.then(|| domain(&call)),
        user: UserReply { id: issued.user.id, name: issued.user.name, domain: domain(&call), password_expires_at: "" },
        catalog: Vec::new(),
        roles: Vec::new(),
    };
    Ok(Reply::created(&TokenReply { token: body })?.with_header(SUBJECT_TOKEN, token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_microseconds() {
        assert_eq!(value!(Micros(Timestamp(1_449_922_332_007))), value!("2015-12-12T12:12:12.007000Z"));
    }
}
