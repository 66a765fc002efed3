//! What AMQP queues and access codes need from the store.

use async_trait::async_trait;
use causeway_model::registry::{Page, PageRequest, Sealed};
use causeway_model::{RecordNo, Result, Timestamp};

/// A queue that AMQP consumers read (002 §4.6.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Paging position and the key that rules and messages refer to.
    pub no: RecordNo,
    /// The id.
    pub id: String,
    /// Name, unique in the instance; consumers open it by this.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// The target where what it holds waits.
    pub target: i64,
}

/// What an access code opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessCodeKind {
    /// Queues, over AMQP.
    Amqp,
    /// Topics of applications, over MQTT.
    Mqtt,
}

impl AccessCodeKind {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Amqp => "AMQP",
            Self::Mqtt => "MQTT",
        }
    }
}

/// What a consumer signs in with: `accessKey=…` in the user name, the code as password. The code must be read back to be
/// checked, so it is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessCode {
    /// What it opens.
    pub kind: AccessCodeKind,
    /// The public half, 8 characters.
    pub access_key: String,
    /// The secret half.
    pub code: Sealed,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Keeps AMQP queues and access codes.
#[async_trait]
pub trait QueueStore: Send + Sync {
    /// Adds a queue (`no` and `target` are ignored) unless `limit` are there
    /// ([`Code::TooManyQueues`](causeway_model::Code::TooManyQueues)) or the name is taken
    /// ([`Code::QueueExists`](causeway_model::Code::QueueExists)), checked in the same transaction.
    async fn insert_queue(&self, queue: Queue, limit: u32) -> Result<Queue>;
    /// One queue by id.
    async fn queue(&self, id: &str) -> Result<Option<Queue>>;
    /// One queue by name.
    async fn queue_by_name(&self, name: &str) -> Result<Option<Queue>>;
    /// A page of queues whose name contains `name`, newest first.
    async fn list_queues(&self, name: Option<&str>, page: PageRequest) -> Result<Page<Queue>>;
    /// Deletes a queue with what it holds, unless an action feeds it
    /// ([`Code::QueueInUse`](causeway_model::Code::QueueInUse)). False when it is not there.
    async fn delete_queue(&self, id: &str) -> Result<bool>;
    /// Keeps a code in place of the one of its kind.
    async fn put_access_code(&self, code: &AccessCode) -> Result<()>;
    /// The code of a kind.
    async fn access_code(&self, kind: AccessCodeKind) -> Result<Option<AccessCode>>;
}
