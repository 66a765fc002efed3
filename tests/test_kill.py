"""kill -9 under load: what was acknowledged is there afterwards, whatever the moment (commit, then acknowledge)."""

import random

import pytest

from rig.deadline import wait_for
from rig.https_device import HttpsDevice
from rig.load import Reporter, lost_reports

ROUNDS = 12
DEVICES = 4


def last_reported(world, reporter: Reporter) -> int:
    return world.rest.reported(reporter.device.device_id, "Battery").get("seq", 0)


@pytest.mark.timeout(280)
def test_acknowledged_reports_survive_kills_at_any_moment(own_world):
    chance = random.Random()
    seed = chance.randrange(1 << 32)
    print(f"seed {seed}")
    chance.seed(seed)
    reporters = [Reporter(own_world.device()) for _ in range(DEVICES)]
    for number in range(ROUNDS):
        for reporter in reporters:
            reporter.start()
        before = sum(len(reporter.acknowledged) for reporter in reporters)
        # The moment: some time after the load has begun to flow.
        enough = before + chance.randrange(1, 400)
        wait_for(lambda: sum(len(reporter.acknowledged) for reporter in reporters) >= enough, 30, "reports to flow", every=0.001)
        own_world.platform.kill()
        for reporter in reporters:
            reporter.join()
        own_world.platform.start()
        own_world.after_restart()
        for reporter in reporters:
            assert last_reported(own_world, reporter) >= max(reporter.acknowledged, default=0), f"round {number}"
    for reporter in reporters:
        assert len(reporter.acknowledged) > ROUNDS
        assert lost_reports(own_world.rest, reporter) == set()
        # The shadow agrees with the history.
        newest = own_world.rest.get(f"/devices/{reporter.device.device_id}/history",
                                    query={"order": "desc", "limit": 1}).must_be(200).json["history"]
        assert newest[0]["properties"]["seq"] == last_reported(own_world, reporter)


def test_everything_that_was_answered_survives_a_kill(own_world):
    """Not only reports: whatever an answer confirmed before the kill."""
    app, rest = own_world.app, own_world.rest
    space = app.add_app("kept").app_id
    product_id = own_world.product(app_id=space)
    topic = own_world.topic(product_id, "kept", "ALL")
    device = own_world.device(product_id, app_id=space, device_name="Kept")
    app.update_desired(device.device_id, "Temperature", {"value": 5})
    message = app.create_message(device.device_id, "kept")
    https = HttpsDevice(device).login()
    https.report({"value2": 7}).must_be(200)
    rest.push_to(space, "http://127.0.0.1:9/")
    doomed = own_world.device()
    app.delete_device(doomed.device_id)
    frozen = own_world.device()
    app.freeze(frozen.device_id)
    renewed = own_world.device()
    renewed.secret = app.reset_secret(renewed.device_id).secret
    own_world.platform.restart_after_kill()
    own_world.after_restart()
    app, rest = own_world.app, own_world.rest
    assert app.show_app(space).app_name == "kept"
    assert app.show_device(device.device_id).device_name == "Kept"
    assert [entry["topic_id"] for entry in rest.get(f"/products/{product_id}/topics").json["topics"]] == [topic["topic_id"]]
    shadow = rest.shadow_of(device.device_id)["Temperature"]
    assert shadow["desired"]["properties"] == {"value": 5}
    assert shadow["reported"]["properties"] == {"value2": 7}
    assert app.show_message(device.device_id, message.message_id).status == "PENDING"
    assert rest.get(f"/apps/{space}/push").must_be(200).json["url"] == "http://127.0.0.1:9/"
    assert app.list_devices(node_id=doomed.node_id).devices == []
    assert app.status_of(frozen.device_id) == "FROZEN"
    renewed.raw().ping()
    device.raw().ping()


def test_identity_survives_restarts(own_world):
    before = dict(own_world.platform.ready)
    ca = open(own_world.platform.ca_cert).read()
    own_world.platform.restart_after_kill()
    own_world.platform.stop()
    own_world.platform.start()
    after = own_world.platform.ready
    for key in ("project_id", "instance_id", "default_app_id", "access_key"):
        assert after[key] == before[key], key
    assert open(own_world.platform.ca_cert).read() == ca
