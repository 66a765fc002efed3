//! A door on a free port before a real platform on SQLite, and a client that speaks bytes.

use std::sync::Arc;
use std::time::Duration;

use causeway_backend::{LocalBus, ObjectSettings, S3Settings, StoreSettings};
use causeway_door_http::{HttpDoorSettings, serve};
use causeway_model::product::Strictness;
use causeway_model::registry::Device;
use causeway_model::shadow::ServiceShadow;
use causeway_model::{AppId, DeviceId, NodeId, ProductId, Spaces};
use causeway_platform::Platform;
use causeway_platform::clock::Clock;
use causeway_platform::device::{NewDevice, NewDeviceAuth};
use causeway_platform::file::{FileAccess, FileDoors};
use causeway_platform::product::NewProduct;
use causeway_platform::secrets::Secrets;
use causeway_platform::settings::PlatformSettings;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_util::sync::CancellationToken;

pub(crate) const SECRET: &str = "12345678";
const HOUR: &str = "2019120219";

/// What must not take longer than this hangs.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("within the deadline")
}

pub(crate) struct Rig {
    pub(crate) platform: Arc<Platform>,
    pub(crate) stop: CancellationToken,
    pub(crate) served: JoinHandle<()>,
    port: u16,
    authority: CertificateDer<'static>,
    product: ProductId,
    _folder: TempDir,
}

