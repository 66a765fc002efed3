//! Linkage rules, what of their state outlives a restart, and commands that wait.

use std::sync::Arc;

use causeway_model::linkage::{
    Action, AlarmAction, Condition, Definition, LinkageRule, Logic, PropertyFilter, SimpleTimer, Test, Whom,
};
use causeway_model::registry::PageRequest;
use causeway_model::{AppId, Code, DeviceId, RecordNo, Spaces};
use causeway_platform::linkage::{LinkageCommand, LinkageTimer};
use causeway_platform::outbox::{NewDelivery, TargetKind};

use crate::fixture::{T0, app, at, refused, seed_device};
use crate::place::Place;

pub(crate) fn rule(app: &AppId, id: &str) -> LinkageRule {
    let filter = PropertyFilter {
        service_id: "温度".to_owned(),
        property: "t".to_owned(),
        test: Test::Between("1.10".to_owned(), "2".to_owned()),
        on_change: true,
        valid_s: Some(60),
    };
    LinkageRule {
        no: RecordNo(0),
        id: id.to_owned(),
        app_id: app.clone(),
        name: format!("规则 {id}"),
        description: Some("说明".to_owned()),
        is_active: true,
        version: 1,
        definition: Definition {
            conditions: vec![
                Condition::Data { whom: Whom::Device(DeviceId::trusted("d")), filters: vec![filter] },
                Condition::SimpleTimer(SimpleTimer { start: 1, interval_s: 2, count: 3 }),
            ],
            logic: Logic::Or,
            time_range: None,
            actions: vec![Action::Alarm(AlarmAction {
                name: "a".to_owned(),
                is_fault: true,
                severity: "major".to_owned(),
                dimension: None,
                description: None,
            })],
            immediate_trigger: true,
        },
        created_at: T0,
        updated_at: at(1),
    }
}

fn timer(rule: RecordNo, ms: i64) -> LinkageTimer {
    LinkageTimer { rule, condition: 1, device: None, at: at(ms) }
}

pub(crate) async fn rules_are_kept_and_counted(place: Arc<Place>) {
    let store = place.open().await;
    let space = store.insert_app(app("space"), 10).await.expect("a space").id;
    let other = store.insert_app(app("other"), 10).await.expect("a space").id;
    let target = store.instance_target(TargetKind::Linkage).await.expect("a target");
    let delivery = NewDelivery { target, device: None, body: "{}".into(), at: T0 };
    let insert = |rule, limit| store.insert_linkage_rule(rule, Vec::new(), vec![delivery.clone()], limit);
    let made = insert(rule(&space, "one"), 2).await.expect("a rule");
    assert_eq!(made, LinkageRule { no: made.no, ..rule(&space, "one") });
    insert(rule(&other, "two"), 2).await.expect("a rule");
    refused(insert(rule(&space, "three"), 2).await, Code::TooManyRoutingRules);
    refused(insert(rule(&AppId::trusted("no"), "three"), 9).await, Code::AppNotFound);
    assert_eq!(store.deliveries(target, 0, 9).await.expect("deliveries").len(), 2, "refused rules trigger nothing");
    assert_eq!(store.linkage_rule("one").await.expect("an answer"), Some(made.clone()));
    assert_eq!(store.linkage_rule("nothing").await.expect("an answer"), None);
    let changed = LinkageRule {
        name: "changed".to_owned(),
        description: None,
        is_active: false,
        version: 2,
        definition: Definition { logic: Logic::And, immediate_trigger: false, ..made.definition.clone() },
        updated_at: at(2),
        ..made
    };
    assert!(store.update_linkage_rule(&changed, Vec::new(), Vec::new()).await.expect("an answer"));
    assert_eq!(store.linkage_rule("one").await.expect("an answer"), Some(changed.clone()));
    let active: Vec<String> = store.active_linkage_rules().await.expect("rules").into_iter().map(|r| r.id).collect();
    assert_eq!(active, ["two"]);
    let page = |limit| PageRequest { marker: RecordNo::LAST, offset: 0, limit };
    let all = store.list_linkage_rules(&Spaces::All, page(1)).await.expect("a page");
    assert_eq!((all.count, all.items[0].id.as_str()), (2, "two"));
    let one = store.list_linkage_rules(&Spaces::one(space.clone()), page(9)).await.expect("a page");
    assert_eq!((one.count, one.items), (1, vec![changed.clone()]));
    assert!(store.delete_linkage_rule(changed.no).await.expect("an answer"));
    assert!(!store.delete_linkage_rule(changed.no).await.expect("an answer"));
    assert!(!store.update_linkage_rule(&changed, Vec::new(), Vec::new()).await.expect("an answer"));
    assert!(store.delete_app(&other).await.expect("an answer"));
    assert_eq!(store.active_linkage_rules().await.expect("rules"), []);
}

