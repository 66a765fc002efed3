"""Devices, one by one (002 §3.3, §3.4; B4)."""

from urllib.parse import quote

import pytest

from rig import platform_times
from rig.application import refused, sdk
from rig.deadline import wait_for
from rig.world import fresh_name

UNKNOWN = "IOTDA.014000"


def test_registered_with_a_generated_secret(world):
    node = fresh_name("node")
    made = world.app.add_device(node_id=node, product_id=world.product_id, device_name="Kitchen", description="by the window",
                                extension_info={"floor": 2})
    assert made.status_code == 201
    assert made.device_id == f"{world.product_id}_{node}"
    assert (made.node_id, made.device_name, made.description, made.extension_info) == (
        node, "Kitchen", "by the window", {"floor": 2})
    assert (made.gateway_id, made.node_type, made.status) == (made.device_id, "GATEWAY", "INACTIVE")
    assert made.app_id == world.platform.ready["default_app_id"]
    assert (made.product_id, bool(made.product_name), bool(made.app_name)) == (world.product_id, True, True)
    assert made.auth_info.auth_type == "SECRET"
    assert 8 <= len(made.auth_info.secret) <= 32
    assert platform_times.COMPACT.match(made.create_time)
    assert (made.active_time, made.connection_status_update_time) == (None, None)


def test_show_repeats_what_was_registered(world):
    device = world.device(device_name="Kitchen", description="by the window", extension_info={"floor": 2})
    shown = world.app.show_device(device.device_id)
    assert (shown.device_id, shown.node_id, shown.device_name, shown.description, shown.extension_info, shown.status) == (
        device.device_id, device.node_id, "Kitchen", "by the window", {"floor": 2}, "INACTIVE")
    assert shown.tags == []


def test_generated_secrets_differ(world):
    assert len({world.device().secret for _ in range(5)}) == 5


def test_chosen_id_and_secret(world):
    device = world.device(device_id=fresh_name("my-own"), auth_info=sdk.AuthInfo(auth_type="SECRET", secret="abcd_EFG-123"))
    assert device.secret == "abcd_EFG-123"
    device.raw().ping()


def test_the_list_does_not_tell_secrets(world):
    device = world.device(auth_info=sdk.AuthInfo(auth_type="SECRET", secret="very-secret-word-1"))
    answer = world.rest.get("/devices", query={"node_id": device.node_id}).must_be(200)
    assert len(answer.json["devices"]) == 1
    assert "very-secret-word-1" not in answer.text
    assert "auth_info" not in answer.json["devices"][0]


def test_children(world):
    gateway = world.device()
    child = world.child(gateway)
    grandchild = world.child(child)
    shown = world.app.show_device(child.device_id)
    assert (shown.gateway_id, shown.node_type) == (gateway.device_id, "ENDPOINT")
    with refused(400):
        world.child(grandchild)
    listed = lambda **query: {found.device_id for found in world.app.list_devices(gateway_id=gateway.device_id, **query).devices}
    assert listed() - {gateway.device_id} == {child.device_id}
    assert listed(is_cascade_query=True) - {gateway.device_id} == {child.device_id, grandchild.device_id}
    with refused(403):
        world.app.delete_device(gateway.device_id)
    for device in (grandchild, child, gateway):
        assert world.app.delete_device(device.device_id).status_code == 204


@pytest.mark.parametrize("change", [
    {"node_id": None}, {"node_id": ""}, {"node_id": "x" * 65}, {"node_id": "a b"}, {"node_id": "a/b"}, {"node_id": 7},
    {"device_id": "x" * 129}, {"device_id": "a.b"}, {"device_id": ""}, {"device_name": "x" * 257}, {"description": "x" * 2049},
    {"product_id": None}, {"product_id": ""}, {"extension_info": {"a": "x" * 1025}},
    {"auth_info": {"auth_type": "SECRET", "secret": "short"}}, {"auth_info": {"auth_type": "SECRET", "secret": "x" * 33}},
    {"auth_info": {"auth_type": "SECRET", "secret": "with blank inside"}}, {"auth_info": {"auth_type": "MAGIC"}},
    {"auth_info": 7}, {"shadow": {}}, {"shadow": [{"desired": {}}]},
    {"shadow": [{"service_id": "Temperature", "desired": {"a.b": 1}}]},
], ids=lambda change: str(change)[:60])
def test_bad_fields_are_refused(world, change):
    body = {"node_id": fresh_name("node"), "product_id": world.product_id} | change
    world.rest.post("/devices", json={key: value for key, value in body.items() if value is not None}).must_be(400)


