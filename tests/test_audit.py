"""The audit log (002 §6.4; E4)."""

import gzip
import re
from datetime import timedelta

import pytest

from rig import platform_times
from rig.deadline import wait_for
from rig.platform_process import run_causeway
from rig.rest import Rest
from rig.world import World, fresh_name

FIELDS = {"id", "time", "user_id", "user_name", "credential", "operation", "event_name", "resource_type", "resource_id",
          "status", "level", "source_ip", "request_id"}


def records(world, **query):
    return world.rest.get("/audit-logs", query={"limit": 50, **query}).must_be(200).json["audit_logs"]


def one(world, **query):
    """The only record that matches, once it is there: records of calls that changed nothing come within a second."""
    found = wait_for(lambda: records(world, **query), seconds=5, what=f"a record of {query}")
    assert len(found) == 1, found
    return found[0]


def check(world, record, **expected):
    assert FIELDS <= set(record), record
    key = world.platform.ready["access_key"]["ak"]
    assert record["credential"] == key
    assert record["user_name"] and record["user_id"]
    assert record["source_ip"] == "127.0.0.1"
    assert platform_times.WITH_MILLISECONDS.match(record["time"])
    assert re.fullmatch("[0-9a-f]{24}", record["id"])
    for name, value in expected.items():
        assert record[name] == value, (name, record)


@pytest.fixture
def default(world):
    return world.platform.ready["default_app_id"]


# --- the guide's operations -------------------------------------------------------------------------------------------------


def test_life_of_a_device(world, default):
    device = world.device()
    query = {"resource_type": "device", "resource_id": device.device_id}
    check(world, one(world, **query), operation="add_device", event_name="addDevice", status=201, level="normal",
          app_id=default)
    world.app.reset_secret(device.device_id)
    reset = one(world, **query, operation="resetDeviceSecret")
    check(world, reset, operation="reset_device_secret", status=200, level="normal", app_id=default)
    world.app.delete_device(device.device_id)
    gone = one(world, **query, operation="deleteDevice")
    check(world, gone, operation="delete_device", status=204, level="normal", app_id=default)
    assert [r["event_name"] for r in records(world, **query)] == ["deleteDevice", "resetDeviceSecret", "addDevice"]


def test_a_command_and_its_failure(world, default):
    device = world.device()
    link = device.connect().respond("sys/commands/", {"result_code": 0})
    world.app.create_command(device.device_id, "Temperature", "ON_OFF", {"value": "ON"})
    query = {"resource_type": "command", "resource_id": device.device_id}
    check(world, one(world, **query), operation="create_command", event_name="sendCommand", status=200, level="normal",
          app_id=default)
    before = world.rest.metric("causeway_device_departures_total")
    link.close()
    wait_for(lambda: world.rest.metric("causeway_device_departures_total") > before, what="the departure")
    world.rest.post(f"/devices/{device.device_id}/commands", json={
        "service_id": "Temperature", "command_name": "ON_OFF", "paras": {"value": "ON"}}).must_be(403, "IOTDA.014016")
    failed = one(world, **query, level="warning")
    check(world, failed, event_name="sendCommand", status=403, error_code="IOTDA.014016", app_id=default)


def test_the_desired_side_of_a_shadow(world, default):
    device = world.device()
    world.app.update_desired(device.device_id, "Battery", {"level": 77})
    record = one(world, resource_type="deviceShadow", resource_id=device.device_id)
    check(world, record, operation="update_device_shadow_desired_data", event_name="updateDeviceShadow", status=200,
          app_id=default)
    assert "Battery" not in str(record), "a body has no place in the log"


def test_other_writes_are_recorded_too(world):
    product_id = world.product()
    made = one(world, resource_type="product", resource_id=product_id)
    check(world, made, operation="create_product", event_name="createProduct", status=201)
    world.app.delete_product(product_id)
    assert [r["event_name"] for r in records(world, resource_id=product_id)] == ["deleteProduct", "createProduct"]
    space = world.app.add_app(fresh_name("space")[:60]).app_id
    world.app.update_app(space, fresh_name("renamed")[:60])
    world.app.delete_app(space)
    found = records(world, resource_type="app", resource_id=space)
    assert [(r["event_name"], r["app_id"]) for r in found] == [
        ("deleteApplication", space), ("updateApplication", space), ("addApplication", space)]


