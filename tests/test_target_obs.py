"""Forwarding to an object store with the S3 interface (OBS_FORWARDING): newline JSON and Parquet, nothing twice."""

import gzip
import io
import json
import re

import pyarrow.parquet
import pytest
import requests

from rig import s3_server
from rig.deadline import wait_for
from rig.forwarding import Forwarding, action_body
from rig.s3_server import S3Server
from rig.world import World


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    server = S3Server(tmp_path_factory.mktemp("s3") / "objects", bucket="forwarded").start()
    yield server
    server.close()


@pytest.fixture
def device(world):
    return world.device()


@pytest.fixture
def forwarding(world):
    made = Forwarding(world)
    yield made
    made.close()


def detail(s3, folder, **more) -> dict:
    return {"region_name": "us-east-1", "project_id": "p1", "bucket_name": s3.bucket, "file_path": folder, "linger": 1,
            "endpoint": s3.url, "access_key": s3_server.ACCESS_KEY, "secret_key": s3_server.SECRET_KEY, **more}


def objects(s3, folder) -> dict[str, bytes]:
    keys = [key for key in s3.objects() if key.startswith(f"{folder}/")]
    return {key: requests.get(f"{s3.url}/{s3.bucket}/{key}", timeout=10).content for key in keys}


def events(s3, folder) -> list[dict]:
    return [json.loads(line) for _, content in sorted(objects(s3, folder).items()) for line in content.splitlines()]


def seqs(found) -> list[int]:
    return [service["properties"]["seq"] for event in found for service in event["notify_data"]["body"]["services"]]


def test_lines_of_json_in_order_and_named_by_time(world, device, s3, forwarding):
    forwarding.start("OBS_FORWARDING", detail(s3, "lines/{YYYY}-{MM}/{deviceId}"))
    link = device.connect()
    for number in range(1, 51):
        link.report("Battery", seq=number)
    wait_for(lambda: len(events(s3, "lines")) >= 50, 30, "50 events")
    assert seqs(events(s3, "lines")) == list(range(1, 51))
    for key in objects(s3, "lines"):
        assert re.fullmatch(rf"lines/\d{{4}}-\d{{2}}/{device.device_id}/\d{{8}}T\d{{9}}Z-\d{{20}}\.ndjson", key), key


def test_gzip(world, device, s3, forwarding):
    forwarding.start("OBS_FORWARDING", detail(s3, "packed", compression="gzip"))
    device.connect().report("Battery", seq=1)
    wait_for(lambda: objects(s3, "packed"), 20, "an object")
    [(key, content)] = objects(s3, "packed").items()
    assert key.endswith(".ndjson.gz")
    assert json.loads(gzip.decompress(content))["resource"] == "device.property"


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_parquet(world, device, s3, forwarding, compression):
    folder = f"parquet-{compression}"
    forwarding.start("OBS_FORWARDING", detail(s3, folder, format="parquet", compression=compression))
    link = device.connect()
    for number in range(1, 21):
        link.report("Battery", seq=number)

    def tables():
        found = [pyarrow.parquet.read_table(io.BytesIO(content)) for _, content in sorted(objects(s3, folder).items())]
        assert sum(table.num_rows for table in found) >= 20, found
        return found

    rows = [row for table in wait_for(tables, 30, "20 rows") for row in table.to_pylist()]
    assert [row["device_id"] for row in rows] == [device.device_id] * 20
    assert {row["resource"] for row in rows} == {"device.property"}
    assert seqs(json.loads(row["body"]) for row in rows) == list(range(1, 21))
    assert all(row["event_time"].tzinfo is not None for row in rows)


def test_nothing_is_lost_or_there_twice_when_store_and_platform_fall_over(own_world, tmp_path):
    s3 = S3Server(tmp_path / "objects", bucket="forwarded").start()
    try:
        forwarding = Forwarding(own_world)
        device = own_world.device()
        forwarding.start("OBS_FORWARDING", detail(s3, "all"))
        link = device.connect()
        for number in range(1, 31):
            link.report("Battery", seq=number)
        wait_for(lambda: len(events(s3, "all")) >= 1, 30, "an object")
        s3.close()
        for number in range(31, 61):
            link.report("Battery", seq=number)
        own_world.platform.kill()
        s3.start()
        # The address of the store is in the action: the port must be the same.
        own_world.platform.start()
        wait_for(lambda: len(events(s3, "all")) >= 60, 90, "60 events")
        assert seqs(events(s3, "all")) == list(range(1, 61))
    finally:
        s3.close()


def test_the_operators_store_and_keys(platform_factory, s3):
    platform = platform_factory({
        "push.allow_private": "false", "forwarding.obs_endpoint": s3.url, "forwarding.access_key": s3_server.ACCESS_KEY,
        "forwarding.secret_key": s3_server.SECRET_KEY}).start()
    world = World(platform)
    try:
        forwarding = Forwarding(world)
        plain = {"region_name": "cn-north-4", "project_id": "p1", "bucket_name": s3.bucket, "file_path": "own", "linger": 1}
        forwarding.start("OBS_FORWARDING", plain)
        private = forwarding.start("OBS_FORWARDING", detail(s3, "private"))
        device = world.device()
        device.connect().report("Battery", seq=1)
        wait_for(lambda: objects(s3, "own"), 30, "an object")
        # An endpoint of the application's choice in the platform's own network gets nothing.
        assert forwarding.test(private).get("reason") == "not_public"
        assert objects(s3, "private") == {}
        answer = world.rest.post("/routing-rule/actions", json=action_body(
            forwarding.rules[0], "OBS_FORWARDING", plain | {"endpoint": s3.url})).must_be(400)
        assert "access_key" in answer.json["error_msg"]
    finally:
        world.close()
        platform.close()
