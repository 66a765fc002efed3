"""Events of devices: versions, logs, time, events of the product model (002 §2.1.2.2–2.1.2.4)."""

import copy

import pytest

from rig import platform_times
from rig.deadline import wait_for
from rig.product_models import THERMOMETER
from rig.push_receiver import body_of

UP = "sys/events/up"
DOWN = "sys/events/down"


def event(service_id, event_type, **paras):
    return {"service_id": service_id, "event_type": event_type, "event_time": "20151212T121212Z", "paras": paras}


def say(link, *events, about=None):
    payload = {"services": list(events)}
    if about is not None:
        payload["object_device_id"] = about
    link.send(UP, payload)


@pytest.fixture
def device(world):
    return world.device()


def told(world, device) -> tuple:
    shown = world.app.show_device(device.device_id)
    return shown.device_sdk_version, shown.sw_version, shown.fw_version


@pytest.mark.parametrize("service, kind", [("$sdk_info", "sdk_info_report"), ("$device_info", "device_info_report")])
def test_versions_are_kept(world, device, service, kind):
    link = device.connect()
    say(link, event(service, kind, device_sdk_version="C_v1", sw_version="s1", fw_version="f1"))
    assert told(world, device) == ("C_v1", "s1", "f1")


def test_null_and_empty_versions_overwrite_nothing(world, device):
    link = device.connect()
    say(link, event("$sdk_info", "sdk_info_report", device_sdk_version="C_v1", sw_version="s1", fw_version="f1"))
    say(link, event("$sdk_info", "sdk_info_report", device_sdk_version="C_v2", sw_version="", fw_version=None))
    assert told(world, device) == ("C_v2", "s1", "f1")


def test_an_application_does_not_overwrite_versions(world, device):
    say(device.connect(), event("$ota", "version_report", sw_version="s1", fw_version="f1"))
    world.app.update_device(device.device_id, device_name="renamed")
    assert told(world, device)[1:] == ("s1", "f1")


def test_a_gateway_tells_versions_of_a_device_behind_it(world, device):
    child = world.child(device)
    say(device.connect(), event("$sdk_info", "sdk_info_report", sw_version="s9"), about=child.device_id)
    assert told(world, child)[1] == "s9" and told(world, device)[1] is None


def test_all_services_of_an_envelope_are_served(world, device):
    link = device.connect()
    say(link, event("$nobody", "knows"), event("$sdk_info", "sdk_info_report", sw_version="s2"), {"service_id": "bare"},
        event("$time_sync", "time_sync_request", device_send_time=7))
    [service] = link.wait_down(DOWN).json["services"]
    assert (service["event_type"], service["paras"]["device_send_time"]) == ("time_sync_response", 7)
    assert told(world, device)[1] == "s2"


def test_a_device_behind_another_gateway_is_not_spoken_for(world, device):
    foreign = world.child(world.device())
    say(device.connect(), event("$sdk_info", "sdk_info_report", sw_version="stolen"), about=foreign.device_id)
    assert told(world, foreign)[1] is None


# --- logs -------------------------------------------------------------------------------------------------------------

def log_line(content, kind="DEVICE_STATUS", timestamp="1235668997"):
    return event("$log", "log_report", timestamp=timestamp, type=kind, content=content)


def logs(world, device, **query) -> dict:
    return world.rest.get(f"/devices/{device.device_id}/logs", query=query).must_be(200).json


def test_logs_are_kept_and_shown(world, device):
    link = device.connect()
    say(link, log_line("first"), log_line("second", kind="DEVICE_COMMAND", timestamp="1795308218611"))
    found = logs(world, device)
    assert (found["device_id"], found["page"]["count"]) == (device.device_id, 2)
    newest, oldest = found["logs"]
    assert (newest["type"], newest["timestamp"], newest["content"]) == (
        "DEVICE_COMMAND", "2026-11-22T00:43:38.611Z", "second")
    assert (oldest["type"], oldest["timestamp"], oldest["content"]) == ("DEVICE_STATUS", "2009-02-26T17:23:17.000Z", "first")
    assert platform_times.WITH_MILLISECONDS.match(newest["received_time"])
    assert [line["content"] for line in logs(world, device, type="DEVICE_STATUS")["logs"]] == ["first"]
    page = logs(world, device, limit=1)
    assert [line["content"] for line in logs(world, device, limit=1, marker=page["page"]["marker"])["logs"]] == ["first"]
    world.rest.get("/devices/nobody/logs").must_be(404, "IOTDA.014000")


