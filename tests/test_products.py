"""Products and their models (002 §3.1; B2)."""

import pytest

from rig import platform_times
from rig.application import refused
from rig.product_models import THERMOMETER
from rig.world import fresh_name

PROTOCOLS = ["MQTT", "CoAP", "HTTP", "HTTPS", "Modbus", "ONVIF", "OPC-UA", "OPC-DA", "Other", "TCP", "UDP"]


def fields(**changes) -> dict:
    return {"name": fresh_name("product"), "device_type": "Thermometer", "protocol_type": "MQTT", "data_format": "json",
            "service_capabilities": THERMOMETER, **changes}


def test_created_and_shown(world):
    wanted = fields(manufacturer_name="ACME", industry="Agriculture", description="Feels the air.")
    made = world.app.create_product(**wanted)
    assert made.status_code == 201
    assert len(made.product_id) == 24 and set(made.product_id) <= set("0123456789abcdef")
    shown = world.app.show_product(made.product_id)
    for product in (made, shown):
        assert {name: getattr(product, name) for name in wanted if name != "service_capabilities"} == {
            name: value for name, value in wanted.items() if name != "service_capabilities"}
        assert product.app_id == world.platform.ready["default_app_id"]
        assert product.app_name
        assert platform_times.COMPACT.match(product.create_time)
    assert [service.service_id for service in shown.service_capabilities] == ["Temperature", "Battery"]


def test_the_model_comes_back_as_it_was_given(world):
    product_id = world.app.create_product(**fields()).product_id
    shown = world.rest.get(f"/products/{product_id}").must_be(200).json["service_capabilities"]

    def includes(shown, given):
        if isinstance(given, dict):
            return all(key in shown and includes(shown[key], value) for key, value in given.items())
        if isinstance(given, list):
            return len(shown) == len(given) and all(map(includes, shown, given))
        return shown == given

    assert includes(shown, THERMOMETER), shown


def test_own_product_id(world):
    product_id = fresh_name("own-id_")
    assert world.app.create_product(**fields(product_id=product_id)).product_id == product_id
    with refused(400):
        world.app.create_product(**fields(product_id=product_id))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_protocol_types(world, protocol):
    data_format = "binary" if protocol == "CoAP" else "json"
    made = world.app.create_product(**fields(protocol_type=protocol, data_format=data_format))
    assert (made.protocol_type, made.data_format) == (protocol, data_format)


@pytest.mark.parametrize("change", [
    {"name": None}, {"name": ""}, {"name": "x" * 65}, {"name": "a<b"}, {"device_type": None}, {"device_type": "x" * 33},
    {"protocol_type": None}, {"protocol_type": "Carrier Pigeon"}, {"protocol_type": "mqtt"}, {"data_format": None},
    {"data_format": "xml"}, {"service_capabilities": None}, {"service_capabilities": {}}, {"manufacturer_name": "x" * 33},
    {"industry": "x" * 65}, {"description": "x" * 129}, {"product_id": "a b"}, {"product_id": "x" * 37}, {"product_id": "a/b"},
    {"name": 7},
], ids=str)
def test_bad_fields_are_refused(world, change):
    body = {key: value for key, value in fields(**change).items() if value is not None}
    world.rest.post("/products", json=body).must_be(400, "IOTDA.000006")


def service(**changes) -> list:
    return [{"service_id": "S", "service_type": "S", "properties": [], "commands": [], **changes}]


def prop(**changes) -> list:
    return service(properties=[{"property_name": "p", "data_type": "int", "method": "RW", **changes}])


@pytest.mark.parametrize("model", [
    service(service_id=""), service(service_id="x" * 65), service() + service(), service(option="Sometimes"),
    [{"service_type": "S"}],
    prop(property_name=""), prop(property_name="x" * 65), prop(data_type="integer"), prop(method="X"), prop(method=""),
    prop(min="low"), prop(min="5", max="1"), prop(data_type="string", max_length=-1),
    service(properties=prop()[0]["properties"] * 2),
    service(commands=[{"command_name": ""}]), service(commands=[{"command_name": "c"}] * 2),
    service(commands=[{"command_name": "c", "paras": [{"para_name": "p", "data_type": "blob"}]}]),
    service(properties=[{"data_type": "int", "method": "R"}]), service(properties=[7]), [7],
], ids=str)
def test_bad_models_are_refused(world, model):
    world.rest.post("/products", json=fields(service_capabilities=model)).must_be(400)


