"""ONLINE at connect, OFFLINE one minute after the link is gone (002 §3.4; A3.4)."""

import pytest

from rig import platform_times
from rig.deadline import wait_for
from rig.push_receiver import body_of
from rig.world import World


@pytest.fixture
def device(own_world):
    return own_world.device()


def wait_status(world, device, wanted):
    wait_for(lambda: world.app.status_of(device.device_id) == wanted, what=f"status {wanted}")


def leave(world, link, how="disconnect"):
    """Ends the link and waits until the platform knows: the minute is counted from then."""
    before = world.rest.metric("causeway_device_departures_total")
    getattr(link, how)()
    wait_for(lambda: world.rest.metric("causeway_device_departures_total") > before, what="the departure")


def statuses(receiver, device) -> list[str]:
    return [body_of(push)["status"] for push in receiver.select("device.status", device.device_id)]


@pytest.mark.parametrize("leaving", ["disconnect", "drop"])
def test_a_minute_after_leaving(own_world, device, leaving):
    receiver = own_world.pushes()
    link = device.connect()
    wait_status(own_world, device, "ONLINE")
    receiver.wait("device.status", device.device_id)
    leave(own_world, link, leaving)
    own_world.rest.advance_clock(50_000)
    assert own_world.app.status_of(device.device_id) == "ONLINE"
    own_world.rest.advance_clock(11_000)
    wait_status(own_world, device, "OFFLINE")
    receiver.wait("device.status", device.device_id, count=2)
    assert statuses(receiver, device) == ["ONLINE", "OFFLINE"]
    push = receiver.select("device.status", device.device_id)[-1]
    assert (push["resource"], push["event"]) == ("device.status", "update")
    body = body_of(push)
    assert platform_times.COMPACT.match(body["last_online_time"])
    assert platform_times.WITH_MILLISECONDS.match(body["status_update_time"])


def test_coming_back_within_the_minute_goes_unnoticed(own_world, device):
    receiver = own_world.pushes()
    leave(own_world, device.connect())
    own_world.rest.advance_clock(40_000)
    link = device.connect()
    own_world.rest.advance_clock(90_000)
    # A message that is pushed later than any status change would be.
    link.send("sys/messages/up", "end")
    receiver.wait("device.message", device.device_id)
    assert own_world.app.status_of(device.device_id) == "ONLINE"
    assert statuses(receiver, device) == ["ONLINE"]


def test_coming_back_later_is_online_again(own_world, device):
    receiver = own_world.pushes()
    leave(own_world, device.connect())
    own_world.rest.advance_clock(61_000)
    wait_status(own_world, device, "OFFLINE")
    device.connect()
    wait_status(own_world, device, "ONLINE")
    receiver.wait("device.status", device.device_id, count=3)
    assert statuses(receiver, device) == ["ONLINE", "OFFLINE", "ONLINE"]


def test_take_over_is_no_status_change(own_world, device):
    receiver = own_world.pushes()
    device.raw()
    link = device.connect()
    own_world.rest.advance_clock(90_000)
    link.send("sys/messages/up", "end")
    receiver.wait("device.message", device.device_id)
    assert statuses(receiver, device) == ["ONLINE"]


@pytest.mark.parametrize("hard", [True, False], ids=["kill", "stop"])
def test_a_device_that_does_not_come_back_after_a_restart(own_world, device, hard):
    stays_away, returns = device, own_world.device()
    receiver = own_world.pushes()
    for found in (stays_away, returns):
        found.connect()
        wait_status(own_world, found, "ONLINE")
    if hard:
        own_world.platform.kill()
    else:
        own_world.platform.stop()
    own_world.platform.start()
    own_world.after_restart()
    returns.connect()
    own_world.rest.advance_clock(61_000)
    wait_status(own_world, stays_away, "OFFLINE")
    assert own_world.app.status_of(returns.device_id) == "ONLINE"
    wait_for(lambda: statuses(receiver, stays_away)[-1:] == ["OFFLINE"], what="the push")
    assert "OFFLINE" not in statuses(receiver, returns)


def test_offline_delay_is_a_setting(platform_factory):
    platform = platform_factory({"device.offline_delay": "300s"}).start()
    world = World(platform)
    try:
        device = world.device()
        leave(world, device.connect())
        world.rest.advance_clock(290_000)
        assert world.app.status_of(device.device_id) == "ONLINE"
        world.rest.advance_clock(11_000)
        wait_status(world, device, "OFFLINE")
    finally:
        world.close()
        platform.close()


def test_a_refused_connect_is_no_sign_of_life(own_world, device):
    with device.raw(connected=False) as link:
        assert link.connect(**{**device.credentials(), "password": "0" * 64}).code == 4
    assert own_world.app.status_of(device.device_id) == "INACTIVE"
