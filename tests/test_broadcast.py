"""Broadcasts to all connected devices of a space that subscribed to the topic."""

import base64

import pytest

import huaweicloudsdkiotda.v5 as sdk
from rig import platform_times
from rig.application import refused
from rig.world import fresh_name


def broadcast(world, topic, payload: bytes, **fields):
    body = sdk.DeviceBroadcastRequest(topic_full_name=topic, message=base64.b64encode(payload).decode(), **fields)
    return world.app.client.broadcast_message(sdk.BroadcastMessageRequest(body=body))


@pytest.fixture
def topic():
    return f"$oc/broadcast/{fresh_name('news')}"


def test_all_subscribers_get_it(world, topic):
    links = [world.device().connect() for _ in range(3)]
    silent = world.device().connect()
    assert links[0].subscribe(topic, 0) == 0
    assert links[1].subscribe(topic, 2) == 1
    assert links[2].subscribe("$oc/broadcast/+") == 1
    assert silent.subscribe("$oc/broadcast/other") == 1
    sent = broadcast(world, topic, b"\x00hello\xff", message_id="b-1")
    assert (sent.status_code, sent.topic_full_name, sent.message_id) == (201, topic, "b-1")
    assert sent.app_id == world.platform.ready["default_app_id"]
    assert platform_times.parse(sent.created_time)
    for link, qos in zip(links, (0, 1, 1)):
        message = link.wait_message(topic)
        assert (message.payload, message.qos, message.retain) == (b"\x00hello\xff", qos, False)
    broadcast(world, "$oc/broadcast/other", b"last")
    assert silent.wait_message("$oc/broadcast/").payload == b"last"


def test_an_id_is_made(world, topic):
    assert len(broadcast(world, topic, b"").message_id) == 36


def test_other_spaces_do_not_hear_it(world, topic):
    space = world.app.add_app(fresh_name("space")).app_id
    foreign = world.device(world.product(app_id=space)).connect()
    own = world.device().connect()
    for link in (foreign, own):
        assert link.subscribe("$oc/broadcast/#") == 1
    broadcast(world, topic, b"for the default space")
    broadcast(world, topic, b"for the other one", app_id=space)
    assert foreign.wait_message(topic).payload == b"for the other one"
    assert own.wait_message(topic).payload == b"for the default space"
    assert len([m for m in foreign.messages if m.topic == topic]) == 1
    world.app.delete_app(space)


def test_who_leaves_or_unsubscribes_gets_nothing_more(world, topic):
    device = world.device()
    link = device.connect()
    link.subscribe(topic)
    link.client.unsubscribe(topic)
    link.subscribe("marker")
    broadcast(world, topic, b"unheard")
    link.subscribe(topic)
    broadcast(world, topic, b"heard")
    assert link.wait_message(topic).payload == b"heard"


def test_devices_cannot_broadcast(world, topic):
    listener, speaker = world.device().connect(), world.device().connect()
    listener.subscribe("$oc/broadcast/#")
    speaker.publish(topic, b"forged")
    broadcast(world, topic, b"true")
    assert listener.wait_message("$oc/broadcast/").payload == b"true"


@pytest.mark.parametrize("fields", [
    {"topic_full_name": "$oc/devices/x/sys/messages/down"}, {"topic_full_name": "news"}, {"topic_full_name": "$oc/broadcast/"},
    {"topic_full_name": "$oc/broadcast/+"}, {"message": "%%%"}, {"message": "A" * (128 * 1024 + 4)}, {"ttl": 3}, {"ttl": 1445},
    {"message_id": "not an id"}, {"topic_full_name": None}, {"message": None}])
def test_wrong_broadcasts_are_refused(world, topic, fields):
    body = {"topic_full_name": topic, "message": "aGk=", **fields}
    world.rest.post("/broadcast-messages", json={k: v for k, v in body.items() if v is not None}).must_be(400, "IOTDA.000006")


def test_the_largest_broadcast_arrives(world, topic):
    link = world.device().connect()
    link.subscribe(topic)
    payload = bytes(range(256)) * 384
    broadcast(world, topic, payload)
    assert link.wait_message(topic).payload == payload


def test_an_unknown_space_is_refused(world, topic):
    with refused(403, "IOTDA.001000"):
        broadcast(world, topic, b"x", app_id="nosuchspace")


def test_broadcasts_that_are_kept_are_not_built(world, topic):
    body = {"topic_full_name": topic, "message": "aGk=", "ttl": 5}
    world.rest.post("/broadcast-messages", json=body).must_be(501, "IOTDA.000024")
