//! Tags, groups and searches. What a search finds is compared with what the model says of each device.

use std::sync::Arc;

use causeway_model::group::{Group, GroupFilter, GroupKind, GroupLimits};
use causeway_model::registry::{Device, PageRequest};
use causeway_model::search::{
    Condition, DeviceQuery, DynamicGroup, Filter, NumberField, NumberTest, TagTest, TextField, TextTest,
};
use causeway_model::status::DeviceStatus;
use causeway_model::tag::{Tag, TagQuery};
use causeway_model::{Code, DeviceNo, GroupId, RecordNo, Spaces};
use causeway_platform::Store;

use crate::fixture::{add_child, add_device, app, at, commit, device, product, refused, seed, seed_device, status};
use crate::place::Place;

const LIMITS: GroupLimits = GroupLimits { groups: 100, depth: 5, devices: 100, of_device: 10 };
const ALL: PageRequest = PageRequest { marker: RecordNo::LAST, offset: 0, limit: 1000 };

fn tag(key: &str, value: &str) -> Tag {
    Tag { key: key.to_owned(), value: value.to_owned() }
}

fn group(of: &Device, name: &str, above: Option<&Group>) -> Group {
    Group {
        no: RecordNo(0),
        app_id: of.app_id.clone(),
        id: GroupId::trusted(format!("id-of-{name}")),
        name: name.to_owned(),
        description: None,
        super_group_id: above.map(|g| g.id.clone()),
        kind: GroupKind::Static,
        modified_at: at(0),
    }
}

async fn tags_of(store: &dyn Store, device: DeviceNo) -> Vec<Tag> {
    store.device_by_no(device).await.expect("an answer").expect("the device").tags
}

pub(crate) async fn tags_are_bound_and_unbound(place: Arc<Place>) {
    let store = place.open().await;
    let store = &*store;
    let no = seed_device(store).await.no;
    assert_eq!(tags_of(store, no).await, []);
    store.put_tags(no, &[tag("b", "1"), tag("a", "\"'\\温")], 3).await.expect("bound");
    store.put_tags(no, &[tag("b", "")], 3).await.expect("overwritten");
    assert_eq!(tags_of(store, no).await, [tag("a", "\"'\\温"), tag("b", "")]);
    refused(store.put_tags(no, &[tag("c", "1"), tag("d", "1")], 3).await, Code::TooManyTags);
    refused(store.remove_tags(no, &["a".to_owned(), "z".to_owned()]).await, Code::TagNotFound);
    assert_eq!(tags_of(store, no).await.len(), 2, "a refused call changes nothing");
    store.remove_tags(no, &["a".to_owned()]).await.expect("unbound");
    assert_eq!(tags_of(store, no).await, [tag("b", "")]);
    refused(store.put_tags(DeviceNo(9999), &[tag("a", "")], 3).await, Code::DeviceNotFound);
}

pub(crate) async fn devices_are_found_by_tags(place: Arc<Place>) {
    let store = place.open().await;
    let store = &*store;
    let (app_1, product_1) = seed(store).await;
    let app_2 = store.insert_app(app("app-2"), 10).await.expect("another space");
    let product_2 = store.insert_product(product(&app_2, "product-2")).await.expect("another product");
    let mut ids = Vec::new();
    for n in 0..6 {
        let made = add_device(store, if n == 5 { &product_2 } else { &product_1 }, &format!("d{n}")).await;
        store
            .put_tags(made.no, &[tag("all", &n.to_string()), tag(&format!("k{}", n % 2), "v")], 10)
            .await
            .expect("bound");
        ids.push(made.id);
    }
    let query = |key: &str, value: Option<&str>| TagQuery { key: key.to_owned(), value: value.map(str::to_owned) };
    let find = async |spaces: &Spaces, tags: &[TagQuery], page: PageRequest| {
        let found = store.devices_with_tags(spaces, tags, page).await.expect("a page");
        (found.items.iter().map(|(_, id)| id.to_string()).collect::<Vec<_>>(), found.count, found.marker)
    };
    let every = Spaces::All;
    assert_eq!(find(&every, &[query("all", None)], ALL).await.0, ["d5", "d4", "d3", "d2", "d1", "d0"]);
    assert_eq!(find(&every, &[query("all", Some("3"))], ALL).await.0, ["d3"]);
    assert_eq!(find(&every, &[query("all", Some("v"))], ALL).await.1, 0);
    let both = [query("k0", Some("v")), query("all", Some("1")), query("all", Some("2"))];
    assert_eq!(find(&every, &both, ALL).await.0, ["d4", "d2", "d1", "d0"]);
    assert_eq!(find(&Spaces::one(app_1.id), &[query("all", None)], ALL).await.1, 5);
    assert_eq!(find(&Spaces::Only(Arc::from([])), &both, ALL).await.1, 0);
    let (first, count, marker) = find(&every, &both, PageRequest { limit: 3, ..ALL }).await;
    assert_eq!((first, count), (vec!["d4".to_owned(), "d2".to_owned(), "d1".to_owned()], 4));
    assert_eq!(find(&every, &both, PageRequest { marker, ..ALL }).await.0, ["d0"]);
    assert_eq!(find(&every, &both, PageRequest { offset: 2, limit: 1, ..ALL }).await.0, ["d1"]);
}

