"""Device linkage: rules over what devices report, their status and the clock (002 §5.3, D7)."""

import datetime as dt

import pytest
from huaweicloudsdkiotda.v5 import model as sdk

from rig import platform_times
from rig.application import refused
from rig.deadline import wait_for

ANSWER = {"result_code": 0}
MINUTE = 60_000
ASKED = "sys/commands/request_id="


# --- what rules say ------------------------------------------------------------------------------------------------------

def value(operator, operand, *, of, path="Temperature/value", **strategy):
    """A condition on a property of a device, or of a product (a text)."""
    whom = {"product_id": of} if isinstance(of, str) else {"device_id": of.device_id}
    operands = {"in_values": operand} if operator == "in" else {"value": operand}
    filters = [{"path": path, "operator": operator, **operands, **({"strategy": strategy} if strategy else {})}]
    return {"type": "DEVICE_DATA", "device_property_condition": {**whom, "filters": filters}}


def status(of, *statuses, duration=0):
    return {"type": "DEVICE_LINKAGE_STATUS", "device_linkage_status_condition": {
        "device_id": of.device_id, "status_list": list(statuses), "duration": duration}}


def daily(time, days=None):
    return {"type": "DAILY_TIMER", "daily_timer_condition": {"time": time, **({"days_of_week": days} if days else {})}}


def every(start, interval, count):
    return {"type": "SIMPLE_TIMER", "simple_timer_condition": {
        "start_time": start, "repeat_interval": interval, "repeat_count": count}}


def switch(device=None, to="ON", **cmd):
    """The action that sends ON_OFF."""
    whom = {} if device is None else {"device_id": device.device_id}
    return {"type": "DEVICE_CMD", "device_command": {**whom, "cmd": {
        "service_id": "Temperature", "command_name": "ON_OFF", "command_body": {"value": to}, **cmd}}}


def alarm(name, alarm_status="fault", **fields):
    return {"type": "DEVICE_ALARM", "device_alarm": {
        "name": name, "alarm_status": alarm_status, "severity": "major", "dimension": "device", **fields}}


def rule(*conditions, actions, logic="and", time_range=None, **fields):
    group = {"conditions": list(conditions), "logic": logic} | ({"time_range": time_range} if time_range else {})
    return {"name": "cold room", "rule_type": "DEVICE_LINKAGE", "condition_group": group, "actions": actions, **fields}


def create(world, *conditions, **fields):
    """Made with the SDK; own fields go by hand."""
    body = rule(*conditions, **fields)
    if "immediate_trigger" in body:
        return world.rest.post("/rules", json=body).must_be(201).json["rule_id"]
    return world.app.client.create_rule(sdk.CreateRuleRequest(body=sdk.Rule(**body))).rule_id


# --- what devices see ----------------------------------------------------------------------------------------------------

def valve(world):
    """A connected device that answers commands."""
    return world.device().connect().respond("sys/commands/", ANSWER)


def asked(link) -> int:
    return len(link.down(ASKED))


def wait_asked(link, count=1, seconds=15):
    message = link.wait_down(ASKED, seconds=seconds, count=count)
    assert asked(link) == count
    return message


def wait_kept(world, *devices):
    """Until a command was kept for each of them; one that is named twice has two."""
    def kept():
        lines = [line for line in world.platform.log().splitlines() if "kept" in line]
        return all(sum(device.device_id in line for line in lines) >= devices.count(device) for device in devices)

    wait_for(kept, what="the commands to be kept")


def alarms(world, device, **query):
    found = world.rest.get("/alarms", query={"device_id": device.device_id, **query}).must_be(200).json["alarms"]
    return {entry["name"]: entry for entry in found}


# --- conditions ----------------------------------------------------------------------------------------------------------

def test_a_warm_room_closes_the_valve_and_raises_an_alarm(world):
    room, closed = world.device(), valve(world)
    create(world, value(">", "8", of=room), actions=[switch(closed.registration, "OFF"), alarm("too warm")])
    create(world, value("<=", "8", of=room, trigger="reverse"), actions=[alarm("too warm", "recovery")])
    link = room.connect()
    link.report(value=8)
    link.report(value=9)
    command = wait_asked(closed)
    assert command.json == {"object_device_id": closed.registration.device_id, "service_id": "Temperature",
                            "command_name": "ON_OFF", "paras": {"value": "OFF"}}
    raised = wait_for(lambda: alarms(world, room).get("too warm"), what="the alarm")
    assert (raised["status"], raised["severity"], raised["dimension"]) == ("ACTIVE", "major", "device")
    link.report(value=7)
    wait_for(lambda: alarms(world, room)["too warm"]["status"] == "CLEARED", what="the end of the alarm")


