"""Messages in both directions (002 §2.1.2.9, §4.2, §4.5.3; A1.9, C2, C3)."""

import base64
import gzip
import json

import pytest

from rig import platform_times
from rig.application import refused
from rig.deadline import wait_for
from rig.push_receiver import body_of
from rig.raw_mqtt import PUBACK, acknowledge

KEPT = 20


@pytest.fixture
def device(world):
    return world.device()


def status(world, device, sent) -> str:
    return world.app.show_message(device.device_id, sent.message_id).status


def wait_status(world, device, sent, wanted):
    return wait_for(lambda: (found := world.app.show_message(device.device_id, sent.message_id)).status == wanted and found,
                    what=f"message to be {wanted}")


# --- down -------------------------------------------------------------------------------------------------------------

def test_online_device_gets_the_message_at_once(world, device):
    link = device.connect()
    sent = world.app.create_message(device.device_id, "hello", name="greeting", message_id="m-1")
    assert sent.message_id == "m-1"
    assert sent.result.status in ("PENDING", "DELIVERED")
    assert platform_times.parse(sent.result.created_time)
    message = link.wait_down("sys/messages/down")
    assert message.topic == device.topic("sys/messages/down")
    assert message.json == {"object_device_id": device.device_id, "name": "greeting", "id": "m-1", "content": "hello"}
    shown = wait_status(world, device, sent, "DELIVERED")
    assert (shown.name, shown.message, shown.encoding, shown.payload_format) == ("greeting", "hello", "none", "standard")
    assert platform_times.parse(shown.finished_time) >= platform_times.parse(shown.created_time)


def test_message_gets_an_id(world, device):
    first, second = (world.app.create_message(device.device_id, "x").message_id for _ in range(2))
    assert first and second and first != second and len(first) <= 100


def test_offline_device_gets_the_message_when_it_connects(world, device):
    sent = world.app.create_message(device.device_id, "hello")
    assert (sent.status_code, sent.result.status) == (201, "PENDING")
    assert status(world, device, sent) == "PENDING"
    link = device.connect()
    assert link.wait_down("sys/messages/down").json["content"] == "hello"
    wait_status(world, device, sent, "DELIVERED")
    device.close()
    again = device.connect()
    world.app.create_message(device.device_id, "second")
    assert again.wait_down("sys/messages/down").json["content"] == "second"


def test_object_content_becomes_text(world, device):
    """Device SDKs know the standard form only with text as content."""
    link = device.connect()
    world.app.create_message(device.device_id, {"a": [1, {"b": "ü"}]})
    content = link.wait_down("sys/messages/down").json["content"]
    assert isinstance(content, str)
    assert json.loads(content) == {"a": [1, {"b": "ü"}]}


def test_standard_form_has_no_other_keys(world, device):
    link = device.connect()
    world.app.create_message(device.device_id, "x")
    body = link.wait_down("sys/messages/down").json
    assert set(body) <= {"object_device_id", "name", "id", "content"}
    assert all(value is None or isinstance(value, str) for value in body.values())


def test_raw_is_the_text_alone(world, device):
    link = device.connect()
    world.app.create_message(device.device_id, "just this", payload_format="raw")
    assert link.wait_down("sys/messages/down").payload == b"just this"


def test_raw_base64_is_the_bytes(world, device):
    link = device.connect()
    content = bytes(range(256))
    world.app.create_message(device.device_id, base64.b64encode(content).decode(), payload_format="raw", encoding="base64")
    assert link.wait_down("sys/messages/down").payload == content


@pytest.mark.parametrize("fields", [
    {"ttl": -1}, {"ttl": 3}, {"ttl": 1445}, {"encoding": "rot13"}, {"payload_format": "loose"},
    {"topic": "a/b", "topic_full_name": "/c"}, {"message_id": "x" * 101}, {"message_id": "a b"},
], ids=str)
def test_bad_message_is_refused(world, device, fields):
    with refused(400):
        world.app.create_message(device.device_id, "x", **fields)
    assert world.app.list_messages(device.device_id) == []


def test_base64_that_is_none_is_refused(world, device):
    with refused(400):
        world.app.create_message(device.device_id, "%%%", payload_format="raw", encoding="base64")


def test_message_id_is_unique_on_a_device(world, device):
    other = world.device()
    world.app.create_message(device.device_id, "x", message_id="same")
    with refused(400):
        world.app.create_message(device.device_id, "y", message_id="same")
    world.app.create_message(other.device_id, "x", message_id="same")
    assert world.app.show_message(device.device_id, "same").message == "x"


def test_twenty_messages_are_kept(world, device):
    for number in range(KEPT + 5):
        world.app.create_message(device.device_id, f"message {number}", payload_format="raw")
    link = device.connect()
    link.wait_down("sys/messages/down", count=KEPT)
    world.app.create_message(device.device_id, "last", payload_format="raw")
    link.wait_down("sys/messages/down", count=KEPT + 1)
    assert [message.payload.decode() for message in link.down("sys/messages/down")] == [
        f"message {number}" for number in range(5, KEPT + 5)] + ["last"]


