"""Pushes of device events to an application over HTTP: envelope, order, at least once."""

import pytest

from rig import platform_times
from rig.deadline import wait_for
from rig.load import Reporter, lost_reports
from rig.push_receiver import PushReceiver, body_of, device_of
from rig.rest import Rest


@pytest.fixture
def device(world):
    return world.device()


def levels(receiver, device) -> list[int]:
    """Battery/seq of the accepted pushes, in order of arrival."""
    return [service["properties"]["seq"] for push in receiver.select("device.property", device.device_id)
            for service in body_of(push)["services"] if "seq" in service["properties"]]


def report(link, number):
    link.report("Battery", seq=number)


def test_property_report(world, device):
    receiver = world.pushes()
    device.connect().send("sys/properties/report", {"services": [
        {"service_id": "Temperature", "properties": {"value": 57}, "event_time": "20151212T121212Z"},
        {"service_id": "Battery", "properties": {"level": 80}, "event_time": "20151212T121213Z"}]})
    [push] = receiver.wait("device.property", device.device_id)
    assert (push["resource"], push["event"]) == ("device.property", "report")
    assert platform_times.COMPACT.match(push["event_time"])
    assert platform_times.WITH_MILLISECONDS.match(push["event_time_ms"])
    header = push["notify_data"]["header"]
    assert {key: header[key] for key in ("app_id", "device_id", "node_id", "product_id", "gateway_id", "tags")} == {
        "app_id": world.platform.ready["default_app_id"], "device_id": device.device_id, "node_id": device.node_id,
        "product_id": device.product_id, "gateway_id": device.device_id, "tags": []}
    assert body_of(push) == {"services": [
        {"service_id": "Temperature", "properties": {"value": 57}, "event_time": "20151212T121212Z"},
        {"service_id": "Battery", "properties": {"level": 80}, "event_time": "20151212T121213Z"}]}
    assert {kind.split(";")[0].strip() for kind in receiver.content_types} == {"application/json"}


def test_request_id_of_the_device_is_handed_on(world, device):
    receiver = world.pushes()
    device.connect().send("sys/properties/report?request_id=from-the-device", {"services": [
        {"service_id": "Battery", "properties": {"level": 1}}]})
    [push] = receiver.wait("device.property", device.device_id)
    assert push["request_id"] == "from-the-device"


def test_only_what_the_model_takes_is_pushed(world, device):
    receiver = world.pushes()
    device.connect().report(value=999, value2=1)
    [push] = receiver.wait("device.property", device.device_id)
    assert [service["properties"] for service in body_of(push)["services"]] == [{"value2": 1}]


def test_children_are_pushed_one_by_one(world, device):
    receiver = world.pushes()
    children = [world.child(device) for _ in range(3)]
    device.connect().send("sys/gateway/sub_devices/properties/report", {"devices": [
        {"device_id": child.device_id, "services": [{"service_id": "Battery", "properties": {"level": 1}}]}
        for child in children]})
    for child in children:
        [push] = receiver.wait("device.property", child.device_id)
        assert push["notify_data"]["header"]["gateway_id"] == device.device_id


def test_order_of_a_device(world, device):
    receiver = world.pushes()
    others = [world.device().connect() for _ in range(3)]
    link = device.connect()
    for number in range(1, 101):
        report(link, number)
        report(others[number % 3], number)
    receiver.wait("device.property", device.device_id, count=100, seconds=30)
    assert levels(receiver, device) == list(range(1, 101))


def test_a_refused_push_is_repeated_in_order(world, device):
    receiver = world.pushes()
    receiver.refuse_next = 3
    link = device.connect()
    for number in range(1, 6):
        report(link, number)
    receiver.wait("device.property", device.device_id, count=5, seconds=60)
    assert levels(receiver, device) == [1, 2, 3, 4, 5]
    assert len(receiver.refused) == 3


@pytest.mark.parametrize("status", [201, 204, 302, 404, 503])
def test_success_is_200_and_nothing_else(world, device, status):
    receiver = world.pushes()
    receiver.refuse_next, receiver.refuse_status = 1, status
    device.connect().send("sys/messages/up", "x")
    receiver.wait("device.message", device.device_id, seconds=60)
    assert len(receiver.refused) == 1


