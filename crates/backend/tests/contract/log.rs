//! Logs of devices.

use std::sync::Arc;

use causeway_model::registry::PageRequest;
use causeway_model::{Code, DeviceNo, RecordNo};
use causeway_platform::Store;
use causeway_platform::log::{LogConfig, LogKept, LogLine, LogState};

use crate::fixture::{T0, at, refused, seed_device};
use crate::place::Place;

const KEPT: LogKept = LogKept { lines: 3, bytes: 100 };
const ALL: PageRequest = PageRequest { limit: 10, marker: RecordNo::LAST, offset: 0 };

fn line(kind: &str, content: &str) -> LogLine {
    LogLine { no: RecordNo(0), at: T0, received_at: at(5), kind: kind.to_owned(), content: content.to_owned() }
}

async fn contents(store: &dyn Store, device: DeviceNo, kind: Option<&str>) -> Vec<String> {
    let page = store.log_lines(device, kind.map(str::to_owned), ALL).await.expect("lines");
    page.items.into_iter().map(|line| line.content).collect()
}

pub(crate) async fn lines_are_bounded(place: Arc<Place>) {
    let store = place.open().await;
    let device = seed_device(&*store).await;
    for (kind, content) in [("a", "1"), ("b", "2"), ("a", "3"), ("b", "4")] {
        store.add_log_line(device.no, line(kind, content), KEPT).await.expect("an answer");
    }
    assert_eq!(contents(&*store, device.no, None).await, ["4", "3", "2"]);
    assert_eq!(contents(&*store, device.no, Some("b")).await, ["4", "2"]);
    let page = store.log_lines(device.no, None, PageRequest { limit: 2, ..ALL }).await.expect("lines");
    assert_eq!((page.count, page.items.len(), page.items[0].received_at), (3, 2, at(5)));
    let rest = store.log_lines(device.no, None, PageRequest { marker: page.marker, ..ALL }).await.expect("lines");
    assert_eq!(rest.items.len(), 1);
    let long = "x".repeat(200);
    store.add_log_line(device.no, line("a", &long), KEPT).await.expect("an answer");
    assert_eq!(contents(&*store, device.no, None).await, [long], "the newest stays whatever its size");
    assert_eq!(store.trim_logs(at(5)).await.expect("an answer"), 0);
    assert_eq!(store.trim_logs(at(6)).await.expect("an answer"), 1);
    refused(store.add_log_line(DeviceNo(device.no.0 + 1), line("a", "x"), KEPT).await, Code::DeviceNotFound);
}

pub(crate) async fn configurations(place: Arc<Place>) {
    let store = place.open().await;
    let device = seed_device(&*store).await;
    assert_eq!(store.log_config(device.no).await.expect("an answer"), None);
    let config = LogConfig { is_on: true, end_time: at(9) };
    store.put_log_config(device.no, config, at(1)).await.expect("an answer");
    let set = LogState { config, set_at: at(1), is_sent: false };
    assert_eq!(store.log_config(device.no).await.expect("an answer"), Some(set));
    store.log_config_sent(device.no, at(0)).await.expect("an answer");
    assert_eq!(store.log_config(device.no).await.expect("an answer"), Some(set), "another one was sent");
    store.log_config_sent(device.no, at(1)).await.expect("an answer");
    assert_eq!(store.log_config(device.no).await.expect("an answer"), Some(LogState { is_sent: true, ..set }));
    store.put_log_config(device.no, LogConfig { is_on: false, ..config }, at(2)).await.expect("an answer");
    let state = store.log_config(device.no).await.expect("an answer").expect("set");
    assert!(!state.is_sent && !state.config.is_on);
    refused(store.put_log_config(DeviceNo(device.no.0 + 1), config, T0).await, Code::DeviceNotFound);
}
