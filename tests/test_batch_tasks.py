"""Batch tasks (002 §3.3.2, §3.4, §4.5.3): one operation for many devices, through the vendor's SDK.

Each test reads back what the task changed, not only what the task says.
"""

import datetime as dt
import json
import threading

import pytest
from huaweicloudsdkiotda.v5 import model as sdk

from rig import platform_times
from rig.application import refused
from rig.batch import Batch, csv_file, workbook
from rig.deadline import wait_for
from rig.device import Registration
from rig.identity import Identity, allow
from rig.platform_process import COMMAND_TIMEOUT_SECONDS
from rig.world import fresh_name

NO_TASK = "IOTDA.017000"
WRONG_STATE = "IOTDA.017001"
WRONG_TARGETS = "IOTDA.017002"
WRONG_DOCUMENT = "IOTDA.017003"
ON = {"service_id": "Temperature", "command_name": "ON_OFF", "paras": {"value": "ON"}}
ANSWER = {"result_code": 0, "response_name": "COMMAND_RESPONSE", "paras": {"result": "done"}}
NOWHERE = "nobody_nowhere"


@pytest.fixture
def batch(world) -> Batch:
    return Batch(world)


def progress_of(task) -> dict:
    return {name: count for name, count in task.task_progress.to_dict().items() if count}


def statuses(details: dict) -> dict:
    return {target: detail.status for target, detail in details.items()}


# --- every type -------------------------------------------------------------------------------------------------------

def test_create_devices_from_a_workbook(world, batch):
    nodes = [fresh_name("node") for _ in range(3)]
    file_id = batch.upload(workbook([
        ["product_id", "node_id", "device_id", "device_name", "secret", "auth_type", "fingerprint", "description"],
        [world.product_id, nodes[0]],
        [world.product_id, nodes[1], f"own_{nodes[1]}", "温度计", "12345678", "SECRET", None, "second"],
        [world.product_id, nodes[2], None, None, None, "CERTIFICATES", "a" * 40],
    ])).file_id
    created = batch.create("createDevices", document_source=file_id)
    assert created.status_code == 201
    task = batch.wait(created.task_id)
    assert (task.status, progress_of(task)) == ("Success", {"total": 3, "success": 3})
    details = batch.details(task.task_id)
    assert statuses(details) == {nodes[0]: "Success", f"own_{nodes[1]}": "Success", nodes[2]: "Success"}
    first = json.loads(details[nodes[0]].output)
    assert first["device_id"] == f"{world.product_id}_{nodes[0]}" and len(first["secret"]) == 32
    shown = world.app.show_device(f"own_{nodes[1]}")
    assert (shown.device_name, shown.description, shown.auth_info.auth_type) == ("温度计", "second", "SECRET")
    third = world.app.show_device(f"{world.product_id}_{nodes[2]}")
    assert (third.auth_info.auth_type, third.auth_info.fingerprint) == ("CERTIFICATES", "a" * 40)
    assert "secret" not in json.loads(details[nodes[2]].output)


def test_the_output_of_create_devices_is_good_to_connect_with(world, batch):
    node = fresh_name("node")
    file_id = batch.upload(csv_file("product_id,node_id", f"{world.product_id},{node}"), "devices.csv").file_id
    _, details = batch.run("createDevices", document_source=file_id)
    made = json.loads(details[node].output)
    device = Registration(world.platform, made["device_id"], made["secret"], node)
    world.registrations.append(device)
    device.connect().report(value=7)
    assert world.rest.reported(made["device_id"], "Temperature") == {"value": 7}


def test_create_devices_with_gateways_in_the_same_file(world, batch):
    gateway, children = fresh_name("gw"), [fresh_name("child") for _ in range(5)]
    lines = [f"{world.product_id},{gateway},{gateway},"] + [f"{world.product_id},{c},{c},{gateway}" for c in children]
    file_id = batch.upload(csv_file("product_id,node_id,device_id,gateway_id", *lines), "devices.csv").file_id
    task, _ = batch.run("createDevices", document_source=file_id)
    assert task.status == "Success"
    assert {world.app.show_device(child).gateway_id for child in children} == {gateway}