impl Rig {
    pub(crate) async fn new(settings: HttpDoorSettings) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = causeway_backend::open(&StoreSettings::default(), folder.path()).await.expect("a store");
        let (local, s3) = (ObjectSettings::default(), S3Settings::default());
        let objects = causeway_backend::open_objects(&local, &s3, folder.path()).await.expect("a folder for objects");
        let doors = FileDoors { https: "127.0.0.1:8943".parse().ok(), http: None };
        let files = FileAccess { objects, doors };
        let mut platform_settings = PlatformSettings::default();
        platform_settings.model.strictness = Strictness::Off;
        let secrets = Secrets::new(&[7; 32]);
        let clock = Arc::new(Clock::default());
        let bus = Arc::new(LocalBus::default());
        let platform = Platform::open(platform_settings, store, bus, secrets, clock, files).await.expect("a platform");

        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let authority = made.cert.der().clone();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let tls = ServerConfig::builder().with_no_client_auth();
        let tls = tls.with_single_cert(vec![authority.clone()], key.into()).expect("a sound pair");

        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let stop = CancellationToken::new();
        let served = tokio::spawn(serve(platform.clone(), settings, listener, Arc::new(tls), stop.clone()));
        let product = product(&platform, None).await;
        Self { platform, stop, served, port, authority, product, _folder: folder }
    }

    /// Further devices are in a new space.
    pub(crate) async fn use_new_space(&mut self) -> AppId {
        let space = self.platform.create_app("new").await.expect("a space").id;
        self.product = product(&self.platform, Some(space.clone())).await;
        space
    }

    /// Registers a device with [`SECRET`].
    pub(crate) async fn device(&self, node: &str, gateway: Option<&Device>) -> Device {
        let new = NewDevice {
            id: Some(DeviceId::parse(node).expect("a sound id")),
            node_id: NodeId::parse(node).expect("a sound id"),
            name: None,
            product_id: self.product.clone(),
            spaces: Spaces::All,
            gateway_id: gateway.map(|g| g.id.clone()),
            description: None,
            extension_info: None,
            auth: NewDeviceAuth { secret: Some(SECRET.to_owned()), ..NewDeviceAuth::default() },
            desired: Vec::new(),
        };
        self.platform.register_device(new).await.expect("registered").device
    }

    /// What the shadow of a device shows as reported, as `service{…}`.
    pub(crate) async fn reported(&self, device: &Device) -> Vec<String> {
        let shadow = self.platform.store.shadow(device.no).await.expect("a shadow");
        let reported =
            |s: &ServiceShadow| Some(format!("{}{}", s.service_id, s.reported.as_ref()?.properties.as_str()));
        shadow.iter().filter_map(reported).collect()
    }

    pub(crate) async fn plain(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.expect("a connection")
    }

    pub(crate) async fn client(&self) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).expect("a sound certificate");
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = ServerName::try_from("localhost").expect("a name");
        let connected = TlsConnector::from(Arc::new(config)).connect(name, self.plain().await);
        Client { stream: soon(connected).await.expect("a TLS session"), unread: Vec::new() }
    }

    /// One request on a connection of its own.
    pub(crate) async fn post(&self, path: &str, token: &str, body: &str) -> Answer {
        let mut client = self.client().await;
        client.send(request(path, token, body).as_bytes()).await;
        client.answer().await
    }

    /// Signs in and returns the token.
    pub(crate) async fn login(&self, device: &Device) -> String {
        let answer = self.post("/v5/device-auth", "", &credentials(device.id.as_str(), SECRET)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let token = answer.body.split('"').nth(3).expect("a token").to_owned();
        assert_eq!(answer.body, format!(r#"{{"access_token":"{token}","expires_in":86400}}"#));
        token
    }

    pub(crate) async fn report(&self, device: &Device, token: &str, value: i32) -> Answer {
        let body = format!(r#"{{"services":[{{"service_id":"s","properties":{{"v":{value}}}}}]}}"#);
        self.post(&report_path(device), token, &body).await
    }
}

async fn product(platform: &Platform, app_id: Option<AppId>) -> ProductId {
    let product = NewProduct {
        id: None,
        spaces: app_id.map_or(Spaces::All, Spaces::one),
        name: "any".to_owned(),
        device_type: "any".to_owned(),
        protocol_type: "HTTP".to_owned(),
        data_format: "json".to_owned(),
        manufacturer_name: None,
        industry: None,
        description: None,
        services: Vec::new(),
    };
    platform.create_product(product).await.expect("a product").id
}

pub(crate) fn report_path(device: &Device) -> String {
    format!("/v5/devices/{}/sys/properties/report", device.id)
}

pub(crate) fn request(path: &str, token: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: x\r\naccess_token: {token}\r\nContent-Length: {length}\r\n\r\n{body}")
}

pub(crate) fn credentials(device_id: &str, secret: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(HOUR.as_bytes()).expect("any length");
    mac.update(secret.as_bytes());
    let password = hex::encode(mac.finalize().into_bytes());
    format!(r#"{{"device_id":"{device_id}","sign_type":0,"timestamp":"{HOUR}","password":"{password}"}}"#)
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn must_be(&self, status: u16, code: &str) {
        let fits = self.status == status && self.body.contains(&format!(r#""error_code":"{code}""#));
        assert!(fits, "expected {status} {code}: {self:?}");
        assert!(self.head.to_ascii_lowercase().contains("content-type: application/json"), "{self:?}");
    }
}

pub(crate) struct Client {
    pub(crate) stream: TlsStream<TcpStream>,
    unread: Vec<u8>,
}

impl Client {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        soon(self.stream.write_all(bytes)).await.expect("sent");
        soon(self.stream.flush()).await.expect("sent");
    }

    /// The next answer; only its body may be empty.
    pub(crate) async fn answer(&mut self) -> Answer {
        let head = loop {
            if let Some(end) = self.unread.windows(4).position(|w| w == b"\r\n\r\n") {
                let rest = self.unread.split_off(end + 4);
                break String::from_utf8(std::mem::replace(&mut self.unread, rest)).expect("text");
            }
            self.fill().await;
        };
        let length = head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let length: usize = length.unwrap_or(0);
        while self.unread.len() < length {
            self.fill().await;
        }
        let rest = self.unread.split_off(length);
        let body = String::from_utf8(std::mem::replace(&mut self.unread, rest)).expect("text");
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        Answer { status, head, body }
    }

    async fn fill(&mut self) {
        let read = soon(self.stream.read_buf(&mut self.unread)).await.expect("readable");
        assert_ne!(read, 0, "the connection was closed before the answer");
    }

    /// Waits until the door has closed the connection, and returns what came before.
    pub(crate) async fn closed(mut self) -> Vec<u8> {
        soon(self.stream.read_to_end(&mut self.unread)).await.expect("closed in order");
        self.unread
    }
}
