//! Device policies.

use std::sync::Arc;

use causeway_model::policy::{
    BoundTarget, DEFAULT_NAME, DevicePolicy, Effect, PolicyFilter, PolicyTarget, Statement, TargetKind, TopicAction,
};
use causeway_model::registry::{App, PageRequest};
use causeway_model::{Code, DeviceNo, RecordNo, Spaces};
use causeway_platform::Store;

use crate::fixture::{T0, add_device, app, at, product, refused, seed};
use crate::place::Place;

fn policy(app: &App, id: &str) -> DevicePolicy {
    DevicePolicy {
        no: RecordNo(0),
        app_id: app.id.clone(),
        id: id.to_owned(),
        name: format!("policy {id}"),
        statements: vec![Statement {
            effect: Effect::Deny,
            actions: vec![TopicAction::Subscribe],
            resources: vec!["topic:/v1/${devices.deviceId}/*".to_owned()],
        }],
        created_at: T0,
        updated_at: at(1),
    }
}

const ALL: PageRequest = PageRequest { marker: RecordNo::LAST, offset: 0, limit: 50 };

async fn names(store: &dyn Store, filter: &PolicyFilter, page: PageRequest) -> (Vec<String>, u64) {
    let found = store.list_policies(filter, page).await.expect("policies");
    (found.items.into_iter().map(|p| p.id).collect(), found.count)
}

pub(crate) async fn a_policy_is_kept_whole(place: Arc<Place>) {
    let store = place.open().await;
    let (space, _) = seed(&*store).await;
    let made = store.insert_policy(policy(&space, "p1"), 5).await.expect("a policy");
    assert_eq!(made, DevicePolicy { no: made.no, ..policy(&space, "p1") });
    assert_eq!(store.policy("p1").await.expect("an answer"), Some(made.clone()));
    assert_eq!(store.policy("p2").await.expect("an answer"), None);
    let changed = DevicePolicy { name: "new".to_owned(), statements: Vec::new(), updated_at: at(9), ..made };
    assert!(store.update_policy(&changed).await.expect("an answer"));
    assert_eq!(store.policy("p1").await.expect("an answer"), Some(changed.clone()));
    assert!(store.delete_policy(changed.no).await.expect("an answer"));
    assert!(!store.delete_policy(changed.no).await.expect("an answer"));
    assert!(!store.update_policy(&changed).await.expect("an answer"));
    refused(store.insert_policy(policy(&app("nowhere"), "p3"), 5).await, Code::AppNotFound);
}

pub(crate) async fn a_space_is_born_with_an_open_policy(place: Arc<Place>) {
    let store = place.open().await;
    let (space, _) = seed(&*store).await;
    let found = store.list_policies(&PolicyFilter::default(), ALL).await.expect("policies");
    assert_eq!(found.count, 1);
    let born = &found.items[0];
    assert_eq!((born.name.as_str(), &born.app_id, born.created_at), (DEFAULT_NAME, &space.id, T0));
    assert_eq!(born.id.len(), 24);
    assert_eq!(born.statements[0].resources, ["topic:*"]);
    assert_eq!(born.statements[0].actions, [TopicAction::Publish, TopicAction::Subscribe]);
    let in_force = store.policies_in_force().await.expect("policies");
    assert_eq!(in_force.apps, [(born.no, space.id.clone())]);
    // It does not count towards the limit, and goes with its space.
    store.insert_policy(policy(&space, "p1"), 1).await.expect("a policy");
    refused(store.insert_policy(policy(&space, "p2"), 1).await, Code::TooManyPolicies);
    assert!(store.delete_app(&space.id).await.expect("an answer"));
    assert_eq!(store.list_policies(&PolicyFilter::default(), ALL).await.expect("policies").count, 0);
    assert!(store.policies_in_force().await.expect("policies").apps.is_empty());
}

pub(crate) async fn lists_are_filtered_and_paged(place: Arc<Place>) {
    let store = place.open().await;
    let (first, _) = seed(&*store).await;
    let second = store.insert_app(app("app-2"), 10).await.expect("a space");
    for born in store.list_policies(&PolicyFilter::default(), ALL).await.expect("policies").items {
        store.delete_policy(born.no).await.expect("an answer");
    }
    for (space, id) in [(&first, "p1"), (&second, "p2"), (&first, "p3"), (&first, "p4")] {
        store.insert_policy(policy(space, id), 50).await.expect("a policy");
    }
    let of = |spaces, name: Option<&str>| PolicyFilter { spaces, name: name.map(str::to_owned) };
    let all = PolicyFilter::default();
    assert_eq!(names(&*store, &all, ALL).await, (vec!["p4".into(), "p3".into(), "p2".into(), "p1".into()], 4));
    assert_eq!(names(&*store, &of(Spaces::one(second.id.clone()), None), ALL).await, (vec!["p2".into()], 1));
    assert_eq!(names(&*store, &of(Spaces::Only(Arc::from([])), None), ALL).await, (vec![], 0));
    assert_eq!(names(&*store, &of(Spaces::All, Some("y p3")), ALL).await, (vec!["p3".into()], 1));
    assert_eq!(names(&*store, &of(Spaces::All, Some("%")), ALL).await, (vec![], 0));
    let page = store.list_policies(&all, PageRequest { limit: 2, ..ALL }).await.expect("a page");
    let next = PageRequest { marker: page.marker, offset: 1, limit: 2 };
    assert_eq!(names(&*store, &all, next).await, (vec!["p1".into()], 4));
}

