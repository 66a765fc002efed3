use super::*;

fn model() -> CompiledModel {
    let services: Vec<ServiceCapability> = serde_json::from_value(serde_json::json!([{
        "service_id": "s", "service_type": "s",
        "properties": [
            {"property_name": "i", "data_type": "int", "min": "0", "max": "100", "method": "RW"},
            {"property_name": "l", "data_type": "long", "method": "R"},
            {"property_name": "d", "data_type": "decimal", "min": "-1.5", "max": "1.5", "method": "RWE"},
            {"property_name": "t", "data_type": "string", "max_length": 3, "method": "RW"},
            {"property_name": "e", "data_type": "enum", "enum_list": ["ON", "OFF"], "method": "RW"},
            {"property_name": "b", "data_type": "boolean", "method": "RW"},
            {"property_name": "w", "data_type": "DateTime", "method": "RW"},
            {"property_name": "o", "data_type": "jsonObject", "method": "RW"},
            {"property_name": "ls", "data_type": "string list", "method": "RW"}
        ],
        "commands": [{"command_name": "C", "paras": [{"para_name": "p", "data_type": "int", "required": true, "max": "9"}]}]
    }]))
    .expect("model");
    super::super::check_model(&services).expect("valid");
    CompiledModel::compile(&services, Strictness::Strict)
}

#[track_caller]
fn check(properties: &str, kept: &str, reasons: &[MismatchReason]) {
    let mut seen = Vec::new();
    let got = model().admit("s", properties, |m| seen.push(m.reason)).expect("an object");
    assert_eq!(got.as_str(), kept);
    assert_eq!(seen, reasons);
}

#[test]
fn the_valid_rest_passes() {
    use MismatchReason::*;
    check(r#"{"i":5,"d":-1.50,"x":1}"#, r#"{"i":5,"d":-1.50}"#, &[UnknownProperty]);
    check(r#"{"i":101,"l":9223372036854775807}"#, r#"{"l":9223372036854775807}"#, &[OutOfRange]);
    check(r#"{"i":"5","l":1.0,"d":2}"#, "{}", &[WrongType, WrongType, OutOfRange]);
    check(r#"{"i":99999999999999999999}"#, "{}", &[OutOfRange]);
    check(r#"{"t":"温度计","e":"ON","b":true}"#, r#"{"t":"温度计","e":"ON","b":true}"#, &[]);
    check(r#"{"t":"abcd","e":"on","b":1}"#, "{}", &[TooLong, NotInList, WrongType]);
    check(r#"{"t":"\u0061bc"}"#, r#"{"t":"\u0061bc"}"#, &[]);
    check(
        r#"{"w":"20151212T121212Z","o":{"k":[1]},"ls":["a"]}"#,
        r#"{"w":"20151212T121212Z","o":{"k":[1]},"ls":["a"]}"#,
        &[],
    );
    check(r#"{"w":"soon","o":1,"ls":[1]}"#, "{}", &[WrongType, WrongType, WrongType]);
    check(r#"{"i":null}"#, "{}", &[WrongType]);
    check(r#"{"i":1,"i":2}"#, r#"{"i":2}"#, &[]);
    check(r#"{"d":1e400}"#, "{}", &[OutOfRange]);
    check(r#"{"t":"\ud800","o":{"k":"\ud800"}}"#, "{}", &[WrongType, WrongType]);
}

#[test]
fn foreign_services_are_refused_whole() {
    let mut seen = Vec::new();
    let kept = model().admit("other", r#"{"i":1}"#, |m| seen.push((m.property, m.reason))).expect("object");
    assert!(kept.is_empty());
    assert_eq!(seen, [(None, MismatchReason::UnknownService)]);
    assert!(model().admit("s", "[]", |_| {}).is_err());
    assert!(model().admit("other", "3", |_| {}).is_err());
}

#[test]
fn writes_and_commands_are_checked() {
    let m = model();
    let object = |t: &str| PropertyObject::parse(t).expect("object");
    assert!(m.check_writable("s", &object(r#"{"i":5,"t":null}"#)).is_ok());
    assert_eq!(m.check_writable("s", &object(r#"{"l":5}"#)).map_err(|e| e.code()), Err(Code::PropertyNotWritable));
    assert_eq!(m.check_writable("s", &object(r#"{"z":5}"#)).map_err(|e| e.code()), Err(Code::PropertyNotWritable));
    assert_eq!(m.check_writable("s", &object(r#"{"i":500}"#)).map_err(|e| e.code()), Err(Code::InvalidInput));
    assert_eq!(m.check_writable("q", &object("{}")).map_err(|e| e.code()), Err(Code::NoSuchModel));
    assert!(m.check_command("s", "C", &object(r#"{"p":5}"#)).is_ok());
    assert_eq!(m.check_command("s", "C", &object("{}")).map_err(|e| e.code()), Err(Code::InvalidCommand));
    assert_eq!(m.check_command("s", "C", &object(r#"{"p":10}"#)).map_err(|e| e.code()), Err(Code::InvalidCommand));
    assert_eq!(m.check_command("s", "D", &object("{}")).map_err(|e| e.code()), Err(Code::InvalidCommand));
}

#[test]
fn model_documents_are_checked() {
    let bad = |json: serde_json::Value| {
        let services: Vec<ServiceCapability> = serde_json::from_value(json).expect("shape");
        super::super::check_model(&services).expect_err("must be refused")
    };
    let p = |v: serde_json::Value| serde_json::json!([{"service_id": "s", "properties": [v]}]);
    assert!(
        bad(p(serde_json::json!({"property_name": "a", "data_type": "float", "method": "R"})))
            .message()
            .contains("data_type")
    );
    assert!(
        bad(p(serde_json::json!({"property_name": "a.b", "data_type": "int", "method": "R"})))
            .message()
            .contains("property_name")
    );
    assert!(
        bad(p(serde_json::json!({"property_name": "a", "data_type": "int", "min": "5", "max": "1", "method": "R"})))
            .message()
            .contains("min")
    );
    assert!(
        bad(p(serde_json::json!({"property_name": "a", "data_type": "int", "method": "X"})))
            .message()
            .contains("method")
    );
    assert!(bad(serde_json::json!([{"service_id": "s"}, {"service_id": "s"}])).message().contains("twice"));
}
