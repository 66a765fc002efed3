//! What the encoders do not write: fields that do not fit and packets that every receiver would have to refuse.

use std::num::NonZeroU32;

use causeway_wire::mqtt::*;

const ID: PacketId = PacketId::MIN;

/// The encoder must refuse for this clause and leave the buffer alone.
#[track_caller]
fn check(clause: &str, encode: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>) {
    let mut buf = vec![1, 2, 3];
    match encode(&mut buf) {
        Err(EncodeError::Illegal(error)) => assert!(error.clause().contains(clause), "{error}"),
        other => panic!("{other:?} instead of a refusal for {clause}"),
    }
    assert_eq!(buf, [1, 2, 3]);
}

#[track_caller]
fn check_too_long(field: &str, encode: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>) {
    let mut buf = vec![1, 2, 3];
    match encode(&mut buf) {
        Err(EncodeError::FieldTooLong { field: found, len: 65_536 }) => assert_eq!(found, field),
        other => panic!("{other:?} instead of {field} being too long"),
    }
    assert_eq!(buf, [1, 2, 3]);
}

fn publish(topic: &str) -> Publish<'_> {
    Publish { topic, ..Publish::default() }
}

fn will(topic: &str) -> Will<'_> {
    Will { topic, ..Will::default() }
}

#[test]
fn publish_flags_and_identifier_fit_together() {
    for version in [Version::V31, Version::V311, Version::V5] {
        let dup = Publish { dup: true, ..publish("a") };
        check("MQTT-3.3.1-2", |buf| encode_publish(buf, version, &dup));
        let with_id = Publish { packet_id: Some(ID), ..publish("a") };
        check("MQTT-2.3.1-5", |buf| encode_publish(buf, version, &with_id));
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let without_id = Publish { qos, ..publish("a") };
            check("MQTT-2.3.1-1", |buf| encode_publish(buf, version, &without_id));
        }
    }
}

#[test]
fn topic_names_are_checked() {
    let connect = |topic| Connect { will: Some(will(topic)), ..Connect::new(Version::V311, "d") };
    for (topic, clause) in
        [("a/+", "MQTT-3.3.2-2"), ("#", "MQTT-3.3.2-2"), ("a\0", "MQTT-1.5.3-2"), ("", "MQTT-4.7.3-1")]
    {
        check(clause, |buf| encode_publish(buf, Version::V311, &publish(topic)));
        check(clause, |buf| encode_connect(buf, &connect(topic)));
    }
    check("v5 §3.3.2.1", |buf| encode_publish(buf, Version::V5, &publish("")));
    // A topic alias does not help where there is none.
    let by_alias = Publish { properties: Properties::from(&[Property::TopicAlias(ID)]), ..publish("") };
    check("MQTT-4.7.3-1", |buf| encode_publish(buf, Version::V311, &by_alias));
}

#[test]
fn fields_beyond_two_length_bytes() {
    let long = "a".repeat(65_536);
    let long = long.as_str();
    let fits = &long[1..];
    check_too_long("topic name", |buf| encode_publish(buf, Version::V311, &publish(long)));
    encode_publish(&mut Vec::new(), Version::V311, &publish(fits)).expect("65535 bytes fit");

    let base = Connect::new(Version::V5, "d");
    check_too_long("client identifier", |buf| encode_connect(buf, &Connect { client_id: long, ..base }));
    check_too_long("user name", |buf| encode_connect(buf, &Connect { user_name: Some(long), ..base }));
    check_too_long("password", |buf| encode_connect(buf, &Connect { password: Some(long.as_bytes()), ..base }));
    check_too_long("will topic", |buf| encode_connect(buf, &Connect { will: Some(will(long)), ..base }));
    let payload = Will { payload: long.as_bytes(), ..will("a") };
    check_too_long("will payload", |buf| encode_connect(buf, &Connect { will: Some(payload), ..base }));

    for (field, property) in [
        ("content type", Property::ContentType(long)),
        ("response topic", Property::ResponseTopic(long)),
        ("correlation data", Property::CorrelationData(long.as_bytes())),
        ("user property name", Property::UserProperty(long, "")),
        ("user property value", Property::UserProperty("", long)),
    ] {
        let properties = [property];
        let publish = Publish { properties: Properties::from(&properties), ..publish("a") };
        check_too_long(field, |buf| encode_publish(buf, Version::V5, &publish));
        // 3.x leaves it out.
        encode_publish(&mut Vec::new(), Version::V311, &publish).expect("no properties there");
    }
}

