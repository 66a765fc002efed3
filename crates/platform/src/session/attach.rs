//! A device's connection from its sign-in to its end.

use std::sync::Arc;

use causeway_model::event::Heard;
use causeway_model::registry::Device;
use causeway_model::status::{DeviceStatus, StatusEvent};
use causeway_model::{Code, Error, Result};

use crate::Platform;
use crate::device::SignedIn;
use crate::downlink::DeviceLink;
use crate::runlog::{Business, Line, NOTHING};
use crate::uplink::{Change, DeviceContext, StatusChange, Unit};

/// A registered connection. Dropping it takes the device out of the directory and starts the delay until it is OFFLINE.
pub struct Attachment {
    platform: Arc<Platform>,
    /// What the road knows of the device.
    pub context: Arc<DeviceContext>,
    generation: u64,
}

impl Platform {
    /// What the road needs of a device; `None` when its product went meanwhile.
    pub(crate) async fn context_of(&self, device: Device) -> Result<Option<Arc<DeviceContext>>> {
        let product = self.products.get(&*self.store, device.product_no).await?;
        Ok(product.map(|product| Arc::new(DeviceContext::new(device, product))))
    }

    /// Registers the connection of a device that has signed in. An older connection of the device is closed. The
    /// device is ONLINE, for every reader, when this returns.
    ///
    /// # Errors
    /// [`Code::DeviceNotFound`] and [`Code::DeviceState`] when the device was deleted or frozen, or its certificate
    /// refused, meanwhile.
    pub async fn attach(self: &Arc<Self>, signed_in: SignedIn, link: Arc<dyn DeviceLink>) -> Result<Attachment> {
        let Some(mut context) = self.context_of(signed_in.device).await? else {
            return Err(Error::internal("a device has no product"));
        };
        if signed_in.proof.is_some() {
            let fresh = Arc::get_mut(&mut context);
            fresh.ok_or_else(|| Error::internal("a new context is shared"))?.proof = signed_in.proof;
        }
        let generation = self.directory.insert(context.clone(), link);
        let attachment = Attachment { platform: self.clone(), context, generation };
        self.departures.forget(&attachment.context.id);
        // Read again, now that changes find the connection in the directory: since the sign-in the device may have been
        // deleted or frozen, or a delayed OFFLINE may have been committed.
        let reading = attachment.context.begin_reading_tags();
        let Some(known) = self.store.device_by_no(attachment.context.no).await? else {
            return Err(Error::new(Code::DeviceNotFound, "The device was deleted while it connected."));
        };
        if known.frozen {
            return Err(Error::new(Code::DeviceState, "The device was frozen while it connected."));
        }
        self.load_policies(&attachment.context).await?;
        attachment.context.set_tags(reading, &known.tags);
        if let Some(proof) = &attachment.context.proof
            && !self.still_holds(&attachment.context.app_id, proof).await?
        {
            return Err(Error::new(Code::DeviceState, "The certificate was refused while the device connected."));
        }
        self.change_status(&attachment.context, known.connection, StatusEvent::Connected).await?;
        Ok(attachment)
    }

    /// What must be committed when `event` happens to a device whose stored status is `from`; `None` when nothing changes.
    pub(crate) fn status_unit(&self, device: &DeviceContext, from: DeviceStatus, event: StatusEvent) -> Option<Unit> {
        let status = from.next(event)?;
        let at = self.clock.now();
        let mut deliveries = self.tell_status(device, status, Some(at), at);
        deliveries.extend(self.consider_status(device, status, at));
        deliveries.extend(self.run_line(device, Business::Status, Heard::at(at), || Line {
            business: Business::Status,
            operation: if status == DeviceStatus::Online { "online" } else { "offline" }.into(),
            request: NOTHING,
            result: NOTHING,
            status: "200",
        }));
        Some(Unit { device: device.no, arrival: at, change: Change::Status(StatusChange { status, at }), deliveries })
    }

    /// Commits a change of status, if `event` makes one.
    pub(crate) async fn change_status(
        &self,
        device: &Arc<DeviceContext>,
        from: DeviceStatus,
        event: StatusEvent,
    ) -> Result<()> {
        let Some(unit) = self.status_unit(device, from, event) else { return Ok(()) };
        let ticket = self.store.submit(vec![unit]).await;
        ticket.await.map_err(|_| Error::unavailable("the store stopped before the commit"))?
    }

    /// A device without a standing connection was heard.
    pub(crate) async fn note_heard(&self, device: &Device) -> Result<()> {
        if device.connection == DeviceStatus::Online {
            return Ok(());
        }
        match self.context_of(device.clone()).await? {
            Some(context) => self.change_status(&context, device.connection, StatusEvent::Connected).await,
            None => Ok(()),
        }
    }
}

impl Attachment {
    /// Sends what waited for the device: desired properties that do not match, then pending messages. The door calls it
    /// once it has told the device that it is connected.
    ///
    /// # Errors
    /// Only the store's; the connection may live on.
    pub async fn begin(&self) -> Result<()> {
        self.platform.load_open_desired(&self.context).await?;
        self.platform.send_open_desired(&self.context);
        self.platform.hand_pending_messages(&self.context, &self.context.id).await?;
        let waiting = self.platform.store.waiting(self.context.no).await?;
        if waiting.has_log_config {
            self.platform.send_log_config(self.context.no, &self.context.id, &self.context.id).await?;
        }
        if waiting.has_commands {
            self.platform.hand_linkage_commands(self.context.no);
        }
        if waiting.has_children
            && let Some(entry) = self.platform.directory.get(self.context.id.as_str())
        {
            self.platform.begin_handing_over(entry);
        }
        Ok(())
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        if self.platform.directory.remove(&self.context.id, self.generation) {
            self.platform.departures.note(self.context.no, self.context.id.clone(), self.platform.clock.now());
        }
    }
}
