//! Versions that a device tells of itself (002 §2.1.2.3).

use std::borrow::Cow;

use causeway_model::service_event::DeviceVersions;
use causeway_model::{DeviceNo, Result};

use crate::Platform;

fn owned(text: Option<Cow<'_, str>>) -> Option<Cow<'static, str>> {
    text.map(|text| Cow::Owned(text.into_owned()))
}

impl Platform {
    /// Keeps the versions that a device told; those it did not tell stay.
    pub(crate) async fn note_versions(&self, no: DeviceNo, told: DeviceVersions<'_>) -> Result<()> {
        let Some(known) = self.store.device_by_no(no).await? else { return Ok(()) };
        // Devices tell with every connect what changes once a year.
        let differs = |told: &Option<Cow<'_, str>>, known: &Option<String>| {
            told.as_deref().is_some_and(|told| known.as_deref() != Some(told))
        };
        let changed = differs(&told.sdk, &known.sdk_version)
            || differs(&told.software, &known.sw_version)
            || differs(&told.firmware, &known.fw_version);
        if changed {
            let told =
                DeviceVersions { sdk: owned(told.sdk), software: owned(told.software), firmware: owned(told.firmware) };
            self.store.set_versions(no, &told).await?;
            self.tell_device_changed(&known.app_id, &known.id).await;
        }
        Ok(())
    }
}
