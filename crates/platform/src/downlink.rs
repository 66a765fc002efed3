//! What the platform says to a device, typed; each door translates it to its wire.

use std::net::IpAddr;
use std::sync::Arc;

use causeway_model::file::Transfer;
use causeway_model::message::DeviceMessage;
use causeway_model::properties::PropertyObject;
use causeway_model::{DeviceId, Error, Timestamp};

use crate::broadcast::Broadcast;
use crate::file::FileUrl;
use crate::gateway::GatewayNotice;
use crate::log::LogConfig;
use crate::lwm2m::{BinaryDownlink, ObjectRequest};
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
    /// A message to all devices of a space; for those that subscribed to its topic.
    Broadcast(Arc<Broadcast>),
    /// An event of the platform: an answer to one of the device, or news.
    Event(Box<EventNotice>),
    /// Bytes for a device that speaks LwM2M.
    Binary(BinaryDownlink),
    /// An operation on an object of a device that speaks LwM2M.
    Object(Box<ObjectRequest>),
}

/// An event of the platform for a device (002 §2.1.2.2–2.1.2.7).
#[derive(Clone, Debug)]
pub struct EventNotice {
    /// The device it is about: the connected one, or one behind it.
    pub object_device_id: DeviceId,
    /// The id of the event that it answers.
    pub event_id: Option<Box<str>>,
    /// What it says.
    pub body: NoticeBody,
}

/// What an event of the platform says, by service.
#[derive(Clone, Debug)]
pub enum NoticeBody {
    /// `$file_manager`: the URL that the device asked for.
    File {
        /// To upload to or to download from.
        transfer: Transfer,
        /// The answer.
        url: FileUrl,
    },
    /// `$time_sync`: the time.
    Time(TimeNotice),
    /// `$sub_device_manager`, `$sub_device_discovery`: devices behind a gateway.
    Gateway(GatewayNotice),
    /// `$log`: whether the device is to send its log.
    LogConfig(LogConfig),
}

/// The answer to a request for the time; when it is sent, the door says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeNotice {
    /// The device's time, as it said it.
    pub device_send_time: Option<i64>,
    /// When the request came.
    pub received: Timestamp,
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
    /// Its fingerprint was reset with `force_disconnect`.
    FingerprintReset,
    /// Its certificate was revoked, or the authority no longer counts.
    CertificateRefused,
    /// The platform stops.
    Shutdown,
}

/// Where a connection ends on this side: what a URL for the device should name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkPlace {
    /// This machine's address.
    pub local_ip: Option<IpAddr>,
    /// Whether nobody on the way can read along.
    pub is_encrypted: bool,
}

/// A device's live connection, as the door shows it to the platform.
pub trait DeviceLink: Send + Sync {
    /// Queues a downlink without waiting.
    ///
    /// # Errors
    /// Why not. The downlink is dropped; a message dropped so stays pending.
    fn deliver(&self, downlink: Downlink) -> Result<(), Refused>;
    /// Whether there is room for more than a few downlinks; for senders of many that can wait.
    fn has_room(&self) -> bool {
        true
    }
    /// Whether the device subscribed to broadcasts of any kind.
    fn hears_broadcasts(&self) -> bool {
        false
    }
    /// Closes the connection soon.
    fn close(&self, reason: CloseReason);
    /// By which address of this machine the device came; unknown unless the door says so.
    fn place(&self) -> LinkPlace {
        LinkPlace::default()
    }
}

/// The device's answer to a request: its body verbatim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the device sent.
    pub body: Vec<u8>,
}

/// What became of handing a downlink to a device.
pub type Delivered = Result<(), Error>;
