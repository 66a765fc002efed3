"""`causeway backup` while serving and `causeway restore` elsewhere."""

import pytest

from rig.deadline import wait_for
from rig.device import Registration
from rig.files import FileArea, FileLink
from rig.load import Reporter
from rig.platform_process import run_causeway
from rig.world import World


def store_arguments(url):
    return ["--store-url", url] if url else []


@pytest.fixture
def restored(own_world, platform_factory, tmp_path):
    """A function that backs up the running platform and starts another one from the backup."""
    started = []

    def restore() -> World:
        source = own_world.platform
        archive = tmp_path / f"backup{len(started)}"
        done = run_causeway("backup", "--data", source.data, "--output", archive, *store_arguments(source.store_url))
        assert done.returncode == 0, done.stderr
        assert archive.stat().st_size > 0
        target = platform_factory()
        done = run_causeway("restore", "--data", target.data, "--input", archive, *store_arguments(target.store_url))
        assert done.returncode == 0, done.stderr
        target.start()
        world = World(target)
        started.append(world)
        return world

    yield restore
    for world in started:
        world.close()
        world.platform.close()


def moved(device, world):
    """The same device, seen at the restored platform."""
    found = Registration(world.platform, device.device_id, device.secret, device.node_id, device.product_id)
    world.registrations.append(found)
    return found


def test_everything_comes_back(own_world, restored):
    app = own_world.app
    space = app.add_app("kept").app_id
    product_id = own_world.product(app_id=space)
    own_world.topic(product_id, "kept", "ALL")
    device = own_world.device(product_id, app_id=space, device_name="Kept")
    link = device.connect()
    for number in range(200):
        link.report("Battery", seq=number, qos=1 if number == 199 else 0)
    wait_for(lambda: len(own_world.rest.history(device.device_id)) == 200, what="all reports")
    app.update_desired(device.device_id, "Temperature", {"value": 5})
    device.close()
    app.create_message(device.device_id, "waiting", payload_format="raw")
    history = own_world.rest.history(device.device_id, order="asc")
    shadow = own_world.rest.shadow_of(device.device_id)

    there = restored()
    for key in ("project_id", "instance_id", "default_app_id", "access_key"):
        assert there.platform.ready[key] == own_world.platform.ready[key], key
    assert there.app.show_app(space).app_name == "kept"
    assert [entry["topic"] for entry in there.rest.get(f"/products/{product_id}/topics").json["topics"]] == ["kept"]
    assert there.app.show_device(device.device_id).device_name == "Kept"
    assert there.rest.history(device.device_id, order="asc") == history
    assert there.rest.shadow_of(device.device_id) == shadow
    same = moved(device, there)
    assert same.connect().wait_down("sys/messages/down").payload == b"waiting"
    # The old platform went on meanwhile, and the two are independent now.
    same.connect().report("Battery", seq=1000)
    assert own_world.rest.reported(device.device_id, "Battery") == {"seq": 199}


def test_backup_under_load_is_a_moment(own_world, restored):
    """What was acknowledged before the backup began is in it, and no report is in it without those before."""
    reporter = Reporter(own_world.device()).start()
    wait_for(lambda: len(reporter.acknowledged) >= 200, 30, "reports to flow")
    before = set(reporter.acknowledged)
    there = restored()
    reporter.stop()
    reporter.join()
    rows = there.rest.history(reporter.device.device_id, order="asc")
    kept = [row["properties"]["seq"] for row in rows]
    assert before <= set(kept)
    assert kept == list(range(1, len(kept) + 1))
    assert there.rest.reported(reporter.device.device_id, "Battery")["seq"] == kept[-1]


def test_device_secrets_come_back(own_world, restored):
    device = own_world.device()
    there = restored()
    moved(device, there).raw().ping()


def test_restore_does_not_overwrite(own_world, tmp_path):
    """Data that exists is not replaced by accident."""
    source = own_world.platform
    archive = tmp_path / "backup"
    done = run_causeway("backup", "--data", source.data, "--output", archive, *store_arguments(source.store_url))
    assert done.returncode == 0, done.stderr
    source.stop()
    done = run_causeway("restore", "--data", source.data, "--input", archive, *store_arguments(source.store_url))
    assert done.returncode != 0
    assert done.stderr.strip()


@pytest.mark.parametrize("content", [b"", b"this is no backup", bytes(4096)])
def test_restore_refuses_what_is_no_backup(platform_factory, tmp_path, content):
    archive = tmp_path / "backup"
    archive.write_bytes(content)
    target = platform_factory()
    done = run_causeway("restore", "--data", target.data, "--input", archive, *store_arguments(target.store_url))
    assert done.returncode != 0
    assert "panicked" not in done.stderr and done.stderr.strip()


def test_backup_of_nothing_is_an_error(tmp_path):
    done = run_causeway("backup", "--data", tmp_path / "nowhere", "--output", tmp_path / "backup")
    assert done.returncode != 0
    assert "panicked" not in done.stderr and done.stderr.strip()
    assert not (tmp_path / "backup").exists()


def test_backup_is_private(own_world, tmp_path):
    """It holds every secret of the platform."""
    source = own_world.platform
    archive = tmp_path / "backup"
    run_causeway("backup", "--data", source.data, "--output", archive, *store_arguments(source.store_url))
    assert archive.stat().st_mode & 0o077 == 0


def test_files_come_back(own_world, restored):
    area = FileArea(own_world.rest)
    device = FileLink(own_world.device().connect())
    device.upload("a.bin", b"content " * 10_000)
    [file] = area.of(device.registration.device_id)
    assert FileArea(restored().rest).download(file["file_id"]) == b"content " * 10_000