def test_without_a_receiver_events_are_not_kept_for_later(world, device):
    device.connect().report("Battery", seq=1)
    receiver = world.pushes()
    device.connect().report("Battery", seq=2)
    receiver.wait("device.property", device.device_id)
    assert levels(receiver, device) == [2]


def test_push_address_is_shown_changed_and_deleted(own_world):
    rest, app_id = own_world.rest, own_world.platform.ready["default_app_id"]
    first, second = PushReceiver(), PushReceiver()
    try:
        rest.push_to(app_id, first.url)
        assert rest.get(f"/apps/{app_id}/push").must_be(200).json["url"] == first.url
        rest.push_to(app_id, second.url)
        assert rest.get(f"/apps/{app_id}/push").must_be(200).json["url"] == second.url
        device = own_world.device()
        link = device.connect()
        report(link, 1)
        second.wait("device.property", device.device_id)
        rest.delete(f"/apps/{app_id}/push").must_be(204)
        rest.get(f"/apps/{app_id}/push").must_be(404)
        report(link, 2)
        rest.push_to(app_id, second.url)
        report(link, 3)
        second.wait("device.property", device.device_id, count=2)
        assert levels(second, device) == [1, 3]
        assert first.accepted == []
    finally:
        first.close()
        second.close()


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://127.0.0.1/", "file:///etc/passwd", "http://", 7, None])
def test_bad_addresses_are_refused(world, url):
    world.rest.put(f"/apps/{world.platform.ready['default_app_id']}/push", json={"url": url}).must_be(400)


def test_unknown_space(world):
    world.rest.put(f"/apps/{'0' * 32}/push", json={"url": "http://127.0.0.1:1/"}).must_be(403, "IOTDA.001000")


@pytest.fixture(scope="module")
def careful(platform_factory):
    """A platform that keeps the default of `push.allow_private`."""
    platform = platform_factory({"push.allow_private": "false"}).start()
    yield platform
    platform.close()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://localhost:9/", "http://10.0.0.1/", "http://192.168.1.1/",
                                 "http://169.254.169.254/", "http://[::1]:9/", "http://[::ffff:127.0.0.1]:9/",
                                 "http://0.0.0.0:9/", "http://2130706433/"])
def test_private_addresses_are_refused_by_default(careful, url):
    """An application must not use the platform to look into the platform's own network."""
    Rest(careful).put(f"/apps/{careful.ready['default_app_id']}/push", json={"url": url}).must_be(400)


def test_spaces_do_not_hear_each_other(own_world):
    space = own_world.app.add_app("second").app_id
    here, there = own_world.pushes(), own_world.pushes(space)
    mine = own_world.device()
    theirs = own_world.device(own_world.product(app_id=space), app_id=space)
    for found, number in ((mine, 1), (theirs, 2)):
        report(found.connect(), number)
    here.wait("device.property")
    there.wait("device.property")
    assert {device_of(push) for push in here.accepted} == {mine.device_id}
    assert {device_of(push) for push in there.accepted} == {theirs.device_id}


def test_everything_acknowledged_is_pushed_over_a_kill(own_world):
    """At least once: every acknowledged report reaches the receiver, and per device in order but for repetitions."""
    receiver = own_world.pushes()
    reporters = [Reporter(own_world.device()) for _ in range(3)]
    for _ in range(3):
        for reporter in reporters:
            reporter.start()
        goal = {reporter: len(reporter.acknowledged) + 100 for reporter in reporters}
        wait_for(lambda: all(len(reporter.acknowledged) >= goal[reporter] for reporter in reporters), 30, "reports to flow")
        own_world.platform.kill()
        for reporter in reporters:
            reporter.join()
        own_world.platform.start()
        own_world.after_restart()
    for reporter in reporters:
        assert lost_reports(own_world.rest, reporter) == set()
        device = reporter.device
        wait_for(lambda: reporter.acknowledged <= set(levels(receiver, device)), 60, "all pushes to arrive")
        arrived = levels(receiver, device)
        firsts = sorted(set(arrived), key=arrived.index)
        assert firsts == sorted(firsts), "a push overtook another"