def test_every_device_of_a_product_and_the_command_to_itself(own_world):
    world = own_world
    product = world.product()
    first, second, foreign = world.device(product), world.device(product), world.device()
    links = [device.connect().respond("sys/commands/", ANSWER) for device in (first, second, foreign)]
    create(world, value(">", "8", of=product), actions=[switch()])
    links[2].report(value=50)
    links[0].report(value=9)
    wait_asked(links[0])
    links[1].report(value=10)
    wait_asked(links[1])
    assert asked(links[2]) == 0


@pytest.mark.parametrize("operator, operand, path, no, yes", [
    ("between", "20,30", "Temperature/value", 30, 20),
    (">=", "20", "Temperature/value", 19, 20),
    ("<", "-1", "Temperature/value", -1, -2),
    ("=", "0.50", "Temperature/ratio", 0.51, 0.5),
    ("in", ["1", "9007199254740991"], "Temperature/count", 9007199254740990, 9007199254740991),
    ("in", ["cool"], "Temperature/mode", "heat", "cool"),
    ("=", "it's 5 \u00b0C", "Temperature/note", "it's 6 \u00b0C", "it's 5 \u00b0C"),
    ("=", "true", "Temperature/on", False, True),
])
def test_operators(world, operator, operand, path, no, yes):
    device, other = world.device(), valve(world)
    create(world, value(operator, operand, of=device, path=path), actions=[switch(other.registration)])
    service, name = path.split("/")
    link = device.connect()
    link.report(service, {name: no})
    link.report(service, {name: yes})
    wait_asked(other)


def test_all_conditions_over_two_devices(world):
    room, door, closed = world.device(), world.device(), valve(world)
    create(world, value(">", "8", of=room), value("=", "cool", of=door, path="Temperature/mode"),
           actions=[switch(closed.registration)])
    room_link, door_link = room.connect(), door.connect()
    room_link.report(value=9)
    door_link.report(mode="heat")
    room_link.report(value=10)
    door_link.report(mode="cool")
    wait_asked(closed)
    room_link.report(value=11)
    wait_asked(closed, 2)


def test_any_condition(world):
    room, door, closed = world.device(), world.device(), valve(world)
    create(world, value(">", "8", of=room), value("=", "cool", of=door, path="Temperature/mode"), logic="or",
           actions=[switch(closed.registration)])
    door.connect().report(mode="cool")
    wait_asked(closed)
    room.connect().report(value=9)
    wait_asked(closed, 2)


def test_pulse_acts_each_time_and_reverse_at_the_change(world):
    room, each, once = world.device(), valve(world), valve(world)
    create(world, value(">", "8", of=room), actions=[switch(each.registration)])
    create(world, value(">", "8", of=room, trigger="reverse"), actions=[switch(once.registration)])
    link = room.connect()
    for number in (9, 10, 11, 5, 12, 13):
        link.report(value=number)
    wait_asked(each, 5)
    wait_asked(once, 2)


def test_old_data_does_not_count(world):
    room, closed = world.device(), valve(world)
    create(world, value(">", "8", of=room, event_valid_time=1800), actions=[switch(closed.registration)])
    link = room.connect()
    link.report(value=9, event_time=platform_times.compact(platform_times.utc_now(-60 * MINUTE)))
    link.report(value=9, event_time=platform_times.compact(platform_times.utc_now(-20 * MINUTE)))
    wait_asked(closed)


def test_only_in_its_time(own_world):
    """Times of day are those of `linkage.time_zone`, +08:00."""
    world = own_world
    room, inside, outside = world.device(), valve(world), valve(world)
    local = platform_times.utc_now() + dt.timedelta(hours=8)
    text = lambda minutes: (local + dt.timedelta(minutes=minutes)).strftime("%H:%M")
    create(world, value(">", "8", of=room), time_range={"start_time": text(60), "end_time": text(120)},
           actions=[switch(outside.registration)])
    create(world, value(">", "8", of=room), time_range={"start_time": text(-60), "end_time": text(30)},
           actions=[switch(inside.registration)])
    room.connect().report(value=9)
    wait_asked(inside)
    world.rest.advance_clock(75 * MINUTE)
    room.connect().report(value=9)
    wait_asked(outside)
    assert asked(inside) == 1


def test_what_was_reported_before_counts_when_the_rule_says_so(world):
    room, closed, waits = world.device(), valve(world), valve(world)
    link = room.connect()
    link.report(value=9)
    create(world, value(">", "8", of=room), actions=[switch(waits.registration)])
    create(world, value(">", "8", of=room), actions=[switch(closed.registration)], immediate_trigger=True)
    wait_asked(closed)
    assert asked(waits) == 0


