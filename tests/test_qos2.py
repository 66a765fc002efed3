"""QoS 2 from devices is accepted, exactly once (A1.1; [MQTT-4.3.3-1])."""

import json

import pytest

from rig import raw_mqtt


@pytest.fixture
def device(world):
    return world.device()


def report(level) -> str:
    return json.dumps({"services": [{"service_id": "Battery", "properties": {"level": level}}]})


@pytest.mark.parametrize("version", ["3.1", "3.1.1", "5"])
def test_paho_reports_at_qos_2(world, device, version):
    device.connect(version=version).report("Battery", level=8, qos=2)
    assert world.rest.reported(device.device_id, "Battery") == {"level": 8}


@pytest.mark.parametrize("level", [3, 4, 5])
def test_a_repeated_publish_counts_once(world, device, level):
    link = device.raw(level=level)
    topic = device.topic("sys/properties/report")
    link.send(raw_mqtt.publish(topic, report(9), 2, 7, level=level))
    link.expect(raw_mqtt.PUBREC, packet_id=7)
    for _ in range(2):
        link.send(raw_mqtt.publish(topic, report(9), 2, 7, dup=True, level=level))
        link.expect(raw_mqtt.PUBREC, packet_id=7)
    link.send(raw_mqtt.acknowledge(raw_mqtt.PUBREL, 7))
    assert link.expect(raw_mqtt.PUBCOMP, packet_id=7)
    assert [row["properties"] for row in world.rest.history(device.device_id)] == [{"level": 9}]
    # The id is free again: the same packet is a new message now.
    link.send(raw_mqtt.publish(topic, report(10), 2, 7, level=level))
    link.expect(raw_mqtt.PUBREC, packet_id=7)
    link.send(raw_mqtt.acknowledge(raw_mqtt.PUBREL, 7))
    link.expect(raw_mqtt.PUBCOMP, packet_id=7)
    assert [row["properties"] for row in world.rest.history(device.device_id, order="asc")] == [{"level": 9}, {"level": 10}]


def test_an_unfinished_exchange_goes_on_in_a_persistent_session(world, device):
    link = device.raw(clean=False)
    topic = device.topic("sys/properties/report")
    link.send(raw_mqtt.publish(topic, report(9), 2, 7))
    link.expect(raw_mqtt.PUBREC, packet_id=7)
    link.close()
    link = device.raw(clean=False)
    assert link.connack.session_present
    link.send(raw_mqtt.publish(topic, report(9), 2, 7, dup=True))
    link.expect(raw_mqtt.PUBREC, packet_id=7)
    link.send(raw_mqtt.acknowledge(raw_mqtt.PUBREL, 7))
    link.expect(raw_mqtt.PUBCOMP, packet_id=7)
    assert [row["properties"] for row in world.rest.history(device.device_id)] == [{"level": 9}]


def test_subscribing_at_qos_2_is_granted_at_1_or_2(device):
    assert device.raw().subscribe((device.topic("sys/commands/#"), 2))[0] in (1, 2)


def test_pubrel_for_an_unknown_id_is_answered(device):
    link = device.raw()
    link.send(raw_mqtt.acknowledge(raw_mqtt.PUBREL, 4711))
    assert link.expect(raw_mqtt.PUBCOMP).packet_id == 4711
    link.ping()
