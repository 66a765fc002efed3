"""Exports of a batch task's results: a zip with a workbook."""

import json

import pytest

from rig import platform_times
from rig.application import refused
from rig.batch import Batch, csv_file, only_file, rows_of
from rig.deadline import wait_for
from rig.world import fresh_name

NO_EXPORT = "IOTDA.017200"


@pytest.fixture
def batch(world) -> Batch:
    return Batch(world)


def ready(batch: Batch, export_task_id: str, seconds=30):
    """The export, once it is written."""
    def look():
        for export in batch.exports(limit=50).export_tasks:
            if export.export_task_id == export_task_id and export.status != "Processing":
                return export
        return None

    return wait_for(look, seconds, "the export")


def test_an_export_holds_every_target(world, batch):
    node = fresh_name("node")
    file_id = batch.upload(csv_file("product_id,node_id", f"{world.product_id},{node}", f"nowhere,{node}2"), "d.csv").file_id
    task, details = batch.run("createDevices", document_source=file_id)
    made = batch.export(task.task_id, export_format="xls", app_type="GLOBAL")
    assert (made.status_code, made.resource_type, made.resource_condition, made.export_format, made.app_type) == (
        201, "BatchTask", {"task_id": task.task_id}, "xls", "GLOBAL")
    assert platform_times.WITH_MILLISECONDS.match(made.create_time)
    done = ready(batch, made.export_task_id)
    assert (done.status, done.export_count, done.progress) == ("Success", 2, 100)
    assert platform_times.WITH_MILLISECONDS.match(done.end_time)
    answer = batch.export_file(made.export_task_id)
    assert answer.status_code == 200
    name, sheet = only_file(answer.raw_content)
    assert name == f"{task.task_id}.xlsx"
    titles, first, second = rows_of(sheet)
    assert titles == ["target", "status", "output", "error_code", "error_msg"]
    assert first[:2] == [node, "Success"] and json.loads(first[2]) == json.loads(details[node].output)
    assert second[:2] == [f"{node}2", "Fail"] and second[3] == "IOTDA.013003" and second[4]
    headers = world.rest.get(f"/export-tasks/{made.export_task_id}/file").must_be(200).headers
    assert headers["Content-Type"] == "application/zip"


def test_texts_that_look_like_formulas_stay_texts(world, batch):
    device = world.device()
    device.connect().respond("sys/commands/", {"paras": {"result": "=1+1"}})
    task, details = batch.run("createCommands", [device.device_id],
                              {"service_id": "Temperature", "command_name": "ON_OFF", "paras": {"value": "ON"}})
    export = ready(batch, batch.export(task.task_id).export_task_id)
    _, sheet = only_file(batch.export_file(export.export_task_id).raw_content)
    assert rows_of(sheet)[1][2] == details[device.device_id].output


def test_list_filters_and_pages(world, batch):
    space = world.app.add_app(fresh_name("space")).app_id
    task, _ = batch.run("deleteDevices", ["nobody"], app_id=space)
    other, _ = batch.run("deleteDevices", ["nobody"], app_id=space)
    ids = [batch.export(t.task_id, app_type="APP", app_id=space).export_task_id for t in (task, task, other)]
    found = batch.exports(app_type="APP", app_id=space)
    assert ([e.export_task_id for e in found.export_tasks], found.page.count) == (ids[::-1], 3)
    one = batch.exports(app_id=space, limit=1, marker=batch.exports(app_id=space, limit=1).page.marker)
    assert [e.export_task_id for e in one.export_tasks] == [ids[1]]
    of_one = batch.exports(resource_condition=json.dumps({"task_id": other.task_id}))
    assert [e.export_task_id for e in of_one.export_tasks] == [ids[2]]
    assert {e.app_id for e in found.export_tasks} == {space}
    world.rest.get("/export-tasks").must_be(400, "IOTDA.000006")
    world.rest.get("/export-tasks", query={"resource_type": "BatchTask", "app_type": "APP"}).must_be(400, "IOTDA.000006")
    world.app.delete_app(space)
    assert batch.exports(resource_condition=json.dumps({"task_id": other.task_id})).export_tasks == []


def test_delete(world, batch):
    task, _ = batch.run("deleteDevices", ["nobody"])
    export = ready(batch, batch.export(task.task_id).export_task_id)
    assert batch.delete_export(export.export_task_id).status_code == 204
    for call in (batch.export_file, batch.delete_export):
        with refused(404, NO_EXPORT):
            call(export.export_task_id)


def test_an_export_outlives_its_task(world, batch):
    task, _ = batch.run("deleteDevices", ["nobody"])
    export = ready(batch, batch.export(task.task_id).export_task_id)
    batch.delete(task.task_id)
    name, _ = only_file(batch.export_file(export.export_task_id).raw_content)
    assert name == f"{task.task_id}.xlsx"


def test_exports_of_what_is_not_there(world, batch):
    with refused(404, "IOTDA.017000"):
        batch.export("0" * 24)
    space = world.app.add_app(fresh_name("space")).app_id
    task, _ = batch.run("deleteDevices", ["nobody"])
    with refused(404, "IOTDA.017000"):
        batch.export(task.task_id, app_type="APP", app_id=space)
    world.app.delete_app(space)


@pytest.mark.parametrize("fields", [
    {"resource_type": "Device"}, {"resource_condition": {}}, {"resource_condition": "x"}, {"export_format": "pdf"},
    {"app_type": "APP"}, {"app_type": "ALL"}, {"resource_condition": {"task_id": "x", "more": "y" * 1024}},
], ids=str)
def test_bad_exports_are_refused(world, fields):
    body = {"resource_type": "BatchTask", "resource_condition": {"task_id": "x"}, **fields}
    world.rest.post("/export-tasks", json=body).must_be(400, "IOTDA.000006")


def test_exports_survive_a_kill_and_go_by_time(own_world):
    world, batch = own_world, Batch(own_world)
    task, _ = batch.run("deleteDevices", [f"nobody_{number}" for number in range(2000)])
    export_id = batch.export(task.task_id).export_task_id
    world.platform.kill()
    world.platform.start()
    world.after_restart()
    assert ready(batch, export_id).export_count == 2000
    world.rest.advance_clock((7 * 86_400 + 60) * 1000)
    query = {"resource_type": "BatchTask"}
    wait_for(lambda: world.rest.get("/export-tasks", query=query).must_be(200).json["export_tasks"] == [], 30,
             "the export to go")