#[test]
fn packet_beyond_four_length_bytes() {
    let payload = vec![0; 268_435_455];
    let mut buf = Vec::new();
    let too_large = Publish { payload: &payload, ..publish("a") };
    let refusal = Err(EncodeError::PacketTooLarge { len: 268_435_458 });
    assert_eq!(encode_publish(&mut buf, Version::V311, &too_large), refusal);
    assert!(buf.is_empty());
    let fits = Publish { payload: &payload[3..], ..publish("a") };
    encode_publish(&mut buf, Version::V311, &fits).expect("exactly the largest remaining length");
    assert_eq!(frame_len(&buf[..5], u32::MAX), Ok(Some(268_435_460)));
    assert_eq!(buf.len(), 268_435_460);
}

#[test]
fn properties_in_their_places() {
    let publish_with = |property| {
        check("§2.2.2.2", |buf| {
            let properties = [property];
            encode_publish(buf, Version::V5, &Publish { properties: Properties::from(&properties), ..publish("a") })
        });
    };
    publish_with(Property::ReasonString("no"));
    publish_with(Property::SessionExpiryInterval(1));
    publish_with(Property::SubscriptionIdentifier(NonZeroU32::new(268_435_456).expect("not zero")));
    let twice = [Property::ContentType("a"), Property::ContentType("a")];
    let twice = Publish { properties: Properties::from(&twice), ..publish("a") };
    check("§2.2.2.2", |buf| encode_publish(buf, Version::V5, &twice));
    for topic in ["", "a/#"] {
        let response = [Property::ResponseTopic(topic)];
        let response = Publish { properties: Properties::from(&response), ..publish("a") };
        check("MQTT-3.3.2-14", |buf| encode_publish(buf, Version::V5, &response));
    }
    let nul = [Property::UserProperty("a", "\0")];
    let nul = Publish { properties: Properties::from(&nul), ..publish("a") };
    check("MQTT-1.5.4-2", |buf| encode_publish(buf, Version::V5, &nul));
    let qos_2 = [Property::MaximumQos(QoS::ExactlyOnce)];
    let qos_2 = Connack { properties: Properties::from(&qos_2), ..Connack::default() };
    check("§2.2.2.2", |buf| encode_connack(buf, Version::V5, &qos_2));
    // Several subscription identifiers belong into PUBLISH only.
    let two = [1, 2].map(|id| Property::SubscriptionIdentifier(NonZeroU32::new(id).expect("not zero")));
    let filters = [Subscription::new("a", QoS::AtMostOnce)];
    let subscribe =
        Subscribe { packet_id: ID, properties: Properties::from(&two), subscriptions: Sequence::from(&filters) };
    check("§2.2.2.2", |buf| encode_subscribe(buf, Version::V5, &subscribe));
}

#[test]
fn connect_credentials_and_authentication() {
    for version in [Version::V31, Version::V311] {
        let password = Connect { password: Some(b"secret"), ..Connect::new(version, "d") };
        check("MQTT-3.1.2-22", |buf| encode_connect(buf, &password));
    }
    let data = [Property::AuthenticationData(b"x")];
    let data = Connect { properties: Properties::from(&data), ..Connect::new(Version::V5, "d") };
    check("§3.1.2.11.10", |buf| encode_connect(buf, &data));
}

#[test]
fn passwords_stay_out_of_logs() {
    let connect = Connect { user_name: Some("u"), password: Some(b"secret"), ..Connect::new(Version::V311, "d") };
    let shown = format!("{connect:?}");
    assert!(shown.contains("user_name: Some(\"u\"), password: Some("), "{shown}");
    assert!(!shown.contains("secret") && !shown.contains("115, 101"), "{shown}");
}

