//! Raising and clearing by rules.

use causeway_model::alarm::{Alarm, AlarmKey, AlarmStatus, Dimension, Severity};
use causeway_model::forwarding::Subject;
use causeway_model::registry::Device;
use causeway_model::{AppId, DeviceId, Error, RecordNo, Result, Timestamp};

use crate::Platform;
use crate::outbox::NewDelivery;
use crate::outbox::notification::About;

/// Writers of one alarm that come in each other's way so often stand still for another reason.
const TRIES: usize = 20;

/// An alarm to raise.
#[derive(Clone, Debug)]
pub struct NewAlarm {
    /// Its name.
    pub name: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about.
    pub dimension: Dimension,
    /// The space of the rule that raises it.
    pub app: AppId,
    /// The device whose event it was; must be there for [`Dimension::Device`].
    pub device: Option<DeviceId>,
    /// For people.
    pub description: Option<String>,
    /// Id of the rule.
    pub source: String,
    /// When its cause happened.
    pub at: Timestamp,
}

/// An alarm to clear: the active one that [`NewAlarm`] with the same name, dimension, space and device raises.
#[derive(Clone, Debug)]
pub struct AlarmEnd {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub dimension: Dimension,
    /// The space of the rule that clears it.
    pub app: AppId,
    /// The device whose event it was.
    pub device: Option<DeviceId>,
    /// Id of the rule.
    pub source: String,
    /// When its end happened.
    pub at: Timestamp,
}

fn key(name: &str, dimension: Dimension, app: &AppId, device: Option<&DeviceId>) -> Result<AlarmKey> {
    let about = match dimension {
        Dimension::User => String::new(),
        Dimension::App => app.to_string(),
        Dimension::Device => device
            .ok_or_else(|| Error::invalid("Invalid input. An alarm of the dimension 'device' needs a device."))?
            .to_string(),
    };
    Ok(AlarmKey { name: name.to_owned(), dimension, about })
}

impl Platform {
    /// Raises an alarm, or repeats the one of the same name, dimension and device that is active. Told as
    /// [`Subject::ALARM_REPORT`]. The same cause told twice (source and time) counts once.
    ///
    /// # Errors
    /// [`Code::InvalidInput`](causeway_model::Code::InvalidInput) when it is about a device and names none; the store's.
    pub async fn raise_alarm(&self, new: NewAlarm) -> Result<Alarm> {
        let key = key(&new.name, new.dimension, &new.app, new.device.as_ref())?;
        let device = self.device_of(new.device.as_ref()).await?;
        for _ in 0..TRIES {
            if let Some(found) = self.store.active_alarm(&key).await? {
                if found.source == new.source && found.last_at == new.at {
                    return Ok(found);
                }
                let repeated = Alarm {
                    severity: new.severity,
                    device_id: new.device.clone().or(found.device_id),
                    description: new.description.clone(),
                    source: new.source.clone(),
                    count: found.count + 1,
                    last_at: found.last_at.max(new.at),
                    revision: found.revision + 1,
                    ..found
                };
                let told = self.tell_alarm(&repeated, device.as_ref(), Subject::ALARM_REPORT, new.at);
                if self.store.update_alarm(&repeated, told).await? {
                    return Ok(repeated);
                }
                continue;
            }
            let alarm = Alarm {
                no: RecordNo(0),
                id: uuid::Uuid::new_v4().to_string(),
                app_id: new.app.clone(),
                name: new.name.clone(),
                severity: new.severity,
                dimension: new.dimension,
                device_id: new.device.clone(),
                description: new.description.clone(),
                source: new.source.clone(),
                status: AlarmStatus::Active,
                count: 1,
                first_at: new.at,
                last_at: new.at,
                acknowledged: None,
                cleared: None,
                revision: 1,
            };
            let told = self.tell_alarm(&alarm, device.as_ref(), Subject::ALARM_REPORT, new.at);
            if let Some(made) = self.store.insert_alarm(alarm, self.settings.alarm.max_alarms, told).await? {
                return Ok(made);
            }
        }
        Err(Error::unavailable("an alarm is changed by others all the time"))
    }

    /// Clears the active alarm of this name, dimension and device; `None` when none is active. Told as
    /// [`Subject::ALARM_UPDATE`].
    ///
    /// # Errors
    /// As [`raise_alarm`](Self::raise_alarm).
    pub async fn clear_alarm(&self, end: AlarmEnd) -> Result<Option<Alarm>> {
        let key = key(&end.name, end.dimension, &end.app, end.device.as_ref())?;
        for _ in 0..TRIES {
            let Some(found) = self.store.active_alarm(&key).await? else { return Ok(None) };
            let cleared = Alarm {
                status: AlarmStatus::Cleared,
                cleared: Some((end.source.clone(), end.at)),
                revision: found.revision + 1,
                ..found
            };
            if self.change_alarm(&cleared, end.at).await? {
                return Ok(Some(cleared));
            }
        }
        Err(Error::unavailable("an alarm is changed by others all the time"))
    }

    /// Writes and tells a change of an alarm's state. False when somebody else changed it meanwhile.
    pub(super) async fn change_alarm(&self, changed: &Alarm, at: Timestamp) -> Result<bool> {
        let device = self.device_of(changed.device_id.as_ref()).await?;
        let told = self.tell_alarm(changed, device.as_ref(), Subject::ALARM_UPDATE, at);
        self.store.update_alarm(changed, told).await
    }

    async fn device_of(&self, id: Option<&DeviceId>) -> Result<Option<Device>> {
        match id {
            Some(id) => self.store.device(id).await,
            None => Ok(None),
        }
    }

    /// `device.alarm`: the alarm as the API shows it. Of a device, so that its notifications keep their order.
    fn tell_alarm(&self, alarm: &Alarm, device: Option<&Device>, subject: Subject, at: Timestamp) -> Vec<NewDelivery> {
        let about = device.map_or(About::Space(&alarm.app_id), About::Device);
        self.tell_of_record(about, subject, at, || Some(alarm_text(alarm)))
    }
}

fn alarm_text(alarm: &Alarm) -> String {
    let mut body = serde_json::json!({
        "alarm_id": alarm.id,
        "app_id": alarm.app_id.as_str(),
        "name": alarm.name,
        "severity": alarm.severity.as_str(),
        "dimension": alarm.dimension.as_str(),
        "status": alarm.status.as_str(),
        "source": alarm.source,
        "count": alarm.count,
        "first_time": alarm.first_at.millis().to_string(),
        "last_time": alarm.last_at.millis().to_string(),
        "acknowledged": alarm.acknowledged.is_some(),
    });
    let mut add = |name: &str, text: Option<String>| {
        if let Some(text) = text {
            body[name] = text.into();
        }
    };
    add("device_id", alarm.device_id.as_ref().map(ToString::to_string));
    add("description", alarm.description.clone());
    if let Some((by, at)) = &alarm.acknowledged {
        add("acknowledged_by", Some(by.clone()));
        add("acknowledge_time", Some(at.millis().to_string()));
    }
    if let Some((by, at)) = &alarm.cleared {
        add("cleared_by", Some(by.clone()));
        add("clear_time", Some(at.millis().to_string()));
    }
    body.to_string()
}
