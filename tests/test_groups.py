"""Device groups (B6, 002 §3.5): static and dynamic ones, nesting, limits."""

import pytest

from rig.application import refused
from rig.world import World, fresh_name

NO_GROUP, EXISTS, INVALID, TOO_MANY, TOO_DEEP = (f"IOTDA.01500{n}" for n in (0, 1, 2, 3, 4))
IN_USE, FULL, TOO_MANY_OF_DEVICE, DYNAMIC, NOT_IN_GROUP = (f"IOTDA.01500{n}" for n in (5, 6, 7, 8, 9))
BAD_RULE, NO_DEVICE = "IOTDA.015200", "IOTDA.014000"


@pytest.fixture
def group(world):
    return world.app.add_group(fresh_name("group"), description="some meters").group_id


def add(world, group_id, *devices):
    for device in devices:
        world.app.group_action(group_id, "addDevice", device.device_id)


def ids_in(world, group_id, **query) -> list[str]:
    return [device.device_id for device in world.app.group_devices(group_id, **query).devices]


def groups_of(world, device) -> set[str]:
    return {group.group_id for group in world.app.groups_of(device.device_id)}


def test_a_group_from_start_to_end(world):
    name = fresh_name("group")
    made = world.app.add_group(name, description="所有 meters")
    assert made.status_code == 201
    assert (made.name, made.description, made.super_group_id, made.group_type) == (name, "所有 meters", None, "STATIC")
    shown = world.app.show_group(made.group_id)
    assert (shown.name, shown.description) == (name, "所有 meters")
    changed = world.app.update_group(made.group_id, description="other")
    assert (changed.name, changed.description) == (name, "other")
    world.app.update_group(made.group_id, name=name + "_2")
    assert world.app.show_group(made.group_id).name == name + "_2"
    assert world.app.delete_group(made.group_id).status_code == 204
    with refused(404, NO_GROUP):
        world.app.show_group(made.group_id)


def test_devices_come_and_go(world, group):
    devices = [world.device(device_name=f"meter {n}") for n in range(3)]
    assert world.app.group_action(group, "addDevice", devices[0].device_id).status_code == 200
    add(world, group, devices[1], devices[2], devices[1])
    page = world.app.group_devices(group)
    assert page.page.count == 3
    assert [(d.device_id, d.node_id, d.device_name, d.product_id) for d in page.devices] == [
        (d.device_id, d.node_id, f"meter {n}", d.product_id) for n, d in reversed(list(enumerate(devices)))]
    world.app.group_action(group, "removeDevice", devices[1].device_id)
    world.app.delete_device(devices[2].device_id)
    assert ids_in(world, group) == [devices[0].device_id]
    assert world.app.show_device(devices[1].device_id).device_id == devices[1].device_id
    with refused(400, NOT_IN_GROUP):
        world.app.group_action(group, "removeDevice", devices[1].device_id)


def test_devices_of_a_group_go_by_pages(world, group):
    devices = [world.device() for _ in range(5)]
    add(world, group, *devices)
    first = world.app.group_devices(group, limit=2)
    assert first.page.count == 5
    seen = [d.device_id for d in first.devices] + ids_in(world, group, marker=first.page.marker)
    assert seen == [d.device_id for d in reversed(devices)]
    assert ids_in(world, group, offset=4) == [devices[0].device_id]


def test_groups_of_a_device(world, group):
    device = world.device()
    other = world.app.add_group(fresh_name("group")).group_id
    assert world.app.groups_of(device.device_id) == []
    add(world, group, device)
    add(world, other, device)
    shown = world.app.groups_of(device.device_id)
    assert [g.group_id for g in shown] == [other, group]
    assert (shown[1].description, shown[1].group_type) == ("some meters", "STATIC")
    with refused(404, NO_DEVICE):
        world.app.groups_of("nobody")