#[test]
fn codes_that_the_version_does_not_have() {
    let connack = |code| Connack { code, ..Connack::default() };
    check("§3.2.2.3", |buf| encode_connack(buf, Version::V311, &connack(6)));
    check("§3.2.2.3", |buf| encode_connack(buf, Version::V311, &connack(0x87)));
    check("MQTT-3.2.2-8", |buf| encode_connack(buf, Version::V5, &connack(5)));
    let present = Connack { session_present: true, ..connack(5) };
    check("MQTT-3.2.2-4", |buf| encode_connack(buf, Version::V311, &present));

    let suback = |codes| Suback { packet_id: ID, properties: Properties::default(), codes };
    check("MQTT-3.9.3-2", |buf| encode_suback(buf, Version::V31, &suback(&[0x80])));
    check("MQTT-3.9.3-2", |buf| encode_suback(buf, Version::V311, &suback(&[0x87])));
    check("MQTT-3.8.4-5", |buf| encode_suback(buf, Version::V311, &suback(&[])));
    let unsuback = |codes| Unsuback { packet_id: ID, properties: Properties::default(), codes };
    check("§3.11.3", |buf| encode_unsuback(buf, Version::V5, &unsuback(&[])));
    check("MQTT-3.11.3-2", |buf| encode_unsuback(buf, Version::V5, &unsuback(&[1])));

    let ack = |code| Ack { reason: ReasonCode(code), ..Ack::success(ID) };
    check("MQTT-3.4.2-1", |buf| encode_puback(buf, Version::V5, &ack(0x92)));
    check("MQTT-3.5.2-1", |buf| encode_pubrec(buf, Version::V5, &ack(0x92)));
    check("MQTT-3.6.2-1", |buf| encode_pubrel(buf, Version::V5, &ack(0x80)));
    check("MQTT-3.7.2-1", |buf| encode_pubcomp(buf, Version::V5, &ack(0x80)));

    let disconnect = Disconnect { reason: ReasonCode::BANNED, ..Disconnect::default() };
    check("MQTT-3.14.2-1", |buf| encode_disconnect(buf, Version::V5, &disconnect));
    let auth = |reason| Auth { reason, ..Auth::default() };
    check("MQTT-3.15.2-1", |buf| encode_auth(buf, &auth(ReasonCode::NOT_AUTHORIZED)));
    check("§3.15.2.2.2", |buf| encode_auth(buf, &auth(ReasonCode::CONTINUE_AUTHENTICATION)));
    check("§2.1.2", |buf| Packet::Auth(auth(ReasonCode::SUCCESS)).encode(buf, Version::V311));
}

#[test]
fn subscriptions_are_checked() {
    let encode = |version, subscriptions: &[Subscription<'_>], buf: &mut Vec<u8>| {
        let properties = Properties::default();
        let subscribe = Subscribe { packet_id: ID, properties, subscriptions: Sequence::from(subscriptions) };
        encode_subscribe(buf, version, &subscribe)
    };
    let plain = |filter| Subscription::new(filter, QoS::AtLeastOnce);
    check("MQTT-3.8.3-3", |buf| encode(Version::V311, &[], buf));
    check("MQTT-4.7.1-2", |buf| encode(Version::V311, &[plain("a"), plain("a#")], buf));
    let no_local = |filter| Subscription { no_local: true, ..plain(filter) };
    check("MQTT-3.8.3-4", |buf| encode(Version::V5, &[no_local("$share/g/a")], buf));
    for option in [
        no_local("a"),
        Subscription { retain_as_published: true, ..plain("a") },
        Subscription { retain_handling: RetainHandling::Never, ..plain("a") },
    ] {
        check("MQTT-3-8.3-4", |buf| encode(Version::V311, &[option], buf));
    }
    let filters = |list: &'static [&'static str]| Unsubscribe {
        packet_id: ID,
        properties: Properties::default(),
        filters: Sequence::from(list),
    };
    check("MQTT-3.10.3-2", |buf| encode_unsubscribe(buf, Version::V311, &filters(&[])));
    check("MQTT-4.7.3-1", |buf| encode_unsubscribe(buf, Version::V311, &filters(&["a", ""])));
}

#[test]
fn three_x_says_success_whatever_the_reason() {
    let refused = Ack { reason: ReasonCode::NOT_AUTHORIZED, ..Ack::success(ID) };
    let mut buf = Vec::new();
    encode_puback(&mut buf, Version::V311, &refused).expect("the reason is left out");
    assert_eq!(buf, [0x40, 2, 0, 1]);
    buf.clear();
    let bye = Disconnect { reason: ReasonCode::SESSION_TAKEN_OVER, ..Disconnect::default() };
    encode_disconnect(&mut buf, Version::V311, &bye).expect("the reason is left out");
    assert_eq!(buf, [0xE0, 0]);
}

#[test]
fn connect_errors_say_what_to_answer() {
    let answer = |bytes: &[u8]| {
        let frame = split_frame(bytes, 100).expect("legal").expect("complete");
        decode_connect(frame).expect_err("refused").connack()
    };
    // Level 6, level 3 of MQTT, reserved flag in 5.0 and 3.1.1, another protocol.
    assert_eq!(answer(b"\x10\x0d\0\x04MQTT\x06\x02\0\x3c\0\x01a"), Some((Version::V5, 0x84)));
    assert_eq!(answer(b"\x10\x0d\0\x04MQTT\x03\x02\0\x3c\0\x01a"), Some((Version::V311, 1)));
    assert_eq!(answer(b"\x10\x0e\0\x04MQTT\x05\x03\0\x3c\0\0\x01a"), Some((Version::V5, 0x81)));
    assert_eq!(answer(b"\x10\x0d\0\x04MQTT\x04\x03\0\x3c\0\x01a"), None);
    assert_eq!(answer(b"\x10\x0d\0\x04AMQP\x04\x02\0\x3c\0\x01a"), None);
    assert_eq!(answer(b"\xc0\0"), None);
}