def test_groups_and_batch_tasks(world, default):
    """Their answers do not name the space; their records do."""
    group = world.rest.post("/device-group", json={"name": fresh_name("group")[:60]}).must_be(201).json["group_id"]
    device = world.device()
    world.rest.post(f"/device-group/{group}/action",
                    query={"action_id": "addDevice", "device_id": device.device_id}).must_be(200)
    world.rest.post(f"/device-group/{group}/action",
                    query={"action_id": "removeDevice", "device_id": device.device_id}).must_be(200)
    world.rest.put(f"/device-group/{group}", json={"description": "x"}).must_be(200)
    world.rest.delete(f"/device-group/{group}").must_be(204)
    found = records(world, resource_type="device-group", resource_id=group)
    assert [r["event_name"] for r in found] == [
        "deleteDeviceGroup", "updateDeviceGroup", "manageDevicesInGroup", "manageDevicesInGroup", "addDeviceGroup"]
    assert {r["app_id"] for r in found} == {default}
    task = world.rest.post("/batchtasks", json={
        "task_name": fresh_name("task")[:30], "task_type": "freezeDevices", "targets": [device.device_id]}).must_be(201)
    task_id = task.json["task_id"]
    check(world, one(world, resource_type="batchtasks", resource_id=task_id), event_name="createBatchTask", status=201,
          app_id=default)


def test_certificates(world, default):
    bad = world.rest.post("/certificates", json={"content": "no certificate"}).must_be(400)
    found = wait_for(lambda: [r for r in records(world, operation="addCertificate")
                              if r["request_id"] == bad.headers["X-Request-Id"]], what="the refused certificate")
    check(world, {"resource_id": None, **found[0]}, resource_type="certificate", status=400, level="warning")
    nobody = fresh_name("nobody")
    world.rest.delete(f"/certificates/{nobody}").must_be(404)
    check(world, one(world, resource_id=nobody), event_name="deleteCertificate", resource_type="certificate", status=404)
    answer = world.rest.post(f"/certificates/{nobody}/action", query={"action_id": "verify"}, json={"verify_content": "x"})
    assert answer.status in (400, 404)
    check(world, one(world, resource_id=nobody, operation="verifyCertificate"), operation="check_certificate",
          resource_type="certificate", status=answer.status, error_code=answer.json["error_code"])


def test_reads_leave_no_record(world):
    device = world.device()
    world.app.show_device(device.device_id)
    world.app.show_shadow(device.device_id)
    world.app.list_devices()
    assert [r["operation"] for r in records(world, resource_id=device.device_id)] == ["add_device"]
    assert records(world, operation="show_device") == []
    assert records(world, operation="list_audit_logs") == []


# --- what was refused -------------------------------------------------------------------------------------------------------


def test_refused_calls_are_recorded(world):
    nobody = fresh_name("nobody")
    answer = world.rest.delete(f"/devices/{nobody}").must_be(404, "IOTDA.014000")
    record = one(world, resource_id=nobody)
    check(world, record, operation="delete_device", status=404, error_code="IOTDA.014000", level="warning",
          request_id=answer.headers["X-Request-Id"])
    assert "app_id" not in record
    answer = world.rest.post("/devices", json={"node_id": "x"}).must_be(400)
    found = wait_for(lambda: [r for r in records(world, operation="add_device", level="warning")
                              if r["request_id"] == answer.headers["X-Request-Id"]], what="the refused registration")
    assert (found[0]["status"], found[0]["error_code"], found[0]["user_name"]) == (
        400, answer.json["error_code"], record["user_name"])
    assert "resource_id" not in found[0]


