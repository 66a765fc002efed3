"""Files of devices and for devices through signed URLs of the platform (002 §2.1.2.5, §3.9; B10)."""

import re
import subprocess
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from rig import platform_times
from rig.deadline import wait_for
from rig.files import FileArea, FileLink, must_refuse, sha256
from rig.world import World, fresh_name


@pytest.fixture
def area(world):
    return FileArea(world.rest)


@pytest.fixture
def device(world):
    return FileLink(world.device().connect())


def objects_below(platform) -> list[str]:
    folder = platform.data / "objects"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_device_uploads_as_its_sdk_does(area, device):
    content = b"log line\n" * 1000
    found = device.upload_url("README.md", content)
    assert found.expire == 3600
    assert found.bucket_name == "causeway"
    assert found.object_name == "README.md"
    assert found.file_attributes == {"hash_code": sha256(content), "size": len(content)}
    [waiting] = area.of(device.registration.device_id)
    assert (waiting["status"], waiting["size"], waiting["source"]) == ("WAITING", len(content), "DEVICE")
    assert device.put(found.url, content).status_code == 200
    device.report("upload", found.object_name, 0, status_code=200, status_description="upload success")
    [stored] = area.of(device.registration.device_id)
    assert (stored["status"], stored["file_name"], stored["size"]) == ("STORED", "README.md", len(content))
    assert stored["hash_code"] == sha256(content)
    assert stored["device_id"] == device.registration.device_id
    assert stored["object_key"].endswith(found.object_name)
    assert platform_times.COMPACT.match(stored["upload_time"]) and platform_times.COMPACT.match(stored["create_time"])
    told = stored["upload_result"]
    assert (told["result_code"], told["status_code"], told["status_description"]) == (0, 200, "upload success")
    assert platform_times.COMPACT.match(told["report_time"])
    assert area.show(stored["file_id"]) == stored
    assert area.download(stored["file_id"]) == content


def test_curl_uploads_and_downloads(world, device, tmp_path):
    """Another client than requests: HTTP/1.1 200 with Content-Length, as the C SDK wants it."""
    sent, got, head = tmp_path / "sent", tmp_path / "got", tmp_path / "head"
    sent.write_bytes(bytes(range(256)) * 5000)
    found = device.upload_url("blob.bin")
    base = ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*", "--cacert", world.platform.ca_cert]
    subprocess.run([*base, "--upload-file", str(sent), found.url], check=True, timeout=60)
    down = device.download_url("blob.bin")
    subprocess.run([*base, "--dump-header", str(head), "--output", str(got), down.url], check=True, timeout=60)
    assert got.read_bytes() == sent.read_bytes()
    text = head.read_text()
    assert text.startswith("HTTP/1.1 200") and f"content-length: {sent.stat().st_size}" in text.lower()
    assert 'filename="blob.bin"' in text


def test_an_empty_file_and_one_without_attributes(area, device):
    assert device.put(device.upload_url("empty").url, b"").status_code == 200
    assert device.put(device.upload_url("plain").url, iter([b"a" * 10, b"b" * 20])).status_code == 200
    files = {found["file_name"]: found for found in area.of(device.registration.device_id)}
    assert (files["empty"]["status"], files["empty"]["size"]) == ("STORED", 0)
    assert (files["plain"]["status"], files["plain"]["size"]) == ("STORED", 30)
    assert area.download(files["plain"]["file_id"]) == b"a" * 10 + b"b" * 20


def test_a_repeated_upload_replaces(area, device):
    """A device that lost the answer sends again."""
    found = device.upload_url("a.txt")
    assert device.put(found.url, b"first").status_code == 200
    assert device.put(found.url, b"second!").status_code == 200
    [file] = area.of(device.registration.device_id)
    assert (file["size"], file["hash_code"]) == (7, sha256(b"second!"))
    assert area.download(file["file_id"]) == b"second!"


@pytest.mark.parametrize("name", ["file_name", "fileName"])
def test_a_device_downloads_what_an_application_gives_it(area, device, name):
    content = b"configuration " * 500
    made = area.upload("conf.json", content, device_id=device.registration.device_id)
    found = device.ask("get_download_url", {name: "conf.json"})
    assert found.file_attributes == {"hash_code": sha256(content), "size": len(content)}
    assert device.get(found.url).content == content
    device.report("download", found.object_name, 0, status_code=200)
    told = area.show(made["file_id"])["download_result"]
    assert (told["result_code"], told["status_code"], "status_description" in told) == (0, 200, False)


