//! Batch tasks with their targets, uploaded files and exports.

use std::sync::Arc;

use causeway_model::batch::{
    BatchFile, BatchTask, ExportStatus, ExportTask, TargetStatus, TaskPolicy, TaskProgress, TaskStatus, TaskType,
};
use causeway_model::registry::{App, PageRequest, Sealed};
use causeway_model::{Code, RecordNo, Spaces, Timestamp};
use causeway_platform::Store;
use causeway_platform::batch::{NewTarget, TargetFilter, TargetOutcome, TaskFilter, TaskMove};

use crate::fixture::{T0, app, at, delivery, refused, seed};
use crate::place::Place;

const ALL: PageRequest = PageRequest { marker: RecordNo::LAST, offset: 0, limit: 50 };

fn task(app: &App, id: &str) -> BatchTask {
    BatchTask {
        no: RecordNo(0),
        id: id.to_owned(),
        app_id: app.id.clone(),
        name: "任务".to_owned(),
        task_type: TaskType::CreateMessages,
        status: TaskStatus::Initializing,
        status_desc: None,
        ext_info: Some(r#"{"a":1.10}"#.to_owned()),
        targets: Some(r#"["a"]"#.to_owned()),
        targets_filter: None,
        document: Some(r#"{"message":"x"}"#.to_owned()),
        job: r#"{"job":"x"}"#.to_owned(),
        document_source: None,
        policy: TaskPolicy { schedule_time: Some(at(5)), retry_count: Some(2), retry_interval: None },
        spaces: Spaces::one(app.id.clone()),
        created_at: T0,
        due_at: at(5),
        progress: TaskProgress::default(),
    }
}

fn target(name: &str) -> NewTarget {
    NewTarget { target: name.to_owned(), input: Some(Sealed(vec![7, 0].into())) }
}

fn moved(no: RecordNo, from: &'static [TaskStatus], to: TaskStatus) -> TaskMove {
    TaskMove { no, from, to, desc: None, only_ended: false, due_at: None, deliveries: Vec::new() }
}

fn ended(no: RecordNo, status: TargetStatus, retry_at: Option<Timestamp>) -> TargetOutcome {
    let error = (status != TargetStatus::Success).then(|| ("IOTDA.014000".to_owned(), "gone".to_owned()));
    let output = error.is_none().then(|| Sealed(vec![1].into()));
    TargetOutcome { no, status, output, error, retry_at }
}

/// A task under way with the targets named.
async fn under_way(store: &dyn Store, app: &App, id: &str, targets: &[&str]) -> BatchTask {
    let made = store.insert_batch_task(task(app, id), 10).await.expect("a task");
    store.add_batch_targets(made.no, targets.iter().map(|t| target(t)).collect()).await.expect("targets");
    let change = moved(made.no, &[TaskStatus::Initializing], TaskStatus::Processing);
    assert!(store.move_batch_task(change).await.expect("an answer"));
    made
}

async fn progress(store: &dyn Store, id: &str) -> TaskProgress {
    store.batch_task(id).await.expect("an answer").expect("the task").progress
}

fn counts(waitting: u64, processing: u64, success: u64, fail: u64, again: u64, stopped: u64) -> TaskProgress {
    let total = waitting + processing + success + fail + again + stopped;
    TaskProgress { total, waitting, processing, success, fail, fail_wait_retry: again, stopped, removed: 0 }
}

pub(crate) async fn a_task_is_kept_whole(place: Arc<Place>) {
    let store = place.open().await;
    let (app, _) = seed(&*store).await;
    let made = store.insert_batch_task(task(&app, "t1"), 2).await.expect("a task");
    assert_eq!(made, BatchTask { no: made.no, ..task(&app, "t1") });
    assert_eq!(store.batch_task("t1").await.expect("an answer"), Some(made.clone()));
    assert_eq!(store.batch_task("t2").await.expect("an answer"), None);
    let all = BatchTask { spaces: Spaces::All, ..task(&app, "t2") };
    let all = store.insert_batch_task(all, 2).await.expect("a task");
    assert_eq!(store.batch_task("t2").await.expect("an answer").expect("the task").spaces, Spaces::All);
    refused(store.insert_batch_task(task(&app, "t3"), 2).await, Code::TooManyBatchTasks);
    // What was never completed goes.
    let change = moved(all.no, &[TaskStatus::Initializing], TaskStatus::Waitting);
    assert!(store.move_batch_task(change).await.expect("an answer"));
    store.drop_half_made_batch_tasks().await.expect("dropped");
    assert!(store.batch_task("t1").await.expect("an answer").is_none());
    assert!(store.batch_task("t2").await.expect("an answer").is_some());
}

pub(crate) async fn tasks_are_listed(place: Arc<Place>) {
    let store = place.open().await;
    let (first, _) = seed(&*store).await;
    let second = store.insert_app(app("app-2"), 10).await.expect("a space");
    for (app, id) in [(&first, "a"), (&second, "b"), (&first, "c")] {
        under_way(&*store, app, id, &["x"]).await;
    }
    let ids = async |spaces: Spaces, task_type, status, page| {
        let found = store.batch_tasks(&TaskFilter { spaces, task_type, status }, page).await.expect("a page");
        (found.items.into_iter().map(|t| t.id).collect::<Vec<_>>(), found.count)
    };
    let messages = TaskType::CreateMessages;
    assert_eq!(ids(Spaces::All, messages, None, ALL).await, (vec!["c".into(), "b".into(), "a".into()], 3));
    assert_eq!(ids(Spaces::one(first.id.clone()), messages, None, ALL).await, (vec!["c".into(), "a".into()], 2));
    assert_eq!(ids(Spaces::Only([].into()), messages, None, ALL).await, (vec![], 0));
    assert_eq!(ids(Spaces::All, TaskType::CreateCommands, None, ALL).await, (vec![], 0));
    assert_eq!(ids(Spaces::All, messages, Some(TaskStatus::Success), ALL).await, (vec![], 0));
    let one = PageRequest { limit: 1, offset: 1, ..ALL };
    assert_eq!(ids(Spaces::All, messages, Some(TaskStatus::Processing), one).await, (vec!["b".into()], 3));
    store.delete_app(&first.id).await.expect("deleted");
    assert_eq!(ids(Spaces::All, messages, None, ALL).await, (vec!["b".into()], 1));
}

pub(crate) async fn targets_are_claimed_and_finished(place: Arc<Place>) {
    let store = place.open().await;
    let (app, _) = seed(&*store).await;
    let made = under_way(&*store, &app, "t", &["a", "b", "c", "d"]).await;
    assert_eq!(progress(&*store, "t").await, counts(4, 0, 0, 0, 0, 0));
    let claimed = store.claim_batch_targets(made.no, at(10), 3).await.expect("targets");
    let names: Vec<_> = claimed.iter().map(|t| (t.target.as_str(), t.attempts, t.unsure, t.began_at)).collect();
    let began = Some(at(10));
    assert_eq!(names, [("a", 1, false, began), ("b", 1, false, began), ("c", 1, false, began)]);
    assert_eq!(claimed[0].input, Some(Sealed(vec![7, 0].into())));
    assert_eq!(progress(&*store, "t").await, counts(1, 3, 0, 0, 0, 0));
    let outcomes = vec![
        ended(claimed[0].no, TargetStatus::Success, None),
        ended(claimed[1].no, TargetStatus::Fail, None),
        ended(claimed[2].no, TargetStatus::FailWaitRetry, Some(at(100))),
    ];
    let after = store.finish_batch_targets(made.no, outcomes.clone()).await.expect("written");
    assert_eq!(after, counts(1, 0, 1, 1, 1, 0));
    // Told twice, counted once.
    assert_eq!(store.finish_batch_targets(made.no, outcomes).await.expect("written"), after);
    let found = store.batch_targets(made.no, &TargetFilter::default(), ALL).await.expect("a page");
    assert_eq!(found.count, 4);
    let a = found.items.last().expect("the first target");
    assert_eq!(
        (a.status, a.output.clone(), a.input.clone()),
        (TargetStatus::Success, Some(Sealed(vec![1].into())), None)
    );
    let failed = TargetFilter { status: Some(TargetStatus::Fail), target: None };
    let failed = store.batch_targets(made.no, &failed, ALL).await.expect("a page");
    assert_eq!(failed.items.len(), 1);
    assert_eq!(failed.items[0].error, Some(("IOTDA.014000".to_owned(), "gone".to_owned())));
    let named = TargetFilter { status: None, target: Some("d".to_owned()) };
    assert_eq!(store.batch_targets(made.no, &named, ALL).await.expect("a page").count, 1);
    // Before its time the third is left alone, and afterwards it comes after those that never began.
    assert_eq!(store.claim_batch_targets(made.no, at(99), 5).await.expect("targets").len(), 1);
    store.postpone_batch_task(made.no).await.expect("one is under way");
    assert_eq!(store.batch_task("t").await.expect("an answer").expect("the task").due_at, at(5));
    let again = store.claim_batch_targets(made.no, at(100), 5).await.expect("targets");
    assert_eq!(again.iter().map(|t| (t.target.as_str(), t.attempts)).collect::<Vec<_>>(), [("c", 2)]);
    assert_eq!(progress(&*store, "t").await, counts(0, 2, 1, 1, 0, 0));
}

pub(crate) async fn what_was_under_way_is_begun_again(place: Arc<Place>) {
    let store = place.open().await;
    let (app, _) = seed(&*store).await;
    let made = under_way(&*store, &app, "t", &["a", "b"]).await;
    let claimed = store.claim_batch_targets(made.no, at(1), 2).await.expect("targets");
    store
        .finish_batch_targets(made.no, vec![ended(claimed[0].no, TargetStatus::Success, None)])
        .await
        .expect("written");
    store.release_batch_targets(made.no).await.expect("released");
    assert_eq!(progress(&*store, "t").await, counts(1, 0, 1, 0, 0, 0));
    let again = store.claim_batch_targets(made.no, at(9), 2).await.expect("targets");
    assert_eq!(again.len(), 1);
    let b = &again[0];
    assert_eq!((b.target.as_str(), b.attempts, b.unsure, b.began_at), ("b", 1, true, Some(at(1))));
}

pub(crate) async fn stopping_and_retrying(place: Arc<Place>) {
    let store = place.open().await;
    let (app, _) = seed(&*store).await;
    let made = under_way(&*store, &app, "t", &["a", "b", "c", "d"]).await;
    let names = |n: &[&str]| Some(n.iter().map(ToString::to_string).collect::<Vec<_>>());
    let claimed = store.claim_batch_targets(made.no, at(1), 1).await.expect("targets");
    let stopped = store.stop_batch_targets(made.no, names(&["a", "c", "x"])).await.expect("stopped");
    assert_eq!(stopped, ["c"]);
    assert_eq!(progress(&*store, "t").await, counts(2, 1, 0, 0, 0, 1));
    store.finish_batch_targets(made.no, vec![ended(claimed[0].no, TargetStatus::Fail, None)]).await.expect("written");
    assert!(store.stop_batch_targets(made.no, None).await.expect("stopped").is_empty());
    assert_eq!(progress(&*store, "t").await, counts(0, 0, 0, 1, 0, 3));
    assert_eq!(store.retry_batch_targets(made.no, names(&["a"])).await.expect("retried"), ["a"]);
    assert_eq!(store.claim_batch_targets(made.no, at(2), 9).await.expect("targets")[0].attempts, 1);
    store.retry_batch_targets(made.no, None).await.expect("retried");
    assert_eq!(progress(&*store, "t").await, counts(3, 1, 0, 0, 0, 0));
}

pub(crate) async fn tasks_move_only_from_where_they_are(place: Arc<Place>) {
    let store = place.open().await;
    let (app, _) = seed(&*store).await;
    let push = store.set_push_target(&app.id, "http://a/", T0).await.expect("a target").no;
    let made = under_way(&*store, &app, "t", &["a"]).await;
    let end = || TaskMove {
        only_ended: true,
        desc: Some("why".to_owned()),
        deliveries: vec![delivery(push, None, "{}")],
        ..moved(made.no, &[TaskStatus::Processing], TaskStatus::Success)
    };
    assert!(!store.move_batch_task(end()).await.expect("an answer"), "a target waits");
    assert!(!store.delete_batch_task(made.no, &[TaskStatus::Success]).await.expect("an answer"));
    let due = async |now| -> Vec<String> {
        let found = store.due_batch_tasks(now, Vec::new(), 9).await.expect("tasks");
        found.into_iter().map(|t| t.id).collect()
    };
    assert_eq!(due(at(5)).await, ["t"]);
    assert!(due(at(4)).await.is_empty());
    assert!(store.due_batch_tasks(at(5), vec![made.no], 9).await.expect("tasks").is_empty());
    let claimed = store.claim_batch_targets(made.no, at(6), 1).await.expect("targets");
    let again = ended(claimed[0].no, TargetStatus::FailWaitRetry, Some(at(50)));
    store.finish_batch_targets(made.no, vec![again]).await.expect("written");
    store.postpone_batch_task(made.no).await.expect("postponed");
    assert!(due(at(49)).await.is_empty());
    assert_eq!(due(at(50)).await, ["t"]);
    let claimed = store.claim_batch_targets(made.no, at(50), 1).await.expect("targets");
    store
        .finish_batch_targets(made.no, vec![ended(claimed[0].no, TargetStatus::Success, None)])
        .await
        .expect("written");
    assert!(store.deliveries(push, 0, 9).await.expect("deliveries").is_empty());
    assert!(store.move_batch_task(end()).await.expect("an answer"));
    assert!(!store.move_batch_task(end()).await.expect("an answer"), "it has moved already");
    assert_eq!(store.deliveries(push, 0, 9).await.expect("deliveries").len(), 1);
    assert!(due(at(99)).await.is_empty());
    let found = store.batch_task("t").await.expect("an answer").expect("the task");
    assert_eq!((found.status, found.status_desc.as_deref()), (TaskStatus::Success, Some("why")));
    assert!(store.delete_batch_task(made.no, &[TaskStatus::Success]).await.expect("an answer"));
    assert_eq!(store.batch_targets(made.no, &TargetFilter::default(), ALL).await.expect("a page").count, 0);
    assert!(store.claim_batch_targets(made.no, at(60), 1).await.expect("none").is_empty());
    assert_eq!(store.finish_batch_targets(made.no, Vec::new()).await.expect("none"), TaskProgress::default());
}

pub(crate) async fn files_are_kept(place: Arc<Place>) {
    let store = place.open().await;
    let file = |id: &str| BatchFile {
        no: RecordNo(0),
        id: id.to_owned(),
        owner: 3,
        name: "设备.xlsx".to_owned(),
        uploaded_at: T0,
    };
    let content = || Sealed(vec![0, 255].into());
    let first = store.insert_batch_file(file("f1"), content(), 2).await.expect("a file");
    let second = store.insert_batch_file(file("f2"), content(), 2).await.expect("a file");
    assert_eq!(first, BatchFile { no: first.no, ..file("f1") });
    refused(store.insert_batch_file(file("f3"), content(), 2).await, Code::TooManyBatchFiles);
    assert_eq!(store.batch_files().await.expect("files"), [second.clone(), first]);
    assert_eq!(store.batch_file("f2").await.expect("an answer"), Some((second, content())));
    assert!(store.delete_batch_file("f2").await.expect("an answer"));
    assert!(!store.delete_batch_file("f2").await.expect("an answer"));
    assert_eq!(store.batch_file("f2").await.expect("an answer"), None);
}

pub(crate) async fn exports_are_kept(place: Arc<Place>) {
    let store = place.open().await;
    let (app, _) = seed(&*store).await;
    let export = |id: &str, ms| ExportTask {
        no: RecordNo(0),
        id: id.to_owned(),
        app_id: app.id.clone(),
        task_id: format!("task of {id}"),
        condition: "{}".to_owned(),
        app_type: Some("APP".to_owned()),
        status: ExportStatus::Processing,
        rows: 0,
        created_at: at(ms),
        ended_at: None,
    };
    let mut first = store.insert_export(export("e1", 1), 2).await.expect("an export");
    let second = store.insert_export(export("e2", 2), 2).await.expect("an export");
    refused(store.insert_export(export("e3", 3), 2).await, Code::TooManyExportTasks);
    assert_eq!(store.unwritten_export().await.expect("an answer"), Some(first.clone()));
    assert_eq!(store.export_file(first.no).await.expect("an answer"), None);
    first = ExportTask { status: ExportStatus::Success, rows: 7, ended_at: Some(at(9)), ..first };
    store.finish_export(&first, Some(Sealed(vec![5].into()))).await.expect("written");
    assert_eq!(store.export("e1").await.expect("an answer"), Some(first.clone()));
    assert_eq!(store.export_file(first.no).await.expect("an answer"), Some(Sealed(vec![5].into())));
    assert_eq!(store.unwritten_export().await.expect("an answer"), Some(second.clone()));
    let page = store.exports(&Spaces::All, None, ALL).await.expect("a page");
    assert_eq!((page.items, page.count), (vec![second.clone(), first.clone()], 2));
    let of_one = store.exports(&Spaces::one(app.id.clone()), Some("task of e1"), ALL).await.expect("a page");
    assert_eq!((of_one.items, of_one.count), (vec![first.clone()], 1));
    assert_eq!(store.exports(&Spaces::Only([].into()), None, ALL).await.expect("a page").count, 0);
    assert_eq!(store.expire_exports(at(2)).await.expect("expired"), 1);
    assert!(store.delete_export(second.no).await.expect("an answer"));
    assert!(!store.delete_export(second.no).await.expect("an answer"));
    assert_eq!(store.exports(&Spaces::All, None, ALL).await.expect("a page").count, 0);
}
