//! Provisioning templates (`iotda-v5-api.md`, provisioning templates). They belong to the whole instance.

use causeway_model::certificate::ProvisioningTemplate as Record;
use causeway_model::{Code, Error, Result};
use causeway_platform::provisioning::{NewTemplate, TemplateChange};
use serde_json::value::RawValue;

use crate::bounded::{Any, Free, Label, Text};
use crate::call::{Call, Page, Reply};
use crate::decode;
use crate::operation::{Built, Param, Success, json};
use crate::shape::{Compact, body, reply};

body! {
    /// A provisioning template to create.
    pub(crate) struct CreateTemplate {
        /// Display name.
        template_name: Text<Label, 1, 128>,
        /// Free text.
        description: Option<Text<Free, 0, 2048>>,
        /// `parameters`: the parts of the certificate's subject that are used; `resources`: the device that is made of
        /// them.
        template_body: Box<RawValue>,
    }
}

body! {
    /// Fields of a provisioning template to change; absent ones keep their value.
    pub(crate) struct UpdateTemplate {
        /// Free text.
        description: Option<Text<Free, 0, 2048>>,
        /// The body.
        template_body: Option<Box<RawValue>>,
    }
}

reply! {
    /// A provisioning template.
    pub(crate) struct ProvisioningTemplate {
        /// The id.
        template_id: String,
        /// Display name.
        template_name: String,
        /// Free text.
        description: Option<String>,
        /// The body. Not in lists.
        template_body: Option<Box<RawValue>>,
        /// When it was made.
        create_time: Compact,
        /// When it was changed last.
        update_time: Compact,
    }
}

reply! {
    /// A page of provisioning templates.
    pub(crate) struct ProvisioningTemplates {
        /// The templates, newest first.
        templates: Vec<ProvisioningTemplate>,
        /// The page.
        page: Page,
    }
}

fn template_reply(record: Record, whole: bool) -> Result<ProvisioningTemplate> {
    let body = if whole { Some(RawValue::from_string(record.body).map_err(Error::internal)?) } else { None };
    Ok(ProvisioningTemplate {
        template_id: record.id,
        template_name: record.name,
        description: record.description,
        template_body: body,
        create_time: Compact(record.created_at),
        update_time: Compact(record.updated_at),
    })
}

fn body_text(raw: &RawValue) -> Result<String> {
    decode::check_depth("template_body", raw)?;
    Ok(raw.get().to_owned())
}

pub(super) static CREATE: Built =
    Built::new("Creates a provisioning template.", json::<ProvisioningTemplate>(201), |c| Box::pin(create(c)))
        .body::<CreateTemplate>()
        .errors(&[Code::NotPermitted, Code::InvalidTemplate, Code::TooManyTemplates]);

async fn create(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let new: CreateTemplate = call.body()?;
    let new = NewTemplate {
        name: new.template_name.into_string(),
        description: new.description.map(Text::into_string),
        body: body_text(&new.template_body)?,
    };
    let made = call.platform().create_template(new).await?;
    Reply::created(&template_reply(made, true)?)
}

pub(super) static LIST: Built =
    Built::new("Lists provisioning templates.", json::<ProvisioningTemplates>(200), |c| Box::pin(list(c)))
        .query(&[Param::optional::<Text<Any, 1, 128>>("template_name", "Only those whose name contains this text.")])
        .paged()
        .errors(&[Code::NotPermitted]);

async fn list(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let name = call.query::<Text<Any, 1, 128>>("template_name")?;
    let found = call.platform().list_templates(name.as_ref().map(Text::as_str), call.page()?).await?;
    let page = Page::of(&found);
    let templates = found.items.into_iter().map(|t| template_reply(t, false)).collect::<Result<_>>()?;
    Reply::ok(&ProvisioningTemplates { templates, page })
}

pub(super) static SHOW: Built =
    Built::new("Shows a provisioning template.", json::<ProvisioningTemplate>(200), |c| Box::pin(show(c)))
        .errors(&[Code::NotPermitted, Code::TemplateNotFound]);

async fn show(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let found = call.platform().template(call.path("template_id")).await?;
    Reply::ok(&template_reply(found, true)?)
}

pub(super) static UPDATE: Built =
    Built::new("Changes a provisioning template.", json::<ProvisioningTemplate>(200), |c| Box::pin(update(c)))
        .body::<UpdateTemplate>()
        .errors(&[Code::NotPermitted, Code::TemplateNotFound, Code::InvalidTemplate]);

async fn update(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let change: UpdateTemplate = call.body()?;
    let change = TemplateChange {
        description: change.description.map(Text::into_string),
        body: change.template_body.as_deref().map(body_text).transpose()?,
    };
    let changed = call.platform().update_template(call.path("template_id"), change).await?;
    Reply::ok(&template_reply(changed, true)?)
}

pub(super) static DELETE: Built =
    Built::new("Deletes a provisioning template that no CA certificate uses.", Success::Empty, |c| Box::pin(delete(c)))
        .errors(&[Code::NotPermitted, Code::TemplateNotFound, Code::TemplateInUse]);

async fn delete(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    call.platform().delete_template(call.path("template_id")).await?;
    Ok(Reply::empty())
}
