//! What tags need from the store.

use async_trait::async_trait;
use causeway_model::registry::{Page, PageRequest};
use causeway_model::tag::{Tag, TagQuery};
use causeway_model::{DeviceId, DeviceNo, Result, Spaces};

/// Keeps tags. [`Device::tags`](causeway_model::registry::Device::tags) shows them.
#[async_trait]
pub trait TagStore: Send + Sync {
    /// Binds tags with different keys; a key that is bound gets the new value.
    /// [`Code::TooManyTags`](causeway_model::Code::TooManyTags) when the device would have more than `most`,
    /// [`Code::DeviceNotFound`](causeway_model::Code::DeviceNotFound) when it is gone; nothing is bound then.
    async fn put_tags(&self, device: DeviceNo, tags: &[Tag], most: u32) -> Result<()>;
    /// Unbinds keys. [`Code::TagNotFound`](causeway_model::Code::TagNotFound) when one of them is not bound; nothing is
    /// unbound then.
    async fn remove_tags(&self, device: DeviceNo, keys: &[String]) -> Result<()>;
    /// A page of the devices that have at least one of the tags, newest first.
    async fn devices_with_tags(
        &self,
        spaces: &Spaces,
        tags: &[TagQuery],
        page: PageRequest,
    ) -> Result<Page<(DeviceNo, DeviceId)>>;
}