def test_the_nearest_file_of_a_name_is_given(world, area, device):
    name = fresh_name("f") + ".bin"
    other = FileLink(world.device(world.product()).connect())
    area.upload(name, b"of the space")
    assert (device.get(device.download_url(name).url).content, other.get(other.download_url(name).url).content) == (
        b"of the space", b"of the space")
    area.upload(name, b"of the product", product_id=world.product_id)
    assert device.get(device.download_url(name).url).content == b"of the product"
    assert other.get(other.download_url(name).url).content == b"of the space"
    area.upload(name, b"of the device", device_id=device.registration.device_id)
    area.upload(name, b"newer", device_id=device.registration.device_id)
    assert device.get(device.download_url(name).url).content == b"newer"


def test_what_is_not_for_a_device_is_not_given(world, area, device):
    other = FileLink(world.device().connect())
    found = other.upload("secret.txt", b"of another device")
    device.ask_in_vain("get_download_url", {"file_name": "secret.txt"})
    key = area.of(other.registration.device_id)[0]["object_key"]
    for name in (found.object_name, key, key.rpartition("/")[2]):
        device.ask_in_vain("get_download_url", {"file_name": name})
    area.upload("theirs.txt", b"x", device_id=other.registration.device_id)
    device.ask_in_vain("get_download_url", {"file_name": "theirs.txt"})
    space = world.app.add_app(fresh_name("space")).app_id
    area.upload("elsewhere.txt", b"x", app_id=space)
    device.ask_in_vain("get_download_url", {"file_name": "elsewhere.txt"})
    area.create("waiting.txt")
    device.ask_in_vain("get_download_url", {"file_name": "waiting.txt"})
    # Nor can it say what became of another's file.
    device.report("upload", found.object_name, 1)
    device.time()
    [kept] = area.of(other.registration.device_id)[-1:]
    assert (kept["status"], kept["upload_result"]["result_code"]) == ("STORED", 0)
    world.app.delete_app(space)


def test_a_device_gets_its_own_file_back(device):
    found = device.upload("backup.tar", b"backup")
    assert device.get(device.download_url("backup.tar").url).content == b"backup"
    assert device.get(device.download_url(found.object_name).url).content == b"backup"


def test_a_gateway_asks_for_its_child(world, area):
    gateway = world.device()
    child = world.child(gateway)
    link = FileLink(gateway.connect(), child.device_id)
    found = link.upload("child.log", b"of the child")
    [file] = area.of(child.device_id)
    assert (file["status"], file["object_key"].split("/")[1]) == ("STORED", child.device_id)
    assert link.get(link.download_url(found.object_name).url).content == b"of the child"
    foreign = world.device()
    link.object_device_id = foreign.device_id
    link._send("get_upload_url", {"file_name": "x"})
    link.object_device_id = gateway.device_id
    link.time()
    assert area.of(foreign.device_id) == []


def test_ranges(device):
    content = bytes(range(256))
    device.upload("r.bin", content)
    url = device.download_url("r.bin").url
    for header, status, expected, told in [
        ("bytes=0-9", 206, content[:10], "bytes 0-9/256"), ("bytes=250-", 206, content[250:], "bytes 250-255/256"),
        ("bytes=-6", 206, content[-6:], "bytes 250-255/256"), ("bytes=100-999", 206, content[100:], "bytes 100-255/256"),
        ("lines=1-2", 200, content, None), ("bytes=0-1,4-5", 200, content, None),
    ]:
        answer = device.get(url, Range=header)
        assert (answer.status_code, answer.content, answer.headers.get("Content-Range")) == (status, expected, told), header
        assert answer.headers["Accept-Ranges"] == "bytes"
    must_refuse(device.get(url, Range="bytes=256-"), 416, "IOTDA.018009")
    head = device.session.head(url, timeout=30)
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, "256", b"")


def test_forged_urls_are_refused(device):
    content = b"content"
    found = device.upload_url("f.bin", content)
    url = found.url
    query = parse_qs(urlsplit(url).query)
    limit, expires, signature = (query[name][0] for name in ("limit", "expires", "signature"))
    assert (limit, re.fullmatch("[0-9a-f]{64}", signature) is not None) == ("7", True)
    for forged in [
        url.replace(f"limit={limit}", "limit=700"), url.replace(f"expires={expires}", f"expires={int(expires) + 9999}"),
        url.replace(found.object_name, found.object_name + "x"), url.replace(signature, "0" * 64),
        url.replace("signature=", "sig="), url.split("?")[0], url + f"&expires={expires}",
    ]:
        must_refuse(device.put(forged, content), 403, "IOTDA.018001")
    # A URL for one method is none for another.
    must_refuse(device.get(url), 403, "IOTDA.018001")
    assert device.put(url, content).status_code == 200
    down = device.download_url("f.bin").url
    must_refuse(device.put(down, content), 403, "IOTDA.018001")
    for method in ("POST", "DELETE", "PATCH"):
        answer = device.session.request(method, down, timeout=30)
        must_refuse(answer, 405, "IOTDA.000023")
        assert answer.headers["Allow"] == "PUT, GET, HEAD"
    assert device.get(down).content == content


