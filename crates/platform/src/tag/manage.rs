//! Binding and unbinding tags, and finding devices by them.

use causeway_model::registry::{Device, Page, PageRequest};
use causeway_model::tag::{Tag, TagQuery};
use causeway_model::{DeviceId, DeviceNo, Error, Result, Spaces};

use crate::Platform;
use crate::bus::Changed;

fn refuse_twice<'a>(keys: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut keys: Vec<&str> = keys.collect();
    keys.sort_unstable();
    match keys.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::invalid(format!("Invalid input. The tag key '{}' is given twice.", pair[0]))),
        None => Ok(()),
    }
}

impl Platform {
    /// Binds tags to a device; a key that is bound already gets the new value.
    ///
    /// # Errors
    /// [`Code::TooManyTags`](causeway_model::Code::TooManyTags);
    /// [`Code::InvalidInput`](causeway_model::Code::InvalidInput) when a key is given twice.
    pub async fn bind_tags(&self, device: &Device, tags: &[Tag]) -> Result<()> {
        refuse_twice(tags.iter().map(|t| t.key.as_str()))?;
        self.store.put_tags(device.no, tags, self.settings.registry.max_device_tags).await?;
        self.bus.announce(Changed::Device(device.id.clone())).await;
        self.tell_device_changed(&device.app_id, &device.id).await;
        Ok(())
    }

    /// Unbinds tags.
    ///
    /// # Errors
    /// [`Code::TagNotFound`](causeway_model::Code::TagNotFound);
    /// [`Code::InvalidInput`](causeway_model::Code::InvalidInput) when a key is given twice.
    pub async fn unbind_tags(&self, device: &Device, keys: &[String]) -> Result<()> {
        refuse_twice(keys.iter().map(String::as_str))?;
        self.store.remove_tags(device.no, keys).await?;
        self.bus.announce(Changed::Device(device.id.clone())).await;
        self.tell_device_changed(&device.app_id, &device.id).await;
        Ok(())
    }

    /// A page of the devices that have at least one of the tags, newest first.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn devices_with_tags(
        &self,
        spaces: &Spaces,
        tags: &[TagQuery],
        page: PageRequest,
    ) -> Result<Page<(DeviceNo, DeviceId)>> {
        self.store.devices_with_tags(spaces, tags, page).await
    }
}
