//! What a simulated device says: reports, and answers to what the platform sends. No I/O.

use causeway_model::Timestamp;
use serde_json::{Map, Value, json};

use super::model::Model;
use super::value::{Random, State};
use crate::load::identity::Device;

/// Versions that simulated devices report.
const VERSION: &str = "1.0.0";

/// A message to publish.
#[derive(Debug, PartialEq)]
pub(super) struct Outgoing {
    /// Whole topic.
    pub(super) topic: String,
    /// JSON.
    pub(super) payload: String,
}

/// What a message from the platform was, for the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A command.
    Command,
    /// Properties to set.
    Set,
    /// A query for properties.
    Get,
    /// A message or event.
    Message,
}

/// The inner life of one device.
#[derive(Debug)]
pub(super) struct Behaviour {
    random: Random,
    /// One row a service, one state a property, in the order of the model.
    states: Vec<Vec<State>>,
}

impl Behaviour {
    /// A device that has just been switched on.
    pub(super) fn new(model: &Model, device: &Device) -> Self {
        let mut random = Random::of(&device.id);
        let states = (model.services.iter())
            .map(|service| service.properties.iter().map(|property| property.kind.start(&mut random)).collect())
            .collect();
        Self { random, states }
    }

    /// Its own random numbers, for times.
    pub(super) fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Lets time pass and reports all readable properties; `None` when the model has none.
    pub(super) fn report(&mut self, model: &Model, device: &Device, now: Timestamp) -> Option<Outgoing> {
        for (service, states) in model.services.iter().zip(&mut self.states) {
            for (property, state) in service.properties.iter().zip(states) {
                if !property.writable {
                    property.kind.wander(state, &mut self.random);
                }
            }
        }
        self.current(model, device, now)
    }

    /// Reports all readable properties as they are.
    fn current(&self, model: &Model, device: &Device, now: Timestamp) -> Option<Outgoing> {
        let services = self.services(model, None, now);
        (!services.is_empty()).then(|| Outgoing {
            topic: device.system_topic("properties/report"),
            payload: json!({ "services": services }).to_string(),
        })
    }

    /// The readable properties of one service or of all that have some.
    fn services(&self, model: &Model, only: Option<&str>, now: Timestamp) -> Vec<Value> {
        let mut list = Vec::new();
        for (service, states) in model.services.iter().zip(&self.states) {
            if only.is_some_and(|id| id != service.id) {
                continue;
            }
            let properties: Map<String, Value> = (service.properties.iter().zip(states))
                .filter(|(property, _)| property.readable)
                .map(|(property, state)| (property.name.clone(), property.kind.value(state, now)))
                .collect();
            if !properties.is_empty() {
                list.push(json!({
                    "service_id": service.id, "properties": properties, "event_time": now.compact(),
                }));
            }
        }
        list
    }

    /// Takes a message from the platform and answers it.
    pub(super) fn receive(
        &mut self,
        model: &Model,
        device: &Device,
        topic: &str,
        payload: &[u8],
        now: Timestamp,
    ) -> (Received, Vec<Outgoing>) {
        let message: Value = serde_json::from_slice(payload).unwrap_or(Value::Null);
        let suffix = topic.split_once("/sys/").map_or("", |(_, suffix)| suffix);
        let answer = |kind: &str, request: &str, body: Value| Outgoing {
            topic: device.system_topic(&format!("{kind}/response/request_id={request}")),
            payload: body.to_string(),
        };
        if let Some(request) = suffix.strip_prefix("commands/request_id=") {
            let body = self.command(model, &message, now);
            (Received::Command, vec![answer("commands", request, body)])
        } else if let Some(request) = suffix.strip_prefix("properties/set/request_id=") {
            let body = self.set(model, &message);
            let mut out = vec![answer("properties/set", request, body)];
            // The platform compares the next report with what it wanted (002 §3.6).
            out.extend(self.current(model, device, now));
            (Received::Set, out)
        } else if let Some(request) = suffix.strip_prefix("properties/get/request_id=") {
            // An empty service id means all services, as an absent one does (`iotda-device-access.md` §5).
            let only = message["service_id"].as_str().filter(|id| !id.is_empty());
            let body = json!({ "services": self.services(model, only, now) });
            (Received::Get, vec![answer("properties/get", request, body)])
        } else if suffix == "events/down" {
            (Received::Message, events(device, &message, now))
        } else {
            (Received::Message, Vec::new())
        }
    }