def test_ttl_0_is_not_kept(world, device):
    sent = world.app.create_message(device.device_id, "now or never", ttl=0, payload_format="raw")
    assert sent.result.status == "FAILED"
    assert status(world, device, sent) == "FAILED"
    world.app.create_message(device.device_id, "later", payload_format="raw")
    link = device.connect()
    assert link.wait_down("sys/messages/down").payload == b"later"


def test_ttl_0_reaches_an_online_device(world, device):
    link = device.connect()
    sent = world.app.create_message(device.device_id, "now", ttl=0, payload_format="raw")
    assert link.wait_down("sys/messages/down").payload == b"now"
    wait_status(world, device, sent, "DELIVERED")


def test_a_message_that_waits_too_long_times_out(own_world):
    device = own_world.device()
    early = own_world.app.create_message(device.device_id, "early", ttl=5, payload_format="raw")
    late = own_world.app.create_message(device.device_id, "late", ttl=10, payload_format="raw")
    own_world.rest.advance_clock(4 * 60_000)
    assert status(own_world, device, early) == "PENDING"
    own_world.rest.advance_clock(61_000)
    wait_status(own_world, device, early, "TIMEOUT")
    link = device.connect()
    assert link.wait_down("sys/messages/down").payload == b"late"
    wait_status(own_world, device, late, "DELIVERED")
    assert [message.payload for message in link.down("sys/messages/down")] == [b"late"]


def test_messages_wait_a_day_by_default(own_world):
    device = own_world.device()
    sent = own_world.app.create_message(device.device_id, "x")
    own_world.rest.advance_clock(1440 * 60_000 - 60_000)
    caller = own_world.rest.with_token()
    shown = lambda: caller.get(f"/devices/{device.device_id}/messages/{sent.message_id}").must_be(200).json["status"]
    assert shown() == "PENDING"
    own_world.rest.advance_clock(61_000)
    wait_for(lambda: shown() == "TIMEOUT", what="message to time out")


def test_waiting_messages_survive_a_kill(own_world):
    device = own_world.device()
    own_world.app.create_message(device.device_id, "patience", payload_format="raw")
    own_world.platform.restart_after_kill()
    own_world.after_restart()
    assert device.connect().wait_down("sys/messages/down").payload == b"patience"


def test_delivered_at_qos_1_means_acknowledged(world, device):
    link = device.raw()
    assert link.subscribe((device.topic("sys/messages/down"), 1)) == [1]
    sent = world.app.create_message(device.device_id, "x")
    message = link.message(acknowledged=False)
    assert (message.qos, message.dup, message.retain) == (1, False, False)
    assert status(world, device, sent) == "PENDING"
    link.send(acknowledge(PUBACK, message.packet_id))
    wait_status(world, device, sent, "DELIVERED")


def test_list_show_and_delete(world, device):
    assert world.app.list_messages(device.device_id) == []
    sent = [world.app.create_message(device.device_id, f"m{number}") for number in range(3)]
    listed = world.app.list_messages(device.device_id)
    assert {message.message_id for message in listed} == {message.message_id for message in sent}
    assert {message.message for message in listed} == {"m0", "m1", "m2"}
    assert world.app.delete_message(device.device_id, sent[0].message_id).status_code == 204
    with refused(404):
        world.app.show_message(device.device_id, sent[0].message_id)
    with refused(404):
        world.app.delete_message(device.device_id, sent[0].message_id)
    link = device.connect()
    link.wait_down("sys/messages/down", count=2)
    assert [message.json["content"] for message in link.down("sys/messages/down")] == ["m1", "m2"]


@pytest.mark.parametrize("call", [
    lambda app: app.create_message("nobody_nowhere", "x"), lambda app: app.list_messages("nobody_nowhere"),
    lambda app: app.show_message("nobody_nowhere", "m"), lambda app: app.delete_message("nobody_nowhere", "m"),
], ids=["create", "list", "show", "delete"])
def test_messages_of_an_unknown_device(world, call):
    with refused(404, "IOTDA.014000"):
        call(world.app)


# --- own topics -------------------------------------------------------------------------------------------------------

@pytest.fixture
def custom(world):
    """A device of a product that declares three topics."""
    product_id = world.product()
    world.topic(product_id, "both", "ALL")
    world.topic(product_id, "up/only", "PUBLISH")
    world.topic(product_id, "down/only", "SUBSCRIBE")
    return world.device(product_id)


def test_message_on_a_declared_topic(world, custom):
    link = custom.connect()
    assert link.subscribe(custom.topic("user/down/only")) == 1
    world.app.create_message(custom.device_id, "x", topic="down/only", payload_format="raw")
    message = link.wait_message(custom.topic("user/down/only"))
    assert (message.payload, message.qos) == (b"x", 1)
    assert link.down("sys/messages/down") == []


@pytest.mark.parametrize("topic", ["up/only", "not/declared"])
def test_message_on_a_topic_that_the_device_may_not_subscribe_is_refused(world, custom, topic):
    with refused(404):
        world.app.create_message(custom.device_id, "x", topic=topic)
    assert world.app.list_messages(custom.device_id) == []


