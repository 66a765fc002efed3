//! `$file_manager` (002 §2.1.2.5.2, §2.1.2.5.5).

use std::fmt::Write as _;

use causeway_model::file::Transfer;
use causeway_model::properties::write_json_string;
use causeway_platform::file::FileUrl;

use super::Written;

pub(super) fn write(transfer: Transfer, file: &FileUrl) -> Written {
    let mut paras = String::with_capacity(file.url.len() + 320);
    paras.push_str(r#"{"url":"#);
    write_json_string(&mut paras, &file.url);
    paras.push_str(r#","bucket_name":"#);
    write_json_string(&mut paras, &file.bucket_name);
    paras.push_str(r#","object_name":"#);
    write_json_string(&mut paras, &file.object_name);
    let written = write!(paras, r#","expire":{},"file_attributes":{{"#, file.expire_s);
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
    if let Some(hash) = &file.attributes.hash_code {
        paras.push_str(r#""hash_code":"#);
        write_json_string(&mut paras, hash);
    }
    if let Some(size) = file.attributes.size {
        let comma = if file.attributes.hash_code.is_some() { "," } else { "" };
        let written = write!(paras, r#"{comma}"size":{size}"#);
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
    }
    paras.push_str("}}");
    let event_type = match transfer {
        Transfer::Upload => "get_upload_url_response",
        Transfer::Download => "get_download_url_response",
    };
    Written { service_id: "$file_manager", event_type, paras }
}

#[cfg(test)]
mod tests {
    use causeway_model::file::FileAttributes;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_answer_has_the_fields_of_the_guide() {
        let check = |hash: Option<&str>, size, expected: serde_json::Value| {
            let attributes = FileAttributes { hash_code: hash.map(str::to_owned), size };
            let file = FileUrl {
                url: "https://h/v5/files/k?a=1&b=\"".to_owned(),
                bucket_name: "causeway".to_owned(),
                object_name: "1_a.jpg".to_owned(),
                expire_s: 3600,
                attributes,
            };
            let written = write(Transfer::Upload, &file);
            assert_eq!(written.event_type, "get_upload_url_response");
            let paras: serde_json::Value = serde_json::from_str(&written.paras).expect("JSON");
            let expected = json!({"url": "https://h/v5/files/k?a=1&b=\"", "bucket_name": "causeway",
                "object_name": "1_a.jpg", "expire": 3600, "file_attributes": expected});
            assert_eq!(paras, expected);
        };
        check(None, None, json!({}));
        check(Some("58"), None, json!({"hash_code": "58"}));
        check(None, Some(7), json!({"size": 7}));
        check(Some("58"), Some(7), json!({"hash_code": "58", "size": 7}));
    }
}
