//! From the first byte to the CONNACK (002 §2.1.2.11).

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use causeway_model::{DeviceNo, Timestamp};
use causeway_platform::device::{AuthFailure, Credentials, SignedIn};
use causeway_platform::downlink::LinkPlace;
use causeway_platform::session::StoredSession;
use causeway_wire::mqtt::{self, Connack, Connect, ConnectError, PacketId, Properties, Property, Version};
use rustls::pki_types::CertificateDer;
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::slow::Outcome;
use super::{Connection, Out, V5};
use crate::client_id::{ClientId, MAX_FIELD};
use crate::door::{Door, shown};
use crate::downlink::link::Link;
use crate::error::Refusal;
use crate::session::Session;
use crate::session::letter::Will;
use crate::session::place::{Parked, Unparked};
use crate::session::subscriptions::Subscriptions;
use crate::session::will;
use crate::transport::Stream;

/// Reads the CONNECT, checks it, takes the device's place and answers. `None` when there is no connection to serve; the
/// peer has been told where MQTT has a word for it.
pub(crate) async fn open(
    door: Arc<Door>,
    mut stream: Stream,
    listener: u32,
    deadline: Instant,
    stop: &CancellationToken,
) -> Option<Box<Connection>> {
    let mut bytes = Vec::new();
    let read = tokio::select! {
        read = timeout_at(deadline, read_packet(&mut stream, &mut bytes, door.settings.max_connect_size.0)) => read,
        () = stop.cancelled() => return None,
    };
    let Ok(Ok(length)) = read else {
        let outcome = if read.is_err() { "timeout" } else { "not_mqtt" };
        metrics::counter!("causeway_mqtt_connects_total", "outcome" => outcome).increment(1);
        return None;
    };
    let tail = bytes.split_off(length);
    let frame = mqtt::split_frame(&bytes, u32::MAX).ok().flatten()?;
    let connect = match mqtt::decode_connect(frame) {
        Ok(connect) => connect,
        Err(error) => {
            refuse_undecodable(&door, stream, error).await;
            return None;
        }
    };
    let signed_in = sign_in(&door, &connect, stream.is_encrypted(), &stream.certificates()).await;
    let (device, client) = match signed_in {
        Ok(signed_in) => signed_in,
        Err(refused) => {
            refuse(&door, stream, &connect, refused).await;
            return None;
        }
    };
    let place = LinkPlace { local_ip: stream.local_ip(), is_encrypted: stream.is_encrypted() };
    let link = Arc::new(Link::new(device.device.no, listener, door.settings.mailbox as usize).at(place));
    let opening = Opening { door: &door, connect: &connect, device, client, link, stop };
    match opening.settle(stream, tail).await {
        Ok(connection) => Some(connection),
        Err(stream) => {
            let refused = Refused { refusal: Refusal::Unavailable, word: "unavailable" };
            if let Some(stream) = stream {
                refuse(&door, stream, &connect, refused).await;
            }
            None
        }
    }
}

/// Reads until the first packet is whole; its length.
async fn read_packet(stream: &mut Stream, bytes: &mut Vec<u8>, largest: usize) -> Result<usize, ()> {
    let largest = u32::try_from(largest).unwrap_or(u32::MAX);
    bytes.reserve(512);
    loop {
        if stream.read_buf(bytes).await.map_err(drop)? == 0 {
            return Err(());
        }
        // Whoever does not begin with a CONNECT is not heard further [MQTT-3.1.0-1].
        if bytes[0] >> 4 != 1 {
            return Err(());
        }
        if let Some(length) = mqtt::frame_len(bytes, largest).map_err(drop)?
            && bytes.len() >= length
        {
            return Ok(length);
        }
    }
}

/// Why a device was refused: what it is told, and the word for logs and metrics.
#[derive(Clone, Copy)]
struct Refused {
    refusal: Refusal,
    word: &'static str,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, word: refusal.word() }
    }
}