pub(crate) async fn groups_are_kept_and_limited(place: Arc<Place>) {
    let store = place.open().await;
    let store = &*store;
    let of = seed_device(store).await;
    let top = store.insert_group(group(&of, "top", None), LIMITS).await.expect("a group");
    assert_eq!(store.group(&top.id).await.expect("an answer"), Some(top.clone()));
    refused(store.insert_group(group(&of, "top", None), LIMITS).await, Code::GroupExists);
    let mut below = top.clone();
    for n in 2..=5 {
        below = store.insert_group(group(&of, &format!("level {n}"), Some(&below)), LIMITS).await.expect("a group");
        assert!(below.super_group_id.is_some());
    }
    refused(store.insert_group(group(&of, "level 6", Some(&below)), LIMITS).await, Code::GroupTooDeep);
    let few = GroupLimits { groups: 5, ..LIMITS };
    refused(store.insert_group(group(&of, "one more", None), few).await, Code::TooManyGroups);
    let dynamic = Group { kind: GroupKind::Dynamic("status='ONLINE'".to_owned()), ..group(&of, "dynamic", None) };
    let dynamic = store.insert_group(dynamic, LIMITS).await.expect("a dynamic group");
    refused(store.insert_group(group(&of, "x", Some(&dynamic)), LIMITS).await, Code::InvalidGroup);
    let nowhere = Group { super_group_id: Some(GroupId::trusted("nowhere")), ..group(&of, "x", None) };
    refused(store.insert_group(nowhere, LIMITS).await, Code::InvalidGroup);
    assert_eq!(store.dynamic_groups(&Spaces::All).await.expect("a list"), std::slice::from_ref(&dynamic));

    let renamed = Group { name: "dynamic".to_owned(), ..top.clone() };
    refused(store.update_group(&renamed).await, Code::GroupExists);
    let renamed =
        Group { name: "peak".to_owned(), description: Some("说明".to_owned()), modified_at: at(9), ..top.clone() };
    assert!(store.update_group(&renamed).await.expect("updated"));
    assert_eq!(store.group(&top.id).await.expect("an answer"), Some(renamed));

    let list = async |filter: GroupFilter| {
        let page = store.list_groups(&filter, PageRequest { limit: 50, ..ALL }).await.expect("a page");
        assert_eq!(page.count, page.items.len() as u64);
        page.items.into_iter().map(|g| g.name).collect::<Vec<_>>()
    };
    let none = GroupFilter::default;
    assert_eq!(list(none()).await, ["dynamic", "level 5", "level 4", "level 3", "level 2", "peak"]);
    assert_eq!(list(GroupFilter { dynamic: Some(true), ..none() }).await, ["dynamic"]);
    assert_eq!(list(GroupFilter { dynamic: Some(false), name: Some("l 3".to_owned()), ..none() }).await, ["level 3"]);
    assert_eq!(list(GroupFilter { modified_after: Some(at(8)), ..none() }).await, ["peak"]);
    assert_eq!(list(GroupFilter { spaces: Spaces::Only(Arc::from([])), ..none() }).await, [""; 0]);

    refused(store.delete_group(top.no).await, Code::GroupInUse);
    assert!(store.delete_group(below.no).await.expect("deleted"));
    assert!(!store.delete_group(below.no).await.expect("an answer"));
    assert!(store.delete_app(&of.app_id).await.expect("the space goes"));
    assert_eq!(list(none()).await, [""; 0]);
}

