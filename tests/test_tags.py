"""Tags of devices (B6, 002 §3.5): binding, overwriting, limits, finding by them, and where they are shown."""

import pytest

from rig.application import refused
from rig.deadline import wait_for
from rig.world import fresh_name

TOO_MANY, UNKNOWN_KEY, NO_DEVICE = "IOTDA.015100", "IOTDA.015101", "IOTDA.014000"


@pytest.fixture
def device(world):
    return world.device()


def tags_of(world, device) -> dict:
    return {tag.tag_key: tag.tag_value for tag in world.app.show_device(device.device_id).tags}


def found(world, *tags, **query) -> list[str]:
    return [resource.resource_id for resource in world.app.find_by_tags(*tags, **query).resources]


def test_bound_tags_are_shown(world, device):
    assert tags_of(world, device) == {}
    answer = world.app.tag(device.device_id, floor="3", 楼层="三.层_-")
    assert answer.status_code == 200
    assert tags_of(world, device) == {"floor": "3", "楼层": "三.层_-"}
    [item] = world.app.list_devices(node_id=device.node_id).devices
    assert {tag.tag_key: tag.tag_value for tag in item.tags} == {"floor": "3", "楼层": "三.层_-"}
    [hit] = world.app.search(f"select tags from device where device_id = '{device.device_id}'").devices
    assert sorted((tag["tag_key"], tag["tag_value"]) for tag in hit.tags) == [("floor", "3"), ("楼层", "三.层_-")]


def test_a_bound_key_is_overwritten(world, device):
    world.app.tag(device.device_id, a="1", b="1")
    world.app.tag(device.device_id, b="2", c="2")
    assert tags_of(world, device) == {"a": "1", "b": "2", "c": "2"}


def test_a_key_without_a_value(world, device):
    world.app.tag(device.device_id, lonely=None)
    assert tags_of(world, device) == {"lonely": ""}


def test_unbinding(world, device):
    world.app.tag(device.device_id, a="1", b="2", c="3")
    assert world.app.untag(device.device_id, "a", "c").status_code == 200
    assert tags_of(world, device) == {"b": "2"}


def test_an_unknown_key_cannot_be_unbound(world, device):
    world.app.tag(device.device_id, a="1")
    with refused(400, UNKNOWN_KEY):
        world.app.untag(device.device_id, "a", "z")
    assert tags_of(world, device) == {"a": "1"}


def test_ten_tags_and_no_more(world, device):
    world.app.tag(device.device_id, **{f"k{n}": str(n) for n in range(9)})
    with refused(403, TOO_MANY):
        world.app.tag(device.device_id, k8="new", k9="9", k10="10")
    assert tags_of(world, device)["k8"] == "8", "a refused call changes nothing"
    world.app.tag(device.device_id, k8="new", k9="9")
    assert len(tags_of(world, device)) == 10


def test_the_limit_is_a_key(platform_factory):
    from rig.world import World
    platform = platform_factory({"registry.max_device_tags": "2"}).start()
    world = World(platform)
    try:
        device = world.device()
        world.app.tag(device.device_id, a="", b="")
        with refused(403, TOO_MANY):
            world.app.tag(device.device_id, c="")
    finally:
        world.close()
        platform.close()


@pytest.mark.parametrize("body", [
    {"tags": [{"tag_key": "", "tag_value": "x"}]}, {"tags": [{"tag_key": "k" * 65, "tag_value": "x"}]},
    {"tags": [{"tag_key": "k", "tag_value": "v" * 129}]}, {"tags": [{"tag_key": "a b", "tag_value": "x"}]},
    {"tags": [{"tag_key": "a'--", "tag_value": "x"}]}, {"tags": [{"tag_key": "a", "tag_value": "x;y"}]},
    {"tags": [{"tag_key": "a\u0000", "tag_value": "x"}]}, {"tags": [{"tag_value": "x"}]}, {"tags": []}, {"tags": "a"}, {},
    {"tags": [{"tag_key": "a", "tag_value": "1"}, {"tag_key": "a", "tag_value": "2"}]},
    {"tags": [{"tag_key": "a", "tag_value": "1"}], "resource_type": "product"},
    {"tags": [{"tag_key": f"k{n}"} for n in range(101)]},
], ids=range(14))
def test_what_breaks_a_rule_is_refused(world, device, body):
    body = {"resource_type": "device", "resource_id": device.device_id, **body}
    world.rest.post("/tags/bind-resource", json=body).must_be(400, "IOTDA.000006")
    assert tags_of(world, device) == {}