/// Checks the CONNECT in the order of the table of return codes; returns the device and its client id without the time.
///
/// A device that signs in by certificate sends no password, or an empty one (`iotda-device-access.md` §2).
async fn sign_in(
    door: &Door,
    connect: &Connect<'_>,
    is_encrypted: bool,
    certificates: &[CertificateDer<'_>],
) -> Result<(SignedIn, Box<str>), Refused> {
    if connect.properties.authentication_method().is_some() {
        return Err(Refusal::AuthenticationMethod.into()); // v5 [MQTT-4.12.0-1]
    }
    let client = ClientId::parse(connect.client_id).ok_or(Refusal::ClientId)?;
    let keep_alive = Duration::from_secs(connect.keep_alive.into());
    if keep_alive < door.settings.keepalive_min.0 || keep_alive > door.settings.keepalive_max.0 {
        return Err(Refusal::KeepAlive.into());
    }
    let user_name = connect.user_name.filter(|name| *name == client.device_id).ok_or(Refusal::UserName)?;
    let password = connect.password.or((!certificates.is_empty()).then_some(&[]));
    let password = password.filter(|p| p.len() <= MAX_FIELD).ok_or(Refusal::UserName)?;
    let credentials = Credentials {
        device_id: user_name,
        sign_type: client.sign_type,
        timestamp: client.timestamp,
        password,
        encrypted: is_encrypted,
        certificates,
    };
    match door.platform.authenticate_device(credentials).await {
        Ok(device) => Ok((device, client.stable.into())),
        Err(failure) => {
            if let AuthFailure::Unavailable(error) = &failure {
                tracing::warn!(?error, "a device could not be judged");
            }
            Err(Refused { refusal: Refusal::of(&failure), word: failure.as_str() })
        }
    }
}

/// Answers with a code and closes.
async fn refuse(door: &Door, stream: Stream, connect: &Connect<'_>, refused: Refused) {
    metrics::counter!("causeway_mqtt_connects_total", "outcome" => refused.word).increment(1);
    if door.log.allow() {
        tracing::info!(
            client_id = shown(connect.client_id),
            version = ?connect.version,
            keep_alive = connect.keep_alive,
            reason = refused.word,
            "a CONNECT was refused"
        );
    }
    let text = [Property::ReasonString(refused.refusal.text())];
    let has_room = connect.properties.maximum_packet_size().is_none_or(|size| size.get() >= 128);
    let connack = Connack {
        session_present: false, // [MQTT-3.2.2-4]
        code: refused.refusal.code(connect.version),
        properties: if has_room { Properties::from(&text) } else { Properties::default() },
    };
    say_no(stream, connect.version, &connack).await; // [MQTT-3.2.2-5]
}

/// A CONNECT of an unknown version, or one that breaks the rules.
async fn refuse_undecodable(door: &Door, stream: Stream, error: ConnectError) {
    metrics::counter!("causeway_mqtt_connects_total", "outcome" => "malformed").increment(1);
    if door.log.allow() {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::info!(%error, cause, "a CONNECT could not be read");
    }
    if let Some((version, code)) = error.connack() {
        say_no(stream, version, &Connack { session_present: false, code, properties: Properties::default() }).await;
    }
}

async fn say_no(stream: Stream, version: Version, connack: &Connack<'_>) {
    let mut bytes = Vec::new();
    let encoded = mqtt::encode_connack(&mut bytes, version, connack);
    debug_assert!(encoded.is_ok(), "the codes are codes of CONNACK");
    super::end::farewell(stream, &bytes).await;
}

/// What an opening connection has in hand.
struct Opening<'a> {
    door: &'a Arc<Door>,
    connect: &'a Connect<'a>,
    device: SignedIn,
    client: Box<str>,
    link: Arc<Link>,
    stop: &'a CancellationToken,
}

