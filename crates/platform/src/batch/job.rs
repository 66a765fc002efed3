//! What a task does with a target, and the forms in which that is kept in the store.

use causeway_model::batch::TaskType;
use causeway_model::message::{Encoding, MessageTopic, PayloadFormat};
use causeway_model::properties::PropertyObject;
use causeway_model::registry::AuthType;
use causeway_model::{AppId, DeviceId, Error, NodeId, ProductId, Result, Spaces};
use serde::{Deserialize, Serialize};

use crate::command::NewCommand;
use crate::device::{DeviceChange, NewDevice, NewDeviceAuth};
use crate::message::NewMessage;
use crate::shadow::DesiredPatch;

/// What a task does with each of its targets.
#[derive(Clone, Debug)]
pub enum Job {
    /// Registers the device of the target's row.
    CreateDevices,
    /// Changes the device as the target's row says.
    UpdateDevices,
    /// Deletes the device.
    DeleteDevices,
    /// Freezes the device.
    FreezeDevices,
    /// Unfreezes the device.
    UnfreezeDevices,
    /// Sends the command and waits for the answer.
    Command(NewCommand),
    /// Sends the message.
    Message(NewMessage),
    /// Changes what is desired.
    Desire(Vec<DesiredPatch>),
}

/// One row of a file.
#[derive(Clone, Debug)]
pub enum Row {
    /// A device that is there.
    Device(DeviceId),
    /// A device to register.
    New(Box<DeviceRow>),
    /// A device and what to change of it.
    Change(Box<DeviceRow>),
}

/// A device as a row of a file tells of it; checked fields of the API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRow {
    /// The device's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// What the device calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
    /// Its product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_id: Option<String>,
    /// The space it goes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// Display name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_name: Option<String>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The gateway it is behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_id: Option<String>,
    /// Whether it proves itself by a certificate.
    #[serde(default)]
    pub certificate: bool,
    /// Its secret; made when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Fingerprint of its certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Whether only encrypted doors are open to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secure_access: Option<bool>,
    /// Seconds within which it must connect first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
    /// The caller's own JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extension_info: Option<String>,
}

impl DeviceRow {
    /// The device to register, in one of `spaces`.
    ///
    /// # Errors
    /// [`Code::InvalidInput`](causeway_model::Code::InvalidInput) for ids that no device can have.
    pub(super) fn new_device(self, spaces: &Spaces) -> Result<NewDevice> {
        let spaces = match self.app_id.as_deref().map(AppId::parse).transpose()? {
            Some(app) if spaces.sees(&app) => Spaces::one(app),
            // A space that is not the creator's is not told apart from one that is not there.
            Some(_) => Spaces::Only([].into()),
            None => spaces.clone(),
        };
        Ok(NewDevice {
            id: self.device_id.as_deref().map(DeviceId::parse).transpose()?,
            node_id: NodeId::parse(self.node_id.as_deref().unwrap_or_default())?,
            name: self.device_name,
            product_id: ProductId::parse(self.product_id.as_deref().unwrap_or_default())?,
            spaces,
            gateway_id: self.gateway_id.as_deref().map(DeviceId::parse).transpose()?,
            description: self.description,
            extension_info: self.extension_info,
            auth: NewDeviceAuth {
                auth_type: Some(if self.certificate { AuthType::Certificates } else { AuthType::Secret }),
                secret: self.secret,
                fingerprint: self.fingerprint,
                secure_access: self.secure_access,
                timeout_s: self.timeout.unwrap_or(0),
            },
            desired: Vec::new(),
        })
    }

    /// What to change of the device.
    pub(super) fn change(self) -> DeviceChange {
        DeviceChange {
            name: self.device_name,
            description: self.description,
            extension_info: self.extension_info,
            secure_access: self.secure_access,
            timeout_s: self.timeout,
        }
    }

    pub(super) fn write(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(Error::internal)
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|e| Error::internal(format_args!("cannot read a stored row: {e}")))
    }
}

/// [`Job`] as the store keeps it. A published field never changes its meaning.
#[derive(Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
enum Stored {
    CreateDevices,
    UpdateDevices,
    DeleteDevices,
    FreezeDevices,
    UnfreezeDevices,
    Command {
        service_id: Option<String>,
        command_name: Option<String>,
        paras: String,
    },
    Message {
        id: Option<String>,
        name: Option<String>,
        content: String,
        base64: bool,
        raw: bool,
        /// `s` for the system topic, `c` or `f` before a custom or full one.
        topic: String,
        properties: Option<String>,
        keep_minutes: i64,
    },
    Desire {
        /// Service and the patch.
        patches: Vec<(String, String)>,
    },
}

