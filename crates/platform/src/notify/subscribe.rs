//! Subscribing, confirming, ending.

use causeway_model::registry::{Page, PageRequest};
use causeway_model::{Code, Error, RecordNo, Result};

use super::{NotificationTopic, Protocol, Subscription};
use crate::Platform;
use crate::bus::Changed;
use crate::secrets::random_hex;

fn no_such_subscription(id: &str) -> Error {
    let id: String = id.chars().take(64).collect();
    Error::new(Code::SubscriptionNotFound, format!("The subscription '{id}' does not exist."))
}

fn digest(token: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, token.as_bytes()).as_ref());
    out
}

/// A mail address that no header can be broken with: one `@`, no spaces, quotes or brackets.
fn is_mail_address(text: &str) -> bool {
    let plain = |s: &str| s.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b));
    let host =
        |s: &str| s.split('.').all(|l| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    text.len() <= 254
        && text.split_once('@').is_some_and(|(name, domain)| {
            (1..=64).contains(&name.len()) && plain(name) && !name.split('.').any(str::is_empty) && host(domain)
        })
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    (3..=20).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

impl Platform {
    fn check_endpoint(&self, protocol: Protocol, endpoint: &str) -> Result<()> {
        let refuse = |rule: &str| Err(Error::invalid(format!("Invalid input. 'endpoint' must be {rule}.")));
        match protocol {
            Protocol::Email if !is_mail_address(endpoint) => refuse("a mail address"),
            Protocol::Sms if !is_number(endpoint) => refuse("a telephone number, digits after an optional '+'"),
            Protocol::Email if self.settings.mail.server.is_none() => {
                refuse("of another protocol: the platform sends no mail until the operator sets 'mail.server'")
            }
            Protocol::Sms if self.settings.sms.gateway_url.is_none() => refuse(
                "of another protocol: the platform sends no short messages until the operator sets 'sms.gateway_url'",
            ),
            Protocol::Http if !endpoint.starts_with("http://") => refuse("an http:// address"),
            Protocol::Https if !endpoint.starts_with("https://") => refuse("an https:// address"),
            Protocol::Http | Protocol::Https => self.check_address(endpoint),
            Protocol::Email | Protocol::Sms => Ok(()),
        }
    }

    /// Subscribes an endpoint to a topic. It is told nothing but how to confirm until that is done.
    ///
    /// # Errors
    /// [`Code::NotificationTopicNotFound`]; [`Code::InvalidInput`] for an endpoint that the protocol cannot reach;
    /// [`Code::SubscriptionExists`]; [`Code::TooManySubscriptions`].
    pub async fn subscribe(
        &self,
        topic_id: &str,
        protocol: Protocol,
        endpoint: &str,
        remark: Option<String>,
    ) -> Result<(NotificationTopic, Subscription)> {
        let topic = self.notification_topic(topic_id).await?;
        self.check_endpoint(protocol, endpoint)?;
        let token = random_hex(16);
        let new = Subscription {
            no: RecordNo(0),
            id: uuid::Uuid::new_v4().to_string(),
            topic: topic.no,
            protocol,
            endpoint: endpoint.to_owned(),
            remark,
            token: digest(&token),
            confirmed_at: None,
            target: 0,
            created_at: self.clock.now(),
        };
        let made = self.store.insert_subscription(new, self.settings.notify.max_subscriptions).await?;
        self.bus.announce(Changed::Routes).await;
        self.ask_for_confirmation(&topic, &made, &token).await?;
        Ok((topic, made))
    }

    /// One subscription of a topic.
    ///
    /// # Errors
    /// [`Code::NotificationTopicNotFound`]; [`Code::SubscriptionNotFound`].
    pub async fn subscription(&self, topic_id: &str, id: &str) -> Result<(NotificationTopic, Subscription)> {
        let topic = self.notification_topic(topic_id).await?;
        let found = self.store.subscription(id).await?.filter(|s| s.topic == topic.no);
        Ok((topic, found.ok_or_else(|| no_such_subscription(id))?))
    }

    /// A page of a topic's subscriptions, newest first.
    ///
    /// # Errors
    /// [`Code::NotificationTopicNotFound`].
    pub async fn list_subscriptions(
        &self,
        topic_id: &str,
        page: PageRequest,
    ) -> Result<(NotificationTopic, Page<Subscription>)> {
        let topic = self.notification_topic(topic_id).await?;
        let found = self.store.list_subscriptions(topic.no, page).await?;
        Ok((topic, found))
    }

    /// Confirms a subscription in the name of its subscriber.
    ///
    /// # Errors
    /// As [`subscription`](Self::subscription).
    pub async fn confirm_subscription(&self, topic_id: &str, id: &str) -> Result<(NotificationTopic, Subscription)> {
        self.subscription(topic_id, id).await?;
        self.store.confirm_subscription(id, self.clock.now()).await?;
        self.subscription(topic_id, id).await
    }

    /// Confirms the subscription whose link has this token.
    ///
    /// # Errors
    /// [`Code::SubscriptionNotFound`].
    pub async fn confirm_by_token(&self, token: &str) -> Result<Subscription> {
        let unknown = || Error::new(Code::SubscriptionNotFound, "The link belongs to no subscription.");
        let found = self.store.subscription_by_token(digest(token)).await?.ok_or_else(unknown)?;
        self.store.confirm_subscription(&found.id, self.clock.now()).await?;
        self.store.subscription(&found.id).await?.ok_or_else(unknown)
    }

    /// Ends a subscription; what waits for it is dropped.
    ///
    /// # Errors
    /// As [`subscription`](Self::subscription).
    pub async fn unsubscribe(&self, topic_id: &str, id: &str) -> Result<()> {
        self.subscription(topic_id, id).await?;
        if !self.store.delete_subscription(id).await? {
            return Err(no_such_subscription(id));
        }
        self.bus.announce(Changed::Routes).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_could_break_a_header_are_none() {
        for good in ["a@b", "anna.b+c@example.com", "o'hara@x-y.org"] {
            assert!(is_mail_address(good), "{good}");
        }
        for bad in
            ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\r\nBcc: x@y", "<a@b>", "a@b..c", ".a@b", "a,b@c", "\"a\"@b"]
        {
            assert!(!is_mail_address(bad), "{bad}");
        }
        for (text, good) in [("+8613800138000", true), ("112", true), ("12", false), ("+", false), ("1 23", false)] {
            assert_eq!(is_number(text), good, "{text}");
        }
    }
}