def test_status(own_world):
    world = own_world
    watched, first, late = world.device(), valve(world), valve(world)
    create(world, status(watched, "ONLINE"), actions=[switch(first.registration)])
    create(world, status(watched, "OFFLINE", duration=2), actions=[switch(late.registration)])
    link = watched.connect()
    wait_asked(first)
    departures = "causeway_device_departures_total"
    before = world.rest.metric(departures)
    link.disconnect()
    wait_for(lambda: world.rest.metric(departures) > before, what="the departure")
    world.rest.advance_clock(61_000)
    wait_for(lambda: world.app.status_of(watched.device_id) == "OFFLINE", what="OFFLINE")
    assert asked(late) == 0
    world.rest.advance_clock(121_000)
    wait_asked(late)


# --- timers --------------------------------------------------------------------------------------------------------------

def test_a_timer_repeats_and_a_restart_does_not_lose_it(own_world):
    world = own_world
    lamp = world.device()
    start = platform_times.compact(platform_times.utc_now(30 * MINUTE))
    create(world, every(start, 600, 3), actions=[switch(lamp)])
    world.rest.advance_clock(30 * MINUTE + 1000)
    link = lamp.connect().respond("sys/commands/", ANSWER)
    wait_asked(link)
    # Stopped, not killed: after a kill the action may come again.
    world.platform.stop()
    world.platform.start()
    world.after_restart()
    world.rest.advance_clock(40 * MINUTE + 1000)
    link = lamp.connect().respond("sys/commands/", ANSWER)
    wait_asked(link)
    world.rest.advance_clock(10 * MINUTE)
    wait_asked(link, 2)
    world.rest.advance_clock(60 * MINUTE)
    link.report(value=1)
    assert asked(link) == 2


def test_a_daily_timer_comes_at_its_local_time_on_its_days(own_world):
    world = own_world
    lamp = valve(world)
    local = platform_times.utc_now() + dt.timedelta(hours=8, minutes=10)
    today = str(local.isoweekday() % 7 + 1)
    tomorrow = str((local.isoweekday() + 1) % 7 + 1)
    create(world, daily(local.strftime("%H:%M"), today), actions=[switch(lamp.registration)])
    create(world, daily(local.strftime("%H:%M"), tomorrow), actions=[switch(lamp.registration, "OFF")])
    world.rest.advance_clock(10 * MINUTE + 1000)
    assert wait_asked(lamp).json["paras"] == {"value": "ON"}


def test_a_timer_missed_for_long_is_skipped(own_world):
    world = own_world
    lamp = valve(world)
    start = platform_times.compact(platform_times.utc_now(10 * MINUTE))
    create(world, every(start, 3600, 2), actions=[switch(lamp.registration)])
    world.rest.advance_clock(30 * MINUTE)
    wait_for(lambda: "came too late" in world.platform.log(), what="the note of the skipped timer")
    assert asked(lamp) == 0
    world.rest.advance_clock(40 * MINUTE + 1000)
    wait_asked(lamp)


# --- commands that wait, crashes -----------------------------------------------------------------------------------------

def test_a_command_waits_for_its_device(world):
    room, away, never = world.device(), world.device(), world.device()
    create(world, value(">", "8", of=room), actions=[
        switch(never, buffer_timeout=0), switch(away, "OFF", buffer_timeout=600), switch(away, "ON", mode="PASSIVE")])
    room.connect().report(value=9)
    wait_kept(world, away, away)
    link = away.connect().respond("sys/commands/", ANSWER)
    wait_asked(link, 2)
    assert [message.json["paras"]["value"] for message in link.down(ASKED)] == ["OFF", "ON"]
    late = never.connect().respond("sys/commands/", ANSWER)
    late.report(value=1)
    assert asked(late) == 0


def test_a_kept_command_has_its_time_and_survives_a_kill(own_world):
    world = own_world
    room, away, gone = world.device(), world.device(), world.device()
    create(world, value(">", "8", of=room), actions=[switch(away, buffer_timeout=3600), switch(gone, buffer_timeout=60)])
    room.connect().report(value=9)
    wait_kept(world, away, gone)
    world.platform.restart_after_kill()
    world.after_restart()
    world.rest.advance_clock(2 * MINUTE)
    # After a kill it may come twice.
    away.connect().respond("sys/commands/", ANSWER).wait_down(ASKED)
    late = gone.connect().respond("sys/commands/", ANSWER)
    late.report(value=1)
    assert asked(late) == 0