    /// Runs a command: writable properties named like a parameter take its value, the answer is what the model says.
    fn command(&mut self, model: &Model, message: &Value, now: Timestamp) -> Value {
        let refuse = |text: String| json!({ "result_code": 1, "paras": { "error": text } });
        let (service_id, name) = (&message["service_id"], &message["command_name"]);
        let Some((index, service)) = service_id.as_str().and_then(|id| model.service(id)) else {
            return refuse(format!("this device has no service {service_id}"));
        };
        let Some(command) = name.as_str().and_then(|name| service.command(name)) else {
            return refuse(format!("service {service_id} has no command {name}"));
        };
        let paras = message["paras"].as_object();
        for (name, value) in paras.into_iter().flatten() {
            if let Some((number, property)) = service.property(name)
                && property.writable
                && property.kind.accepts(value)
            {
                self.states[index][number] = State::Set(value.clone());
            }
        }
        let Some((response_name, fields)) = &command.response else {
            return json!({ "result_code": 0 });
        };
        let mut answer = Map::new();
        for (name, kind) in fields {
            // First what was asked, then what the device knows, then something that fits.
            let asked = paras.and_then(|paras| paras.get(name)).filter(|value| kind.accepts(value)).cloned();
            let known = || {
                let (number, property) = service.property(name)?;
                Some(property.kind.value(&self.states[index][number], now)).filter(|value| kind.accepts(value))
            };
            let value = match asked.or_else(known) {
                Some(value) => value,
                None => kind.value(&kind.start(&mut self.random), now),
            };
            answer.insert(name.clone(), value);
        }
        json!({ "result_code": 0, "response_name": response_name, "paras": answer })
    }

    /// Sets properties; all that fit are set, and one that does not makes the answer a failure.
    fn set(&mut self, model: &Model, message: &Value) -> Value {
        let mut refused = Vec::new();
        for part in message["services"].as_array().into_iter().flatten() {
            let service = part["service_id"].as_str().and_then(|id| model.service(id));
            for (name, value) in part["properties"].as_object().into_iter().flatten() {
                let found = service.and_then(|(index, service)| {
                    let (number, property) = service.property(name)?;
                    (property.writable && property.kind.accepts(value)).then_some((index, number))
                });
                match found {
                    Some((index, number)) => self.states[index][number] = State::Set(value.clone()),
                    None => refused.push(name.as_str()),
                }
            }
        }
        if refused.is_empty() {
            json!({ "result_code": 0, "result_desc": "success" })
        } else {
            json!({ "result_code": 1, "result_desc": format!("cannot be set: {}", refused.join(", ")) })
        }
    }
}