def test_names_are_unique_in_the_space(own_world):
    app = own_world.app
    app.add_group("one")
    with refused(400, EXISTS):
        app.add_group("one")
    space = app.add_app("second").app_id
    other = app.add_group("one", app_id=space)
    two = app.add_group("two")
    with refused(400, EXISTS):
        app.update_group(two.group_id, name="one")
    app.update_group(two.group_id, name="two")
    assert {group.group_id for group in app.list_groups(app_id=space).device_groups} == {other.group_id}
    app.delete_app(space)
    with refused(404, NO_GROUP):
        app.show_group(other.group_id)


def test_groups_are_nested_five_deep(world):
    line = [world.app.add_group(fresh_name("level"))]
    for _ in range(4):
        line.append(world.app.add_group(fresh_name("level"), super_group_id=line[-1].group_id))
        assert line[-1].super_group_id == line[-2].group_id
    with refused(403, TOO_DEEP):
        world.app.add_group(fresh_name("level"), super_group_id=line[-1].group_id)
    with refused(403, IN_USE):
        world.app.delete_group(line[0].group_id)
    for group in reversed(line):
        world.app.delete_group(group.group_id)


def test_a_group_above_must_be_there_and_of_the_space(own_world):
    app = own_world.app
    with refused(400, INVALID):
        app.add_group("x", super_group_id="0" * 36)
    space = app.add_app("second").app_id
    above = app.add_group("above", app_id=space).group_id
    default = own_world.platform.ready["default_app_id"]
    with refused(400, INVALID):
        app.add_group("x", super_group_id=above, app_id=default)
    below = app.add_group("x", super_group_id=above).group_id
    assert [group.group_id for group in app.list_groups(app_id=space).device_groups] == [below, above]


def test_a_group_with_devices_is_not_deleted(world, group):
    device = world.device()
    add(world, group, device)
    with refused(403, IN_USE):
        world.app.delete_group(group)
    world.app.delete_device(device.device_id)
    world.app.delete_group(group)


def test_a_device_of_another_space_is_refused(own_world):
    space = own_world.app.add_app("second").app_id
    group = own_world.app.add_group("g", app_id=space).group_id
    with refused(400, INVALID):
        own_world.app.group_action(group, "addDevice", own_world.device().device_id)
    assert ids_in(own_world, group) == []


def test_unknown_things(world, group):
    device = world.device()
    nobody = "0b6f4f7e-0000-4000-8000-000000000000"
    for call in (lambda: world.app.show_group(nobody), lambda: world.app.update_group(nobody, name="x"),
                 lambda: world.app.delete_group(nobody), lambda: world.app.group_devices(nobody),
                 lambda: world.app.group_action(nobody, "addDevice", device.device_id)):
        with refused(404, NO_GROUP):
            call()
    with refused(404, NO_DEVICE):
        world.app.group_action(group, "addDevice", "nobody")
    path = f"/device-group/{group}/action"
    world.rest.post(path, query={"device_id": device.device_id}).must_be(400, "IOTDA.000006")
    world.rest.post(path, query={"device_id": device.device_id, "action_id": "explode"}).must_be(400, "IOTDA.000006")
    world.rest.post(path, query={"action_id": "addDevice"}).must_be(400, "IOTDA.000006")


@pytest.mark.parametrize("body", [
    {}, {"name": ""}, {"name": "x" * 65}, {"name": "a<b"}, {"name": 7}, {"name": "x", "description": "y" * 65},
    {"name": "x", "super_group_id": "no/group"}, {"name": "x", "group_type": "SOME"},
], ids=range(8))
def test_what_breaks_a_rule_is_refused(world, body):
    world.rest.post("/device-group", json=body).must_be(400, "IOTDA.000006")


