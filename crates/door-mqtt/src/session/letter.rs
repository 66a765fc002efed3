//! Messages that are kept: for acknowledgement, for a device that is away, retained, or as its will.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use causeway_model::Timestamp;
use causeway_wire::mqtt::{self, Packet, Properties, Property, Publish, QoS, Version};

/// Memory for kept messages of all devices. What devices cause may take three quarters of it, so that they cannot starve
/// what the platform has to say; that is bounded by mailboxes and the number of messages kept for a device.
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: usize,
    /// Of one session.
    share: usize,
}

/// What a session has used of its share.
#[derive(Default)]
pub(crate) struct Share(AtomicUsize);

/// Adds `bytes` to `used` if `allowed` agrees with the sum.
fn take(used: &AtomicUsize, bytes: usize, allowed: impl Fn(usize) -> bool) -> bool {
    let add = |used: usize| used.checked_add(bytes).filter(|sum| allowed(*sum));
    used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
}

impl Budget {
    /// `limit` bytes for all, `share` of them for what one session causes; one message is kept whatever its size.
    pub(crate) fn new(limit: usize, share: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), limit, share })
    }

    fn take(&self, bytes: usize, share: Option<&Share>) -> bool {
        let Some(Share(used)) = share else { return take(&self.used, bytes, |sum| sum <= self.limit) };
        if !take(used, bytes, |sum| sum <= self.share || sum == bytes) {
            return false;
        }
        let has_room = take(&self.used, bytes, |sum| sum <= self.limit - self.limit / 4);
        if !has_room {
            used.fetch_sub(bytes, Ordering::Relaxed);
        }
        has_room
    }
}

/// Topic, payload and forwarded properties, encoded as an MQTT 5 PUBLISH with QoS 0: one allocation, and the codec reads
/// it back for whatever version the device speaks.
pub(crate) struct Letter {
    frame: Box<[u8]>,
    budget: Arc<Budget>,
    /// Of the session that caused it; none when the platform did.
    share: Option<Arc<Share>>,
}

/// Memory that a letter takes beside its bytes.
const OVERHEAD: usize = 160;

/// Whether a property travels with the message (v5 §3.3.2.3); the others belong to one hop.
fn is_forwarded(property: &Property<'_>) -> bool {
    matches!(
        property,
        Property::PayloadFormatIndicator(_)
            | Property::MessageExpiryInterval(_)
            | Property::ContentType(_)
            | Property::ResponseTopic(_)
            | Property::CorrelationData(_)
            | Property::UserProperty(..)
    )
}

/// Encodes what is kept of a message.
fn encode(topic: &str, payload: &[u8], properties: &Properties<'_>) -> Option<Box<[u8]>> {
    let forwarded: Vec<Property<'_>> = properties.iter().filter(is_forwarded).collect();
    let publish = Publish { topic, payload, properties: Properties::from(&forwarded), ..Publish::default() };
    let mut frame = Vec::new();
    mqtt::encode_publish(&mut frame, Version::V5, &publish).ok()?;
    Some(frame.into())
}

fn decode(frame: &[u8]) -> Publish<'_> {
    let decoded = mqtt::split_frame(frame, u32::MAX).ok().flatten().and_then(|f| mqtt::decode(Version::V5, f).ok());
    match decoded {
        Some(Packet::Publish(publish)) => publish,
        _ => Publish::default(),
    }
}

impl Letter {
    /// Keeps a message, at the cost of `share` unless the platform wants it sent; `None` when the memory for kept messages
    /// is used up.
    pub(crate) fn new(
        topic: &str,
        payload: &[u8],
        properties: &Properties<'_>,
        budget: &Arc<Budget>,
        share: Option<&Arc<Share>>,
    ) -> Option<Arc<Self>> {
        let frame = encode(topic, payload, properties)?;
        let has_room = budget.take(frame.len() + OVERHEAD, share.map(Arc::as_ref));
        has_room.then(|| Arc::new(Self { frame, budget: budget.clone(), share: share.cloned() }))
    }

    /// Topic, payload and properties.
    pub(crate) fn read(&self) -> Publish<'_> {
        decode(&self.frame)
    }
}

