//! Making, changing and deleting topics.

use causeway_model::registry::{Page, PageRequest};
use causeway_model::{Code, Error, RecordNo, Result};

use super::NotificationTopic;
use crate::Platform;
use crate::bus::Changed;

pub(super) fn no_such_topic(id: &str) -> Error {
    let id: String = id.chars().take(64).collect();
    Error::new(Code::NotificationTopicNotFound, format!("The notification topic '{id}' does not exist."))
}

impl Platform {
    /// Makes a topic.
    ///
    /// # Errors
    /// [`Code::NotificationTopicExists`]; [`Code::TooManyNotificationTopics`].
    pub async fn create_notification_topic(
        &self,
        name: &str,
        display_name: Option<String>,
    ) -> Result<NotificationTopic> {
        let now = self.clock.now();
        let topic = NotificationTopic {
            no: RecordNo(0),
            id: uuid::Uuid::new_v4().to_string(),
            name: name.to_owned(),
            display_name,
            created_at: now,
            updated_at: now,
        };
        self.store.insert_notification_topic(topic, self.settings.notify.max_topics).await
    }

    /// One topic.
    ///
    /// # Errors
    /// [`Code::NotificationTopicNotFound`].
    pub async fn notification_topic(&self, id: &str) -> Result<NotificationTopic> {
        self.store.notification_topic(id).await?.ok_or_else(|| no_such_topic(id))
    }

    /// A page of topics whose name contains `name`, newest first.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn list_notification_topics(
        &self,
        name: Option<&str>,
        page: PageRequest,
    ) -> Result<Page<NotificationTopic>> {
        self.store.list_notification_topics(name, page).await
    }

    /// Gives a topic another name for people.
    ///
    /// # Errors
    /// [`Code::NotificationTopicNotFound`].
    pub async fn rename_notification_topic(&self, id: &str, display_name: Option<String>) -> Result<NotificationTopic> {
        let found = self.notification_topic(id).await?;
        let changed = NotificationTopic { display_name, updated_at: self.clock.now(), ..found };
        if self.store.update_notification_topic(&changed).await? { Ok(changed) } else { Err(no_such_topic(id)) }
    }

    /// Deletes a topic with its subscriptions; what waits for them is dropped.
    ///
    /// # Errors
    /// [`Code::NotificationTopicNotFound`].
    pub async fn delete_notification_topic(&self, id: &str) -> Result<()> {
        if !self.store.delete_notification_topic(id).await? {
            return Err(no_such_topic(id));
        }
        self.bus.announce(Changed::Routes).await;
        Ok(())
    }

    /// The name that rules call a topic by.
    #[must_use]
    pub fn topic_urn(&self, topic: &NotificationTopic) -> String {
        format!("urn:smn:{}:{}:{}", self.settings.notify.region, self.instance.project_id, topic.name)
    }
}