def test_unknown_product_gateway_and_space(world):
    with refused(404):
        world.app.add_device(node_id="n", product_id="0" * 24)
    with refused(400):
        world.app.add_device(node_id="n", product_id=world.product_id, gateway_id="nobody_nowhere")
    with refused(403, "IOTDA.001000"):
        world.app.add_device(node_id="n", product_id=world.product_id, app_id="0" * 32)


def test_a_device_exists_once(world):
    device = world.device()
    with refused(400, "IOTDA.014031"):
        world.app.add_device(node_id=device.node_id, product_id=device.product_id)
    with refused(400, "IOTDA.014031"):
        world.app.add_device(node_id=fresh_name("other"), product_id=device.product_id, device_id=device.device_id)


def test_longest_names(world):
    device = world.device(device_id=(fresh_name("d") + "x" * 128)[:128], node_id=(fresh_name("n") + "y" * 64)[:64],
                          device_name="温" * 256, description="z" * 2048)
    shown = world.app.show_device(device.device_id)
    assert (len(shown.device_id), len(shown.node_id), len(shown.device_name), len(shown.description)) == (128, 64, 256, 2048)
    device.raw().ping()


def test_update(world):
    device = world.device(device_name="before", description="stays")
    changed = world.app.update_device(device.device_id, device_name="after", extension_info={"a": [1]})
    assert (changed.status_code, changed.device_name, changed.description, changed.extension_info) == (
        200, "after", "stays", {"a": [1]})
    shown = world.app.show_device(device.device_id)
    assert (shown.device_name, shown.description) == ("after", "stays")
    with refused(400):
        world.app.update_device(device.device_id, device_name="x" * 257)
    assert world.app.show_device(device.device_id).device_name == "after"


def test_delete(world):
    device = world.device()
    device.connect().report(value=1)
    assert world.app.delete_device(device.device_id).status_code == 204
    with refused(404, UNKNOWN):
        world.app.show_device(device.device_id)
    # The name is free again, and nothing of the old device is left.
    again = world.device(node_id=device.node_id)
    assert again.device_id == device.device_id
    assert world.rest.shadow_of(again.device_id) == {}
    assert world.rest.history(again.device_id) == []
    with again.raw(connected=False) as link:
        assert link.connect(**device.credentials()).code == 4
    again.raw().ping()


def test_freeze_and_unfreeze(world):
    device = world.device()
    assert world.app.freeze(device.device_id).status_code == 204
    assert world.app.status_of(device.device_id) == "FROZEN"
    assert world.app.freeze(device.device_id).status_code == 204
    assert world.app.unfreeze(device.device_id).status_code == 204
    assert world.app.status_of(device.device_id) == "INACTIVE"


def test_a_frozen_online_device_is_shown_frozen_and_returns(world):
    device = world.device()
    link = device.raw()
    world.app.freeze(device.device_id)
    link.expect_end()
    assert world.app.status_of(device.device_id) == "FROZEN"
    world.app.unfreeze(device.device_id)
    assert world.app.status_of(device.device_id) == "OFFLINE"
    device.raw()
    wait_for(lambda: world.app.status_of(device.device_id) == "ONLINE", what="ONLINE")


def test_children_cannot_be_frozen(world):
    child = world.child(world.device())
    with refused(403):
        world.app.freeze(child.device_id)


def test_reset_secret(world):
    device = world.device()
    answer = world.app.reset_secret(device.device_id)
    assert (answer.status_code, answer.device_id) == (200, device.device_id)
    assert answer.secret != device.secret and 8 <= len(answer.secret) <= 32
    device.secret = answer.secret
    device.raw().ping()


