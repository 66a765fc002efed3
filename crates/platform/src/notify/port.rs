//! What notification topics need from the store.

use async_trait::async_trait;
use causeway_model::registry::{Page, PageRequest};
use causeway_model::{RecordNo, Result, Timestamp};

/// A topic that people and programs subscribe to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotificationTopic {
    /// Paging position.
    pub no: RecordNo,
    /// The id.
    pub id: String,
    /// Name, unique in the instance; the last part of its URN.
    pub name: String,
    /// For people: the sender's name in mails.
    pub display_name: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// How a subscriber is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// By mail.
    Email,
    /// By a POST over HTTP.
    Http,
    /// By a POST over HTTPS.
    Https,
    /// By a short message, through the operator's gateway.
    Sms,
}

impl Protocol {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Email, Self::Http, Self::Https, Self::Sms];

    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Http => "http",
            Self::Https => "https",
            Self::Sms => "sms",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|p| p.as_str() == word)
    }
}

/// A subscriber of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Paging position.
    pub no: RecordNo,
    /// The id.
    pub id: String,
    /// Its topic.
    pub topic: RecordNo,
    /// How it is told.
    pub protocol: Protocol,
    /// Where: a mail address, a URL, a telephone number.
    pub endpoint: String,
    /// For people.
    pub remark: Option<String>,
    /// SHA-256 of the word in the link that confirms it.
    pub token: [u8; 32],
    /// Since when it is told anything; `None` until somebody confirmed it.
    pub confirmed_at: Option<Timestamp>,
    /// Where what it is to be told waits.
    pub target: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Keeps topics and their subscriptions. Lists are newest first.
#[async_trait]
pub trait NotifyStore: Send + Sync {
    /// Adds a topic (`no` is ignored) unless its name is taken
    /// ([`Code::NotificationTopicExists`](causeway_model::Code::NotificationTopicExists)) or `limit` are there
    /// ([`Code::TooManyNotificationTopics`](causeway_model::Code::TooManyNotificationTopics)).
    async fn insert_notification_topic(&self, topic: NotificationTopic, limit: u32) -> Result<NotificationTopic>;
    /// One topic.
    async fn notification_topic(&self, id: &str) -> Result<Option<NotificationTopic>>;
    /// One topic by name.
    async fn notification_topic_by_name(&self, name: &str) -> Result<Option<NotificationTopic>>;
    /// A page of topics whose name contains `name`.
    async fn list_notification_topics(&self, name: Option<&str>, page: PageRequest) -> Result<Page<NotificationTopic>>;
    /// Writes display name and time of change. False when it is not there.
    async fn update_notification_topic(&self, topic: &NotificationTopic) -> Result<bool>;
    /// Deletes a topic with its subscriptions and what waits for them. False when it is not there.
    async fn delete_notification_topic(&self, id: &str) -> Result<bool>;

    /// Adds a subscription (`no` and `target` are ignored) with a target of its own, unless its topic has one of the same
    /// protocol and endpoint ([`Code::SubscriptionExists`](causeway_model::Code::SubscriptionExists)), has `limit` of them
    /// ([`Code::TooManySubscriptions`](causeway_model::Code::TooManySubscriptions)) or is gone
    /// ([`Code::NotificationTopicNotFound`](causeway_model::Code::NotificationTopicNotFound)).
    async fn insert_subscription(&self, subscription: Subscription, limit: u32) -> Result<Subscription>;
    /// One subscription.
    async fn subscription(&self, id: &str) -> Result<Option<Subscription>>;
    /// The subscription whose link has this token.
    async fn subscription_by_token(&self, token: [u8; 32]) -> Result<Option<Subscription>>;
    /// A page of a topic's subscriptions.
    async fn list_subscriptions(&self, topic: RecordNo, page: PageRequest) -> Result<Page<Subscription>>;
    /// Notes that it was confirmed; one that was before keeps its time. False when it is not there.
    async fn confirm_subscription(&self, id: &str, at: Timestamp) -> Result<bool>;
    /// Deletes it with what waits for it. False when it is not there.
    async fn delete_subscription(&self, id: &str) -> Result<bool>;
    /// All subscriptions of a topic, or of every topic, confirmed or not.
    async fn subscriptions(&self, topic: Option<RecordNo>) -> Result<Vec<Subscription>>;
}