pub(crate) async fn states_go_with_rule_and_device(place: Arc<Place>) {
    let store = place.open().await;
    let device = seed_device(&*store).await;
    let made = store.insert_linkage_rule(rule(&device.app_id, "r"), Vec::new(), Vec::new(), 9).await.expect("a rule");
    for condition in [3, 0, 3] {
        store.set_held(made.no, device.no, condition, true).await.expect("noted");
    }
    assert_eq!(store.held_conditions(made.no, device.no).await.expect("an answer"), [0, 3]);
    store.set_held(made.no, device.no, 3, false).await.expect("noted");
    assert_eq!(store.held_conditions(made.no, device.no).await.expect("an answer"), [0]);
    store.set_held(RecordNo(999), device.no, 0, true).await.expect("a rule that is gone holds nothing");
    assert!(store.update_linkage_rule(&made, Vec::new(), Vec::new()).await.expect("an answer"));
    assert!(store.held_conditions(made.no, device.no).await.expect("an answer").is_empty(), "a change forgets");
    store.set_held(made.no, device.no, 0, true).await.expect("noted");
    let lasting = LinkageTimer { rule: made.no, condition: 0, device: Some(device.no), at: at(5) };
    store.set_linkage_timer(&lasting).await.expect("a timer");
    assert!(store.delete_device(device.no).await.expect("an answer"));
    assert!(store.held_conditions(made.no, device.no).await.expect("an answer").is_empty());
    assert_eq!(store.due_linkage_timers(at(9), 9).await.expect("timers"), []);
    store.set_held(made.no, device.no, 0, true).await.expect("a device that is gone holds nothing");
    store.set_linkage_timer(&lasting).await.expect("nor has it timers");
    assert_eq!(store.due_linkage_timers(at(9), 9).await.expect("timers"), []);
}

pub(crate) async fn a_timer_is_claimed_once(place: Arc<Place>) {
    let store = place.open().await;
    let device = seed_device(&*store).await;
    let target = store.instance_target(TargetKind::Linkage).await.expect("a target");
    let timers = vec![timer(RecordNo(0), 10)];
    let made = store.insert_linkage_rule(rule(&device.app_id, "r"), timers, Vec::new(), 9).await.expect("a rule");
    assert_eq!(store.due_linkage_timers(at(9), 9).await.expect("timers"), []);
    let due = store.due_linkage_timers(at(10), 9).await.expect("timers");
    assert_eq!(due, [(timer(made.no, 10), made.clone())]);
    let acts = || vec![NewDelivery { target, device: Some(device.no), body: "{}".into(), at: T0 }];
    assert!(store.claim_linkage_timer(&timer(made.no, 10), Some(at(20)), acts()).await.expect("an answer"));
    assert!(!store.claim_linkage_timer(&timer(made.no, 10), Some(at(20)), acts()).await.expect("an answer"));
    assert_eq!(store.due_linkage_timers(at(30), 9).await.expect("timers").len(), 1);
    let lasting = |ms| LinkageTimer { rule: made.no, condition: 0, device: Some(device.no), at: at(ms) };
    store.set_linkage_timer(&lasting(15)).await.expect("a timer");
    store.set_linkage_timer(&lasting(16)).await.expect("another time");
    let due = store.due_linkage_timers(at(30), 9).await.expect("timers");
    assert_eq!(due.into_iter().map(|(t, _)| t).collect::<Vec<_>>(), [lasting(16), timer(made.no, 20)]);
    assert!(!store.claim_linkage_timer(&lasting(15), None, acts()).await.expect("an answer"));
    assert!(store.claim_linkage_timer(&lasting(16), None, acts()).await.expect("an answer"));
    store.set_linkage_timer(&lasting(17)).await.expect("a timer");
    store.drop_linkage_timer(made.no, 0, device.no).await.expect("gone");
    assert!(store.claim_linkage_timer(&timer(made.no, 20), None, acts()).await.expect("an answer"));
    assert_eq!(store.due_linkage_timers(at(99), 9).await.expect("timers"), []);
    assert_eq!(store.deliveries(target, 0, 9).await.expect("deliveries").len(), 3, "one for each time claimed");
    let asleep = LinkageRule { is_active: false, ..made.clone() };
    assert!(store.update_linkage_rule(&asleep, vec![timer(made.no, 1)], Vec::new()).await.expect("an answer"));
    assert_eq!(store.due_linkage_timers(at(99), 9).await.expect("timers"), [], "inactive rules have no time");
}

pub(crate) async fn commands_wait_in_order_and_not_for_ever(place: Arc<Place>) {
    let store = place.open().await;
    let device = seed_device(&*store).await;
    let command = |rule_id: &str, ms| LinkageCommand {
        no: RecordNo(0),
        device: device.no,
        rule_id: rule_id.to_owned(),
        action: r#"{"温":1.10}"#.to_owned(),
        expires_at: at(ms),
    };
    assert!(!store.waiting(device.no).await.expect("an answer").has_commands);
    for (name, ms) in [("dropped", 100), ("old", 10), ("first", 100), ("second", 100)] {
        store.keep_linkage_command(&command(name, ms), 3).await.expect("kept");
        store.keep_linkage_command(&command(name, ms), 3).await.expect("the same one is there");
    }
    assert!(store.waiting(device.no).await.expect("an answer").has_commands);
    let next = |ms| store.next_linkage_command(device.no, at(ms));
    assert_eq!(next(9).await.expect("an answer").expect("a command").rule_id, "old");
    let first = next(10).await.expect("an answer").expect("a command");
    assert_eq!(first, LinkageCommand { no: first.no, ..command("first", 100) });
    assert_eq!(store.drop_old_linkage_commands(at(10)).await.expect("an answer"), 1);
    assert!(store.drop_linkage_command(first.no).await.expect("an answer"));
    assert!(!store.drop_linkage_command(first.no).await.expect("an answer"));
    assert_eq!(next(10).await.expect("an answer").expect("a command").rule_id, "second");
    assert!(store.delete_device(device.no).await.expect("an answer"));
    assert_eq!(next(10).await.expect("an answer"), None);
    store.keep_linkage_command(&command("late", 100), 3).await.expect("nothing is kept for a device that is gone");
    assert_eq!(next(10).await.expect("an answer"), None);
}