def test_create_devices_tells_which_rows_failed(world, batch):
    there, fresh = world.device(), fresh_name("node")
    file_id = batch.upload(csv_file(
        "product_id,node_id", f"{world.product_id},{there.node_id}", f"no_such_product,{fresh}",
        f"{world.product_id},{fresh}"), "devices.csv").file_id
    task = batch.wait(batch.create("createDevices", document_source=file_id).task_id)
    assert (task.status, progress_of(task)) == ("PartialSuccess", {"total": 3, "success": 1, "fail": 2})
    failed = batch.show(task.task_id, task_detail_status="Fail").task_details
    assert sorted(detail.error.error_code for detail in failed) == ["IOTDA.013003", "IOTDA.014031"]
    assert world.app.show_device(f"{world.product_id}_{fresh}").status == "INACTIVE"


def test_update_devices(world, batch):
    first, second = world.device(device_name="old", description="stays"), world.device(device_name="old")
    file_id = batch.upload(workbook([
        ["设备ID", "设备名称", "扩展信息"], [first.device_id, "新名字", '{"floor": 3}'], [second.device_id, "second"]])).file_id
    task, details = batch.run("updateDevices", document_source=file_id)
    assert task.status == "Success" and set(details) == {first.device_id, second.device_id}
    shown = world.app.show_device(first.device_id)
    assert (shown.device_name, shown.description, shown.extension_info) == ("新名字", "stays", {"floor": 3})
    assert world.app.show_device(second.device_id).device_name == "second"


def test_delete_devices(world, batch):
    doomed, kept = [world.device() for _ in range(3)], world.device()
    task, details = batch.run("deleteDevices", [d.device_id for d in doomed] + [NOWHERE])
    assert (task.status, progress_of(task)) == ("PartialSuccess", {"total": 4, "success": 3, "fail": 1})
    assert (details[NOWHERE].status, details[NOWHERE].error.error_code) == ("Fail", "IOTDA.014000")
    for device in doomed:
        with refused(404, "IOTDA.014000"):
            world.app.show_device(device.device_id)
    assert world.app.status_of(kept.device_id) == "INACTIVE"


def test_freeze_and_unfreeze_devices(world, batch):
    devices = [world.device() for _ in range(3)]
    link = devices[0].raw()
    ids = [device.device_id for device in devices]
    task, _ = batch.run("freezeDevices", ids)
    assert task.status == "Success"
    assert {world.app.status_of(device_id) for device_id in ids} == {"FROZEN"}
    link.expect_end()
    file_id = batch.upload(csv_file("device_id", *ids[:2]), "devices.csv").file_id
    task, details = batch.run("unfreezeDevices", document_source=file_id)
    assert task.status == "Success" and set(details) == set(ids[:2])
    assert [world.app.status_of(device_id) for device_id in ids] == ["OFFLINE", "INACTIVE", "FROZEN"]


def test_freezing_a_child_fails_as_the_single_call_does(world, batch):
    gateway = world.device()
    child = world.child(gateway)
    task, details = batch.run("freezeDevices", [child.device_id])
    assert task.status == "Fail"
    assert details[child.device_id].error.error_code == "IOTDA.014018"


def test_create_commands(world, batch):
    online, silent, offline = world.device(), world.device(), world.device()
    online.connect().respond("sys/commands/", ANSWER)
    silent.connect()
    task, details = batch.run("createCommands", [online.device_id, silent.device_id, offline.device_id], ON)
    assert (task.status, progress_of(task)) == ("PartialSuccess", {"total": 3, "success": 1, "fail": 2})
    assert json.loads(details[online.device_id].output) == ANSWER
    assert details[silent.device_id].error.error_code == "IOTDA.014111"
    assert details[offline.device_id].error.error_code == "IOTDA.014016"
    assert task.document == ON


def test_commands_keep_to_the_product_model(world, batch):
    device = world.device()
    link = device.connect().respond("sys/commands/", ANSWER)
    _, details = batch.run("createCommands", [device.device_id], {**ON, "command_name": "EXPLODE"})
    assert details[device.device_id].error.error_code == "IOTDA.014108"
    assert link.down("sys/commands/") == []


