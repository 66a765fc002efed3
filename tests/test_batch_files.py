"""Files of batch tasks: what is taken, in which forms, and how a wrong one is told (002 §3.3.2, §3.4)."""

import io
import json
import zipfile

import openpyxl
import pytest

from rig.application import refused
from rig.batch import Batch, csv_file, rows_of, workbook
from rig.world import fresh_name

NO_FILE = "IOTDA.017100"
WRONG_FILE = "IOTDA.017101"


@pytest.fixture
def batch(world) -> Batch:
    return Batch(world)


def refused_places(world, batch, task_type: str, content: bytes, name="devices.csv") -> list[tuple[str, str]]:
    """Uploads, makes a task of it, which must be refused, and returns the places and reasons."""
    file_id = batch.upload(content, name).file_id
    answer = world.rest.post("/batchtasks", json={"task_name": "t", "task_type": task_type, "document_source": file_id})
    answer.must_be(400, WRONG_FILE)
    return [(error["place"], error["reason"]) for error in answer.json.get("errors", [])]


def test_upload_list_and_delete(world, batch):
    content = workbook([["device_id"], ["nobody"]])
    uploaded = batch.upload(content, "删除.xlsx")
    assert (uploaded.status_code, uploaded.file_name, len(uploaded.file_id)) == (201, "删除.xlsx", 24)
    found = [file for file in batch.files() if file.file_id == uploaded.file_id]
    assert [(file.file_name, file.upload_time) for file in found] == [("删除.xlsx", uploaded.upload_time)]
    assert batch.delete_file(uploaded.file_id).status_code == 204
    assert uploaded.file_id not in [file.file_id for file in batch.files()]
    with refused(404, NO_FILE):
        batch.delete_file(uploaded.file_id)
    with refused(404, NO_FILE):
        batch.create("deleteDevices", document_source=uploaded.file_id)


def test_a_task_keeps_its_targets_when_its_file_goes(world, batch):
    device = world.device()
    file_id = batch.upload(workbook([["device_id"], [device.device_id]])).file_id
    task_id = batch.create("freezeDevices", document_source=file_id).task_id
    batch.delete_file(file_id)
    assert batch.wait(task_id).status == "Success"


@pytest.mark.parametrize("content", [
    lambda device: csv_file("device_id", device),
    lambda device: csv_file("\ufeff设备ID,", f"{device},"),
    lambda device: csv_file("Device ID;x", f"{device};"),
    lambda device: f"设备ID\t备用\r\n\r\n{device}\t\r\n".encode("gb18030"),
    lambda device: workbook([["批量删除设备"], [], ["* 设备ID（必填）"], [f" {device} "]]),
    lambda device: workbook([["deviceId"], [device]], sheets=2),
], ids=["csv", "csv with a mark", "semicolons", "GB 18030", "titles below a heading", "two sheets"])
def test_forms_of_files(world, batch, content):
    device = world.device()
    file_id = batch.upload(content(device.device_id), "devices").file_id
    task, details = batch.run("freezeDevices", document_source=file_id)
    assert (task.status, set(details)) == ("Success", {device.device_id})
    assert world.app.status_of(device.device_id) == "FROZEN"


def test_numbers_keep_their_digits(world, batch):
    imei = 860000000000000 + int(fresh_name("n").split("_")[1], 16)
    file_id = batch.upload(workbook([["product_id", "node_id", "device_name"], [world.product_id, imei, "=1+1"]])).file_id
    _, details = batch.run("createDevices", document_source=file_id)
    [detail] = details.values()
    assert json.loads(detail.output)["device_id"] == f"{world.product_id}_{imei}"


def test_a_number_too_long_for_a_spreadsheet_is_told(world, batch):
    places = refused_places(world, batch, "createDevices", workbook([
        ["product_id", "node_id"], [world.product_id, 12345678901234567890]]), "devices.xlsx")
    assert places[0][0] == "Row 2, column B (node_id)" and "15 digits" in places[0][1]


def test_every_fault_is_told_with_its_place_and_nothing_is_changed(world, batch):
    good = fresh_name("node")
    places = refused_places(world, batch, "createDevices", csv_file(
        "product_id,node_id,secret,colour",
        f"{world.product_id},{good},,",
        f"{world.product_id},a b,short,red",
        f",{good}x,,",
        f"{world.product_id},{good},,",
    ))
    assert [place for place, _ in places] == [
        "Row 1, column D", "Row 3, column B (node_id)", "Row 3, column C (secret)", "Row 4, column A (product_id)",
        "Row 5, column B (node_id)"]
    assert world.app.list_devices(node_id=good).devices == []
    assert batch.list("createDevices", limit=1).page.count == len(
        [t for t in batch.list("createDevices", limit=50).batchtasks])


def test_a_file_without_the_needed_titles(world, batch):
    file_id = batch.upload(csv_file("name", "x"), "devices.csv").file_id
    with refused(400, WRONG_FILE) as caught:
        batch.create("createDevices", document_source=file_id)
    assert "product_id" in caught.value.error_msg and "node_id" in caught.value.error_msg


