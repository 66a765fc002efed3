//! Saying something to a topic: one delivery for each subscriber, so that each is tried for itself until it has it.

use std::sync::Arc;

use causeway_model::{Code, Error, Result, Timestamp};

use super::manage::no_such_topic;
use super::{NotificationTopic, Protocol, Subscription};
use crate::Platform;
use crate::outbox::NewDelivery;

impl Platform {
    /// Tells all confirmed subscribers of the topic with this URN; returns when that is committed. Any region will do: rules
    /// written for the vendor's cloud name theirs.
    ///
    /// # Errors
    /// [`Code::NotificationTopicNotFound`]; [`Code::InvalidInput`] when the URN is none.
    pub async fn notify_topic(&self, topic_urn: &str, title: &str, content: &str) -> Result<()> {
        let parts: Vec<&str> = topic_urn.split(':').collect();
        let ["urn", "smn", _, project, name] = parts[..] else {
            return Err(Error::invalid(
                "Invalid input. The URN of a topic looks like 'urn:smn:region:project_id:topic_name'.",
            ));
        };
        if project != self.instance.project_id.to_string() {
            return Err(Error::new(
                Code::NotificationTopicNotFound,
                "The notification topic belongs to another project. Use the URN that the topic shows.",
            ));
        }
        let topic = self.store.notification_topic_by_name(name).await?.ok_or_else(|| no_such_topic(name))?;
        self.publish(&topic, title, content).await?;
        Ok(())
    }

    /// Tells all confirmed subscribers of a topic; the id of the message and how many it goes to.
    ///
    /// # Errors
    /// [`Code::NotificationTopicNotFound`].
    pub async fn publish_to_topic(&self, topic_id: &str, title: &str, content: &str) -> Result<(String, usize)> {
        let topic = self.notification_topic(topic_id).await?;
        self.publish(&topic, title, content).await
    }

    async fn publish(&self, topic: &NotificationTopic, title: &str, content: &str) -> Result<(String, usize)> {
        let (id, now) = (uuid::Uuid::new_v4().to_string(), self.clock.now());
        let body = self.letter("Notification", &id, topic, title, content, None, now);
        let subscribers = self.store.subscriptions(Some(topic.no)).await?;
        let deliveries: Vec<NewDelivery> = subscribers
            .iter()
            .filter(|s| s.confirmed_at.is_some())
            .map(|s| NewDelivery { target: s.target, device: None, body: body.clone(), at: now })
            .collect();
        let count = deliveries.len();
        self.store.put_deliveries(deliveries).await?;
        Ok((id, count))
    }

    /// Tells a new subscriber how to confirm. Without `notify.public_url` there is no link, and only mail and short
    /// messages would be of use to people, so nothing is sent: the operator confirms.
    pub(super) async fn ask_for_confirmation(
        &self,
        topic: &NotificationTopic,
        subscription: &Subscription,
        token: &str,
    ) -> Result<()> {
        let Some(base) = &self.settings.notify.public_url else { return Ok(()) };
        let link = format!("{}/notifications/confirm?token={token}", base.trim_end_matches('/'));
        let (id, now) = (uuid::Uuid::new_v4().to_string(), self.clock.now());
        let text = match subscription.protocol {
            Protocol::Sms => format!("Confirm your subscription of {}: {link}", topic.name),
            _ => format!(
                "You are invited to subscribe to the topic {}. To confirm, open the link:\n\n{link}\n\nIf you do not \
                 expect this, ignore it: nothing more will come.",
                self.topic_urn(topic)
            ),
        };
        let subject = format!("Confirm the subscription of {}", topic.name);
        let body = self.letter("SubscriptionConfirmation", &id, topic, &subject, &text, Some(&link), now);
        let delivery = NewDelivery { target: subscription.target, device: None, body, at: now };
        self.store.put_deliveries(vec![delivery]).await
    }

    /// What subscribers get, in the form of SMN's messages.
    #[allow(clippy::too_many_arguments, reason = "the fields of one message")]
    fn letter(
        &self,
        kind: &str,
        id: &str,
        topic: &NotificationTopic,
        subject: &str,
        message: &str,
        link: Option<&str>,
        at: Timestamp,
    ) -> Arc<str> {
        let mut body = serde_json::json!({
            "type": kind,
            "message_id": id,
            "topic_urn": self.topic_urn(topic),
            "topic_name": topic.display_name.as_deref().unwrap_or(&topic.name),
            "subject": subject,
            "message": message,
            "timestamp": at.millis().to_string(),
        });
        if let Some(link) = link {
            body["subscribe_url"] = link.into();
        }
        body.to_string().into()
    }
}
