//! The door on the wire: operations, tokens, limits, and how connections begin and end (001).

mod rig;

use causeway_door_http::HttpDoorSettings;
use causeway_model::settings::{ByteSize, Span};
use rig::{Rig, SECRET, credentials, report_path, request, soon};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MEGABYTE: usize = 1 << 20;

/// A report of exactly `size` bytes.
fn padded(size: usize) -> String {
    let report = r#"{"services":[{"service_id":"s","properties":{"v":1}}]}"#;
    format!("{report}{}", " ".repeat(size - report.len()))
}

async fn rig() -> Rig {
    Rig::new(HttpDoorSettings::default()).await
}

#[tokio::test]
async fn a_report_is_in_the_shadow_when_it_is_answered() {
    let rig = rig().await;
    let device = rig.device("d", None).await;
    let token = rig.login(&device).await;
    let answer = rig.report(&device, &token, 7).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert_eq!(rig.reported(&device).await, [r#"s{"v":7}"#]);
    let message = format!("/v5/devices/{}/sys/messages/up", device.id);
    assert_eq!(rig.post(&message, &token, "\u{1}any bytes").await.status, 200);
}

#[tokio::test]
async fn sign_in_does_not_tell_whether_a_device_exists() {
    let rig = rig().await;
    rig.device("d", None).await;
    let wrong = rig.post("/v5/device-auth", "", &credentials("d", "87654321")).await;
    let unknown = rig.post("/v5/device-auth", "", &credentials("nobody", SECRET)).await;
    wrong.must_be(401, "IOTDA.000002");
    assert_eq!((wrong.status, &wrong.body), (unknown.status, &unknown.body));
    rig.post("/v5/device-auth", "", "{}").await.must_be(400, "IOTDA.000006");
    rig.post("/v5/device-auth", "", &" ".repeat(5000)).await.must_be(400, "IOTDA.000006");
}

#[tokio::test]
async fn a_token_ends_at_once_however_it_ends() {
    let rig = rig().await;
    let (device, other) = (rig.device("d", None).await, rig.device("e", None).await);
    let invalid = "IOTDA.000004";
    rig.report(&device, "", 0).await.must_be(403, invalid);
    rig.report(&device, "made-up", 0).await.must_be(403, invalid);
    let foreign = rig.login(&other).await;
    rig.report(&device, &foreign, 0).await.must_be(403, invalid);

    // A new token leaves the old one thirty seconds, although it was in use.
    let old = rig.login(&device).await;
    assert_eq!(rig.report(&device, &old, 1).await.status, 200);
    let new = rig.login(&device).await;
    assert_eq!(rig.report(&device, &old, 2).await.status, 200);
    assert_eq!(rig.report(&device, &new, 3).await.status, 200);
    rig.platform.clock.advance(29_000);
    assert_eq!(rig.report(&device, &old, 4).await.status, 200);
    rig.platform.clock.advance(1001);
    rig.report(&device, &old, 5).await.must_be(403, invalid);
    assert_eq!(rig.report(&device, &new, 6).await.status, 200);

    rig.platform.set_frozen(&device.id, true).await.expect("frozen");
    rig.report(&device, &new, 7).await.must_be(403, invalid);
    rig.post("/v5/device-auth", "", &credentials("d", SECRET)).await.must_be(401, "IOTDA.000002");
    rig.platform.set_frozen(&device.id, false).await.expect("unfrozen");
    assert_eq!(rig.report(&device, &new, 8).await.status, 200);

    rig.platform.end_device_tokens(&device).await.expect("ended");
    rig.report(&device, &new, 9).await.must_be(403, invalid);

    let day = rig.login(&device).await;
    assert_eq!(rig.report(&device, &day, 10).await.status, 200);
    rig.platform.clock.advance(86_400_000);
    rig.report(&device, &day, 11).await.must_be(403, invalid);

    let last = rig.login(&device).await;
    assert_eq!(rig.report(&device, &last, 12).await.status, 200);
    rig.platform.delete_device(&device.id).await.expect("deleted");
    rig.report(&device, &last, 13).await.must_be(403, invalid);
}

#[tokio::test]
async fn a_space_that_goes_ends_the_tokens_of_its_devices() {
    let mut rig = rig().await;
    let space = rig.use_new_space().await;
    let device = rig.device("d", None).await;
    let token = rig.login(&device).await;
    assert_eq!(rig.report(&device, &token, 1).await.status, 200);
    rig.platform.delete_app(&space).await.expect("deleted");
    rig.report(&device, &token, 2).await.must_be(403, "IOTDA.000004");
}

#[tokio::test]
async fn gateways_speak_for_their_own_and_for_fifty() {
    let rig = rig().await;
    let gateway = rig.device("g", None).await;
    let child = rig.device("c", Some(&gateway)).await;
    rig.device("stranger", None).await;
    let token = rig.login(&gateway).await;
    let path = "/v5/devices/g/sys/gateway/sub-devices/properties/report";
    let body = |ids: &[&str]| {
        let one =
            |id: &&str| format!(r#"{{"device_id":"{id}","services":[{{"service_id":"s","properties":{{"v":1}}}}]}}"#);
        format!(r#"{{"devices":[{}]}}"#, ids.iter().map(one).collect::<Vec<_>>().join(","))
    };
    rig.post(path, &token, &body(&["c"; 51])).await.must_be(403, "IOTDA.021103");
    rig.post(path, &token, &body(&["c", "stranger"])).await.must_be(400, "IOTDA.021104");
    rig.post(path, &token, "{}").await.must_be(400, "IOTDA.000006");
    assert!(rig.reported(&child).await.is_empty());
    assert_eq!(rig.post(path, &token, &body(&["c"; 50])).await.status, 200);
    assert_eq!(rig.reported(&child).await, [r#"s{"v":1}"#]);
}

#[tokio::test]
async fn what_is_too_large_is_refused_in_every_form() {
    let rig = rig().await;
    let device = rig.device("d", None).await;
    let token = rig.login(&device).await;
    let path = report_path(&device);
    assert_eq!(rig.post(&path, &token, &padded(MEGABYTE)).await.status, 200);
    // The client sends all of it before it looks for an answer, which must still be there.
    for size in [MEGABYTE + 1, 8 * MEGABYTE] {
        rig.post(&path, &token, &padded(size)).await.must_be(403, "IOTDA.021105");
    }
    let chunk = padded(64 << 10);
    let mut chunked =
        format!("POST {path} HTTP/1.1\r\nHost: x\r\naccess_token: {token}\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..17 {
        chunked.push_str(&format!("{:x}\r\n{chunk}\r\n", chunk.len()));
    }
    chunked.push_str("0\r\n\r\n");
    let mut client = rig.client().await;
    client.send(chunked.as_bytes()).await;
    client.answer().await.must_be(403, "IOTDA.021105");
}

#[tokio::test]
async fn a_chunked_report_is_taken() {
    let rig = rig().await;
    let device = rig.device("d", None).await;
    let token = rig.login(&device).await;
    let mut client = rig.client().await;
    let head = format!("POST {} HTTP/1.1\r\nHost: x\r\naccess_token: {token}\r\n", report_path(&device));
    client.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).await;
    for piece in [r#"{"services":[{"service_id":"s","#, r#""properties":{"v":4"#, "}}]}"] {
        client.send(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).await;
    }
    client.send(b"0\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(rig.reported(&device).await, [r#"s{"v":4}"#]);
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_is_told() {
    let rig = rig().await;
    let device = rig.device("d", None).await;
    let token = rig.login(&device).await;
    let head = |token: &str, length: usize| {
        let path = report_path(&device);
        format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\naccess_token: {token}\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let mut client = rig.client().await;
    client.send(head(&token, 2000).as_bytes()).await;
    assert_eq!(client.answer().await.status, 100);
    client.send(padded(2000).as_bytes()).await;
    assert_eq!(client.answer().await.status, 200);
    // A refusal comes instead, and nothing needs to be sent.
    for (token, length, status, code) in
        [(token.as_str(), MEGABYTE + 1, 403, "IOTDA.021105"), ("made-up", 2000, 403, "IOTDA.000004")]
    {
        let mut client = rig.client().await;
        client.send(head(token, length).as_bytes()).await;
        client.answer().await.must_be(status, code);
        assert!(client.closed().await.is_empty());
    }
}

#[tokio::test]
async fn connections_are_kept_in_http_1_1_and_not_in_1_0() {
    let rig = rig().await;
    let device = rig.device("d", None).await;
    let token = rig.login(&device).await;
    let report = request(&report_path(&device), &token, &padded(100));
    let mut client = rig.client().await;
    assert_eq!(client.stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    for _ in 0..3 {
        client.send(report.as_bytes()).await;
        assert_eq!(client.answer().await.status, 200);
    }
    // A refusal whose body was read does not end the connection.
    client.send(request(&report_path(&device), &token, "{").as_bytes()).await;
    client.answer().await.must_be(400, "IOTDA.000006");
    client.send(report.as_bytes()).await;
    assert_eq!(client.answer().await.status, 200);

    let mut client = rig.client().await;
    client.send(report.replace("HTTP/1.1", "HTTP/1.0").as_bytes()).await;
    let answer = client.answer().await;
    assert!(answer.head.starts_with("HTTP/1.0 200"), "{answer:?}");
    assert!(client.closed().await.is_empty());
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let rig = rig().await;
    rig.post("/v5/elsewhere", "", "").await.must_be(404, "IOTDA.000022");
    let mut client = rig.client().await;
    client.send(b"GET /v5/device-auth HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let answer = client.answer().await;
    answer.must_be(405, "IOTDA.000023");
    assert!(answer.head.to_ascii_lowercase().contains("allow: post"));
}

#[tokio::test]
async fn plain_http_is_closed() {
    let rig = rig().await;
    let mut stream = rig.plain().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    let mut answer = Vec::new();
    // A reset is a close as well.
    let _ = soon(stream.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP"));
}

#[tokio::test]
async fn the_slow_are_let_go() {
    // Long enough for a busy machine to be in time where it should be.
    let hasty = HttpDoorSettings {
        handshake_timeout: Span::secs(1),
        header_timeout: Span::secs(1),
        body_timeout: Span::secs(1),
        ..HttpDoorSettings::default()
    };
    let rig = Rig::new(hasty).await;
    let device = rig.device("d", None).await;
    let token = rig.login(&device).await;
    // No handshake.
    let mut stream = rig.plain().await;
    assert_eq!(soon(stream.read(&mut [0; 10])).await.unwrap_or(0), 0);
    // No request, and none after the first.
    assert!(rig.client().await.closed().await.is_empty());
    let mut client = rig.client().await;
    client.send(request(&report_path(&device), &token, &padded(100)).as_bytes()).await;
    assert_eq!(client.answer().await.status, 200);
    assert!(client.closed().await.is_empty());
    // Half a head.
    let mut client = rig.client().await;
    client.send(b"POST /v5/device-auth HTTP/1.1\r\nHost:").await;
    client.closed().await;
    // Half a body.
    let mut client = rig.client().await;
    let report = request(&report_path(&device), &token, &padded(100));
    client.send(&report.as_bytes()[..report.len() - 1]).await;
    client.answer().await.must_be(400, "IOTDA.000006");
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let rig = Rig::new(HttpDoorSettings { max_connections: 1, ..HttpDoorSettings::default() }).await;
    let first = rig.client().await;
    let second = rig.client();
    tokio::pin!(second);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(100), &mut second).await.is_err());
    drop(first);
    let mut second = second.await;
    second.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(second.answer().await.status, 404);
}

#[tokio::test]
async fn small_memory_for_bodies_only_makes_them_wait() {
    let small = HttpDoorSettings {
        body_memory: ByteSize(1),
        max_body: ByteSize(4096),
        body_timeout: Span::secs(15),
        ..HttpDoorSettings::default()
    };
    let rig = Rig::new(small).await;
    let device = rig.device("d", None).await;
    let token = rig.login(&device).await;
    let report = request(&report_path(&device), &token, &padded(4096));
    let mut holder = rig.client().await;
    holder.send(&report.as_bytes()[..report.len() - 1]).await;
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let mut client = rig.client().await;
        client.send(report.as_bytes()).await;
        waiting.push(client);
    }
    holder.send(&report.as_bytes()[report.len() - 1..]).await;
    assert_eq!(holder.answer().await.status, 200);
    for mut client in waiting {
        assert_eq!(client.answer().await.status, 200);
    }
}

#[tokio::test]
async fn a_device_above_its_rate_is_refused() {
    let rig = Rig::new(HttpDoorSettings { device_rate: 3, tenant_rate: 5, ..HttpDoorSettings::default() }).await;
    let (device, other) = (rig.device("d", None).await, rig.device("e", None).await);
    let mut client = rig.client().await;
    client.send(request("/v5/device-auth", "", &credentials("d", SECRET)).as_bytes()).await;
    let token = client.answer().await.body.split('"').nth(3).expect("a token").to_owned();
    let mut refused = Vec::new();
    for _ in 0..20 {
        client.send(request(&report_path(&device), &token, &padded(100)).as_bytes()).await;
        let answer = client.answer().await;
        if answer.status != 200 {
            refused.push(answer);
        }
    }
    assert!(!refused.is_empty(), "twenty reports took less than five seconds");
    refused[0].must_be(403, "IOTDA.021101");
    // Another device meets only the limit of all.
    for _ in 0..20 {
        client.send(request("/v5/device-auth", "", &credentials(other.id.as_str(), SECRET)).as_bytes()).await;
        let answer = client.answer().await;
        assert!(answer.status == 200 || answer.body.contains("IOTDA.0211"), "{answer:?}");
    }
}

#[tokio::test]
async fn the_end_waits_for_requests_under_way_and_for_nothing_else() {
    let rig = rig().await;
    let device = rig.device("d", None).await;
    let token = rig.login(&device).await;
    let report = request(&report_path(&device), &token, &padded(100));
    let (half, rest) = report.split_at(report.len() - 1);
    let (idle, silent) = (rig.client().await, rig.plain().await);
    let mut busy = rig.client().await;
    busy.send(report.as_bytes()).await;
    assert_eq!(busy.answer().await.status, 200);
    busy.send(half.replace("Host: x", "Host: x\r\nExpect: 100-continue").as_bytes()).await;
    // The door has asked for the body, so the request is under way.
    assert_eq!(busy.answer().await.status, 100);
    rig.stop.cancel();
    assert!(idle.closed().await.is_empty());
    busy.send(rest.as_bytes()).await;
    assert_eq!(busy.answer().await.status, 200);
    busy.closed().await;
    soon(rig.served).await.expect("no panic");
    drop(silent);
}
