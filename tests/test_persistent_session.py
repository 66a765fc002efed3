"""Clean and persistent sessions of 3.1.1 (A1.1; [MQTT-3.1.2-4] ff.)."""

import pytest

from rig import raw_mqtt
from rig.deadline import wait_for

OWN = "/own/topic"


@pytest.fixture
def device(world):
    return world.device()


def to_own_topic(world, device, text, **fields):
    return world.app.create_message(device.device_id, text, topic_full_name=OWN, payload_format="raw", **fields)


def test_subscriptions_last_over_a_disconnect(world, device):
    link = device.raw(clean=False)
    assert not link.connack.session_present
    assert link.subscribe((OWN, 1)) == [1]
    link.leave()
    link = device.raw(clean=False)
    assert link.connack.session_present
    to_own_topic(world, device, "x")
    message = link.message()
    assert (message.topic, message.payload, message.qos) == (OWN, b"x", 1)


def test_a_message_for_a_sleeping_session_comes_at_the_return(world, device):
    link = device.raw(clean=False)
    link.subscribe((OWN, 1))
    link.leave()
    sent = to_own_topic(world, device, "x")
    link = device.raw(clean=False)
    assert link.message().payload == b"x"
    wait_for(lambda: world.app.show_message(device.device_id, sent.message_id).status == "DELIVERED", what="DELIVERED")
    # It comes once.
    to_own_topic(world, device, "end")
    assert link.message().payload == b"end"


def test_what_was_not_acknowledged_comes_again_with_dup(world, device):
    """[MQTT-4.4.0-1]"""
    link = device.raw(clean=False)
    link.subscribe((OWN, 1))
    to_own_topic(world, device, "x")
    first = link.message(acknowledged=False)
    assert not first.dup
    link.close()
    link = device.raw(clean=False)
    again = link.message()
    assert (again.payload, again.packet_id, again.qos, again.dup) == (b"x", first.packet_id, 1, True)


def test_clean_session_forgets(world, device):
    link = device.raw(clean=False)
    link.subscribe((OWN, 1))
    link.leave()
    link = device.raw(clean=True)
    assert not link.connack.session_present
    link.leave()
    assert not device.raw(clean=False).connack.session_present


def test_clean_session_ends_with_its_link(world, device):
    link = device.raw(clean=True)
    link.subscribe((OWN, 1))
    link.leave()
    assert not device.raw(clean=False).connack.session_present


def test_take_over_keeps_a_persistent_session(world, device):
    old = device.raw(clean=False)
    old.subscribe((OWN, 1))
    new = device.raw(clean=False)
    assert new.connack.session_present
    old.expect_end()
    to_own_topic(world, device, "x")
    assert new.message().payload == b"x"


def test_unsubscribing_lasts_too(world, device):
    link = device.raw(clean=False)
    link.subscribe((OWN, 1), ("/other", 1))
    number = link.next_id()
    link.send(raw_mqtt.unsubscribe(number, [OWN]))
    link.expect(raw_mqtt.UNSUBACK, packet_id=number)
    link.leave()
    link = device.raw(clean=False)
    assert link.connack.session_present
    sent = to_own_topic(world, device, "x")
    wait_for(lambda: world.app.show_message(device.device_id, sent.message_id).status == "FAILED", what="FAILED")


def test_sessions_survive_a_kill_of_the_platform(own_world):
    device = own_world.device()
    link = device.raw(clean=False)
    assert link.subscribe((OWN, 1)) == [1]
    identity = device.credentials()
    own_world.platform.restart_after_kill()
    own_world.after_restart()
    link = device.raw(clean=False, **identity)
    assert link.connack.session_present
    to_own_topic(own_world, device, "x")
    assert link.message().payload == b"x"
