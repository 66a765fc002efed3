"""Forwarding to InfluxDB (INFLUXDB_FORWARDING)."""

import json

import pytest

from rig.deadline import wait_for
from rig.forwarding import Forwarding
from rig.influxdb_server import InfluxdbServer
from rig.world import fresh_name

PROPERTIES = "notify_data.body.services[0].properties"
DEVICE = "notify_data.header.device_id"


@pytest.fixture(scope="module")
def influx():
    server = InfluxdbServer()
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture
def device(world):
    return world.device()


@pytest.fixture
def forwarding(world):
    made = Forwarding(world)
    yield made
    made.close()


def points(influx, measurement, count, seconds=20):
    def look():
        found = influx.query(f'SELECT * FROM "{measurement}"')
        assert len(found) >= count, found
        return found

    return wait_for(look, seconds, f"{count} points")


def test_points_have_tags_fields_and_the_time_of_the_event(world, device, influx, forwarding):
    measurement = fresh_name("plant, hall=1")
    forwarding.start("INFLUXDB_FORWARDING", influx.forwarding(measurement, {
        "device": DEVICE, "value": f"{PROPERTIES}.value", "is on": f"{PROPERTIES}.on", "note": f"{PROPERTIES}.note",
        "detail": f"{PROPERTIES}.detail"}))
    receiver = world.pushes()
    device.connect().report(value=21, on=True, note='a "b" \\, =', detail={"x": [1]})
    [push] = receiver.wait("device.property", device.device_id)
    [point] = points(influx, measurement, 1)
    time, detail = point.pop("time"), point.pop("detail")
    assert point == {"device": device.device_id, "value": 21, "is on": True, "note": 'a "b" \\, ='}
    assert json.loads(detail) == {"x": [1]}
    assert push["event_time_ms"].endswith(f"{time // 10**6 % 1000:03}Z")
    assert [key["tagKey"] for key in influx.query(f'SHOW TAG KEYS FROM "{measurement}"')] == ["device"]


def test_events_of_one_device_and_moment_stay_apart(world, device, influx, forwarding):
    measurement = fresh_name("m")
    forwarding.start("INFLUXDB_FORWARDING", influx.forwarding(measurement, {"device": DEVICE, "value": f"{PROPERTIES}.value"}))
    link = device.connect()
    for number in range(1, 101):
        link.report(value=number)
    assert [point["value"] for point in points(influx, measurement, 100)] == list(range(1, 101))


def test_a_point_that_is_refused_does_not_stop_the_others(world, device, influx, forwarding):
    measurement = fresh_name("m")
    action_id = forwarding.start("INFLUXDB_FORWARDING", influx.forwarding(measurement, {"v": "notify_data.body.content.v"}),
                                 resource="device.message")
    link = device.connect()
    for value in (1, 2, "three", 4, None, 6):
        link.send("sys/messages/up", {"v": value})
    assert [point["v"] for point in points(influx, measurement, 4)] == [1, 2, 4, 6]
    forwarding.wait_counters(action_id, written=6, delivered=4, rejected=2)
    wrong = forwarding.test(forwarding.start("INFLUXDB_FORWARDING", influx.forwarding(measurement, {"v": "v"}) | {
        "password": "wrong"}), {"v": 1})
    assert wrong.get("reason") == "refused" and "401" in wrong["detail"], wrong
    assert influx.password not in world.platform.log_path.read_text()