pub(crate) async fn devices_come_into_groups_and_go(place: Arc<Place>) {
    let store = place.open().await;
    let store = &*store;
    let (_, product) = seed(store).await;
    let [a, b, c] = [
        add_device(store, &product, "a").await,
        add_device(store, &product, "b").await,
        add_device(store, &product, "c").await,
    ];
    let two = GroupLimits { devices: 2, of_device: 2, ..LIMITS };
    let one = store.insert_group(group(&a, "one", None), LIMITS).await.expect("a group");
    for device in [&a, &b, &b] {
        store.add_to_group(one.no, device.no, two, at(1)).await.expect("added, once or twice");
    }
    refused(store.add_to_group(one.no, c.no, two, at(1)).await, Code::GroupFull);
    refused(store.delete_group(one.no).await, Code::GroupInUse);
    let other = store.insert_group(group(&a, "other", None), LIMITS).await.expect("a group");
    let third = store.insert_group(group(&a, "third", None), LIMITS).await.expect("a group");
    store.add_to_group(other.no, a.no, two, at(1)).await.expect("added");
    refused(store.add_to_group(third.no, a.no, two, at(1)).await, Code::TooManyGroupsOfDevice);
    refused(store.add_to_group(third.no, DeviceNo(9999), two, at(1)).await, Code::DeviceNotFound);
    refused(store.add_to_group(RecordNo(9999), c.no, two, at(1)).await, Code::GroupNotFound);
    let names = async |devices: &[DeviceNo]| {
        let found = store.groups_of_devices(devices).await.expect("groups");
        found.into_iter().map(|(no, g)| (no, g.name)).collect::<Vec<_>>()
    };
    let expected = [(a.no, "other".to_owned()), (a.no, "one".to_owned()), (b.no, "one".to_owned())];
    assert_eq!(names(&[a.no, b.no, c.no]).await, expected);
    assert!(store.remove_from_group(one.no, a.no).await.expect("out"));
    assert!(!store.remove_from_group(one.no, a.no).await.expect("an answer"));
    assert!(store.delete_device(b.no).await.expect("deleted"));
    assert_eq!(names(&[a.no, b.no, c.no]).await, [(a.no, "other".to_owned())]);
    assert!(store.delete_group(one.no).await.expect("its devices are gone"));
}

pub(crate) async fn limits_hold_against_concurrent_callers(place: Arc<Place>) {
    let store = place.open().await;
    let (_, product) = seed(&*store).await;
    let first = add_device(&*store, &product, "d0").await;
    let into = store.insert_group(group(&first, "g", None), LIMITS).await.expect("a group");
    let few = GroupLimits { devices: 5, ..LIMITS };
    let mut tasks = Vec::new();
    for n in 1..=12 {
        let (no, store, into) = (add_device(&*store, &product, &format!("d{n}")).await.no, store.clone(), into.no);
        let tagged = first.no;
        tasks.push(tokio::spawn(async move {
            let tags = [tag(&format!("key{n}"), "")];
            (store.add_to_group(into, no, few, at(1)).await.is_ok(), store.put_tags(tagged, &tags, 4).await.is_ok())
        }));
    }
    let (mut added, mut bound) = (0, 0);
    for task in tasks {
        let (a, b) = task.await.expect("a task");
        added += usize::from(a);
        bound += usize::from(b);
    }
    assert_eq!((added, bound), (5, 4));
    assert_eq!(tags_of(&*store, first.no).await.len(), 4);
}

pub(crate) async fn a_device_moves_to_another_gateway(place: Arc<Place>) {
    let store = place.open().await;
    let store = &*store;
    let (_, product) = seed(store).await;
    let [one, other] = [add_device(store, &product, "one").await, add_device(store, &product, "other").await];
    let child = add_child(store, &product, &one, "child").await;
    let below = add_child(store, &product, &child, "below").await;
    refused(store.set_gateway(child.no, other.no).await, Code::DeviceHasChildren);
    assert!(store.set_gateway(below.no, other.no).await.expect("moved"));
    assert!(store.set_gateway(child.no, other.no).await.expect("moved"));
    for no in [child.no, below.no] {
        let moved = store.device_by_no(no).await.expect("an answer").expect("the device");
        assert_eq!(moved.gateway_id, Some(other.id.clone()));
    }
    refused(store.set_gateway(child.no, DeviceNo(9999)).await, Code::InvalidGateway);
    assert!(!store.set_gateway(DeviceNo(9999), one.no).await.expect("an answer"));
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.roll(words.len())]
    }
}

const NAMES: [&str; 6] = ["room", "room-1", "Room-1", "厨房温度计1", "厨房温度计2", "it's; --"];
const KEYS: [&str; 4] = ["floor", "floor-2", "楼层", "zone"];
const VALUES: [&str; 4] = ["1", "2", "east", "east-2"];