def test_create_messages(world, batch):
    online, offline = world.device(), world.device()
    link = online.connect()
    link.subscribe(online.topic("sys/messages/down"))
    task, details = batch.run("createMessages", [online.device_id, offline.device_id], {"message": "hi", "name": "greeting"})
    assert task.status == "Success"
    assert link.wait_down("sys/messages/down").json["content"] == "hi"
    [waiting] = world.app.list_messages(offline.device_id)
    assert (waiting.message, waiting.name, waiting.status) == ("hi", "greeting", "PENDING")
    assert json.loads(details[offline.device_id].output)["message_id"] == waiting.message_id
    [sent] = world.app.list_messages(online.device_id)
    assert sent.status == "DELIVERED"


def test_a_message_that_cannot_be_kept_fails(world, batch):
    offline = world.device()
    _, details = batch.run("createMessages", [offline.device_id], {"message": "now or never", "ttl": 0})
    assert (details[offline.device_id].status, details[offline.device_id].error.error_code) == ("Fail", "IOTDA.014016")


def test_update_device_shadows(world, batch):
    devices = [world.device() for _ in range(3)]
    document = {"shadow": [{"service_id": "Temperature", "desired": {"value": 21}},
                           {"service_id": "Battery", "desired": {"level": 5}}]}
    task, _ = batch.run("updateDeviceShadows", [d.device_id for d in devices], document)
    assert task.status == "Success"
    for device in devices:
        shadow = world.rest.shadow_of(device.device_id)
        assert shadow["Temperature"]["desired"]["properties"] == {"value": 21}
        assert shadow["Battery"]["desired"]["properties"] == {"level": 5}


def test_shadows_keep_to_the_product_model(world, batch):
    device = world.device()
    document = {"shadow": [{"service_id": "Temperature", "desired": {"serial": "x"}}]}
    _, details = batch.run("updateDeviceShadows", [device.device_id], document)
    assert details[device.device_id].error.error_code == "IOTDA.013002"
    assert world.rest.shadow_of(device.device_id) == {}


@pytest.mark.parametrize("task_type", ["softwareUpgrade", "firmwareUpgrade", "moduleUpgrade", "createAsyncCommands"])
def test_types_of_a_later_day_are_refused_as_such(world, batch, task_type):
    with refused(501, "IOTDA.000024") as caught:
        batch.create(task_type, [NOWHERE], {"package_ids": ["x"]})
    assert task_type in caught.value.error_msg
    assert batch.list(task_type).batchtasks == []


# --- what a task shows ------------------------------------------------------------------------------------------------

def test_a_task_is_shown_whole(world, batch):
    device = world.device()
    created = batch.create("createMessages", [device.device_id], {"message": "x"}, task_name="晚班 1",
                           task_ext_info={"who": "ops"}, task_policy={"retry_count": 2, "retry_interval": 3})
    assert len(created.task_id) == 24 and created.status in ("Waitting", "Processing", "Success")
    task = batch.wait(created.task_id)
    assert (task.task_name, task.task_type, task.targets, task.document, task.task_ext_info) == (
        "晚班 1", "createMessages", [device.device_id], {"message": "x"}, {"who": "ops"})
    assert (task.task_policy.retry_count, task.task_policy.retry_interval) == (2, 3)
    assert platform_times.COMPACT.match(task.create_time)


def test_details_are_filtered_and_paged(world, batch):
    ids = [fresh_name("nobody") for _ in range(25)]
    task_id = batch.create("deleteDevices", ids).task_id
    batch.wait(task_id)
    seen, marker = [], None
    for size in (10, 10, 5):
        page = batch.show(task_id, marker=marker)
        assert (len(page.task_details), page.page.count) == (size, 25)
        seen += [detail.target for detail in page.task_details]
        marker = page.page.marker
    assert seen == ids[::-1]
    one = batch.show(task_id, target=ids[3])
    assert ([d.target for d in one.task_details], one.page.count) == ([ids[3]], 1)
    assert batch.show(task_id, task_detail_status="Success").task_details == []
    assert batch.show(task_id, task_detail_status="Fail", limit=50).page.count == 25
    world.rest.get(f"/batchtasks/{task_id}", query={"task_detail_status": "Failed"}).must_be(400, "IOTDA.000006")
    world.rest.get(f"/batchtasks/{task_id}", query={"limit": 51}).must_be(400, "IOTDA.000017")


