use causeway_model::search::{Condition, NumberField, NumberTest, TagTest, TextField, TextTest};
use causeway_model::{Code, RecordNo, Timestamp};
use proptest::prelude::*;

use super::*;

fn read(sql: &str) -> Search {
    parse(sql, Limits::default()).unwrap_or_else(|r| panic!("{sql}: {r}"))
}

#[track_caller]
fn refused(sql: &str, at: usize, reason: &str) {
    let refusal = parse(sql, Limits::default()).expect_err(sql);
    assert_eq!(refusal.at, at, "{sql}: {refusal}");
    assert!(refusal.reason.contains(reason), "{sql}: {refusal}");
}

fn text(field: TextField, words: &[&str]) -> Condition {
    Condition::Text(field, TextTest::OneOf(words.iter().map(|w| (*w).to_owned()).collect()))
}

#[test]
fn the_vendors_example() {
    let search = read("select * from device where device_id = 'as********' limit 0,5");
    assert_eq!(
        search,
        Search {
            select: Select::All,
            filter: Filter::one(text(TextField::DeviceId, &["as********"])),
            ascending: false,
            offset: 0,
            limit: 5,
        }
    );
}

#[test]
fn parts_and_their_defaults() {
    let plain = read("select * from device");
    assert_eq!((plain.filter, plain.ascending, plain.offset, plain.limit), (Filter::default(), false, 0, 10));
    assert_eq!(read("SELECT Count(*) FROM device").select, Select::Count);
    assert_eq!(read("select count(1) from device").select, Select::Count);
    assert_eq!(
        read("select device_id,tags , modules from device").select,
        Select::Fields(vec![Output::DeviceId, Output::Tags, Output::Modules])
    );
    assert!(read("select * from device order by marker asc").ascending);
    assert!(read("select * from device order by marker").ascending);
    assert!(!read("select * from device ORDER BY marker DESC LIMIT 500,50").ascending);
    assert_eq!(read("select * from device limit 500 , 50").offset, 500);
}

#[test]
fn and_binds_closer_than_or() {
    let search = read("select * from device where app_id='a' and node_id='b' or status='ONLINE' AND device_id='c'");
    assert_eq!(
        search.filter.0,
        [
            vec![text(TextField::AppId, &["a"]), text(TextField::NodeId, &["b"])],
            vec![text(TextField::Status, &["ONLINE"]), text(TextField::DeviceId, &["c"])],
        ]
    );
}

#[test]
fn operators_and_values() {
    let one = |sql: &str| read(&format!("select * from device where {sql}")).filter.0[0][0].clone();
    assert_eq!(one("device_name = 'it''s'"), text(TextField::DeviceName, &["it's"]));
    assert_eq!(one(r"device_name = '\'"), text(TextField::DeviceName, &["\\"]));
    assert_eq!(one("device_name='-- ; /* 温度'"), text(TextField::DeviceName, &["-- ; /* 温度"]));
    assert_eq!(one("product_id in ('a','b')"), text(TextField::ProductId, &["a", "b"]));
    assert_eq!(
        one("product_id NOT IN ( 'a' )"),
        Condition::Text(TextField::ProductId, TextTest::NoneOf(vec!["a".to_owned()]))
    );
    assert_eq!(
        one("device_name like '厨房温度_-1%'"),
        Condition::Text(TextField::DeviceName, TextTest::Starts("厨房温度_-1".to_owned()))
    );
    let time = Timestamp::parse("2015-06-06T12:10:10.000Z").expect("a time").0;
    assert_eq!(
        one("create_time>'2015-06-06T12:10:10.000Z'"),
        Condition::Number(NumberField::CreateTime, NumberTest::Above(time))
    );
    assert_eq!(
        one("marker < 'ffffffffffffffffffffffff'"),
        Condition::Number(NumberField::Marker, NumberTest::Below(RecordNo::LAST.0))
    );
    assert_eq!(one("group_id != 'g'"), Condition::Group { ids: vec!["g".to_owned()], within: false });
}

