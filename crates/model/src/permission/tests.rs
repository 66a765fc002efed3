use super::*;

const ACCOUNT: &str = "instance-1";

fn policy(statements: &[(&str, &[&str], &[&str])]) -> Policy {
    let statements: Vec<_> = statements
        .iter()
        .map(|(effect, actions, resources)| {
            let mut statement = serde_json::json!({ "Effect": effect, "Action": actions });
            if !resources.is_empty() {
                statement["Resource"] = serde_json::json!(resources);
            }
            statement
        })
        .collect();
    let text = serde_json::json!({ "Version": "1.1", "Statement": statements }).to_string();
    Policy::parse(&text).unwrap_or_else(|faults| panic!("{text}: {faults:?}"))
}

fn apps(ids: &[&str]) -> Vec<AppId> {
    ids.iter().map(|id| AppId::trusted(*id)).collect()
}

#[track_caller]
fn check(statements: &[(&str, &[&str], &[&str])], action: &str, expected: Verdict) {
    // In one policy or in several: it makes no difference.
    let one = Permissions::of([&policy(statements)], ACCOUNT);
    let several: Vec<Policy> = statements.iter().map(|s| policy(std::slice::from_ref(s))).collect();
    assert_eq!(one.verdict(action), expected, "{statements:?}");
    assert_eq!(Permissions::of(&several, ACCOUNT).verdict(action), expected, "{statements:?} apart");
}

const QUERY: &str = "iotda:devices:query";
const ALL: &[&str] = &["iotda:*:*"];
const A: &[&str] = &["iotda:*:*:app:a"];

#[test]
fn nothing_is_allowed_that_no_statement_allows() {
    assert_eq!(Permissions::default().verdict(QUERY), Verdict::Nowhere);
    check(&[("Allow", &["iotda:products:*"], &[])], QUERY, Verdict::Nowhere);
    check(&[("Deny", &["iotda:products:*"], &[])], QUERY, Verdict::Nowhere);
    check(&[("Allow", ALL, &[])], "iam:users:createUser", Verdict::Nowhere);
}

#[test]
fn deny_comes_first() {
    check(&[("Allow", ALL, &[])], QUERY, Verdict::Everywhere);
    check(&[("Allow", ALL, &[]), ("Deny", &["iotda:devices:delete"], &[])], QUERY, Verdict::Everywhere);
    check(&[("Allow", ALL, &[]), ("Deny", &[QUERY], &[])], QUERY, Verdict::Nowhere);
    check(&[("Deny", &[QUERY], &[]), ("Allow", &[QUERY], &[])], QUERY, Verdict::Nowhere);
    check(&[("Allow", ALL, A), ("Deny", &[QUERY], &[])], QUERY, Verdict::Nowhere);
    check(&[("Allow", ALL, A), ("Deny", &[QUERY], A)], QUERY, Verdict::Nowhere);
}

#[test]
fn resources_name_spaces() {
    let b: &[&str] = &["IoTDA:cn-north-4:instance-1:app:b"];
    check(&[("Allow", ALL, A)], QUERY, Verdict::In(apps(&["a"])));
    check(&[("Allow", ALL, A), ("Allow", &[QUERY], b)], QUERY, Verdict::In(apps(&["a", "b"])));
    check(&[("Allow", ALL, A), ("Allow", ALL, A)], QUERY, Verdict::In(apps(&["a"])));
    check(&[("Allow", ALL, A), ("Allow", ALL, b), ("Deny", ALL, b)], QUERY, Verdict::In(apps(&["a"])));
    check(&[("Allow", ALL, &[]), ("Deny", ALL, b)], QUERY, Verdict::EverywhereBut(apps(&["b"])));
    check(&[("Allow", ALL, &["iotda:*:*:app:*"])], QUERY, Verdict::Everywhere);
    check(&[("Allow", ALL, &["*:*:*:app:a", "obs:*:*:bucket:*"])], QUERY, Verdict::In(apps(&["a"])));
    check(&[("Allow", ALL, &["*"])], QUERY, Verdict::Everywhere);
    check(&[("Allow", ALL, &["iotda:*:*:*:*"])], QUERY, Verdict::Everywhere);
}

