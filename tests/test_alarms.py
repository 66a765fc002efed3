"""Alarms: raised and cleared by rules, seen and cleared by people (002 §6.3; E3)."""

import pytest

from rig.deadline import wait_for
from rig.world import World, fresh_name

DAY = 86_400_000


def alarm(name, status, **fields):
    return {"type": "DEVICE_ALARM", "device_alarm": {
        "name": name, "alarm_status": status, "severity": "major", "dimension": "device", "description": "8 °C", **fields}}


def rule(world, device, operator, value, *actions) -> str:
    """Reports of the device's temperature that are so have these actions."""
    condition = {"type": "DEVICE_DATA", "device_property_condition": {
        "device_id": device.device_id, "filters": [{"path": "Temperature/value", "operator": operator, "value": value}]}}
    body = {"name": fresh_name("rule"), "rule_type": "DEVICE_LINKAGE", "actions": list(actions),
            "condition_group": {"conditions": [condition], "logic": "and"}}
    return world.rest.post("/rules", json=body).must_be(201).json["rule_id"]


def alarms(world, **query) -> list[dict]:
    return world.rest.get("/alarms", query={"limit": 50, **query}).must_be(200).json["alarms"]


def only(world, count=1, status="ACTIVE", **query) -> dict:
    """The one alarm that there is, once it was raised so often."""
    def look():
        found = alarms(world, **query)
        return len(found) == 1 and found[0]["count"] == count and found[0]["status"] == status and found[0]
    return wait_for(look, seconds=15, what=f"one alarm, {status}, raised {count} times")


def test_a_rule_raises_repeats_and_clears(world):
    device, name = world.device(), fresh_name("alarm")
    raising = rule(world, device, ">", "8", alarm(name, "fault"))
    clearing = rule(world, device, "<=", "8", alarm(name, "recovery"))
    link = device.connect()
    link.report(value=9)
    found = only(world, device_id=device.device_id)
    assert {key: found[key] for key in ("name", "severity", "dimension", "description", "source", "acknowledged")} == {
        "name": name, "severity": "major", "dimension": "device", "description": "8 °C", "source": raising,
        "acknowledged": False}
    assert found["app_id"] == world.platform.ready["default_app_id"]
    assert found["first_time"] == found["last_time"]
    # The condition is met by another report only after one that did not meet it (`pulse`).
    link.report(value=7)
    gone = only(world, status="CLEARED", device_id=device.device_id)
    assert gone["alarm_id"] == found["alarm_id"] and gone["cleared_by"] == clearing
    link.report(value=10)
    wait_for(lambda: len(alarms(world, device_id=device.device_id)) == 2)
    newest, _ = alarms(world, device_id=device.device_id)
    assert newest["status"] == "ACTIVE" and newest["alarm_id"] != found["alarm_id"]


def test_people_acknowledge_and_clear(world):
    device, name = world.device(), fresh_name("alarm")
    rule(world, device, ">", "8", alarm(name, "fault", severity="critical"))
    device.connect().report(value=9)
    found = only(world, device_id=device.device_id)
    path = f"/alarms/{found['alarm_id']}"
    seen = world.rest.post(f"{path}/acknowledge", json={}).must_be(200).json
    assert seen["acknowledged"] and seen["acknowledged_by"] and seen["acknowledge_time"]
    gone = world.rest.post(f"{path}/clear", json={}).must_be(200).json
    assert gone["status"] == "CLEARED" and gone["cleared_by"] == seen["acknowledged_by"]
    assert world.rest.get(path).must_be(200).json == gone
    records = world.rest.get("/audit-logs", query={"resource_id": found["alarm_id"]}).must_be(200).json["audit_logs"]
    assert [(r["resource_type"], r["operation"], r["app_id"]) for r in records] == [
        ("alarm", "clear_alarm", found["app_id"]), ("alarm", "acknowledge_alarm", found["app_id"])]


def test_lists_are_filtered(world):
    device, name = world.device(), fresh_name("alarm")
    rule(world, device, ">", "8", alarm(f"{name} one", "fault"))
    rule(world, device, ">", "8", alarm(f"{name} two", "fault", severity="minor"))
    device.connect().report(value=9)
    wait_for(lambda: len(alarms(world, name=name)) == 2)
    mine = {"device_id": device.device_id}
    assert [a["name"] for a in alarms(world, severity="minor", **mine)] == [f"{name} two"]
    assert [a["name"] for a in alarms(world, name="one", **mine)] == [f"{name} one"]
    assert len(alarms(world, status="ACTIVE", acknowledged="false", **mine)) == 2
    assert alarms(world, status="CLEARED", **mine) == alarms(world, acknowledged="true", **mine) == []
    assert alarms(world, end_time="20200101T000000Z", **mine) == []
    assert len(alarms(world, start_time="20200101T000000Z", **mine)) == 2


@pytest.mark.parametrize("query, code", [
    ({"severity": "loud"}, "IOTDA.000006"), ({"status": "x"}, "IOTDA.000006"), ({"start_time": "x"}, "IOTDA.000009"),
    ({"start_time": "20200102T000000Z", "end_time": "20200101T000000Z"}, "IOTDA.000010"), ({"limit": 51}, "IOTDA.000017"),
])
def test_bad_queries_are_refused(world, query, code):
    world.rest.get("/alarms", query=query).must_be(400, code)


def test_alarms_survive_a_restart_and_go_after_thirty_days(platform_factory):
    platform = platform_factory({"clock.movable": "true"}).start()
    world = World(platform)
    device, name = world.device(), fresh_name("alarm")
    rule(world, device, ">", "8", alarm(name, "fault"))
    device.connect().report(value=9)
    found = only(world)
    platform.kill()
    platform.start()
    world.after_restart()
    assert alarms(world) == [found]
    for days, left in [(29, 1), (2, 0)]:
        world.rest.advance_clock(days * DAY)
        if left == 0:
            wait_for(lambda: alarms(world) == [], seconds=15)
        else:
            assert len(alarms(world)) == left
    world.close()