def test_lists_are_filtered_and_paged(own_world):
    app = own_world.app
    ids = [app.add_group(f"meters {n}").group_id for n in range(4)]
    dynamic = app.add_group("all", group_type="DYNAMIC", dynamic_group_rule="status = 'ONLINE'").group_id
    listed = lambda **query: [group.group_id for group in app.list_groups(**query).device_groups]
    assert listed() == [dynamic, *reversed(ids)]
    assert listed(name="meters 2") == [ids[2]]
    assert listed(name="meters") == ids[::-1]
    assert listed(group_type="DYNAMIC") == [dynamic]
    assert listed(group_type="STATIC") == ids[::-1]
    assert listed(app_id=own_world.platform.ready["default_app_id"], limit=2) == [dynamic, ids[3]]
    first = app.list_groups(limit=3)
    assert first.page.count == 5
    assert listed(marker=first.page.marker) == [ids[1], ids[0]]
    assert listed(offset=4) == [ids[0]]
    assert listed(last_modified_time="20200101T000000Z") == [dynamic, *reversed(ids)]
    assert listed(last_modified_time="20990101T000000Z") == []
    with refused(403, "IOTDA.001000"):
        listed(app_id="0" * 32)
    own_world.rest.get("/device-group", query={"last_modified_time": "yesterday"}).must_be(400, "IOTDA.000009")


def test_last_modified_follows_changes(own_world):
    import time
    app = own_world.app
    old, new = app.add_group("old"), app.add_group("new")
    # The filter has whole seconds.
    start = time.time()
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(start + 2))
    from rig.deadline import wait_for
    wait_for(lambda: time.time() > start + 3.1, 10, "the next second")
    app.update_group(new.group_id, description="changed")
    assert [g.group_id for g in app.list_groups(last_modified_time=moment).device_groups] == [new.group_id]
    assert old.group_id


@pytest.fixture(scope="module")
def narrow(platform_factory):
    """A platform with low limits."""
    platform = platform_factory({"registry.max_groups": "4", "registry.max_group_depth": "2", "registry.max_group_devices": "2",
                                 "registry.max_groups_of_device": "2"}).start()
    made = World(platform)
    yield made
    made.close()
    platform.close()


def test_limits_are_keys(narrow):
    app = narrow.app
    groups = [app.add_group(f"g{n}").group_id for n in range(3)]
    below = app.add_group("below", super_group_id=groups[0]).group_id
    with refused(403, TOO_DEEP):
        app.add_group("x", super_group_id=below)
    with refused(403, TOO_MANY):
        app.add_group("x")
    devices = [narrow.device() for _ in range(3)]
    add(narrow, groups[0], devices[0], devices[1])
    with refused(403, FULL):
        add(narrow, groups[0], devices[2])
    add(narrow, groups[1], devices[0])
    with refused(403, TOO_MANY_OF_DEVICE):
        add(narrow, groups[2], devices[0])
    add(narrow, groups[0], devices[0])
    assert groups_of(narrow, devices[0]) == set(groups[:2])


# --- dynamic groups ---------------------------------------------------------------------------------------------------

def test_a_dynamic_group_follows_its_rule(world):
    product_id = world.product()
    rule = f"product_id = '{product_id}' and tag_key = 'floor' and tag_value = '3'"
    made = world.app.add_group(fresh_name("dynamic"), group_type="DYNAMIC", dynamic_group_rule=rule)
    assert (made.group_type, made.dynamic_group_rule) == ("DYNAMIC", rule)
    group = made.group_id
    devices = [world.device(product_id) for _ in range(3)]
    assert ids_in(world, group) == []
    world.app.tag(devices[0].device_id, floor="3")
    world.app.tag(devices[2].device_id, floor="3", other="4")
    world.app.tag(devices[1].device_id, floor="4", other="3")
    assert ids_in(world, group) == [devices[2].device_id, devices[0].device_id]
    assert world.app.group_devices(group, limit=1).page.count == 2
    assert group in groups_of(world, devices[0]) and group not in groups_of(world, devices[1])
    found = world.app.search(f"select device_id, groups from device where group_id = '{group}' order by marker asc").devices
    assert [hit.device_id for hit in found] == [devices[0].device_id, devices[2].device_id]
    assert [g["group_id"] for g in found[0].groups] == [group]
    world.app.untag(devices[0].device_id, "floor")
    assert ids_in(world, group) == [devices[2].device_id]
    world.app.delete_group(group)