def test_logs_are_bounded(world, device):
    link = device.connect()
    for start in range(0, 110, 10):
        say(link, *[log_line(f"line {number}") for number in range(start, start + 10)])
    found = logs(world, device, limit=50)
    assert (found["page"]["count"], found["logs"][0]["content"]) == (100, "line 109")
    say(link, log_line("x" * 900_000))
    say(link, log_line("y" * 900_000))
    assert [line["content"][0] for line in logs(world, device)["logs"]] == ["y"]


def test_a_log_is_switched_on_for_a_device_that_is_there(world, device):
    link = device.connect()
    answer = world.rest.put(f"/devices/{device.device_id}/log-config", json={"switch": "on", "end_time": "20301212T131212Z"})
    said = answer.must_be(200).json
    assert (said["switch"], said["end_time"], said["sent"]) == ("on", "20301212T131212Z", True)
    message = link.wait_down(DOWN)
    [service] = message.json["services"]
    assert message.json["object_device_id"] == device.device_id
    assert (service["service_id"], service["event_type"]) == ("$log", "log_config")
    assert service["paras"] == {"switch": "on", "end_time": "20301212T131212Z"}


def test_a_log_is_switched_when_the_device_comes(world, device):
    world.rest.get(f"/devices/{device.device_id}/log-config").must_be(404, "IOTDA.014051")
    said = world.rest.put(f"/devices/{device.device_id}/log-config", json={"switch": "off"}).must_be(200).json
    assert said["sent"] is False
    [service] = device.connect().wait_down(DOWN).json["services"]
    assert service["paras"] == {"switch": "off", "end_time": said["end_time"]}
    wait_for(lambda: world.rest.get(f"/devices/{device.device_id}/log-config").must_be(200).json["sent"], what="sent")


@pytest.mark.parametrize("body, code", [
    ({}, "IOTDA.000006"), ({"switch": "perhaps"}, "IOTDA.000006"), ({"switch": "on", "end_time": "soon"}, "IOTDA.000009")])
def test_wrong_log_configurations_are_refused(world, device, body, code):
    world.rest.put(f"/devices/{device.device_id}/log-config", json=body).must_be(400, code)


# --- events of the product model --------------------------------------------------------------------------------------

def test_events_of_the_product_model_are_pushed_as_messages(world):
    model = copy.deepcopy(THERMOMETER)
    model[0]["events"] = [{"event_type": "overheated", "paras": []}]
    device = world.device(world.product(service_capabilities=model))
    receiver = world.pushes()
    link = device.connect()
    say(link, event("Unknown", "overheated", t=1), event("Temperature", "overheated", t=99.50))
    [push] = receiver.wait("device.message", device.device_id)
    assert body_of(push) == {"topic": device.topic(UP), "content": {
        "object_device_id": device.device_id,
        "services": [{"service_id": "Temperature", "event_type": "overheated", "event_time": "20151212T121212Z",
                      "paras": {"t": 99.5}}]}}


# --- hostile ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("payload", [
    b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"services":7}', b'{"services":[7]}', b'{"services":[{"service_id":7}]}',
    b'{"services":[{"service_id":"$log","event_type":"log_report","paras":[]}]}',
    b'{"object_device_id":7,"services":[]}', b'{"services":' + b"[" * 5000])
def test_nothing_malformed_ends_the_connection(world, device, payload):
    link = device.connect()
    link.send(UP, payload)
    say(link, event("$time_sync", "time_sync_request"))
    assert link.wait_down(DOWN).json["services"][0]["event_type"] == "time_sync_response"


def test_more_events_than_the_limit_are_dropped(world, device):
    link = device.connect()
    say(link, *[event("$time_sync", "time_sync_request")] * 101)
    say(link, event("$time_sync", "time_sync_request", device_send_time=1))
    link.wait_down(DOWN)
    assert len(link.down(DOWN)) == 1