def test_list(world, batch):
    space = world.app.add_app(fresh_name("space")).app_id
    product_id = world.product(app_id=space)
    device = world.device(product_id, app_id=space)
    ids = [batch.create("unfreezeDevices", [target], app_id=space).task_id
           for target in (device.device_id, NOWHERE, NOWHERE)]
    for task_id in ids:
        batch.wait(task_id)
    found = batch.list("unfreezeDevices", app_id=space)
    assert ([task.task_id for task in found.batchtasks], found.page.count) == (ids[::-1], 3)
    assert [t.task_id for t in batch.list("unfreezeDevices", app_id=space, status="Success").batchtasks] == [ids[0]]
    assert [t.task_id for t in batch.list("unfreezeDevices", app_id=space, limit=1, offset=1).batchtasks] == [ids[1]]
    assert batch.list("freezeDevices", app_id=space).batchtasks == []
    world.rest.get("/batchtasks").must_be(400, "IOTDA.000006")
    world.rest.get("/batchtasks", query={"task_type": "explode"}).must_be(400, "IOTDA.000006")
    world.app.delete_app(space)


def test_a_task_goes_with_its_space(world, batch):
    space = world.app.add_app(fresh_name("space")).app_id
    task_id = batch.create("deleteDevices", [NOWHERE], app_id=space).task_id
    batch.wait(task_id)
    world.app.delete_app(space)
    with refused(404, NO_TASK):
        batch.show(task_id)


def test_devices_of_another_space_are_not_found(world, batch):
    space = world.app.add_app(fresh_name("space")).app_id
    device = world.device()
    task, details = batch.run("deleteDevices", [device.device_id], app_id=space)
    assert (task.status, details[device.device_id].error.error_code) == ("Fail", "IOTDA.014000")
    assert world.app.status_of(device.device_id) == "INACTIVE"
    world.app.delete_app(space)


def group_with(world, name: str, devices, **fields) -> str:
    group = world.app.client.add_device_group(sdk.AddDeviceGroupRequest(body=sdk.AddDeviceGroupDTO(name=name, **fields)))
    for device in devices:
        world.app.client.create_or_delete_device_in_group(sdk.CreateOrDeleteDeviceInGroupRequest(
            group_id=group.group_id, action_id="addDevice", device_id=device.device_id))
    return group.group_id


def test_targets_by_groups(world, batch):
    first, both, second, none = (world.device() for _ in range(4))
    groups = [group_with(world, fresh_name("group"), [first, both]), group_with(world, fresh_name("group"), [both, second])]
    task, details = batch.run("freezeDevices", targets_filter={"group_ids": groups})
    assert (task.status, progress_of(task)) == ("Success", {"total": 3, "success": 3})
    assert set(details) == {first.device_id, both.device_id, second.device_id}
    assert task.targets_filter == {"group_ids": groups}
    assert [world.app.status_of(d.device_id) for d in (first, both, second, none)] == ["FROZEN"] * 3 + ["INACTIVE"]


def test_groups_of_nobody(world, batch):
    with refused(400, WRONG_TARGETS):
        batch.create("freezeDevices", targets_filter={"group_ids": ["nobody"]})
    with refused(400, WRONG_TARGETS):
        batch.create("freezeDevices", targets_filter={"group_ids": [group_with(world, fresh_name("group"), [])]})


