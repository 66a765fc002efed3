//! Forwarding rules, their actions and policies.

use std::sync::Arc;

use causeway_model::forwarding::{
    BacklogPolicy, FlowControlPolicy, FlowScope, RoutingAction, RoutingRule, RuleScope, Subject,
};
use causeway_model::registry::{PageRequest, Sealed};
use causeway_model::{AppId, Code, RecordNo, Spaces};
use causeway_platform::Store;
use causeway_platform::outbox::TargetKind;
use causeway_platform::queue::Queue;
use causeway_platform::routing::{ActionFilter, NewTarget, RuleFilter};

use crate::fixture::{T0, app, delivery, refused, seed};
use crate::place::Place;

const ALL: PageRequest = PageRequest { marker: RecordNo::LAST, offset: 0, limit: 50 };

fn rule(scope: RuleScope, id: &str) -> RoutingRule {
    RoutingRule {
        no: RecordNo(0),
        id: id.to_owned(),
        name: format!("rule {id}"),
        description: Some("说明".to_owned()),
        subject: Subject::PROPERTY_REPORT,
        scope,
        select: "*".to_owned(),
        filter: Some("notify_data.header.device_id = 'd1'".to_owned()),
        active: false,
        created_at: T0,
    }
}

fn of_app(id: &str) -> RuleScope {
    RuleScope::App(AppId::trusted(id))
}

fn action(rule: &RoutingRule, id: &str) -> RoutingAction {
    RoutingAction {
        no: RecordNo(0),
        id: id.to_owned(),
        rule_id: rule.id.clone(),
        scope: rule.scope.clone(),
        channel: "HTTP_FORWARDING".to_owned(),
        config: Sealed(vec![1, 0, 255].into()),
        target: 0,
        created_at: T0,
    }
}

fn queue(name: &str) -> Queue {
    Queue { no: RecordNo(0), id: name.to_owned(), name: name.to_owned(), created_at: T0, updated_at: T0, target: 0 }
}

async fn add_action(store: &dyn Store, rule: &RoutingRule, id: &str, target: NewTarget) -> RoutingAction {
    store.insert_routing_action(action(rule, id), target, 10).await.expect("an action")
}

/// Kinds of all targets with how many deliveries wait there, by number.
async fn targets(store: &dyn Store) -> Vec<(TargetKind, u64)> {
    let states = store.target_states().await.expect("targets");
    states.iter().map(|s| (s.kind, s.counters.waiting())).collect()
}

pub(crate) async fn a_rule_is_kept_whole(place: Arc<Place>) {
    let store = place.open().await;
    seed(&*store).await;
    let made = store.insert_routing_rule(rule(of_app("app-1"), "r1"), 2).await.expect("a rule");
    assert_eq!(made, RoutingRule { no: made.no, ..rule(of_app("app-1"), "r1") });
    assert_eq!(store.routing_rule("r1").await.expect("an answer"), Some(made.clone()));
    assert_eq!(store.routing_rule("r2").await.expect("an answer"), None);
    let changed = RoutingRule {
        name: String::new(),
        description: None,
        select: "notify_data".to_owned(),
        filter: None,
        active: true,
        ..made
    };
    assert!(store.update_routing_rule(&changed).await.expect("an answer"));
    assert_eq!(store.routing_rule("r1").await.expect("an answer"), Some(changed.clone()));
    refused(store.insert_routing_rule(rule(of_app("nowhere"), "r2"), 2).await, Code::AppNotFound);
    let global = store.insert_routing_rule(rule(RuleScope::Global, "r2"), 2).await.expect("a rule");
    assert_eq!(store.routing_rule("r2").await.expect("an answer"), Some(global));
    refused(store.insert_routing_rule(rule(RuleScope::Global, "r3"), 2).await, Code::TooManyRoutingRules);
    assert!(store.delete_routing_rule("r1").await.expect("an answer"));
    assert!(!store.delete_routing_rule("r1").await.expect("an answer"));
    assert!(!store.update_routing_rule(&changed).await.expect("an answer"));
}

