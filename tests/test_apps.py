"""Resource spaces (002 §8; B1)."""

import pytest

from rig import platform_times
from rig.application import refused


def test_one_default_space_from_the_start(own_world):
    [app] = own_world.app.list_apps()
    assert app.default_app is True
    assert app.app_id == own_world.platform.ready["default_app_id"]
    assert app.app_name
    assert platform_times.COMPACT.match(app.create_time)


def test_life_of_a_space(own_world):
    app = own_world.app
    made = app.add_app("greenhouse")
    assert (made.status_code, made.app_name, made.default_app) == (201, "greenhouse", False)
    assert len(made.app_id) == 32 and set(made.app_id) <= set("0123456789abcdef")
    shown = app.show_app(made.app_id)
    assert (shown.app_id, shown.app_name, shown.create_time) == (made.app_id, "greenhouse", made.create_time)
    assert app.update_app(made.app_id, "glasshouse").app_name == "glasshouse"
    assert {found.app_name for found in app.list_apps(default_app=False)} == {"glasshouse"}
    assert [found.default_app for found in app.list_apps(default_app=True)] == [True]
    assert app.delete_app(made.app_id).status_code == 204
    with refused(403, "IOTDA.001000"):
        app.show_app(made.app_id)


def test_the_default_space_cannot_be_deleted(own_world):
    default = own_world.platform.ready["default_app_id"]
    with refused(403):
        own_world.app.delete_app(default)
    assert own_world.app.show_app(default).default_app is True


def test_ten_spaces_at_most(own_world):
    for number in range(9):
        own_world.app.add_app(f"space{number}")
    with refused(403):
        own_world.app.add_app("one_too_many")
    assert len(own_world.app.list_apps()) == 10


def test_names_are_unique(own_world):
    own_world.app.add_app("twice")
    with refused(400):
        own_world.app.add_app("twice")
    other = own_world.app.add_app("other")
    with refused(400):
        own_world.app.update_app(other.app_id, "twice")


def test_a_name_may_have_64_characters(own_world):
    assert own_world.app.add_app("温" * 64).app_name == "温" * 64


@pytest.mark.parametrize("name", ["", "x" * 65, None, 7])
def test_bad_names_are_refused(world, name):
    world.rest.post("/apps", json={"app_name": name}).must_be(400)


@pytest.mark.parametrize("call", [
    lambda app: app.show_app("0" * 32), lambda app: app.update_app("0" * 32, "x"), lambda app: app.delete_app("0" * 32),
], ids=["show", "update", "delete"])
def test_unknown_space(world, call):
    with refused(403, "IOTDA.001000"):
        call(world.app)


def test_deletion_takes_everything_along(own_world):
    app = own_world.app
    space = app.add_app("doomed").app_id
    product_id = own_world.product(app_id=space)
    device = own_world.device(product_id, app_id=space)
    link = device.raw()
    app.delete_app(space)
    link.expect_end()
    with refused(404, "IOTDA.014000"):
        app.show_device(device.device_id)
    with refused(404):
        app.show_product(product_id)
    assert app.list_devices().devices == []
    with device.raw(connected=False) as link:
        assert link.connect(**device.credentials()).code == 4


def test_spaces_hold_their_own_products_and_devices(own_world):
    app = own_world.app
    space = app.add_app("second").app_id
    default = own_world.platform.ready["default_app_id"]
    here = own_world.device(own_world.product(app_id=space), app_id=space)
    there = own_world.device(own_world.product())
    assert [found.device_id for found in app.list_devices(app_id=space).devices] == [here.device_id]
    assert [found.device_id for found in app.list_devices(app_id=default).devices] == [there.device_id]
    assert len(app.list_devices().devices) == 2
    assert [found.product_id for found in app.list_products(app_id=space).products] == [here.product_id]
    assert app.show_device(here.device_id).app_id == space
    assert app.show_device(here.device_id).app_name == "second"


def test_a_device_joins_the_space_of_its_product_only(own_world):
    space = own_world.app.add_app("second").app_id
    product_id = own_world.product()
    with refused(404):
        own_world.app.add_device(node_id="n", product_id=product_id, app_id=space)
