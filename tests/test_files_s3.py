"""Files in a store with the S3 interface: devices and applications speak to it by its own presigned URLs (B10)."""

from urllib.parse import parse_qs, urlsplit

import pytest

from rig.deadline import wait_for
from rig.files import FileArea, FileLink, sha256
from rig.rest import Rest
from rig.s3_server import S3Server, presigned_signature
from rig.world import World


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    server = S3Server(tmp_path_factory.mktemp("s3") / "objects").start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def world(s3, platform_factory):
    platform = platform_factory(s3.settings() | {"files.max_size": "1MB"}).start()
    world = World(platform)
    yield world
    world.close()
    platform.close()


@pytest.fixture
def area(world):
    return FileArea(world.rest)


@pytest.fixture
def device(world):
    return FileLink(world.device().connect())


def wait_status(area, file_id: str, status: str) -> dict:
    return wait_for(lambda: (found := area.show(file_id))["status"] == status and found, what=f"the file is {status}")


def newest(area, device) -> dict:
    return area.of(device.registration.device_id)[0]


def test_a_device_uploads_to_the_store(s3, area, device):
    content = b"log line\n" * 10_000
    found = device.upload_url("a.log", content)
    assert found.url.startswith(f"{s3.url}/device-files/iot/files/device_file/{device.registration.device_id}/")
    assert parse_qs(urlsplit(found.url).query)["X-Amz-Expires"] == ["3600"]
    assert (found.bucket_name, found.expire) == ("device-files", 3600)
    assert device.put(found.url, content).status_code == 200
    device.report("upload", found.object_name, 0, status_code=200)
    stored = wait_status(area, newest(area, device)["file_id"], "STORED")
    assert (stored["size"], stored["hash_code"]) == (len(content), sha256(content))
    assert stored["upload_result"]["status_code"] == 200
    assert "iot/files/" + stored["object_key"] in s3.objects()
    assert area.download(stored["file_id"]) == content
    url = device.download_url("a.log").url
    assert url.startswith(s3.url)
    assert device.get(url).content == content
    part = device.get(url, Range="bytes=0-8")
    assert (part.status_code, part.content) == (206, b"log line\n")


def test_urls_of_the_store_are_signed_for_one_method_and_object(device):
    """The server here does not compare signatures of version 4; the test does."""
    url = device.upload_url("a.bin", b"content").url
    query = parse_qs(urlsplit(url).query)
    assert query["X-Amz-SignedHeaders"] == ["host"]
    [signature] = query["X-Amz-Signature"]
    assert signature == presigned_signature(url, "PUT")
    assert signature != presigned_signature(url, "GET")
    assert signature != presigned_signature(url.replace("a.bin", "b.bin"), "PUT")
    assert device.put(url, b"content").status_code == 200
    found = device.registration.platform
    device.report("upload", url.split("?")[0].rsplit("/", 1)[1], 0)
    area = FileArea(Rest(found))
    wait_status(area, newest(area, device)["file_id"], "STORED")
    down = device.download_url("a.bin").url
    assert parse_qs(urlsplit(down).query)["X-Amz-Signature"] == [presigned_signature(down, "GET")]


def test_content_that_was_not_announced_is_removed(s3, area, device):
    for announced, sent in [({"size": 4}, b"fives"), ({"hash_code": sha256(b"four")}, b"five"), ({}, b"x" * ((1 << 20) + 1))]:
        found = device.upload_url("w.bin", **announced)
        assert device.put(found.url, sent).status_code == 200
        device.report("upload", found.object_name, 0)
        file = newest(area, device)
        wait_status(area, file["file_id"], "FAILED")
        assert "iot/files/" + file["object_key"] not in s3.objects()
        area.rest.get(f"/files/{file['file_id']}/url").must_be(403, "IOTDA.018005")


def test_a_device_that_reports_what_it_did_not_upload(area, device):
    found = device.upload_url("never.bin")
    device.report("upload", found.object_name, 0)
    wait_status(area, newest(area, device)["file_id"], "FAILED")


def test_an_application_gives_a_file_to_devices(s3, area, device):
    content = b"firmware " * 5000
    file = area.upload("fw.bin", content, size=len(content), hash_code=sha256(content))
    stored = wait_status(area, file["file_id"], "STORED")
    assert stored["hash_code"] == sha256(content)
    found = device.download_url("fw.bin")
    assert found.file_attributes == {"hash_code": sha256(content), "size": len(content)}
    assert device.get(found.url).content == content
    plain = area.upload("plain.bin", b"plain")
    # Without a hash to compare, it is there as soon as somebody looks.
    assert area.show(plain["file_id"])["status"] == "STORED"
    assert area.download(plain["file_id"]) == b"plain"


def test_deleting_takes_the_object_along(s3, area, device):
    found = device.upload("gone.bin", b"content")
    file = wait_status(area, newest(area, device)["file_id"], "STORED")
    key = "iot/files/" + file["object_key"]
    assert key in s3.objects() and key.endswith(found.object_name)
    area.delete(file["file_id"])
    wait_for(lambda: key not in s3.objects(), what="the object is removed")
    area.rest.get(f"/files/{file['file_id']}").must_be(404, "IOTDA.018000")


def test_an_upload_that_nobody_reported_is_found_when_its_time_is_over(s3, platform_factory):
    platform = platform_factory(s3.settings("other")).start()
    world = World(platform)
    area, device = FileArea(world.rest), FileLink(world.device().connect())
    came, missing = device.upload_url("came.bin", b"came"), device.upload_url("missing.bin")
    assert device.put(came.url, b"came").status_code == 200
    world.rest.advance_clock(3_601_000)
    states = lambda: {file["file_name"]: file["status"] for file in area.of(device.registration.device_id)}
    wait_for(lambda: states() == {"came.bin": "STORED", "missing.bin": "FAILED"}, what="both are settled")
    assert missing.object_name
    world.close()
    platform.close()


def test_a_store_that_does_not_answer_is_no_fault_of_the_request(tmp_path, platform_factory):
    server = S3Server(tmp_path / "objects").start()
    platform = platform_factory(server.settings()).start()
    world = World(platform)
    area = FileArea(world.rest)
    file = area.upload("a.bin", b"content")
    server.close()
    world.rest.get(f"/files/{file['file_id']}", timeout=60).must_be(503, "IOTDA.000025")
    world.close()
    platform.close()
