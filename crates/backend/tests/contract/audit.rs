//! The audit log.

use std::sync::Arc;

use causeway_model::audit::{AuditFilter, AuditLevel, AuditRecord};
use causeway_model::registry::PageRequest;
use causeway_model::{AppId, RecordNo, Spaces};
use causeway_platform::Store;
use causeway_platform::audit::DISORDER_MS;

use crate::fixture::{T0, at};
use crate::place::Place;

fn record(request: &str, ms: i64) -> AuditRecord {
    AuditRecord {
        no: RecordNo(0),
        at: at(ms),
        user_id: Some("u1".to_owned()),
        user_name: Some("anna".to_owned()),
        credential: Some("AK1".to_owned()),
        operation: "add_device".to_owned(),
        event: "addDevice".to_owned(),
        resource_type: "device".to_owned(),
        resource_id: Some("d1".to_owned()),
        app_id: Some(AppId::trusted("a1")),
        status: 201,
        error_code: None,
        level: AuditLevel::Normal,
        address: Some("2001:db8::1".to_owned()),
        request_id: request.to_owned(),
    }
}

fn everything() -> AuditFilter {
    AuditFilter {
        spaces: Spaces::All,
        resource_type: None,
        resource_id: None,
        user: None,
        level: None,
        operation: None,
        from: T0,
        to: at(1_000_000_000),
    }
}

const ALL: PageRequest = PageRequest { marker: RecordNo::LAST, offset: 0, limit: 50 };

async fn found(store: &dyn Store, filter: AuditFilter) -> Vec<String> {
    let page = store.audit_records(&filter, ALL).await.expect("records");
    assert_eq!(page.count, page.items.len() as u64);
    page.items.into_iter().map(|r| r.request_id).collect()
}

pub(crate) async fn a_record_is_kept_whole(place: Arc<Place>) {
    let store = place.open().await;
    let bare = AuditRecord {
        user_id: None,
        user_name: None,
        credential: None,
        resource_id: None,
        app_id: None,
        status: 503,
        error_code: Some("IOTDA.000025".to_owned()),
        level: AuditLevel::Incident,
        address: None,
        ..record("bare", 1)
    };
    store.insert_audit(vec![record("whole", 0), bare.clone()]).await.expect("kept");
    let page = store.audit_records(&everything(), ALL).await.expect("records");
    let [second, first] = &page.items[..] else { panic!("two records: {page:?}") };
    assert!(first.no < second.no);
    assert_eq!(*first, AuditRecord { no: first.no, ..record("whole", 0) });
    assert_eq!(*second, AuditRecord { no: second.no, ..bare });
}

pub(crate) async fn records_are_filtered(place: Arc<Place>) {
    let store = place.open().await;
    let of = |request: &str, change: fn(&mut AuditRecord)| {
        let mut record = record(request, 0);
        change(&mut record);
        record
    };
    store
        .insert_audit(vec![
            of("plain", |_| {}),
            of("rule", |r| r.resource_type = "rule".to_owned()),
            of("d2", |r| r.resource_id = Some("d2".to_owned())),
            of("user", |r| r.user_id = Some("u2".to_owned())),
            of("name", |r| r.user_name = Some("u2".to_owned())),
            of("warning", |r| r.level = AuditLevel::Warning),
            of("command", |r| r.operation = "create_command".to_owned()),
            of("event", |r| r.event = "create_command".to_owned()),
            of("a2", |r| r.app_id = Some(AppId::trusted("a2"))),
            of("no space", |r| r.app_id = None),
        ])
        .await
        .expect("kept");
    let some = |text: &str| Some(text.to_owned());
    let all = everything();
    assert_eq!(found(&*store, all.clone()).await.len(), 10);
    assert_eq!(found(&*store, AuditFilter { resource_type: some("rule"), ..all.clone() }).await, ["rule"]);
    assert_eq!(found(&*store, AuditFilter { resource_id: some("d2"), ..all.clone() }).await, ["d2"]);
    assert_eq!(found(&*store, AuditFilter { user: some("u2"), ..all.clone() }).await, ["name", "user"]);
    assert_eq!(found(&*store, AuditFilter { level: Some(AuditLevel::Warning), ..all.clone() }).await, ["warning"]);
    let commands = AuditFilter { operation: some("create_command"), ..all.clone() };
    assert_eq!(found(&*store, commands).await, ["event", "command"]);
    let of_spaces = |spaces| AuditFilter { spaces, ..all.clone() };
    assert_eq!(found(&*store, of_spaces(Spaces::one(AppId::trusted("a2")))).await, ["a2"]);
    assert_eq!(found(&*store, of_spaces(Spaces::Only(Arc::from([])))).await.len(), 0);
    let none = AuditFilter { resource_id: some("d2"), level: Some(AuditLevel::Incident), ..all };
    assert_eq!(found(&*store, none).await.len(), 0);
}

pub(crate) async fn ranges_and_pages(place: Arc<Place>) {
    let store = place.open().await;
    // Hours apart, and a little out of order, as several calls under way leave them.
    let hour = 3_600_000;
    for (request, ms) in [("a", 0), ("c", 10 * hour + 5), ("b", 10 * hour), ("d", 20 * hour), ("e", 30 * hour)] {
        store.insert_audit(vec![record(request, ms)]).await.expect("kept");
    }
    assert!(hour <= DISORDER_MS);
    let between = |from, to| AuditFilter { from: at(from), to: at(to), ..everything() };
    assert_eq!(found(&*store, between(0, 1)).await, ["a"]);
    assert_eq!(found(&*store, between(10 * hour, 20 * hour)).await, ["b", "c"]);
    assert_eq!(found(&*store, between(10 * hour + 1, 20 * hour + 1)).await, ["d", "c"]);
    assert_eq!(found(&*store, between(31 * hour, 40 * hour)).await.len(), 0);
    let ids = |page: &causeway_model::registry::Page<AuditRecord>| {
        page.items.iter().map(|r| r.request_id.clone()).collect::<Vec<_>>().concat()
    };
    let first = store.audit_records(&everything(), PageRequest { limit: 2, ..ALL }).await.expect("a page");
    assert_eq!((ids(&first).as_str(), first.count), ("ed", 5));
    let next = PageRequest { marker: first.marker, offset: 1, limit: 5 };
    let next = store.audit_records(&everything(), next).await.expect("a page");
    assert_eq!((ids(&next).as_str(), next.count), ("ca", 5));
}

pub(crate) async fn old_records_go_in_slices(place: Arc<Place>) {
    let store = place.open().await;
    store.insert_audit((0..5).map(|i| record(&i.to_string(), i)).collect()).await.expect("kept");
    assert_eq!(store.trim_audit(at(3), 2).await.expect("an answer"), 2);
    assert_eq!(store.trim_audit(at(3), 2).await.expect("an answer"), 1);
    assert_eq!(store.trim_audit(at(3), 2).await.expect("an answer"), 0);
    assert_eq!(found(&*store, everything()).await, ["4", "3"]);
}
