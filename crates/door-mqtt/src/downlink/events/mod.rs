//! Events of the platform for `…/sys/events/down` (`iotda-device-access.md` §6): one file a service. One service stands
//! in an envelope, because the C SDK takes no more than three.

mod file;
mod gateway;
mod log;
mod time;

use causeway_model::Timestamp;
use causeway_model::properties::write_json_string;
use causeway_platform::downlink::{EventNotice, NoticeBody};

/// `$oc/devices/{own}/sys/events/down`.
pub(crate) fn topic(own_id: &str) -> String {
    ["$oc/devices/", own_id, "/sys/events/down"].concat()
}

/// What stands in an envelope besides its head.
struct Written {
    service_id: &'static str,
    event_type: &'static str,
    /// A JSON object.
    paras: String,
}

/// The payload of a notice that leaves at `now`.
pub(crate) fn payload(notice: &EventNotice, now: Timestamp) -> String {
    let Written { service_id, event_type, paras } = match &notice.body {
        NoticeBody::File { transfer, url } => file::write(*transfer, url),
        NoticeBody::Time(time) => time::write(time, now),
        NoticeBody::LogConfig(config) => log::write(config),
        NoticeBody::Gateway(notice) => gateway::write(notice),
    };
    let mut out = String::with_capacity(paras.len() + 256);
    out.push_str(r#"{"object_device_id":"#);
    write_json_string(&mut out, notice.object_device_id.as_str());
    out.push_str(r#","services":[{"service_id":""#);
    out.push_str(service_id);
    out.push_str(r#"","event_type":""#);
    out.push_str(event_type);
    out.push_str(r#"","event_time":"#);
    write_json_string(&mut out, &now.compact());
    if let Some(id) = &notice.event_id {
        out.push_str(r#","event_id":"#);
        write_json_string(&mut out, id);
    }
    out.push_str(r#","paras":"#);
    out.push_str(&paras);
    out.push_str("}]}");
    out
}
