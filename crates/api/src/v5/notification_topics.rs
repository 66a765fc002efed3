//! Notification topics and their subscriptions, in the manner of the vendor's SMN, which is a service of its own: so the
//! operations are the platform's own. Topics belong to the whole instance.

use causeway_model::{Code, Error, Result};
use causeway_platform::Platform;
use causeway_platform::notify::{NotificationTopic, Protocol, Subscription};

use crate::bounded::{Any, Ident, Text, Word, words};
use crate::call::{Call, Page, Reply};
use crate::operation::{Built, Param, Success, json};
use crate::shape::{Compact, body, reply};

words! {
    /// How a subscriber is told.
    Protocols: "email" | "http" | "https" | "sms";
}

body! {
    /// A topic to make.
    pub(crate) struct CreateTopic {
        /// Name, unique in the instance; the last part of the URN.
        name: Text<Ident, 1, 255>,
        /// For people: the sender's name in mails.
        display_name: Option<Text<Any, 0, 192>>,
    }
}

body! {
    /// What to change of a topic.
    pub(crate) struct UpdateTopic {
        /// For people: the sender's name in mails; none when absent or empty.
        display_name: Option<Text<Any, 0, 192>>,
    }
}

body! {
    /// Who is to be told.
    pub(crate) struct AddSubscription {
        /// How.
        protocol: Word<Protocols>,
        /// A mail address, an address of HTTP, or a telephone number.
        endpoint: Text<Any, 1, 1024>,
        /// For people.
        remark: Option<Text<Any, 0, 128>>,
    }
}

body! {
    /// What to tell.
    pub(crate) struct PublishMessage {
        /// The subject of mails.
        subject: Option<Text<Any, 0, 512>>,
        /// The text.
        message: Text<Any, 1, 262144>,
    }
}

reply! {
    /// A topic.
    pub(crate) struct TopicReply {
        /// The id.
        topic_id: String,
        /// The name.
        name: String,
        /// What rules call it by.
        topic_urn: String,
        /// For people.
        display_name: Option<String>,
        /// When it was made.
        create_time: Compact,
        /// When it was changed last.
        update_time: Compact,
    }
}

reply! {
    /// A page of topics.
    pub(crate) struct Topics {
        /// The topics, newest first.
        topics: Vec<TopicReply>,
        /// The page.
        page: Page,
    }
}

reply! {
    /// A subscription.
    pub(crate) struct SubscriptionReply {
        /// The id.
        subscription_id: String,
        /// Its topic.
        topic_urn: String,
        /// How the subscriber is told.
        protocol: &'static str,
        /// Where.
        endpoint: String,
        /// For people.
        remark: Option<String>,
        /// UNCONFIRMED until it is confirmed, then CONFIRMED.
        status: &'static str,
        /// When it was made.
        create_time: Compact,
    }
}

reply! {
    /// A page of subscriptions.
    pub(crate) struct Subscriptions {
        /// The subscriptions, newest first.
        subscriptions: Vec<SubscriptionReply>,
        /// The page.
        page: Page,
    }
}

reply! {
    /// A message that is on its way.
    pub(crate) struct Published {
        /// Its id, which subscribers get too.
        message_id: String,
        /// How many subscribers it goes to.
        subscribers: u64,
    }
}

reply! {
    /// A subscription that its subscriber confirmed.
    pub(crate) struct Confirmed {
        /// The id.
        subscription_id: String,
        /// CONFIRMED.
        status: &'static str,
    }
}

fn topic_reply(platform: &Platform, topic: NotificationTopic) -> TopicReply {
    TopicReply {
        topic_urn: platform.topic_urn(&topic),
        topic_id: topic.id,
        name: topic.name,
        display_name: topic.display_name,
        create_time: Compact(topic.created_at),
        update_time: Compact(topic.updated_at),
    }
}

fn status(subscription: &Subscription) -> &'static str {
    if subscription.confirmed_at.is_some() { "CONFIRMED" } else { "UNCONFIRMED" }
}

fn subscription_reply(platform: &Platform, topic: &NotificationTopic, subscription: Subscription) -> SubscriptionReply {
    SubscriptionReply {
        topic_urn: platform.topic_urn(topic),
        status: status(&subscription),
        subscription_id: subscription.id,
        protocol: subscription.protocol.as_str(),
        endpoint: subscription.endpoint,
        remark: subscription.remark,
        create_time: Compact(subscription.created_at),
    }
}

fn optional<const MIN: usize, const MAX: usize>(text: Option<Text<Any, MIN, MAX>>) -> Option<String> {
    text.map(Text::into_string).filter(|t| !t.is_empty())
}

const TOPIC: &[Code] = &[Code::NotPermitted, Code::NotificationTopicNotFound];
const SUBSCRIPTION: &[Code] = &[Code::NotPermitted, Code::NotificationTopicNotFound, Code::SubscriptionNotFound];

pub(super) static CREATE: Built =
    Built::new("Makes a notification topic.", json::<TopicReply>(201), |c| Box::pin(create(c)))
        .body::<CreateTopic>()
        .errors(&[Code::NotPermitted, Code::NotificationTopicExists, Code::TooManyNotificationTopics]);

async fn create(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let new: CreateTopic = call.body()?;
    let made = call.platform().create_notification_topic(new.name.as_str(), optional(new.display_name)).await?;
    Reply::created(&topic_reply(call.platform(), made))
}

type NamePart = Text<Any, 0, 255>;

pub(super) static LIST: Built = Built::new("Lists notification topics.", json::<Topics>(200), |c| Box::pin(list(c)))
    .query(&[Param::optional::<NamePart>("name", "Only those whose name contains this text.")])
    .paged()
    .errors(&[Code::NotPermitted]);

