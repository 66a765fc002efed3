//! Strategies for legal packets of every type and version.
//!
//! Packets borrow their strings. Generated ones are leaked: a test process makes a few megabytes of them and ends.

use std::num::NonZeroU32;

use causeway_wire::mqtt::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// Text that MQTT allows, with wildcards and `$`, characters of one to four bytes and control characters.
fn text() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just(String::new()), "[a-z$/+# ]{1,12}", "[^\\x00]{0,12}"].prop_map(|text| &*text.leak())
}

fn bytes() -> impl Strategy<Value = &'static [u8]> {
    vec(any::<u8>(), 0..40).prop_map(|bytes| &*bytes.leak())
}

fn payload() -> impl Strategy<Value = &'static [u8]> {
    // The larger ones need two and three bytes of remaining length.
    let len = prop_oneof![8 => 0..64usize, 2 => 100..300usize, 1 => 16_000..17_000usize];
    (len, any::<u8>()).prop_map(|(len, byte)| &*vec![byte; len].leak())
}

fn topic_name() -> impl Strategy<Value = &'static str> {
    "[^\\x00+#]{1,20}".prop_map(|topic| &*topic.leak())
}

/// Filters without and, in 5.0, with a share name.
fn topic_filter(version: Version) -> impl Strategy<Value = &'static str> {
    let level = prop_oneof![3 => "[^\\x00+#/]{0,6}", 1 => Just("+".to_owned())];
    let last = prop_oneof![3 => "[^\\x00+#/]{1,6}", 1 => Just("+".to_owned()), 1 => Just("#".to_owned())];
    let share = option::of("\\$share/[^\\x00+#/]{1,6}/");
    (share, vec(level, 0..4), last).prop_map(move |(share, mut levels, last)| {
        levels.push(last);
        let filter = levels.join("/");
        let share = share.filter(|_| version == Version::V5).unwrap_or_default();
        &*format!("{share}{filter}").leak()
    })
}

fn packet_id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(|id| PacketId::new(id).expect("not zero"))
}

fn qos() -> impl Strategy<Value = QoS> {
    select(vec![QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce])
}

fn size() -> impl Strategy<Value = NonZeroU32> {
    (1..=u32::MAX).prop_map(|size| NonZeroU32::new(size).expect("not zero"))
}

fn subscription_identifier() -> impl Strategy<Value = Property<'static>> {
    let value = prop_oneof![1..128u32, 1..=268_435_455u32];
    value.prop_map(|id| Property::SubscriptionIdentifier(NonZeroU32::new(id).expect("not zero")))
}

fn user_property() -> impl Strategy<Value = Property<'static>> {
    (text(), text()).prop_map(|(name, value)| Property::UserProperty(name, value))
}

fn property(id: u8) -> BoxedStrategy<Property<'static>> {
    match id {
        0x01 => any::<bool>().prop_map(Property::PayloadFormatIndicator).boxed(),
        0x02 => any::<u32>().prop_map(Property::MessageExpiryInterval).boxed(),
        0x03 => text().prop_map(Property::ContentType).boxed(),
        0x08 => topic_name().prop_map(Property::ResponseTopic).boxed(),
        0x09 => bytes().prop_map(Property::CorrelationData).boxed(),
        0x0B => subscription_identifier().boxed(),
        0x11 => any::<u32>().prop_map(Property::SessionExpiryInterval).boxed(),
        0x12 => text().prop_map(Property::AssignedClientIdentifier).boxed(),
        0x13 => any::<u16>().prop_map(Property::ServerKeepAlive).boxed(),
        0x15 => text().prop_map(Property::AuthenticationMethod).boxed(),
        0x16 => bytes().prop_map(Property::AuthenticationData).boxed(),
        0x17 => any::<bool>().prop_map(Property::RequestProblemInformation).boxed(),
        0x18 => any::<u32>().prop_map(Property::WillDelayInterval).boxed(),
        0x19 => any::<bool>().prop_map(Property::RequestResponseInformation).boxed(),
        0x1A => text().prop_map(Property::ResponseInformation).boxed(),
        0x1C => text().prop_map(Property::ServerReference).boxed(),
        0x1F => text().prop_map(Property::ReasonString).boxed(),
        0x21 => packet_id().prop_map(Property::ReceiveMaximum).boxed(),
        0x22 => any::<u16>().prop_map(Property::TopicAliasMaximum).boxed(),
        0x23 => packet_id().prop_map(Property::TopicAlias).boxed(),
        0x24 => select(vec![QoS::AtMostOnce, QoS::AtLeastOnce]).prop_map(Property::MaximumQos).boxed(),
        0x25 => any::<bool>().prop_map(Property::RetainAvailable).boxed(),
        0x26 => user_property().boxed(),
        0x27 => size().prop_map(Property::MaximumPacketSize).boxed(),
        0x28 => any::<bool>().prop_map(Property::WildcardSubscriptionAvailable).boxed(),
        0x29 => any::<bool>().prop_map(Property::SubscriptionIdentifierAvailable).boxed(),
        0x2A => any::<bool>().prop_map(Property::SharedSubscriptionAvailable).boxed(),
        _ => panic!("property 0x{id:02X} is not defined"),
    }
}