#[test]
fn resources_of_others_reach_nothing() {
    check(&[("Allow", ALL, &["iotda:*:somebody:app:a"])], QUERY, Verdict::Nowhere);
    check(&[("Allow", ALL, &["iotda:*:somebody:app:*"])], QUERY, Verdict::Nowhere);
    check(&[("Allow", ALL, &["obs:*:*:bucket:*"])], QUERY, Verdict::Nowhere);
    check(&[("Allow", ALL, &[]), ("Deny", ALL, &["iotda:*:somebody:app:a"])], QUERY, Verdict::Everywhere);
}

#[test]
fn instances() {
    let example: &[&str] = &["IoTDA:*:*:app:*", "IoTDA:*:*:instance:instance-1"];
    check(&[("Allow", ALL, example)], QUERY, Verdict::Everywhere);
    check(&[("Allow", ALL, &["iotda:*:*:app:*", "iotda:*:*:instance:other"])], QUERY, Verdict::Nowhere);
    check(&[("Allow", ALL, &["iotda:*:*:app:a", "iotda:*:*:instance:*"])], QUERY, Verdict::In(apps(&["a"])));
    check(&[("Allow", ALL, &["iotda:*:*:instance:instance-1"])], QUERY, Verdict::Everywhere);
    check(&[("Allow", ALL, &["iotda:*:*:instance:other"])], QUERY, Verdict::Nowhere);
}

#[track_caller]
fn faults(text: &str, expected: &[&str]) {
    let faults = Policy::parse(text).expect_err(text);
    let places: Vec<&str> = faults.iter().map(|f| f.place.as_str()).collect();
    assert_eq!(places, expected, "{text}: {faults:?}");
}

#[test]
fn every_fault_has_its_place() {
    faults("", &[""]);
    faults("[]", &[""]);
    faults("{}", &["Version", "Statement"]);
    faults(r#"{"Version": "5.0", "Statement": [], "Id": 1}"#, &["Id", "Version", "Statement"]);
    faults(
        r#"{"Version": "1.1", "Statement": [7, {"Effect": "allow", "NotAction": []}]}"#,
        &["Statement[0]", "Statement[1].NotAction", "Statement[1].Effect", "Statement[1].Action"],
    );
    faults(
        r#"{"Version": "1.1", "Statement": [{"Effect": "Allow", "Action": ["iotda:a:b", 1, "x"], "Resource": "*"}]}"#,
        &["Statement[0].Action[1]", "Statement[0].Action[2]", "Statement[0].Resource"],
    );
    faults(
        r#"{"Version": "1.1", "Statement": [{"Effect": "Deny", "Action": ["*"], "Condition": {"a": {}},
            "Resource": ["*", "iotda:*:*:app:a*", "iotda:*:*:device:x", "iotda:app:x", "iotda:*:*:instance:a*"]}]}"#,
        &[
            "Statement[0].Resource[1]",
            "Statement[0].Resource[2]",
            "Statement[0].Resource[3]",
            "Statement[0].Resource[4]",
            "Statement[0].Condition",
        ],
    );
}

#[test]
fn faults_and_documents_are_bounded() {
    let many =
        format!(r#"{{"Version": "1.1", "Statement": [{{"Effect": "Allow", "Action": [{}1]}}]}}"#, "1,".repeat(99));
    assert_eq!(Policy::parse(&many).expect_err("no texts").len(), 20);
    let long = format!(
        r#"{{"Version": "1.1", "Statement": [{{"Effect": "Allow", "Action": [{}"iotda:a:b"]}}]}}"#,
        format!(r#""iotda:{}:b","#, "a".repeat(100)).repeat(60)
    );
    assert_eq!(Policy::parse(&long).expect_err("too long")[0].place, "");
    assert!(Policy::parse(&"[".repeat(10_000)).is_err());
}

#[test]
fn documents_are_kept_as_understood() {
    let text = r#"{"Statement":[{"Action":["iotda:devices:query"],"Effect":"Allow","Resource":["iotda:*:*:app:a"]},
        {"Effect":"Deny","Action":["iotda:*:*"],"Resource":[],"Condition":{}}],"Version":"1.1"}"#;
    let policy = Policy::parse(text).expect("sound");
    let kept = policy.to_json().to_string();
    assert_eq!(Policy::parse(&kept).as_ref(), Ok(&policy));
    assert!(kept.contains("app:a") && !kept.contains("Condition"), "{kept}");
}