impl Drop for Letter {
    fn drop(&mut self) {
        let bytes = self.frame.len() + OVERHEAD;
        self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(Share(used)) = self.share.as_deref() {
            used.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// The forwarded properties as they stand on the wire, for the store; empty when there are none.
pub(crate) fn property_bytes(properties: &Properties<'_>) -> Vec<u8> {
    if properties.is_empty() {
        return Vec::new();
    }
    // A PUBLISH with QoS 0 is: header, remaining length, topic with its length, properties, payload.
    match encode("t", b"", properties).as_deref().map(|frame| (frame, mqtt::split_frame(frame, u32::MAX))) {
        Some((_, Ok(Some(frame)))) if frame.body.len() > 4 => frame.body[3..].to_vec(),
        _ => Vec::new(),
    }
}

/// Calls `visit` with the properties that [`property_bytes`] wrote.
pub(crate) fn with_properties<R>(bytes: &[u8], visit: impl FnOnce(&Properties<'_>) -> R) -> R {
    if bytes.is_empty() {
        return visit(&Properties::default());
    }
    let mut frame = vec![0x30];
    let mut remaining = 3 + bytes.len();
    while remaining > 0x7F {
        frame.push((remaining & 0x7F) as u8 | 0x80);
        remaining >>= 7;
    }
    frame.push(remaining as u8);
    frame.extend_from_slice(&[0, 1, b't']);
    frame.extend_from_slice(bytes);
    visit(&decode(&frame).properties)
}

/// When a message with these properties is not delivered any more (v5 §3.3.2.3.3).
pub(crate) fn expiry(properties: &Properties<'_>, published: Timestamp) -> Option<Timestamp> {
    properties.message_expiry_interval().map(|seconds| published.plus_ms(i64::from(seconds) * 1000))
}

/// A message as its device left it for the end of the connection.
pub(crate) struct Will {
    frame: Box<[u8]>,
    /// Quality of service to publish it with.
    pub(crate) qos: QoS,
    /// Whether to publish it as a retained message.
    pub(crate) retain: bool,
    /// Seconds between the end of the connection and the will, 0 in 3.x.
    pub(crate) delay: u32,
}

impl Will {
    /// Keeps the will of a CONNECT.
    pub(crate) fn new(will: &mqtt::Will<'_>) -> Option<Self> {
        Some(Self {
            frame: encode(will.topic, will.payload, &will.properties)?,
            qos: will.qos,
            retain: will.retain,
            delay: will.properties.will_delay_interval().unwrap_or(0),
        })
    }

    /// The PUBLISH that the will becomes, without a packet identifier.
    pub(crate) fn publish(&self) -> Publish<'_> {
        Publish { qos: self.qos, retain: self.retain, ..decode(&self.frame) }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;

    #[test]
    fn letters_keep_what_is_forwarded_and_count_their_memory() {
        let budget = Budget::new(1000, 1000);
        let list = [
            Property::TopicAlias(NonZeroU16::MIN),
            Property::ContentType("text"),
            Property::UserProperty("k", "v"),
            Property::UserProperty("k", "w"),
        ];
        let letter = Letter::new("a/b", b"hello", &Properties::from(&list), &budget, None).expect("room");
        let read = letter.read();
        assert_eq!((read.topic, read.payload), ("a/b", &b"hello"[..]));
        assert_eq!(read.properties.iter().collect::<Vec<_>>(), list[1..]);
        assert!(Letter::new("a", &[0; 900], &Properties::default(), &budget, None).is_none());
        drop(letter);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
        assert!(Letter::new("a", &[0; 700], &Properties::default(), &budget, None).is_some());
    }

    #[test]
    fn no_session_takes_more_than_its_share_and_none_what_is_the_platforms() {
        let budget = Budget::new(4000, 1000);
        let keep = |size: usize, share: Option<&Arc<Share>>| {
            Letter::new("a", &vec![0; size], &Properties::default(), &budget, share)
        };
        let [first, second, third] = [(); 3].map(|()| Arc::new(Share::default()));
        let letters = [keep(300, Some(&first)), keep(300, Some(&first))];
        assert!(letters.iter().all(Option::is_some));
        assert!(keep(300, Some(&first)).is_none(), "its share is used up");
        let large = keep(1700, Some(&second));
        assert!(large.is_some(), "one message of any size");
        assert!(keep(1, Some(&second)).is_none());
        assert!(keep(300, Some(&third)).is_none(), "a quarter is for the platform");
        assert_eq!(third.0.load(Ordering::Relaxed), 0, "nothing is charged for what was not kept");
        assert!(keep(700, None).is_some());
        drop(letters);
        assert!(keep(300, Some(&first)).is_some());
        drop(large);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
        assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn properties_survive_the_store() {
        let long = "x".repeat(200);
        let list = [Property::CorrelationData(b"c\0"), Property::UserProperty("k", &long)];
        let bytes = property_bytes(&Properties::from(&list));
        assert!(with_properties(&bytes, |p| p.iter().eq(list)));
        assert!(property_bytes(&Properties::default()).is_empty());
        assert!(with_properties(&[], |p| p.is_empty()));
        assert!(with_properties(&[0xFF, 1, 2], |p| p.is_empty()));
    }
}
