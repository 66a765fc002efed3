"""Property reports and the application's set and get (002 §2.1.2.8; A1.8, A1.13, C1)."""

import datetime as dt
import gzip
import json

import pytest

from rig import platform_times
from rig.application import refused
from rig.deadline import wait_for
from rig.world import World

BATTERY = {"services": [{"service_id": "Battery", "properties": {"level": 80}, "event_time": "20190606T121212Z"}]}


@pytest.fixture
def device(world):
    return world.device()


# --- report -----------------------------------------------------------------------------------------------------------

def test_report_reaches_shadow_and_history(world, device):
    link = device.connect()
    before = platform_times.utc_now()
    link.send("sys/properties/report", {"services": [
        {"service_id": "Temperature", "properties": {"value": 57, "value2": 60}, "event_time": "20151212T121212Z"},
        {"service_id": "Battery", "properties": {"level": 80}, "event_time": "20151212T121213Z"},
    ]})
    # The acknowledgement is the commit: both must be there now, without waiting.
    shadow = world.rest.shadow_of(device.device_id)
    assert shadow["Temperature"]["reported"] == {"properties": {"value": 57, "value2": 60}, "event_time": "20151212T121212Z"}
    assert shadow["Battery"]["reported"] == {"properties": {"level": 80}, "event_time": "20151212T121213Z"}
    rows = world.rest.history(device.device_id, order="asc")
    assert [(row["service_id"], row["properties"], row["event_time"]) for row in rows] == [
        ("Temperature", {"value": 57, "value2": 60}, "2015-12-12T12:12:12.000Z"),
        ("Battery", {"level": 80}, "2015-12-12T12:12:13.000Z"),
    ]
    for row in rows:
        arrival = platform_times.parse(row["arrival_time"])
        assert before - dt.timedelta(seconds=1) <= arrival <= platform_times.utc_now() + dt.timedelta(seconds=1)


def test_the_sdk_reads_the_shadow(world, device):
    device.connect().report(value=1, event_time="20151212T121212Z")
    shown = world.app.show_shadow(device.device_id)
    assert shown.device_id == device.device_id
    assert [entry.service_id for entry in shown.shadow] == ["Temperature"]
    entry = shown.shadow[0]
    assert (entry.reported.properties, entry.reported.event_time) == ({"value": 1}, "20151212T121212Z")
    assert isinstance(entry.version, int)


def test_a_later_report_adds_to_the_earlier(world, device):
    link = device.connect()
    link.report(value=1, value2=2)
    link.report(value=3)
    assert world.rest.reported(device.device_id, "Temperature") == {"value": 3, "value2": 2}
    assert [row["properties"] for row in world.rest.history(device.device_id, order="asc")] == [
        {"value": 1, "value2": 2}, {"value": 3}]


VALID = {
    "value": -50, "value2": 100, "ratio": 0.25, "count": 9007199254740991, "note": "sixteen letters!", "mode": "cool",
    "on": False, "since": "20151212T121212Z", "detail": {"a": {"b": [1, None]}}, "labels": ["x", "y"], "serial": "No. 1",
}


def test_every_data_type_keeps_its_value(world, device):
    device.connect().report(properties=VALID)
    assert world.rest.reported(device.device_id, "Temperature") == VALID
    [row] = world.rest.history(device.device_id)
    assert row["properties"] == VALID


def test_text_of_all_scripts_is_kept(world, device):
    device.connect().report(note="温度 ☃ ö 😀")
    assert world.rest.reported(device.device_id, "Temperature") == {"note": "温度 ☃ ö 😀"}


# --- event time (A1.13) -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("event_time,shown", [
    ("20161219T114920Z", "2016-12-19T11:49:20.000Z"),
    ("2020-08-12T12:12:12.333Z", "2020-08-12T12:12:12.333Z"),
    ("2020-02-29T23:59:59.999Z", "2020-02-29T23:59:59.999Z"),
])
def test_both_forms_of_event_time(world, device, event_time, shown):
    device.connect().report(value=1, event_time=event_time)
    [row] = world.rest.history(device.device_id)
    assert row["event_time"] == shown
    reported = world.rest.shadow_of(device.device_id)["Temperature"]["reported"]
    assert reported["event_time"] == platform_times.compact(platform_times.parse(shown))