def test_a_dynamic_group_sees_changes_of_the_device(world):
    product_id = world.product()
    rule = f"where product_id = '{product_id}' and status in ('ONLINE') or device_name = '{product_id}'"
    group = world.app.add_group(fresh_name("dynamic"), group_type="DYNAMIC", dynamic_group_rule=rule).group_id
    online, named = world.device(product_id), world.device(product_id)
    online.connect()
    world.app.update_device(named.device_id, device_name=product_id)
    assert set(ids_in(world, group)) == {online.device_id, named.device_id}
    world.app.freeze(online.device_id)
    world.app.update_device(named.device_id, device_name="other")
    assert ids_in(world, group) == []


def test_a_dynamic_group_stays_in_its_space(own_world):
    space = own_world.app.add_app("second").app_id
    group = own_world.app.add_group("d", group_type="DYNAMIC", dynamic_group_rule="status = 'INACTIVE'",
                                    app_id=space).group_id
    mine = own_world.device()
    theirs = own_world.device(own_world.product(app_id=space), app_id=space)
    assert ids_in(own_world, group) == [theirs.device_id]
    assert own_world.app.groups_of(mine.device_id) == []
    count = own_world.app.search(f"select count(*) from device where group_id != '{group}'").count
    assert count == 1


def test_devices_are_not_put_into_a_dynamic_group(world):
    group = world.app.add_group(fresh_name("d"), group_type="DYNAMIC", dynamic_group_rule="status = 'FROZEN'").group_id
    for action in ("addDevice", "removeDevice"):
        with refused(403, DYNAMIC):
            world.app.group_action(group, action, world.device().device_id)
    with refused(400, INVALID):
        world.app.add_group(fresh_name("x"), super_group_id=group)


@pytest.mark.parametrize("fields,code", [
    ({"group_type": "DYNAMIC"}, INVALID), ({"group_type": "DYNAMIC", "dynamic_group_rule": ""}, INVALID),
    ({"dynamic_group_rule": "status = 'ONLINE'"}, INVALID),
    ({"group_type": "STATIC", "dynamic_group_rule": "status = 'ONLINE'"}, INVALID),
    ({"group_type": "DYNAMIC", "dynamic_group_rule": "nonsense"}, BAD_RULE),
    ({"group_type": "DYNAMIC", "dynamic_group_rule": "group_id = 'x'"}, BAD_RULE),
    ({"group_type": "DYNAMIC", "dynamic_group_rule": "status = 'ONLINE' limit 5"}, BAD_RULE),
    ({"group_type": "DYNAMIC", "dynamic_group_rule": "select * from device"}, BAD_RULE),
    ({"group_type": "DYNAMIC", "dynamic_group_rule": "device_id = '" + "x" * 400 + "'"}, BAD_RULE),
], ids=range(9))
def test_bad_rules_are_refused(world, fields, code):
    with refused(400, code):
        world.app.add_group(fresh_name("x"), **fields)


def test_a_dynamic_group_has_no_group_above(world, group):
    with refused(400, INVALID):
        world.app.add_group(fresh_name("x"), group_type="DYNAMIC", dynamic_group_rule="status = 'ONLINE'",
                            super_group_id=group)


def test_groups_survive_a_kill(own_world):
    group = own_world.app.add_group("kept").group_id
    device = own_world.device()
    add(own_world, group, device)
    own_world.platform.kill()
    own_world.platform.start()
    own_world.after_restart()
    assert ids_in(own_world, group) == [device.device_id]