def test_faults_are_bounded(world, batch):
    places = refused_places(world, batch, "deleteDevices", csv_file("device_id", *["a b"] * 5000))
    assert len(places) == 200


@pytest.mark.parametrize("content", [
    b"", b"\xff\xfe\xfd\x00", b"PK\x03\x04 no zip", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 no compound file",
    b"%PDF-1.4\n\x00\x01\x02",
], ids=["empty", "binary", "half a zip", "half a compound file", "PDF"])
def test_what_is_no_spreadsheet_is_refused(world, batch, content):
    before = len(batch.files())
    with refused(400, WRONG_FILE):
        batch.upload(content)
    assert len(batch.files()) == before


def test_a_zip_of_something_else_is_refused(world, batch):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("hello.txt", "hello")
    with refused(400, WRONG_FILE):
        batch.upload(out.getvalue())


def test_a_bomb_is_refused(world, batch):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * (65 << 20))
    assert len(out.getvalue()) < 1 << 20
    with refused(400, WRONG_FILE) as caught:
        batch.upload(out.getvalue())
    assert "unpacked" in caught.value.error_msg


def test_a_cell_far_away_costs_nothing(world, batch):
    book = openpyxl.Workbook()
    book.active["A1"] = "device_id"
    book.active["XFD1048576"] = "far"
    out = io.BytesIO()
    book.save(out)
    with refused(400, WRONG_FILE):
        batch.upload(out.getvalue())


def test_files_and_rows_have_limits(own_world):
    world = own_world
    world.platform.stop()
    world.platform.settings |= {"batch.max_targets": "20", "batch.max_file": "64KB", "batch.max_files": "2"}
    world.platform.start()
    world.after_restart()
    batch = Batch(world)
    ids = [f"nobody_{number}" for number in range(21)]
    file_id = batch.upload(csv_file("device_id", *ids), "devices.csv").file_id
    with refused(400, WRONG_FILE):
        batch.create("deleteDevices", document_source=file_id)
    with refused(400, WRONG_FILE):
        batch.upload(csv_file("device_id", *ids * 3), "devices.csv")
    with refused(413, "IOTDA.000027"):
        batch.upload(b"x" * (65 << 10), "devices.csv")
    file_id = batch.upload(csv_file("device_id", *ids[:20]), "devices.csv").file_id
    task, _ = batch.run("deleteDevices", document_source=file_id)
    assert task.task_progress.fail == 20
    with refused(403, "IOTDA.017102"):
        batch.upload(csv_file("device_id", "x"), "devices.csv")


def test_thirty_thousand_rows(world, batch):
    ids = [f"nobody_{number}" for number in range(30_000)]
    file_id = batch.upload(workbook([["device_id"], *[[i] for i in ids]])).file_id
    task_id = batch.create("unfreezeDevices", document_source=file_id).task_id
    assert batch.wait(task_id, seconds=120).task_progress.fail == 30_000
    batch.delete(task_id)


@pytest.mark.parametrize("body,content_type", [
    (b"{}", "application/json"), (b"--x--\r\n", "multipart/form-data; boundary=x"), (b"", "multipart/form-data"),
], ids=["JSON", "no part", "no boundary"])
def test_broken_forms_are_refused(world, body, content_type):
    world.rest.call("POST", "/batchtask-files", body=body, content_type=content_type).must_be(400, "IOTDA.000008")


@pytest.mark.parametrize("task_type,columns", [
    ("createDevices", ["product_id", "node_id", "device_id"]), ("updateDevices", ["device_id", "device_name"]),
    ("deleteDevices", ["device_id"]), ("createCommands", ["device_id"]),
])
def test_templates(world, batch, task_type, columns):
    answer = world.rest.get(f"/batchtask-templates/{task_type}").must_be(200)
    assert answer.headers["Content-Type"].endswith("spreadsheetml.sheet")
    assert rows_of(answer.content)[0][:len(columns)] == columns
    csv = world.rest.get(f"/batchtask-templates/{task_type}", query={"format": "csv"}).must_be(200)
    assert csv.content.decode("utf-8-sig").splitlines()[0].split(",")[:len(columns)] == columns
    # Both are taken back.
    for content in (answer.content, csv.content):
        assert batch.upload(content, "template").status_code == 201


def test_a_template_filled_in_by_another_program(world, batch):
    template = world.rest.get("/batchtask-templates/createDevices").must_be(200).content
    book = openpyxl.load_workbook(io.BytesIO(template))
    node = fresh_name("node")
    book.active["A2"], book.active["B2"] = world.product_id, node
    out = io.BytesIO()
    book.save(out)
    task, details = batch.run("createDevices", document_source=batch.upload(out.getvalue()).file_id)
    assert (task.status, set(details)) == ("Success", {node})


def test_templates_of_other_types(world):
    world.rest.get("/batchtask-templates/explode").must_be(400, "IOTDA.000006")
    world.rest.get("/batchtask-templates/firmwareUpgrade").must_be(501, "IOTDA.000024")
    world.rest.get("/batchtask-templates/deleteDevices", query={"format": "pdf"}).must_be(400, "IOTDA.000006")
