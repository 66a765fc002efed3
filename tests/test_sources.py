"""Sources of forwarding rules: each event as the fact sheet writes it, over a rule and an HTTP push (`iotda-v5-api.md` §3)."""

import re

import pytest

from rig import platform_times
from rig.deadline import wait_for
from rig.product_models import THERMOMETER
from rig.push_receiver import PushReceiver, body_of
from rig.world import fresh_name

ANSWER = {"result_code": 0}


class Listener:
    """A receiver that gets events of one subject of the default space, by a rule of its own."""

    def __init__(self, world, resource, event):
        self.world, self.resource, self.event = world, resource, event
        self.receiver = PushReceiver()
        rest, app_id = world.rest, world.platform.ready["default_app_id"]
        self.rule_id = rest.post("/routing-rule/rules", json={
            "rule_name": fresh_name("rule"), "subject": {"resource": resource, "event": event}, "app_type": "APP",
            "app_id": app_id, "select": "*"}).must_be(201).json["rule_id"]
        rest.post("/routing-rule/actions", json={
            "rule_id": self.rule_id, "channel": "HTTP_FORWARDING",
            "channel_detail": {"http_forwarding": {"url": self.receiver.url}}}).must_be(201)
        rest.put(f"/routing-rule/rules/{self.rule_id}", json={"active": True}).must_be(200)

    def wait(self, where, count=1) -> list[dict]:
        found = self.receiver.wait(self.resource, count=count, where=where)
        for push in found:
            assert (push["resource"], push["event"]) == (self.resource, self.event)
            assert platform_times.COMPACT.match(push["event_time"])
            assert platform_times.WITH_MILLISECONDS.match(push["event_time_ms"])
            assert push["request_id"]
        return found

    def close(self):
        self.world.rest.delete(f"/routing-rule/rules/{self.rule_id}")
        self.receiver.close()


@pytest.fixture
def listen(world):
    made = []

    def start(resource, event) -> Listener:
        made.append(Listener(world, resource, event))
        return made[-1]

    yield start
    for listener in made:
        listener.close()


def of_device(device_id):
    return lambda push: push["notify_data"].get("body", {}).get("device_id") == device_id


def header_of(world, device) -> dict:
    return {"app_id": world.platform.ready["default_app_id"], "device_id": device.device_id, "node_id": device.node_id,
            "product_id": device.product_id, "gateway_id": device.device_id, "tags": []}


def as_shown(world, device_id) -> dict:
    """The device as the interface shows it, as events tell of it."""
    shown = world.rest.get(f"/devices/{device_id}").must_be(200).json
    for name in ("connection_status_update_time", "active_time"):
        shown.pop(name, None)
    shown["auth_info"] = {"auth_type": shown["auth_info"]["auth_type"], "secure_access": shown["auth_info"]["secure_access"],
                          "timeout": 0}
    return shown


# --- devices --------------------------------------------------------------------------------------------------------------

def test_device_create(world, listen):
    listener = listen("device", "create")
    device = world.device(description="in the cold room", extension_info={"shelf": 7.50})
    [push] = listener.wait(of_device(device.device_id))
    assert set(push["notify_data"]) == {"body"}
    assert body_of(push) == as_shown(world, device.device_id)
    assert body_of(push)["status"] == "INACTIVE" and body_of(push)["extension_info"] == {"shelf": 7.5}
    assert device.secret not in str(push)


def test_device_create_behind_a_gateway_and_in_bulk(world, listen):
    listener, gateway = listen("device", "create"), world.device()
    link = gateway.connect()
    names = [fresh_name("child") for _ in range(3)]
    link.send("sys/events/up", {"services": [{
        "service_id": "$sub_device_manager", "event_type": "add_sub_device_request", "event_time": "20151212T121212Z",
        "paras": {"devices": [{"node_id": name, "product_id": world.product_id} for name in names]}}]})
    found = listener.wait(lambda push: body_of(push)["node_id"] in names, count=3)
    assert {(body_of(p)["gateway_id"], body_of(p)["node_type"]) for p in found} == {(gateway.device_id, "ENDPOINT")}


