//! The listening sockets: bound before anything else, so that a taken port is told at once and names its key.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use causeway_platform::Platform;
use causeway_platform::file::FileDoors;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::ListenSettings;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

/// Bound sockets by door.
pub(crate) struct Listeners(Vec<(&'static str, TcpListener)>);

/// What the doors are made of.
pub(crate) struct Doors {
    pub(crate) platform: Arc<Platform>,
    pub(crate) api: causeway_api::ApiState,
    /// For applications.
    pub(crate) tls: Arc<rustls::ServerConfig>,
    /// For devices.
    pub(crate) device_tls: Arc<rustls::ServerConfig>,
    pub(crate) mqtt: Arc<causeway_door_mqtt::Door>,
    pub(crate) device_http: causeway_door_http::HttpDoorSettings,
    pub(crate) api_settings: causeway_api::ApiSettings,
    pub(crate) amqp: Arc<causeway_delivery::AmqpServer>,
}

/// Binds every door that is not `off`.
///
/// # Errors
/// Names the key whose address is wrong or taken.
pub(crate) async fn bind_all(settings: &ListenSettings) -> anyhow::Result<Listeners> {
    let doors = [
        ("mqtt", &settings.mqtt),
        ("mqtts", &settings.mqtts),
        ("ws", &settings.ws),
        ("wss", &settings.wss),
        ("device_https", &settings.device_https),
        ("device_files", &settings.device_files),
        ("https", &settings.https),
        ("http", &settings.http),
        ("amqps", &settings.amqps),
        ("amqp", &settings.amqp),
    ];
    let mut bound = Vec::new();
    for (door, address) in doors {
        if address == "off" {
            continue;
        }
        let listener = bind(address).await.with_context(|| {
            format!("cannot listen at listen.{door} = {address}; choose another with --set listen.{door}=HOST:PORT, or `off`")
        })?;
        bound.push((door, listener));
    }
    Ok(Listeners(bound))
}

async fn bind(address: &str) -> anyhow::Result<TcpListener> {
    let resolved: Vec<SocketAddr> =
        tokio::net::lookup_host(address).await.context("not an address HOST:PORT")?.collect();
    let first = resolved.first().context("the host has no address")?;
    let socket = if first.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(*first)?;
    Ok(socket.listen(BACKLOG)?)
}

impl Listeners {
    /// Door → address really bound. An unspecified host is shown as loopback: that is how this machine reaches it.
    pub(crate) fn addresses(&self) -> BTreeMap<&'static str, String> {
        let mut addresses = BTreeMap::new();
        for (door, listener) in &self.0 {
            let Ok(mut address) = listener.local_addr() else { continue };
            if address.ip().is_unspecified() {
                let loopback: std::net::IpAddr =
                    if address.is_ipv4() { [127, 0, 0, 1].into() } else { [0, 0, 0, 0, 0, 0, 0, 1_u16].into() };
                address.set_ip(loopback);
            }
            addresses.insert(*door, address.to_string());
        }
        addresses
    }

    /// Where files are served.
    pub(crate) fn file_doors(&self) -> FileDoors {
        let bound = |door| {
            let listener = self.0.iter().find(|(name, _)| *name == door).map(|(_, listener)| listener);
            listener.and_then(|l| l.local_addr().ok())
        };
        FileDoors { https: bound("device_https"), http: bound("device_files") }
    }

    /// Opens every door; each becomes a part that ends after `stop`.
    pub(crate) fn spawn(self, parts: &mut JoinSet<&'static str>, doors: &Doors, stop: &CancellationToken) {
        for (door, listener) in self.0 {
            let stop = stop.clone();
            let (platform, tls) = (doors.platform.clone(), doors.tls.clone());
            match door {
                "mqtt" | "mqtts" | "ws" | "wss" => {
                    use causeway_door_mqtt::Listener;
                    let shared = doors.mqtt.clone();
                    let listener = match door {
                        "mqtt" => Listener::Tcp(listener),
                        "mqtts" => Listener::Tls(listener, doors.device_tls.clone()),
                        "ws" => Listener::Ws(listener),
                        _ => Listener::Wss(listener, doors.device_tls.clone()),
                    };
                    parts.spawn(async move {
                        causeway_door_mqtt::serve(shared, listener, stop).await;
                        door
                    });
                }
                "device_https" => {
                    let settings = doors.device_http.clone();
                    parts.spawn(async move {
                        causeway_door_http::serve(platform, settings, listener, tls, stop).await;
                        door
                    });
                }
                "device_files" => {
                    let settings = doors.device_http.clone();
                    parts.spawn(async move {
                        causeway_door_http::serve_files(platform, settings, listener, stop).await;
                        door
                    });
                }
                "amqps" | "amqp" => {
                    let server = doors.amqp.clone();
                    let tls = (door == "amqps").then_some(tls);
                    parts.spawn(async move {
                        server.serve(listener, tls).await;
                        door
                    });
                }
                _ => {
                    let router = causeway_api::router(doors.api.clone());
                    let settings = doors.api_settings.clone();
                    let tls = (door == "https").then_some(tls);
                    parts.spawn(async move {
                        causeway_api::serve(router, listener, tls, settings, stop).await;
                        door
                    });
                }
            }
        }
    }
}