def test_content_that_was_not_announced_is_refused(area, device):
    found = device.upload_url("a.bin", b"announced")
    must_refuse(device.put(found.url, b"ANNOUNCED"), 400, "IOTDA.018004")
    must_refuse(device.put(found.url, b"short"), 400, "IOTDA.018004")
    must_refuse(device.put(found.url, b"much longer than announced"), 413, "IOTDA.018003")
    must_refuse(device.put(found.url, iter([b"much longer ", b"than announced"])), 413, "IOTDA.018003")
    [file] = area.of(device.registration.device_id)
    assert file["status"] == "WAITING"
    area.rest.get(f"/files/{file['file_id']}/url").must_be(403, "IOTDA.018005")
    assert device.put(found.url, b"announced").status_code == 200
    assert area.show(file["file_id"])["status"] == "STORED"


def test_other_hashes_are_handed_back_and_not_compared(area, device):
    found = device.upload_url("m.bin", hash_code="58059181f378062f9b446e884362a526", size=4)
    assert found.file_attributes == {"hash_code": "58059181f378062f9b446e884362a526", "size": 4}
    assert device.put(found.url, b"four").status_code == 200
    assert area.of(device.registration.device_id)[0]["hash_code"] == sha256(b"four")


def test_names_cannot_lead_elsewhere(world, area, device):
    own = f"device_file/{device.registration.device_id}/"
    for name, shown in [("../../../etc/passwd", "passwd"), ("/etc/passwd", "passwd"), ("..\\..\\boot.ini", "boot.ini"),
                        ("%2e%2e%2fx", "%2e%2e%2fx"), ("日志 1.txt", "日志 1.txt"), ("a?b=c#d", "a?b=c#d")]:
        found = device.upload(name, b"x")
        assert found.object_name == name
        newest = area.of(device.registration.device_id)[0]
        assert (newest["file_name"], newest["status"]) == (shown, "STORED")
        assert newest["object_key"].startswith(own)
        assert re.fullmatch(r"[0-9a-f]{24}_[A-Za-z0-9._-]+", newest["object_key"].removeprefix(own)), newest
        assert device.get(device.download_url(name).url).content == b"x"
    for name in ("..", "a/..", "", "a/", "a\nb", "x" * 256, 7, None):
        device.ask_in_vain("get_upload_url", {"file_name": name})
    host, port = world.platform.address("device_https")
    for path in ("/v5/files/../../../etc/passwd", "/v5/files/%2e%2e/instance.key", f"/v5/files/{own}../x"):
        done = subprocess.run(["curl", "--silent", "--path-as-is", "--cacert", world.platform.ca_cert, "--write-out",
                               "%{http_code}", f"https://{host}:{port}{path}?expires=99999999999&limit=0&signature={'0' * 64}"],
                              capture_output=True, text=True, timeout=30)
        assert done.stdout.endswith("403") and "IOTDA.018001" in done.stdout, done.stdout


def test_a_device_that_gave_up(area, device):
    found = device.upload_url("lost.bin")
    device.report("upload", found.object_name, 1, status_code=500, status_description="x" * 1000)
    device.time()
    [file] = area.of(device.registration.device_id)
    assert (file["status"], file["upload_result"]["result_code"]) == ("FAILED", 1)
    assert file["upload_result"]["status_description"] == "x" * 256
    area.rest.get(f"/files/{file['file_id']}/url").must_be(403, "IOTDA.018005")


def test_deleting_takes_content_and_urls_along(world, area, device):
    device.upload("gone.bin", b"content")
    url = device.download_url("gone.bin").url
    [file] = area.of(device.registration.device_id)
    assert file["object_key"] in objects_below(world.platform)
    area.delete(file["file_id"])
    must_refuse(device.get(url), 404, "IOTDA.018000")
    for answer in (area.rest.get(f"/files/{file['file_id']}"), area.rest.delete(f"/files/{file['file_id']}"),
                   area.rest.get(f"/files/{file['file_id']}/url")):
        answer.must_be(404, "IOTDA.018000")
    wait_for(lambda: file["object_key"] not in objects_below(world.platform), what="the content is removed")
    waiting = device.upload_url("never.bin")
    area.delete(area.of(device.registration.device_id)[0]["file_id"])
    must_refuse(device.put(waiting.url, b"x"), 404, "IOTDA.018000")


