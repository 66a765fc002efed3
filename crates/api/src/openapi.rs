//! The OpenAPI document, written from the table of operations.

use std::collections::BTreeMap;

use causeway_model::Code;
use serde_json::{Map, Value, json};

use crate::bounded::Rule as _;
use crate::call::{PageLimit, PageOffset};
use crate::error::status_of;
use crate::operation::{Built, Operation, Success};
use crate::shape::Definitions;
use crate::v5::operations;

/// What can go wrong with every operation that needs a caller.
const CALLER_ERRORS: &[Code] = &[Code::Unauthenticated, Code::WrongProject, Code::InvalidInput, Code::Internal];

/// Writes the whole document.
pub(crate) fn document(version: &str) -> Value {
    let mut definitions = Definitions::default();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut tags: Vec<&str> = Vec::new();
    for operation in operations::all() {
        if !tags.contains(&operation.area) {
            tags.push(operation.area);
        }
        let item = paths.entry(operation.full_path()).or_default();
        item.insert(operation.verb.as_str().to_lowercase(), describe(operation, &mut definitions));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Causeway application interface",
            "version": version,
            "description": "Operations of the vendor's IoTDA v5 REST interface, and the platform's own under the tag \
                            'causeway'. Operations marked with status 501 are described by the vendor and not built yet.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags.iter().map(|t| json!({ "name": t })).collect::<Vec<_>>(),
        "security": [{ "token": [] }, { "signature": [] }],
        "paths": paths,
        "components": {
            "schemas": definitions.0,
            "responses": { "Error": error_response() },
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Auth-Token",
                    "description": "From POST /v3/auth/tokens.",
                },
                "signature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "AK/SK signature SDK-HMAC-SHA256 or V11-HMAC-SHA256, with X-Sdk-Date.",
                },
            },
        },
    })
}

fn error_response() -> Value {
    json!({
        "description": "An error.",
        "headers": { "X-Request-Id": { "description": "Names the request in the log.", "schema": { "type": "string" } } },
        "content": { "application/json": { "schema": {
            "type": "object",
            "properties": {
                "error_code": { "type": "string", "description": "Stable code." },
                "error_msg": { "type": "string", "description": "What to do." },
            },
            "required": ["error_code", "error_msg"],
        } } },
    })
}

fn describe(operation: &Operation, definitions: &mut Definitions) -> Value {
    let mut entry = Map::new();
    entry.insert("operationId".to_owned(), json!(operation.id));
    entry.insert("tags".to_owned(), json!([operation.area]));
    if !operation.action.is_empty() {
        entry.insert("x-action".to_owned(), json!(operation.action));
    }
    let mut parameters = path_parameters(operation);
    let mut responses = BTreeMap::new();
    match operation.built {
        None => {
            entry.insert("summary".to_owned(), json!("Described by the vendor, not built yet."));
            entry.insert("x-built".to_owned(), json!(false));
            add_errors(&mut responses, &[Code::NotBuilt, Code::Unauthenticated, Code::WrongProject]);
        }
        Some(built) => {
            entry.insert("summary".to_owned(), json!(built.summary));
            parameters.extend(query_parameters(built));
            if let Some(schema) = built.body {
                let content = json!({ "application/json": { "schema": schema(definitions) } });
                entry.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
                add_errors(&mut responses, &[Code::BadRequest, Code::BodyTooLarge]);
            }
            if let Some(name) = built.file {
                let schema = json!({
                    "type": "object",
                    "properties": { name: { "type": "string", "contentMediaType": "application/octet-stream" } },
                    "required": [name],
                });
                let content = json!({ "multipart/form-data": { "schema": schema } });
                entry.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
                add_errors(&mut responses, &[Code::BadRequest, Code::BodyTooLarge]);
            }
            if operation.needs_caller() {
                add_errors(&mut responses, CALLER_ERRORS);
            } else {
                entry.insert("security".to_owned(), json!([]));
            }
            add_errors(&mut responses, built.errors);
            add_success(&mut responses, built.success, definitions);
        }
    }
    if !parameters.is_empty() {
        entry.insert("parameters".to_owned(), Value::Array(parameters));
    }
    entry.insert("responses".to_owned(), json!(responses));
    Value::Object(entry)
}