pub(crate) async fn bindings(place: Arc<Place>) {
    let store = place.open().await;
    let (space, product_1) = seed(&*store).await;
    let device = add_device(&*store, &product_1, "d1").await;
    let other = add_device(&*store, &product_1, "d2").await;
    let policy_1 = store.insert_policy(policy(&space, "p1"), 5).await.expect("a policy").no;
    let targets = vec![
        PolicyTarget::Device(device.no),
        PolicyTarget::Product(product_1.no),
        PolicyTarget::App(space.id.clone()),
        PolicyTarget::Device(DeviceNo(999)),
        PolicyTarget::Device(device.no),
    ];
    let codes = |outcomes: Vec<causeway_model::Result<()>>| {
        outcomes.into_iter().map(|o| o.err().map(|e| e.code())).collect::<Vec<_>>()
    };
    let outcome = store.bind_policy(policy_1, targets.clone(), 5).await.expect("an answer");
    assert_eq!(codes(outcome), [None, None, None, Some(Code::DeviceNotFound), None]);
    refused(store.bind_policy(RecordNo(999), targets, 5).await, Code::PolicyNotFound);

    let found = store.policy_targets(policy_1, None, ALL).await.expect("targets");
    let listed: Vec<_> = found.items.iter().map(|t| (t.kind, t.id.as_str())).collect();
    assert_eq!(
        (listed, found.count),
        (vec![(TargetKind::App, "app-1"), (TargetKind::Product, "product-1"), (TargetKind::Device, "d1")], 3)
    );
    let next = PageRequest { marker: found.items[0].no, offset: 1, limit: 5 };
    let page = store.policy_targets(policy_1, None, next).await.expect("targets");
    assert_eq!(page.items.iter().map(|t| t.id.as_str()).collect::<Vec<_>>(), ["d1"]);
    let devices = store.policy_targets(policy_1, Some(TargetKind::Device), ALL).await.expect("targets");
    assert!(matches!(&devices.items[..], [BoundTarget { kind: TargetKind::Device, .. }]) && devices.count == 1);

    let in_force = store.policies_in_force().await.expect("policies");
    assert_eq!(in_force.products, [(policy_1, product_1.no)]);
    assert!(in_force.has_devices && in_force.apps.contains(&(policy_1, space.id.clone())));
    assert_eq!(store.policies_of_device(device.no).await.expect("policies"), [policy_1]);
    assert!(store.policies_of_device(other.no).await.expect("policies").is_empty());

    // One device takes no more than the limit; binding again is no new binding.
    let policy_2 = store.insert_policy(policy(&space, "p2"), 5).await.expect("a policy").no;
    let one = || vec![PolicyTarget::Device(device.no)];
    assert_eq!(codes(store.bind_policy(policy_2, one(), 1).await.expect("an answer")), [Some(Code::PolicyTargetLimit)]);
    assert_eq!(codes(store.bind_policy(policy_1, one(), 1).await.expect("an answer")), [None]);
    assert_eq!(store.unbind_policy(policy_2, one()).await.expect("an answer"), [false]);
    let all =
        vec![PolicyTarget::App(space.id.clone()), PolicyTarget::Device(device.no), PolicyTarget::Device(other.no)];
    assert_eq!(store.unbind_policy(policy_1, all).await.expect("an answer"), [true, true, false]);
    assert!(!store.policies_in_force().await.expect("policies").has_devices);
}

pub(crate) async fn bindings_go_with_what_they_bind(place: Arc<Place>) {
    let store = place.open().await;
    let (space, product_1) = seed(&*store).await;
    let product_2 = store.insert_product(product(&space, "product-2")).await.expect("a product");
    let device = add_device(&*store, &product_1, "d1").await;
    let no = store.insert_policy(policy(&space, "p1"), 5).await.expect("a policy").no;
    let targets = vec![PolicyTarget::Device(device.no), PolicyTarget::Product(product_2.no)];
    store.bind_policy(no, targets, 5).await.expect("an answer");
    assert!(store.delete_device(device.no).await.expect("an answer"));
    assert!(store.delete_product(product_2.no).await.expect("an answer"));
    assert_eq!(store.policy_targets(no, None, ALL).await.expect("targets").count, 0);
    let device = add_device(&*store, &product_1, "d2").await;
    store.bind_policy(no, vec![PolicyTarget::Device(device.no)], 5).await.expect("an answer");
    assert!(store.delete_policy(no).await.expect("an answer"));
    assert!(store.policies_of_device(device.no).await.expect("policies").is_empty());
}