def test_device_update(world, listen):
    listener, device = listen("device", "update"), world.device()
    path = f"/devices/{device.device_id}"
    world.rest.put(path, json={"device_name": "other"}).must_be(200)
    world.rest.post(f"{path}/freeze").must_be(204)
    world.rest.post(f"{path}/unfreeze").must_be(204)
    world.rest.post("/tags/bind-resource", json={"resource_type": "device", "resource_id": device.device_id,
                                                 "tags": [{"tag_key": "k", "tag_value": "v"}]}).must_be(200)
    found = [body_of(push) for push in listener.wait(of_device(device.device_id), count=4)]
    assert [(b["device_name"], b["status"], b["tags"]) for b in found] == [
        ("other", "INACTIVE", []), ("other", "FROZEN", []), ("other", "INACTIVE", []),
        ("other", "INACTIVE", [{"tag_key": "k", "tag_value": "v"}])]
    assert found[-1] == as_shown(world, device.device_id)


def test_device_delete(world, listen):
    listener, device = listen("device", "delete"), world.device()
    world.rest.delete(f"/devices/{device.device_id}").must_be(204)
    [push] = listener.wait(lambda push: push["notify_data"]["header"]["device_id"] == device.device_id)
    assert push["notify_data"] == {"header": header_of(world, device)}


# --- products -------------------------------------------------------------------------------------------------------------

def test_product_create_update_delete(world, listen):
    listeners = {event: listen("product", event) for event in ("create", "update", "delete")}
    product_id = world.product()
    of_product = lambda push: body_of(push)["product_id"] == product_id
    [push] = listeners["create"].wait(of_product)
    shown = world.rest.get(f"/products/{product_id}").must_be(200).json
    assert push["notify_data"] == {"body": shown}
    assert [s["service_id"] for s in shown["service_capabilities"]] == [s["service_id"] for s in THERMOMETER]
    world.rest.put(f"/products/{product_id}", json={"name": "changed"}).must_be(200)
    [push] = listeners["update"].wait(of_product)
    assert push["notify_data"] == {"body": shown | {"name": "changed"}}
    world.rest.delete(f"/products/{product_id}").must_be(204)
    [push] = listeners["delete"].wait(of_product)
    assert push["notify_data"] == {"body": {
        "app_id": world.platform.ready["default_app_id"], "product_id": product_id, "name": "changed"}}


# --- what the space's URL gets too ----------------------------------------------------------------------------------------

def test_reports_messages_status_and_tasks(world, listen):
    subjects = [("device.property", "report"), ("device.message", "report"), ("device.status", "update"),
                ("device.message.status", "update")]
    listeners = {resource: listen(resource, event) for resource, event in subjects}
    tasks = listen("batchtask", "update")
    device = world.device()
    mine = lambda push: push["notify_data"]["header"]["device_id"] == device.device_id
    link = device.connect()
    [push] = listeners["device.status"].wait(mine)
    assert push["notify_data"]["header"] == header_of(world, device) and body_of(push)["status"] == "ONLINE"
    link.report(value=9)
    [push] = listeners["device.property"].wait(mine)
    assert [s["properties"] for s in body_of(push)["services"]] == [{"value": 9}]
    link.send("sys/messages/up", {"content": "hello"})
    [push] = listeners["device.message"].wait(mine)
    assert body_of(push)["content"] == {"content": "hello"}
    world.rest.post(f"/devices/{device.device_id}/messages", json={"message": "hi"}).must_be(201)
    found = listeners["device.message.status"].wait(lambda p: mine(p) and body_of(p)["status"] == "DELIVERED")
    assert body_of(found[0])["message_id"]
    task = world.rest.post("/batchtasks", json={
        "app_id": world.platform.ready["default_app_id"], "task_name": fresh_name("t"), "task_type": "freezeDevices",
        "targets": [device.device_id]}).must_be(201).json["task_id"]
    found = tasks.wait(lambda p: body_of(p)["task_id"] == task and body_of(p)["status"] == "Success")
    assert set(found[0]["notify_data"]) == {"body"} and body_of(found[0])["task_type"] == "freezeDevices"


# --- alarms ---------------------------------------------------------------------------------------------------------------