fn path_parameters(operation: &Operation) -> Vec<Value> {
    let path = operation.full_path();
    path.split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect()
}

fn query_parameter(name: &str, required: bool, schema: &Value, text: &str) -> Value {
    json!({ "name": name, "in": "query", "required": required, "schema": schema, "description": text })
}

fn query_parameters(built: &Built) -> Vec<Value> {
    let mut parameters: Vec<Value> =
        built.query.iter().map(|p| query_parameter(p.name, p.required, &(p.schema)(), p.text)).collect();
    if built.paged {
        let mut limit = PageLimit::rule_schema();
        limit["default"] = json!(10);
        parameters.push(query_parameter("limit", false, &limit, "Records of a page."));
        let marker = json!({ "type": "string", "pattern": "^[0-9A-Fa-f]{24}$", "default": "f".repeat(24) });
        parameters.push(query_parameter("marker", false, &marker, "From the previous page."));
        let mut offset = PageOffset::rule_schema();
        offset["default"] = json!(0);
        parameters.push(query_parameter("offset", false, &offset, "Records to skip after the marker."));
    }
    parameters
}

/// Errors by status, each with its codes.
fn add_errors(responses: &mut BTreeMap<String, Value>, codes: &[Code]) {
    for code in codes {
        let status = status_of(*code).as_u16().to_string();
        let entry = responses
            .entry(status)
            .or_insert_with(|| json!({ "$ref": "#/components/responses/Error", "description": "" }));
        let known = entry["description"].as_str().unwrap_or_default();
        if !known.contains(code.as_str()) {
            let separator = if known.is_empty() { "" } else { ", " };
            entry["description"] = json!(format!("{known}{separator}{}", code.as_str()));
        }
    }
}

fn add_success(responses: &mut BTreeMap<String, Value>, success: Success, definitions: &mut Definitions) {
    let (status, response) = match success {
        Success::Empty => (204, json!({ "description": "Done." })),
        Success::Json(status, schema) => {
            let content = json!({ "application/json": { "schema": schema(definitions) } });
            (status, json!({ "description": "Done.", "content": content }))
        }
        Success::Text(media_type) => (200, json!({ "description": "Done.", "content": { media_type: {} } })),
    };
    responses.insert(status.to_string(), response);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The document and the table name the same operations, each once.
    #[test]
    fn document_and_table_are_in_step() {
        let document = document("0.0.0");
        let mut documented = BTreeSet::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("a path item") {
                let id = operation["operationId"].as_str().expect("an id");
                documented.insert((path.clone(), method.to_uppercase(), id.to_owned()));
                let refuses = operation["responses"].get("501").is_some();
                let built = operations::all().any(|o| o.id == id && o.built.is_some());
                assert_eq!(refuses, !built, "{id}");
            }
        }
        let table: BTreeSet<_> =
            operations::all().map(|o| (o.full_path(), o.verb.as_str().to_owned(), o.id.to_owned())).collect();
        assert_eq!(documented, table);
    }

    /// Every `$ref` leads somewhere.
    #[test]
    fn references_resolve() {
        fn walk(value: &Value, document: &Value) {
            match value {
                Value::Object(map) => {
                    if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                        let target = document.pointer(reference.trim_start_matches('#'));
                        assert!(target.is_some_and(|t| !t.is_null()), "{reference}");
                    }
                    map.values().for_each(|v| walk(v, document));
                }
                Value::Array(items) => items.iter().for_each(|v| walk(v, document)),
                _ => {}
            }
        }
        let document = document("0.0.0");
        walk(&document, &document);
    }

    /// The document as it was reviewed last. `UPDATE_GOLDEN=1 cargo test -p causeway-api` writes it anew.
    #[test]
    fn golden_document() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let mut made = serde_json::to_string_pretty(&document("0.0.0")).expect("JSON");
        made.push('\n');
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, &made).expect("the golden file is written");
        }
        let golden = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            made == golden,
            "openapi.json is not up to date; run UPDATE_GOLDEN=1 cargo test -p causeway-api and review it"
        );
    }
}
