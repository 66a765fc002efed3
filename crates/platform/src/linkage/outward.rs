//! What rules ask of other parts: alarms and notifications.

use causeway_model::alarm::{Dimension, Severity};
use causeway_model::linkage::{AlarmAction, LinkageRule, NotifyAction};
use causeway_model::{Error, Result};

use super::act::Occasion;
use crate::Platform;
use crate::alarm::{AlarmEnd, NewAlarm};

impl Platform {
    /// Raises or clears the alarm.
    pub(super) async fn alarm_by_rule(
        &self,
        rule: &LinkageRule,
        action: &AlarmAction,
        occasion: &Occasion<'_>,
    ) -> Result<()> {
        let dimension = action.dimension.as_deref().map_or(Some(Dimension::User), Dimension::parse);
        let (Some(dimension), Some(severity)) = (dimension, Severity::parse(&action.severity)) else {
            return Err(Error::internal("a stored alarm action has an unknown word"));
        };
        let (name, app, source) = (action.name.clone(), rule.app_id.clone(), rule.id.clone());
        let device = occasion.device.map(|d| d.id.clone());
        if action.is_fault {
            let description = action.description.clone();
            let at = occasion.at;
            self.raise_alarm(NewAlarm { name, severity, dimension, app, device, description, source, at }).await?;
        } else {
            self.clear_alarm(AlarmEnd { name, dimension, app, device, source, at: occasion.at }).await?;
        }
        Ok(())
    }

    /// Tells the subscribers of the topic. Without a text they are told which rule acted, for which device and when.
    pub(super) async fn notify_by_rule(
        &self,
        rule: &LinkageRule,
        action: &NotifyAction,
        occasion: &Occasion<'_>,
    ) -> Result<()> {
        let content = match action.content.as_deref().filter(|text| !text.is_empty()) {
            Some(text) => text.to_owned(),
            None => match occasion.device {
                Some(device) => format!("{}: device {} at {}.", rule.name, device.id, occasion.at),
                None => format!("{}: at {}.", rule.name, occasion.at),
            },
        };
        self.notify_topic(&action.topic_urn, &action.title, &content).await
    }
}
