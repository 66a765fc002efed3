//! Any texts are a rule or are refused at a place inside of them; a rule can be asked of anything, and makes JSON of JSON.
#![no_main]

use causeway_model::Timestamp;
use causeway_model::forwarding::Subject;
use causeway_rules::event::{Body, Content, Event, Service};
use causeway_rules::forward::{Clause, Limits, Query, debug};
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

fuzz_target!(|input: (u8, &str, &str, &str)| {
    let (subject, select, filter, message) = input;
    let subject = Subject::ALL[usize::from(subject) % Subject::ALL.len()];
    match debug(subject, select, Some(filter), message, Limits::default()) {
        Err(refused) => {
            let text = match refused.clause {
                Clause::Select => select,
                Clause::Where => filter,
                Clause::Message => message,
            };
            assert!((1..=text.chars().count() + 1).contains(&refused.refusal.at), "{refused}");
        }
        Ok(debugged) => {
            assert_eq!(debugged.is_match, debugged.output.is_some());
            let values = debugged.steps.iter().map(|step| &step.value);
            values.chain(&debugged.output).for_each(|json| assert!(is_json(json), "{json}"));
        }
    }
    let Ok(query) = Query::compile(subject, select, Some(filter), Limits::default()) else { return };
    let (select_again, filter_again) = query.clauses();
    let again = Query::compile(subject, select_again, filter_again, Limits::default()).expect("a clause of a rule");
    assert_eq!(query.clauses(), again.clauses());
    assert_eq!(query.equalities(), again.equalities());

    let at = Timestamp(0);
    let services = [Service { service_id: "s", properties: message, event_time: at }];
    for body in [
        Body::Services(&services),
        Body::Message { topic: "t", content: Content::Json(message) },
        Body::Json(message),
        Body::None,
    ] {
        let event = Event { subject, at, request_id: "", header: None, body };
        let is_match = query.matches(&event);
        assert_eq!(is_match, again.matches(&event));
        assert!(!is_match || query.equalities().iter().all(|(path, text)| path.text(&event).as_deref() == Some(text)));
        let mut out = String::new();
        query.select(&event, &mut out);
        assert!(!is_json(message) || is_json(&out), "{out}");
    }
});