@pytest.mark.parametrize("body", [{"secret": "short"}, {"secret": "x" * 33}, {"secret": "a b c d e f"}, {"secret_type": "THIRD"},
                                  {"force_disconnect": "maybe"}], ids=str)
def test_reset_secret_refuses_bad_fields(world, body):
    device = world.device()
    world.rest.post(f"/devices/{device.device_id}/action", json=body, query={"action_id": "resetSecret"}).must_be(400)
    device.raw().ping()


def test_unknown_action(world):
    device = world.device()
    world.rest.post(f"/devices/{device.device_id}/action", json={}, query={"action_id": "explode"}).must_be(400)


@pytest.mark.parametrize("call", [
    lambda app: app.show_device("nobody_nowhere"), lambda app: app.update_device("nobody_nowhere", device_name="x"),
    lambda app: app.delete_device("nobody_nowhere"), lambda app: app.freeze("nobody_nowhere"),
    lambda app: app.unfreeze("nobody_nowhere"), lambda app: app.reset_secret("nobody_nowhere"),
], ids=["show", "update", "delete", "freeze", "unfreeze", "reset"])
def test_unknown_device(world, call):
    with refused(404, UNKNOWN):
        call(world.app)


@pytest.mark.parametrize("name", ["a/b", "a b", "%", "ä", "x" * 300])
def test_ids_that_cannot_exist_are_a_clean_error(world, name):
    answer = world.rest.get(f"/devices/{quote(name, safe='')}")
    assert answer.status in (400, 404)
    assert answer.json["error_code"].startswith("IOTDA.")


# --- lists ------------------------------------------------------------------------------------------------------------

@pytest.fixture
def line(world):
    """A product with 23 devices, in order of registration."""
    product_id = world.product()
    return product_id, [world.device(product_id, device_name=f"number {number}").device_id for number in range(23)]


def test_list_pages_by_marker(world, line):
    product_id, ids = line
    seen, marker = [], None
    for size in (10, 10, 3, 0):
        page = world.app.list_devices(product_id=product_id, marker=marker)
        assert (len(page.devices), page.page.count) == (size, 23)
        seen += [device.device_id for device in page.devices]
        marker = page.page.marker
    assert seen == ids[::-1]


def test_pages_stay_whole_while_devices_come(world, line):
    product_id, ids = line
    first = world.app.list_devices(product_id=product_id, limit=15)
    newcomer = world.device(product_id)
    second = world.app.list_devices(product_id=product_id, limit=15, marker=first.page.marker)
    seen = [device.device_id for device in first.devices + second.devices]
    assert seen == ids[::-1] and newcomer.device_id not in seen


def test_list_filters(world, line):
    product_id, ids = line
    listed = lambda **query: [device.device_id for device in world.app.list_devices(product_id=product_id, **query).devices]
    assert listed(device_name="number 7") == [ids[7]]
    assert listed(node_id=ids[3].removeprefix(f"{product_id}_")) == [ids[3]]
    assert listed(limit=3, offset=2) == ids[20:17:-1]
    assert listed(start_time="20200101T000000Z", limit=50) == ids[::-1]
    assert listed(end_time="20200101T000000Z") == []
    assert listed(device_name="nobody") == []


@pytest.mark.parametrize("query,code", [
    ({"start_time": "yesterday"}, "IOTDA.000009"),
    ({"start_time": "20200102T000000Z", "end_time": "20200101T000000Z"}, "IOTDA.000010"),
    ({"product_id": "x" * 37}, None), ({"is_cascade_query": "maybe"}, None),
], ids=str)
def test_list_refuses_bad_filters(world, query, code):
    world.rest.get("/devices", query=query).must_be(400, code)


def test_list_item_has_these_fields(world):
    device = world.device(device_name="Kitchen")
    [item] = world.rest.get("/devices", query={"node_id": device.node_id}).must_be(200).json["devices"]
    assert {key: item[key] for key in ("device_id", "node_id", "gateway_id", "device_name", "node_type", "product_id", "status",
                                       "tags")} == {
        "device_id": device.device_id, "node_id": device.node_id, "gateway_id": device.device_id, "device_name": "Kitchen",
        "node_type": "GATEWAY", "product_id": device.product_id, "status": "INACTIVE", "tags": []}
