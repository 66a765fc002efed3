//! Alarms: what rules raise and clear, and people acknowledge (002 §6.3).

use crate::ids::{AppId, DeviceId, RecordNo};
use crate::spaces::Spaces;
use crate::time::Timestamp;

words! {
    /// How bad it is; the words of an alarm action (`iotda-v5-api.md` §2).
    Severity {
        /// Worth knowing.
        Warning = "warning",
        /// Harms little.
        Minor = "minor",
        /// Harms much.
        Major = "major",
        /// Must be looked at now.
        Critical = "critical",
    }
}

words! {
    /// What an alarm is about: while it is active, raising it again for the same one repeats it.
    Dimension {
        /// The whole instance.
        User = "user",
        /// A resource space.
        App = "app",
        /// One device.
        Device = "device",
    }
}

words! {
    /// Whether the cause is still there.
    AlarmStatus {
        /// It is.
        Active = "ACTIVE",
        /// It is not.
        Cleared = "CLEARED",
    }
}

/// What makes two alarms the same while one of them is active.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AlarmKey {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub dimension: Dimension,
    /// Id of the space or device it is about; empty for the whole instance.
    pub about: String,
}

/// An alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Paging position.
    pub no: RecordNo,
    /// The id.
    pub id: String,
    /// The space of whoever raised it first.
    pub app_id: AppId,
    /// Its name.
    pub name: String,
    /// How bad it is, as said last.
    pub severity: Severity,
    /// What it is about.
    pub dimension: Dimension,
    /// The device that it was raised for last; always there for [`Dimension::Device`].
    pub device_id: Option<DeviceId>,
    /// For people, as said last.
    pub description: Option<String>,
    /// Id of the rule that raised it last.
    pub source: String,
    /// Whether the cause is still there.
    pub status: AlarmStatus,
    /// How often it was raised.
    pub count: u64,
    /// When it was raised first.
    pub first_at: Timestamp,
    /// When it was raised last.
    pub last_at: Timestamp,
    /// Who has seen it (the user's name), and when.
    pub acknowledged: Option<(String, Timestamp)>,
    /// Who cleared it (id of a rule, or the user's name), and when.
    pub cleared: Option<(String, Timestamp)>,
    /// Rises with every change.
    pub revision: i64,
}

impl Alarm {
    /// What makes it the same as another one.
    #[must_use]
    pub fn key(&self) -> AlarmKey {
        let about = match self.dimension {
            Dimension::User => String::new(),
            Dimension::App => self.app_id.to_string(),
            Dimension::Device => self.device_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        };
        AlarmKey { name: self.name.clone(), dimension: self.dimension, about }
    }
}

/// Which alarms a list shows. Absent fields do not restrict.
#[derive(Clone, Debug, Default)]
pub struct AlarmFilter {
    /// Of these spaces.
    pub spaces: Spaces,
    /// Active or cleared ones.
    pub status: Option<AlarmStatus>,
    /// Of this severity.
    pub severity: Option<Severity>,
    /// Of this device.
    pub device_id: Option<String>,
    /// With this text in their name.
    pub name: Option<String>,
    /// Acknowledged, or not.
    pub acknowledged: Option<bool>,
    /// Raised last from here on, inclusive.
    pub from: Option<Timestamp>,
    /// Raised last before this.
    pub to: Option<Timestamp>,
}