pub(crate) async fn rules_are_listed_for_those_who_may_see_them(place: Arc<Place>) {
    let store = place.open().await;
    seed(&*store).await;
    store.insert_app(app("app-2"), 10).await.expect("a space");
    for (scope, id) in [(of_app("app-1"), "r1"), (RuleScope::Global, "r2"), (of_app("app-2"), "r3")] {
        let made = store.insert_routing_rule(rule(scope, id), 10).await.expect("a rule");
        add_action(&*store, &made, &format!("a of {id}"), NewTarget::Own).await;
        if id == "r3" {
            let other = RoutingRule { active: true, ..made };
            assert!(store.update_routing_rule(&other).await.expect("an answer"));
        }
    }
    let messages = RoutingRule { subject: Subject::MESSAGE_REPORT, ..rule(of_app("app-1"), "r4") };
    store.insert_routing_rule(messages, 10).await.expect("a rule");

    let rules = async |filter: RuleFilter, spaces: Spaces, page| {
        let found = store.list_routing_rules(filter, &spaces, page).await.expect("rules");
        (found.items.iter().map(|r| r.id.clone()).collect::<Vec<_>>().join(" "), found.count, found.marker)
    };
    let listed = async |filter: RuleFilter, spaces: Spaces| rules(filter, spaces, ALL).await.0;
    let any = RuleFilter::default;
    let one = |id: &str| Spaces::one(AppId::trusted(id));
    assert_eq!(listed(any(), Spaces::All).await, "r4 r3 r2 r1");
    assert_eq!(listed(any(), one("app-1")).await, "r4 r1");
    assert_eq!(listed(RuleFilter { of_app: Some(false), ..any() }, Spaces::All).await, "r2");
    assert_eq!(listed(RuleFilter { of_app: Some(false), ..any() }, one("app-1")).await, "");
    assert_eq!(listed(RuleFilter { of_app: Some(true), ..any() }, Spaces::All).await, "r4 r3 r1");
    let app_2 = Some(AppId::trusted("app-2"));
    assert_eq!(listed(RuleFilter { app: app_2.clone(), ..any() }, Spaces::All).await, "r3");
    assert_eq!(listed(RuleFilter { app: app_2.clone(), ..any() }, one("app-1")).await, "");
    assert_eq!(listed(RuleFilter { active: Some(true), ..any() }, Spaces::All).await, "r3");
    assert_eq!(listed(RuleFilter { name: Some("e r1".to_owned()), ..any() }, Spaces::All).await, "r1");
    let resource = Some("device.message".to_owned());
    assert_eq!(listed(RuleFilter { resource, ..any() }, Spaces::All).await, "r4");
    assert_eq!(listed(RuleFilter { event: Some("report".to_owned()), ..any() }, Spaces::All).await, "r4 r3 r2 r1");
    assert_eq!(listed(RuleFilter { event: Some("update".to_owned()), ..any() }, Spaces::All).await, "");

    let (first, count, marker) = rules(any(), Spaces::All, PageRequest { limit: 3, ..ALL }).await;
    assert_eq!((first.as_str(), count), ("r4 r3 r2", 4));
    assert_eq!(rules(any(), Spaces::All, PageRequest { marker, ..ALL }).await.0, "r1");
    assert_eq!(rules(any(), Spaces::All, PageRequest { offset: 3, ..ALL }).await.0, "r1");

    let actions = async |filter: ActionFilter, spaces: Spaces| {
        let found = store.list_routing_actions(filter, &spaces, ALL).await.expect("actions");
        assert_eq!(usize::try_from(found.count).ok(), Some(found.items.len()));
        found.items.iter().map(|a| a.rule_id.clone()).collect::<Vec<_>>().join(" ")
    };
    let any = ActionFilter::default;
    assert_eq!(actions(any(), Spaces::All).await, "r3 r2 r1");
    assert_eq!(actions(any(), one("app-1")).await, "r1");
    assert_eq!(actions(ActionFilter { rule_id: Some("r2".to_owned()), ..any() }, Spaces::All).await, "r2");
    assert_eq!(actions(ActionFilter { app: app_2, ..any() }, Spaces::All).await, "r3");
    assert_eq!(actions(ActionFilter { of_app: Some(false), ..any() }, Spaces::All).await, "r2");
    let http = Some("HTTP_FORWARDING".to_owned());
    assert_eq!(actions(ActionFilter { channel: http, ..any() }, Spaces::All).await, "r3 r2 r1");
    let other = Some("AMQP_FORWARDING".to_owned());
    assert_eq!(actions(ActionFilter { channel: other, ..any() }, Spaces::All).await, "");
}

