//! Device status (002 §3.4) and how it changes.

use std::fmt;

/// What the registry shows of a device's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceStatus {
    /// Registered, never connected.
    Inactive,
    /// Connected, or heard of recently (short connections).
    Online,
    /// Not connected for longer than the delay.
    Offline,
    /// Short connections only: silent for 25 h.
    Abnormal,
    /// May not connect until it is unfrozen.
    Frozen,
}

/// What can happen to a device's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusEvent {
    /// The device connected or was heard.
    Connected,
    /// The delay after its disconnection has passed.
    Gone,
    /// It has been silent for the first period of short connections.
    Silent,
    /// An operator froze it.
    Frozen,
}

impl DeviceStatus {
    /// The word used by every interface.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "INACTIVE",
            Self::Online => "ONLINE",
            Self::Offline => "OFFLINE",
            Self::Abnormal => "ABNORMAL",
            Self::Frozen => "FROZEN",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Inactive, Self::Online, Self::Offline, Self::Abnormal, Self::Frozen]
            .into_iter()
            .find(|s| s.as_str() == word)
    }

    /// The status after `event`; `None` when it does not change.
    #[must_use]
    pub fn next(self, event: StatusEvent) -> Option<Self> {
        let next = match (self, event) {
            (Self::Frozen, _) => return None,
            (_, StatusEvent::Frozen) => Self::Frozen,
            (_, StatusEvent::Connected) => Self::Online,
            (Self::Inactive, StatusEvent::Gone | StatusEvent::Silent) => return None,
            (_, StatusEvent::Gone) => Self::Offline,
            (_, StatusEvent::Silent) => Self::Abnormal,
        };
        (next != self).then_some(next)
    }
}

impl fmt::Display for DeviceStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transitions_follow_the_guide() {
        use DeviceStatus::*;
        assert_eq!(Inactive.next(StatusEvent::Connected), Some(Online));
        assert_eq!(Online.next(StatusEvent::Connected), None);
        assert_eq!(Online.next(StatusEvent::Gone), Some(Offline));
        assert_eq!(Inactive.next(StatusEvent::Gone), None);
        assert_eq!(Frozen.next(StatusEvent::Connected), None);
        assert_eq!(Offline.next(StatusEvent::Frozen), Some(Frozen));
    }
}
