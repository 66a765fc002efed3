//! Notifications to applications, serialised once, when their outbox row is written (`iotda-v5-api.md` §3).

use std::fmt::Write as _;

use causeway_model::batch::BatchTask;
use causeway_model::event::Heard;
use causeway_model::properties::write_json_string;
use causeway_model::status::DeviceStatus;
use causeway_model::{DeviceId, DeviceNo, Timestamp};

use super::NewDelivery;
use crate::secrets::random_hex;
use crate::uplink::{DeviceContext, ReportRow};

/// `"name":"text"` with the text escaped.
fn field(out: &mut String, name: &str, text: &str) {
    write_json_string(out, name);
    out.push(':');
    write_json_string(out, text);
}

/// The envelope up to `"body":` for an event of one device.
fn envelope(device: &DeviceContext, resource: &str, event: &str, heard: Heard<'_>) -> String {
    let at = heard.at;
    let mut out = String::with_capacity(640);
    let written = write!(
        out,
        r#"{{"resource":"{resource}","event":"{event}","event_time":"{}","event_time_ms":"{}","#,
        at.compact(),
        at.millis()
    );
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
    match heard.request_id {
        Some(id) => field(&mut out, "request_id", id),
        None => field(&mut out, "request_id", &random_hex(16)),
    }
    out.push_str(r#","notify_data":{"header":{"#);
    field(&mut out, "app_id", device.app_id.as_str());
    out.push(',');
    field(&mut out, "device_id", device.id.as_str());
    out.push(',');
    field(&mut out, "node_id", device.node_id.as_str());
    out.push(',');
    field(&mut out, "product_id", device.product.id.as_str());
    out.push(',');
    field(&mut out, "gateway_id", device.gateway_id.as_ref().unwrap_or(&device.id).as_str());
    out.push_str(r#","tags":["#);
    device.write_tags(&mut out);
    out.push_str(r#"]},"body":"#);
    out
}

fn closed(mut out: String) -> Box<str> {
    out.push_str("}}");
    out.into()
}

/// A row for the outbox.
pub(crate) fn delivery(target: i64, device: Option<DeviceNo>, body: Box<str>, at: Timestamp) -> NewDelivery {
    NewDelivery { target, device, body, at }
}

/// `device.property` / `report`.
pub(crate) fn property_report(device: &DeviceContext, rows: &[ReportRow], heard: Heard<'_>) -> Box<str> {
    let mut out = envelope(device, "device.property", "report", heard);
    out.push_str(r#"{"services":["#);
    for (i, row) in rows.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push('{');
        field(&mut out, "service_id", &row.service_id);
        out.push_str(r#","properties":"#);
        out.push_str(row.properties.as_str());
        out.push(',');
        field(&mut out, "event_time", &row.event_time.compact());
        out.push('}');
    }
    out.push_str("]}");
    closed(out)
}

/// `device.message` / `report`: content is JSON when the payload is, else text (base64 when it is not UTF-8).
pub(crate) fn message_report(device: &DeviceContext, topic: &str, payload: &[u8], heard: Heard<'_>) -> Box<str> {
    let mut out = envelope(device, "device.message", "report", heard);
    out.push('{');
    field(&mut out, "topic", topic);
    out.push_str(r#","content":"#);
    match std::str::from_utf8(payload) {
        Ok(text) if serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok() => out.push_str(text.trim()),
        Ok(text) => write_json_string(&mut out, text),
        Err(_) => {
            use base64::Engine as _;
            write_json_string(&mut out, &base64::engine::general_purpose::STANDARD.encode(payload));
        }
    }
    out.push('}');
    closed(out)
}

/// An event of a service.
pub(crate) struct Event<'a> {
    pub(crate) service_id: &'a str,
    pub(crate) event_type: &'a str,
    /// A JSON object.
    pub(crate) paras: &'a str,
    /// When it happened, if the device said so.
    pub(crate) at: Option<Timestamp>,
}

/// An event as `device.message` / `report`, on the topic of events of the device `from` that told it.
pub(crate) fn event_report(device: &DeviceContext, from: &DeviceId, event: &Event<'_>, heard: Heard<'_>) -> Box<str> {
    let mut content = String::with_capacity(event.paras.len() + 256);
    content.push('{');
    field(&mut content, "object_device_id", device.id.as_str());
    content.push_str(r#","services":[{"#);
    field(&mut content, "service_id", event.service_id);
    content.push(',');
    field(&mut content, "event_type", event.event_type);
    content.push(',');
    field(&mut content, "event_time", &event.at.unwrap_or(heard.at).compact());
    content.push_str(r#","paras":"#);
    content.push_str(event.paras);
    content.push_str("}]}");
    message_report(device, &format!("$oc/devices/{from}/sys/events/up"), content.as_bytes(), heard)
}

/// `device.status` / `update`.
pub(crate) fn status_update(
    device: &DeviceContext,
    status: DeviceStatus,
    last_online: Option<Timestamp>,
    at: Timestamp,
) -> Box<str> {
    let mut out = envelope(device, "device.status", "update", Heard::at(at));
    out.push('{');
    field(&mut out, "status", status.as_str());
    if let Some(last_online) = last_online {
        out.push(',');
        field(&mut out, "last_online_time", &last_online.compact());
    }
    out.push(',');
    field(&mut out, "status_update_time", &at.millis());
    out.push('}');
    closed(out)
}

/// What a `device.message.status` notification tells.
pub(crate) struct MessageStatusUpdate<'a> {
    pub(crate) message_id: &'a str,
    pub(crate) name: Option<&'a str>,
    pub(crate) topic: &'a str,
    pub(crate) status: &'a str,
    pub(crate) error: Option<&'a (String, String)>,
}

/// `device.message.status` / `update`.
pub(crate) fn message_status(device: &DeviceContext, update: &MessageStatusUpdate<'_>, at: Timestamp) -> Box<str> {
    let mut out = envelope(device, "device.message.status", "update", Heard::at(at));
    out.push('{');
    field(&mut out, "message_id", update.message_id);
    out.push(',');
    field(&mut out, "name", update.name.unwrap_or_default());
    out.push(',');
    field(&mut out, "topic", update.topic);
    out.push(',');
    field(&mut out, "status", update.status);
    out.push(',');
    field(&mut out, "timestamp", &at.compact());
    if let Some((code, text)) = update.error {
        out.push_str(r#","error_info":{"#);
        field(&mut out, "error_code", code);
        out.push(',');
        field(&mut out, "error_msg", text);
        out.push('}');
    }
    out.push('}');
    closed(out)
}

/// `batchtask` / `update`: of a task, not of a device, so that there is no header.
pub(crate) fn batch_task(task: &BatchTask, at: Timestamp) -> Box<str> {
    let p = task.progress;
    let body = serde_json::json!({
        "resource": "batchtask",
        "event": "update",
        "event_time": at.compact(),
        "event_time_ms": at.millis(),
        "request_id": random_hex(16),
        "notify_data": { "body": {
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
        } },
    });
    body.to_string().into()
}
