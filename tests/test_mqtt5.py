"""What MQTT 5 adds (A1.1)."""

import json

import pytest

from rig import raw_mqtt
from rig.application import sdk
from rig.deadline import wait_for
from rig.push_receiver import body_of

OWN = "/own/topic"
NOT_AUTHORISED, TOPIC_ALIAS_INVALID, PACKET_TOO_LARGE = 0x87, 0x94, 0x95
SESSION_TAKEN_OVER, NO_SUBSCRIPTION_EXISTED = 0x8E, 0x11


@pytest.fixture
def device(world):
    return world.device()


def to_own_topic(world, device, text, **fields):
    return world.app.create_message(device.device_id, text, topic_full_name=OWN, payload_format="raw", **fields)


# --- CONNECT ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("change,code", [
    ({"password": "0" * 64}, 0x86),
    ({"client_id": "x"}, 0x85),
])
def test_refusals(device, change, code):
    with device.raw(connected=False, level=5) as link:
        assert link.connect(level=5, **{**device.credentials(), **change}).code == code
        link.expect_end()


def test_frozen_device_is_not_authorised(world, device):
    world.app.freeze(device.device_id)
    with device.raw(connected=False, level=5) as link:
        assert link.connect(level=5, **device.credentials()).code == NOT_AUTHORISED


def test_the_newer_link_takes_over_with_a_reason(device):
    old = device.raw(level=5)
    new = device.raw(level=5)
    assert old.expect(raw_mqtt.DISCONNECT).code == SESSION_TAKEN_OVER
    old.expect_end()
    new.ping()


# --- sessions ---------------------------------------------------------------------------------------------------------

def test_without_expiry_the_session_ends_with_the_link(device):
    link = device.raw(level=5, clean=False)
    link.subscribe((OWN, 1))
    link.leave()
    assert not device.raw(level=5, clean=False).connack.session_present


def test_session_expiry(world, device):
    lasting = {raw_mqtt.SESSION_EXPIRY: 3600}
    link = device.raw(level=5, clean=True, props=lasting)
    link.subscribe((OWN, 1))
    link.leave()
    link = device.raw(level=5, clean=False, props=lasting)
    assert link.connack.session_present
    to_own_topic(world, device, "x")
    assert link.message().payload == b"x"


def test_session_is_gone_after_its_expiry(own_world):
    device = own_world.device()
    lasting = {raw_mqtt.SESSION_EXPIRY: 3600}
    identity = device.credentials()
    for advance_ms, present in ((3_500_000, True), (3_700_000, False)):
        link = device.raw(level=5, clean=True, props=lasting, **identity)
        link.subscribe((OWN, 1))
        link.leave()
        own_world.rest.advance_clock(advance_ms)
        link = device.raw(level=5, clean=False, props=lasting, **identity)
        assert link.connack.session_present is present
        link.leave()


def test_disconnect_may_shorten_the_session(device):
    """The C device SDK does so: session expiry 0 in DISCONNECT."""
    link = device.raw(level=5, props={raw_mqtt.SESSION_EXPIRY: 3600})
    link.send(raw_mqtt.packet(raw_mqtt.DISCONNECT, 0, b"\0" + raw_mqtt.properties({raw_mqtt.SESSION_EXPIRY: 0})))
    link.expect_end()
    assert not device.raw(level=5, clean=False).connack.session_present


# --- reason codes -----------------------------------------------------------------------------------------------------

def test_publish_elsewhere_is_refused_with_a_reason(world, device):
    other = world.device()
    link = device.raw(level=5)
    answer = link.publish(other.topic("sys/properties/report"), b"{}")
    assert answer.code == NOT_AUTHORISED
    link.ping()


def test_subscribe_elsewhere_is_refused_with_a_reason(world, device):
    other = world.device()
    link = device.raw(level=5)
    assert link.subscribe((other.topic("sys/commands/#"), 1), (device.topic("sys/commands/#"), 1)) == [NOT_AUTHORISED, 1]


