//! `$time_sync` (002 §2.1.2.4.2).

use std::fmt::Write as _;

use causeway_model::Timestamp;
use causeway_platform::downlink::TimeNotice;

use super::Written;

pub(super) fn write(time: &TimeNotice, now: Timestamp) -> Written {
    let mut paras = String::with_capacity(128);
    paras.push('{');
    if let Some(sent) = time.device_send_time {
        let written = write!(paras, r#""device_send_time":{sent},"#);
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
    // The guide says `server_rcv_time`, every SDK reads `server_recv_time` (`iotda-device-access.md` §1).
    let written = write!(
        paras,
        r#""server_recv_time":{r},"server_rcv_time":{r},"server_send_time":{s}}}"#,
        r = time.received.0,
        s = now.0
    );
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
    Written { service_id: "$time_sync", event_type: "time_sync_response", paras }
}

#[cfg(test)]
mod tests {
    use causeway_model::DeviceId;
    use causeway_platform::downlink::{EventNotice, NoticeBody};

    use super::super::payload;
    use super::*;

    #[test]
    fn the_answer_has_all_three_times() {
        let body = NoticeBody::Time(TimeNotice { device_send_time: Some(7), received: Timestamp(10) });
        let notice =
            EventNotice { object_device_id: DeviceId::parse("d1").expect("an id"), event_id: Some("e7".into()), body };
        let text = payload(&notice, Timestamp(12));
        let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let service = &answer["services"][0];
        assert_eq!((answer["object_device_id"].as_str(), service["event_id"].as_str()), (Some("d1"), Some("e7")));
        assert_eq!(service["event_type"], "time_sync_response");
        let expected = serde_json::json!({"device_send_time": 7, "server_recv_time": 10, "server_rcv_time": 10, "server_send_time": 12});
        assert_eq!(service["paras"], expected);
    }
}
