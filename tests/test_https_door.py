"""Devices over HTTPS, with curl (001, 002 §2.1.3; A2)."""

import datetime as dt
import json
import socket

import pytest

from rig import platform_times
from rig.application import refused
from rig.deadline import wait_for
from rig.https_device import HttpsDevice, curl
from rig.push_receiver import body_of

MEGABYTE = 1 << 20
INVALID_INPUT, AUTHENTICATION_FAILED, INVALID_TOKEN = "IOTDA.000006", "IOTDA.000002", "IOTDA.000004"
TOO_MANY_CHILDREN, NOT_A_CHILD, TOO_LARGE = "IOTDA.021103", "IOTDA.021104", "IOTDA.021105"


@pytest.fixture
def device(world) -> HttpsDevice:
    return world.https_device()


# --- authentication ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("sign_type", [0, 1])
def test_token(device, sign_type):
    answer = device.authenticate(sign_type=sign_type).must_be(200).json
    assert set(answer) == {"access_token", "expires_in"}
    assert 32 <= len(answer["access_token"]) <= 256
    assert 86_390 <= answer["expires_in"] <= 86_400


def test_every_token_is_another(device):
    tokens = {device.authenticate().json["access_token"] for _ in range(3)}
    assert len(tokens) == 3


def test_sign_type_0_does_not_judge_the_timestamp(device):
    device.authenticate(timestamp="2018072417").must_be(200)


def test_sign_type_1_judges_the_timestamp(device):
    stamp = platform_times.hour_stamp(platform_times.utc_now() - dt.timedelta(hours=8))
    device.authenticate(sign_type=1, timestamp=stamp).must_be(401, AUTHENTICATION_FAILED)


@pytest.mark.parametrize("change", [
    {"device_id": None}, {"sign_type": None}, {"timestamp": None}, {"password": None},
    {"device_id": ""}, {"device_id": "x" * 129}, {"device_id": "a b"}, {"device_id": 7},
    {"sign_type": 2}, {"sign_type": -1}, {"sign_type": "one"},
    {"timestamp": "20180724"}, {"timestamp": "20180724170"}, {"timestamp": "yesterday!"},
    {"password": "0" * 63}, {"password": "0" * 65}, {"password": ""},
], ids=str)
def test_bad_parameters(device, change):
    device.authenticate(**change).must_be(400, INVALID_INPUT)


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '"text"', b"\xff\xfe", "{}"])
def test_body_that_is_no_such_json(device, body):
    curl(device.platform, "POST", "/v5/device-auth", body, {"Content-Type": "application/json"}).must_be(400, INVALID_INPUT)


def test_wrong_password(device):
    device.authenticate(password="0" * 64).must_be(401, AUTHENTICATION_FAILED)


def test_unknown_device(device):
    device.authenticate(device_id="nobody_nowhere").must_be(401, AUTHENTICATION_FAILED)


def test_unknown_device_and_wrong_password_look_alike(device):
    wrong = device.authenticate(password="0" * 64)
    unknown = device.authenticate(device_id="nobody_nowhere")
    assert (wrong.status, wrong.json) == (unknown.status, unknown.json)


def test_frozen_device(world, device):
    device.login()
    world.app.freeze(device.registration.device_id)
    device.authenticate().must_be(401, AUTHENTICATION_FAILED)
    assert device.report({"value": 1}).status in (401, 403)
    world.app.unfreeze(device.registration.device_id)
    device.login().report({"value": 2}).must_be(200)
    assert world.rest.reported(device.registration.device_id, "Temperature") == {"value": 2}


# --- tokens in use ----------------------------------------------------------------------------------------------------

CALLS = {
    "sys/messages/up": {"content": "x"},
    "sys/properties/report": {"services": [{"service_id": "Temperature", "properties": {"value": 1}}]},
    "sys/gateway/sub-devices/properties/report": {"devices": []},
}


@pytest.mark.parametrize("rest", CALLS)
@pytest.mark.parametrize("token", ["made-up", "x" * 256])
def test_invalid_token(device, rest, token):
    device.post(rest, CALLS[rest], token=token).must_be(403, INVALID_TOKEN)


@pytest.mark.parametrize("rest", CALLS)
def test_missing_token(device, rest):
    answer = device.post(rest, CALLS[rest], token=None)
    assert (answer.status, answer.json["error_code"]) in {(401, AUTHENTICATION_FAILED), (403, INVALID_TOKEN)}


