use std::borrow::Cow;

use causeway_model::linkage::{
    Condition, DailyTimer, Days, Definition, LinkageRule, Logic, MinuteOfDay, PropertyFilter, SimpleTimer, Test,
    TimeRange, UtcOffset, Whom,
};
use causeway_model::properties::PropertyObject;
use causeway_model::{AppId, DeviceId, ProductId, RecordNo, Timestamp};
use proptest::prelude::*;

use super::*;

const UTC: UtcOffset = UtcOffset { minutes: 0 };

#[track_caller]
fn check(test: &Test, raw: &str, expected: bool) {
    assert_eq!(Comparison::of(test).holds(raw), expected, "{test:?} {raw}");
}

#[test]
fn numbers_are_compared_exactly() {
    check(&Test::Greater("8".into()), "8.0000000000000000001", true);
    check(&Test::Greater("8".into()), "8.0", false);
    check(&Test::AtLeast("8".into()), "8e0", true);
    check(&Test::Less("9007199254740993".into()), "9007199254740992", true);
    check(&Test::Equal("23.10".into()), "23.1", true);
    check(&Test::AtMost("-1".into()), "-1.5", true);
    check(&Test::Greater("8".into()), "\"9\"", false);
    check(&Test::Greater("warm".into()), "9", false);
    check(&Test::Between("20".into(), "30".into()), "20", true);
    check(&Test::Between("20".into(), "30".into()), "30", false);
    check(&Test::OneOf(vec!["1".into(), "2".into()]), "2.0", true);
}

