//! What all listening addresses of the door share.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use causeway_platform::Platform;
use causeway_platform::uplink::DeviceContext;
use metrics::{Counter, Gauge, counter, gauge};
use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use crate::session::letter::Budget;
use crate::session::place::Places;
use crate::settings::MqttSettings;
use crate::uplink::Malformed;

/// Lets a few log lines a second through: refused devices knock for ever.
pub(crate) struct LogGate(Mutex<(Instant, u32)>);

impl LogGate {
    const PER_SECOND: u32 = 20;

    fn new() -> Self {
        Self(Mutex::new((Instant::now(), 0)))
    }

    /// Whether a line may be written now.
    pub(crate) fn allow(&self) -> bool {
        let mut state = self.0.lock();
        if state.0.elapsed() >= Duration::from_secs(1) {
            *state = (Instant::now(), 0);
        }
        state.1 += 1;
        state.1 <= Self::PER_SECOND
    }
}

/// Metrics that are written often.
pub(crate) struct Meters {
    pub(crate) connections: Gauge,
    pub(crate) packets: Counter,
    pub(crate) events: Counter,
    pub(crate) dropped: Counter,
}

/// The MQTT door. Its listening addresses share the sessions of the devices, so one door serves all of them.
pub struct Door {
    pub(crate) platform: Arc<Platform>,
    pub(crate) settings: Arc<MqttSettings>,
    pub(crate) places: Arc<Places>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) meters: Meters,
    pub(crate) log: LogGate,
    /// Short work that goes on beside the connections: telling what became of messages.
    pub(crate) errands: TaskTracker,
    /// Listening addresses so far; each ends its own connections.
    pub(crate) listeners: AtomicU32,
}

impl Door {
    /// Makes the door of a platform.
    #[must_use]
    pub fn new(platform: Arc<Platform>, settings: Arc<MqttSettings>) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::default(),
            budget: Budget::new(settings.session_memory.0, settings.session_share.0),
            meters: Meters {
                connections: gauge!("causeway_mqtt_connections"),
                packets: counter!("causeway_mqtt_packets_received_total"),
                events: counter!("causeway_device_events_total"),
                dropped: counter!("causeway_mqtt_messages_dropped_total"),
            },
            log: LogGate::new(),
            errands: TaskTracker::new(),
            listeners: AtomicU32::new(0),
            platform,
            settings,
        })
    }

    /// Counts a payload that could not be read and tells of it.
    pub(crate) fn note_malformed(&self, device: &DeviceContext, topic: &str, why: Malformed) {
        counter!("causeway_malformed_reports_total", "reason" => why.word()).increment(1);
        if self.log.allow() {
            tracing::info!(
                device_id = %device.id,
                topic = shown(topic),
                reason = why.word(),
                "a payload could not be read; it was acknowledged and dropped"
            );
        }
    }

    /// Counts a topic that is not the device's to use and tells of it. `act` is `publish` or `subscribe`.
    pub(crate) fn note_refused_topic(&self, device: &DeviceContext, topic: &str, act: &'static str) {
        counter!("causeway_refused_topics_total", "act" => act).increment(1);
        if self.log.allow() {
            tracing::info!(device_id = %device.id, topic = shown(topic), act, "a topic was refused");
        }
    }

    /// Counts devices that a gateway spoke for although they are not behind it.
    pub(crate) fn note_foreign(&self, gateway: &DeviceContext, devices: &[String]) {
        counter!("causeway_foreign_sub_devices_total").increment(devices.len() as u64);
        if let Some(first) = devices.first()
            && self.log.allow()
        {
            tracing::info!(
                device_id = %gateway.id,
                sub_device = shown(first),
                count = devices.len(),
                "a gateway spoke for devices that are not behind it; their part was left out"
            );
        }
    }
}

/// The beginning of a text from outside, for logs.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(160).collect()
}