def test_files_go_with_their_device(world, area, device):
    device.upload("a.bin", b"a")
    key = area.of(device.registration.device_id)[0]["object_key"]
    device.link.close()
    world.app.delete_device(device.registration.device_id)
    wait_for(lambda: key not in objects_below(world.platform), what="the content is removed")


def test_lists(own_world):
    area = FileArea(own_world.rest)
    space = own_world.app.add_app("files").app_id
    device = FileLink(own_world.device().connect())
    device.upload("d.log", b"d")
    device.upload_url("w.log")
    area.upload("a-1.bin", b"1", app_id=space)
    area.upload("a-2.bin", b"2", product_id=own_world.product_id)
    names = lambda **query: [found["file_name"] for found in area.page(**query)["files"]]
    assert names() == ["a-2.bin", "a-1.bin", "w.log", "d.log"]
    assert names(app_id=space) == ["a-1.bin"]
    assert names(device_id=device.registration.device_id) == ["w.log", "d.log"]
    assert names(product_id=own_world.product_id) == ["a-2.bin"]
    assert names(source="DEVICE") == ["w.log", "d.log"]
    assert names(status="WAITING") == ["w.log"]
    assert names(file_name=".log", status="STORED") == ["d.log"]
    assert names(start_time="20380101T000000Z") == [] and len(names(end_time="20380101T000000Z")) == 4
    page = area.page(limit=3)
    assert (page["page"]["count"], len(page["files"])) == (4, 3)
    rest = area.page(limit=3, marker=page["page"]["marker"])
    assert [found["file_name"] for found in rest["files"]] == ["d.log"]
    for query, code in [({"source": "X"}, "IOTDA.000006"), ({"status": "X"}, "IOTDA.000006"), ({"limit": 51}, "IOTDA.000017"),
                        ({"start_time": "x"}, "IOTDA.000009"),
                        ({"start_time": "20380101T000000Z", "end_time": "20370101T000000Z"}, "IOTDA.000010")]:
        own_world.rest.get("/files", query=query).must_be(400, code)
    own_world.rest.get("/files", query={"app_id": "0" * 32}).must_be(403, "IOTDA.001000")


@pytest.mark.parametrize("fields,status,code", [
    ({"file_name": "a/b"}, 400, "IOTDA.000006"), ({"file_name": ".."}, 400, "IOTDA.000006"), ({"file_name": ""}, 400, "IOTDA.000006"),
    ({"file_name": "x" * 256}, 400, "IOTDA.000006"), ({}, 400, "IOTDA.000006"),
    ({"file_name": "a", "size": -1}, 400, "IOTDA.000006"), ({"file_name": "a", "size": (5 << 30) + 1}, 400, "IOTDA.018003"),
    ({"file_name": "a", "hash_code": "ab"}, 400, "IOTDA.000006"), ({"file_name": "a", "hash_code": "ab" * 20}, 400, "IOTDA.000006"),
    ({"file_name": "a", "device_id": "nobody"}, 404, "IOTDA.014000"), ({"file_name": "a", "product_id": "nothing"}, 404, "IOTDA.013003"),
    ({"file_name": "a", "app_id": "0" * 32}, 403, "IOTDA.001000"),
], ids=str)
def test_bad_fields_are_refused(world, fields, status, code):
    world.rest.post("/files", json=fields).must_be(status, code)


def test_a_file_is_for_a_device_or_a_product(world):
    both = {"file_name": "a", "device_id": world.device().device_id, "product_id": world.product_id}
    world.rest.post("/files", json=both).must_be(400, "IOTDA.000006")


def test_an_application_announces_size_and_hash(area):
    made = area.create("fw.bin", size=4, hash_code=sha256(b"four"))
    assert (made["file"]["size"], made["file"]["hash_code"], made["upload"]["expire"]) == (4, sha256(b"four"), 3600)
    put = lambda content: area.session.put(made["upload"]["url"], data=content, timeout=30)
    must_refuse(put(b"fours"), 413, "IOTDA.018003")
    must_refuse(put(b"five"), 400, "IOTDA.018004")
    assert put(b"four").status_code == 200
    assert area.download(made["file"]["file_id"]) == b"four"


