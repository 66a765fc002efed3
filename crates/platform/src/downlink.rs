//! What the platform says to a device, typed; each door translates it to its wire.

use std::sync::Arc;

use causeway_model::message::DeviceMessage;
use causeway_model::properties::PropertyObject;
use causeway_model::{DeviceId, Error};

use crate::message::MessageDone;

/// Something for one device (or a device behind it).
#[derive(Debug)]
pub enum Downlink {
    /// A synchronous command.
    Command {
        /// Correlates the answer.
        request_id: Arc<str>,
        /// The device that is meant.
        object_device_id: DeviceId,
        /// The service.
        service_id: String,
        /// The command.
        command_name: String,
        /// Its parameters, raw JSON.
        paras: String,
    },
    /// Set properties.
    PropertySet {
        /// Correlates the answer.
        request_id: Arc<str>,
        /// The device that is meant.
        object_device_id: DeviceId,
        /// Service and properties.
        services: Vec<(String, PropertyObject)>,
    },
    /// Ask for properties.
    PropertyGet {
        /// Correlates the answer.
        request_id: Arc<str>,
        /// The device that is meant.
        object_device_id: DeviceId,
        /// Only this service.
        service_id: Option<String>,
    },
    /// A message of an application.
    Message {
        /// The device that is meant.
        object_device_id: DeviceId,
        /// The message.
        message: Box<DeviceMessage>,
        /// To be told what became of it.
        done: MessageDone,
    },
}

/// Why a connection does not take a downlink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Its queue is full.
    Busy,
    /// It is closing.
    Closed,
}

/// Why the platform closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The same device connected again.
    TakenOver,
    /// The device was deleted.
    Deleted,
    /// The device was frozen.
    Frozen,
    /// Its secret was reset with `force_disconnect`.
    SecretReset,
    /// The platform stops.
    Shutdown,
}

/// A device's live connection, as the door shows it to the platform.
pub trait DeviceLink: Send + Sync {
    /// Queues a downlink without waiting.
    ///
    /// # Errors
    /// Why not. The downlink is dropped; a message dropped so stays pending.
    fn deliver(&self, downlink: Downlink) -> Result<(), Refused>;
    /// Closes the connection soon.
    fn close(&self, reason: CloseReason);
}

/// The device's answer to a request: its body verbatim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the device sent.
    pub body: Vec<u8>,
}

/// What became of handing a downlink to a device.
pub type Delivered = Result<(), Error>;