@pytest.mark.parametrize("event_time", [
    "yesterday", "", "2016-12-19T11:49:20Z", "2016-12-19 11:49:20", "20161319T114920Z", "20160230T000000Z",
    "2020-08-12T12:12:12.333", "2020-08-12T25:12:12.333Z", "20161219T114920", 1481111111, True, {}, ["20161219T114920Z"],
])
def test_a_bad_event_time_becomes_platform_time(world, device, event_time):
    link = device.connect()
    before = platform_times.utc_now() - dt.timedelta(seconds=1)
    link.send("sys/properties/report", {"services": [
        {"service_id": "Temperature", "properties": {"value": 5}, "event_time": event_time}]})
    [row] = world.rest.history(device.device_id)
    assert before <= platform_times.parse(row["event_time"]) <= platform_times.utc_now() + dt.timedelta(seconds=1)
    assert world.rest.reported(device.device_id, "Temperature") == {"value": 5}


@pytest.mark.parametrize("fields", [{}, {"event_time": None}])
def test_a_missing_event_time_becomes_platform_time(world, device, fields):
    link = device.connect()
    before = platform_times.utc_now() - dt.timedelta(seconds=1)
    link.send("sys/properties/report", {"services": [{"service_id": "Temperature", "properties": {"value": 5}, **fields}]})
    [row] = world.rest.history(device.device_id)
    assert before <= platform_times.parse(row["event_time"]) <= platform_times.utc_now() + dt.timedelta(seconds=1)


# --- topic suffix -----------------------------------------------------------------------------------------------------

def test_gzip_report(world, device):
    body = gzip.compress(json.dumps(BATTERY).encode())
    device.connect().send("sys/properties/report?encoding=gzip", body)
    assert world.rest.reported(device.device_id, "Battery") == {"level": 80}


@pytest.mark.parametrize("body", [b"not gzip at all", gzip.compress(json.dumps(BATTERY).encode(), mtime=0)[:-9], b""],
                         ids=["no gzip", "cut off", "empty"])
def test_broken_gzip_is_acknowledged_and_dropped(world, device, body):
    link = device.connect()
    link.send("sys/properties/report?encoding=gzip", body)
    link.report(value=1)
    assert set(world.rest.shadow_of(device.device_id)) == {"Temperature"}


def test_gzip_bomb_is_not_unpacked(world, device):
    """64 MB of blanks in 64 KB; the limit of a body is 1 MB."""
    bomb = gzip.compress(b" " * (64 << 20) + json.dumps(BATTERY).encode())
    link = device.connect()
    link.send("sys/properties/report?encoding=gzip", bomb)
    link.report(value=1)
    assert set(world.rest.shadow_of(device.device_id)) == {"Temperature"}


def test_request_id_suffix_is_no_part_of_the_topic(world, device):
    device.connect().send("sys/properties/report?request_id=0a1b", BATTERY)
    assert world.rest.reported(device.device_id, "Battery") == {"level": 80}


# --- model mismatch ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("wrong", [
    {"value": 101}, {"value": -51}, {"value": 1.5}, {"value": "warm"}, {"value": True}, {"value": None}, {"value": [1]},
    {"ratio": 1.5}, {"count": -1}, {"note": "seventeen letters"}, {"note": 7}, {"mode": "frost"}, {"mode": 1}, {"on": "maybe"},
    {"since": "yesterday"}, {"detail": 7}, {"labels": "x"}, {"labels": [1, 2]}, {"unheard_of": 1},
], ids=lambda wrong: json.dumps(wrong))
def test_a_value_against_the_model_stays_out_and_the_rest_enters(world, device, wrong):
    link = device.connect()
    before = world.rest.metric("causeway_model_mismatch_total")
    link.report(properties={"value2": 5, **wrong})
    assert world.rest.reported(device.device_id, "Temperature") == {"value2": 5}
    [row] = world.rest.history(device.device_id)
    assert row["properties"] == {"value2": 5}
    assert world.rest.metric("causeway_model_mismatch_total") > before


def test_an_unknown_service_stays_out(world, device):
    link = device.connect()
    before = world.rest.metric("causeway_model_mismatch_total")
    link.send("sys/properties/report", {"services": [
        {"service_id": "Unknown", "properties": {"a": 1}}, {"service_id": "Battery", "properties": {"level": 1}}]})
    assert set(world.rest.shadow_of(device.device_id)) == {"Battery"}
    assert [row["service_id"] for row in world.rest.history(device.device_id)] == ["Battery"]
    assert world.rest.metric("causeway_model_mismatch_total") > before