@pytest.mark.parametrize("rest", CALLS)
def test_another_devices_token(world, device, rest):
    other = world.https_device().login()
    device.post(rest, CALLS[rest], token=other.token).must_be(403, INVALID_TOKEN)
    assert world.rest.shadow_of(device.registration.device_id) == {}


def test_an_old_token_lasts_thirty_seconds_beside_the_new(own_world):
    device = own_world.https_device()
    old = device.login().token
    new = device.login().token
    own_world.rest.advance_clock(25_000)
    device.report({"value": 1}, token=old).must_be(200)
    device.report({"value": 2}, token=new).must_be(200)
    own_world.rest.advance_clock(6_000)
    device.report({"value": 3}, token=old).must_be(403, INVALID_TOKEN)
    device.report({"value": 4}, token=new).must_be(200)
    assert own_world.rest.reported(device.registration.device_id, "Temperature") == {"value": 4}


def test_a_token_lasts_a_day(own_world):
    device = own_world.https_device().login()
    own_world.rest.advance_clock(86_300_000)
    device.report({"value": 1}).must_be(200)
    own_world.rest.advance_clock(101_000)
    device.report({"value": 2}).must_be(403, INVALID_TOKEN)
    device.login().report({"value": 3}).must_be(200)


def test_a_new_secret_ends_the_tokens(world, device):
    device.login()
    world.app.reset_secret(device.registration.device_id, force_disconnect=True)
    device.report({"value": 1}).must_be(403, INVALID_TOKEN)


# --- reports ----------------------------------------------------------------------------------------------------------

def test_properties(world, device):
    answer = device.login().post("sys/properties/report", {"services": [
        {"service_id": "Temperature", "properties": {"value": 24, "ratio": 0.5}, "event_time": "2021-08-13T10:10:10.555Z"},
        {"service_id": "Battery", "properties": {"level": 3}}]})
    answer.must_be(200)
    # The answer is the commit.
    shadow = world.rest.shadow_of(device.registration.device_id)
    assert shadow["Temperature"]["reported"] == {"properties": {"value": 24, "ratio": 0.5}, "event_time": "20210813T101010Z"}
    assert shadow["Battery"]["reported"]["properties"] == {"level": 3}
    [row] = world.rest.history(device.registration.device_id, service_id="Temperature")
    assert row["event_time"] == "2021-08-13T10:10:10.555Z"


@pytest.mark.parametrize("body", [
    "", "{", "[]", "{}", {"services": None}, {"services": {}}, {"services": [1]}, {"services": [{"service_id": "Temperature"}]},
    {"services": [{"properties": {"value": 1}}]}, {"services": [{"service_id": "Temperature", "properties": 7}]},
    {"services": [{"service_id": 7, "properties": {}}]},
], ids=str)
def test_bad_properties(world, device, body):
    device.login().post("sys/properties/report", body).must_be(400, INVALID_INPUT)
    assert world.rest.history(device.registration.device_id) == []


def test_message(world, device):
    receiver = world.pushes()
    body = {"name": "name", "id": "id", "content": "messageUp"}
    device.login().post("sys/messages/up", body).must_be(200)
    [push] = receiver.wait("device.message", device.registration.device_id)
    assert body_of(push)["content"] == body


@pytest.mark.parametrize("content_type", ["application/text", "text/plain", "application/octet-stream"])
def test_message_of_any_form(world, device, content_type):
    receiver = world.pushes()
    device.login().post("sys/messages/up", "just text", content_type=content_type).must_be(200)
    [push] = receiver.wait("device.message", device.registration.device_id)
    assert body_of(push)["content"] == "just text"


def children_report(children, level=1) -> dict:
    return {"devices": [{"device_id": child.device_id, "services": [
        {"service_id": "Battery", "properties": {"level": level}}]} for child in children]}


def test_fifty_children_and_no_more(world, device):
    children = [world.child(device.registration) for _ in range(51)]
    level = lambda child: world.rest.reported(child.device_id, "Battery").get("level")
    device.login()
    device.post("sys/gateway/sub-devices/properties/report", children_report(children)).must_be(403, TOO_MANY_CHILDREN)
    assert {level(child) for child in children} == {None}
    device.post("sys/gateway/sub-devices/properties/report", children_report(children[:50], 2)).must_be(200)
    assert [level(child) for child in children] == [2] * 50 + [None]