def test_urls_end(own_world):
    area = FileArea(own_world.rest)
    device = FileLink(own_world.device().connect())
    device.upload("kept.bin", b"kept")
    up, down = device.upload_url("late.bin"), device.download_url("kept.bin")
    assert device.get(down.url).status_code == 200
    own_world.rest.advance_clock(3_600_000)
    must_refuse(device.put(up.url, b"late"), 403, "IOTDA.018002")
    must_refuse(device.get(down.url), 403, "IOTDA.018002")
    # What did not come in time is given up, what came stays.
    states = lambda: {found["file_name"]: found["status"] for found in area.of(device.registration.device_id)}
    wait_for(lambda: states() == {"late.bin": "FAILED", "kept.bin": "STORED"}, what="the file is given up")
    assert device.get(device.download_url("kept.bin").url).content == b"kept"


@pytest.fixture(scope="module")
def tight(platform_factory):
    """A platform with small limits that serves files over plain HTTP too."""
    platform = platform_factory({
        "files.max_size": "64KB", "files.max_per_device": "2", "files.max_waiting": "3", "files.url_life": "120s",
        "objects.bucket": "my-bucket", "listen.device_files": "127.0.0.1:0",
    }).start()
    world = World(platform)
    yield world
    world.close()
    platform.close()


def test_the_limits_are_keys(tight):
    area = FileArea(tight.rest)
    device = FileLink(tight.device().connect())
    found = device.upload_url("big.bin")
    assert (found.expire, found.bucket_name) == (120, "my-bucket")
    must_refuse(device.put(found.url, iter([b"x" * 65536, b"x"])), 413, "IOTDA.018003")
    assert device.put(found.url, b"x" * 65536).status_code == 200
    device.ask_in_vain("get_upload_url", {"file_name": "a", "file_attributes": {"size": 65537}})
    for number in range(5):
        device.upload_url(f"w{number}")
    names = [file["file_name"] for file in area.of(device.registration.device_id)]
    assert names == ["w4", "w3", "w2", "big.bin"]
    device.upload("second.bin", b"x")
    device.ask_in_vain("get_upload_url", {"file_name": "third.bin"})


def test_plain_devices_get_plain_urls(tight):
    plain, secure = FileLink(tight.device().connect()), FileLink(tight.device().connect(door="mqtts"))
    found = plain.upload_url("a.txt")
    http = tight.platform.ready["addresses"]["device_files"]
    assert found.url.startswith(f"http://{http}/v5/files/")
    assert plain.put(found.url, b"plain").status_code == 200
    assert plain.get(plain.download_url("a.txt").url).content == b"plain"
    assert secure.upload_url("a.txt").url.startswith(f"{tight.platform.url('device_https')}/v5/files/")
    # Nothing but files is served without TLS.
    answer = requests.post(f"http://{http}/v5/device-auth", json={}, timeout=30)
    must_refuse(answer, 404, "IOTDA.000022")


def test_the_base_of_urls_is_a_key(platform_factory):
    platform = platform_factory({"files.base_url": "https://files.example.com:9/"}).start()
    world = World(platform)
    device = FileLink(world.device().connect())
    assert device.upload_url("a.txt").url.startswith("https://files.example.com:9/v5/files/device_file/")
    assert FileArea(world.rest).create("b.txt")["upload"]["url"].startswith("https://files.example.com:9/v5/files/app_file/")
    world.close()
    platform.close()


def test_a_broken_upload_leaves_nothing_and_files_survive_a_kill(own_world):
    area = FileArea(own_world.rest)
    registration = own_world.device()
    device = FileLink(registration.connect())
    device.upload("kept.bin", b"kept")
    found = device.upload_url("broken.bin", size=1 << 20)

    def endless():
        yield b"x" * 4096
        raise ConnectionError("the link breaks")

    with pytest.raises(requests.exceptions.ConnectionError):
        device.session.put(found.url, data=endless(), timeout=30)
    [kept] = [file for file in area.of(registration.device_id) if file["status"] == "STORED"]
    wait_for(lambda: objects_below(own_world.platform) == [kept["object_key"]], what="the partial upload is gone")
    own_world.platform.restart_after_kill()
    own_world.after_restart()
    area = FileArea(own_world.rest)
    assert area.download(kept["file_id"]) == b"kept"
    states = {file["file_name"]: file["status"] for file in area.of(registration.device_id)}
    assert states == {"kept.bin": "STORED", "broken.bin": "WAITING"}