def test_a_good_report_does_not_count_as_mismatch(world, device):
    link = device.connect()
    before = world.rest.metric("causeway_model_mismatch_total")
    link.report(properties=VALID)
    assert world.rest.metric("causeway_model_mismatch_total") == before


# --- gateway batch ----------------------------------------------------------------------------------------------------

def batch(*reports) -> dict:
    return {"devices": [
        {"device_id": device_id, "services": [{"service_id": "Battery", "properties": {"level": level}}]}
        for device_id, level in reports]}


def level_of(world, device) -> int | None:
    return world.rest.reported(device.device_id, "Battery").get("level")


def test_gateway_reports_for_its_children_only(world, device):
    first, second = world.child(device), world.child(device)
    stranger, other_gateway = world.device(), world.device()
    nephew = world.child(other_gateway)
    device.connect().send("sys/gateway/sub_devices/properties/report", batch(
        (first.device_id, 1), (stranger.device_id, 2), (nephew.device_id, 3), ("XXXX", 4), (second.device_id, 5)))
    assert [level_of(world, found) for found in (first, stranger, nephew, second)] == [1, None, None, 5]
    assert [row["properties"] for row in world.rest.history(first.device_id)] == [{"level": 1}]
    assert world.rest.history(stranger.device_id) == world.rest.history(nephew.device_id) == []


def test_gateway_batch_may_be_gzip(world, device):
    child = world.child(device)
    device.connect().send("sys/gateway/sub_devices/properties/report?encoding=gzip",
                          gzip.compress(json.dumps(batch((child.device_id, 9))).encode()))
    assert level_of(world, child) == 9


def test_gateway_batch_takes_a_hundred_children_and_no_more(world, device):
    children = [world.child(device) for _ in range(101)]
    link = device.connect()
    link.send("sys/gateway/sub_devices/properties/report", batch(*((child.device_id, 1) for child in children)))
    assert {level_of(world, child) for child in children} == {None}
    link.send("sys/gateway/sub_devices/properties/report", batch(*((child.device_id, 2) for child in children[:100])))
    assert [level_of(world, child) for child in children] == [2] * 100 + [None]


# --- set and get ------------------------------------------------------------------------------------------------------

def test_set_reaches_the_device_and_its_answer_the_application(world, device):
    link = device.connect().respond("sys/properties/set/", {"result_code": 0, "result_desc": "success"})
    services = [{"service_id": "Temperature", "properties": {"value": 57, "value2": 60}},
                {"service_id": "Battery", "properties": {"level": 80}}]
    answer = world.app.set_properties(device.device_id, services)
    assert answer.response == {"result_code": 0, "result_desc": "success"}
    request = link.wait_down("sys/properties/set/request_id=")
    assert request.json == {"object_device_id": device.device_id, "services": services}
    assert request.request_id and not set("=/#+?") & set(request.request_id)
    assert (request.qos, request.retain) == (0, False)
    # The answer is no report.
    assert world.rest.shadow_of(device.device_id).get("Temperature", {}).get("reported") is None


@pytest.mark.parametrize("body", [{}, {"result_code": 1, "result_desc": "door is open"}])
def test_set_hands_over_the_devices_words(world, device, body):
    device.connect().respond("sys/properties/set/", body)
    answer = world.app.set_properties(device.device_id, [{"service_id": "Temperature", "properties": {"value": 1}}])
    assert (answer.response or {}) == body


def test_get_asks_the_device_and_leaves_the_shadow_alone(world, device):
    link = device.connect().respond("sys/properties/get/", BATTERY)
    answer = world.app.get_properties(device.device_id, "Battery")
    assert answer.response == BATTERY
    request = link.wait_down("sys/properties/get/request_id=")
    assert request.json == {"object_device_id": device.device_id, "service_id": "Battery"}
    assert "Battery" not in world.rest.shadow_of(device.device_id)
    assert world.rest.history(device.device_id) == []


def test_get_answer_with_a_stray_brace_in_the_topic(world, device):
    """A public device SDK appends `}` to the request id."""
    link = device.connect()

    def answer(request):
        link.client.publish(device.topic(f"sys/properties/get/response/request_id={request.request_id}}}"),
                            json.dumps(BATTERY), 1)

    link.respond("sys/properties/get/", answer)
    assert world.app.get_properties(device.device_id, "Battery").response == BATTERY