impl Opening<'_> {
    /// Takes the device's place and its session, puts the device online, and sends the CONNACK.
    ///
    /// # Errors
    /// The stream, when the store failed; none when the connection is not wanted any more.
    async fn settle(self, stream: Stream, tail: Vec<u8>) -> Result<Box<Connection>, Option<Stream>> {
        let door = self.door;
        let no = self.device.device.no;
        // Whatever fails below drops it after what it unparked, so that the next connection finds that.
        let seat = door.places.take(self.link.clone()).await;
        // An even newer connection has the place, or the platform stops.
        if self.link.close_order().is_some() || self.stop.is_cancelled() {
            return Err(None);
        }
        let expiry = match self.connect.version {
            Version::V5 => self.connect.properties.session_expiry_interval().unwrap_or(0),
            Version::V31 | Version::V311 if self.connect.clean_start => 0,
            Version::V31 | Version::V311 => u32::MAX,
        };
        let expiry = expiry.min(door.longest_session());
        let failed = |error: causeway_model::Error| {
            tracing::warn!(?error, "a device could not be connected");
        };
        let resumed = match resume(door, no, &self.client, self.connect, expiry).await {
            Ok(resumed) => resumed,
            Err(error) => {
                failed(error);
                return Err(Some(stream));
            }
        };
        let attachment = match door.platform.attach(self.device, self.link.clone()).await {
            Ok(attachment) => Arc::new(attachment),
            Err(error) => {
                failed(error);
                if let Some(before) = &resumed.before
                    && let Err(error) = door.platform.store.put_session(no, before).await
                {
                    failed(error);
                }
                return Err(Some(stream));
            }
        };
        attachment.context.set_client_id(self.connect.client_id);
        let is_stored = resumed.is_stored;
        let is_present = resumed.is_present;
        let session = resumed.session(&self.client, door.platform.clock.now());
        let patience = Duration::from_millis(u64::from(self.connect.keep_alive) * 1500);
        let now = Instant::now();
        let version = self.connect.version;
        let v5 = (version == Version::V5).then(|| Box::new(V5::of(self.connect, door)));
        let asked = self.connect.properties.receive_maximum().map_or(u16::MAX, PacketId::get);
        let mut connection = Box::new(Connection {
            door: door.clone(),
            stream,
            attachment,
            seat,
            version,
            session,
            client: self.client,
            expiry,
            is_stored,
            will: self.connect.will.as_ref().and_then(Will::new).map(Box::new),
            v5,
            quota: door.settings.max_inflight.min(asked),
            patience,
            heard: now,
            is_held: !tail.is_empty(),
            tail,
            unacknowledged: 0,
            uncommitted: 0,
            awaiting: std::collections::VecDeque::new(),
            slow: None,
            then: None,
            out: Out::default(),
            marks: std::collections::VecDeque::new(),
            has_mail: false,
            early: Vec::new(),
            early_until: now + door.settings.subscribe_grace.0,
            is_draining: false,
            timer: Box::pin(sleep_until(now + patience)),
        });
        connection.accept(self.connect, is_present);
        Ok(connection)
    }
}

/// A session that goes on, or a new one.
struct Resumed {
    /// What was kept of it; kept again unless the connection comes about.
    unparked: Option<Unparked>,
    /// Its subscriptions, if the store has them.
    subscriptions: Option<Subscriptions>,
    /// What the store had, if that was changed.
    before: Option<StoredSession>,
    /// There was one [MQTT-3.2.2-2].
    is_present: bool,
    /// The store has one.
    is_stored: bool,
}

impl Resumed {
    /// The session of the connection, which has come about. A will that still waits is dropped: the session goes on
    /// (v5 [MQTT-3.1.3-9]).
    fn session(self, client: &str, now: Timestamp) -> Session {
        let parked = self.unparked.and_then(Unparked::take).filter(|p| *p.client == *client);
        let mut session = parked.map(|p| p.session).unwrap_or_default();
        session.outbox.resume(now);
        if let Some(subscriptions) = self.subscriptions {
            session.subscriptions = subscriptions;
        }
        session
    }
}