def test_alarms(world, listen):
    reports, updates = listen("device.alarm", "report"), listen("device.alarm", "update")
    device, name = world.device(), fresh_name("alarm")
    condition = {"type": "DEVICE_DATA", "device_property_condition": {"device_id": device.device_id, "filters": [
        {"path": "Temperature/value", "operator": ">", "value": "8"}]}}
    world.rest.post("/rules", json={
        "name": name, "rule_type": "DEVICE_LINKAGE", "condition_group": {"conditions": [condition], "logic": "and"},
        "actions": [{"type": "DEVICE_ALARM", "device_alarm": {
            "name": name, "alarm_status": "fault", "severity": "major", "dimension": "device"}}]}).must_be(201)
    device.connect().report(value=9)
    mine = lambda push: body_of(push)["name"] == name
    [push] = reports.wait(mine)
    assert push["notify_data"]["header"] == header_of(world, device)
    path = f"/alarms/{body_of(push)['alarm_id']}"
    assert body_of(push) == world.rest.get(path).must_be(200).json
    gone = world.rest.post(f"{path}/clear", json={}).must_be(200).json
    [push] = updates.wait(mine)
    assert body_of(push) == gone and gone["status"] == "CLEARED"


# --- the run log ----------------------------------------------------------------------------------------------------------

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{3}Z")


def lines(listener, device, count) -> list[list[str]]:
    """Type, operation, request, result and status of the device's lines, each in its order."""
    found = listener.wait(lambda p: body_of(p)["device_id"] == device.device_id, count=count)
    out = []
    for push in found:
        fields = body_of(push)["log"].split("|")
        assert len(fields) == 7 and LINE.fullmatch(fields[0]) and fields[1] == device.device_id
        named = [body_of(push)[name] for name in ("time", "device_id", "type", "operation", "request", "result", "status")]
        assert named == fields
        out.append(fields[2:])
    return out


def test_run_log(world, listen):
    listener, device = listen("runlog", "report"), world.device()
    link = device.connect().respond("sys/commands/", ANSWER).respond("sys/properties/set/", ANSWER)
    link.report(value=9)
    link.send("sys/messages/up", {"content": "a|b"})
    wait_for(lambda: len(lines(listener, device, 3)) == 3)
    base, topics = f"/v5/iot/{world.rest.project_id}/devices/{device.device_id}", f"$oc/devices/{device.device_id}/sys"
    world.rest.post(f"/devices/{device.device_id}/commands", json={
        "service_id": "Temperature", "command_name": "ON_OFF", "paras": {"value": "ON"}}).must_be(200)
    world.rest.post(f"/devices/{device.device_id}/commands", json={
        "service_id": "Temperature", "command_name": "NOTHING", "paras": {}}).must_be(400)
    world.rest.put(f"/devices/{device.device_id}/properties", json={"services": [
        {"service_id": "Temperature", "properties": {"value2": 1}}]})
    world.rest.post(f"/devices/{device.device_id}/messages", json={"message": "hi"}).must_be(201)
    # The call that sends the message is logged last.
    wait_for(lambda: any(line[1] == f"{base}/messages" for line in lines(listener, device, 1)))
    found = lines(listener, device, 9)
    kinds = [(kind, operation.split("request_id=")[0], status) for kind, operation, _, _, status in found]
    for expected in [
        ("device.status", "online", "200"),
        ("device.property", f"{topics}/properties/report", "200"),
        ("device.message", f"{topics}/messages/up", "200"),
        ("device.command", f"{base}/commands", "200"),
        ("device.command", f"{topics}/commands/", "200"),
        ("device.message", f"{base}/messages", "201"),
        ("device.message", f"{topics}/messages/down", "200"),
    ]:
        assert expected in kinds, (expected, kinds)
    refused = [line for line in found if line[0] == "device.command" and line[4] not in ("200",)]
    assert len(refused) == 1 and refused[0][4].startswith("IOTDA.") and "NOTHING" in refused[0][2]
    said = next(line for line in found if line[1] == f"{topics}/messages/up")
    assert said[2] == '{"content":"a\\u007cb"}' or "\\u007c" in said[2]


def test_run_log_can_be_switched_off(platform_factory):
    from rig.world import World

    world = World(platform_factory({"run_log.device_property": "false"}).start())
    listener, device = Listener(world, "runlog", "report"), world.device()
    link = device.connect()
    link.report(value=9)
    link.send("sys/messages/up", {"content": "x"})
    found = lines(listener, device, 2)
    assert {line[0] for line in found} == {"device.status", "device.message"}
    listener.close()
    world.close()