def test_unsubscribe_reasons(device):
    link = device.raw(level=5)
    link.subscribe((OWN, 1))
    number = link.next_id()
    link.send(raw_mqtt.unsubscribe(number, [OWN, "/never/subscribed"], level=5))
    assert link.expect(raw_mqtt.UNSUBACK, packet_id=number).codes == [0, NO_SUBSCRIPTION_EXISTED]


# --- topic alias ------------------------------------------------------------------------------------------------------

def test_topic_alias(world, device):
    link = device.raw(level=5)
    most = link.connack.props.get(raw_mqtt.TOPIC_ALIAS_MAXIMUM, 0)
    assert most > 0
    first = {raw_mqtt.TOPIC_ALIAS: most}
    report = lambda level: json.dumps({"services": [{"service_id": "Battery", "properties": {"level": level}}]})
    link.publish(device.topic("sys/properties/report"), report(1), props=first)
    assert link.publish("", report(2), props=first).code < 0x80
    assert world.rest.reported(device.device_id, "Battery") == {"level": 2}
    # An alias belongs to its link.
    device.close()
    link = device.raw(level=5)
    link.send(raw_mqtt.publish("", report(3), 1, 1, level=5, props=first))
    answer = link.receive()
    assert answer.kind == raw_mqtt.DISCONNECT and answer.code >= 0x80
    link.expect_end()


@pytest.mark.parametrize("above", [True, False])
def test_topic_alias_out_of_range_ends_the_link(device, above):
    link = device.raw(level=5)
    alias = link.connack.props.get(raw_mqtt.TOPIC_ALIAS_MAXIMUM, 0) + 1 if above else 0
    link.send(raw_mqtt.publish(device.topic("sys/messages/up"), b"x", 1, 1, level=5, props={raw_mqtt.TOPIC_ALIAS: alias}))
    answer = link.receive()
    assert (answer.kind, answer.code) == (raw_mqtt.DISCONNECT, TOPIC_ALIAS_INVALID)
    link.expect_end()


# --- flow control and sizes -------------------------------------------------------------------------------------------

def test_receive_maximum_of_the_device_is_kept(world, device):
    link = device.raw(level=5, props={raw_mqtt.RECEIVE_MAXIMUM: 2})
    link.subscribe((OWN, 1))
    for number in range(5):
        to_own_topic(world, device, f"m{number}")
    first = [link.message(acknowledged=False) for _ in range(2)]
    link.ping()
    assert link.messages == []
    for message in first:
        link.send(raw_mqtt.acknowledge(raw_mqtt.PUBACK, message.packet_id))
    rest = [link.message() for _ in range(3)]
    assert [message.payload for message in first + rest] == [b"m0", b"m1", b"m2", b"m3", b"m4"]


def test_maximum_packet_size_of_the_device_is_kept(world, device):
    """[MQTT5-3.1.2-25]: what does not fit is not sent, and the link lives on."""
    link = device.raw(level=5, props={raw_mqtt.MAXIMUM_PACKET_SIZE: 200})
    link.subscribe((OWN, 1))
    to_own_topic(world, device, "x" * 500)
    to_own_topic(world, device, "fits")
    assert link.message().payload == b"fits"


def test_a_packet_above_the_platforms_maximum_ends_the_link(device):
    link = device.raw(level=5)
    most = link.connack.props.get(raw_mqtt.MAXIMUM_PACKET_SIZE)
    assert most is not None and most >= 1 << 20
    # The head alone tells the size: no need to send the rest.
    link.send(bytes([raw_mqtt.PUBLISH << 4 | 2]) + raw_mqtt.varint(most + 1) + raw_mqtt.text(device.topic("sys/messages/up")))
    answer = link.receive()
    assert (answer.kind, answer.code) == (raw_mqtt.DISCONNECT, PACKET_TOO_LARGE)
    link.expect_end()


