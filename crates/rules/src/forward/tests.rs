mod reference;

use causeway_model::Timestamp;
use causeway_model::forwarding::Subject;
use proptest::prelude::*;

use super::*;
use crate::event::{Body, Content, Header, Service};

const AT: Timestamp = Timestamp(1_449_922_332_000);

fn compile(subject: Subject, select: &str, filter: Option<&str>) -> Result<Query, Refused> {
    Query::compile(subject, select, filter, Limits::default())
}

#[track_caller]
fn query(subject: Subject, select: &str, filter: &str) -> Query {
    compile(subject, select, Some(filter)).unwrap_or_else(|r| panic!("{select} {filter}: {r}"))
}

/// The guide's sample (002 §5.4).
fn message(content: &str) -> Event<'_> {
    Event {
        subject: Subject::MESSAGE_REPORT,
        at: AT,
        request_id: "r-1",
        header: Some(Header {
            app_id: "d4922d8a-6c8e-4396-852c-164aefa6638f",
            device_id: "d4922d8a-6c8e-4396-852c-164aefa6638f",
            node_id: "ABC123456789",
            product_id: "ABC123456789",
            gateway_id: "d4922d8a-6c8e-4396-852c-164aefa6638f",
            tags: r#"{"tag_value":"testTagValue","tag_key":"testTagName"}"#,
        }),
        body: Body::Message { topic: "topic", content: Content::Json(content) },
    }
}

