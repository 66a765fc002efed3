//! What a PUBLISH of a device (or its will) causes: the event for the road, retained messages, answers.

use std::sync::Arc;

use causeway_model::event::{AnswerKind, DeviceEvent, Heard};
use causeway_model::policy::TopicAction;
use causeway_model::{Kind, Result, Timestamp};
use causeway_platform::downlink::EventNotice;
use causeway_platform::session::RetainedMessage;
use causeway_platform::uplink::{DeviceContext, Taken};
use causeway_wire::mqtt::{Publish, ReasonCode, Version};

use super::{Malformed, events, gzip, message, report, shadow};
use crate::door::Door;
use crate::downlink::events as notices;
use crate::session::letter::property_bytes;
use crate::topics::system::{self, Query, Up};
use crate::topics::{Place, place, user};

/// A downlink that answers a PUBLISH at once.
pub(crate) struct Reply {
    /// The topic.
    pub(crate) topic: String,
    /// The payload.
    pub(crate) payload: String,
}

/// What became of a PUBLISH.
pub(crate) struct Verdict {
    /// For the PUBACK or PUBREC.
    pub(crate) reason: ReasonCode,
    /// Answers to send.
    pub(crate) replies: Vec<Reply>,
    /// The message also goes to the device's own subscriptions.
    pub(crate) is_routed: bool,
}

impl Verdict {
    const ACCEPTED: Self = Self { reason: ReasonCode::SUCCESS, replies: Vec::new(), is_routed: false };

    fn refused(reason: ReasonCode) -> Self {
        Self { reason, ..Self::ACCEPTED }
    }
}

/// A PUBLISH with its topic alias resolved.
#[derive(Clone, Copy)]
pub(crate) struct Publication<'a> {
    /// Who publishes.
    pub(crate) device: &'a Arc<DeviceContext>,
    /// What.
    pub(crate) publish: &'a Publish<'a>,
    /// In which version.
    pub(crate) version: Version,
    /// When it came.
    pub(crate) arrival: Timestamp,
}

/// The topic that counts for messages of a device: without the suffix query where one may stand.
pub(crate) fn proper_topic<'a>(topic: &'a str, own_id: &str) -> &'a str {
    match place(topic, own_id) {
        Place::System(_) | Place::User(_) => system::split_query(topic).0,
        _ => topic,
    }
}

/// Whether what the device publishes on a topic may come back to it: on a topic of its product, if that lets it subscribe.
pub(crate) fn may_receive(device: &DeviceContext, topic: &str) -> bool {
    match place(topic, device.id.as_str()) {
        Place::User(suffix) => user::may_subscribe(&device.product.current().topics, |declared| declared == suffix),
        place => place == Place::Free && !device.policies_withhold(topic),
    }
}

