"""The device shadow (002 §3.6, §2.1.2.8.5; B7)."""

import pytest

from rig import platform_times
from rig.application import refused, sdk
from rig.deadline import wait_for


@pytest.fixture
def device(world):
    return world.device()


def desired(world, device, service_id="Temperature") -> dict:
    entry = world.rest.shadow_of(device.device_id).get(service_id, {})
    return (entry.get("desired") or {}).get("properties") or {}


def passes(world, link, count):
    """Every downlink that was decided before now has arrived: a message that follows them has."""
    world.app.create_message(link.registration.device_id, f"mark {count}", payload_format="raw")
    link.wait_down("sys/messages/down", count=count)


def sets(link) -> list[dict]:
    return [message.json for message in link.down("sys/properties/set/request_id=")]


# --- desired to the device --------------------------------------------------------------------------------------------

def test_desired_goes_to_an_online_device_at_once(world, device):
    link = device.connect()
    answer = world.app.update_desired(device.device_id, "Temperature", {"value": 20})
    [entry] = answer.shadow
    assert (entry.service_id, entry.desired.properties) == ("Temperature", {"value": 20})
    assert platform_times.COMPACT.match(entry.desired.event_time)
    assert link.wait_down("sys/properties/set/request_id=").json == {
        "object_device_id": device.device_id, "services": [{"service_id": "Temperature", "properties": {"value": 20}}]}


def test_desired_waits_for_the_device_to_connect(world, device):
    world.app.update_desired(device.device_id, "Temperature", {"value": 20})
    world.app.update_desired(device.device_id, "Battery", {"level": 7})
    link = device.connect()
    wait_for(lambda: sorted((service["service_id"], tuple(service["properties"].items()))
                            for body in sets(link) for service in body["services"])
             == [("Battery", (("level", 7),)), ("Temperature", (("value", 20),))], what="both desired services")


def test_desired_is_sent_until_the_report_matches(world, device):
    world.app.update_desired(device.device_id, "Temperature", {"value": 20})
    link = device.connect().respond("sys/properties/set/", {"result_code": 0, "result_desc": "success"})
    link.wait_down("sys/properties/set/request_id=")
    # The answer alone is no proof: a report with another value brings it again.
    link.report(value=19)
    again = link.wait_down("sys/properties/set/request_id=", count=2)
    assert again.json["services"] == [{"service_id": "Temperature", "properties": {"value": 20}}]
    # A report of something else leaves the mismatch.
    link.report(value2=1)
    link.wait_down("sys/properties/set/request_id=", count=3)
    # Now it matches: nothing more comes, neither at reports nor at the next connect.
    link.report(value=20)
    passes(world, link, 1)
    link.report(value2=2)
    passes(world, link, 2)
    assert len(sets(link)) == 3
    link.disconnect()
    link = device.connect()
    passes(world, link, 1)
    assert sets(link) == []


def test_a_report_that_matches_already_sends_nothing(world, device):
    world.app.update_desired(device.device_id, "Temperature", {"value": 20})
    link = device.connect()
    link.wait_down("sys/properties/set/request_id=")
    link.disconnect()
    link = device.connect()
    link.wait_down("sys/properties/set/request_id=")
    link.report(value=20)
    passes(world, link, 1)
    assert len(sets(link)) == 1


def test_only_what_differs_is_sent(world, device):
    device.connect().report(value=20, value2=1)
    device.close()
    world.app.update_desired(device.device_id, "Temperature", {"value": 20, "value2": 2})
    link = device.connect()
    assert link.wait_down("sys/properties/set/request_id=").json["services"] == [
        {"service_id": "Temperature", "properties": {"value2": 2}}]


def test_desired_at_registration(world):
    device = world.device(shadow=[sdk.InitialDesired(service_id="Temperature", desired={"value": 33})])
    assert desired(world, device) == {"value": 33}
    link = device.connect()
    assert link.wait_down("sys/properties/set/request_id=").json["services"] == [
        {"service_id": "Temperature", "properties": {"value": 33}}]


def test_default_value_of_the_model_is_desired(world):
    product_id = world.product(service_capabilities=[{
        "service_id": "Lamp", "service_type": "Lamp", "properties": [
            {"property_name": "brightness", "data_type": "int", "method": "RWE", "min": "0", "max": "100", "default_value": 40},
            {"property_name": "colour", "data_type": "string", "method": "RWE", "max_length": 9}]}])
    device = world.device(product_id)
    assert desired(world, device, "Lamp") == {"brightness": 40}


# --- version, keys, deletion ------------------------------------------------------------------------------------------

def test_version_must_be_the_present_one(world, device):
    world.app.update_desired(device.device_id, "Temperature", {"value": 1}, version=0)
    version = world.rest.shadow_of(device.device_id)["Temperature"]["version"]
    assert isinstance(version, int) and version > 0
    for wrong in (0, version + 1):
        with refused(400):
            world.app.update_desired(device.device_id, "Temperature", {"value": 2}, version=wrong)
    assert desired(world, device) == {"value": 1}
    world.app.update_desired(device.device_id, "Temperature", {"value": 2}, version=version)
    assert desired(world, device) == {"value": 2}
    assert world.rest.shadow_of(device.device_id)["Temperature"]["version"] > version


@pytest.mark.parametrize("key", ["a.b", "$a", "a$", "a\0b", "."])
def test_keys_with_dot_dollar_or_nul_are_refused(world, device, key):
    with refused(400):
        world.app.update_desired(device.device_id, "Temperature", {key: 1})
    assert desired(world, device) == {}


