"""A silent link is cut at one and a half times its keep-alive [MQTT-3.1.2-24]."""

import time

from rig import raw_mqtt


def test_silent_link_is_cut_at_one_and_a_half_keepalives(world):
    """30 s is the shortest keep-alive that the platform takes, so this test lasts 45 s."""
    device = world.device()
    silent = device.raw(keepalive=30)
    began = time.monotonic()
    silent.expect_end(seconds=60)
    assert 43 <= time.monotonic() - began <= 50


def test_pings_hold_the_link(world):
    device = world.device()
    link = device.raw(keepalive=30)
    for _ in range(3):
        link.send(raw_mqtt.PING)
        assert link.receive().kind == raw_mqtt.PINGRESP
