//! Notifications to applications: which event is told, and to whom. The text is written once, by `rules::event`
//! (`iotda-v5-api.md` §3).

use causeway_model::batch::BatchTask;
use causeway_model::event::Heard;
use causeway_model::forwarding::Subject;
use causeway_model::properties::write_json_string;
use causeway_model::registry::Device;
use causeway_model::status::DeviceStatus;
use causeway_model::{AppId, DeviceId, Timestamp};
use causeway_rules::event::{Body, Content, Event, Header, Service, write_field};
use smallvec::SmallVec;

use super::NewDelivery;
use crate::Platform;
use crate::secrets::random_hex;
use crate::uplink::{DeviceContext, ReportRow, tags_text};

/// An event of a service of the product model.
pub(crate) struct ModelEvent<'a> {
    pub(crate) service_id: &'a str,
    pub(crate) event_type: &'a str,
    /// A JSON object.
    pub(crate) paras: &'a str,
    /// When it happened, if the device said so.
    pub(crate) at: Option<Timestamp>,
}

/// What a `device.message.status` notification tells.
pub(crate) struct MessageStatusUpdate<'a> {
    pub(crate) message_id: &'a str,
    pub(crate) name: Option<&'a str>,
    pub(crate) topic: &'a str,
    pub(crate) status: &'a str,
    pub(crate) error: Option<&'a (String, String)>,
}

