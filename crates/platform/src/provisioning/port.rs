//! What provisioning templates need from the store.

use async_trait::async_trait;
use causeway_model::certificate::ProvisioningTemplate;
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{RecordNo, Result};

/// Keeps provisioning templates.
#[async_trait]
pub trait ProvisioningStore: Send + Sync {
    /// Adds a template; `no` is ignored. [`Code::TooManyTemplates`](causeway_model::Code::TooManyTemplates) when there
    /// are `limit` of them.
    async fn insert_template(&self, template: ProvisioningTemplate, limit: u32) -> Result<ProvisioningTemplate>;
    /// One template.
    async fn template(&self, id: &str) -> Result<Option<ProvisioningTemplate>>;
    /// A page of templates, newest first; `name` restricts to those whose name contains it.
    async fn list_templates(&self, name: Option<&str>, page: PageRequest) -> Result<Page<ProvisioningTemplate>>;
    /// Sets description, body and the time of the change. False when gone.
    async fn update_template(&self, template: &ProvisioningTemplate) -> Result<bool>;
    /// Deletes a template. False when it is not there;
    /// [`Code::TemplateInUse`](causeway_model::Code::TemplateInUse) when an authority uses it.
    async fn delete_template(&self, no: RecordNo) -> Result<bool>;
}