/// Answers events that ask for something (002 §2.1.2.6): the version query of an upgrade.
fn events(device: &Device, message: &Value, now: Timestamp) -> Vec<Outgoing> {
    let services = message["services"].as_array().into_iter().flatten();
    let queries = services.filter(|service| service["event_type"] == "version_query");
    queries
        .map(|_| Outgoing {
            topic: device.system_topic("events/up"),
            payload: json!({
                "object_device_id": device.id,
                "services": [{
                    "service_id": "$ota", "event_type": "version_report", "event_time": now.compact(),
                    "paras": { "fw_version": VERSION, "sw_version": VERSION },
                }],
            })
            .to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::identity::Proof;

    struct Subject {
        model: Model,
        device: Device,
        behaviour: Behaviour,
    }

    fn subject() -> Subject {
        let model = Model::of_product(&super::super::sample::smart_meter()).expect("our own model");
        let device = Device { id: "m_1".into(), proof: Proof::Fixed { user: None, password: None } };
        Subject { behaviour: Behaviour::new(&model, &device), model, device }
    }

    impl Subject {
        fn ask(&mut self, suffix: &str, message: Value) -> (Received, Vec<(String, Value)>) {
            let topic = self.device.system_topic(suffix);
            let text = message.to_string();
            let (received, out) =
                self.behaviour.receive(&self.model, &self.device, &topic, text.as_bytes(), Timestamp(0));
            let parsed = |out: Outgoing| (out.topic, serde_json::from_str(&out.payload).expect("JSON"));
            (received, out.into_iter().map(parsed).collect())
        }
    }

    #[test]
    fn reports_hold_all_readable_properties_and_change() {
        let mut subject = subject();
        let mut report = || {
            let out = subject.behaviour.report(&subject.model, &subject.device, Timestamp(0)).expect("properties");
            assert_eq!(out.topic, "$oc/devices/m_1/sys/properties/report");
            serde_json::from_str::<Value>(&out.payload).expect("JSON")
        };
        let (first, second) = (report(), report());
        assert_eq!(first["services"][0]["properties"].as_object().map(Map::len), Some(6));
        assert_eq!(first["services"][1]["service_id"], "Module");
        assert_eq!(first["services"][0]["event_time"], "19700101T000000Z");
        assert_ne!(first, second);
    }

    #[test]
    fn commands_are_answered_as_the_model_says_and_take_effect() {
        let mut subject = subject();
        let (received, out) = subject.ask(
            "commands/request_id=r1",
            json!({ "service_id": "Meter", "command_name": "SwitchRelay", "paras": { "relay": "OFF" } }),
        );
        assert_eq!(received, Received::Command);
        let (topic, answer) = &out[0];
        assert_eq!(topic, "$oc/devices/m_1/sys/commands/response/request_id=r1");
        assert_eq!((&answer["result_code"], &answer["response_name"]), (&json!(0), &json!("SwitchRelayResponse")));
        assert_eq!(answer["paras"]["relay"], "OFF");
        assert!(answer["paras"]["power"].is_i64(), "{answer}");
        let (_, out) = subject.ask("properties/get/request_id=r2", json!({ "service_id": "Meter" }));
        assert_eq!(out[0].1["services"][0]["properties"]["relay"], "OFF");
        let (_, out) =
            subject.ask("commands/request_id=r3", json!({ "service_id": "Meter", "command_name": "Explode" }));
        assert_eq!(out[0].1["result_code"], 1);
        let (_, out) = subject.ask("commands/request_id=r4", Value::Null);
        assert_eq!(out[0].1["result_code"], 1);
    }

    #[test]
    fn what_is_set_is_kept_answered_and_reported() {
        let mut subject = subject();
        let wanted = |value: Value| json!({ "services": [{ "service_id": "Module", "properties": value }] });
        let (received, out) = subject.ask("properties/set/request_id=r", wanted(json!({ "reportInterval": 30 })));
        assert_eq!((received, &out[0].1["result_code"]), (Received::Set, &json!(0)));
        assert_eq!(out[0].0, "$oc/devices/m_1/sys/properties/set/response/request_id=r");
        assert_eq!(out[1].1["services"][1]["properties"]["reportInterval"], 30);
        for wrong in [json!({ "reportInterval": 0 }), json!({ "signal": -50 }), json!({ "nothing": 1 })] {
            let (_, out) = subject.ask("properties/set/request_id=r", wanted(wrong));
            assert_eq!(out[0].1["result_code"], 1);
            assert_eq!(out[1].1["services"][1]["properties"]["reportInterval"], 30);
        }
    }

    #[test]
    fn queries_without_a_service_get_all() {
        let mut subject = subject();
        for query in [json!({}), json!({ "service_id": "" }), json!({ "service_id": null })] {
            let (received, out) = subject.ask("properties/get/request_id=r", query);
            assert_eq!(received, Received::Get);
            assert_eq!(out[0].1["services"].as_array().map(Vec::len), Some(2));
        }
    }

    #[test]
    fn upgrades_learn_the_version_and_other_messages_are_only_counted() {
        let mut subject = subject();
        let query = json!({ "services": [{ "service_id": "$ota", "event_type": "version_query", "paras": {} }] });
        let (_, out) = subject.ask("events/down", query);
        assert_eq!(out[0].0, "$oc/devices/m_1/sys/events/up");
        assert_eq!(out[0].1["services"][0]["paras"]["fw_version"], "1.0.0");
        assert_eq!(subject.ask("messages/down", json!({ "content": "x" })), (Received::Message, Vec::new()));
    }
}
