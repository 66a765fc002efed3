//! The audit log (002 §6.4). The vendor shows it in another service, so the operation is the platform's own.

use causeway_model::audit::{AuditLevel, AuditRecord};
use causeway_model::{AppId, Code, Error, Result};
use causeway_platform::audit::AuditQuery;

use crate::bounded::{Any, Text, Word, words};
use crate::call::{Call, Page, Reply};
use crate::operation::{Built, Param, json};
use crate::shape::{Millis, reply};

words! {
    /// How much a record matters.
    Levels: "normal" | "warning" | "incident";
}

reply! {
    /// One call that changed something, or was to change something.
    pub(crate) struct AuditEntry {
        /// The record's id.
        id: String,
        /// When the call came.
        time: Millis,
        /// The user's id; absent for a stranger.
        user_id: Option<String>,
        /// The user's sign-in name; for a sign-in, the name that was given.
        user_name: Option<String>,
        /// The access key that signed the call, `token`, or `password`.
        credential: Option<String>,
        /// The operation, as this document names it.
        operation: String,
        /// The operation, as the guide names it (002 §6.4).
        event_name: String,
        /// Kind of what it concerns.
        resource_type: String,
        /// Which one.
        resource_id: Option<String>,
        /// The resource space; absent for what belongs to the whole instance.
        app_id: Option<String>,
        /// HTTP status of the answer.
        status: u64,
        /// Code of the error.
        error_code: Option<String>,
        /// normal: done; warning: refused, or not done by the device; incident: the platform failed.
        level: &'static str,
        /// Where the call came from: the address of the peer.
        source_ip: Option<String>,
        /// Id of the request, as the answer's header X-Request-Id told it.
        request_id: String,
    }
}

reply! {
    /// A page of the audit log.
    pub(crate) struct AuditEntries {
        /// The records, newest first.
        audit_logs: Vec<AuditEntry>,
        /// The page; `count` stops at 100000.
        page: Page,
    }
}

impl From<AuditRecord> for AuditEntry {
    fn from(record: AuditRecord) -> Self {
        Self {
            id: record.no.to_string(),
            time: Millis(record.at),
            user_id: record.user_id,
            user_name: record.user_name,
            credential: record.credential,
            operation: record.operation,
            event_name: record.event,
            resource_type: record.resource_type,
            resource_id: record.resource_id,
            app_id: record.app_id.map(|id| id.to_string()),
            status: u64::from(record.status),
            error_code: record.error_code,
            level: record.level.as_str(),
            source_ip: record.address,
            request_id: record.request_id,
        }
    }
}

type Word256 = Text<Any, 0, 256>;

pub(super) static LIST: Built =
    Built::new("Lists calls that changed something, or were to change something.", json::<AuditEntries>(200), |c| {
        Box::pin(list(c))
    })
    .query(&[
        Param::optional::<Word256>("resource_type", "Only about this kind of thing: device, rule, deviceShadow, ...."),
        Param::optional::<Word256>("resource_id", "Only about this thing."),
        Param::optional::<Word256>("user", "Only by the user with this id or name."),
        Param::optional::<Word<Levels>>("level", "Only of this level."),
        Param::optional::<Word256>("operation", "Only of this operation, by id or by the guide's name."),
        Param::optional::<AppId>("app_id", "Only about things of this resource space."),
        Param::optional::<Text<Any, 0, 64>>(
            "start_time",
            "Only from here on, like 20151212T121212Z; 7 days before the end when absent.",
        ),
        Param::optional::<Text<Any, 0, 64>>("end_time", "Only before, like 20151212T121212Z; now when absent."),
    ])
    .paged()
    .errors(&[Code::AppNotFound, Code::InvalidTime, Code::TimeOrder, Code::AuditRange]);

async fn list(call: Call) -> Result<Reply> {
    let word = |name: &str| Ok::<_, Error>(call.query::<Word256>(name)?.map(Text::into_string));
    let level = call.query::<Word<Levels>>("level")?.and_then(|w| AuditLevel::parse(w.as_str()));
    let query = AuditQuery {
        spaces: call.spaces(call.query("app_id")?)?,
        resource_type: word("resource_type")?,
        resource_id: word("resource_id")?,
        user: word("user")?,
        level,
        operation: word("operation")?,
        from: call.time("start_time")?,
        to: call.time("end_time")?,
    };
    let found = call.platform().audit_records(query, call.page()?).await?;
    let page = Page::of(&found);
    Reply::ok(&AuditEntries { audit_logs: found.items.into_iter().map(AuditEntry::from).collect(), page })
}
