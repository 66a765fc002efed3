"""Moving devices between gateways (B8), and which devices a list by gateway shows."""

from rig.application import refused
from rig.deadline import wait_for

INVALID_GATEWAY, STATE, HAS_CHILDREN = "IOTDA.014029", "IOTDA.014018", "IOTDA.014017"


def report_of(link, child, number):
    link.send("sys/gateway/sub_devices/properties/report", {"devices": [
        {"device_id": child.device_id, "services": [{"service_id": "Battery", "properties": {"seq": number}}]}]})


def test_a_child_moves_to_another_gateway(world):
    old, new = world.device(), world.device()
    child = world.child(old)
    receiver = world.pushes()
    links = old.connect(), new.connect()
    report_of(links[0], child, 1)
    receiver.wait("device.property", child.device_id)
    assert world.app.change_gateway(child.device_id, new.device_id).status_code == 200
    assert world.app.show_device(child.device_id).gateway_id == new.device_id
    assert [d.device_id for d in world.app.list_devices(gateway_id=new.device_id).devices] == [child.device_id]
    assert world.app.list_devices(gateway_id=old.device_id).devices == []
    report_of(links[0], child, 2)
    report_of(links[1], child, 3)
    pushes = receiver.wait("device.property", child.device_id, count=2)
    assert [push["notify_data"]["body"]["services"][0]["properties"]["seq"] for push in pushes] == [1, 3]
    assert pushes[1]["notify_data"]["header"]["gateway_id"] == new.device_id


def notices(link, kind: str) -> list[dict]:
    """What a gateway was told of the devices behind it, by kind of notice."""
    found = [service for message in link.down("sys/events/down") for service in message.json["services"]]
    return [service["paras"] for service in found if service["event_type"] == kind]


def test_both_gateways_are_told(world):
    """002 §2.1.2.7.1-2: the one that gets the device and the one that loses it, each with the version of its list."""
    old, new = world.device(), world.device()
    child = world.child(old)
    links = old.connect(), new.connect()
    world.app.change_gateway(child.device_id, new.device_id)
    wait_for(lambda: notices(links[1], "add_sub_device_notify") and notices(links[0], "delete_sub_device_notify"), 15,
             "both notices")
    [added] = notices(links[1], "add_sub_device_notify")
    assert [(d["device_id"], d["parent_device_id"]) for d in added["devices"]] == [(child.device_id, new.device_id)]
    deleted = notices(links[0], "delete_sub_device_notify")[-1]
    assert [d["device_id"] for d in deleted["devices"]] == [child.device_id]
    assert added["version"] == 1 and deleted["version"] == 2


def test_who_may_move_where(own_world):
    app = own_world.app
    gateway, other = own_world.device(), own_world.device()
    child = own_world.child(gateway)
    grandchild = own_world.child(child)
    space = app.add_app("second").app_id
    foreign = own_world.device(own_world.product(app_id=space), app_id=space)
    with refused(403, STATE):
        app.change_gateway(other.device_id, gateway.device_id)
    for target in (gateway.device_id, child.device_id, "nobody", foreign.device_id):
        with refused(400, INVALID_GATEWAY):
            app.change_gateway(child.device_id, target)
    with refused(403, HAS_CHILDREN):
        app.change_gateway(child.device_id, other.device_id)
    deep = own_world.child(other)
    with refused(400, INVALID_GATEWAY):
        app.change_gateway(deep.device_id, grandchild.device_id)
    app.change_gateway(deep.device_id, child.device_id)
    assert app.show_device(deep.device_id).gateway_id == child.device_id
    with refused(404, "IOTDA.014000"):
        app.change_gateway("nobody", gateway.device_id)
    own_world.rest.post(f"/devices/{deep.device_id}/change-gateway", json={}).must_be(400, "IOTDA.000006")


def test_a_list_by_gateway_does_not_show_the_gateway_itself(own_world):
    gateway = own_world.device()
    child = own_world.child(gateway)
    grandchild = own_world.child(child)
    listed = lambda **query: [d.device_id for d in own_world.app.list_devices(gateway_id=gateway.device_id, **query).devices]
    assert listed() == [child.device_id]
    assert listed(is_cascade_query=True) == [grandchild.device_id, child.device_id]
    # A search goes by the field gateway_id, which is a direct device's own id.
    hits = own_world.app.search(f"select device_id from device where gateway_id = '{gateway.device_id}'").devices
    assert [hit.device_id for hit in hits] == [child.device_id, gateway.device_id]