async fn list(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let name = call.query::<NamePart>("name")?;
    let found = call.platform().list_notification_topics(name.as_ref().map(Text::as_str), call.page()?).await?;
    let page = Page::of(&found);
    let topics = found.items.into_iter().map(|topic| topic_reply(call.platform(), topic)).collect();
    Reply::ok(&Topics { topics, page })
}

pub(super) static SHOW: Built =
    Built::new("Shows a notification topic.", json::<TopicReply>(200), |c| Box::pin(show(c))).errors(TOPIC);

async fn show(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let topic = call.platform().notification_topic(call.path("topic_id")).await?;
    Reply::ok(&topic_reply(call.platform(), topic))
}

pub(super) static UPDATE: Built =
    Built::new("Changes a notification topic.", json::<TopicReply>(200), |c| Box::pin(update(c)))
        .body::<UpdateTopic>()
        .errors(TOPIC);

async fn update(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let change: UpdateTopic = call.body()?;
    let id = call.path("topic_id");
    let topic = call.platform().rename_notification_topic(id, optional(change.display_name)).await?;
    Reply::ok(&topic_reply(call.platform(), topic))
}

pub(super) static DELETE: Built =
    Built::new("Deletes a notification topic with its subscriptions.", Success::Empty, |c| Box::pin(delete(c)))
        .errors(TOPIC);

async fn delete(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    call.platform().delete_notification_topic(call.path("topic_id")).await?;
    Ok(Reply::empty())
}

pub(super) static PUBLISH: Built =
    Built::new("Tells all confirmed subscribers of a topic.", json::<Published>(200), |c| Box::pin(publish(c)))
        .body::<PublishMessage>()
        .errors(TOPIC);

async fn publish(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let new: PublishMessage = call.body()?;
    let subject = new.subject.as_ref().map_or("", Text::as_str);
    let (message_id, count) =
        call.platform().publish_to_topic(call.path("topic_id"), subject, new.message.as_str()).await?;
    Reply::ok(&Published { message_id, subscribers: count as u64 })
}

pub(super) static SUBSCRIBE: Built = Built::new(
    "Subscribes somebody to a topic. Nothing is told until the subscription is confirmed.",
    json::<SubscriptionReply>(201),
    |c| Box::pin(subscribe(c)),
)
.body::<AddSubscription>()
.errors(&[Code::NotPermitted, Code::NotificationTopicNotFound, Code::SubscriptionExists, Code::TooManySubscriptions]);

async fn subscribe(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let new: AddSubscription = call.body()?;
    let protocol = Protocol::parse(new.protocol.as_str())
        .ok_or_else(|| Error::internal("a protocol of the interface is none of the platform's"))?;
    let (id, remark) = (call.path("topic_id"), optional(new.remark));
    let (topic, made) = call.platform().subscribe(id, protocol, new.endpoint.as_str(), remark).await?;
    Reply::created(&subscription_reply(call.platform(), &topic, made))
}

pub(super) static LIST_SUBSCRIPTIONS: Built =
    Built::new("Lists the subscriptions of a topic.", json::<Subscriptions>(200), |c| Box::pin(subscriptions(c)))
        .paged()
        .errors(TOPIC);

async fn subscriptions(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let (topic, found) = call.platform().list_subscriptions(call.path("topic_id"), call.page()?).await?;
    let page = Page::of(&found);
    let subscriptions = found.items.into_iter().map(|one| subscription_reply(call.platform(), &topic, one)).collect();
    Reply::ok(&Subscriptions { subscriptions, page })
}

pub(super) static SHOW_SUBSCRIPTION: Built =
    Built::new("Shows a subscription.", json::<SubscriptionReply>(200), |c| Box::pin(show_subscription(c)))
        .errors(SUBSCRIPTION);

async fn show_subscription(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let (topic, found) = call.platform().subscription(call.path("topic_id"), call.path("subscription_id")).await?;
    Reply::ok(&subscription_reply(call.platform(), &topic, found))
}

pub(super) static CONFIRM: Built =
    Built::new("Confirms a subscription in the name of its subscriber.", json::<SubscriptionReply>(200), |c| {
        Box::pin(confirm(c))
    })
    .errors(SUBSCRIPTION);

async fn confirm(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let (topic, id) = (call.path("topic_id"), call.path("subscription_id"));
    let (topic, found) = call.platform().confirm_subscription(topic, id).await?;
    Reply::ok(&subscription_reply(call.platform(), &topic, found))
}

pub(super) static UNSUBSCRIBE: Built =
    Built::new("Ends a subscription.", Success::Empty, |c| Box::pin(unsubscribe(c))).errors(SUBSCRIPTION);

async fn unsubscribe(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    call.platform().unsubscribe(call.path("topic_id"), call.path("subscription_id")).await?;
    Ok(Reply::empty())
}

type Token = Text<Ident, 1, 64>;

pub(super) static CONFIRM_BY_LINK: Built =
    Built::new("Confirms the subscription whose subscriber got this link.", json::<Confirmed>(200), |c| {
        Box::pin(confirm_by_link(c))
    })
    .query(&[Param::mandatory::<Token>("token", "The word of the link.")])
    .errors(&[Code::InvalidInput, Code::SubscriptionNotFound])
    .open();

async fn confirm_by_link(call: Call) -> Result<Reply> {
    let token = call.query::<Token>("token")?;
    let token = token.ok_or_else(|| Error::invalid("Invalid input. 'token' is missing. Use the whole link."))?;
    let found = call.platform().confirm_by_token(token.as_str()).await?;
    Reply::ok(&Confirmed { status: status(&found), subscription_id: found.id })
}