def test_strangers_are_recorded_as_such(world):
    name = fresh_name("stranger")
    world.rest.call("DELETE", f"/devices/{name}", signed=False).must_be(401)
    rest = Rest(world.platform)
    rest.sk = "wrong"
    rest.delete(f"/devices/{name}").must_be(401)
    found = wait_for(lambda: [r for r in records(world, operation="delete_device", level="warning") if r["status"] == 401]
                     or None, what="records of strangers")
    assert all("user_id" not in r and "user_name" not in r for r in found)
    wait_for(lambda: any(r.get("credential") == rest.ak for r in records(world, operation="delete_device")
                         if r["status"] == 401), what="the record of the wrong signature")
    assert all(r["error_code"] == "IOTDA.000002" for r in found)


def test_sign_ins_are_recorded(own_world):
    world = own_world
    admin = world.platform.ready["admin"]

    def sign_in(name, password):
        return world.rest.post("//v3/auth/tokens", signed=False, json={"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": name, "password": password, "domain": {"name": "default"}}}},
            "scope": {"project": {"name": "default"}}}})

    sign_in(admin["user"], admin["password"]).must_be(201)
    sign_in(admin["user"], "a-wrong-Passw0rd").must_be(401)
    found = wait_for(lambda: (lambda r: r if len(r) == 2 else None)(records(world, operation="create_token")),
                     what="both records")
    failed, done = found
    assert (done["status"], done["level"], done["user_name"], done["credential"]) == (
        201, "normal", admin["user"], "password")
    assert done["user_id"]
    assert (failed["status"], failed["level"], failed["user_name"]) == (401, "warning", admin["user"])
    assert failed["error_code"] == "IOTDA.000002"
    assert [r["status"] for r in records(world, user=admin["user"], operation="create_token")] == [401, 201]


def test_a_token_is_not_told(world):
    admin = world.platform.ready["admin"]
    answer = world.rest.post("//v3/auth/tokens", signed=False, json={"auth": {"identity": {"methods": ["password"],
        "password": {"user": {"name": admin["user"], "password": admin["password"]}}}}}).must_be(201)
    rest = Rest(world.platform)
    rest.token = answer.headers["X-Subject-Token"]
    name = fresh_name("nobody")
    rest.delete(f"/devices/{name}").must_be(404)
    record = one(world, resource_id=name)
    assert (record["credential"], record["user_name"]) == ("token", admin["user"])


# --- the query --------------------------------------------------------------------------------------------------------------


def test_paging_and_filters(own_world):
    world = own_world
    names = [fresh_name("nobody") for _ in range(5)]
    for name in names:
        world.rest.delete(f"/devices/{name}").must_be(404)
    everything = wait_for(lambda: (lambda r: r if len(r) >= 5 else None)(records(world, operation="deleteDevice")),
                          what="five records")
    assert [r["resource_id"] for r in everything] == names[::-1]
    page = world.rest.get("/audit-logs", query={"operation": "deleteDevice", "limit": 2}).must_be(200).json
    assert page["page"]["count"] == 5
    rest = world.rest.get("/audit-logs", query={
        "operation": "deleteDevice", "limit": 2, "marker": page["page"]["marker"], "offset": 1}).must_be(200).json
    assert [r["resource_id"] for r in rest["audit_logs"]] == names[1::-1]
    assert records(world, user="nobody-of-this-name") == []
    user = everything[0]
    assert len(records(world, user=user["user_id"], operation="deleteDevice")) == 5
    assert len(records(world, user=user["user_name"], resource_id=names[0])) == 1
    assert records(world, level="incident") == []
    assert records(world, resource_type="rule") == []