#[test]
fn a_key_and_a_value_beside_each_other_are_one_tag() {
    let is = |word: &str| Some(TextTest::OneOf(vec![word.to_owned()]));
    let tag = |key: Option<&str>, value: Option<&str>| {
        Condition::Tag(TagTest { key: key.and_then(is), value: value.and_then(is) })
    };
    let all = |sql: &str| read(&format!("select * from device where {sql}")).filter.0[0].clone();
    assert_eq!(all("tag_key='a' and tag_value='1'"), [tag(Some("a"), Some("1"))]);
    assert_eq!(
        all("tag_value='1' and tag_key='a' and tag_key='b' and tag_value='2'"),
        [tag(Some("a"), Some("1")), tag(Some("b"), Some("2"))]
    );
    assert_eq!(
        all("tag_key='a' and app_id='x' and tag_value='1'"),
        [tag(Some("a"), None), text(TextField::AppId, &["x"]), tag(None, Some("1"))]
    );
}

#[test]
fn refusals_name_the_place_and_the_reason() {
    for (sql, at, reason) in [
        ("", 1, "`select`"),
        ("drop table device", 1, "`select`"),
        ("select", 7, "the text ends"),
        ("select name from device", 8, "one of the fields"),
        ("select DEVICE_ID from device", 8, "one of the fields"),
        ("select device_id, from device", 19, "one of the fields"),
        ("select *, device_id from device", 9, "`from`"),
        ("select device_id as d from device", 18, "`from`"),
        ("select distinct device_id from device", 8, "one of the fields"),
        ("select max(marker) from device", 8, "one of the fields"),
        ("select count(2) from device", 14, "`*` or `1`"),
        ("select count(device_id) from device", 14, "`*` or `1`"),
        ("select * from devices", 15, "`device`"),
        ("select * from \"device\"", 15, "`device`"),
        ("select * from device d", 22, "the end"),
        ("select * from device, app", 21, "the end"),
        ("select * from device join app on 1=1", 22, "the end"),
        ("select * from device;", 21, "the end"),
        ("select * from device; drop table device", 21, "the end"),
        ("select * from device union select * from app", 22, "the end"),
        ("select * from device -- x", 22, "comments"),
        ("select /* x */ * from device", 8, "comments"),
        ("select * from device where", 27, "one of the fields"),
        ("select * from device where 1=1", 28, "one of the fields"),
        ("select * from device where name='x'", 28, "one of the fields"),
        ("select * from device where (app_id='x')", 28, "nested"),
        ("select * from device where app_id='x' and ((app_id='x'))", 43, "nested"),
        ("select * from device where not app_id='x'", 28, "one of the fields"),
        ("select * from device where app_id", 34, "operators"),
        ("select * from device where app_id=null", 35, "single quotes"),
        ("select * from device where app_id is null", 35, "operators"),
        ("select * from device where app_id=''", 35, "empty"),
        ("select * from device where app_id=\"x\"", 35, "single quotes"),
        ("select * from device where app_id=5", 35, "single quotes"),
        ("select * from device where app_id=app_id", 35, "single quotes"),
        ("select * from device where app_id='x", 35, "unterminated"),
        ("select * from device where app_id='x''", 35, "unterminated"),
        ("select * from device where app_id=('x')", 35, "single quotes"),
        ("select * from device where app_id='x' app_id='y'", 39, "the end"),
        ("select * from device where app_id>'x'", 34, "cannot be used"),
        ("select * from device where create_time>='2015-06-06T12:10:10.000Z'", 39, "operators"),
        ("select * from device where create_time>'yesterday'", 40, "2015-06-06"),
        ("select * from device where marker='5'", 35, "24 hexadecimal"),
        ("select * from device where status='online'", 35, "ONLINE"),
        ("select * from device where node_type='UNKNOWN'", 38, "GATEWAY"),
        ("select * from device where app_id like 'abcd%'", 35, "cannot be used"),
        ("select * from device where device_name like 'abc%'", 45, "at least 4"),
        ("select * from device where device_name like 'abcd'", 45, "then '%'"),
        ("select * from device where device_name like '%abcd%'", 45, "`like`"),
        ("select * from device where device_name like 'ab%cd%'", 45, "`like`"),
        ("select * from device where device_name like 'abcd%%'", 45, "`like`"),
        ("select * from device where device_name not like 'abcd%'", 44, "`in`"),
        ("select * from device where tag_key in ('a')", 36, "cannot be used"),
        ("select * from device where tag_value not in ('a')", 38, "cannot be used"),
        ("select * from device where app_id in ()", 39, "single quotes"),
        ("select * from device where app_id in ('a' 'b')", 43, "`,` or `)`"),
        ("select * from device where app_id in (select * from app)", 39, "single quotes"),
        ("select * from device order by device_id", 31, "`marker`"),
        ("select * from device order by marker, device_id", 37, "the end"),
        ("select * from device limit", 27, "whole number"),
        ("select * from device limit 0", 28, "1 to 50"),
        ("select * from device limit 51", 28, "1 to 50"),
        ("select * from device limit 501,1", 28, "500"),
        ("select * from device limit -1", 28, "whole number"),
        ("select * from device limit 1.5", 28, "whole number"),
        ("select * from device limit 99999999999", 28, "whole number"),
        ("select * from device limit 1 offset 5", 30, "the end"),
        ("select * from device limit 1 where app_id='x'", 30, "the end"),
        ("select *\nfrom\ndevices", 15, "`device`"),
        ("select * from device where app_id='\u{0}'", 36, "control"),
        ("select * from device where device_name='温度' and x='y'", 49, "one of the fields"),
    ] {
        refused(sql, at, reason);
    }
}