/// Some sixty devices that differ in everything that can be asked for.
async fn fleet(store: &dyn Store, dice: &mut Dice) -> (Vec<Device>, Vec<Group>) {
    let (_, product_1) = seed(store).await;
    let app_2 = store.insert_app(app("app-2"), 10).await.expect("another space");
    let product_2 = store.insert_product(product(&app_2, "product-2")).await.expect("another product");
    let mut numbers: Vec<(DeviceNo, usize)> = Vec::new();
    let mut gateways: [Vec<Device>; 2] = [Vec::new(), Vec::new()];
    for n in 0..60 {
        let space = dice.roll(2);
        let mut new = device([&product_1, &product_2][space], &format!("d{n}"));
        new.name = (dice.roll(4) > 0).then(|| dice.pick(&NAMES).to_owned());
        new.fw_version = (dice.roll(2) > 0).then(|| dice.pick(&["v1.0", "v2"]).to_owned());
        new.sw_version = (dice.roll(3) > 0).then(|| dice.pick(&["v1.0", "v2"]).to_owned());
        new.created_at = at(dice.roll(20) as i64 * 1000);
        if dice.roll(2) > 0 && !gateways[space].is_empty() {
            new.gateway_id = Some(gateways[space][dice.roll(gateways[space].len())].id.clone());
        }
        let made = store.insert_device(new, Vec::new()).await.expect("a device");
        if made.gateway_id.is_none() && gateways[space].len() < 4 {
            gateways[space].push(made.clone());
        }
        let mut tags: Vec<Tag> = Vec::new();
        for key in KEYS {
            if dice.roll(3) == 0 {
                tags.push(tag(key, dice.pick(&VALUES)));
            }
        }
        if !tags.is_empty() {
            store.put_tags(made.no, &tags, 10).await.expect("tags");
        }
        if dice.roll(3) == 0 {
            let word = [DeviceStatus::Online, DeviceStatus::Offline, DeviceStatus::Abnormal][dice.roll(3)];
            commit(store, vec![status(made.no, word, 5)]).await;
        }
        if dice.roll(6) == 0 {
            store.set_frozen(made.no, true).await.expect("frozen");
        }
        numbers.push((made.no, space));
    }
    let mut devices = Vec::new();
    for (no, _) in &numbers {
        devices.push(store.device_by_no(*no).await.expect("an answer").expect("a device"));
    }
    let mut groups = Vec::new();
    for (n, owner) in [0, 0, 1].into_iter().enumerate() {
        let of = devices.iter().zip(&numbers).find(|(_, (_, s))| *s == owner).expect("a device of the space").0;
        let made = store.insert_group(group(of, &format!("g{n}"), None), LIMITS).await.expect("a group");
        for device in devices.iter().filter(|d| d.app_id == made.app_id) {
            if dice.roll(3) == 0 {
                store.add_to_group(made.no, device.no, LIMITS, at(1)).await.expect("added");
            }
        }
        groups.push(made);
    }
    (devices, groups)
}

fn text_test(dice: &mut Dice, words: &[&str], may_start: bool) -> TextTest {
    let some = |dice: &mut Dice| (0..=dice.roll(2)).map(|_| dice.pick(words).to_owned()).collect();
    match dice.roll(if may_start { 3 } else { 2 }) {
        0 => TextTest::OneOf(some(dice)),
        1 => TextTest::NoneOf(some(dice)),
        _ => {
            let word = dice.pick(words);
            TextTest::Starts(word.chars().take(1 + dice.roll(5)).collect())
        }
    }
}

