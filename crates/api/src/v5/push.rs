//! The URL that takes a space's events; the vendor's way, forwarding rules, is not built yet.

use causeway_model::{Code, Error, Result};
use causeway_platform::outbox::PushTarget;

use crate::bounded::{Any, Text};
use crate::call::{Call, Reply};
use crate::operation::{Built, Success, json};
use crate::shape::{Compact, body, reply};

body! {
    /// Where events are pushed to.
    pub(crate) struct SetPush {
        /// `http://` or `https://` address.
        url: Text<Any, 1, 1024>,
    }
}

reply! {
    /// Where a space's events are pushed to.
    pub(crate) struct Push {
        /// The resource space.
        app_id: String,
        /// The address.
        url: String,
        /// When it was set.
        create_time: Compact,
    }
}

impl From<PushTarget> for Push {
    fn from(target: PushTarget) -> Self {
        Self { app_id: target.app_id.to_string(), url: target.url, create_time: Compact(target.created_at) }
    }
}

fn none(call: &Call) -> Error {
    let message = format!("The application '{}' has no push address. Set one with PUT.", call.path("app_id"));
    Error::new(Code::NoSuchPath, message)
}

pub(super) static SET: Built =
    Built::new("Pushes the events of a resource space to a URL.", json::<Push>(200), |c| Box::pin(set(c)))
        .body::<SetPush>()
        .errors(&[Code::AppNotFound]);

async fn set(call: Call) -> Result<Reply> {
    let app = call.app_id()?;
    let asked: SetPush = call.body()?;
    let target = call.platform().set_push_url(&app, asked.url.as_str()).await?;
    Reply::ok(&Push::from(target))
}

pub(super) static SHOW: Built =
    Built::new("Shows where the events of a resource space are pushed to.", json::<Push>(200), |c| Box::pin(show(c)))
        .errors(&[Code::AppNotFound, Code::NoSuchPath]);

async fn show(call: Call) -> Result<Reply> {
    match call.platform().push_url(&call.app_id()?).await? {
        Some(target) => Reply::ok(&Push::from(target)),
        None => Err(none(&call)),
    }
}

pub(super) static DELETE: Built =
    Built::new("Stops pushing the events of a resource space; waiting ones are dropped.", Success::Empty, |c| {
        Box::pin(delete(c))
    })
    .errors(&[Code::AppNotFound, Code::NoSuchPath]);

async fn delete(call: Call) -> Result<Reply> {
    if call.platform().delete_push_url(&call.app_id()?).await? { Ok(Reply::empty()) } else { Err(none(&call)) }
}