pub(crate) async fn actions_bring_their_targets(place: Arc<Place>) {
    let store = place.open().await;
    seed(&*store).await;
    let feeding = store.insert_queue(queue("orders"), 10).await.expect("a queue");
    let rule = store.insert_routing_rule(rule(of_app("app-1"), "r1"), 10).await.expect("a rule");
    let own = add_action(&*store, &rule, "a1", NewTarget::Own).await;
    assert_eq!(own, RoutingAction { no: own.no, target: own.target, ..action(&rule, "a1") });
    assert_eq!(store.routing_action("a1").await.expect("an answer"), Some(own.clone()));
    assert_eq!(store.routing_action("a2").await.expect("an answer"), None);
    let fed = add_action(&*store, &rule, "a2", NewTarget::Queue("orders".to_owned())).await;
    assert_eq!(fed.target, feeding.target);
    assert_eq!(store.own_targets().await.expect("targets"), std::slice::from_ref(&own));
    let states = store.target_states().await.expect("targets");
    let of_own = states.iter().find(|s| s.no == own.target).expect("its target");
    assert_eq!((of_own.kind, of_own.app_id.as_ref().map(AppId::as_str)), (TargetKind::Action, Some("app-1")));

    let nowhere = NewTarget::Queue("nowhere".to_owned());
    refused(store.insert_routing_action(action(&rule, "a3"), nowhere, 10).await, Code::QueueNotFound);
    refused(store.insert_routing_action(action(&rule, "a3"), NewTarget::Own, 2).await, Code::TooManyRoutingActions);
    let orphan = RoutingAction { rule_id: "r9".to_owned(), ..action(&rule, "a3") };
    refused(store.insert_routing_action(orphan, NewTarget::Own, 9).await, Code::RoutingRuleNotFound);

    store.put_deliveries(vec![delivery(own.target, None, "1"), delivery(fed.target, None, "2")]).await.expect("put");
    assert_eq!(targets(&*store).await, [(TargetKind::Queue, 1), (TargetKind::Action, 1)]);
    assert!(store.delete_routing_action("a1").await.expect("an answer"));
    assert!(!store.delete_routing_action("a1").await.expect("an answer"));
    assert!(store.delete_routing_action("a2").await.expect("an answer"));
    assert_eq!(targets(&*store).await, [(TargetKind::Queue, 1)], "what a queue holds stays");
    assert!(store.deliveries(own.target, 0, 9).await.expect("deliveries").is_empty());
}

pub(crate) async fn an_action_changes_between_targets(place: Arc<Place>) {
    let store = place.open().await;
    seed(&*store).await;
    let queue = store.insert_queue(queue("orders"), 10).await.expect("a queue");
    let rule = store.insert_routing_rule(rule(of_app("app-1"), "r1"), 10).await.expect("a rule");
    let made = add_action(&*store, &rule, "a1", NewTarget::Own).await;
    store.put_deliveries(vec![delivery(made.target, None, "1")]).await.expect("put");
    let update = async |channel: &str, target| {
        let config = Sealed(channel.as_bytes().into());
        store.update_routing_action("a1", channel, config, target).await
    };
    let kept = update("MQTT", NewTarget::Own).await.expect("an answer").expect("the action");
    let config = Sealed(b"MQTT".as_slice().into());
    assert_eq!(kept, RoutingAction { channel: "MQTT".to_owned(), config, ..made.clone() });
    assert_eq!(store.routing_action("a1").await.expect("an answer"), Some(kept));
    assert_eq!(targets(&*store).await, [(TargetKind::Queue, 0), (TargetKind::Action, 1)]);
    refused(update("X", NewTarget::Queue("nowhere".to_owned())).await, Code::QueueNotFound);
    assert_eq!(targets(&*store).await, [(TargetKind::Queue, 0), (TargetKind::Action, 1)]);

    let fed = update("AMQP", NewTarget::Queue("orders".to_owned())).await.expect("an answer").expect("the action");
    assert_eq!(fed.target, queue.target);
    assert_eq!(targets(&*store).await, [(TargetKind::Queue, 0)]);
    let own = update("HTTP", NewTarget::Own).await.expect("an answer").expect("the action");
    assert!(own.target > made.target, "numbers are never used again");
    assert_eq!(targets(&*store).await, [(TargetKind::Queue, 0), (TargetKind::Action, 0)]);
    let nothing = store.update_routing_action("a9", "X", Sealed(Box::default()), NewTarget::Own).await;
    assert_eq!(nothing.expect("an answer"), None);
}

