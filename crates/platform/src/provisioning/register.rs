//! Registering the device that a certificate names.

use causeway_model::policy::TargetKind;
use causeway_model::registry::{AuthType, Device};
use causeway_model::tag::Tag;
use causeway_model::{Code, DeviceId, Error, NodeId, ProductId, Result, Spaces};

use super::template::Template;
use crate::Platform;
use crate::certificate::{Anchor, Shown};
use crate::device::{NewDevice, NewDeviceAuth};

/// Longest display name, in characters.
const LONGEST_NAME: usize = 256;

impl Platform {
    /// Registers the device `id` by the template of `anchor`; the certificate is bound to it.
    ///
    /// # Errors
    /// Says what does not fit: the subject, the id that follows from it, the product.
    pub(crate) async fn register_by_template(
        &self,
        id: &DeviceId,
        anchor: &Anchor,
        shown: &Shown<'_>,
    ) -> Result<Device> {
        let refuse = |why: String| Error::new(Code::InvalidTemplate, why);
        let template = match &anchor.template {
            Some(template) => self.template(template).await?,
            None => return Err(refuse("The CA certificate has no template any more.".to_owned())),
        };
        let template = Template::parse(&template.body)?;
        let filled = template.fill(shown.leaf().subject())?;
        let node_id = NodeId::parse(&filled.node_id)?;
        let product_id = ProductId::parse(&filled.product_id)?;
        let given = match &filled.device_id {
            Some(given) => DeviceId::parse(given)?,
            None => DeviceId::parse(&format!("{product_id}_{node_id}"))?,
        };
        if given != *id {
            return Err(refuse(format!("The template makes the device '{given}' of this certificate.")));
        }
        if filled.device_name.as_ref().is_some_and(|name| name.chars().count() > LONGEST_NAME) {
            return Err(refuse(format!("The device name is longer than {LONGEST_NAME} characters.")));
        }
        let spaces = Spaces::one(anchor.app_id.clone());
        for policy in &template.policies {
            self.policy(&spaces, policy).await?;
        }
        let registered = self
            .register_device(NewDevice {
                id: Some(given),
                node_id,
                name: filled.device_name,
                product_id,
                spaces: spaces.clone(),
                gateway_id: None,
                description: None,
                extension_info: None,
                auth: NewDeviceAuth {
                    auth_type: Some(AuthType::Certificates),
                    secret: None,
                    fingerprint: Some(shown.sha256().to_owned()),
                    secure_access: Some(true),
                    timeout_s: 0,
                },
                desired: Vec::new(),
            })
            .await;
        match registered {
            Ok(registered) => {
                let tags: Vec<Tag> = filled.tags.into_iter().map(|(key, value)| Tag { key, value }).collect();
                let mut outcome = self.bind_policies(&spaces, &template.policies, id).await;
                if outcome.is_ok() && !tags.is_empty() {
                    outcome = self.bind_tags(&registered.device, &tags).await;
                }
                if let Err(error) = outcome {
                    // Without its policies it could do more than the template says.
                    self.delete_device(id).await?;
                    return Err(error);
                }
                tracing::info!(device_id = %id, "a device was registered by the template of its authority");
                Ok(registered.device)
            }
            // Two connections at once: the other one was faster.
            Err(error) if error.code() == Code::DeviceExists => match self.store.device(id).await? {
                Some(device) if device.auth.auth_type == AuthType::Certificates => Ok(device),
                _ => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    async fn bind_policies(&self, spaces: &Spaces, policies: &[String], id: &DeviceId) -> Result<()> {
        for policy in policies {
            let (_, outcome) = self.bind_policy(spaces, policy, TargetKind::Device, vec![id.to_string()]).await?;
            if let Some((_, error)) = outcome.failed.into_iter().next() {
                return Err(error);
            }
        }
        Ok(())
    }
}
