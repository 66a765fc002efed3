//! Making, reading, changing and deleting templates.

use causeway_model::certificate::ProvisioningTemplate;
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{Code, Error, RecordNo, Result};

use super::template::{MAX_BODY, Template};
use crate::Platform;
use crate::secrets::random_hex;

/// A template to make.
#[derive(Clone, Debug)]
pub struct NewTemplate {
    /// Display name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// JSON.
    pub body: String,
}

/// Fields of a template to change; absent ones keep their value.
#[derive(Clone, Debug, Default)]
pub struct TemplateChange {
    /// Free text.
    pub description: Option<String>,
    /// JSON.
    pub body: Option<String>,
}

fn not_found(id: &str) -> Error {
    Error::new(Code::TemplateNotFound, format!("The provisioning template '{id}' does not exist."))
}

fn checked(body: String) -> Result<String> {
    if body.len() > MAX_BODY {
        let message = format!("Invalid input. 'template_body' is longer than {MAX_BODY} bytes.");
        return Err(Error::new(Code::InvalidTemplate, message));
    }
    Template::parse(&body)?;
    Ok(body)
}

impl Platform {
    /// Makes a template.
    ///
    /// # Errors
    /// [`Code::InvalidTemplate`] names the place; [`Code::TooManyTemplates`].
    pub async fn create_template(&self, new: NewTemplate) -> Result<ProvisioningTemplate> {
        let now = self.clock.now();
        let template = ProvisioningTemplate {
            no: RecordNo(0),
            id: random_hex(12),
            name: new.name,
            description: new.description,
            body: checked(new.body)?,
            created_at: now,
            updated_at: now,
        };
        self.store.insert_template(template, self.settings.certificate.max_templates).await
    }

    /// One template.
    ///
    /// # Errors
    /// [`Code::TemplateNotFound`].
    pub async fn template(&self, id: &str) -> Result<ProvisioningTemplate> {
        self.store.template(id).await?.ok_or_else(|| not_found(id))
    }

    /// A page of templates, newest first; `name` restricts to those whose name contains it.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn list_templates(&self, name: Option<&str>, page: PageRequest) -> Result<Page<ProvisioningTemplate>> {
        self.store.list_templates(name, page).await
    }

    /// Changes a template. Devices registered by it stay as they are.
    ///
    /// # Errors
    /// [`Code::TemplateNotFound`]; [`Code::InvalidTemplate`].
    pub async fn update_template(&self, id: &str, change: TemplateChange) -> Result<ProvisioningTemplate> {
        let mut template = self.template(id).await?;
        template.description = change.description.or(template.description);
        if let Some(body) = change.body {
            template.body = checked(body)?;
        }
        template.updated_at = self.clock.now();
        if !self.store.update_template(&template).await? {
            return Err(not_found(id));
        }
        Ok(template)
    }

    /// Deletes a template.
    ///
    /// # Errors
    /// [`Code::TemplateNotFound`]; [`Code::TemplateInUse`].
    pub async fn delete_template(&self, id: &str) -> Result<()> {
        let template = self.template(id).await?;
        if !self.store.delete_template(template.no).await? {
            return Err(not_found(id));
        }
        Ok(())
    }
}