@pytest.mark.parametrize("call", [
    lambda app, device_id: app.set_properties(device_id, [{"service_id": "Temperature", "properties": {"value": 1}}]),
    lambda app, device_id: app.get_properties(device_id, "Temperature"),
], ids=["set", "get"])
class TestWithoutAnAnswer:
    def test_offline(self, world, device, call):
        with refused(403, "IOTDA.014016"):
            call(world.app, device.device_id)

    def test_silent(self, world, device, call):
        device.connect()
        answer = call(world.app, device.device_id)
        assert (answer.status_code, answer.error_code) == (200, "IOTDA.014111")
        assert answer.error_msg

    def test_unknown_device(self, world, device, call):
        with refused(404, "IOTDA.014000"):
            call(world.app, "nobody_nowhere")


@pytest.mark.parametrize("services", [
    [{"service_id": "Temperature", "properties": {"serial": "No. 2"}}],
    [{"service_id": "Temperature", "properties": {"unheard_of": 2}}],
    [{"service_id": "Temperature", "properties": {"value": 101}}],
    [{"service_id": "Unknown", "properties": {"value": 1}}],
], ids=["read-only", "unknown property", "out of range", "unknown service"])
def test_set_against_the_model_is_refused(world, device, services):
    link = device.connect().respond("sys/properties/set/", {"result_code": 0})
    with refused(400):
        world.app.set_properties(device.device_id, services)
    assert link.down("sys/properties/set/") == []


def test_properties_of_a_child_go_through_its_gateway(world, device):
    child = world.child(device)
    link = device.connect().respond("sys/properties/set/", {"result_code": 0})
    services = [{"service_id": "Battery", "properties": {"level": 3}}]
    assert world.app.set_properties(child.device_id, services).response == {"result_code": 0}
    assert link.wait_down("sys/properties/set/request_id=").json == {
        "object_device_id": child.device_id, "services": services}


# --- history ----------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def reporter(platform, shared_product):
    """A device with 25 rows of Temperature and 5 of Battery, one a minute."""
    world = World(platform)
    world._product_id = shared_product
    device = world.device()
    link = device.connect()
    for minute in range(30):
        time = f"20200101T00{minute:02d}00Z"
        if minute % 6 == 5:
            link.report("Battery", level=minute, event_time=time)
        else:
            link.report(value=minute, event_time=time)
    device.close()
    return device


def test_history_pages(world, reporter):
    rows = world.rest.history(reporter.device_id, order="asc", limit=7)
    assert [row["event_time"] for row in rows] == [f"2020-01-01T00:{minute:02d}:00.000Z" for minute in range(30)]
    assert world.rest.history(reporter.device_id, order="desc", limit=7) == rows[::-1]


def test_history_of_one_service(world, reporter):
    rows = world.rest.history(reporter.device_id, order="asc", service_id="Battery")
    assert [row["properties"] for row in rows] == [{"level": minute} for minute in (5, 11, 17, 23, 29)]


def test_history_between_times(world, reporter):
    rows = world.rest.history(reporter.device_id, order="asc", service_id="Temperature",
                              start_time="2020-01-01T00:06:00.000Z", end_time="2020-01-01T00:12:30.000Z")
    assert [row["properties"]["value"] for row in rows] == [6, 7, 8, 9, 10, 12]


def test_history_has_a_hundred_rows_by_default(world, device):
    link = device.connect()
    for value in range(101):
        link.report("Battery", level=value % 100, qos=1 if value == 100 else 0)
    wait_for(lambda: len(world.rest.history(device.device_id)) == 101, what="all rows")
    page = world.rest.get(f"/devices/{device.device_id}/history").must_be(200).json
    assert len(page["history"]) == 100 and page["page"]["marker"]


@pytest.mark.parametrize("query", [
    {"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"order": "sideways"}, {"start_time": "yesterday"},
    {"marker": "not-a-marker"}, {"start_time": "2020-01-02T00:00:00.000Z", "end_time": "2020-01-01T00:00:00.000Z"},
])
def test_history_refuses_bad_queries(world, reporter, query):
    world.rest.get(f"/devices/{reporter.device_id}/history", query=query).must_be(400)


def test_history_of_an_unknown_device(world):
    world.rest.get("/devices/nobody_nowhere/history").must_be(404, "IOTDA.014000")