def test_a_task_may_touch_what_its_creator_may_use(world, batch):
    """A user of one space lists devices of another and uploads a file that names its product: none is told apart from one
    that is not there."""
    space = world.app.add_app(fresh_name("space")).app_id
    product_id = world.product(app_id=space)
    own, foreign = world.device(product_id, app_id=space), world.device()
    rest = Identity(world.platform).person(allow("iotda:*:*", apps=[space])).rest()
    body = {"task_name": "t", "task_type": "freezeDevices", "targets": [own.device_id, foreign.device_id]}
    task_id = rest.post("/batchtasks", json=body).must_be(201).json["task_id"]
    task = batch.wait(task_id)
    assert progress_of(task) == {"total": 2, "success": 1, "fail": 1}
    assert batch.details(task_id)[foreign.device_id].error.error_code == "IOTDA.014000"
    assert [world.app.status_of(d.device_id) for d in (own, foreign)] == ["FROZEN", "INACTIVE"]
    # The file is its own: others of the same kind do not see it, the administrator does.
    lines = f"product_id,node_id\r\n{product_id},{fresh_name('n')}\r\n{world.product_id},{fresh_name('n')}\r\n"
    form = ('--b\r\nContent-Disposition: form-data; name="file"; filename="own.csv"\r\n\r\n' + lines + "--b--\r\n").encode()
    answer = rest.call("POST", "/batchtask-files", body=form, content_type="multipart/form-data; boundary=b").must_be(201)
    file_id = answer.json["file_id"]
    assert [f["file_id"] for f in rest.get("/batchtask-files").json["files"]] == [file_id]
    assert file_id in [f.file_id for f in batch.files()]
    other = Identity(world.platform).person(allow("iotda:*:*", apps=[space])).rest()
    assert other.get("/batchtask-files").json["files"] == []
    body = {"task_name": "t", "task_type": "createDevices", "document_source": file_id}
    other.post("/batchtasks", json=body).must_be(404, "IOTDA.017100")
    other.delete(f"/batchtask-files/{file_id}").must_be(404, "IOTDA.017100")
    task = batch.wait(rest.post("/batchtasks", json=body).must_be(201).json["task_id"])
    assert progress_of(task) == {"total": 2, "success": 1, "fail": 1}
    [failed] = batch.show(task.task_id, task_detail_status="Fail").task_details
    assert failed.error.error_code == "IOTDA.013003"
    batch.delete_file(file_id)
    world.app.delete_app(space)


def test_a_device_listed_twice_is_one_target(world, batch):
    device = world.device()
    task, _ = batch.run("freezeDevices", [device.device_id, device.device_id])
    assert progress_of(task) == {"total": 1, "success": 1}


# --- what is refused --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("fields,code", [
    ({}, WRONG_TARGETS),
    ({"targets": []}, WRONG_TARGETS),
    ({"targets": [NOWHERE], "document_source": "a" * 24}, WRONG_TARGETS),
    ({"targets": [NOWHERE], "targets_filter": {"group_ids": ["g"]}}, WRONG_TARGETS),
    ({"targets": ["a b"]}, "IOTDA.000006"),
    ({"targets": [NOWHERE], "task_name": ""}, "IOTDA.000006"),
    ({"targets": [NOWHERE], "task_name": "x" * 129}, "IOTDA.000006"),
    ({"targets": [NOWHERE], "task_ext_info": {"x": "y" * 512}}, "IOTDA.000006"),
    ({"targets": [NOWHERE], "task_policy": {"retry_count": 6}}, "IOTDA.000006"),
    ({"targets": [NOWHERE], "task_policy": {"retry_interval": 1441}}, "IOTDA.000006"),
    ({"targets": [NOWHERE], "task_policy": {"schedule_time": "tomorrow"}}, "IOTDA.000009"),
    ({"targets": [NOWHERE], "task_policy": {"schedule_time": "20991212T121212Z"}}, "IOTDA.000009"),
    ({"targets": [NOWHERE], "need_confirm": True}, "IOTDA.000006"),
    ({"targets": [NOWHERE], "document": {"a": 1}}, WRONG_DOCUMENT),
    ({"targets_filter": {"groups": []}}, "IOTDA.000006"),
], ids=str)
def test_bad_tasks_are_refused(world, fields, code):
    body = {"task_name": "t", "task_type": "freezeDevices", **fields}
    world.rest.post("/batchtasks", json=body).must_be(400, code)


@pytest.mark.parametrize("task_type,document", [
    ("createCommands", None), ("createCommands", {"service_id": "s"}), ("createCommands", {"paras": "x"}),
    ("createMessages", {}), ("createMessages", {"message": "x", "ttl": 7}),
    ("updateDeviceShadows", {"shadow": []}), ("updateDeviceShadows", {"shadow": [{"service_id": "s"}]}),
    ("updateDeviceShadows", {"shadow": [{"service_id": f"s{n}", "desired": {}} for n in range(6)]}),
    ("updateDeviceShadows", {"shadow": [{"service_id": "s", "desired": {"x": "y" * 11_000}}]}),
], ids=str)
def test_bad_documents_are_refused(world, task_type, document):
    body = {"task_name": "t", "task_type": task_type, "targets": [NOWHERE], "document": document}
    world.rest.post("/batchtasks", json=body).must_be(400, WRONG_DOCUMENT)


