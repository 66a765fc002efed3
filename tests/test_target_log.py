"""Forwarding to log services by OTLP (LTS_FORWARDING) and to files (LOG_FILE_FORWARDING)."""

import json

import pytest

from rig.deadline import wait_for
from rig.forwarding import Forwarding, action_body
from rig.http_service import HttpService, Request
from rig.world import World


class Collector:
    """The logs end of an OpenTelemetry collector."""

    def __init__(self):
        self.records: list[dict] = []
        self.resources: list[dict] = []
        self.headers: list[dict] = []
        self.refuse_next = 0
        #: A record whose body has this is malformed for this collector.
        self.dislikes = None
        self.service = HttpService(self.answer)

    def answer(self, request: Request):
        assert request.path == "/v1/logs", request.path
        self.headers.append(request.headers)
        if self.refuse_next:
            self.refuse_next -= 1
            return 503, b"{}"
        records = []
        for resource in json.loads(request.body)["resourceLogs"]:
            self.resources.append(attributes(resource["resource"]))
            records += [record for scope in resource["scopeLogs"] for record in scope["logRecords"]]
        if self.dislikes and any(self.dislikes in record["body"]["stringValue"] for record in records):
            return 400, b'{"code":3,"message":"no"}'
        self.records += records
        return 200, b'{"partialSuccess":{}}'


def attributes(part: dict) -> dict:
    return {a["key"]: next(iter(a["value"].values())) for a in part["attributes"]}


@pytest.fixture
def collector():
    made = Collector()
    yield made
    made.service.close()


@pytest.fixture
def device(world):
    return world.device()


@pytest.fixture
def forwarding(world):
    made = Forwarding(world)
    yield made
    made.close()


def seqs(events) -> list[int]:
    return [service["properties"]["seq"] for event in events for service in event["notify_data"]["body"]["services"]]


def test_log_records(device, collector, forwarding):
    forwarding.start("LTS_FORWARDING", {"endpoint": f"{collector.service.url}/v1/logs", "authorization": "Bearer hush",
                                        "service_name": "plant", "log_group_id": "g1"})
    collector.refuse_next = 2
    link = device.connect()
    for number in range(1, 21):
        link.report("Battery", seq=number)
    wait_for(lambda: len(collector.records) >= 20, 30, "20 records")
    assert seqs(json.loads(record["body"]["stringValue"]) for record in collector.records) == list(range(1, 21))
    record = collector.records[0]
    named = attributes(record)
    assert (named["device_id"], named["resource"], named["event"]) == (device.device_id, "device.property", "report")
    assert int(record["timeUnixNano"]) > 10**18 and record["severityText"] == "INFO"
    assert collector.resources[0] == {"service.name": "plant", "log_group_id": "g1"}
    assert {headers["Authorization"] for headers in collector.headers} == {"Bearer hush"}


def test_a_record_that_is_refused_does_not_stop_the_others(device, collector, forwarding):
    collector.dislikes = '"seq":7}'
    forwarding.start("LTS_FORWARDING", {"endpoint": f"{collector.service.url}/v1/logs"})
    link = device.connect()
    for number in range(1, 11):
        link.report("Battery", seq=number)
    wait_for(lambda: len(collector.records) >= 9, 30, "9 records")
    found = seqs(json.loads(record["body"]["stringValue"]) for record in collector.records)
    assert found == [n for n in range(1, 11) if n != 7]


def test_lines_of_a_file_survive_a_crash(own_world):
    platform = own_world.platform
    forwarding = Forwarding(own_world)
    forwarding.start("LOG_FILE_FORWARDING", {"file_name": "reports.ndjson"})
    path = platform.data / "forwarded" / "reports.ndjson"

    def events():
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    link = own_world.device().connect()
    for number in range(1, 11):
        link.report("Battery", seq=number)
    wait_for(lambda: len(events()) >= 10, 20, "10 lines")
    for number in range(11, 21):
        link.report("Battery", seq=number)
    platform.kill()
    platform.start()
    wait_for(lambda: set(seqs(events())) == set(range(1, 21)), 30, "all lines")
    # What was on disk before it was finished may be there twice, in order.
    assert list(dict.fromkeys(seqs(events()))) == list(range(1, 21))
    assert path.stat().st_mode & 0o777 == 0o600


def test_full_files_are_rotated(platform_factory, tmp_path):
    platform = platform_factory({"forwarding.log_folder": str(tmp_path / "logs")}).start()
    world = World(platform)
    try:
        Forwarding(world).start("LOG_FILE_FORWARDING", {"file_name": "a", "max_size": 65536, "max_files": 2},
                                resource="device.message")
        link = world.device().connect()
        for number in range(40):
            link.send("sys/messages/up", f"{number:05}" + "x" * 10_000)

        def files():
            found = {path.name: path.stat().st_size for path in (tmp_path / "logs").iterdir()}
            assert set(found) == {"a", "a.1", "a.2"} and "00039" in (tmp_path / "logs" / "a").read_text(), found
            return found

        assert max(wait_for(files, 60, "three files").values()) <= 65536
    finally:
        world.close()
        platform.close()


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", "a/b", ".hidden", "", "..", "a\\b", "a\u0000b"])
def test_a_file_cannot_leave_the_folder(world, forwarding, name):
    forwarding.start("LOG_FILE_FORWARDING", {"file_name": "sound"})
    answer = world.rest.post("/routing-rule/actions", json=action_body(
        forwarding.rules[0], "LOG_FILE_FORWARDING", {"file_name": name})).must_be(400)
    assert "file_name" in answer.json["error_msg"]