/// Any of these in any order, each once, after the ones that must stand there; user properties several times.
fn properties(version: Version, ids: &'static [u8], fixed: &'static [u8]) -> BoxedStrategy<Properties<'static>> {
    if version != Version::V5 {
        return Just(Properties::default()).boxed();
    }
    subsequence(ids, 0..=ids.len())
        .prop_shuffle()
        .prop_flat_map(|chosen| {
            let all: Vec<_> = fixed.iter().chain(&chosen).map(|&id| property(id)).collect();
            (all, vec(user_property(), 0..3))
        })
        .prop_map(|(mut properties, user)| {
            properties.extend(user);
            Properties::from(&*properties.leak())
        })
        .boxed()
}

fn ack_properties(version: Version) -> BoxedStrategy<Properties<'static>> {
    properties(version, &[0x1F, 0x26], &[])
}

pub(crate) fn connect(version: Version) -> BoxedStrategy<Connect<'static>> {
    let will_properties = properties(version, &[0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26], &[]);
    let will = (qos(), any::<bool>(), topic_name(), bytes(), will_properties)
        .prop_map(|(qos, retain, topic, payload, properties)| Will { qos, retain, topic, payload, properties });
    let with_method = properties(version, &[0x11, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27], &[0x15]);
    let without_method = properties(version, &[0x11, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27], &[]);
    (
        (any::<bool>(), any::<u16>(), text(), option::of(will)),
        option::of(text()),
        option::of(bytes()),
        prop_oneof![with_method, without_method],
    )
        .prop_map(move |((clean_start, keep_alive, client_id, will), user_name, password, properties)| Connect {
            version,
            clean_start,
            keep_alive,
            client_id,
            will,
            user_name,
            password: password.filter(|_| version == Version::V5 || user_name.is_some()),
            properties,
        })
        .boxed()
}

fn connack(version: Version) -> impl Strategy<Value = Connack<'static>> {
    let codes = match version {
        Version::V31 | Version::V311 => vec![0, 0, 0, 1, 2, 3, 4, 5],
        Version::V5 => vec![0, 0, 0, 0x80, 0x84, 0x87, 0x8A, 0x8C, 0x9F],
    };
    const IDS: &[u8] =
        &[0x11, 0x12, 0x13, 0x15, 0x16, 0x1A, 0x1C, 0x1F, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A];
    (any::<bool>(), select(codes), properties(version, IDS, &[])).prop_map(
        move |(session_present, code, properties)| Connack {
            session_present: session_present && code == 0 && version != Version::V31,
            code,
            properties,
        },
    )
}

fn publish(version: Version) -> impl Strategy<Value = Publish<'static>> {
    const IDS: &[u8] = &[0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x26];
    let addressed = (topic_name(), properties(version, IDS, &[]));
    let by_alias = match version {
        Version::V5 => (Just(""), properties(version, IDS, &[0x23])).boxed(),
        Version::V31 | Version::V311 => (topic_name(), properties(version, &[], &[])).boxed(),
    };
    let address = prop_oneof![3 => addressed, 1 => by_alias];
    (any::<bool>(), qos(), any::<bool>(), packet_id(), address, payload()).prop_map(
        |(dup, qos, retain, packet_id, (topic, properties), payload)| Publish {
            dup: dup && qos != QoS::AtMostOnce,
            qos,
            retain,
            topic,
            packet_id: (qos != QoS::AtMostOnce).then_some(packet_id),
            properties,
            payload,
        },
    )
}

fn ack(version: Version, codes: &'static [u8]) -> impl Strategy<Value = Ack<'static>> {
    (packet_id(), select(codes), ack_properties(version)).prop_map(move |(packet_id, code, properties)| Ack {
        packet_id,
        reason: if version == Version::V5 { ReasonCode(code) } else { ReasonCode::SUCCESS },
        properties,
    })
}

fn subscribe(version: Version) -> impl Strategy<Value = Subscribe<'static>> {
    let handling = select(vec![RetainHandling::AtSubscribe, RetainHandling::IfNew, RetainHandling::Never]);
    let subscription = (topic_filter(version), qos(), any::<[bool; 2]>(), handling).prop_map(
        move |(filter, qos, [no_local, retain_as_published], retain_handling)| match version {
            Version::V5 => {
                let no_local = no_local && !filter.starts_with("$share/");
                Subscription { filter, qos, no_local, retain_as_published, retain_handling }
            }
            Version::V31 | Version::V311 => Subscription::new(filter, qos),
        },
    );
    (packet_id(), properties(version, &[0x0B, 0x26], &[]), vec(subscription, 1..6)).prop_map(
        |(packet_id, properties, subscriptions)| Subscribe {
            packet_id,
            properties,
            subscriptions: Sequence::from(&*subscriptions.leak()),
        },
    )
}