def test_a_model_of_500_services_is_taken_and_of_501_not(world):
    models = [{"service_id": f"S{number}", "service_type": "S"} for number in range(501)]
    world.rest.post("/products", json=fields(service_capabilities=models)).must_be(400)
    world.rest.post("/products", json=fields(service_capabilities=models[:500])).must_be(201)


def test_unknown_space(world):
    with refused(403, "IOTDA.001000"):
        world.app.create_product(**fields(app_id="0" * 32))


def test_unknown_product(world):
    with refused(404):
        world.app.show_product("0" * 24)
    with refused(404):
        world.app.delete_product("0" * 24)
    with refused(404):
        world.app.update_product("0" * 24, name="x")


def test_update_keeps_what_is_absent(world):
    made = world.app.create_product(**fields(description="before", industry="Agriculture"))
    changed = world.app.update_product(made.product_id, name="renamed", description="after")
    assert (changed.status_code, changed.name, changed.description, changed.industry) == (200, "renamed", "after", "Agriculture")
    shown = world.app.show_product(made.product_id)
    assert (shown.name, shown.description, shown.device_type) == ("renamed", "after", "Thermometer")
    assert [service.service_id for service in shown.service_capabilities] == ["Temperature", "Battery"]


def test_a_new_model_counts_from_the_next_report_on(world):
    product_id = world.product()
    device = world.device(product_id)
    link = device.connect()
    link.report("Battery", level=150)
    assert world.rest.reported(device.device_id, "Battery") == {}
    wider = [{**THERMOMETER[1], "properties": [{**THERMOMETER[1]["properties"][0], "max": "200"}]}]
    changed = world.app.update_product(product_id, service_capabilities=wider)
    assert [service.service_id for service in changed.service_capabilities] == ["Battery"]
    link.report("Battery", level=150)
    assert world.rest.reported(device.device_id, "Battery") == {"level": 150}
    # The list of services is replaced, not merged.
    link.report("Temperature", value=1)
    assert world.rest.reported(device.device_id, "Temperature") == {}


def test_update_refuses_bad_fields(world):
    product_id = world.product()
    for change in ({"name": "x" * 65}, {"data_format": "xml"}, {"protocol_type": "CoAP"}):
        world.rest.put(f"/products/{product_id}", json=change).must_be(400)


def test_a_product_with_devices_cannot_be_deleted(world):
    product_id = world.product()
    device = world.device(product_id)
    with refused(403):
        world.app.delete_product(product_id)
    world.app.delete_device(device.device_id)
    assert world.app.delete_product(product_id).status_code == 204
    with refused(404):
        world.app.show_product(product_id)


@pytest.fixture
def many(own_world):
    """25 products in a space of their own, in order of creation."""
    space = own_world.app.add_app("many").app_id
    ids = [own_world.product(app_id=space, name=f"p{number}") for number in range(25)]
    return own_world, space, ids


def test_list_pages_by_marker(many):
    world, space, ids = many
    seen, marker = [], None
    for size in (10, 10, 5, 0):
        page = world.app.list_products(app_id=space, marker=marker)
        assert len(page.products) == size
        assert page.page.count == 25
        seen += [product.product_id for product in page.products]
        marker = page.page.marker
        assert len(marker) == 24
    assert seen == ids[::-1]


def test_list_pages_by_offset_and_limit(many):
    world, space, ids = many
    page = world.app.list_products(app_id=space, limit=50, offset=20)
    assert [product.product_id for product in page.products] == ids[4::-1]
    assert page.page.count == 25


def test_list_by_name_and_without_models(many):
    world, space, ids = many
    [found] = world.rest.get("/products", query={"app_id": space, "product_name": "p7"}).must_be(200).json["products"]
    assert found["product_id"] == ids[7]
    assert "service_capabilities" not in found


@pytest.mark.parametrize("query,code", [
    ({"limit": 0}, "IOTDA.000017"), ({"limit": 51}, "IOTDA.000017"), ({"limit": "x"}, None),
    ({"marker": "short"}, "IOTDA.000018"), ({"marker": "g" * 24}, "IOTDA.000018"), ({"offset": -1}, None), ({"offset": 501}, None),
], ids=str)
@pytest.mark.parametrize("collection", ["/products", "/devices"])
def test_paging_out_of_range(world, collection, query, code):
    world.rest.get(collection, query=query).must_be(400, code)


def test_limits_of_paging_are_taken(world):
    world.rest.get("/products", query={"limit": 50, "offset": 500, "marker": "f" * 24}).must_be(200)
    world.rest.get("/products", query={"limit": 1, "offset": 0, "marker": "F" * 24}).must_be(200)