def test_nothing_is_lost_by_a_kill_between_report_and_action(own_world):
    """Every acknowledged report above the limit leads to an action, whenever the platform is killed."""
    world = own_world
    rooms = [world.device() for _ in range(20)]
    for room in rooms:
        create(world, value(">", "8", of=room, trigger="reverse"), actions=[alarm("too warm")])
    for room in rooms:
        room.connect().report(value=9)
    world.platform.restart_after_kill()
    world.after_restart()
    for room in rooms:
        wait_for(lambda: "too warm" in alarms(world, room), 30, f"the alarm of {room.device_id}")


def test_suppression_survives_a_restart(own_world):
    world = own_world
    room, closed = world.device(), world.device()
    create(world, value(">", "8", of=room, trigger="reverse"), actions=[switch(closed)])
    link = closed.connect().respond("sys/commands/", ANSWER)
    room.connect().report(value=9)
    wait_asked(link)
    # The state is written after the action; the next report of the room is judged after it.
    room.connect().report(value=7)
    room.connect().report(value=9)
    wait_asked(link, 2)
    world.platform.stop()
    world.platform.start()
    world.after_restart()
    link = closed.connect().respond("sys/commands/", ANSWER)
    again = room.connect()
    again.report(value=10)
    again.report(value=7)
    again.report(value=11)
    wait_asked(link)


def test_a_thousand_rules_that_do_not_concern_a_report(own_world):
    world = own_world
    room, other, closed = world.device(), world.device(), valve(world)
    for number in range(999):
        world.rest.post("/rules", json=rule(value(">", "8", of=other), actions=[switch(closed.registration)],
                                            name=f"rule {number}")).must_be(201)
    create(world, value(">", "8", of=room), actions=[switch(closed.registration, "OFF")])
    world.rest.post("/rules", json=rule(value(">", "8", of=room), actions=[switch(closed.registration)])).must_be(
        403, "IOTDA.010003")
    link = room.connect()
    for number in range(9, 14):
        link.report(value=number)
    wait_asked(closed, 5)
    assert {message.json["paras"]["value"] for message in closed.down(ASKED)} == {"OFF"}


# --- the interface -------------------------------------------------------------------------------------------------------

def test_a_rule_is_shown_as_it_was_made(own_world):
    world = own_world
    client, room = world.app.client, world.device()
    conditions = [value("between", "20,30", of=room, trigger="reverse", event_valid_time=60),
                  status(room, "ONLINE", "OFFLINE", duration=5),
                  value("in", ["heat", "cool"], of=world.product_id, path="Temperature/mode")]
    urn = "urn:smn:cn-north-4:p:t"
    actions = [switch(room, buffer_timeout=10, response_timeout=20, mode="PASSIVE"), alarm("a", "recovery"),
               {"type": "SMN_FORWARDING", "smn_forwarding": {
                   "region_name": "cn-north-4", "project_id": "p", "theme_name": "t", "topic_urn": urn,
                   "message_title": "warm", "message_content": "it is"}}]
    times = {"start_time": "08:00", "end_time": "18:30", "days_of_week": "2,3"}
    body = rule(*conditions, actions=actions, logic="or", time_range=times, description="d", status="inactive")
    made = client.create_rule(sdk.CreateRuleRequest(body=sdk.Rule(**body)))
    assert made.status_code == 201
    shown = world.rest.get(f"/rules/{made.rule_id}").must_be(200).json
    group = shown["condition_group"]
    assert (group["logic"], group["time_range"]) == ("or", times)
    assert group["conditions"][:2] == conditions[:2]
    assert shown["actions"] == actions
    assert (shown["status"], shown["rule_type"], shown["description"]) == ("inactive", "DEVICE_LINKAGE", "d")
    assert shown["immediate_trigger"] is False
    changed = client.update_rule(sdk.UpdateRuleRequest(rule_id=made.rule_id, body=sdk.Rule(
        **rule(every("20300101T000000Z", 60, 2), actions=[switch(room)], name="other"))))
    assert (changed.name, changed.status) == ("other", "active")
    [timer] = changed.condition_group.conditions
    assert timer.simple_timer_condition.start_time == "20300101T000000Z"
    answer = client.change_rule_status(sdk.ChangeRuleStatusRequest(
        rule_id=made.rule_id, body=sdk.RuleStatus(status="inactive")))
    assert answer.status == "inactive"
    second = create(world, value(">", "1", of=room), actions=[switch(room)])
    shown = client.show_rule(sdk.ShowRuleRequest(rule_id=second))
    assert (shown.rule_id, shown.status) == (second, "active")
    listed = client.list_rules(sdk.ListRulesRequest(limit=1))
    assert (listed.count, [entry.rule_id for entry in listed.rules]) == (2, [second])
    listed = client.list_rules(sdk.ListRulesRequest(limit=1, marker=listed.marker))
    assert [entry.rule_id for entry in listed.rules] == [made.rule_id]
    assert client.list_rules(sdk.ListRulesRequest(rule_type="DEVICE_SIDE")).rules == []
    client.delete_rule(sdk.DeleteRuleRequest(rule_id=second))
    with refused(404, "IOTDA.010002"):
        client.show_rule(sdk.ShowRuleRequest(rule_id=second))


