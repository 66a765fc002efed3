"""Retained messages on a device's own user topics (A1.1; [MQTT-3.3.1-5] ff.)."""

import pytest


@pytest.fixture
def device(world):
    product_id = world.product()
    world.topic(product_id, "state", "ALL")
    return world.device(product_id)


@pytest.mark.parametrize("level", [4, 5])
def test_a_later_subscription_gets_the_retained_message(device, level):
    topic = device.topic("user/state")
    link = device.raw(level=level)
    link.publish(topic, b"one", retain=True)
    link.publish(topic, b"two", retain=True)
    link.publish(topic, b"three", retain=False)
    link.subscribe((topic, 1))
    message = link.message()
    assert (message.topic, message.payload, message.retain) == (topic, b"two", True)
    link.ping()
    assert link.messages == []


def test_retained_messages_last_over_sessions(device):
    topic = device.topic("user/state")
    device.raw().publish(topic, b"kept", retain=True)
    device.close()
    link = device.raw()
    link.subscribe((topic, 0))
    message = link.message()
    assert (message.payload, message.qos, message.retain) == (b"kept", 0, True)


def test_an_empty_retained_message_clears(device):
    topic = device.topic("user/state")
    link = device.raw()
    link.publish(topic, b"one", retain=True)
    link.publish(topic, b"", retain=True)
    link.subscribe((topic, 1))
    link.ping()
    assert not any(message.retain for message in link.messages)


def test_downlinks_on_system_topics_are_never_retained(world, device):
    link = device.raw()
    link.subscribe((device.topic("sys/#"), 1))
    world.app.create_message(device.device_id, "x")
    assert not link.message().retain
    link.subscribe((device.topic("sys/messages/down"), 1))
    link.ping()
    assert link.messages == []


def test_retain_on_a_system_topic_is_taken_as_a_report(world, device):
    """Reports are not kept as retained messages, but they are reports."""
    link = device.raw()
    link.publish(device.topic("sys/properties/report"),
                 b'{"services":[{"service_id":"Battery","properties":{"level":5}}]}', retain=True)
    assert world.rest.reported(device.device_id, "Battery") == {"level": 5}
    link.subscribe((device.topic("#"), 1))
    link.ping()
    assert link.messages == []