impl Job {
    /// The type of a task that does this.
    #[must_use]
    pub fn task_type(&self) -> TaskType {
        match self {
            Self::CreateDevices => TaskType::CreateDevices,
            Self::UpdateDevices => TaskType::UpdateDevices,
            Self::DeleteDevices => TaskType::DeleteDevices,
            Self::FreezeDevices => TaskType::FreezeDevices,
            Self::UnfreezeDevices => TaskType::UnfreezeDevices,
            Self::Command(_) => TaskType::CreateCommands,
            Self::Message(_) => TaskType::CreateMessages,
            Self::Desire(_) => TaskType::UpdateDeviceShadows,
        }
    }

    /// Whether a target waits for its device rather than for the store.
    pub(super) fn waits_for_devices(&self) -> bool {
        matches!(self, Self::Command(_) | Self::Message(_))
    }

    pub(super) fn write(&self) -> Result<String> {
        let stored = match self.clone() {
            Self::CreateDevices => Stored::CreateDevices,
            Self::UpdateDevices => Stored::UpdateDevices,
            Self::DeleteDevices => Stored::DeleteDevices,
            Self::FreezeDevices => Stored::FreezeDevices,
            Self::UnfreezeDevices => Stored::UnfreezeDevices,
            Self::Command(c) => Stored::Command {
                service_id: c.service_id,
                command_name: c.command_name,
                paras: c.paras.as_str().to_owned(),
            },
            Self::Message(m) => Stored::Message {
                id: m.id,
                name: m.name,
                content: m.content,
                base64: m.encoding == Encoding::Base64,
                raw: m.format == PayloadFormat::Raw,
                topic: match m.topic {
                    MessageTopic::System => "s".to_owned(),
                    MessageTopic::Custom(suffix) => format!("c{suffix}"),
                    MessageTopic::Full(topic) => format!("f{topic}"),
                },
                properties: m.properties,
                keep_minutes: m.keep_minutes,
            },
            Self::Desire(patches) => Stored::Desire {
                patches: patches.into_iter().map(|p| (p.service_id, p.patch.as_str().to_owned())).collect(),
            },
        };
        serde_json::to_string(&stored).map_err(Error::internal)
    }

    pub(super) fn read(text: &str) -> Result<Self> {
        let stored = serde_json::from_str(text)
            .map_err(|e| Error::internal(format_args!("cannot read what a stored batch task does: {e}")))?;
        Ok(match stored {
            Stored::CreateDevices => Self::CreateDevices,
            Stored::UpdateDevices => Self::UpdateDevices,
            Stored::DeleteDevices => Self::DeleteDevices,
            Stored::FreezeDevices => Self::FreezeDevices,
            Stored::UnfreezeDevices => Self::UnfreezeDevices,
            Stored::Command { service_id, command_name, paras } => {
                Self::Command(NewCommand { service_id, command_name, paras: PropertyObject::parse(&paras)? })
            }
            Stored::Message { id, name, content, base64, raw, topic, properties, keep_minutes } => {
                let topic = match topic.split_at_checked(1) {
                    Some(("c", suffix)) => MessageTopic::Custom(suffix.to_owned()),
                    Some(("f", topic)) => MessageTopic::Full(topic.to_owned()),
                    _ => MessageTopic::System,
                };
                let encoding = if base64 { Encoding::Base64 } else { Encoding::None };
                let format = if raw { PayloadFormat::Raw } else { PayloadFormat::Standard };
                Self::Message(NewMessage { id, name, content, encoding, format, topic, properties, keep_minutes })
            }
            Stored::Desire { patches } => Self::Desire(
                patches
                    .into_iter()
                    .map(|(service_id, patch)| {
                        Ok(DesiredPatch { service_id, patch: PropertyObject::parse(&patch)?, expected_version: None })
                    })
                    .collect::<Result<_>>()?,
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_read_back() {
        let object = |text| PropertyObject::parse(text).expect("an object");
        let message = NewMessage {
            id: None,
            name: Some("n".to_owned()),
            content: r#"{"a":1.10}"#.to_owned(),
            encoding: Encoding::None,
            format: PayloadFormat::Raw,
            topic: MessageTopic::Full("/x".to_owned()),
            properties: None,
            keep_minutes: 5,
        };
        let command =
            NewCommand { service_id: Some("s".to_owned()), command_name: None, paras: object(r#"{"v":1.0}"#) };
        let patch = DesiredPatch { service_id: "s".to_owned(), patch: object(r#"{"v":null}"#), expected_version: None };
        for job in [Job::CreateDevices, Job::Command(command), Job::Message(message), Job::Desire(vec![patch])] {
            let text = job.write().expect("writes");
            assert_eq!(format!("{:?}", Job::read(&text).expect("reads")), format!("{job:?}"));
        }
        assert!(Job::read("{}").is_err());
    }
}
