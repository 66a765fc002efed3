//! Who takes an event: all active rules, compiled, in an order that lets rules which do not concern an event cost nothing.
//!
//! Rules lie by space and subject. Those that ask for a text at a path (`notify_data.header.product_id = 'x'`) are looked
//! up by the text that the event has there; only the others are asked one by one. Nothing is allocated before a rule
//! takes the event.

use std::collections::HashMap;
use std::sync::Arc;

use causeway_model::forwarding::{RoutingRule, RuleScope, Subject};
use causeway_model::{AppId, DeviceNo};
use causeway_rules::event::Event;
use causeway_rules::forward::{Limits, Path, Query};

use super::ActiveRoute;
use crate::outbox::{NewDelivery, PushTarget};

/// See the module text. Never changed: a change of rules makes another.
#[derive(Default)]
pub(crate) struct RouteTable {
    /// Spaces whose events are pushed to a URL without a rule.
    push: HashMap<AppId, i64>,
    routes: Vec<Route>,
    global: BySubject,
    spaces: HashMap<AppId, BySubject>,
}

/// A rule and the targets that its actions feed.
struct Route {
    query: Query,
    targets: Vec<i64>,
}

/// Places in `routes`, by [`Subject::index`].
#[derive(Default)]
struct BySubject(Vec<Candidates>);

/// Rules of one subject of one space, or of all spaces.
#[derive(Default)]
struct Candidates {
    /// Those that need a text at a path: looked up.
    indexed: Vec<(Path, HashMap<String, Vec<usize>>)>,
    /// Those that must be asked.
    others: Vec<usize>,
}

/// What a space's URL takes: what the platform pushed before there were rules.
fn is_pushed(subject: Subject) -> bool {
    matches!(
        subject,
        Subject::PROPERTY_REPORT
            | Subject::MESSAGE_REPORT
            | Subject::MESSAGE_STATUS
            | Subject::STATUS_UPDATE
            | Subject::BATCH_TASK
    )
}

/// Clauses were checked against the limits of their time when they were stored.
fn compile(rule: &RoutingRule) -> Option<Query> {
    let limits = Limits { characters: usize::MAX, ..Limits::default() };
    match Query::compile(rule.subject, &rule.select, rule.filter.as_deref(), limits) {
        Ok(query) => Some(query),
        Err(refused) => {
            tracing::error!(rule_id = rule.id, %refused, "a forwarding rule cannot be compiled and takes nothing");
            None
        }
    }
}

impl BySubject {
    /// Puts rules into order. Each is looked up by the path at which most different texts are asked for.
    fn of(rules: &[(usize, &Query)]) -> Self {
        let mut by_subject: HashMap<usize, Vec<(usize, &Query)>> = HashMap::new();
        for (at, query) in rules {
            by_subject.entry(query.subject().index()).or_default().push((*at, query));
        }
        let mut found = Self::default();
        for (subject, rules) in by_subject {
            if found.0.len() <= subject {
                found.0.resize_with(subject + 1, Candidates::default);
            }
            found.0[subject] = Candidates::of(&rules);
        }
        found
    }

    fn get(&self, subject: Subject) -> Option<&Candidates> {
        self.0.get(subject.index()).filter(|c| !c.is_empty())
    }
}

impl Candidates {
    fn of(rules: &[(usize, &Query)]) -> Self {
        let mut asked: HashMap<&Path, std::collections::HashSet<&str>> = HashMap::new();
        for (path, text) in rules.iter().flat_map(|(_, query)| query.equalities()) {
            asked.entry(path).or_default().insert(text);
        }
        let mut found = Self::default();
        for (at, query) in rules {
            let best = query.equalities().iter().max_by_key(|(path, _)| asked.get(path).map_or(0, |texts| texts.len()));
            let Some((path, text)) = best else {
                found.others.push(*at);
                continue;
            };
            let place = found.indexed.iter().position(|(p, _)| p == path).unwrap_or_else(|| {
                found.indexed.push((path.clone(), HashMap::new()));
                found.indexed.len() - 1
            });
            found.indexed[place].1.entry(text.clone()).or_default().push(*at);
        }
        found
    }

    fn is_empty(&self) -> bool {
        self.indexed.is_empty() && self.others.is_empty()
    }

    /// Calls `ask` with every rule that may take the event.
    fn each(&self, event: &Event<'_>, mut ask: impl FnMut(usize)) {
        for (path, texts) in &self.indexed {
            let found = path.text(event).and_then(|text| texts.get(text.as_ref()));
            found.into_iter().flatten().for_each(|at| ask(*at));
        }
        self.others.iter().for_each(|at| ask(*at));
    }
}