/// Finds the session of the device, or ends it (3.1.1 §3.1.2.4, v5 §3.1.2.4).
async fn resume(
    door: &Door,
    no: DeviceNo,
    client: &str,
    connect: &Connect<'_>,
    expiry: u32,
) -> causeway_model::Result<Resumed> {
    let now = door.platform.clock.now();
    let stored = door.platform.store.session(no, now).await?;
    let unparked = door.places.unpark(no);
    let goes_on = !connect.clean_start
        && match (&stored, unparked.get()) {
            (Some(stored), _) => stored.client == client,
            (None, Some(parked)) => *parked.client == *client && parked.expires_at > now,
            (None, None) => false,
        };
    if !goes_on {
        if stored.is_some() {
            door.platform.store.delete_session(no).await?;
        }
        // The old session ends now, and with it the wait of its will (v5 §3.1.3.2.2).
        if let Some(Parked { will: Some(waiting), .. }) = unparked.take() {
            will::publish(door, &waiting.context, &waiting.will).await;
        }
        let (unparked, subscriptions, before) = (None, None, None);
        return Ok(Resumed { unparked, subscriptions, before, is_present: false, is_stored: false });
    }
    let subscriptions = stored.as_ref().map(|s| Subscriptions::restored(&s.subscriptions, connect.version));
    let is_stored = stored.is_some();
    let before = stored.filter(|s| expiry > 0 && s.expires_at.is_some());
    if let Some(before) = &before {
        // It does not end while the device is connected.
        door.platform.store.put_session(no, &StoredSession { expires_at: None, ..before.clone() }).await?;
    }
    Ok(Resumed { unparked: Some(unparked), subscriptions, before, is_present: true, is_stored })
}

impl V5 {
    fn of(connect: &Connect<'_>, door: &Door) -> Self {
        let properties = &connect.properties;
        Self {
            own_alias_maximum: properties.topic_alias_maximum().unwrap_or(0).min(door.settings.topic_alias_maximum),
            max_packet: properties.maximum_packet_size().map_or(usize::MAX, |size| size.get() as usize),
            wants_problems: properties.request_problem_information().unwrap_or(true),
            ..Self::default()
        }
    }
}

impl Connection {
    /// Sends the CONNACK, repeats what the session has in flight, and fetches what waits for the device.
    fn accept(&mut self, connect: &Connect<'_>, is_present: bool) {
        let settings = self.door.settings.clone();
        let mut list = Vec::new();
        if let Some(receive_maximum) = PacketId::new(settings.receive_maximum) {
            list.push(Property::ReceiveMaximum(receive_maximum));
        }
        let largest = u32::try_from(settings.max_packet_size.0).ok().and_then(NonZeroU32::new);
        list.extend(largest.map(Property::MaximumPacketSize));
        list.push(Property::TopicAliasMaximum(settings.topic_alias_maximum));
        if connect.properties.session_expiry_interval().unwrap_or(0) != self.expiry {
            list.push(Property::SessionExpiryInterval(self.expiry)); // v5 §3.2.2.3.2
        }
        let connack = Connack { session_present: is_present, code: 0, properties: Properties::from(&list) };
        let written = mqtt::encode_connack(&mut self.out.bytes, self.version, &connack); // [MQTT-3.2.0-1]
        debug_assert!(written.is_ok(), "the properties are properties of CONNACK");
        metrics::counter!("causeway_mqtt_connects_total", "outcome" => "ok").increment(1);
        self.door.meters.connections.increment(1.0);
        self.pump();
        self.heed_broadcasts();
        let attachment = self.attachment.clone();
        self.slow = Some(Box::pin(async move { Outcome::Begun(attachment.begin().await) }));
    }
}

impl Door {
    /// Longest life of a session after its connection, in seconds.
    pub(crate) fn longest_session(&self) -> u32 {
        u32::try_from(self.settings.session_expiry_max.0.as_secs()).unwrap_or(u32::MAX)
    }

    /// When a session of a device that leaves now ends.
    pub(crate) fn session_end(&self, expiry: u32) -> Timestamp {
        self.platform.clock.now().plus_ms(i64::from(expiry) * 1000)
    }
}
