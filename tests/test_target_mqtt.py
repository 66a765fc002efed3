"""MQTT_FORWARDING to a real mosquitto, and MQTT_DEVICE_FORWARDING to devices of the space."""

import pytest

from rig.authority import Authority
from rig.deadline import wait_for
from rig.forwarded import Rule, must_be_kept_out, refused_action, report, seqs
from rig.mosquitto_broker import MosquittoBroker, Reader
from rig.world import World


@pytest.fixture
def start():
    made = []

    def keep(thing):
        made.append(thing)
        return thing

    yield keep
    for thing in reversed(made):
        thing.stop() if hasattr(thing, "stop") else thing.close()


def detail(broker, **more):
    return {"address": {"ip": "127.0.0.1", "port": broker.port}, "topic": "iot/{product_id}/{device_id}",
            "username": broker.user[0], "password": broker.user[1], **more}


@pytest.mark.parametrize("qos", [0, 1])
def test_events_go_to_the_topic_of_their_device(world, start, tmp_path, qos):
    broker = start(MosquittoBroker(tmp_path).start())
    reader = start(Reader(broker, "iot/#"))
    rule = start(Rule(world, "MQTT_FORWARDING", detail(broker, qos=qos)))
    assert "password" not in rule.action["channel_detail"]["mqtt_forwarding"]
    devices = [world.device() for _ in range(2)]
    for device in devices:
        report(device, range(1, 101))
    messages = reader.wait(200)
    assert {message[2] for message in messages} == {qos}
    for device in devices:
        own = [event for topic, event, _, _ in messages if topic == f"iot/{device.product_id}/{device.device_id}"]
        assert seqs(own) == list(range(1, 101))


def test_retained(world, start, tmp_path):
    broker = start(MosquittoBroker(tmp_path).start())
    first = start(Reader(broker, "iot/#"))
    start(Rule(world, "MQTT_FORWARDING", detail(broker, retain=True, client_id="causeway")))
    report(world.device(), [1, 2])
    first.wait(2)
    first.close()
    later = start(Reader(broker, "iot/+/+"))
    [(_, event, _, retained)] = later.wait(1)
    assert retained and seqs([event]) == [2]


def test_nothing_is_lost_while_the_broker_is_away(world, start, tmp_path):
    broker = start(MosquittoBroker(tmp_path).start())
    reader = start(Reader(broker, "iot/#"))
    start(Rule(world, "MQTT_FORWARDING", detail(broker)))
    device = world.device()
    report(device, range(1, 31))
    reader.wait(30)
    broker.stop()
    report(device, range(31, 61))
    broker.start()
    wait_for(lambda: set(seqs([m[1] for m in reader.messages])) == set(range(1, 61)), 60, "all events")


def test_tls(world, start, tmp_path):
    authority = Authority(tmp_path)
    own = authority.issue("/CN=localhost", extensions=("subjectAltName=DNS:localhost",))
    broker = start(MosquittoBroker(tmp_path, tls=own).start())
    reader = start(Reader(broker, "iot/#", ca=authority.own.cert))
    to = detail(broker, tls=True) | {"address": {"domain": "localhost", "port": broker.port}}
    start(Rule(world, "MQTT_FORWARDING", {**to, "ca_certificate": authority.pem}))
    report(world.device(), [1])
    assert seqs([reader.wait(1)[0][1]]) == [1]
    start(Rule(world, "MQTT_FORWARDING", to))
    report(world.device(), [2])
    reader.wait(2)
    wait_for(lambda: "no TLS session with localhost" in world.platform.log(), 20, "the refused certificate in the log")


def test_wrong_credentials_are_told_without_them(own_world, start, tmp_path):
    broker = start(MosquittoBroker(tmp_path).start())
    start(Rule(own_world, "MQTT_FORWARDING", detail(broker) | {"password": "wrong-word"}))
    report(own_world.device(), [1])
    wait_for(lambda: "refused the connection" in own_world.platform.log(), 20, "the failure in the log")
    assert "wrong-word" not in own_world.platform.log()


def test_the_own_network_is_not_entered(platform_factory, start, tmp_path):
    broker = start(MosquittoBroker(tmp_path).start())
    reader = start(Reader(broker, "iot/#"))
    careful = start(World(platform_factory({"push.allow_private": "false"}).start()))
    must_be_kept_out(careful, "MQTT_FORWARDING", detail(broker) | {"address": {"domain": "HOST", "port": broker.port}}, "HOST")
    assert not reader.messages


def test_refusals(world):
    address = {"ip": "127.0.0.1"}
    for more, word in [({"topic": "a/#"}, "topic"), ({"topic": "a", "qos": 2}, "qos"), ({"topic": "a", "password": "p"}, "username")]:
        answer = refused_action(world, "MQTT_FORWARDING", {"address": address, **more}).must_be(400)
        assert f"'{word}'" in answer.json["error_msg"], answer.text
    for detail, word in [({"topic": "a"}, "topic"), ({"topic": "$oc/broadcast/a", "ttl": 5}, "ttl")]:
        answer = refused_action(world, "MQTT_DEVICE_FORWARDING", detail).must_be(400)
        assert f"'{word}'" in answer.json["error_msg"], answer.text


def test_devices_of_the_space_get_what_they_subscribed_to(world, start):
    listening, deaf = world.device().connect(), world.device().connect()
    listening.subscribe("$oc/broadcast/levels", qos=1)
    start(Rule(world, "MQTT_DEVICE_FORWARDING", {"topic": "$oc/broadcast/levels"}))
    source = world.device()
    report(source, [1, 2, 3])
    events = [listening.wait_message("$oc/broadcast/levels", count=number).json for number in (1, 2, 3)]
    own = [event for event in events if event["notify_data"]["header"]["device_id"] == source.device_id]
    assert seqs(own) == [1, 2, 3]
    assert not deaf.messages