impl Publication<'_> {
    /// Takes the PUBLISH; what must be committed before it is acknowledged is added to `taken`. Nothing that the device
    /// says wrong is an error.
    ///
    /// May be dropped at its first pause and begun again, unless it [acts](Self::acts).
    ///
    /// # Errors
    /// The store's: the PUBLISH must not be acknowledged.
    pub(crate) async fn take(&self, door: &Door, taken: &mut Taken) -> Result<Verdict> {
        let topic = self.publish.topic;
        match place(topic, self.device.id.as_str()) {
            Place::System(rest) => match system::up(rest) {
                Some((up, query)) => self.take_system(door, up, query, taken).await,
                None => Ok(self.refuse(door)),
            },
            Place::User(suffix) => {
                let (suffix, _) = system::split_query(suffix);
                if user::may_publish(&self.device.product.current().topics, suffix) {
                    self.take_custom(door, taken).await
                } else {
                    Ok(self.refuse(door))
                }
            }
            Place::Free if topic.len() > door.settings.max_topic as usize => {
                door.note_refused_topic(self.device, topic, "publish");
                Ok(Verdict::refused(ReasonCode::TOPIC_NAME_INVALID))
            }
            Place::Free if !self.device.policies_allow(TopicAction::Publish, topic) => Ok(self.refuse(door)),
            Place::Free => self.take_custom(door, taken).await,
            Place::OtherDevice { device, rest } => {
                // The Python SDK asks for a sub-device's shadow on the sub-device's topic (`iotda-device-access.md` §5).
                match rest.strip_prefix("sys/").and_then(system::up) {
                    Some((Up::ShadowGet(request_id), _)) => self.take_shadow_get(door, device, request_id).await,
                    _ => Ok(self.refuse(door)),
                }
            }
            Place::Reserved => Ok(self.refuse(door)),
        }
    }

    /// Whether taking it may change what is registered, so that it must not begin twice.
    pub(crate) fn acts(&self) -> bool {
        matches!(place(self.publish.topic, self.device.id.as_str()), Place::System(rest) if rest.starts_with("events/"))
    }

    fn refuse(&self, door: &Door) -> Verdict {
        door.note_refused_topic(self.device, self.publish.topic, "publish");
        Verdict::refused(ReasonCode::NOT_AUTHORIZED)
    }

    fn malformed(&self, door: &Door, why: Malformed) -> Verdict {
        door.note_malformed(self.device, self.publish.topic, why);
        Verdict::ACCEPTED
    }

    async fn take_system(&self, door: &Door, up: Up<'_>, query: Query<'_>, taken: &mut Taken) -> Result<Verdict> {
        let limit = door.settings.max_inflated.0;
        let payload = match gzip::unpack(self.publish.payload, query.encoding, limit) {
            Ok(payload) => payload,
            Err(why) => return Ok(self.malformed(door, why)),
        };
        let event = match up {
            Up::Report => report::report(&payload).map(DeviceEvent::Report),
            Up::SubDeviceReport => {
                let limit = door.settings.max_sub_devices as usize;
                report::sub_device_report(&payload, limit).map(DeviceEvent::SubDeviceReport)
            }
            Up::Message => Ok(DeviceEvent::Message {
                topic: system::split_query(self.publish.topic).0,
                object_device_id: message::object_device_id(&payload),
                payload: &payload,
            }),
            Up::CommandAnswer(id) => Ok(answer(AnswerKind::Command, id, &payload)),
            Up::SetAnswer(id) => Ok(answer(AnswerKind::PropertySet, id, &payload)),
            Up::GetAnswer(id) => Ok(answer(AnswerKind::PropertyGet, id, &payload)),
            Up::Events => events::envelope(&payload, door.settings.max_events as usize).map(DeviceEvent::Events),
            Up::ShadowGet(id) => return self.take_shadow_get(door, self.device.id.as_str(), id).await,
        };
        if let Ok(DeviceEvent::Events(events)) = &event {
            door.meters.events.increment(events.list.len() as u64);
        }
        match event {
            Ok(event) => self.hand_over(door, event, query.request_id, taken).await,
            Err(why) => Ok(self.malformed(door, why)),
        }
    }

    async fn hand_over(
        &self,
        door: &Door,
        event: DeviceEvent<'_>,
        request_id: Option<&str>,
        taken: &mut Taken,
    ) -> Result<Verdict> {
        let heard = Heard { at: self.arrival, request_id: request_id.filter(|id| (1..=128).contains(&id.len())) };
        let outcome = door.platform.take(self.device, event, heard, taken).await;
        if !taken.foreign.is_empty() {
            door.note_foreign(self.device, &taken.foreign);
            taken.foreign.clear();
        }
        match outcome {
            Ok(()) => {
                let topic = || notices::topic(self.device.id.as_str());
                let written = |notice: &EventNotice| notices::payload(notice, door.platform.clock.now());
                let answers = std::mem::take(&mut taken.answers);
                let replies = answers.iter().map(|n| Reply { topic: topic(), payload: written(n) }).collect();
                Ok(Verdict { replies, ..Verdict::ACCEPTED })
            }
            Err(error) if error.kind() == Kind::Invalid => Ok(self.malformed(door, Malformed::Properties)),
            Err(error) => Err(error),
        }
    }

    /// Declared user topics and free topics: to the applications, and to the device's own subscriptions.
    async fn take_custom(&self, door: &Door, taken: &mut Taken) -> Result<Verdict> {
        let topic = proper_topic(self.publish.topic, self.device.id.as_str());
        if self.publish.retain {
            let is_kept = self.keep_retained(door, topic).await?;
            if !is_kept && self.version == Version::V5 {
                return Ok(Verdict::refused(ReasonCode::QUOTA_EXCEEDED));
            }
        }
        let event = DeviceEvent::Message { topic, object_device_id: None, payload: self.publish.payload };
        let verdict = self.hand_over(door, event, None, taken).await?;
        Ok(Verdict { is_routed: true, ..verdict })
    }

    /// Sets or, with an empty payload, removes the retained message of a topic [MQTT-3.3.1-5] [MQTT-3.3.1-10]. False when
    /// a limit forbids it.
    async fn keep_retained(&self, door: &Door, topic: &str) -> Result<bool> {
        let store = &door.platform.store;
        if self.publish.payload.is_empty() {
            store.delete_retained(self.device.no, topic).await?;
            return Ok(true);
        }
        let retained = RetainedMessage {
            topic: topic.to_owned(),
            payload: self.publish.payload.to_vec(),
            qos: self.publish.qos.bits(),
            properties: property_bytes(&self.publish.properties),
            at: self.arrival,
        };
        let fits = retained.payload.len() + retained.properties.len() <= door.settings.retained_max_size.0;
        let is_kept = fits && store.put_retained(self.device.no, &retained, door.settings.retained_max).await?;
        if !is_kept && door.log.allow() {
            tracing::info!(device_id = %self.device.id, "a retained message was not kept: it is too large, or there are too many");
        }
        Ok(is_kept)
    }

    /// `topic_device` is the device of the topic: itself, or one behind it that it asks for.
    async fn take_shadow_get(&self, door: &Door, topic_device: &str, request_id: &str) -> Result<Verdict> {
        let request = match shadow::request(self.publish.payload) {
            Ok(request) => request,
            Err(why) => return Ok(self.malformed(door, why)),
        };
        let is_own = topic_device == self.device.id.as_str();
        let object = if is_own { request.object_device_id.as_deref() } else { Some(topic_device) };
        let found = door.platform.shadow_for_device(self.device, object, request.service_id.as_deref()).await?;
        let Some((object, shadow)) = found else {
            if is_own {
                door.note_foreign(self.device, &[object.unwrap_or_default().to_owned()]);
                return Ok(Verdict::ACCEPTED);
            }
            return Ok(self.refuse(door));
        };
        let reply = Reply {
            topic: ["$oc/devices/", topic_device, "/sys/shadow/get/response/request_id=", request_id].concat(),
            payload: shadow::answer(object.as_str(), &shadow),
        };
        Ok(Verdict { replies: vec![reply], ..Verdict::ACCEPTED })
    }
}

fn answer<'a>(kind: AnswerKind, request_id: &'a str, body: &'a [u8]) -> DeviceEvent<'a> {
    DeviceEvent::Answer { kind, request_id, body }
}