def test_time_ranges(own_world):
    world = own_world
    device = world.device()
    stamp = platform_times.compact
    now = platform_times.utc_now(0)
    hour, day = timedelta(hours=1), timedelta(days=1)
    inside = records(world, resource_id=device.device_id, start_time=stamp(now - hour), end_time=stamp(now + hour))
    assert len(inside) == 1
    assert records(world, resource_id=device.device_id, start_time=stamp(now - 2 * hour), end_time=stamp(now - hour)) == []
    assert len(records(world, resource_id=device.device_id, start_time=stamp(now - hour))) == 1
    assert records(world, resource_id=device.device_id, end_time=stamp(now - hour)) == []
    world.rest.get("/audit-logs", query={"start_time": stamp(now - 8 * day), "end_time": stamp(now)}).must_be(
        400, "IOTDA.024000")
    world.rest.get("/audit-logs", query={"start_time": stamp(now), "end_time": stamp(now - hour)}).must_be(
        400, "IOTDA.000010")
    world.rest.get("/audit-logs", query={"start_time": "yesterday"}).must_be(400, "IOTDA.000009")
    world.rest.get("/audit-logs", query={"level": "loud"}).must_be(400, "IOTDA.000006")
    world.rest.get("/audit-logs", query={"limit": 51}).must_be(400, "IOTDA.000017")


def test_nothing_changes_or_deletes_records(world):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        world.rest.call(method, "/audit-logs").must_be(405)
    document = world.rest.get("//v5/openapi.json").json
    operations = [(path, method) for path, item in document["paths"].items() for method in item if "audit" in path]
    assert operations == [("/v5/iot/{project_id}/audit-logs", "get")]


def test_old_records_go_after_the_retention(platform_factory):
    platform = platform_factory({"audit.retention": "1d", "audit.max_range": "30d"}).start()
    world = World(platform)
    try:
        device = world.device()
        assert len(records(world, resource_id=device.device_id)) == 1
        world.rest.advance_clock(3 * 86_400_000)
        wait_for(lambda: records(world, resource_id=device.device_id) == [], seconds=20, what="the old record to go")
    finally:
        world.close()
        platform.close()


# --- durability and secrets ---------------------------------------------------------------------------------------------------


def test_records_survive_a_kill_and_those_under_way_a_stop(own_world):
    world = own_world
    device = world.device()
    world.platform.kill()
    world.platform.start()
    world.after_restart()
    assert len(records(world, resource_id=device.device_id)) == 1
    link = device.connect().respond("sys/commands/", {"result_code": 0})
    world.app.create_command(device.device_id, "Temperature", "ON_OFF", {"value": "ON"})
    link.close()
    world.platform.stop()
    world.platform.start()
    world.after_restart()
    assert len(records(world, resource_type="command", resource_id=device.device_id)) == 1


def test_secrets_never_reach_the_store_in_the_clear(own_world, tmp_path):
    world = own_world
    secret, second = "Sup3r-Secret-4711", "An0ther-Secret-4712"
    device = world.device(auth_info={"auth_type": "SECRET", "secret": secret})
    world.app.reset_secret(device.device_id, secret=second)
    password = "a-wrong-Passw0rd-4713"
    world.rest.post("//v3/auth/tokens", signed=False, json={"auth": {"identity": {"methods": ["password"],
        "password": {"user": {"name": "somebody", "password": password}}}}}).must_be(401)
    # A secret where an id belongs is a text like any other; one in a body or a query is not kept.
    world.rest.call("DELETE", "/devices/x", query={"secret": "Query-Secret-4714"}).must_be(404)
    code = world.rest.post("/auth/accesscode", json={"type": "AMQP"}).must_be(201).json["access_code"]
    wait_for(lambda: any(r["operation"] == "create_access_code" for r in records(world)), what="the records")
    wait_for(lambda: records(world, operation="create_token"), what="the record of the sign-in")
    archive = tmp_path / "backup"
    source = world.platform
    done = run_causeway("backup", "--data", source.data, "--output", archive,
                        *(["--store-url", source.store_url] if source.store_url else []))
    assert done.returncode == 0, done.stderr
    backup = gzip.decompress(archive.read_bytes())
    for text in (secret, second, password, "Query-Secret-4714", code):
        assert text.encode() not in backup, text
        assert text not in str(records(world)), text
    assert b"add_device" in backup
