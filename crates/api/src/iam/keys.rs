//! Permanent access keys (AK/SK). A user manages its own; whoever may, manages everybody's.

use causeway_model::{Code, Result};
use causeway_platform::iam::{AccessKey, User};

use super::Micros;
use crate::bounded::{Any, Free, Text, Word, words};
use crate::call::{Call, Reply};
use crate::operation::{Built, Param, Success, json};
use crate::shape::{body, reply};

words! {
    /// States of a key.
    KeyStatus: "active" | "inactive";
}

body! {
    /// For whom a key is made.
    pub(crate) struct NewCredential {
        /// The user's id.
        user_id: Text<Any, 1, 64>,
        /// What it is for.
        description: Option<Text<Free, 0, 255>>,
    }
}

body! {
    /// See `credential`.
    pub(crate) struct CreateCredential {
        /// For whom.
        credential: NewCredential,
    }
}

body! {
    /// Fields of a key to change.
    pub(crate) struct CredentialChange {
        /// Whether it may be used.
        status: Option<Word<KeyStatus>>,
        /// What it is for.
        description: Option<Text<Free, 0, 255>>,
    }
}

body! {
    /// See `credential`.
    pub(crate) struct UpdateCredential {
        /// What changes.
        credential: CredentialChange,
    }
}

reply! {
    /// An access key.
    pub(crate) struct Credential {
        /// The public half.
        access: String,
        /// The secret half; told once, when the key is made.
        secret: Option<String>,
        /// Whether it may be used: active or inactive.
        status: &'static str,
        /// Whose it is.
        user_id: String,
        /// What it is for.
        description: String,
        /// When it was made.
        create_time: Micros,
    }
}

reply! {
    /// An access key of its own.
    pub(crate) struct OneCredential {
        /// The key.
        credential: Credential,
    }
}

reply! {
    /// Access keys.
    pub(crate) struct Credentials {
        /// Oldest first.
        credentials: Vec<Credential>,
    }
}

fn show_key(key: AccessKey, user_id: &str, secret: Option<String>) -> Credential {
    Credential {
        access: key.ak,
        secret,
        status: if key.active { "active" } else { "inactive" },
        user_id: user_id.to_owned(),
        description: key.description,
        create_time: Micros(key.created_at),
    }
}

/// The key of the path and its user, for a caller who may.
async fn named_key(call: &Call) -> Result<(AccessKey, User)> {
    call.platform().access_key(call.caller()?, call.path("access_key"), call.operation.action).await
}

pub(super) static CREATE: Built =
    Built::new("Makes an access key. Its secret half is told this once.", json::<OneCredential>(201), |c| {
        Box::pin(create(c))
    })
    .account()
    .body::<CreateCredential>()
    .errors(&[Code::NotPermitted, Code::UserNotFound, Code::TooManyAccessKeys]);

async fn create(call: Call) -> Result<Reply> {
    let new = call.body::<CreateCredential>()?.credential;
    let user_id = new.user_id.as_str();
    call.platform().require_for_user(call.caller()?, user_id, call.operation.action).await?;
    let description = new.description.as_ref().map_or("", Text::as_str);
    let made = call.platform().create_access_key(user_id, description).await?;
    Reply::created(&OneCredential { credential: show_key(made.key, user_id, Some(made.secret.to_string())) })
}

pub(super) static LIST: Built = Built::new(
    "Lists the access keys of a user, the caller's own unless said otherwise.",
    json::<Credentials>(200),
    |c| Box::pin(list(c)),
)
.account()
.query(&[Param::optional::<Text<Any, 0, 64>>("user_id", "Whose.")])
.errors(&[Code::NotPermitted, Code::UserNotFound]);

async fn list(call: Call) -> Result<Reply> {
    let caller = call.caller()?;
    let user_id = call.text("user_id")?.filter(|v| !v.is_empty()).unwrap_or(caller.id());
    call.platform().require_for_user(caller, user_id, call.operation.action).await?;
    let keys = call.platform().access_keys(user_id).await?;
    Reply::ok(&Credentials { credentials: keys.into_iter().map(|k| show_key(k, user_id, None)).collect() })
}

pub(super) static SHOW: Built =
    Built::new("Shows an access key without its secret half.", json::<OneCredential>(200), |c| Box::pin(show(c)))
        .account()
        .errors(&[Code::NotPermitted, Code::AccessKeyNotFound]);

async fn show(call: Call) -> Result<Reply> {
    let (key, user) = named_key(&call).await?;
    Reply::ok(&OneCredential { credential: show_key(key, &user.id, None) })
}

pub(super) static UPDATE: Built =
    Built::new("Enables, disables or describes an access key.", json::<OneCredential>(200), |c| Box::pin(update(c)))
        .account()
        .body::<UpdateCredential>()
        .errors(&[Code::NotPermitted, Code::AccessKeyNotFound]);

async fn update(call: Call) -> Result<Reply> {
    let (key, user) = named_key(&call).await?;
    let change = call.body::<UpdateCredential>()?.credential;
    let active = change.status.map(|s| s.as_str() == "active");
    let key = call.platform().change_access_key(&key.ak, active, change.description.map(Text::into_string)).await?;
    Reply::ok(&OneCredential { credential: show_key(key, &user.id, None) })
}

pub(super) static DELETE: Built = Built::new("Deletes an access key.", Success::Empty, |c| Box::pin(delete(c)))
    .account()
    .errors(&[Code::NotPermitted, Code::AccessKeyNotFound]);

async fn delete(call: Call) -> Result<Reply> {
    let (key, _) = named_key(&call).await?;
    call.platform().delete_access_key(&key.ak).await?;
    Ok(Reply::empty())
}
