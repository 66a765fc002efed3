//! What the audit log holds: who did what to which resource, with what result (002 §6.4). Never bodies, never secrets.

use crate::ids::{AppId, RecordNo};
use crate::spaces::Spaces;
use crate::time::Timestamp;

/// How much a record matters (002 §6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditLevel {
    /// It was done.
    Normal,
    /// It was refused, or the device did not do it.
    Warning,
    /// The platform failed.
    Incident,
}

impl AuditLevel {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Warning => "warning",
            Self::Incident => "incident",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Normal, Self::Warning, Self::Incident].into_iter().find(|l| l.as_str() == word)
    }
}

/// One call of an interface that changes something, or was to change something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// The id, and its place in lists.
    pub no: RecordNo,
    /// When the call came.
    pub at: Timestamp,
    /// The user's id; `None` for a stranger.
    pub user_id: Option<String>,
    /// The user's sign-in name; for a sign-in, the name that was given.
    pub user_name: Option<String>,
    /// The access key, or `token`, or `password`; as claimed when the claim was refused.
    pub credential: Option<String>,
    /// The operation's id.
    pub operation: String,
    /// Its name in the guide (`addDevice`), made from the id for operations that the guide does not name.
    pub event: String,
    /// Kind of what it concerns, in the guide's words where it has one (`device`, `rule`, `deviceShadow`).
    pub resource_type: String,
    /// Which one.
    pub resource_id: Option<String>,
    /// The space it belongs to; `None` for what belongs to the whole instance. The record outlives the space.
    pub app_id: Option<AppId>,
    /// HTTP status of the answer.
    pub status: u16,
    /// The code of the error.
    pub error_code: Option<String>,
    /// How much it matters.
    pub level: AuditLevel,
    /// Where the call came from.
    pub address: Option<String>,
    /// Id of the request, as the answer told it.
    pub request_id: String,
}

/// Which records to list. Absent fields do not restrict.
#[derive(Clone, Debug)]
pub struct AuditFilter {
    /// Of these spaces; what belongs to none is shown to those only who see all.
    pub spaces: Spaces,
    /// Concerning this kind of thing.
    pub resource_type: Option<String>,
    /// Concerning this thing.
    pub resource_id: Option<String>,
    /// By this user, id or name.
    pub user: Option<String>,
    /// Of this level.
    pub level: Option<AuditLevel>,
    /// Of this operation, id or event name.
    pub operation: Option<String>,
    /// From here, inclusive.
    pub from: Timestamp,
    /// Up to here, exclusive.
    pub to: Timestamp,
}