def test_an_inactive_rule_does_not_act(world):
    room, closed, last = world.device(), valve(world), valve(world)
    first = create(world, value(">", "8", of=room), actions=[switch(closed.registration)], status="inactive")
    create(world, value(">", "8", of=room), actions=[switch(last.registration)])
    link = room.connect()
    link.report(value=9)
    wait_asked(last)
    world.rest.put(f"/rules/{first}/status", json={"status": "active"}).must_be(200)
    link.report(value=9)
    wait_asked(closed)


def test_rules_that_cannot_be(world):
    device = world.device()
    nobody = type("Nobody", (), {"device_id": "nobody-here"})
    above = value(">", "8", of=device)
    timer = daily("07:00")
    notify = {"type": "SMN_FORWARDING", "smn_forwarding": {
        "region_name": "r", "project_id": "p", "theme_name": "t", "topic_urn": "u", "message_title": "m"}}
    for code, conditions, fields in [
        ("IOTDA.010004", [], {}),
        ("IOTDA.010004", [value(">", str(n), of=device) for n in range(11)], {}),
        ("IOTDA.010004", [value("in", [str(n) for n in range(21)], of=device)], {}),
        ("IOTDA.010004", [value(">", "warm", of=device)], {}),
        ("IOTDA.010004", [value("between", "20", of=device)], {}),
        ("IOTDA.010004", [value(">", "8", of=device, path="Temperature/note")], {}),
        ("IOTDA.010004", [value("=", "x", of=device)], {}),
        ("IOTDA.010004", [value("=", "1", of=device, path="Temperature")], {}),
        ("IOTDA.010004", [value(">", "8", of="no-such-product")], {}),
        ("IOTDA.010004", [timer, daily("08:00")], {}),
        ("IOTDA.010004", [timer, value(">", "8", of=device.product_id)], {}),
        ("IOTDA.010004", [daily("7:00")], {}),
        ("IOTDA.010004", [daily("07:00", "0")], {}),
        ("IOTDA.010004", [above], {"time_range": {"start_time": "24:00", "end_time": "01:00"}}),
        ("IOTDA.010005", [above], {"actions": []}),
        ("IOTDA.010005", [above], {"actions": [switch(device, "ON" if n % 2 else "OFF", buffer_timeout=n) for n in range(11)]}),
        ("IOTDA.010005", [timer], {"actions": [switch()]}),
        ("IOTDA.010005", [timer], {"actions": [notify]}),
        ("IOTDA.010005", [timer], {"actions": [alarm("a")]}),
        ("IOTDA.010005", [status(device, "ONLINE")], {"actions": [alarm("a")]}),
        ("IOTDA.010005", [above], {"actions": [alarm("a"), alarm("b")]}),
        ("IOTDA.010005", [above], {"actions": [switch(device, command_body=[])]}),
        ("IOTDA.010006", [above, above], {}),
        ("IOTDA.010007", [above], {"actions": [switch(device), switch(device)]}),
        ("IOTDA.010008", [value(">", "8", of=nobody)], {}),
        ("IOTDA.010009", [above], {"actions": [switch(nobody)]}),
        ("IOTDA.010010", [value(">", "8", of=device, path="Temperature/nothing")], {}),
        ("IOTDA.010010", [value(">", "8", of=device, path="Nothing/value")], {}),
        ("IOTDA.010011", [above], {"actions": [switch(device, command_name="NOTHING")]}),
        ("IOTDA.010011", [above], {"actions": [switch(device, "MAYBE")]}),
        ("IOTDA.010000", [above], {"rule_type": "DEVICE_SIDE"}),
        ("IOTDA.000006", [above], {"rule_type": "ELSEWHERE"}),
    ]:
        body = rule(*conditions, **({"actions": [switch(device)]} | fields))
        world.rest.post("/rules", json=body).must_be(400, code)
    with refused(404, "IOTDA.010002"):
        world.app.client.update_rule(sdk.UpdateRuleRequest(rule_id="no", body=sdk.Rule(
            **rule(above, actions=[switch(device)]))))