fn unsubscribe(version: Version) -> impl Strategy<Value = Unsubscribe<'static>> {
    (packet_id(), properties(version, &[0x26], &[]), vec(topic_filter(version), 1..6)).prop_map(
        |(packet_id, properties, filters)| Unsubscribe {
            packet_id,
            properties,
            filters: Sequence::from(&*filters.leak()),
        },
    )
}

fn codes(allowed: &'static [u8]) -> impl Strategy<Value = &'static [u8]> {
    vec(select(allowed), 1..6).prop_map(|codes| &*codes.leak())
}

fn suback(version: Version) -> impl Strategy<Value = Suback<'static>> {
    let allowed: &[u8] = match version {
        Version::V31 => &[0, 1, 2],
        Version::V311 => &[0, 1, 2, 0x80],
        Version::V5 => &[0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2],
    };
    (packet_id(), ack_properties(version), codes(allowed)).prop_map(|(packet_id, properties, codes)| Suback {
        packet_id,
        properties,
        codes,
    })
}

fn unsuback(version: Version) -> impl Strategy<Value = Unsuback<'static>> {
    let codes = match version {
        Version::V31 | Version::V311 => Just([].as_slice()).boxed(),
        Version::V5 => codes(&[0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91]).boxed(),
    };
    (packet_id(), ack_properties(version), codes).prop_map(|(packet_id, properties, codes)| Unsuback {
        packet_id,
        properties,
        codes,
    })
}

fn disconnect(version: Version) -> impl Strategy<Value = Disconnect<'static>> {
    let code = match version {
        Version::V31 | Version::V311 => vec![0],
        Version::V5 => vec![0, 0x04, 0x80, 0x81, 0x87, 0x8E, 0x93, 0x9D, 0xA2],
    };
    (select(code), properties(version, &[0x11, 0x1C, 0x1F, 0x26], &[]))
        .prop_map(|(code, properties)| Disconnect { reason: ReasonCode(code), properties })
}

fn auth() -> impl Strategy<Value = Auth<'static>> {
    (select(vec![0, 0x18, 0x19]), properties(Version::V5, &[0x16, 0x1F, 0x26], &[0x15]))
        .prop_map(|(code, properties)| Auth { reason: ReasonCode(code), properties })
}

/// Any packet after CONNECT that the version has.
pub(crate) fn packet(version: Version) -> BoxedStrategy<Packet<'static>> {
    const RECEIVED: &[u8] = &[0, 0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
    const RELEASED: &[u8] = &[0, 0x92];
    let common = prop_oneof![
        connack(version).prop_map(Packet::Connack),
        publish(version).prop_map(Packet::Publish),
        publish(version).prop_map(Packet::Publish),
        ack(version, RECEIVED).prop_map(Packet::Puback),
        ack(version, RECEIVED).prop_map(Packet::Pubrec),
        ack(version, RELEASED).prop_map(Packet::Pubrel),
        ack(version, RELEASED).prop_map(Packet::Pubcomp),
        subscribe(version).prop_map(Packet::Subscribe),
        suback(version).prop_map(Packet::Suback),
        unsubscribe(version).prop_map(Packet::Unsubscribe),
        unsuback(version).prop_map(Packet::Unsuback),
        Just(Packet::Pingreq),
        Just(Packet::Pingresp),
        disconnect(version).prop_map(Packet::Disconnect),
    ];
    match version {
        Version::V31 | Version::V311 => common.boxed(),
        Version::V5 => prop_oneof![14 => common, 1 => auth().prop_map(Packet::Auth)].boxed(),
    }
}

/// Bytes of a legal packet with one place changed: a byte set, removed or put in, or the end cut off.
pub(crate) fn damaged(packet: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (packet, any::<proptest::sample::Index>(), any::<u8>(), 0..4u8).prop_map(|(mut bytes, index, byte, how)| {
        let at = index.index(bytes.len());
        match how {
            0 => bytes[at] = byte,
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, byte),
            _ => bytes.truncate(at),
        }
        // Mostly the remaining length should fit again, or nothing but it would be tested.
        if how != 0 && bytes.len() > 2 && bytes.len() < 130 {
            bytes[1] = (bytes.len() - 2) as u8;
        }
        bytes
    })
}
