//! Creating and deleting queues, replacing access codes.

use causeway_model::registry::{Page, PageRequest};
use causeway_model::{Code, Error, RecordNo, Result};

use super::{AccessCode, AccessCodeKind, Queue};
use crate::Platform;
use crate::bus::Changed;
use crate::secrets::random_hex;

/// A new access code in the clear, to be shown once.
#[derive(Clone)]
pub struct NewAccessCode {
    /// The public half.
    pub access_key: String,
    /// The secret half.
    pub access_code: String,
}

fn not_found(id: &str) -> Error {
    let id: String = id.chars().take(64).collect();
    Error::new(Code::QueueNotFound, format!("The queue '{id}' does not exist."))
}

impl Platform {
    /// Creates a queue.
    ///
    /// # Errors
    /// [`Code::QueueExists`]; [`Code::TooManyQueues`].
    pub async fn create_queue(&self, name: &str) -> Result<Queue> {
        let now = self.clock.now();
        let queue = Queue {
            no: RecordNo(0),
            id: uuid::Uuid::new_v4().to_string(),
            name: name.to_owned(),
            created_at: now,
            updated_at: now,
            target: 0,
        };
        self.store.insert_queue(queue, self.settings.registry.max_amqp_queues).await
    }

    /// One queue.
    ///
    /// # Errors
    /// [`Code::QueueNotFound`].
    pub async fn queue(&self, id: &str) -> Result<Queue> {
        self.store.queue(id).await?.ok_or_else(|| not_found(id))
    }

    /// The queue of this name.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn queue_by_name(&self, name: &str) -> Result<Option<Queue>> {
        self.store.queue_by_name(name).await
    }

    /// A page of queues whose name contains `name`, newest first.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn list_queues(&self, name: Option<&str>, page: PageRequest) -> Result<Page<Queue>> {
        self.store.list_queues(name, page).await
    }

    /// Deletes a queue.
    ///
    /// # Errors
    /// [`Code::QueueNotFound`]; [`Code::QueueInUse`].
    pub async fn delete_queue(&self, id: &str) -> Result<()> {
        if !self.store.delete_queue(id).await? {
            return Err(not_found(id));
        }
        self.bus.announce(Changed::Queues).await;
        Ok(())
    }

    /// Makes an access code in place of the one of its kind, which is void from now on. Those who signed in with it stay
    /// connected unless `disconnect`.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn replace_access_code(&self, kind: AccessCodeKind, disconnect: bool) -> Result<NewAccessCode> {
        let new = NewAccessCode { access_key: random_hex(4), access_code: random_hex(16) };
        self.store
            .put_access_code(&AccessCode {
                kind,
                access_key: new.access_key.clone(),
                code: self.secrets.seal(new.access_code.as_bytes()),
                created_at: self.clock.now(),
            })
            .await?;
        if kind == AccessCodeKind::Amqp {
            self.bus.announce(Changed::QueueAccess { disconnect }).await;
        }
        Ok(new)
    }
}