@pytest.mark.parametrize("task_type", ["createDevices", "updateDevices"])
def test_some_types_need_a_file(world, batch, task_type):
    with refused(400, WRONG_TARGETS):
        batch.create(task_type, [NOWHERE])


def test_too_many_targets(world, batch):
    targets = [f"device_{number}" for number in range(30_001)]
    with refused(400, WRONG_TARGETS):
        batch.create("freezeDevices", targets)


@pytest.mark.parametrize("call", [
    lambda batch: batch.show("0" * 24), lambda batch: batch.delete("0" * 24), lambda batch: batch.stop("0" * 24),
    lambda batch: batch.retry("0" * 24), lambda batch: batch.confirm("0" * 24), lambda batch: batch.show("x" * 300),
], ids=["show", "delete", "stop", "retry", "confirm", "no id at all"])
def test_unknown_task(batch, call):
    with refused(404, NO_TASK):
        call(batch)


def test_confirming_is_for_upgrades(world, batch):
    task, _ = batch.run("freezeDevices", [NOWHERE])
    with refused(403, "IOTDA.017006"):
        batch.confirm(task.task_id)


# --- time, stop, retry ------------------------------------------------------------------------------------------------

def at(world, minutes: float) -> str:
    now = platform_times.utc_now(world.platform.clock_offset_ms)
    return platform_times.compact(now + dt.timedelta(minutes=minutes))


def shown(world, task_id: str) -> dict:
    """The task by a request whose signature follows the moved clock."""
    return world.rest.get(f"/batchtasks/{task_id}").must_be(200).json["batchtask"]


def test_a_scheduled_task_waits_for_its_time(own_world):
    world, batch = own_world, Batch(own_world)
    device = world.device()
    task_id = batch.create("freezeDevices", [device.device_id], task_policy={"schedule_time": at(world, 6 * 1440)}).task_id
    other, _ = batch.run("unfreezeDevices", [device.device_id])
    assert other.status == "Success"
    with refused(403, WRONG_STATE):
        batch.delete(task_id)
    world.rest.advance_clock((6 * 86_400 - 3600) * 1000)
    later = world.rest.post("/batchtasks", json={"task_name": "later", "task_type": "unfreezeDevices",
                                                 "targets": [device.device_id]}).must_be(201).json["task_id"]
    wait_for(lambda: shown(world, later)["status"] == "Success", what="a task made later")
    assert shown(world, task_id)["status"] == "Waitting"
    world.rest.advance_clock(3600 * 1000)
    wait_for(lambda: shown(world, task_id)["status"] == "Success", what="the task at its time")
    assert world.rest.get(f"/devices/{device.device_id}").json["status"] == "FROZEN"


def test_a_time_that_is_past_means_at_once(world, batch):
    task, _ = batch.run("freezeDevices", [world.device().device_id], task_policy={"schedule_time": "20200101T000000Z"})
    assert task.status == "Success"


def test_failed_targets_are_tried_again_by_the_policy(own_world):
    world, batch = own_world, Batch(own_world)
    device = world.device()
    task_id = batch.create("createCommands", [device.device_id, NOWHERE], ON,
                           task_policy={"retry_count": 2, "retry_interval": 10}).task_id

    def progress_is(**counts):
        return lambda: {k: v for k, v in shown(world, task_id)["task_progress"].items() if v} == {"total": 2, **counts}

    wait_for(progress_is(fail_wait_retry=2), what="two targets waiting for another try")
    assert shown(world, task_id)["status"] == "Processing"
    device.connect().respond("sys/commands/", ANSWER)
    world.rest.advance_clock(601 * 1000)
    wait_for(progress_is(success=1, fail_wait_retry=1), what="the second try")
    world.rest.advance_clock(601 * 1000)
    wait_for(progress_is(success=1, fail=1), what="the third and last try")
    wait_for(lambda: shown(world, task_id)["status"] == "PartialSuccess", what="the end of the task")