pub(crate) async fn a_queue_that_is_fed_stays(place: Arc<Place>) {
    let store = place.open().await;
    store.insert_queue(queue("orders"), 10).await.expect("a queue");
    let rule = store.insert_routing_rule(rule(RuleScope::Global, "r1"), 10).await.expect("a rule");
    add_action(&*store, &rule, "a1", NewTarget::Queue("orders".to_owned())).await;
    refused(store.delete_queue("orders").await, Code::QueueInUse);
    assert!(store.delete_routing_rule("r1").await.expect("an answer"));
    assert_eq!(store.routing_action("a1").await.expect("an answer"), None);
    assert!(store.delete_queue("orders").await.expect("an answer"));
    assert_eq!(targets(&*store).await, []);
}

pub(crate) async fn rules_take_everything_along(place: Arc<Place>) {
    let store = place.open().await;
    seed(&*store).await;
    let queue = store.insert_queue(queue("orders"), 10).await.expect("a queue");
    for (scope, id) in [(RuleScope::Global, "r1"), (of_app("app-1"), "r2"), (of_app("app-1"), "r3")] {
        let rule = store.insert_routing_rule(rule(scope, id), 10).await.expect("a rule");
        let own = add_action(&*store, &rule, &format!("{id} a"), NewTarget::Own).await;
        add_action(&*store, &rule, &format!("{id} b"), NewTarget::Queue("orders".to_owned())).await;
        store.put_deliveries(vec![delivery(own.target, None, id)]).await.expect("put");
    }
    store.put_deliveries(vec![delivery(queue.target, None, "q")]).await.expect("put");
    assert!(store.delete_routing_rule("r2").await.expect("an answer"));
    assert_eq!(store.routing_action("r2 a").await.expect("an answer"), None);
    assert_eq!(targets(&*store).await, [(TargetKind::Queue, 1), (TargetKind::Action, 1), (TargetKind::Action, 1)]);
    assert!(store.delete_app(&AppId::trusted("app-1")).await.expect("an answer"));
    assert_eq!(store.routing_rule("r3").await.expect("an answer"), None);
    assert_eq!(store.routing_action("r3 b").await.expect("an answer"), None);
    assert_eq!(targets(&*store).await, [(TargetKind::Queue, 1), (TargetKind::Action, 1)]);
}

pub(crate) async fn active_routes_are_read(place: Arc<Place>) {
    let store = place.open().await;
    seed(&*store).await;
    let first = store.insert_routing_rule(rule(of_app("app-1"), "r1"), 10).await.expect("a rule");
    let a1 = add_action(&*store, &first, "a1", NewTarget::Own).await;
    let a2 = add_action(&*store, &first, "a2", NewTarget::Own).await;
    assert_eq!(store.active_routes().await.expect("routes"), []);
    assert_eq!(store.own_targets().await.expect("targets").len(), 2, "of rules that are not active too");
    let active = RoutingRule { active: true, ..rule(RuleScope::Global, "r2") };
    store.insert_routing_rule(active, 10).await.expect("a rule");
    let first = RoutingRule { active: true, ..first };
    assert!(store.update_routing_rule(&first).await.expect("an answer"));
    let routes = store.active_routes().await.expect("routes");
    assert_eq!(routes.len(), 1, "one without actions goes nowhere");
    assert_eq!(routes[0].rule, first);
    assert_eq!(routes[0].actions, [a1, a2]);
}

pub(crate) async fn backlog_policies(place: Arc<Place>) {
    let store = place.open().await;
    let policy = |id: &str| BacklogPolicy {
        no: RecordNo(0),
        id: id.to_owned(),
        name: Some(format!("policy {id}")),
        description: None,
        size: 1 << 30,
        seconds: 86_399,
    };
    let made = store.insert_backlog_policy(policy("p1"), 2).await.expect("a policy");
    assert_eq!(made, BacklogPolicy { no: made.no, ..policy("p1") });
    let unnamed = store.insert_backlog_policy(BacklogPolicy { name: None, ..policy("p2") }, 2).await.expect("a policy");
    refused(store.insert_backlog_policy(policy("p3"), 2).await, Code::TooManyRoutingPolicies);
    assert_eq!(store.backlog_policy("p1").await.expect("an answer"), Some(made.clone()));
    assert_eq!(store.backlog_policy("p3").await.expect("an answer"), None);
    assert_eq!(store.backlog_policies().await.expect("policies"), [made.clone(), unnamed.clone()]);
    let page = store.list_backlog_policies(Some("p1"), ALL).await.expect("a page");
    assert_eq!((page.items, page.count), (vec![made.clone()], 1));
    let page = store.list_backlog_policies(None, PageRequest { limit: 1, ..ALL }).await.expect("a page");
    assert_eq!((page.items, page.count, page.marker), (vec![unnamed.clone()], 2, unnamed.no));
    let changed = BacklogPolicy { name: None, description: Some("d".to_owned()), size: 0, seconds: 1, ..made };
    assert!(store.update_backlog_policy(&changed).await.expect("an answer"));
    assert_eq!(store.backlog_policy("p1").await.expect("an answer"), Some(changed.clone()));
    assert!(store.delete_backlog_policy("p1").await.expect("an answer"));
    assert!(!store.delete_backlog_policy("p1").await.expect("an answer"));
    assert!(!store.update_backlog_policy(&changed).await.expect("an answer"));
}