#[test]
fn other_values_are_equal_or_not() {
    check(&Test::Equal("OPEN".into()), "\"OPEN\"", true);
    check(&Test::Equal("OPEN".into()), "\"open\"", false);
    check(&Test::Equal("a\"b".into()), r#""a\"b""#, true);
    check(&Test::Equal("5".into()), "\"5\"", true);
    check(&Test::Equal("true".into()), "true", true);
    check(&Test::Equal(r#"{"b":2,"a":1}"#.into()), r#"{"a":1,"b":2}"#, true);
    check(&Test::OneOf(vec!["x".into(), "y".into()]), "\"y\"", true);
    check(&Test::OneOf(vec!["x".into(), "y".into()]), "\"z\"", false);
    check(&Test::Equal(String::new()), "\"\"", true);
    check(&Test::Equal("null".into()), "null", true);
}

fn filter(property: &str, test: Test) -> PropertyFilter {
    PropertyFilter { service_id: "s".into(), property: property.into(), test, on_change: false, valid_s: None }
}

fn rule(no: i64, conditions: Vec<Condition>) -> LinkageRule {
    LinkageRule {
        no: RecordNo(no),
        id: format!("r{no}"),
        app_id: AppId::trusted("app"),
        name: "n".into(),
        description: None,
        is_active: true,
        version: 1,
        definition: Definition {
            conditions,
            logic: Logic::And,
            time_range: None,
            actions: Vec::new(),
            immediate_trigger: false,
        },
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    }
}

fn touched(table: &Table, device: &str, properties: &str, event_time: i64, now: i64) -> Vec<(String, usize, Verdict)> {
    let (app, product, device) = (AppId::trusted("app"), ProductId::trusted("p"), DeviceId::trusted(device));
    let properties = PropertyObject::parse(properties).expect("an object");
    let rows = [Row { service_id: "s", properties: &properties, event_time: Timestamp(event_time) }];
    let who = Reporter { app: &app, product: &product, device: &device };
    table
        .touch(who, rows.into_iter(), Timestamp(now))
        .into_iter()
        .map(|t| (t.rule.rule.id.clone(), t.condition, t.verdict))
        .collect()
}

#[test]
fn a_report_touches_what_looks_at_it() {
    let of_device = Condition::Data {
        whom: Whom::Device(DeviceId::trusted("d")),
        filters: vec![filter("t", Test::Greater("8".into())), filter("h", Test::Less("50".into()))],
    };
    let of_product = Condition::Data {
        whom: Whom::Product(ProductId::trusted("p")),
        filters: vec![PropertyFilter { valid_s: Some(10), ..filter("t", Test::Equal("9".into())) }],
    };
    let table = Table::new(vec![rule(1, vec![of_device]), rule(2, vec![of_product])]);
    assert_eq!(
        touched(&table, "d", r#"{"t":9,"h":40}"#, 0, 0),
        [("r1".into(), 0, Verdict::Holds), ("r2".into(), 0, Verdict::Holds)]
    );
    assert_eq!(
        touched(&table, "d", r#"{"t":9}"#, 0, 20_000),
        [("r1".into(), 0, Verdict::Open)],
        "too old for the second, and the first looks at another property too"
    );
    assert_eq!(touched(&table, "d", r#"{"h":60}"#, 0, 0), [("r1".into(), 0, Verdict::Fails)]);
    assert_eq!(touched(&table, "e", r#"{"t":8}"#, 0, 0), [("r2".into(), 0, Verdict::Fails)]);
    assert_eq!(touched(&table, "e", r#"{"x":8}"#, 0, 0), []);
}

#[test]
fn last_values_count_within_their_age() {
    let whom = Whom::Device(DeviceId::trusted("d"));
    let filters = vec![PropertyFilter { valid_s: Some(60), ..filter("t", Test::Greater("8".into())) }];
    let ready = Ready::new(rule(1, vec![Condition::Data { whom, filters }]));
    let last = |_: &str, _: &str| Some((Cow::Borrowed("9"), Timestamp(0)));
    assert!(ready.judge(0, Timestamp(60_000), last));
    assert!(!ready.judge(0, Timestamp(60_001), last));
    assert!(!ready.judge(0, Timestamp(0), |_, _| None));
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

#[test]
fn ranges_begin_on_their_days_and_may_end_on_the_next() {
    let minute = |text| MinuteOfDay::parse(text).expect("a time of day");
    // 2026-01-04 is a Sunday.
    let night = TimeRange { start: minute("22:00"), end: minute("06:00"), days: Days::parse("1").expect("days") };
    for (time, expected) in [
        ("20260104T215959Z", false),
        ("20260104T220000Z", true),
        ("20260105T055959Z", true),
        ("20260105T060000Z", false),
        ("20260105T230000Z", false),
        ("20260104T010000Z", false),
    ] {
        assert_eq!(clock::contains(&night, at(time), UTC), expected, "{time}");
    }
    let china = UtcOffset { minutes: 480 };
    assert!(clock::contains(&night, at("20260104T140000Z"), china));
    assert!(!clock::contains(&night, at("20260104T135959Z"), china));
    let all_day = TimeRange { start: minute("09:00"), end: minute("09:00"), days: Days::ALL };
    assert!(clock::contains(&all_day, at("20260104T085959Z"), UTC));
    let day = TimeRange { start: minute("08:00"), end: minute("18:00"), days: Days::parse("2").expect("days") };
    assert!(clock::contains(&day, at("20260105T080000Z"), UTC));
    assert!(!clock::contains(&day, at("20260105T180000Z"), UTC));
    assert!(!clock::contains(&day, at("20260104T090000Z"), UTC));
}

#[test]
fn timers_come_in_their_turn() {
    let timer = SimpleTimer { start: 10_000, interval_s: 60, count: 3 };
    let next = |after| clock::next_simple(&timer, Timestamp(after)).map(|t| t.0);
    assert_eq!(next(0), Some(10_000));
    assert_eq!(next(10_000), Some(70_000));
    assert_eq!(next(70_001), Some(130_000));
    assert_eq!(next(130_000), None);
    let daily = DailyTimer { time: MinuteOfDay(7 * 60), days: Days::parse("2,4").expect("days") };
    let next = |after: &str| clock::next_daily(&daily, at(after), UTC).map(Timestamp::compact);
    assert_eq!(next("20260104T120000Z").as_deref(), Some("20260105T070000Z"));
    assert_eq!(next("20260105T070000Z").as_deref(), Some("20260107T070000Z"));
    assert_eq!(next("20260107T070000Z").as_deref(), Some("20260112T070000Z"));
    let in_china = clock::next_daily(&daily, at("20260104T120000Z"), UtcOffset { minutes: 480 });
    assert_eq!(in_china.map(Timestamp::compact).as_deref(), Some("20260104T230000Z"));
}

proptest! {
    #[test]
    fn a_daily_timer_is_on_its_minute_and_the_first_after(
        minute in 0_u16..1440, days in 1_u8..128, after in 0_i64..4_000_000_000_000, offset in -720_i32..840,
    ) {
        let (timer, offset) = (DailyTimer { time: MinuteOfDay(minute), days: Days(days) }, UtcOffset { minutes: offset });
        let next = clock::next_daily(&timer, Timestamp(after), offset).expect("there is always a next one");
        prop_assert!(next.0 > after && next.0 - after <= 7 * 86_400_000);
        let exactly = TimeRange {
            start: MinuteOfDay(minute),
            end: MinuteOfDay((minute + 1) % 1440),
            days: Days(days),
        };
        prop_assert!(clock::contains(&exactly, next, offset));
        // None lies between: asking again a little earlier finds the same.
        prop_assert_eq!(clock::next_daily(&timer, Timestamp(next.0 - 1), offset), Some(next));
    }

    #[test]
    fn a_simple_timer_comes_as_often_as_it_says(start in 0_i64..1_000_000, interval_s in 1_u32..5000, count in 0_u32..50) {
        let timer = SimpleTimer { start, interval_s, count };
        let (mut at, mut times) = (Timestamp(-1), 0);
        while let Some(next) = clock::next_simple(&timer, at) {
            prop_assert!(next > at);
            (at, times) = (next, times + 1);
        }
        prop_assert_eq!(times, count);
    }

    #[test]
    fn comparisons_of_integers_are_those_of_integers(a in any::<i64>(), b in any::<i64>(), c in any::<i64>()) {
        let raw = a.to_string();
        for (test, expected) in [
            (Test::Greater(b.to_string()), a > b),
            (Test::Less(b.to_string()), a < b),
            (Test::AtLeast(b.to_string()), a >= b),
            (Test::AtMost(b.to_string()), a <= b),
            (Test::Equal(b.to_string()), a == b),
            (Test::Between(b.to_string(), c.to_string()), b <= a && a < c),
            (Test::OneOf(vec![b.to_string(), c.to_string()]), a == b || a == c),
        ] {
            prop_assert_eq!(Comparison::of(&test).holds(&raw), expected);
        }
    }

    #[test]
    fn strings_are_equal_to_themselves_only(a in ".{0,20}", b in ".{0,20}") {
        let raw = serde_json::to_string(&a).expect("a string");
        prop_assert_eq!(Comparison::of(&Test::Equal(b.clone())).holds(&raw), a == b.trim());
        prop_assert_eq!(Comparison::of(&Test::Equal(a.clone())).holds(&raw), a == a.trim());
    }
}
