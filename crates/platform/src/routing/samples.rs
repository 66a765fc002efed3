//! Sample notifications, one a subject: for trying rules and targets (`iotda-v5-api.md` §3).

use causeway_model::forwarding::{Source, Subject, Trigger};

const HEADER: &str = concat!(
    r#""header":{"app_id":"d4922d8a-6c8e-4396-852c-164aefa6638f","device_id":"d4922d8a_node-1","node_id":"node-1","#,
    r#""product_id":"ABC123456789","gateway_id":"d4922d8a_node-1","tags":[{"tag_key":"location","tag_value":"hall-1"}]}"#
);

const DEVICE: &str = concat!(
    r#"{"app_id":"d4922d8a-6c8e-4396-852c-164aefa6638f","app_name":"plant","device_id":"d4922d8a_node-1","#,
    r#""node_id":"node-1","gateway_id":"d4922d8a_node-1","device_name":"cold room","node_type":"GATEWAY","#,
    r#""auth_info":{"auth_type":"SECRET","secure_access":true,"timeout":0},"product_id":"ABC123456789","#,
    r#""product_name":"thermometer","status":"INACTIVE","create_time":"20151212T121212Z","#,
    r#""tags":[{"tag_key":"location","tag_value":"hall-1"}]}"#
);

const PRODUCT: &str = concat!(
    r#"{"app_id":"d4922d8a-6c8e-4396-852c-164aefa6638f","app_name":"plant","product_id":"ABC123456789","#,
    r#""name":"thermometer","device_type":"Thermometer","protocol_type":"MQTT","data_format":"json","#,
    r#""service_capabilities":[{"service_id":"Temperature","service_type":"Temperature","properties":"#,
    r#"[{"property_name":"value","data_type":"decimal","method":"R"}]}],"create_time":"20151212T121212Z"}"#
);

/// A sample of what rules for `subject` look at.
#[must_use]
pub fn of(subject: Subject) -> &'static str {
    use std::sync::LazyLock;
    static SAMPLES: LazyLock<Vec<String>> = LazyLock::new(|| Subject::ALL.iter().map(|s| write(*s)).collect());
    SAMPLES.get(subject.index()).map_or("{}", String::as_str)
}

fn write(subject: Subject) -> String {
    let (resource, event) = (subject.resource(), subject.event());
    format!(
        r#"{{"resource":"{resource}","event":"{event}","event_time":"20151212T121212Z","event_time_ms":"2015-12-12T12:12:12.000Z","request_id":"3fe58d5e-8697-4849-a165-7db128f7e776","notify_data":{{{}}}}}"#,
        data(subject)
    )
}

/// The members of `notify_data`.
fn data(subject: Subject) -> String {
    let of_device = |body: &str| format!(r#"{HEADER},"body":{body}"#);
    match (subject.source(), subject.trigger()) {
        (Source::Device, Trigger::Delete) => HEADER.to_owned(),
        (Source::Device, _) => format!(r#""body":{DEVICE}"#),
        (Source::Property, _) => of_device(
            r#"{"services":[{"service_id":"Temperature","properties":{"value":21.5},"event_time":"20151212T121212Z"}]}"#,
        ),
        (Source::Message, _) => of_device(
            r#"{"topic":"$oc/devices/d4922d8a_node-1/sys/messages/up","content":{"name":"door","open":true}}"#,
        ),
        (Source::MessageStatus, _) => of_device(
            r#"{"message_id":"235","name":"greeting","topic":"$oc/devices/d4922d8a_node-1/sys/messages/down","status":"DELIVERED","timestamp":"20151212T121212Z"}"#,
        ),
        (Source::Status, _) => of_device(
            r#"{"status":"ONLINE","last_online_time":"20151212T121212Z","status_update_time":"2015-12-12T12:12:12.815Z"}"#,
        ),
        (Source::CommandStatus, _) => of_device(
            r#"{"command_id":"49ca40b4-6f35-4ec2-9e0f-7b6a9b1c7f0d","created_time":"20151212T121212Z","sent_time":"20151212T121212Z","delivered_time":"20151212T121212Z","response_time":"20151212T121212Z","status":"SUCCESSFUL","result":{"resultCode":"SUCCESSFUL","resultDetail":{"value":"1"}}}"#,
        ),
        (Source::BatchTask, _) => concat!(
            r#""body":{"app_id":"d4922d8a-6c8e-4396-852c-164aefa6638f","task_id":"5c8ba99030344005c02316ad","#,
            r#""task_type":"createCommands","status":"Success","status_desc":""}"#
        )
        .to_owned(),
        (Source::Product, Trigger::Delete) => concat!(
            r#""body":{"app_id":"d4922d8a-6c8e-4396-852c-164aefa6638f","product_id":"ABC123456789","#,
            r#""name":"thermometer"}"#
        )
        .to_owned(),
        (Source::Product, _) => format!(r#""body":{PRODUCT}"#),
        (Source::RunLog, _) => of_device(r#""2015-12-12T12:12:12,000Z|d4922d8a_node-1|device.status|ONLINE|||200""#),
        (Source::Alarm, _) => of_device(
            r#"{"alarm_id":"5c8ba99030344005c02316ad","name":"too warm","severity":"major","status":"ALARM"}"#,
        ),
    }
}

#[cfg(test)]
mod tests {
    use causeway_rules::forward::{Limits, debug};

    use super::*;

    #[test]
    fn every_subject_has_a_sample_of_its_own() {
        for subject in Subject::ALL {
            let tried = debug(*subject, "*", None, of(*subject), Limits::default()).expect("a sample that reads");
            assert!(tried.is_of_subject && tried.is_match, "{subject:?}");
        }
    }
}
