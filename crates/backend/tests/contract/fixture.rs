//! Samples of everything, and short words for what the tests do all the time.

use causeway_model::message::{DeviceMessage, Encoding, MessageStatus, MessageTopic, PayloadFormat};
use causeway_model::product::{ServiceCapability, ServiceProperty};
use causeway_model::properties::PropertyObject;
use causeway_model::registry::{App, AuthType, Device, DeviceAuth, Product, Sealed};
use causeway_model::shadow::ServiceShadow;
use causeway_model::status::DeviceStatus;
use causeway_model::{AppId, Code, DeviceId, DeviceNo, NodeId, ProductId, RecordNo, Result, Timestamp};
use causeway_platform::Store;
use causeway_platform::outbox::NewDelivery;
use causeway_platform::uplink::{Change, ReportRow, StatusChange, Unit};

/// When everything begins.
pub(crate) const T0: Timestamp = Timestamp(1_700_000_000_000);

/// `T0` and so many milliseconds.
pub(crate) fn at(ms: i64) -> Timestamp {
    T0.plus_ms(ms)
}

pub(crate) fn object(text: &str) -> PropertyObject {
    PropertyObject::parse(text).expect("a property object")
}

/// A space as a caller would make it; the name is the id.
pub(crate) fn app(id: &str) -> App {
    App { no: RecordNo(0), id: AppId::trusted(id), name: format!("name of {id}"), created_at: T0, is_default: false }
}

pub(crate) fn product(app: &App, id: &str) -> Product {
    let services = vec![ServiceCapability {
        service_id: "s".to_owned(),
        service_type: "s".to_owned(),
        properties: vec![ServiceProperty {
            property_name: "level".to_owned(),
            data_type: "decimal".to_owned(),
            method: "RW".to_owned(),
            default_value: Some(serde_json::json!(1)),
            ..ServiceProperty::default()
        }],
        ..ServiceCapability::default()
    }];
    Product {
        no: RecordNo(0),
        app_id: app.id.clone(),
        app_name: String::new(),
        id: ProductId::trusted(id),
        name: format!("product {id}"),
        device_type: "sensor".to_owned(),
        protocol_type: "MQTT".to_owned(),
        data_format: "json".to_owned(),
        manufacturer_name: Some("maker".to_owned()),
        industry: None,
        description: Some("说明".to_owned()),
        services,
        topics: Vec::new(),
        created_at: T0,
    }
}

pub(crate) fn device(product: &Product, id: &str) -> Device {
    Device {
        no: DeviceNo(0),
        app_id: product.app_id.clone(),
        app_name: String::new(),
        id: DeviceId::trusted(id),
        node_id: NodeId::trusted(format!("node-{id}")),
        name: Some(format!("device {id}")),
        description: None,
        product_no: product.no,
        product_id: product.id.clone(),
        product_name: String::new(),
        gateway_id: None,
        fw_version: None,
        sw_version: None,
        sdk_version: None,
        auth: DeviceAuth {
            auth_type: AuthType::Secret,
            secret: Some(Sealed(vec![1, 0, 255].into())),
            secondary_secret: None,
            fingerprint: None,
            secondary_fingerprint: None,
            secure_access: true,
            timeout_s: 0,
        },
        connection: DeviceStatus::Inactive,
        frozen: false,
        created_at: T0,
        status_changed_at: None,
        activated_at: None,
        last_online_at: None,
        extension_info: None,
        tags: Vec::new(),
    }
}

pub(crate) fn message(device: DeviceNo, id: &str) -> DeviceMessage {
    DeviceMessage {
        no: 0,
        device,
        id: id.to_owned(),
        name: None,
        content: r#""hello""#.to_owned(),
        encoding: Encoding::None,
        format: PayloadFormat::Standard,
        topic: MessageTopic::System,
        properties: None,
        status: MessageStatus::Pending,
        error: None,
        created_at: T0,
        finished_at: None,
        expires_at: at(86_400_000),
    }
}

/// A space `app-1` with a product `product-1`.
pub(crate) async fn seed(store: &dyn Store) -> (App, Product) {
    let app = store.insert_app(app("app-1"), 10).await.expect("a space");
    let product = store.insert_product(product(&app, "product-1")).await.expect("a product");
    (app, product)
}

/// Adds a device without desired values.
pub(crate) async fn add_device(store: &dyn Store, product: &Product, id: &str) -> Device {
    store.insert_device(device(product, id), Vec::new()).await.expect("a device")
}

/// Adds a device behind another one.
pub(crate) async fn add_child(store: &dyn Store, product: &Product, gateway: &Device, id: &str) -> Device {
    let child = Device { gateway_id: Some(gateway.id.clone()), ..device(product, id) };
    store.insert_device(child, Vec::new()).await.expect("a device behind a gateway")
}

/// A space, a product and one device `d1`.
pub(crate) async fn seed_device(store: &dyn Store) -> Device {
    let (_, product) = seed(store).await;
    add_device(store, &product, "d1").await
}

pub(crate) fn unit(device: DeviceNo, change: Change) -> Unit {
    Unit { device, arrival: at(5), change, deliveries: Vec::new() }
}

/// A report of one service, measured at `T0 + ms`.
pub(crate) fn report(device: DeviceNo, service: &str, properties: &str, ms: i64) -> Unit {
    let row = ReportRow { service_id: service.into(), properties: object(properties), event_time: at(ms) };
    unit(device, Change::Report(smallvec::smallvec![row]))
}

pub(crate) fn status(device: DeviceNo, status: DeviceStatus, ms: i64) -> Unit {
    unit(device, Change::Status(StatusChange { status, at: at(ms) }))
}

pub(crate) fn delivery(target: i64, device: Option<DeviceNo>, body: &str) -> NewDelivery {
    NewDelivery { target, device, body: body.into(), at: T0 }
}

/// Submits units and waits for their commit.
pub(crate) async fn commit(store: &dyn Store, units: Vec<Unit>) {
    try_commit(store, units).await.expect("the units are committed");
}

pub(crate) async fn try_commit(store: &dyn Store, units: Vec<Unit>) -> Result<()> {
    store.submit(units).await.await.expect("every ticket is answered")
}

/// The shadow of one service.
pub(crate) async fn shadow_of(store: &dyn Store, device: DeviceNo, service: &str) -> ServiceShadow {
    let shadow = store.shadow(device).await.expect("a shadow");
    shadow.into_iter().find(|s| s.service_id == service).expect("the service")
}

/// The reported side of one service as text.
pub(crate) async fn reported(store: &dyn Store, device: DeviceNo, service: &str) -> String {
    shadow_of(store, device, service).await.reported.expect("a reported side").properties.as_str().to_owned()
}

/// Checks that a call was refused with this code.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(outcome: Result<T>, code: Code) {
    match outcome {
        Err(e) => assert_eq!(e.code(), code, "{e:?}"),
        Ok(value) => panic!("{code:?} was expected, the call answered {value:?}"),
    }
}
