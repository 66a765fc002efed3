//! A platform over a SQLite file of its own, and a caller.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use causeway_api::{ApiSettings, ApiState, router};
use causeway_backend::{LocalBus, ObjectSettings, S3Settings, StoreSettings};
use causeway_model::DeviceId;
use causeway_model::event::{AnswerKind, DeviceEvent, Heard, ServiceReport};
use causeway_model::settings::Span;
use causeway_platform::Platform;
use causeway_platform::clock::Clock;
use causeway_platform::downlink::{CloseReason, DeviceLink, Downlink, Refused};
use causeway_platform::file::{FileAccess, FileDoors};
use causeway_platform::instance::AdminCredentials;
use causeway_platform::secrets::Secrets;
use causeway_platform::session::Attachment;
use causeway_platform::settings::PlatformSettings;
use causeway_platform::uplink::Taken;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower::ServiceExt as _;

pub(crate) const USER: &str = "tester";
pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const AK: &str = "AKEXAMPLE";
pub(crate) const SK: &str = "SKEXAMPLE";

pub(crate) struct Rig {
    pub(crate) platform: Arc<Platform>,
    pub(crate) router: Router,
    pub(crate) project_id: String,
    pub(crate) token: String,
    _folder: tempfile::TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{:?}", String::from_utf8_lossy(&self.body)))
    }

    /// The JSON of a success with this status.
    #[track_caller]
    pub(crate) fn must_be(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        assert!(self.headers.contains_key("x-request-id"));
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The sentence of an error with this status and code.
    #[track_caller]
    pub(crate) fn must_fail(&self, status: u16, code: &str) -> String {
        let body = self.must_be(status);
        assert_eq!(body["error_code"], code, "{body}");
        let message = body["error_msg"].as_str().expect("error_msg is a text").to_owned();
        assert!(!message.is_empty());
        message
    }
}

/// A product model with one service.
pub(crate) fn model() -> Value {
    json!([{
        "service_id": "Temperature",
        "properties": [
            { "property_name": "value", "data_type": "decimal", "min": "-50", "max": "100", "method": "RW" },
            { "property_name": "serial", "data_type": "string", "method": "R" },
        ],
        "commands": [{ "command_name": "ON_OFF", "paras": [
            { "para_name": "value", "data_type": "enum", "enum_list": ["ON", "OFF"], "required": true },
        ] }],
    }])
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(ApiSettings::default(), true).await
    }

    pub(crate) async fn with(settings: ApiSettings, clock_movable: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = causeway_backend::open(&StoreSettings::default(), folder.path()).await.expect("a store");
        let (local, s3) = (ObjectSettings::default(), S3Settings::default());
        let objects = causeway_backend::open_objects(&local, &s3, folder.path()).await.expect("a folder for objects");
        let doors = FileDoors { https: "127.0.0.1:8943".parse().ok(), http: None };
        let files = FileAccess { objects, doors };
        let mut platform_settings = PlatformSettings::default();
        platform_settings.command.timeout = Span::millis(300);
        let platform = Platform::open(
            platform_settings,
            store,
            Arc::new(LocalBus::default()),
            Secrets::new(&[7; 32]),
            Arc::new(Clock::default()),
            files,
        )
        .await
        .expect("a platform");
        let [user, password, ak, sk] = [USER, PASSWORD, AK, SK].map(str::to_owned);
        assert!(platform.ensure_admin(&AdminCredentials { user, password, ak, sk }).await.expect("a user"));
        let token = platform.sign_in(USER, PASSWORD, None).await.expect("a token").token;
        let metrics = Arc::new(|| "# no metrics\n".to_owned());
        let state = ApiState::new(platform.clone(), metrics, clock_movable, "0.0.0".to_owned(), settings);
        Self {
            project_id: platform.instance.project_id.to_string(),
            router: router(state),
            platform,
            token,
            _folder: folder,
        }
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("the router never fails");
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes().to_vec();
        Answer { status: head.status, headers: head.headers, body }
    }

    /// Calls with a token; `path` is below the project unless it starts with `//`, which means below the server.
    pub(crate) async fn call_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Answer {
        let uri = match path.strip_prefix("//") {
            Some(rest) => format!("/{rest}"),
            None => format!("/v5/iot/{}{path}", self.project_id),
        };
        let mut request = Request::builder().method(method).uri(uri).header("content-length", body.len());
        if !headers.iter().any(|(name, _)| *name == "x-auth-token") {
            request = request.header("x-auth-token", &self.token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body)).expect("a request")).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(|b| b.to_string().into_bytes()).unwrap_or_default();
        self.call_with(method, path, &[("content-type", "application/json")], body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// A product with [`model`], by id.
    pub(crate) async fn product(&self, id: &str) {
        let body = json!({
            "product_id": id, "name": id, "device_type": "T", "protocol_type": "MQTT", "data_format": "json",
            "service_capabilities": model(),
        });
        self.post("/products", &body).await.must_be(201);
    }

    /// The device `p1_{node}` of the product p1.
    pub(crate) async fn device(&self, node: &str) -> String {
        let made = self.post("/devices", &json!({ "node_id": node, "product_id": "p1" })).await.must_be(201);
        made["device_id"].as_str().expect("an id").to_owned()
    }

    /// Connects a device; what is sent to it comes out of the channel.
    pub(crate) async fn connect(&self, device_id: &str) -> (Attachment, mpsc::Receiver<Downlink>) {
        let (sender, receiver) = mpsc::channel(16);
        let device = self.platform.device(&DeviceId::parse(device_id).expect("id")).await.expect("the device");
        let attachment = self.platform.attach(device.into(), Arc::new(Link(sender))).await.expect("attached");
        attachment.begin().await.expect("begun");
        (attachment, receiver)
    }

    /// The device answers a command.
    pub(crate) async fn answer(&self, from: &Attachment, request_id: &str, body: &[u8]) {
        let event = DeviceEvent::Answer { kind: AnswerKind::Command, request_id, body };
        let mut taken = Taken::default();
        let now = self.platform.clock.now();
        self.platform.take(&from.context, event, Heard::at(now), &mut taken).await.expect("taken");
    }

    /// The device reports `properties` of the service Temperature.
    pub(crate) async fn report(&self, from: &Attachment, properties: &str, event_time: &str) {
        let service = ServiceReport {
            service_id: "Temperature".into(),
            properties,
            event_time: causeway_model::Timestamp::parse(event_time),
        };
        let mut taken = Taken::default();
        let event = DeviceEvent::Report([service].into_iter().collect());
        self.platform
            .take(&from.context, event, Heard::at(self.platform.clock.now()), &mut taken)
            .await
            .expect("taken");
        self.platform.commit(taken.units).await.await.expect("the store runs").expect("committed");
    }
}

struct Link(mpsc::Sender<Downlink>);

impl DeviceLink for Link {
    fn deliver(&self, downlink: Downlink) -> Result<(), Refused> {
        self.0.try_send(downlink).map_err(|_| Refused::Closed)
    }

    fn close(&self, _: CloseReason) {}
}