/// What an event that is told from the store is about.
#[derive(Clone, Copy)]
pub(crate) enum About<'a> {
    /// A space: no header, no order with a device's.
    Space(&'a AppId),
    /// A device: it stands in the header.
    Device(&'a Device),
    /// The registry's entry of a device: it stands in the body, in order with the device's other events.
    Entry(&'a Device),
}

impl Platform {
    /// Deliveries of an event of one device to whoever asked for it; nothing is made when nobody did.
    pub(crate) fn tell_of_device(
        &self,
        device: &DeviceContext,
        subject: Subject,
        heard: Heard<'_>,
        body: Body<'_>,
    ) -> Vec<NewDelivery> {
        let routes = self.routes.load();
        if !routes.concern(&device.app_id, subject) {
            return Vec::new();
        }
        let tags = device.tags_text();
        let made;
        let request_id = match heard.request_id {
            Some(id) => id,
            None => {
                made = random_hex(16);
                &made
            }
        };
        let event = Event {
            subject,
            at: heard.at,
            request_id,
            header: Some(Header {
                app_id: device.app_id.as_str(),
                device_id: device.id.as_str(),
                node_id: device.node_id.as_str(),
                product_id: device.product.id.as_str(),
                gateway_id: device.gateway_id.as_ref().unwrap_or(&device.id).as_str(),
                tags: tags.as_deref().unwrap_or_default(),
            }),
            body,
        };
        routes.deliveries(&device.app_id, Some(device.no), &event)
    }

    /// Deliveries of an event of a space that is no device's.
    pub(crate) fn tell_of_space(
        &self,
        app: &AppId,
        subject: Subject,
        at: Timestamp,
        body: impl FnOnce() -> String,
    ) -> Vec<NewDelivery> {
        self.tell_of_record(About::Space(app), subject, at, || Some(body()))
    }

    /// Deliveries of an event that is told from what is stored.
    pub(crate) fn tell_of_record(
        &self,
        about: About<'_>,
        subject: Subject,
        at: Timestamp,
        body: impl FnOnce() -> Option<String>,
    ) -> Vec<NewDelivery> {
        let (app, device) = match about {
            About::Space(app) => (app, None),
            About::Device(device) | About::Entry(device) => (&device.app_id, Some(device)),
        };
        let routes = self.routes.load();
        if !routes.concern(app, subject) {
            return Vec::new();
        }
        let (body, request_id) = (body(), random_hex(16));
        let tags = device.and_then(|d| tags_text(&d.tags));
        let header = device.filter(|_| matches!(about, About::Device(_))).map(|device| Header {
            app_id: device.app_id.as_str(),
            device_id: device.id.as_str(),
            node_id: device.node_id.as_str(),
            product_id: device.product_id.as_str(),
            gateway_id: device.gateway_id.as_ref().unwrap_or(&device.id).as_str(),
            tags: tags.as_deref().unwrap_or_default(),
        });
        let body = body.as_deref().map_or(Body::None, Body::Json);
        let event = Event { subject, at, request_id: &request_id, header, body };
        routes.deliveries(app, device.map(|d| d.no), &event)
    }

    /// Writes deliveries of a change that is committed already. A store that fails now is logged: the change is done.
    pub(crate) async fn tell_of_change(&self, subject: Subject, deliveries: Vec<NewDelivery>) {
        if deliveries.is_empty() {
            return;
        }
        if let Err(error) = self.store.put_deliveries(deliveries).await {
            tracing::error!(?error, ?subject, "a change could not be told to those who asked for it");
        }
    }

    /// `device.property` / `report`.
    pub(crate) fn tell_report(&self, device: &DeviceContext, rows: &[ReportRow], heard: Heard<'_>) -> Vec<NewDelivery> {
        let services: SmallVec<[Service<'_>; 4]> = rows
            .iter()
            .map(|row| Service {
                service_id: &row.service_id,
                properties: row.properties.as_str(),
                event_time: row.event_time,
            })
            .collect();
        self.tell_of_device(device, Subject::PROPERTY_REPORT, heard, Body::Services(&services))
    }

    /// `device.message` / `report`: content is JSON when the payload is, else text (base64 when it is not UTF-8).
    pub(crate) fn tell_message(
        &self,
        device: &DeviceContext,
        topic: &str,
        payload: &[u8],
        heard: Heard<'_>,
    ) -> Vec<NewDelivery> {
        if !self.routes.load().concern(&device.app_id, Subject::MESSAGE_REPORT) {
            return Vec::new();
        }
        let encoded;
        let content = match std::str::from_utf8(payload) {
            Ok(text) if serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok() => {
                Content::Json(text.trim())
            }
            Ok(text) => Content::Text(text),
            Err(_) => {
                use base64::Engine as _;
                encoded = base64::engine::general_purpose::STANDARD.encode(payload);
                Content::Text(&encoded)
            }
        };
        self.tell_of_device(device, Subject::MESSAGE_REPORT, heard, Body::Message { topic, content })
    }

    /// An event as `device.message` / `report`, on the topic of events of the device `from` that told it.
    pub(crate) fn tell_model_event(
        &self,
        device: &DeviceContext,
        from: &DeviceId,
        event: &ModelEvent<'_>,
        heard: Heard<'_>,
    ) -> Vec<NewDelivery> {
        if !self.routes.load().concern(&device.app_id, Subject::MESSAGE_REPORT) {
            return Vec::new();
        }
        let mut content = String::with_capacity(event.paras.len() + 256);
        content.push('{');
        write_field(&mut content, "object_device_id", device.id.as_str());
        content.push_str(r#","services":[{"#);
        write_field(&mut content, "service_id", event.service_id);
        content.push(',');
        write_field(&mut content, "event_type", event.event_type);
        content.push(',');
        write_field(&mut content, "event_time", &event.at.unwrap_or(heard.at).compact());
        content.push_str(r#","paras":"#);
        content.push_str(event.paras);
        content.push_str("}]}");
        self.tell_message(device, &format!("$oc/devices/{from}/sys/events/up"), content.as_bytes(), heard)
    }

    /// `device.status` / `update`.
    pub(crate) fn tell_status(
        &self,
        device: &DeviceContext,
        status: DeviceStatus,
        last_online: Option<Timestamp>,
        at: Timestamp,
    ) -> Vec<NewDelivery> {
        let mut body = String::with_capacity(160);
        body.push('{');
        write_field(&mut body, "status", status.as_str());
        if let Some(last_online) = last_online {
            body.push(',');
            write_field(&mut body, "last_online_time", &last_online.compact());
        }
        body.push(',');
        write_field(&mut body, "status_update_time", &at.millis());
        body.push('}');
        self.tell_of_device(device, Subject::STATUS_UPDATE, Heard::at(at), Body::Json(&body))
    }

    /// `device.message.status` / `update`.
    pub(crate) fn tell_message_status(
        &self,
        device: &DeviceContext,
        update: &MessageStatusUpdate<'_>,
        at: Timestamp,
    ) -> Vec<NewDelivery> {
        let mut body = String::with_capacity(256);
        body.push('{');
        write_field(&mut body, "message_id", update.message_id);
        for (name, text) in
            [("name", update.name.unwrap_or_default()), ("topic", update.topic), ("status", update.status)]
        {
            body.push(',');
            write_field(&mut body, name, text);
        }
        body.push(',');
        write_field(&mut body, "timestamp", &at.compact());
        if let Some((code, text)) = update.error {
            body.push_str(r#","error_info":{"error_code":"#);
            write_json_string(&mut body, code);
            body.push(',');
            write_field(&mut body, "error_msg", text);
            body.push('}');
        }
        body.push('}');
        self.tell_of_device(device, Subject::MESSAGE_STATUS, Heard::at(at), Body::Json(&body))
    }

    /// `batchtask` / `update`.
    pub(crate) fn tell_batch_task(&self, task: &BatchTask, at: Timestamp) -> Vec<NewDelivery> {
        self.tell_of_space(&task.app_id, Subject::BATCH_TASK, at, || {
            let p = task.progress;
            serde_json::json!({
                "app_id": task.app_id.as_str(),
                "task_id": task.id,
                "task_type": task.task_type.as_str(),
                "status": task.status.as_str(),
                "status_desc": task.status_desc.as_deref().unwrap_or_default(),
                "task_progress": {
                    "total": p.total, "processing": p.processing, "success": p.success, "fail": p.fail,
                    "waitting": p.waitting, "fail_wait_retry": p.fail_wait_retry, "stopped": p.stopped,
                    "removed": p.removed,
                },
            })
            .to_string()
        })
    }
}