impl RouteTable {
    pub(crate) fn new(push: Vec<PushTarget>, active: &[ActiveRoute]) -> Self {
        let (mut routes, mut scopes) = (Vec::new(), Vec::new());
        for route in active {
            let Some(query) = compile(&route.rule) else { continue };
            routes.push(Route { query, targets: route.actions.iter().map(|a| a.target).collect() });
            scopes.push(&route.rule.scope);
        }
        let mut by_scope: HashMap<&RuleScope, Vec<(usize, &Query)>> = HashMap::new();
        for (at, (route, scope)) in routes.iter().zip(scopes).enumerate() {
            by_scope.entry(scope).or_default().push((at, &route.query));
        }
        let (mut global, mut spaces) = (BySubject::default(), HashMap::new());
        for (scope, rules) in by_scope {
            match scope {
                RuleScope::Global => global = BySubject::of(&rules),
                RuleScope::App(app) => drop(spaces.insert(app.clone(), BySubject::of(&rules))),
            }
        }
        Self { push: push.into_iter().map(|t| (t.app_id, t.no)).collect(), routes, global, spaces }
    }

    /// Whether anybody may want events of this subject of this space.
    pub(crate) fn concern(&self, app: &AppId, subject: Subject) -> bool {
        let is_space_s = |spaces: &HashMap<AppId, BySubject>| {
            !spaces.is_empty() && spaces.get(app).is_some_and(|s| s.get(subject).is_some())
        };
        self.global.get(subject).is_some()
            || is_space_s(&self.spaces)
            || (!self.push.is_empty() && is_pushed(subject) && self.push.contains_key(app))
    }

