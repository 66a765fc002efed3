//! `$file_manager` (002 §2.1.2.5).

use std::borrow::Cow;

use causeway_model::file::{FileAttributes, Transfer};
use causeway_model::service_event::{EventBody, FileResult};
use serde::Deserialize;
use serde_json::Value;

use super::Event;

/// Longest text taken over.
const LONGEST: usize = 2048;

#[derive(Deserialize)]
struct Ask {
    // The table of the guide has `fileName` for downloads, its example and the SDKs `file_name`.
    #[serde(alias = "fileName", default)]
    file_name: Value,
    #[serde(default)]
    file_attributes: Value,
}

#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    object_name: Value,
    #[serde(default)]
    result_code: Value,
    #[serde(default)]
    status_code: Value,
    #[serde(default)]
    status_description: Value,
}

/// A number, or a text that is one.
fn number(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_i64().or_else(|| other.as_f64().map(|n| n as i64)),
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() && text.len() <= LONGEST => Some(text),
        _ => None,
    }
}

fn ask<'a>(event: &Event<'a>, transfer: Transfer) -> Option<EventBody<'a>> {
    let Ask { file_name, mut file_attributes } = event.read()?;
    let attributes = FileAttributes {
        hash_code: text(file_attributes["hash_code"].take()),
        size: number(&file_attributes["size"]).and_then(|n| u64::try_from(n).ok()),
    };
    Some(EventBody::FileUrl { transfer, name: Cow::Owned(text(file_name)?), attributes })
}

fn report<'a>(event: &Event<'a>, transfer: Transfer) -> Option<EventBody<'a>> {
    let report: Report = event.read()?;
    Some(EventBody::FileResult(FileResult {
        transfer,
        object_name: Cow::Owned(text(report.object_name)?),
        result_code: number(&report.result_code)?,
        status_code: number(&report.status_code),
        description: text(report.status_description).map(Cow::Owned),
    }))
}

pub(super) fn read<'a>(event: &Event<'a>) -> Option<EventBody<'a>> {
    match event.kind() {
        "get_upload_url" => ask(event, Transfer::Upload),
        "get_download_url" => ask(event, Transfer::Download),
        "upload_result_report" => report(event, Transfer::Upload),
        "download_result_report" => report(event, Transfer::Download),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uplink::events::envelope;

    fn body(kind: &str, paras: &str) -> EventBody<'static> {
        let text =
            format!(r#"{{"services":[{{"service_id":"$file_manager","event_type":"{kind}","paras":{paras}}}]}}"#);
        let text: &'static str = text.leak();
        envelope(text.as_bytes(), 1).expect("an envelope").list.remove(0).body
    }

    #[test]
    fn requests_are_read_in_all_their_forms() {
        let ask = |transfer, hash: Option<&str>, size| EventBody::FileUrl {
            transfer,
            name: Cow::Borrowed("a.jpg"),
            attributes: FileAttributes { hash_code: hash.map(str::to_owned), size },
        };
        let up = |paras| body("get_upload_url", paras);
        let whole = r#"{"file_name":"a.jpg","file_attributes":{"hash_code":"58","size":1024}}"#;
        assert_eq!(up(whole), ask(Transfer::Upload, Some("58"), Some(1024)));
        assert_eq!(up(r#"{"file_name":"a.jpg"}"#), ask(Transfer::Upload, None, None));
        assert_eq!(up(r#"{"file_name":"a.jpg","file_attributes":null}"#), ask(Transfer::Upload, None, None));
        assert_eq!(
            up(r#"{"file_name":"a.jpg","file_attributes":{"size":"7","hash_code":""}}"#),
            ask(Transfer::Upload, None, Some(7))
        );
        assert_eq!(
            up(r#"{"file_name":"a.jpg","file_attributes":{"size":-7,"hash_code":9}}"#),
            ask(Transfer::Upload, None, None)
        );
        for name in ["file_name", "fileName"] {
            let paras = format!(r#"{{"{name}":"a.jpg"}}"#);
            assert_eq!(body("get_download_url", &paras), ask(Transfer::Download, None, None));
        }
        for broken in ["{}", r#"{"file_name":7}"#, r#"{"file_name":""}"#, "[]", "null"] {
            assert_eq!(up(broken), EventBody::Unserved, "{broken}");
        }
        assert_eq!(body("get_file", "{}"), EventBody::Unserved);
    }

    #[test]
    fn results_are_read() {
        let paras = r#"{"object_name":"1_a","result_code":0,"status_code":200,"status_description":"upload success"}"#;
        let result = |transfer, result_code, status_code, description: Option<&'static str>| {
            EventBody::FileResult(FileResult {
                transfer,
                object_name: Cow::Borrowed("1_a"),
                result_code,
                status_code,
                description: description.map(Cow::Borrowed),
            })
        };
        let expected = result(Transfer::Upload, 0, Some(200), Some("upload success"));
        assert_eq!(body("upload_result_report", paras), expected);
        let short = r#"{"object_name":"1_a","result_code":"1"}"#;
        assert_eq!(body("download_result_report", short), result(Transfer::Download, 1, None, None));
        for broken in ["{}", r#"{"object_name":"1_a"}"#, r#"{"result_code":0}"#] {
            assert_eq!(body("upload_result_report", broken), EventBody::Unserved, "{broken}");
        }
    }
}
