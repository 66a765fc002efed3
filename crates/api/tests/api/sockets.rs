//! Listening: limits, time-outs and the end, seen from a socket.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use causeway_api::{ApiSettings, serve};
use causeway_model::settings::Span;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Nothing here takes longer; what does is a failure.
const PATIENCE: Duration = Duration::from_secs(10);

struct Door {
    address: std::net::SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<()>,
    /// Lets requests to `/slow` finish.
    release: Arc<Notify>,
    /// Told when a request to `/slow` has begun.
    begun: Arc<Notify>,
}

async fn open(settings: ApiSettings, tls: Option<Arc<rustls::ServerConfig>>) -> Door {
    let (release, begun) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (release, begun) = (release.clone(), begun.clone());
        move || async move {
            begun.notify_one();
            release.notified().await;
            "slow"
        }
    };
    let router = Router::new().route("/", get(|| async { "hello" })).route("/slow", get(slow));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let stop = CancellationToken::new();
    let served = tokio::spawn(serve(router, listener, tls, settings, stop.clone()));
    Door { address, stop, served, release, begun }
}

async fn connect(door: &Door) -> TcpStream {
    TcpStream::connect(door.address).await.expect("connected")
}

/// Reads until `end` of what came, or the end of the connection.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut all = Vec::new();
    let mut buffer = [0; 1024];
    let read = async {
        while !String::from_utf8_lossy(&all).ends_with(end) || end.is_empty() {
            match stream.read(&mut buffer).await {
                Ok(n) if n > 0 => all.extend_from_slice(&buffer[..n]),
                _ => break,
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("an answer or the end of the connection");
    String::from_utf8_lossy(&all).into_owned()
}

async fn ask(stream: &mut TcpStream, path: &str) {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).await.expect("sent");
}

#[tokio::test]
async fn requests_follow_each_other_until_the_connection_idles() {
    let door = open(ApiSettings { idle_timeout: Span::millis(200), ..ApiSettings::default() }, None).await;
    let mut stream = connect(&door).await;
    for _ in 0..3 {
        ask(&mut stream, "/").await;
        assert!(read_until(&mut stream, "hello").await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(read_until(&mut stream, "").await, "");
    // A request under way is no idling.
    let mut stream = connect(&door).await;
    ask(&mut stream, "/slow").await;
    door.begun.notified().await;
    let mut buffer = [0; 1];
    let early = tokio::time::timeout(Duration::from_millis(500), stream.read(&mut buffer)).await;
    assert!(early.is_err(), "the connection must stay");
    door.release.notify_one();
    assert!(read_until(&mut stream, "slow").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn clients_that_send_slowly_are_left() {
    let door = open(ApiSettings { idle_timeout: Span::millis(200), ..ApiSettings::default() }, None).await;
    // Nothing, the beginning of a head, the beginning of HTTP/2.
    for beginning in ["", "GET / HTTP/1.1\r\nHost: h\r\nX: ", "PRI * HT"] {
        let mut stream = connect(&door).await;
        stream.write_all(beginning.as_bytes()).await.expect("sent");
        assert_eq!(read_until(&mut stream, "").await, "", "{beginning:?}");
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let settings = ApiSettings { max_connections: 1, ..ApiSettings::default() };
    let door = open(settings, None).await;
    let mut first = connect(&door).await;
    ask(&mut first, "/").await;
    read_until(&mut first, "hello").await;
    let mut second = connect(&door).await;
    ask(&mut second, "/").await;
    let mut buffer = [0; 1];
    let early = tokio::time::timeout(Duration::from_millis(200), second.read(&mut buffer)).await;
    assert!(early.is_err(), "the second connection must wait");
    drop(first);
    assert!(read_until(&mut second, "hello").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn requests_under_way_finish_at_the_end() {
    let door = open(ApiSettings::default(), None).await;
    let mut idle = connect(&door).await;
    ask(&mut idle, "/").await;
    read_until(&mut idle, "hello").await;
    let mut busy = connect(&door).await;
    ask(&mut busy, "/slow").await;
    door.begun.notified().await;
    door.stop.cancel();
    assert_eq!(read_until(&mut idle, "").await, "");
    assert!(TcpStream::connect(door.address).await.is_err(), "no new connections");
    door.release.notify_one();
    assert!(read_until(&mut busy, "slow").await.starts_with("HTTP/1.1 200"));
    tokio::time::timeout(PATIENCE, door.served).await.expect("ended").expect("no panic");
}

#[tokio::test]
async fn requests_that_do_not_finish_are_cut() {
    let door = open(ApiSettings { drain: Span::millis(100), ..ApiSettings::default() }, None).await;
    let mut busy = connect(&door).await;
    ask(&mut busy, "/slow").await;
    door.begun.notified().await;
    door.stop.cancel();
    tokio::time::timeout(PATIENCE, door.served).await.expect("ended").expect("no panic");
    assert_eq!(read_until(&mut busy, "").await, "");
}

#[tokio::test]
async fn http_2_is_spoken() {
    let door = open(ApiSettings::default(), None).await;
    let stream = connect(&door).await;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(connection);
    let request =
        hyper::Request::get(format!("http://{}/", door.address)).body(Empty::<&[u8]>::new()).expect("a request");
    let answer = sender.send_request(request).await.expect("an answer");
    assert_eq!(answer.version(), hyper::Version::HTTP_2);
    assert_eq!(answer.into_body().collect().await.expect("a body").to_bytes(), "hello");
}

fn tls() -> (Arc<rustls::ServerConfig>, rustls_pki_types::CertificateDer<'static>) {
    // Another test may have installed it already; either way it is there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = made.cert.der().clone();
    let key = rustls_pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("a configuration");
    (Arc::new(config), certificate)
}

#[tokio::test]
async fn tls_offers_http_2_and_does_not_wait_for_handshakes() {
    let (server, certificate) = tls();
    let settings = ApiSettings { handshake_timeout: Span::millis(200), ..ApiSettings::default() };
    let door = open(settings, Some(server)).await;
    let mut silent = connect(&door).await;
    assert_eq!(read_until(&mut silent, "").await, "");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).expect("a root");
    let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream =
        connector.connect("localhost".try_into().expect("a name"), connect(&door).await).await.expect("a handshake");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
}
