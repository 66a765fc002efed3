"""What a device may publish and subscribe (002 §2.1.2.12; A1.6)."""

import pytest

from rig import raw_mqtt
from rig.deadline import wait_for

REFUSED = 0x80


@pytest.fixture
def device(world):
    return world.device()


OWN_SYSTEM_FILTERS = [
    "sys/messages/down", "sys/commands/#", "sys/properties/set/#", "sys/properties/get/#", "sys/shadow/get/response/#",
    "sys/events/down", "sys/commands/+", "sys/#", "#",
]


@pytest.mark.parametrize("rest", OWN_SYSTEM_FILTERS)
@pytest.mark.parametrize("qos", [0, 1])
def test_own_system_topics_are_granted(device, rest, qos):
    assert device.raw().subscribe((device.topic(rest), qos)) == [qos]


def test_six_filters_in_one_packet(device):
    filters = [(device.topic(rest), 0) for rest in OWN_SYSTEM_FILTERS[:6]]
    assert device.raw().subscribe(*filters) == [0] * 6


@pytest.mark.parametrize("form", [
    "$oc/devices/{other}/sys/commands/#", "$oc/devices/{other}/#", "$oc/devices/+/sys/commands/#", "$oc/devices/#", "$oc/#",
    "$oc/devices/{other}/user/x", "$SYS/#", "$oc/devices/{own}x/sys/commands/#",
])
def test_foreign_topics_are_refused(world, device, form):
    link = device.raw()
    topic = form.format(other=world.device().device_id, own=device.device_id)
    own = device.topic("sys/commands/#")
    # The refusal stands in its own place of the answer; its neighbour is granted.
    assert link.subscribe((topic, 1), (own, 1)) == [REFUSED, 1]
    link.ping()


def test_a_strangers_commands_are_not_overheard(world, device):
    victim = world.device()
    spy = device.connect()
    for form in (victim.topic("sys/commands/#"), "$oc/devices/+/sys/#", "$oc/#", "#"):
        spy.subscribe(form)
    link = victim.connect().respond("sys/commands/", {"result_code": 0})
    world.app.create_command(victim.device_id, "Temperature", "ON_OFF", {"value": "ON"})
    link.wait_down("sys/commands/request_id=")
    world.app.create_message(device.device_id, "end")
    spy.wait_down("sys/messages/down")
    assert [message.topic for message in spy.messages] == [device.topic("sys/messages/down")]


@pytest.mark.parametrize("form", [
    "$oc/devices/{other}/sys/properties/report", "$oc/devices/{other}/sys/properties/report?request_id=1",
    "$oc/devices/{other}/sys/messages/up", "$SYS/broker", "$oc/devices/{own}/sys/unheard/of",
    "$oc/devices/{own}/sys/messages/down", "$oc/m2m/to/{other}/from/{own}/request_id=1", "$oc/bridges/x/devices/y/sys/login",
])
def test_publishing_elsewhere_is_acknowledged_and_dropped(world, device, form):
    """3.1.1 has no refusal for PUBLISH, and closing would send device SDKs into a loop."""
    other = world.device()
    witness = other.connect()
    receiver = world.pushes()
    link = device.raw()
    link.publish(form.format(other=other.device_id, own=device.device_id),
                 b'{"services":[{"service_id":"Battery","properties":{"level":66}}]}')
    link.publish(device.topic("sys/messages/up"), b"end")
    receiver.wait("device.message", device.device_id)
    assert world.rest.reported(other.device_id, "Battery") == {}
    assert world.rest.reported(device.device_id, "Battery") == {}
    assert receiver.select("device.message", other.device_id) == []
    assert len(receiver.select("device.message", device.device_id)) == 1
    assert witness.messages == []
    link.ping()


def test_publishing_on_an_undeclared_user_topic_is_dropped(world, device):
    link = device.raw()
    link.publish(device.topic("user/undeclared"), b"x")
    link.ping()


def test_rights_of_declared_topics(world):
    product_id = world.product()
    world.topic(product_id, "up", "PUBLISH")
    world.topic(product_id, "down", "SUBSCRIBE")
    world.topic(product_id, "both", "ALL")
    device = world.device(product_id)
    link = device.raw()
    filters = [(device.topic(f"user/{name}"), 1) for name in ("up", "down", "both", "undeclared")]
    assert link.subscribe(*filters) == [REFUSED, 1, 1, REFUSED]


@pytest.mark.parametrize("bad", ["", "a/#/b", "a#", "+a", "#/a"])
def test_malformed_filters_are_refused_or_end_the_link(device, bad):
    """[MQTT-4.7.1-2], [MQTT-4.7.1-3], [MQTT-4.7.3-1]: a protocol error, whose answer may be the end of the link."""
    link = device.raw()
    try:
        assert link.subscribe((bad, 1)) == [REFUSED]
    except raw_mqtt.ConnectionEnded:
        pass


@pytest.mark.parametrize("bad", ["a/+", "a/#", ""])
def test_publishing_on_a_wildcard_ends_the_link(device, bad):
    """[MQTT-3.3.2-2]"""
    link = device.raw()
    link.send(raw_mqtt.publish(bad, b"x", 1, 1))
    link.expect_end()


def test_children_have_no_topics_of_their_own_for_reports(world, device):
    """Only shadow queries may come on a child's topic; reports go through the documented payload fields."""
    child = world.child(device)
    link = device.raw()
    link.publish(child.topic("sys/properties/report"), b'{"services":[{"service_id":"Battery","properties":{"level":1}}]}')
    link.ping()
    assert world.rest.reported(child.device_id, "Battery") == {}


def test_message_for_a_child_on_the_gateways_topic(world, device):
    child = world.child(device)
    receiver = world.pushes()
    device.connect().send("sys/messages/up", {"object_device_id": child.device_id, "content": "from the child"})
    wait_for(lambda: receiver.select("device.message", child.device_id), what="the child's message")
