"""Notes which operations of the vendor's SDK succeed in tests that pass: what `docs/compatibility.md` is made from.

Loaded as a plugin of pytest; it does nothing without `--record FOLDER`. Each worker writes a file of its own, one line a
test: the operations that answered, those that answered 501, and those that refused otherwise.
"""

import functools
import inspect
import json
import os
import re
from pathlib import Path

import pytest
from huaweicloudsdkcore.exceptions.exceptions import ServiceResponseException
from huaweicloudsdkiotda.v5 import IoTDAClient

#: Every operation of the SDK.
OPERATIONS = sorted(name.removeprefix("_").removesuffix("_http_info")
                    for name, _ in inspect.getmembers(IoTDAClient) if re.fullmatch(r"_\w+_http_info", name))


class Recorder:
    """The operations that the running test has called."""

    def __init__(self, folder: Path, store: str):
        worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / f"{store}-{worker}-{os.getpid()}.jsonl"
        self.answered: set[str] = set()
        self.missing: set[str] = set()
        self.refused: set[str] = set()
        for operation in OPERATIONS:
            setattr(IoTDAClient, operation, self._noting(operation, getattr(IoTDAClient, operation)))

    def _noting(self, operation: str, method):
        @functools.wraps(method)
        def call(*args, **kwargs):
            try:
                answer = method(*args, **kwargs)
            except ServiceResponseException as error:
                (self.missing if error.status_code == 501 else self.refused).add(operation)
                raise
            self.answered.add(operation)
            return answer
        return call

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item):
        self.answered.clear()
        self.missing.clear()
        self.refused.clear()
        yield

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item):
        outcome = yield
        report = outcome.get_result()
        if report.when == "call" and report.passed and (self.answered or self.missing or self.refused):
            line = {"test": item.nodeid, "answered": sorted(self.answered), "missing": sorted(self.missing),
                    "refused": sorted(self.refused)}
            with self.file.open("a") as out:
                out.write(json.dumps(line) + "\n")


def pytest_addoption(parser):
    parser.addoption("--record", metavar="FOLDER", help="note which operations of the SDK succeed, for docs/compatibility.md")


def pytest_configure(config):
    folder = config.getoption("--record")
    # With xdist the controller runs no tests.
    controls = hasattr(config, "workerinput") or not config.getoption("numprocesses", None)
    if folder and controls:
        config.pluginmanager.register(Recorder(Path(folder), config.getoption("--store")), "sdk-recorder")