    /// Deliveries of an event to everybody who takes it.
    pub(crate) fn deliveries(&self, app: &AppId, device: Option<DeviceNo>, event: &Event<'_>) -> Vec<NewDelivery> {
        let mut found = Vec::new();
        // Written when the first asks for it, shared by all that take it whole.
        let mut whole: Option<Arc<str>> = None;
        let mut whole = || {
            whole
                .get_or_insert_with(|| {
                    let mut text = String::with_capacity(768);
                    event.write(&mut text);
                    text.into()
                })
                .clone()
        };
        if let Some(target) = self.push.get(app).filter(|_| is_pushed(event.subject)) {
            found.push(NewDelivery { target: *target, device, body: whole(), at: event.at });
        }
        for scope in [Some(&self.global), self.spaces.get(app)].into_iter().flatten() {
            let Some(candidates) = scope.get(event.subject) else { continue };
            candidates.each(event, |at| {
                let Some(route) = self.routes.get(at).filter(|route| route.query.matches(event)) else { return };
                let body: Arc<str> = if route.query.is_whole() {
                    whole()
                } else {
                    let mut text = String::with_capacity(256);
                    route.query.select(event, &mut text);
                    text.into()
                };
                for target in &route.targets {
                    found.push(NewDelivery { target: *target, device, body: body.clone(), at: event.at });
                }
            });
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use causeway_model::forwarding::RoutingAction;
    use causeway_model::registry::Sealed;
    use causeway_model::{RecordNo, Timestamp};
    use causeway_rules::event::{Body, Header, Service};

    use super::*;

    const AT: Timestamp = Timestamp(1_700_000_000_000);

    fn app(id: &str) -> AppId {
        AppId::parse(id).expect("an id")
    }

    /// A rule whose one target is `target`.
    fn route(target: i64, scope: RuleScope, subject: Subject, select: &str, filter: &str) -> ActiveRoute {
        let id = format!("rule-{target}");
        let action = RoutingAction {
            no: RecordNo(target),
            id: format!("action-{target}"),
            rule_id: id.clone(),
            scope: scope.clone(),
            channel: String::new(),
            config: Sealed(Box::default()),
            target,
            created_at: AT,
        };
        let rule = RoutingRule {
            no: RecordNo(target),
            id,
            name: String::new(),
            description: None,
            subject,
            scope,
            select: select.to_owned(),
            filter: Some(filter.to_owned()).filter(|f| !f.is_empty()),
            active: true,
            created_at: AT,
        };
        ActiveRoute { rule, actions: vec![action] }
    }

    fn with_report<T>(device: &str, product: &str, value: i64, then: impl FnOnce(&Event<'_>) -> T) -> T {
        let properties = format!(r#"{{"value":{value}}}"#);
        let services = [Service { service_id: "s", properties: &properties, event_time: AT }];
        then(&Event {
            subject: Subject::PROPERTY_REPORT,
            at: AT,
            request_id: "r",
            header: Some(Header {
                app_id: "a",
                device_id: device,
                node_id: "n",
                product_id: product,
                gateway_id: device,
                tags: "",
            }),
            body: Body::Services(&services),
        })
    }

    fn targets(table: &RouteTable, app: &AppId, event: &Event<'_>) -> Vec<i64> {
        let mut found: Vec<i64> = table.deliveries(app, None, event).iter().map(|d| d.target).collect();
        found.sort_unstable();
        found
    }

    fn global(target: i64, select: &str, filter: &str) -> ActiveRoute {
        route(target, RuleScope::Global, Subject::PROPERTY_REPORT, select, filter)
    }

    #[test]
    fn rules_take_events_of_their_space_and_subject() {
        let of = |id: &str| RuleScope::App(app(id));
        let table = RouteTable::new(
            Vec::new(),
            &[
                route(1, of("a"), Subject::PROPERTY_REPORT, "*", ""),
                route(2, of("b"), Subject::PROPERTY_REPORT, "*", ""),
                route(3, RuleScope::Global, Subject::PROPERTY_REPORT, "*", ""),
                route(4, of("a"), Subject::MESSAGE_REPORT, "*", ""),
            ],
        );
        let taken = |id: &str| with_report("d", "p", 1, |event| targets(&table, &app(id), event));
        assert_eq!(taken("a"), [1, 3]);
        assert_eq!(taken("b"), [2, 3]);
        assert_eq!(taken("c"), [3]);
        assert!(table.concern(&app("a"), Subject::MESSAGE_REPORT));
        assert!(!table.concern(&app("b"), Subject::MESSAGE_REPORT));
        assert!(table.concern(&app("c"), Subject::PROPERTY_REPORT));
        assert!(!RouteTable::default().concern(&app("a"), Subject::PROPERTY_REPORT));
    }

    #[test]
    fn conditions_and_selections() {
        let table = RouteTable::new(
            Vec::new(),
            &[
                global(1, "*", "notify_data.body.services[0].properties.value > 5"),
                global(2, "notify_data.header.device_id AS id", "notify_data.header.device_id = 'd1'"),
                global(3, "*", "notify_data.header.product_id = 'p' AND notify_data.header.device_id = 'd2'"),
                global(4, "*", "notify_data.header.device_id = 'd1' OR notify_data.header.product_id = 'p'"),
            ],
        );
        let a = app("a");
        let taken = |device, product, value| with_report(device, product, value, |event| targets(&table, &a, event));
        assert_eq!(taken("d1", "q", 6), [1, 2, 4]);
        assert_eq!(taken("d2", "p", 5), [3, 4]);
        assert_eq!(taken("d2", "q", 5), [] as [i64; 0]);
        let made = with_report("d1", "q", 6, |event| table.deliveries(&a, Some(DeviceNo(7)), event));
        let of = |target| made.iter().find(|d| d.target == target).expect("a delivery");
        assert_eq!(&*of(2).body, r#"{"id":"d1"}"#);
        assert!(Arc::ptr_eq(&of(1).body, &of(4).body), "the whole text is shared");
        assert!(made.iter().all(|d| d.device == Some(DeviceNo(7)) && d.at == AT));
    }

    #[test]
    fn one_delivery_for_each_action() {
        let mut twice = global(1, "*", "");
        twice.actions.push(twice.actions[0].clone());
        let table = RouteTable::new(Vec::new(), &[twice]);
        assert_eq!(with_report("d", "p", 1, |event| targets(&table, &app("a"), event)), [1, 1]);
    }

    #[test]
    fn many_rules_that_ask_for_a_text_are_looked_up() {
        let rules: Vec<ActiveRoute> = (1..=1000)
            .map(|n| {
                let filter = format!("notify_data.header.app_id = 'a' AND notify_data.header.device_id = 'd{n}'");
                global(n, "*", &filter)
            })
            .chain([global(1001, "*", "notify_data.body.services[0].properties.value = 9")])
            .collect();
        let table = RouteTable::new(Vec::new(), &rules);
        let asked = |device: &str| {
            with_report(device, "p", 1, |event| {
                let mut asked = 0;
                table.global.get(event.subject).expect("rules").each(event, |_| asked += 1);
                asked
            })
        };
        assert_eq!((asked("d7"), asked("d0")), (2, 1), "of a thousand only those that may match");
        assert_eq!(with_report("d7", "p", 1, |event| targets(&table, &app("a"), event)), [7]);
        assert_eq!(with_report("d0", "p", 9, |event| targets(&table, &app("a"), event)), [1001]);
    }

    #[test]
    fn a_rule_that_cannot_be_compiled_takes_nothing() {
        let table = RouteTable::new(Vec::new(), &[global(1, "*", "nonsense ="), global(2, "*", "")]);
        assert_eq!(with_report("d", "p", 1, |event| targets(&table, &app("a"), event)), [2]);
    }
}