const SERVICES: &[Service<'static>] = &[
    Service { service_id: "Battery", properties: r#"{"level":23.10,"on":true,"name":"Zelle \u0031"}"#, event_time: AT },
    Service { service_id: "Meter", properties: r#"{"total":9007199254740993,"list":[]}"#, event_time: AT },
    Service { service_id: "Battery", properties: r#"{"level":7}"#, event_time: AT },
];

fn report() -> Event<'static> {
    Event {
        subject: Subject::PROPERTY_REPORT,
        body: Body::Services(SERVICES),
        header: Some(Header { tags: "", ..message("").header.expect("a header") }),
        ..message("")
    }
}

fn selected(query: &Query, event: &Event<'_>) -> String {
    let mut out = String::new();
    query.select(event, &mut out);
    out
}

/// Whether a condition holds for content of a message.
#[track_caller]
fn holds(condition: &str, content: &str) -> bool {
    query(Subject::MESSAGE_REPORT, "*", &condition.replace("c.", "notify_data.body.content."))
        .matches(&message(content))
}

#[test]
fn the_guides_example() {
    let sql = "SELECT notify_data.header.device_id AS device_id, notify_data.body.content WHERE\n\
               notify_data.body.content.temperature > 38";
    let content = "{\n \"temperature\": 40,\n \"humidty\": 24\n }";
    let whole = compile(Subject::MESSAGE_REPORT, sql, None).expect("the guide's");
    assert!(whole.matches(&message(content)));
    assert!(!whole.matches(&message(r#"{"temperature":38}"#)));
    assert!(!whole.matches(&message(r#"{"humidty":24}"#)));
    let expected = r#"{"device_id":"d4922d8a-6c8e-4396-852c-164aefa6638f","notify_data.body.content":"#;
    assert_eq!(selected(&whole, &message(content)), format!("{expected}{content}}}"));
    let clauses = (
        "notify_data.header.device_id AS device_id, notify_data.body.content",
        Some("notify_data.body.content.temperature > 38"),
    );
    assert_eq!(whole.clauses(), clauses);

    // As the API has it: two fields, with keywords or without.
    let (select, filter) = sql.split_once("WHERE\n").expect("two clauses");
    for (select, filter) in [(select, filter), (&select[7..], &*format!("wHeRe {filter}"))] {
        let query = compile(Subject::MESSAGE_REPORT, select, Some(filter)).expect("the guide's");
        assert_eq!(query.clauses(), clauses);
        assert_eq!(query.matches(&message(content)), whole.matches(&message(content)));
    }
}

#[test]
fn the_guides_other_statements() {
    let output = |sql: &str, sample: &str| {
        debug(Subject::MESSAGE_REPORT, sql, None, sample, Limits::default())
            .unwrap_or_else(|r| panic!("{sql}: {r}"))
            .output
    };
    assert_eq!(output("SELECT c.d", r#"{"a":"b","c":{"d":"e"}}"#).as_deref(), Some(r#"{"c.d":"e"}"#));
    assert_eq!(output("SELECT 5 AS number", "{}").as_deref(), Some(r#"{"number":5}"#));
    assert_eq!(output("SELECT 'constant_info' AS str", "{}").as_deref(), Some(r#"{"str":"constant_info"}"#));
    assert_eq!(output("select \"msg-type\"", r#"{"msg-type":1}"#).as_deref(), Some(r#"{"msg-type":1}"#));
    let holds = |filter: &str, sample: &str| output(&format!("SELECT * {filter}"), sample).is_some();
    for (filter, sample, expected) in [
        ("WHERE data IS NULL", r#"{}"#, true),
        ("WHERE data IS NULL", r#"{"data":[]}"#, true),
        ("WHERE data IS NULL", r#"{"data":[ ]}"#, true),
        ("WHERE data IS NULL", r#"{"data":null}"#, true),
        ("WHERE data IS NULL", r#"{"data":[0]}"#, false),
        ("WHERE data IS NULL", r#"{"data":{}}"#, false),
        ("WHERE data IS NOT NULL", r#"{"data":""}"#, true),
        ("WHERE data.number > 5", r#"{"data":{"number":6}}"#, true),
        ("WHERE data.tag < 4", r#"{"data":{"tag":4}}"#, false),
        ("WHERE data.number > 5 AND data.tag < 4", r#"{"data":{"number":6,"tag":3}}"#, true),
        ("WHERE data.number > 5 AND data.tag < 4", r#"{"data":{"number":5,"tag":3}}"#, false),
        ("WHERE data.number = 5", r#"{"data":{"number":5}}"#, true),
        ("WHERE data.tag = 4", r#"{"data":{"tag":5}}"#, false),
        ("WHERE data.number = 5 OR data.tag = 4", r#"{"data":{"tag":4}}"#, true),
        ("WHERE data.a = data.b", r#"{"data":{}}"#, false),
    ] {
        assert_eq!(holds(filter, sample), expected, "{filter} {sample}");
    }
}

#[test]
fn conditions_over_content() {
    let content = r#" { "t" : 40, "f":40.50, "big":9007199254740993, "s":"it's", "e":"a\"\u00e9\n", "y":true, "n":null,
        "o":{"x":[1,{"y":2}]}, "l":[], "t-1":7, "neg":-3, "d":1, "d":2, "k\u0041":5, "u":"\ud83d\ude00!", "half":"\ud83dx", "E":4.05e1 } "#;
    for (condition, expected) in [
        ("c.t = 40", true),
        ("c.t=40.0", true),
        ("c.t >= 40 AND c.t <= 4e1", true),
        ("c.t <> 40", false),
        ("c.t != 41", true),
        ("c.f = 40.5", true),
        ("c.E = c.f", true),
        ("c.f > c.t", true),
        ("c.big = 9007199254740993", true),
        ("c.big = 9007199254740992", false),
        ("c.big > 9007199254740992.9999999999999999999", true),
        ("c.neg < -2.5 and c.neg > -4", true),
        ("c.s = 'it''s'", true),
        ("c.s > 'is' and c.s < 'iu'", true),
        ("c.e = 'a\"é\n'", true),
        ("c.e like 'a_é%'", true),
        ("c.kA = 5", true),
        ("c.d = 2", true),
        ("c.y = true", true),
        ("c.y >= c.y or c.y > c.t", false),
        ("c.u = '\u{1f600}!' and c.u like '_!' and c.half = '\u{fffd}x'", true),
        ("c.y", true),
        ("c.t", false),
        ("not c.t", true),
        ("c.o.x[1].y = 2", true),
        ("c.o.x[2].y is null", true),
        ("c.o.x.y is null", true),
        ("c.l is null", true),
        ("c.n is null", true),
        ("c.o is not null", true),
        ("notify_data.body.content.\"t-1\" - 1 = 6", true),
        // Nothing, objects and arrays compare with nothing.
        ("c.n = c.n", false),
        ("c.n <> 5", false),
        ("c.zz <> 5", false),
        ("not c.zz = 5", true),
        ("c.o = c.o", false),
        ("c.o <> c.o", false),
        ("c.zz in (1)", false),
        ("c.zz not in (1)", false),
        ("c.zz not like 'a'", false),
        ("c.zz not between 1 and 2", false),
        // Scalars of two kinds are unequal and have no order.
        ("c.s = 40", false),
        ("c.s <> 40", true),
        ("c.s > 40", false),
        ("c.s < 40", false),
        ("c.t = '40'", false),
        ("c.y > 0", false),
        ("c.t not in ('40')", true),
        ("c.t not like '4%'", true),
        ("c.t in (1, 40)", true),
        ("c.s in ('a','it''s')", true),
        ("c.t between 40 and 41", true),
        ("c.t not between 41 and 42", true),
        ("c.t between 41 and 42", false),
        ("c.t + 2 * 3 - 1 = 45", true),
        ("(c.t + 2) * 3 = 126", true),
        ("c.t / 16 = 2.5", true),
        ("c.t % 7 = 5", true),
        ("-c.neg = 3 and +c.neg = -3", true),
        ("0.1 + 0.2 = 0.3", true),
        ("c.t / 0 is null", true),
        ("c.t % 0 is null", true),
        ("c.s + 1 is null", true),
        ("c.big * c.big = 81129638414606699710187514626049", true),
        ("case when c.t > 39 then 'hot' else 'cold' end = 'hot'", true),
        ("case c.t when 1 then 2 when 40 then 3 end = 3", true),
        ("case c.t when 1 then 2 end is null", true),
        ("(c.t = 1 or c.t = 40) and not (c.t = 2)", true),
        ("c.t = 40 or c.t = 1 and c.t = 2", true),
        ("c.s like '%''s' and c.s like 'i%' and c.s like '____' and not c.s like '___'", true),
        ("c.s like '%t%s%'", true),
        ("'50%' like '50!%' escape '!' and '501' not like '50!%' escape '!'", true),
        ("'a' < 'b'", true),
        ("1 = 1", true),
    ] {
        assert_eq!(holds(condition, content), expected, "{condition}");
    }
}

#[test]
fn every_part_of_the_envelope() {
    let holds = |condition: &str, event: &Event<'_>| query(event.subject, "*", condition).matches(event);
    let message = message("{}");
    for condition in [
        "resource = 'device.message' and event = 'report'",
        "event_time = '20151212T121212Z' and event_time_ms = '2015-12-12T12:12:12.000Z' and event_time > '2015'",
        "request_id = 'r-1'",
        "notify_data.header.app_id = notify_data.header.gateway_id",
        "notify_data.header.node_id = notify_data.header.product_id",
        "notify_data.header.tags[0].tag_key = 'testTagName' and notify_data.header.tags[1] is null",
        "notify_data.body.topic = 'topic' and notify_data.body.content is not null",
        "GET_TAG('testTagName') = 'testTagValue' and contains_tag('testTagName') and not contains_tag('x')",
        "get_tag('x') is null and notify_data.body.services is null and x.y is null and resource.x is null",
    ] {
        assert!(holds(condition, &message), "{condition}");
    }
    let report = report();
    for condition in [
        "notify_data.header.tags is null",
        "notify_data.body.services[0].service_id = 'Battery' and notify_data.body.services[2].properties.level = 7",
        "notify_data.body.services[1].event_time = '20151212T121212Z' and notify_data.body.services[3] is null",
        "notify_data.body.services.properties is null and notify_data.body.content is null",
        "CONTAINS_SERVICES('Meter') and not contains_services('meter')",
        "GET_SERVICE('x') is null and get_service('Meter') is not null and get_services('x') is null",
        "GET_SERVICE_PROPERTY('Battery','level') > 23 and get_service_property('Battery', 'on')",
        "get_service_property('Battery','level') = '23.10' and get_service_property('Battery','name') = 'Zelle 1'",
        "get_service_property('Meter','total') = 9007199254740993 and get_service_property('Meter','list') is null",
        "get_service_properties('Battery') is not null and get_service_property('x','y') is null",
    ] {
        assert!(holds(condition, &report), "{condition}");
    }
    let bare = Event { header: None, body: Body::None, ..message };
    assert!(holds(
        "notify_data.header is null and notify_data.header.device_id is null and notify_data.body is null",
        &bare
    ));
    assert!(holds("notify_data is not null and not contains_tag('testTagName')", &bare));
    let status = Event { subject: Subject::STATUS_UPDATE, body: Body::Json(r#"{"status":"ONLINE"}"#), ..message };
    assert!(holds("notify_data.body.status = 'ONLINE' and notify_data.body.topic is null", &status));
    let text = Event { body: Body::Message { topic: "t", content: Content::Text("hot\n") }, ..message };
    assert!(holds("notify_data.body.content = 'hot\n' and notify_data.body.content.x is null", &text));
}

#[test]
fn selections() {
    let check = |event: &Event<'_>, select: &str, expected: &str| {
        let query = compile(event.subject, select, None).unwrap_or_else(|r| panic!("{select}: {r}"));
        assert_eq!(selected(&query, event), expected, "{select}");
        assert!(!query.is_whole());
    };
    let message = message(r#"{"t":40,"s":"a\u0041"}"#);
    check(
        &message,
        "resource, 'x' AS \"my-name\", 1.50 AS n, -3 AS m",
        r#"{"resource":"device.message","my-name":"x","n":1.50,"m":-3}"#,
    );
    check(&message, "notify_data.body", r#"{"notify_data.body":{"topic":"topic","content":{"t":40,"s":"a\u0041"}}}"#);
    check(
        &message,
        "notify_data.body.content.s, notify_data.body.content.zz",
        r#"{"notify_data.body.content.s":"a\u0041","notify_data.body.content.zz":null}"#,
    );
    check(&message, "notify_data.header.tags[0].tag_key", r#"{"notify_data.header.tags[0].tag_key":"testTagName"}"#);
    check(
        &message,
        "GET_TAG('testTagName'), contains_tag('x') AS has",
        r#"{"GET_TAG('testTagName')":"testTagValue","has":false}"#,
    );
    check(
        &message,
        "notify_data.body.content.t * 1.8 + 32 AS f, notify_data.body.content.t / 3 AS third",
        r#"{"f":104,"third":13.333333333333334}"#,
    );
    check(
        &message,
        "notify_data.body.content.t > 38 AS hot, case when true then 0.05 - 1 end as x",
        r#"{"hot":true,"x":-0.95}"#,
    );

    let report = report();
    let battery = r#"{"service_id":"Battery","properties":{"level":7},"event_time":"20151212T121212Z"}"#;
    check(&report, "notify_data.body.services[2] AS last", &format!(r#"{{"last":{battery}}}"#));
    let first = format!("[{},{battery}]", {
        let mut out = String::new();
        SERVICES[0].write(&mut out);
        out
    });
    check(&report, "GET_SERVICES('Battery') AS s", &format!(r#"{{"s":{first}}}"#));
    check(&report, "GET_SERVICES('x') AS s, GET_SERVICE('x') AS o", r#"{"s":[],"o":null}"#);
    check(
        &report,
        "GET_SERVICE_PROPERTIES('Meter') AS p, GET_SERVICE_PROPERTY('Battery','level') AS l",
        r#"{"p":{"total":9007199254740993,"list":[]},"l":23.10}"#,
    );

    let mut whole = String::new();
    report.write(&mut whole);
    for select in ["", "*", " SELECT * "] {
        let query = compile(report.subject, select, None).expect("everything");
        assert!(query.is_whole());
        assert_eq!(selected(&query, &report), whole);
        assert_eq!(query.clauses(), ("*", None));
    }
    let with_more = whole[..whole.len() - 1].to_owned() + r#","n":1}"#;
    check(&report, "*, 1 AS n", &with_more);
    check(&report, "1 AS n, *", &with_more);
}

#[test]
fn equalities_are_what_must_hold() {
    let found = |filter: &str| {
        let query = query(Subject::MESSAGE_REPORT, "*", filter);
        query.equalities().iter().map(|(path, text)| format!("{path}={text}")).collect::<Vec<_>>()
    };
    assert_eq!(found("a.b = 'x' and 'y' = c[0] and d in ('z') and e > 5"), ["a.b=x", "c[0]=y", "d=z"]);
    assert_eq!(found("a = 'x'"), ["a=x"]);
    assert_eq!(found("(a = 'x')"), ["a=x"]);
    for none in ["a = 'x' or b = 'y'", "not a = 'x'", "a <> 'x'", "a = 5", "a in ('x','y')", "a not in ('x')", "a = b"]
    {
        assert!(found(none).is_empty(), "{none}");
    }
    let query =
        query(Subject::MESSAGE_REPORT, "*", "notify_data.body.topic = 'topic' and notify_data.body.content.s = 'é'");
    let event = message(r#"{"s":"\u00e9"}"#);
    for (path, text) in query.equalities() {
        assert_eq!(path.text(&event).as_deref(), Some(&**text));
    }
    let other = message(r#"{"s":5}"#);
    assert_eq!(query.equalities()[1].0.text(&other), None);
}

#[test]
fn what_is_not_in_the_language_is_refused_at_its_place() {
    let refused = |clause: Clause, at: usize, reason: &str, select: &str, filter: Option<&str>| {
        let refused = compile(Subject::MESSAGE_REPORT, select, filter).expect_err(filter.unwrap_or(select));
        let text = filter.unwrap_or(select);
        assert_eq!((refused.clause, refused.refusal.at), (clause, at), "{text}: {refused}");
        assert!(refused.refusal.reason.contains(reason), "{text}: {refused}");
    };
    for (at, reason, select) in [
        (7, "a path, constant or function is expected, but the text ends", "SELECT"),
        (8, "a path, constant or function", "SELECT FROM x"),
        (10, "WHERE or the end is expected, but there is `from`", "SELECT * from device"),
        (2, "AS and a name for the constant", "5"),
        (4, "AS and a name for the constant", "'x', a"),
        (6, "AS and a name for the expression", "a + 1"),
        (3, "an operator, `,`, AS, WHERE or the end", "a b"),
        (5, "a name, in double quotes", "a AS"),
        (6, "a name has 1 to 32 characters", "a AS abcdefghijklmnopqrstuvwxyzabcdefg"),
        (6, "a name has 1 to 32 characters", "a AS \"\""),
        (4, "there is a value named `a` already", "a, a"),
        (4, "`*` can stand once", "*, *"),
        (1, "named `event` already", "event, *"),
        (3, "a path, constant or function", "a,"),
        (3, "a name, in double quotes", "a.*"),
        (3, "a name, in double quotes", "a."),
        (3, "begins with a digit", "a.1"),
        (3, "the index of an element", "a[x]"),
        (3, "the index of an element", "a[-1]"),
        (4, "`]` is expected", "a[1"),
        (1, "each name has its own double quotes", "\"a.b\""),
        (1, "a name, in double quotes", "`a`"),
        (3, "comments are not allowed", "* -- all"),
        (2, "an operator, `,`, AS", "*;"),
        (1, "one of the functions GET_TAG, CONTAINS_TAG", "count(*)"),
        (1, "is for reports of properties only", "GET_SERVICE('x')"),
        (9, "a text in single quotes", "GET_TAG(x)"),
        (12, "`)` is expected", "GET_TAG('x', 'y')"),
        (10, "AND, OR or the end", "* WHERE a, b"),
        (20, "an operator, WHEN, ELSE or END", "case when a then 1 as x"),
    ] {
        refused(Clause::Select, at, reason, select, None);
    }
    for (at, reason, filter) in [
        (6, "a path, constant or function is expected, but the text ends", "WHERE"),
        (1, "a condition is expected, but this is a number", "5"),
        (1, "a condition is expected, but this is a text", "'x' and a"),
        (1, "a condition is expected, but this is a number", "a + 1"),
        (3, "an operator, AND, OR or the end (equality is written `=`)", "a == 5"),
        (7, "an operator, AND, OR or the end", "a = 5 = 6"),
        (5, "texts cannot be joined", "'a' || 'b' = 'ab'"),
        (5, "a number is expected, but this is a text", "a + 'x' = 5"),
        (5, "nothing equals NULL; there is IS NULL", "a = NULL"),
        (6, "NULL or NOT NULL is expected", "a is true"),
        (10, "a path, constant or function", "a between"),
        (13, "AND is expected", "a between 1 or 2"),
        (7, "IN, LIKE or BETWEEN", "a not = 5"),
        (6, "`(` is expected", "a in 5"),
        (7, "a path, constant or function", "a in ()"),
        (8, "a pattern in single quotes", "a like b"),
        (8, "behind the escape character", "a like 'x!y' escape '!'"),
        (21, "one character", "a like 'x!y' escape 'ab'"),
        (7, "a number cannot be compared with a text", "'x' > 5"),
        (16, "a number cannot be compared with a text", "get_tag('x') = 5"),
        (16, "a condition cannot be compared", "a = 5 and (5 = (a = b))"),
        (9, "conditions have no order", "(a = 5) > b"),
        (5, "a number is written like 12", "a = 5."),
        (5, "a number is written like 12", "a = 007"),
        (5, "a path, constant or function", "a = 5L"),
        (5, "a path, constant or function", "a = 0x10"),
        (7, "an operator, AND, OR or the end", "a = 1 union select 2"),
        (3, "an operator or `)`", "(a"),
        (5, "", "a = 'x"),
        (1, "one of the functions", "exists (select 1)"),
        (1, "a path, constant or function", "and a"),
        (7, "an operator, AND, OR or the end", "a > 5 limit 1"),
        (7, "an operator, AND, OR or the end", "a > 5 group by a"),
    ] {
        refused(Clause::Where, at, reason, "*", Some(filter));
    }
    refused(Clause::Select, 3, "stands in `where` already", "* where a = 5", Some("b = 6"));
    refused(Clause::Where, 2501, "longer than 2500 characters", "*", Some(&"x".repeat(2501)));
    refused(Clause::Where, 34, "nested deeper than 32", "*", Some(&"(".repeat(40)));
    refused(Clause::Where, 133, "nested deeper than 32", "*", Some(&"not ".repeat(40)));
    refused(Clause::Where, 8, "at most 256 characters", "*", Some(&format!("a like '{}'", "x".repeat(257))));
    let error = compile(Subject::DEVICE_CREATE, "*", Some("a >")).expect_err("no value").error();
    assert_eq!(error.code(), Code::InvalidInput);
    assert!(error.message().contains("'where' cannot be read at character 4"), "{error}");
}

#[test]
fn a_sample_is_followed_step_by_step() {
    let sample = r#" {"resource":"device.message","event":"report","notify_data":{"body":{"content":{"t":40}}}}"#;
    let debugged = debug(
        Subject::MESSAGE_REPORT,
        "notify_data.body.content.t + 1 AS u",
        Some("WHERE notify_data.body.content.t > 50 and get_tag('x') is null"),
        sample,
        Limits::default(),
    )
    .expect("legal");
    let steps: Vec<_> = debugged.steps.iter().map(|s| (s.clause, s.at, &*s.text, s.kind.as_str(), &*s.value)).collect();
    let (t, all) = ("notify_data.body.content.t", "notify_data.body.content.t > 50 and get_tag('x') is null");
    assert_eq!(
        steps,
        [
            (Clause::Where, 7, t, "path", "40"),
            (Clause::Where, 7, &all[..31], "comparison", "false"),
            (Clause::Where, 43, "get_tag('x')", "function", "null"),
            (Clause::Where, 43, "get_tag('x') is null", "comparison", "true"),
            (Clause::Where, 7, all, "logic", "false"),
            (Clause::Select, 1, t, "path", "40"),
            (Clause::Select, 1, "notify_data.body.content.t + 1", "arithmetic", "41"),
        ]
    );
    assert!(debugged.is_of_subject && !debugged.is_match && debugged.output.is_none());
    let output = |select: &str, sample: &str| debug(Subject::DEVICE_CREATE, select, None, sample, Limits::default());
    assert_eq!(output("*, 1 as n", " { } ").expect("legal").output.as_deref(), Some(r#"{ "n":1}"#));
    assert!(!output("*", sample).expect("legal").is_of_subject);
    for (at, sample) in [(4, "\n{\n\"é\": x}"), (1, " [] "), (1, "")] {
        let refused = output("*", sample).expect_err(sample);
        let at = if sample.starts_with('\n') { 9 } else { at };
        assert_eq!((refused.clause, refused.refusal.at), (Clause::Message, at), "{refused}");
    }
}

proptest! {
    #[test]
    fn any_text_is_compiled_or_refused(text in any::<String>(), subject in 0..Subject::ALL.len()) {
        let length = text.chars().count();
        for (select, filter) in [(&*text, None), ("*", Some(&*text))] {
            if let Err(refused) = compile(Subject::ALL[subject], select, filter) {
                prop_assert!((1..=length + 1).contains(&refused.refusal.at));
            }
        }
    }

    #[test]
    fn tokens_in_any_order_are_compiled_or_refused(words in proptest::collection::vec(prop_oneof![
        Just("select"), Just("*"), Just("where"), Just("and"), Just("or"), Just("not"), Just("'x'"), Just("="), Just("<>"),
        Just("a"), Just("a.b"), Just("notify_data.body.services"), Just("[0]"), Just("in"), Just("("), Just(")"), Just(","),
        Just("like"), Just("10"), Just("-"), Just("+"), Just("case"), Just("when"), Just("then"), Just("else"), Just("end"),
        Just("is"), Just("null"), Just("between"), Just("as"), Just("get_service"), Just("GET_TAG('x')"), Just("\n"),
        Just("\"a-b\""), Just("温"), Just("."), Just("1.5"), Just("true"), Just("escape"),
    ], 0..24)) {
        let sql = words.join(" ");
        for subject in [Subject::PROPERTY_REPORT, Subject::MESSAGE_REPORT] {
            let _ = compile(subject, "*", Some(&sql));
            if let Ok(query) = compile(subject, &sql, None) {
                let _ = query.matches(&report());
                let output = selected(&query, &report());
                prop_assert!(serde_json::from_str::<serde_json::Value>(&output).is_ok(), "{sql}: {output}");
            }
        }
    }

    #[test]
    fn no_text_is_too_strange_to_look_into(text in "[\\[\\]{}\",:a\\\\0-9eunl. -]{0,40}", index in 0_usize..4) {
        let steps = [json::Step::Name("a".into()), json::Step::Index(index), json::Step::Name("a".into())];
        for steps in [&steps[..0], &steps[..1], &steps[..2], &steps[1..2], &steps] {
            let value = value::Value::of_json(json::locate(&text, steps));
            value.is_null();
            value.write(&mut String::new());
            value.compare(Comparison::Less, &value.clone());
        }
    }
}