def test_message_on_a_full_topic(world, device):
    link = device.connect()
    assert link.subscribe("/usr/abc/down", 1) == 1
    sent = world.app.create_message(device.device_id, "x", topic_full_name="/usr/abc/down", payload_format="raw")
    assert link.wait_message("/usr/abc/down").payload == b"x"
    assert wait_status(world, device, sent, "DELIVERED").topic == "/usr/abc/down"


def test_message_on_a_full_topic_that_nobody_subscribed_fails(world, device):
    device.connect()
    sent = world.app.create_message(device.device_id, "x", topic_full_name="/usr/abc/down")
    shown = wait_status(world, device, sent, "FAILED")
    assert shown.error_info.error_code == "IOTDA.014112"


# --- up ---------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("payload,content", [
    (b'{"object_device_id":"","name":"n","id":"1","content":"hello"}',
     {"object_device_id": "", "name": "n", "id": "1", "content": "hello"}),
    (b"[1, 2.5, null]", [1, 2.5, None]),
    (b"plain words", "plain words"),
    ("温度".encode(), "温度"),
    (b"{broken", "{broken"),
])
def test_message_up_is_pushed(world, device, payload, content):
    receiver = world.pushes()
    device.connect().send("sys/messages/up", payload)
    [push] = receiver.wait("device.message", device.device_id)
    assert push["event"] == "report"
    assert body_of(push) == {"topic": device.topic("sys/messages/up"), "content": content}


@pytest.mark.parametrize("topic", ["/usr/xxx/data/up", "plain", "a/b/c/d"])
def test_message_on_an_undeclared_topic_is_pushed(world, device, topic):
    receiver = world.pushes()
    device.connect().publish(topic, "x")
    [push] = receiver.wait("device.message", device.device_id)
    assert body_of(push) == {"topic": topic, "content": "x"}


def test_message_on_a_declared_topic_is_pushed_and_on_an_undeclared_one_refused(world, custom):
    receiver = world.pushes()
    link = custom.connect()
    for suffix in ("nowhere", "down/only", "up/only/more", "up/only", "both"):
        link.send(f"user/{suffix}", suffix)
    pushes = receiver.wait("device.message", custom.device_id, count=2)
    assert [body_of(push) for push in pushes] == [
        {"topic": custom.topic("user/up/only"), "content": "up/only"}, {"topic": custom.topic("user/both"), "content": "both"}]
    assert link.connected


def test_gzip_message_up(world, device):
    receiver = world.pushes()
    device.connect().send("sys/messages/up?encoding=gzip", gzip.compress(b'{"content":"squeezed"}'))
    [push] = receiver.wait("device.message", device.device_id)
    assert body_of(push) == {"topic": device.topic("sys/messages/up"), "content": {"content": "squeezed"}}


# --- status -----------------------------------------------------------------------------------------------------------

def test_status_changes_are_pushed(world, device):
    receiver = world.pushes()
    link = device.connect()
    world.app.create_message(device.device_id, "x", message_id="m-7", name="seven")
    link.wait_down("sys/messages/down")
    [push] = receiver.wait("device.message.status", device.device_id,
                           where=lambda push: body_of(push)["status"] == "DELIVERED")
    body = body_of(push)
    assert push["event"] == "update"
    assert (body["message_id"], body["name"], body["topic"]) == ("m-7", "seven", device.topic("sys/messages/down"))
    assert platform_times.parse(body["timestamp"])


# --- declared topics --------------------------------------------------------------------------------------------------

def test_topics_are_declared_listed_and_deleted(world):
    product_id = world.product()
    made = world.topic(product_id, "a/b_1", "PUBLISH")
    listed = world.rest.get(f"/products/{product_id}/topics").must_be(200).json["topics"]
    assert [(entry["topic_id"], entry["topic"], entry["operation"]) for entry in listed] == [
        (made["topic_id"], "a/b_1", "PUBLISH")]
    world.rest.delete(f"/products/{product_id}/topics/{made['topic_id']}").must_be(204)
    assert world.rest.get(f"/products/{product_id}/topics").must_be(200).json["topics"] == []


@pytest.mark.parametrize("topic", ["", "a//b", "a b", "a-b", "a+", "#", "ä", "x" * 65])
def test_bad_topic_names_are_refused(world, topic):
    product_id = world.product()
    world.rest.post(f"/products/{product_id}/topics", json={"topic": topic, "operation": "ALL"}).must_be(400)


def test_bad_operation_is_refused(world):
    product_id = world.product()
    world.rest.post(f"/products/{product_id}/topics", json={"topic": "a", "operation": "EVERYTHING"}).must_be(400)


def test_ten_topics_a_product(world):
    product_id = world.product()
    for number in range(10):
        world.topic(product_id, f"t{number}")
    world.rest.post(f"/products/{product_id}/topics", json={"topic": "one_more", "operation": "ALL"}).must_be(400)
