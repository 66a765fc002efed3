//! AMQP queues and access codes (002 §4.6.3). They belong to the whole instance.

use causeway_model::{Code, Result};
use causeway_platform::queue::{AccessCodeKind, Queue};

use crate::bounded::{Charset, Text, Word, words};
use crate::call::{Call, Page, Reply};
use crate::operation::{Built, Param, Success, json};
use crate::shape::{Compact, body, reply};

/// Characters of a queue's name: the sheet's set I with `.` and `:`.
pub(crate) enum QueueName {}

impl Charset for QueueName {
    const WORDS: &'static str = " of letters, digits, '_', '-', '.' and ':'";
    const CLASS: &'static str = "[A-Za-z0-9_.:-]";
    fn allows(c: char) -> bool {
        c.is_ascii_alphanumeric() || "_-.:".contains(c)
    }
}

words! {
    /// What an access code opens.
    AccessCodeTypes: "AMQP" | "MQTT";
}

body! {
    /// A queue to create.
    pub(crate) struct AddQueue {
        /// Name, unique in the instance.
        queue_name: Text<QueueName, 8, 128>,
    }
}

body! {
    /// An access code to make.
    pub(crate) struct CreateAccessCode {
        /// What it opens; AMQP when absent.
        r#type: Option<Word<AccessCodeTypes>>,
        /// Whether consumers that signed in with the old code are disconnected.
        force_disconnect: Option<bool>,
    }
}

reply! {
    /// A queue.
    pub(crate) struct QueueReply {
        /// The id.
        queue_id: String,
        /// The name.
        queue_name: String,
        /// When it was made.
        create_time: Compact,
        /// When it was changed last.
        last_modify_time: Compact,
    }
}

reply! {
    /// A page of queues.
    pub(crate) struct Queues {
        /// The queues, newest first.
        queues: Vec<QueueReply>,
        /// The page.
        page: Page,
    }
}

reply! {
    /// A new access code. This answer is the only one that shows it.
    pub(crate) struct AccessCodeReply {
        /// The public half, for the user name.
        access_key: String,
        /// The secret half, the password.
        access_code: String,
    }
}

impl From<Queue> for QueueReply {
    fn from(queue: Queue) -> Self {
        Self {
            queue_id: queue.id,
            queue_name: queue.name,
            create_time: Compact(queue.created_at),
            last_modify_time: Compact(queue.updated_at),
        }
    }
}

pub(super) static ADD: Built = Built::new("Creates an AMQP queue.", json::<QueueReply>(201), |c| Box::pin(add(c)))
    .body::<AddQueue>()
    .errors(&[Code::NotPermitted, Code::QueueExists, Code::TooManyQueues]);

async fn add(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let new: AddQueue = call.body()?;
    Reply::created(&QueueReply::from(call.platform().create_queue(new.queue_name.as_str()).await?))
}

type NameFilter = Text<QueueName, 0, 128>;

pub(super) static LIST: Built = Built::new("Lists AMQP queues.", json::<Queues>(200), |c| Box::pin(list(c)))
    .query(&[Param::optional::<NameFilter>("queue_name", "Only those whose name contains this text.")])
    .paged()
    .errors(&[Code::NotPermitted]);

async fn list(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let name = call.query::<NameFilter>("queue_name")?;
    let found = call.platform().list_queues(name.as_ref().map(Text::as_str), call.page()?).await?;
    let page = Page::of(&found);
    Reply::ok(&Queues { queues: found.items.into_iter().map(QueueReply::from).collect(), page })
}

pub(super) static SHOW: Built = Built::new("Shows an AMQP queue.", json::<QueueReply>(200), |c| Box::pin(show(c)))
    .errors(&[Code::NotPermitted, Code::QueueNotFound]);

async fn show(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    Reply::ok(&QueueReply::from(call.platform().queue(call.path("queue_id")).await?))
}

pub(super) static DELETE: Built = Built::new("Deletes an AMQP queue.", Success::Empty, |c| Box::pin(delete(c)))
    .errors(&[Code::NotPermitted, Code::QueueNotFound]);

async fn delete(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    call.platform().delete_queue(call.path("queue_id")).await?;
    Ok(Reply::empty())
}

pub(super) static ACCESS_CODE: Built = Built::new(
    "Makes an access code; the one before of the same type is void. The answer is the only one that shows it.",
    json::<AccessCodeReply>(201),
    |c| Box::pin(access_code(c)),
)
.body::<CreateAccessCode>()
.errors(&[Code::NotPermitted]);

async fn access_code(call: Call) -> Result<Reply> {
    call.require_everywhere().await?;
    let asked: Option<CreateAccessCode> = if call.body.is_empty() { None } else { Some(call.body()?) };
    let disconnect = asked.as_ref().and_then(|a| a.force_disconnect).unwrap_or(false);
    let kind = match asked.and_then(|a| a.r#type).map(|t| t.as_str()) {
        Some("MQTT") => AccessCodeKind::Mqtt,
        _ => AccessCodeKind::Amqp,
    };
    let new = call.platform().replace_access_code(kind, disconnect).await?;
    Reply::created(&AccessCodeReply { access_key: new.access_key, access_code: new.access_code })
}