#[test]
fn limits() {
    let conditions = |n: usize| vec!["app_id='x'"; n].join(" or ");
    read(&format!("select * from device where {}", conditions(5)));
    refused(&format!("select * from device where {}", conditions(6)), 98, "more than 5");
    let padded = |n: usize| format!("select * from device where app_id='{}'", "温".repeat(n - 36));
    read(&padded(400));
    refused(&padded(401), 401, "longer than 400");
    let error = parse(&padded(401), Limits::default()).expect_err("too long").of_search("sql");
    assert_eq!(error.code(), Code::InvalidSearch);
    assert!(error.message().contains("at character 401"), "{error}");
}

#[test]
fn rules_are_the_where_part() {
    let limits = Limits::default();
    let filter = parse_rule("product_id = 'p' and status='ONLINE'", limits).expect("a rule");
    assert_eq!(parse_rule(" WHERE product_id = 'p' and status='ONLINE'", limits), Ok(filter));
    for text in [
        "",
        "where",
        "select * from device",
        "product_id='p' limit 5",
        "group_id='g'",
        "product_id='p' order by marker",
    ] {
        assert!(parse_rule(text, limits).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(sql in any::<String>()) {
        let length = sql.chars().count();
        if let Err(refusal) = parse(&sql, Limits::default()) {
            prop_assert!((1..=length + 1).contains(&refusal.at));
        }
    }

    #[test]
    fn tokens_in_any_order_are_read_or_refused(words in proptest::collection::vec(prop_oneof![
        Just("select"), Just("*"), Just("from"), Just("device"), Just("where"), Just("and"), Just("or"), Just("'"),
        Just("'x'"), Just("="), Just("app_id"), Just("tag_key"), Just("in"), Just("("), Just(")"), Just(","), Just("like"),
        Just("limit"), Just("10"), Just("order by marker"), Just("not"), Just("--"), Just("\n"), Just("\""), Just("温"),
    ], 0..24)) {
        let sql = words.join(" ");
        let _ = parse(&sql, Limits::default());
        let _ = parse_rule(&sql, Limits::default());
    }

    #[test]
    fn values_come_through_as_they_are(value in "[^\\x00-\\x1f\\x7f-\\x9f]{1,60}") {
        let sql = format!("select * from device where device_name='{}'", value.replace('\'', "''"));
        prop_assert_eq!(read(&sql).filter, Filter::one(text(TextField::DeviceName, &[&value])));
    }
}