pub(crate) async fn flow_control_policies(place: Arc<Place>) {
    let store = place.open().await;
    let policy = |id: &str, scope: FlowScope| FlowControlPolicy {
        no: RecordNo(0),
        id: id.to_owned(),
        name: Some(format!("policy {id}")),
        description: None,
        scope,
        limit: 1000,
    };
    let rule = || FlowScope::Rule("r1".to_owned());
    let made = store.insert_flow_control_policy(policy("p1", FlowScope::User), 3).await.expect("a policy");
    assert_eq!(made, FlowControlPolicy { no: made.no, ..policy("p1", FlowScope::User) });
    refused(store.insert_flow_control_policy(policy("p2", FlowScope::User), 3).await, Code::FlowControlPolicyExists);
    let other = store.insert_flow_control_policy(policy("p2", rule()), 3).await.expect("a policy");
    let third = policy("p3", FlowScope::Action("r1".to_owned()));
    let third = store.insert_flow_control_policy(third, 3).await.expect("a policy");
    let fourth = policy("p4", FlowScope::Channel("HTTP_FORWARDING".to_owned()));
    refused(store.insert_flow_control_policy(fourth, 3).await, Code::TooManyRoutingPolicies);
    assert_eq!(store.flow_control_policy("p2").await.expect("an answer"), Some(other.clone()));
    assert_eq!(store.flow_control_policy("p4").await.expect("an answer"), None);
    let all = [made.clone(), other.clone(), third.clone()];
    assert_eq!(store.flow_control_policies().await.expect("policies"), all);
    let listed = async |scope, value, name| {
        let page = store.list_flow_control_policies(scope, value, name, ALL).await.expect("a page");
        assert_eq!(usize::try_from(page.count).ok(), Some(page.items.len()));
        page.items.iter().map(|p| p.id.clone()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(listed(None, None, None).await, "p3 p2 p1");
    assert_eq!(listed(Some("RULE"), None, None).await, "p2");
    assert_eq!(listed(None, Some("r1"), None).await, "p3 p2");
    assert_eq!(listed(None, None, Some("y p1")).await, "p1");
    let changed = FlowControlPolicy { name: None, description: Some("d".to_owned()), limit: 1, ..other };
    assert!(store.update_flow_control_policy(&changed).await.expect("an answer"));
    assert_eq!(store.flow_control_policy("p2").await.expect("an answer"), Some(changed.clone()));
    assert!(store.delete_flow_control_policy("p2").await.expect("an answer"));
    assert!(!store.delete_flow_control_policy("p2").await.expect("an answer"));
    assert!(!store.update_flow_control_policy(&changed).await.expect("an answer"));
}

pub(crate) async fn limits_hold_against_concurrent_callers(place: Arc<Place>) {
    let store = place.open().await;
    let made = store.insert_routing_rule(rule(RuleScope::Global, "r0"), 5).await.expect("a rule");
    let (mut rules, mut actions) = (Vec::new(), Vec::new());
    for n in 1..=8 {
        let (store, new) = (store.clone(), rule(RuleScope::Global, &format!("r{n}")));
        rules.push(tokio::spawn(async move { store.insert_routing_rule(new, 5).await.is_ok() }));
    }
    for n in 1..=8 {
        let (store, new) = (store.clone(), action(&made, &format!("a{n}")));
        actions.push(tokio::spawn(async move { store.insert_routing_action(new, NewTarget::Own, 5).await.is_ok() }));
    }
    let mut through = [0, 0];
    for (place, tasks) in [rules, actions].into_iter().enumerate() {
        for task in tasks {
            through[place] += usize::from(task.await.expect("it ends"));
        }
    }
    assert_eq!(through, [4, 5]);
}