fn condition(dice: &mut Dice, devices: &[Device], groups: bool) -> Condition {
    let sample = devices[dice.roll(devices.len())].clone();
    let other = devices[dice.roll(devices.len())].clone();
    match dice.roll(if groups { 16 } else { 14 }) {
        0 => Condition::Text(TextField::AppId, text_test(dice, &["app-1", "app-2", "nope"], false)),
        1 => Condition::Text(TextField::DeviceId, text_test(dice, &[sample.id.as_str(), other.id.as_str()], false)),
        2 => {
            let above = sample.gateway_id.as_ref().unwrap_or(&sample.id).as_str();
            Condition::Text(TextField::GatewayId, text_test(dice, &[above, other.id.as_str(), "nope"], false))
        }
        3 => Condition::Text(TextField::ProductId, text_test(dice, &["product-1", "product-2"], false)),
        4 | 5 => Condition::Text(TextField::DeviceName, text_test(dice, &NAMES, true)),
        6 => Condition::Text(TextField::NodeId, text_test(dice, &[sample.node_id.as_str(), "node-d1"], true)),
        7 => {
            let words = ["ONLINE", "OFFLINE", "ABNORMAL", "INACTIVE", "FROZEN"];
            Condition::Text(TextField::Status, text_test(dice, &words, false))
        }
        8 => Condition::Text(TextField::NodeType, text_test(dice, &["GATEWAY", "ENDPOINT"], false)),
        9 => Condition::Text(TextField::SwVersion, text_test(dice, &["v1.0", "v2", "v3"], false)),
        10 => Condition::Text(TextField::FwVersion, text_test(dice, &["v1.0", "v2", "v3"], false)),
        n @ (11 | 12) => {
            let (field, number) = if n == 11 {
                (NumberField::CreateTime, sample.created_at.0)
            } else {
                (NumberField::Marker, sample.no.0)
            };
            Condition::Number(
                field,
                match dice.roll(4) {
                    0 => NumberTest::OneOf(vec![number, number + 1]),
                    1 => NumberTest::NoneOf(vec![number]),
                    2 => NumberTest::Above(number),
                    _ => NumberTest::Below(number),
                },
            )
        }
        13 => {
            let which = dice.roll(3);
            let key = (which != 1).then(|| text_test(dice, &KEYS, true));
            let value = (which != 0).then(|| text_test(dice, &VALUES, true));
            Condition::Tag(TagTest { key, value })
        }
        _ => {
            let ids = ["id-of-g0", "id-of-g1", "id-of-g2", "dynamic-0", "dynamic-1", "nope"];
            let ids = (0..=dice.roll(3)).map(|_| dice.pick(&ids).to_owned()).collect();
            Condition::Group { ids, within: dice.roll(2) == 0 }
        }
    }
}

fn filter(dice: &mut Dice, devices: &[Device], groups: bool) -> Filter {
    let alternatives = [1, 1, 2, 3][dice.roll(4)];
    Filter((0..alternatives).map(|_| (0..=dice.roll(3)).map(|_| condition(dice, devices, groups)).collect()).collect())
}

pub(crate) async fn searches_agree_with_the_model(place: Arc<Place>) {
    let store = place.open().await;
    let store = &*store;
    let mut dice = Dice(7);
    let (devices, groups) = fleet(store, &mut dice).await;
    let mut members: Vec<(DeviceNo, String)> = Vec::new();
    let numbers: Vec<DeviceNo> = devices.iter().map(|d| d.no).collect();
    for (no, group) in store.groups_of_devices(&numbers).await.expect("groups") {
        members.push((no, group.id.to_string()));
    }
    let mut matched = 0;
    for round in 0..1500 {
        let dynamic: Vec<DynamicGroup> = (0..2)
            .map(|n| DynamicGroup {
                id: format!("dynamic-{n}"),
                app_id: groups[n + 1].app_id.clone(),
                rule: filter(&mut dice, &devices, false),
            })
            .collect();
        let spaces = match dice.roll(4) {
            0 => Spaces::one(devices[dice.roll(devices.len())].app_id.clone()),
            _ => Spaces::All,
        };
        let query = DeviceQuery { spaces, filter: filter(&mut dice, &devices, true), dynamic };
        let accepted = |device: &Device| {
            let is_in = |id: &str| match query.dynamic.iter().find(|g| g.id == id) {
                Some(group) => group.app_id == device.app_id && group.rule.accepts(device, |_| false),
                None => members.iter().any(|(no, group)| *no == device.no && group == id),
            };
            query.spaces.sees(&device.app_id) && query.filter.accepts(device, is_in)
        };
        let mut expected: Vec<DeviceNo> = devices.iter().filter(|d| accepted(d)).map(|d| d.no).collect();
        expected.sort_unstable();
        let up = store.find_devices(&query, true, ALL).await.expect("an answer");
        let found: Vec<DeviceNo> = up.iter().map(|d| d.no).collect();
        assert_eq!(found, expected, "round {round}: {query:?}");
        assert_eq!(store.count_devices(&query).await.expect("a count"), expected.len() as u64, "{query:?}");
        let down = store.device_ids(&query, RecordNo::LAST, 1000).await.expect("ids");
        assert!(down.iter().rev().map(|(no, _)| *no).eq(expected.iter().copied()), "{query:?}");
        if let [first, .., last] = expected[..] {
            matched += 1;
            let page = PageRequest { marker: last.into(), offset: 0, limit: 1 };
            let next = store.find_devices(&query, false, page).await.expect("a page");
            assert_eq!(next[0].no, expected[expected.len() - 2], "{query:?}");
            let end = store.device_ids(&query, first.into(), 10).await.expect("ids");
            assert!(end.is_empty(), "{query:?}");
        }
    }
    assert!(matched > 300, "{matched} searches found something");
}
