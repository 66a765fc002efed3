"""Batch tasks, their files and exports, driven with the vendor's SDK."""

import io
import tempfile
import zipfile
from pathlib import Path

import openpyxl
from huaweicloudsdkcore.http.formdata import FormFile
from huaweicloudsdkiotda.v5 import model as sdk

from rig.deadline import wait_for

ENDED = ("Success", "Fail", "PartialSuccess", "Stopped")


class Batch:
    """`world.app.client` with words for what the tests of batch tasks do all the time."""

    def __init__(self, world):
        self.world = world

    @property
    def client(self):
        return self.world.app.client

    # --- tasks --------------------------------------------------------------------------------------------------------

    def create(self, task_type: str, targets=None, document=None, **fields):
        body = sdk.CreateBatchTask(**{"task_name": "task", "task_type": task_type, "targets": targets,
                                      "document": document, **fields})
        return self.client.create_batch_task(sdk.CreateBatchTaskRequest(body=body))

    def show(self, task_id: str, **query):
        return self.client.show_batch_task(sdk.ShowBatchTaskRequest(task_id=task_id, **query))

    def task(self, task_id: str):
        return self.show(task_id).batchtask

    def list(self, task_type: str, **query):
        return self.client.list_batch_tasks(sdk.ListBatchTasksRequest(task_type=task_type, **query))

    def delete(self, task_id: str):
        return self.client.delete_batch_task(sdk.DeleteBatchTaskRequest(task_id=task_id))

    def stop(self, task_id: str, targets=None):
        return self.client.stop_batch_task(
            sdk.StopBatchTaskRequest(task_id=task_id, body=sdk.BatchTargets(targets=targets)))

    def retry(self, task_id: str, targets=None):
        return self.client.retry_batch_task(
            sdk.RetryBatchTaskRequest(task_id=task_id, body=sdk.BatchTargets(targets=targets)))

    def confirm(self, task_id: str):
        return self.client.confirm_batch_task(
            sdk.ConfirmBatchTaskRequest(task_id=task_id, body=sdk.BatchTargets()))

    def wait(self, task_id: str, *statuses: str, seconds: float = 30):
        """The task, once it has one of these statuses (any that ends it, unless given)."""
        wanted = statuses or ENDED

        def look():
            task = self.task(task_id)
            return task if task.status in wanted else None

        return wait_for(look, seconds, f"status {wanted} of the task")

    def run(self, *args, **fields):
        """Makes a task and waits for its end; the task and its details by target."""
        task_id = self.create(*args, **fields).task_id
        task = self.wait(task_id)
        return task, self.details(task_id)

    def details(self, task_id: str, **query) -> dict:
        """All details by target, over all pages."""
        found, marker = {}, None
        while True:
            page = self.show(task_id, limit=50, marker=marker, **query)
            found |= {detail.target: detail for detail in page.task_details}
            if len(page.task_details) < 50:
                return found
            marker = page.page.marker

    # --- files --------------------------------------------------------------------------------------------------------

    def upload(self, content: bytes, name: str = "devices.xlsx"):
        # The SDK takes files of the disk only, and sends their names.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, name)
            path.write_bytes(content)
            with open(path, "rb") as stream:
                body = sdk.UploadBatchTaskFileRequestBody(file=FormFile(stream))
                return self.client.upload_batch_task_file(sdk.UploadBatchTaskFileRequest(body=body))

    def files(self):
        return self.client.list_batch_task_files(sdk.ListBatchTaskFilesRequest()).files

    def delete_file(self, file_id: str):
        return self.client.delete_batch_task_file(sdk.DeleteBatchTaskFileRequest(file_id=file_id))

    # --- exports ------------------------------------------------------------------------------------------------------

    def export(self, task_id: str, **fields):
        return self.client.create_export_task(sdk.CreateExportTaskRequest(body=sdk.AddExportTask(
            **{"resource_type": "BatchTask", "resource_condition": {"task_id": task_id}, **fields})))

    def exports(self, **query):
        return self.client.list_export_tasks(sdk.ListExportTasksRequest(**{"resource_type": "BatchTask", **query}))

    def export_file(self, export_task_id: str):
        return self.client.show_export_task(sdk.ShowExportTaskRequest(export_task_id=export_task_id))

    def delete_export(self, export_task_id: str):
        return self.client.delete_export_task(sdk.DeleteExportTaskRequest(export_task_id=export_task_id))


def workbook(rows: list[list], sheets: int = 1) -> bytes:
    """An xlsx file whose first sheet has these rows."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for _ in range(sheets - 1):
        book.create_sheet().append(["ignored"])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def rows_of(content: bytes) -> list[list]:
    """What another program reads in an xlsx file; empty cells are ''."""
    sheet = openpyxl.load_workbook(io.BytesIO(content)).worksheets[0]
    return [["" if cell is None else cell for cell in row] for row in sheet.iter_rows(values_only=True)]


def csv_file(*lines: str) -> bytes:
    return "\n".join(lines).encode()


def only_file(archive: bytes) -> tuple[str, bytes]:
    """Name and content of the one file in a zip."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        [name] = opened.namelist()
        return name, opened.read(name)