def test_children_of_others_are_refused(world, device):
    child, stranger = world.child(device.registration), world.device()
    device.login().post("sys/gateway/sub-devices/properties/report",
                        children_report([child, stranger])).must_be(400, NOT_A_CHILD)
    assert world.rest.reported(stranger.device_id, "Battery") == {}


@pytest.mark.parametrize("body", ["{", "{}", {"devices": {}}, {"devices": [{}]}, {"devices": [{"device_id": "x"}]}], ids=str)
def test_bad_gateway_reports(device, body):
    device.login().post("sys/gateway/sub-devices/properties/report", body).must_be(400, INVALID_INPUT)


# --- size and form ----------------------------------------------------------------------------------------------------

def padded_report(size: int) -> bytes:
    """A valid report of exactly `size` bytes."""
    body = json.dumps({"services": [{"service_id": "Temperature", "properties": {"value": 9}}]}).encode()
    return body + b" " * (size - len(body))


def test_a_megabyte_is_taken(world, device):
    device.login().post("sys/properties/report", padded_report(MEGABYTE)).must_be(200)
    assert world.rest.reported(device.registration.device_id, "Temperature") == {"value": 9}


@pytest.mark.parametrize("size", [MEGABYTE + 1, 3 * MEGABYTE])
@pytest.mark.parametrize("options", [(), ("--header", "Transfer-Encoding: chunked")], ids=["length", "chunked"])
@pytest.mark.parametrize("rest", ["sys/properties/report", "sys/gateway/sub-devices/properties/report"])
def test_more_than_a_megabyte_is_refused(world, device, rest, size, options):
    device.login().post(rest, padded_report(size), options=options).must_be(403, TOO_LARGE)
    assert world.rest.shadow_of(device.registration.device_id) == {}


@pytest.mark.parametrize("option", ["--http1.0", "--http1.1"])
def test_http_versions(world, device, option):
    answer = device.authenticate(options=(option,)).must_be(200)
    assert answer.http_version in ("1", "1.0", "1.1")
    device.token = answer.json["access_token"]
    device.report({"value": 3}, options=(option,)).must_be(200)
    assert world.rest.reported(device.registration.device_id, "Temperature") == {"value": 3}


def test_plain_http_is_not_served(device):
    with socket.create_connection(device.platform.address("device_https"), timeout=10) as link:
        link.sendall(b"POST /v5/device-auth HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        try:
            assert not link.recv(100).startswith(b"HTTP/1.1 2")
        except ConnectionResetError:
            pass


@pytest.mark.parametrize("method,path,status", [
    ("GET", "/v5/device-auth", 405), ("PUT", "/v5/devices/x/sys/messages/up", 405), ("POST", "/v5/elsewhere", 404),
    ("GET", "/", 404), ("POST", "/v5/devices/x/sys/properties/set", 404),
])
def test_what_is_not_there(device, method, path, status):
    curl(device.platform, method, path).must_be(status)


def test_the_application_interface_is_not_on_this_door(device):
    curl(device.platform, "GET", f"/v5/iot/{device.platform.project_id}/devices").must_be(404)


def test_errors_are_json(device):
    answer = device.authenticate(password="0" * 64)
    assert set(answer.json) >= {"error_code", "error_msg"}
    assert answer.json["error_msg"] == "Authentication failed."


# --- and the rest of the platform -------------------------------------------------------------------------------------

def test_an_https_report_brings_a_waiting_command_nowhere(world, device):
    """An HTTPS device has no downlink: a command meets an offline device."""
    device.login().report({"value": 1}).must_be(200)
    with refused(403, "IOTDA.014016"):
        world.app.create_command(device.registration.device_id, "Temperature", "ON_OFF", {"value": "ON"})


def test_the_same_device_on_both_doors(world, device):
    link = device.registration.connect()
    device.login().report({"value": 1}).must_be(200)
    link.report(value2=2)
    assert world.rest.reported(device.registration.device_id, "Temperature") == {"value": 1, "value2": 2}
    assert link.connected


def test_http_device_is_active_after_its_first_login(world, device):
    device.login()
    wait_for(lambda: world.app.status_of(device.registration.device_id) != "INACTIVE", what="the device to be active")