def test_stopping_a_task_that_waits(world, batch):
    device = world.device()
    task_id = batch.create("freezeDevices", [device.device_id], task_policy={"schedule_time": at(world, 60)}).task_id
    answer = batch.stop(task_id)
    assert answer.status_code == 200 and answer.targets == []
    task = batch.wait(task_id)
    assert (task.status, progress_of(task)) == ("Stopped", {"total": 1, "stopped": 1})
    assert world.app.status_of(device.device_id) == "INACTIVE"
    with refused(403, WRONG_STATE):
        batch.stop(task_id)
    batch.retry(task_id)
    assert batch.wait(task_id, "Success").task_progress.success == 1
    assert world.app.status_of(device.device_id) == "FROZEN"


def test_stopping_single_targets(world, batch):
    devices = [world.device() for _ in range(3)]
    ids = [device.device_id for device in devices]
    task_id = batch.create("freezeDevices", ids, task_policy={"schedule_time": at(world, 60)}).task_id
    results = {r.target: r for r in batch.stop(task_id, [ids[1], NOWHERE]).targets}
    assert (results[ids[1]].status, results[ids[1]].error_code) == ("success", None)
    assert (results[NOWHERE].status, results[NOWHERE].error_code) == ("failure", "IOTDA.017005")
    assert statuses(batch.details(task_id)) == {ids[0]: "Waitting", ids[1]: "Stopped", ids[2]: "Waitting"}
    assert batch.task(task_id).status == "Waitting"
    batch.stop(task_id)
    batch.wait(task_id, "Stopped")
    world.rest.post(f"/batchtasks/{task_id}/stop", json={"targets": ["x"] * 101}).must_be(400, "IOTDA.000006")
    world.rest.post(f"/batchtasks/{task_id}/stop", json={"targets": []}).must_be(400, "IOTDA.000006")


def test_a_command_under_way_comes_to_its_end_when_the_task_is_stopped(own_world):
    world = own_world
    world.platform.stop()
    world.platform.settings |= {"batch.targets_at_once": "2"}
    world.platform.start()
    world.after_restart()
    batch = Batch(world)
    devices = [world.device() for _ in range(5)]
    asked, go_on = [], threading.Event()
    for device in devices:
        def answer(request, device=device):
            asked.append(device.device_id)
            go_on.wait(COMMAND_TIMEOUT_SECONDS / 2)
            return ANSWER
        device.connect().respond("sys/commands/", answer)
    task_id = batch.create("createCommands", [d.device_id for d in devices], ON).task_id
    wait_for(lambda: len(asked) == 2, what="two commands under way")
    assert progress_of(batch.task(task_id)) == {"total": 5, "processing": 2, "waitting": 3}
    batch.stop(task_id)
    go_on.set()
    task = batch.wait(task_id)
    assert (task.status, progress_of(task)) == ("Stopped", {"total": 5, "success": 2, "stopped": 3})
    assert len(asked) == 2


def test_retry_tries_what_failed_and_nothing_else(world, batch):
    online, late = world.device(), world.device()
    first = online.connect().respond("sys/commands/", ANSWER)
    task, _ = batch.run("createCommands", [online.device_id, late.device_id], ON)
    assert task.status == "PartialSuccess"
    second = late.connect().respond("sys/commands/", ANSWER)
    assert batch.retry(task.task_id).status_code == 200
    task = batch.wait(task.task_id, "Success")
    assert progress_of(task) == {"total": 2, "success": 2}
    assert (len(first.down("sys/commands/")), len(second.down("sys/commands/"))) == (1, 1)
    with refused(403, WRONG_STATE):
        batch.retry(task.task_id)


def test_retrying_single_targets(world, batch):
    first, second = world.device(), world.device()
    task, _ = batch.run("createCommands", [first.device_id, second.device_id], ON)
    assert task.status == "Fail"
    first.connect().respond("sys/commands/", ANSWER)
    results = {r.target: r.status for r in batch.retry(task.task_id, [first.device_id, NOWHERE]).targets}
    assert results == {first.device_id: "success", NOWHERE: "failure"}
    task = batch.wait(task.task_id, "PartialSuccess")
    assert progress_of(task) == {"total": 2, "success": 1, "fail": 1}