def test_null_takes_one_property_out_and_an_empty_object_all(world, device):
    world.app.update_desired(device.device_id, "Temperature", {"value": 1, "value2": 2})
    world.app.update_desired(device.device_id, "Temperature", {"value": None})
    assert desired(world, device) == {"value2": 2}
    world.app.update_desired(device.device_id, "Temperature", {})
    assert desired(world, device) == {}


def test_services_do_not_disturb_each_other(world, device):
    world.app.update_desired(device.device_id, "Temperature", {"value": 1})
    world.app.update_desired(device.device_id, "Battery", {"level": 2})
    assert (desired(world, device), desired(world, device, "Battery")) == ({"value": 1}, {"level": 2})


def test_deleting_the_shadow(world, device):
    link = device.connect()
    link.report(value=1)
    world.app.update_desired(device.device_id, "Temperature", {"value": 2})
    assert world.app.delete_shadow(device.device_id).status_code == 204
    shown = world.app.show_shadow(device.device_id)
    assert (shown.device_id, shown.shadow) == (device.device_id, [])
    # The rows of the past are no part of the shadow.
    assert [row["properties"] for row in world.rest.history(device.device_id)] == [{"value": 1}]


def test_a_new_device_has_an_empty_shadow(world, device):
    assert world.rest.get(f"/devices/{device.device_id}/shadow").must_be(200).json == {
        "device_id": device.device_id, "shadow": []}


@pytest.mark.parametrize("call", [
    lambda app: app.show_shadow("nobody_nowhere"),
    lambda app: app.delete_shadow("nobody_nowhere"),
    lambda app: app.update_desired("nobody_nowhere", "Temperature", {"value": 1}),
], ids=["show", "delete", "update"])
def test_shadow_of_an_unknown_device(world, call):
    with refused(404, "IOTDA.014000"):
        call(world.app)


# --- the device asks --------------------------------------------------------------------------------------------------

def ask(link, body, request_id="17", topic_device=None) -> dict:
    topic = f"$oc/devices/{topic_device or link.registration.device_id}/sys/shadow/get/request_id={request_id}"
    link.publish(topic, body)
    return link.wait_down(f"sys/shadow/get/response/request_id={request_id}").json


@pytest.fixture
def shadowed(world, device):
    """A device with a report on two services and one desired value."""
    link = device.connect()
    link.report(value=1, event_time="20151212T121212Z")
    link.report("Battery", level=2, event_time="20151212T121213Z")
    world.app.update_desired(device.device_id, "Temperature", {"value2": 5})
    return link


@pytest.mark.parametrize("form", ["{}", "null", "empty", "own", "blank"])
def test_device_asks_for_all_services(world, device, shadowed, form):
    body = {"{}": {}, "null": {"service_id": None}, "empty": {"service_id": ""}, "own": {"object_device_id": device.device_id},
            "blank": {"object_device_id": ""}}[form]
    answer = ask(shadowed, body)
    assert set(answer) == {"object_device_id", "shadow"}
    assert answer["object_device_id"] == device.device_id
    services = {entry["service_id"]: entry for entry in answer["shadow"]}
    assert set(services) == {"Temperature", "Battery"}
    temperature = services["Temperature"]
    assert temperature["reported"] == {"properties": {"value": 1}, "event_time": "20151212T121212Z"}
    assert temperature["desired"]["properties"] == {"value2": 5}
    assert platform_times.COMPACT.match(temperature["desired"]["event_time"])
    assert temperature["version"] == world.rest.shadow_of(device.device_id)["Temperature"]["version"]


def test_device_asks_for_one_service(shadowed):
    answer = ask(shadowed, {"service_id": "Battery"})
    assert [entry["service_id"] for entry in answer["shadow"]] == ["Battery"]
    assert answer["shadow"][0]["reported"] == {"properties": {"level": 2}, "event_time": "20151212T121213Z"}


@pytest.mark.parametrize("body", [{}, {"service_id": "Unknown"}])
def test_nothing_known_is_an_empty_list(device, body):
    assert ask(device.connect(), body) == {"object_device_id": device.device_id, "shadow": []}


@pytest.mark.parametrize("request_id", ["1", "req-1", "0e4c2f", "a=b", "x}"])
def test_request_id_comes_back_as_it_was(device, request_id):
    link = device.connect()
    ask(link, {}, request_id)
    assert link.down("sys/shadow/get/response/")[0].topic == device.topic(f"sys/shadow/get/response/request_id={request_id}")


def test_gateway_asks_for_its_child(world, device):
    child = world.child(device)
    link = device.connect()
    link.send("sys/gateway/sub_devices/properties/report", {"devices": [
        {"device_id": child.device_id, "services": [{"service_id": "Battery", "properties": {"level": 4}}]}]})
    answer = ask(link, {"object_device_id": child.device_id, "service_id": "Battery"})
    assert answer["object_device_id"] == child.device_id
    assert answer["shadow"][0]["reported"]["properties"] == {"level": 4}


def test_nobody_reads_a_strangers_shadow(world, device):
    stranger = world.device()
    stranger.connect().report(value=77)
    link = device.connect()
    link.send("sys/shadow/get/request_id=1", {"object_device_id": stranger.device_id})
    link.publish(f"$oc/devices/{stranger.device_id}/sys/shadow/get/request_id=2", {})
    passes(world, link, 1)
    assert not any(b"77" in message.payload for message in link.messages)
    assert link.connected
