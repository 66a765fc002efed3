//! Custom topics of a product (002 §4.2); the vendor's console has them, its API does not.

use causeway_model::registry::{CustomTopic, TopicRight};
use causeway_model::{AppId, Code, Error, Result};

use crate::bounded::{Any, Free, Text, Word, words};
use crate::call::{Call, Reply};
use crate::operation::{Built, Param, Success, json};
use crate::shape::{body, reply};

words! {
    /// What a device may do with a topic.
    Rights: "PUBLISH" | "SUBSCRIBE" | "ALL";
}

body! {
    /// A custom topic to declare.
    pub(crate) struct AddTopic {
        /// The part after `$oc/devices/{device_id}/user/`: 1 to 64 letters, digits, `_` and single `/`.
        topic: Text<Any, 1, 64>,
        /// What the device may do with it.
        operation: Word<Rights>,
        /// Free text.
        description: Option<Text<Free, 0, 128>>,
    }
}

reply! {
    /// A custom topic.
    pub(crate) struct Topic {
        /// Its id.
        topic_id: String,
        /// The part after `$oc/devices/{device_id}/user/`.
        topic: String,
        /// PUBLISH, SUBSCRIBE or ALL.
        operation: &'static str,
        /// Free text.
        description: Option<String>,
    }
}

reply! {
    /// The custom topics of a product.
    pub(crate) struct Topics {
        /// The topics.
        topics: Vec<Topic>,
    }
}

impl From<CustomTopic> for Topic {
    fn from(topic: CustomTopic) -> Self {
        Self { topic_id: topic.id, topic: topic.topic, operation: topic.right.as_str(), description: topic.description }
    }
}

const APP_ID: Param = Param::optional::<AppId>("app_id", "Resource space, when several have a product of this id.");

pub(super) static ADD: Built =
    Built::new("Declares a custom topic of a product.", json::<Topic>(201), |c| Box::pin(add(c)))
        .query(&[APP_ID])
        .body::<AddTopic>()
        .errors(&[Code::ProductNotFound, Code::AppNotFound, Code::CustomTopicLimit]);

async fn add(call: Call) -> Result<Reply> {
    let spaces = call.spaces(call.query("app_id")?)?;
    let id = call.product_id()?;
    let asked: AddTopic = call.body()?;
    let right =
        TopicRight::parse(asked.operation.as_str()).ok_or_else(|| Error::internal("a right without its word"))?;
    let description = asked.description.map(Text::into_string);
    let topic = call.platform().add_custom_topic(&spaces, &id, asked.topic.as_str(), right, description).await?;
    Reply::created(&Topic::from(topic))
}

pub(super) static LIST: Built =
    Built::new("Lists the custom topics of a product.", json::<Topics>(200), |c| Box::pin(list(c)))
        .query(&[APP_ID])
        .errors(&[Code::ProductNotFound, Code::AppNotFound]);

async fn list(call: Call) -> Result<Reply> {
    let spaces = call.spaces(call.query("app_id")?)?;
    let product = call.platform().product(&spaces, &call.product_id()?).await?;
    Reply::ok(&Topics { topics: product.topics.into_iter().map(Topic::from).collect() })
}

pub(super) static DELETE: Built =
    Built::new("Removes a custom topic of a product.", Success::Empty, |c| Box::pin(delete(c)))
        .query(&[APP_ID])
        .errors(&[Code::ProductNotFound, Code::AppNotFound, Code::CustomTopicNotFound]);

async fn delete(call: Call) -> Result<Reply> {
    let spaces = call.spaces(call.query("app_id")?)?;
    call.platform().delete_custom_topic(&spaces, &call.product_id()?, call.path("topic_id")).await?;
    Ok(Reply::empty())
}