def test_delete_a_task(world, batch):
    task, _ = batch.run("freezeDevices", [NOWHERE])
    assert batch.delete(task.task_id).status_code == 204
    with refused(404, NO_TASK):
        batch.show(task.task_id)


# --- notifications ----------------------------------------------------------------------------------------------------

def test_applications_are_told_of_each_status(world, batch):
    space = world.app.add_app(fresh_name("space")).app_id
    receiver = world.pushes(space)
    task_id = batch.create("freezeDevices", [NOWHERE], app_id=space).task_id
    pushes = receiver.wait("batchtask", count=3, where=lambda p: p["notify_data"]["body"]["task_id"] == task_id)
    assert [p["notify_data"]["body"]["status"] for p in pushes] == ["Waitting", "Processing", "Fail"]
    last = pushes[-1]
    assert last["event"] == "update" and platform_times.COMPACT.match(last["event_time"])
    body = last["notify_data"]["body"]
    assert (body["app_id"], body["task_type"], body["task_progress"]["fail"]) == (space, "freezeDevices", 1)


# --- many, and kill -9 ------------------------------------------------------------------------------------------------

def test_thirty_thousand_targets(world, batch):
    """The limit itself, in one body of more than a megabyte."""
    targets = [f"{'x' * 40}_{number}" for number in range(30_000)]
    task_id = batch.create("freezeDevices", targets).task_id
    assert batch.task(task_id).targets is None
    task = batch.wait(task_id, seconds=120)
    assert (task.status, progress_of(task)) == ("Fail", {"total": 30_000, "fail": 30_000})
    batch.delete(task_id)


def test_tasks_survive_a_kill_in_the_middle(own_world):
    world, batch = own_world, Batch(own_world)
    product_id = world.product_id
    nodes = [fresh_name("node") for _ in range(4000)]
    lines = [f"{product_id},{node}" for node in nodes]
    file_id = batch.upload(csv_file("product_id,node_id", *lines), "devices.csv").file_id
    task_id = batch.create("createDevices", document_source=file_id).task_id
    scheduled = batch.create("freezeDevices", [NOWHERE], task_policy={"schedule_time": at(world, 60)}).task_id
    wait_for(lambda: batch.task(task_id).task_progress.success > 0, what="the task to be under way", every=0.001)
    world.platform.kill()
    world.platform.start()
    world.after_restart()
    task = batch.wait(task_id, seconds=60)
    assert (task.status, progress_of(task)) == ("Success", {"total": 4000, "success": 4000})
    assert world.app.list_devices(product_id=product_id, limit=1).page.count == 4000
    details = batch.details(task_id)
    assert len({json.loads(details[node].output)["secret"] for node in nodes}) == 4000
    assert batch.task(scheduled).status == "Waitting"


def test_messages_are_made_once_over_a_kill(own_world):
    world, batch = own_world, Batch(own_world)
    devices = [world.device().device_id for _ in range(60)]
    task_id = batch.create("createMessages", devices, {"message": "once"}).task_id
    world.platform.kill()
    world.platform.start()
    world.after_restart()
    task = batch.wait(task_id, seconds=60)
    assert (task.status, progress_of(task)) == ("Success", {"total": 60, "success": 60})
    assert {len(world.app.list_messages(device)) for device in devices} == {1}


def test_a_stop_does_not_fail_commands_under_way(own_world):
    """SIGTERM gives waiting calls up; their targets are begun again at the next start."""
    world, batch = own_world, Batch(own_world)
    device = world.device()
    device.connect()
    task_id = batch.create("createCommands", [device.device_id], ON).task_id
    wait_for(lambda: batch.task(task_id).task_progress.processing == 1, what="the command under way")
    world.platform.stop()
    world.platform.start()
    world.after_restart()
    device.connect(answers={"sys/commands/": ANSWER})
    batch.wait(task_id)
    task = batch.task(task_id)
    if task.status == "Fail":
        # The device was not back yet when the command was sent again.
        assert batch.details(task_id)[device.device_id].error.error_code == "IOTDA.014016"
    else:
        assert task.status == "Success"
