"""Forwarding to the vendor's Data Ingestion Service (DIS_FORWARDING): its requests are signed as the vendor's own SDK signs
them, and what it does not take is sent again in order.
"""

import base64
import json

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer

from rig.deadline import wait_for
from rig.forwarding import Forwarding, action_body
from rig.http_service import HttpService, Request
from rig.world import World

PROJECT, AK, SK = "0123456789abcdef0123456789abcdef", "AKEXAMPLE", "SKEXAMPLE"


def sdk_authorization(request: Request) -> str:
    """What the vendor's signer makes of the same request."""
    signed = request.headers["Authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    headers = {name: value for name, value in request.headers.items() if name.lower() in signed}
    assert {"host", "x-sdk-date", "content-type"} <= set(signed)
    made = SdkRequest(method=request.method, schema="http", host=request.headers["Host"], resource_path=request.path,
                      query_params=[], header_params=headers, body=request.body)
    return Signer(BasicCredentials(AK, SK, PROJECT)).sign(made).header_params["Authorization"]


class Dis:
    """Takes records; `busy_at` refuses one record once for each of these numbers."""

    def __init__(self):
        self.records: list[dict] = []
        self.streams: set[tuple] = set()
        self.wrong: list[str] = []
        self.busy_at: set[int] = set()
        self.service = HttpService(self.answer)

    def answer(self, request: Request):
        expected = sdk_authorization(request)
        if request.path != f"/v2/{PROJECT}/records" or request.headers["Authorization"] != expected:
            self.wrong.append(f"{request.path} {request.headers['Authorization']} instead of {expected}")
            return 401, b'{"errorCode":"DIS.4101","message":"signature"}'
        body = json.loads(request.body)
        self.streams.add((body.get("stream_name"), body.get("stream_id")))
        results, failed = [], 0
        for record in body["records"]:
            event = json.loads(base64.b64decode(record["data"]))
            [seq] = [service["properties"]["seq"] for service in event["notify_data"]["body"]["services"]]
            if seq in self.busy_at:
                self.busy_at.remove(seq)
                failed += 1
                results.append({"error_code": "DIS.4303", "error_message": "traffic control"})
            else:
                self.records.append({"seq": seq, "key": record["partition_key"]})
                results.append({"partition_id": "shardId-0000000000", "sequence_number": str(len(self.records))})
        return 200, json.dumps({"failed_record_count": failed, "records": results}).encode()


@pytest.fixture
def dis():
    made = Dis()
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


def detail(dis, **more) -> dict:
    return {"region_name": "cn-north-4", "project_id": PROJECT, "endpoint": dis.service.url, "access_key": AK,
            "secret_key": SK, **more}


def first_of_each(records) -> list[int]:
    return list(dict.fromkeys(record["seq"] for record in records))


def test_records_are_signed_and_keyed_by_device(device, dis, forwarding):
    forwarding.start("DIS_FORWARDING", detail(dis, stream_name="reports"))
    link = device.connect()
    for number in range(1, 31):
        link.report("Battery", seq=number)
    wait_for(lambda: len(dis.records) >= 30, 20, "30 records")
    assert dis.wrong == []
    assert [record["seq"] for record in dis.records] == list(range(1, 31))
    assert {record["key"] for record in dis.records} == {device.device_id}
    assert dis.streams == {("reports", None)}


def test_records_that_are_refused_come_again(device, dis, forwarding):
    dis.busy_at = {1, 5, 6}
    forwarding.start("DIS_FORWARDING", detail(dis, stream_id="s1"))
    link = device.connect()
    for number in range(1, 11):
        link.report("Battery", seq=number)
    wait_for(lambda: set(first_of_each(dis.records)) == set(range(1, 11)), 60, "10 records")
    assert dis.streams == {(None, "s1")}


def test_the_operators_keys_go_only_to_the_operators_endpoint(platform_factory, dis):
    platform = platform_factory({"push.allow_private": "false", "forwarding.dis_endpoint": dis.service.url,
                                 "forwarding.access_key": AK, "forwarding.secret_key": SK}).start()
    world = World(platform)
    try:
        forwarding = Forwarding(world)
        plain = {"region_name": "cn-north-4", "project_id": PROJECT, "stream_name": "reports"}
        forwarding.start("DIS_FORWARDING", plain)
        world.device().connect().report("Battery", seq=1)
        wait_for(lambda: dis.records, 20, "a record")
        assert dis.wrong == []
        answer = world.rest.post("/routing-rule/actions", json=action_body(
            forwarding.rules[0], "DIS_FORWARDING", plain | {"endpoint": dis.service.url})).must_be(400)
        assert "access_key" in answer.json["error_msg"]
        assert SK not in platform.log_path.read_text()
    finally:
        world.close()
        platform.close()
