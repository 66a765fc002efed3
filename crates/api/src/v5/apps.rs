//! Resource spaces (002 §8).

use causeway_model::{Code, Result, registry};

use crate::bounded::{Flag, Free, Text};
use crate::call::{Call, Reply};
use crate::operation::{Built, Param, Success, json};
use crate::shape::{Compact, body, reply};

body! {
    /// A resource space to create.
    pub(crate) struct AddApplication {
        /// Name, unique in the project.
        app_name: Text<Free, 1, 64>,
    }
}

body! {
    /// Fields of a resource space to change.
    pub(crate) struct UpdateApplication {
        /// Name, unique in the project.
        app_name: Option<Text<Free, 1, 64>>,
    }
}

reply! {
    /// A resource space.
    pub(crate) struct App {
        /// The id, 32 hexadecimal digits.
        app_id: String,
        /// Name.
        app_name: String,
        /// When it was made.
        create_time: Compact,
        /// The one space that is there from the start and stays.
        default_app: bool,
    }
}

reply! {
    /// The resource spaces, oldest first.
    pub(crate) struct Applications {
        /// The spaces.
        applications: Vec<App>,
    }
}

impl From<registry::App> for App {
    fn from(app: registry::App) -> Self {
        Self {
            app_id: app.id.to_string(),
            app_name: app.name,
            create_time: Compact(app.created_at),
            default_app: app.is_default,
        }
    }
}

pub(super) static ADD: Built = Built::new("Creates a resource space.", json::<App>(201), |c| Box::pin(add(c)))
    .body::<AddApplication>()
    .errors(&[Code::NotPermitted, Code::TooManyApps, Code::InvalidApp]);

async fn add(call: Call) -> Result<Reply> {
    // A new space is in none of those that a caller may be restricted to.
    call.require_everywhere().await?;
    let new: AddApplication = call.body()?;
    let app = call.platform().create_app(new.app_name.as_str()).await?;
    Reply::created(&App::from(app))
}

pub(super) static LIST: Built =
    Built::new("Lists the resource spaces.", json::<Applications>(200), |c| Box::pin(list(c)))
        .query(&[Param::optional::<Flag>("default_app", "Only the default space, or only the others.")]);

async fn list(call: Call) -> Result<Reply> {
    let apps = call.platform().apps(call.flag("default_app")?).await?;
    let visible = apps.into_iter().filter(|a| call.allowed.sees(&a.id));
    Reply::ok(&Applications { applications: visible.map(App::from).collect() })
}

pub(super) static SHOW: Built =
    Built::new("Shows a resource space.", json::<App>(200), |c| Box::pin(show(c))).errors(&[Code::AppNotFound]);

async fn show(call: Call) -> Result<Reply> {
    let app = call.platform().app(&call.app_id()?).await?;
    Reply::ok(&App::from(app))
}

pub(super) static UPDATE: Built = Built::new("Renames a resource space.", json::<App>(200), |c| Box::pin(update(c)))
    .body::<UpdateApplication>()
    .errors(&[Code::AppNotFound, Code::InvalidApp]);

async fn update(call: Call) -> Result<Reply> {
    let id = call.app_id()?;
    let change: UpdateApplication = call.body()?;
    let app = match change.app_name {
        Some(name) => call.platform().rename_app(&id, name.as_str()).await?,
        None => call.platform().app(&id).await?,
    };
    Reply::ok(&App::from(app))
}

pub(super) static DELETE: Built =
    Built::new("Deletes a resource space with everything in it.", Success::Empty, |c| Box::pin(delete(c)))
        .errors(&[Code::AppNotFound, Code::DefaultApp]);

async fn delete(call: Call) -> Result<Reply> {
    call.platform().delete_app(&call.app_id()?).await?;
    Ok(Reply::empty())
}