def test_connack_tells_the_truth_about_qos(device):
    """Maximum QoS is absent when 2 is taken [MQTT5-3.2.2.3.4]."""
    link = device.raw(level=5)
    if link.connack.props.get(raw_mqtt.MAXIMUM_QOS) is None:
        assert link.publish(device.topic("sys/messages/up"), b"x", qos=2).kind == raw_mqtt.PUBCOMP


# --- properties pass through ------------------------------------------------------------------------------------------

def test_message_properties_reach_the_device(world, device):
    link = device.raw(level=5)
    link.subscribe((OWN, 1))
    to_own_topic(world, device, "x", properties=sdk.PropertiesDTO(
        correlation_data="c-1", response_topic="answer/here",
        user_properties=[sdk.UserPropDTO(prop_key="a", prop_value="1"), sdk.UserPropDTO(prop_key="a", prop_value="2")]))
    message = link.message()
    assert message.props[raw_mqtt.CORRELATION_DATA] == b"c-1"
    assert message.props[raw_mqtt.RESPONSE_TOPIC] == "answer/here"
    assert message.props[raw_mqtt.USER_PROPERTY] == [("a", "1"), ("a", "2")]


def test_message_properties_do_not_disturb_a_3_1_1_device(world, device):
    link = device.raw()
    link.subscribe((OWN, 1))
    to_own_topic(world, device, "x", properties=sdk.PropertiesDTO(response_topic="answer/here"))
    assert link.message().payload == b"x"


def test_report_with_every_publish_property(world, device):
    link = device.raw(level=5)
    answer = link.publish(device.topic("sys/properties/report"),
                          b'{"services":[{"service_id":"Battery","properties":{"level":3}}]}', props={
                              1: 1, raw_mqtt.MESSAGE_EXPIRY: 60, raw_mqtt.CONTENT_TYPE: "application/json",
                              raw_mqtt.RESPONSE_TOPIC: "r", raw_mqtt.CORRELATION_DATA: b"\0\xff",
                              raw_mqtt.USER_PROPERTY: [("k", "v"), ("k", "w")]})
    assert answer.code < 0x80
    assert world.rest.reported(device.device_id, "Battery") == {"level": 3}


# --- will -------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("level", [4, 5])
def test_will_is_published_when_the_link_breaks(world, device, level):
    receiver = world.pushes()
    link = device.raw(level=level, will=(device.topic("sys/messages/up"), b"gone", 1, False))
    link.close()
    [push] = receiver.wait("device.message", device.device_id)
    assert body_of(push)["content"] == "gone"


@pytest.mark.parametrize("level", [4, 5])
def test_will_is_not_published_at_disconnect(world, device, level):
    receiver = world.pushes()
    device.raw(level=level, will=(device.topic("sys/messages/up"), b"gone", 1, False)).leave()
    device.raw(level=level).publish(device.topic("sys/messages/up"), b"back")
    pushes = receiver.wait("device.message", device.device_id)
    assert [body_of(push)["content"] for push in pushes] == ["back"]


def test_disconnect_with_will(world, device):
    """[MQTT5-3.14.2.1]: reason 4 asks for the will."""
    receiver = world.pushes()
    link = device.raw(level=5, will=(device.topic("sys/messages/up"), b"gone", 1, False))
    link.send(raw_mqtt.packet(raw_mqtt.DISCONNECT, 0, b"\x04"))
    [push] = receiver.wait("device.message", device.device_id)
    assert body_of(push)["content"] == "gone"


def test_a_will_for_elsewhere_is_not_published(world, device):
    other = world.device()
    receiver = world.pushes()
    with device.raw(connected=False) as link:
        answer = link.connect(will=(other.topic("sys/messages/up"), b"forged", 1, False), **device.credentials())
        assert answer.code in (0, 5)
    other.connect().send("sys/messages/up", "mine")
    wait_for(lambda: receiver.select("device.message", other.device_id), what="the honest message")
    assert [body_of(push)["content"] for push in receiver.select("device.message", other.device_id)] == ["mine"]