def test_unknown_devices(world):
    with refused(404, NO_DEVICE):
        world.app.tag("nobody", a="1")
    with refused(404, NO_DEVICE):
        world.app.untag("nobody", "a")


def test_finding_by_tags(world):
    key, other = fresh_name("k"), fresh_name("k")
    devices = [world.device() for _ in range(4)]
    world.app.tag(devices[0].device_id, **{key: "1"})
    world.app.tag(devices[1].device_id, **{key: "2", other: "1"})
    world.app.tag(devices[2].device_id, **{other: "1"})
    ids = [device.device_id for device in devices]
    assert found(world, (key, "1")) == [ids[0]]
    assert found(world, (key, None)) == [ids[1], ids[0]], "a key alone, newest first"
    assert found(world, (key, "1"), (other, "1")) == [ids[2], ids[1], ids[0]], "tags are or-ed"
    assert found(world, (key, "3")) == []
    assert found(world, (key, "")) == []
    world.app.untag(ids[0], key)
    world.app.delete_device(ids[1])
    assert found(world, (key, None)) == []


def test_finding_goes_by_pages(world):
    key = fresh_name("k")
    ids = [world.device().device_id for _ in range(5)]
    for device_id in ids:
        world.app.tag(device_id, **{key: "x"})
    first = world.app.find_by_tags((key, "x"), (key, None), limit=2)
    assert (len(first.resources), first.page.count) == (2, 5)
    rest = found(world, (key, None), marker=first.page.marker)
    assert [resource.resource_id for resource in first.resources] + rest == ids[::-1]
    assert found(world, (key, None), offset=4) == ids[:1]
    world.rest.post("/tags/query-resources", query={"limit": "51"},
                    json={"resource_type": "device", "tags": [{"tag_key": key}]}).must_be(400, "IOTDA.000017")


def test_tags_stand_in_notifications_and_follow_changes(world, device):
    receiver = world.pushes()
    child = world.child(device)
    world.app.tag(device.device_id, place="hall")
    link = device.connect()

    def tags_in_push(of, number):
        if of is device:
            link.report("Battery", seq=number)
        else:
            link.send("sys/gateway/sub_devices/properties/report", {"devices": [
                {"device_id": of.device_id, "services": [{"service_id": "Battery", "properties": {"seq": number}}]}]})
        pushes = receiver.wait("device.property", of.device_id, count=number)
        return [(tag["tag_key"], tag["tag_value"]) for tag in pushes[number - 1]["notify_data"]["header"]["tags"]]

    assert tags_in_push(device, 1) == [("place", "hall")]
    assert tags_in_push(child, 1) == []
    world.app.tag(device.device_id, place="attic", old="1")
    world.app.tag(child.device_id, room="7")
    assert tags_in_push(device, 2) == [("old", "1"), ("place", "attic")]
    assert tags_in_push(child, 2) == [("room", "7")]
    world.app.untag(device.device_id, "place", "old")
    world.app.untag(child.device_id, "room")
    assert tags_in_push(device, 3) == []
    assert tags_in_push(child, 3) == []


def test_tags_survive_a_kill(own_world):
    device = own_world.device()
    own_world.app.tag(device.device_id, a="1")
    own_world.platform.kill()
    own_world.platform.start()
    own_world.after_restart()
    wait_for(lambda: tags_of(own_world, device) == {"a": "1"}, 10, "the tags")
