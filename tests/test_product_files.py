"""Product models as files: the vendor's zip, an Excel workbook, the library of presets (B3)."""

import io
import json
import zipfile

import openpyxl
import pytest

from rig.product_models import THERMOMETER
from rig.world import fresh_name

DEVICE_FILE = "profile/devicetype-capability.json"

#: As the vendor's page on offline development shows it.
WATER_METER = {
    DEVICE_FILE: {"devices": [{
        "manufacturerId": "TestUtf8ManuId", "manufacturerName": "HZYB", "protocolType": "CoAP", "deviceType": "WaterMeter",
        "omCapability": {"upgradeCapability": {"supportUpgrade": True, "upgradeProtocolType": "PCP"}},
        "serviceTypeCapabilities": [{"serviceId": "WaterMeterBasic", "serviceType": "WaterMeterBasic", "option": "Mandatory"}],
    }]},
    "service/WaterMeterBasic/profile/servicetype-capability.json": {"services": [{
        "serviceType": "WaterMeterBasic", "description": "WaterMeterBasic",
        "commands": [{"commandName": "SET_PRESSURE_READ_PERIOD",
                      "paras": [{"paraName": "value", "dataType": "int", "required": True, "min": 1, "max": 24, "step": 1,
                                 "maxLength": 10, "unit": "hour", "enumList": None}],
                      "responses": [{"responseName": "SET_PRESSURE_READ_PERIOD_RSP",
                                     "paras": [{"paraName": "result", "dataType": "int", "required": True, "min": -1000000,
                                                "max": 1000000, "step": 1, "maxLength": 10, "unit": None, "enumList": None}]}]}],
        "properties": [{"propertyName": "registerFlow", "dataType": "int", "required": True, "min": 0, "max": 0, "step": 1,
                        "maxLength": 0, "method": "R", "unit": None, "enumList": None},
                       {"propertyName": "currentReading", "dataType": "string", "required": False, "min": 0, "max": 0,
                        "step": 1, "maxLength": 0, "method": "W", "unit": "L", "enumList": None}],
    }]},
}


def zipped(files: dict) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content if isinstance(content, (str, bytes)) else json.dumps(content))
    return out.getvalue()


def workbook(sheets: dict[str, list[list]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def form(content: bytes, name: str = "model.zip") -> dict:
    """A body and its type, as a browser or `curl -F file=@…` sends a file."""
    boundary = "form-boundary-7d1"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return {"body": head.encode() + content + f"\r\n--{boundary}--\r\n".encode(),
            "content_type": f"multipart/form-data; boundary={boundary}"}


def import_product(world, content: bytes, **query):
    return world.rest.call("POST", "/product-import", query={"name": fresh_name("imported"), **query}, **form(content))


def replace_model(world, product_id: str, content: bytes):
    return world.rest.call("PUT", f"/products/{product_id}/model", **form(content))


def exported(world, product_id: str, **query) -> bytes:
    return world.rest.get(f"/products/{product_id}/model", query=query).must_be(200).content


def model_of(world, product_id: str) -> list:
    return world.rest.get(f"/products/{product_id}").must_be(200).json["service_capabilities"]


def places(answer) -> list[str]:
    answer.must_be(400, "IOTDA.013006")
    return [fault["place"] for fault in answer.json["errors"]]


def test_the_vendors_zip_makes_a_product(world):
    made = import_product(world, zipped(WATER_METER)).must_be(201).json
    shown = world.app.show_product(made["product_id"])
    assert (shown.manufacturer_name, shown.protocol_type, shown.device_type, shown.data_format) == \
        ("HZYB", "CoAP", "WaterMeter", "binary")
    [service] = shown.service_capabilities
    assert (service.service_id, service.option, service.description) == ("WaterMeterBasic", "Mandatory", "WaterMeterBasic")
    assert [(p.property_name, p.data_type, p.method, p.unit) for p in service.properties] == \
        [("registerFlow", "int", "R", None), ("currentReading", "string", "W", "L")]
    [command] = service.commands
    assert (command.paras[0].min, command.paras[0].max, command.responses[0].response_name) == \
        ("1", "24", "SET_PRESSURE_READ_PERIOD_RSP")


def test_the_query_counts_before_the_file(world):
    made = import_product(world, zipped(WATER_METER), protocol_type="MQTT", data_format="json", device_type="Meter",
                          manufacturer_name="Other", product_id=fresh_name("p")[:36]).must_be(201).json
    assert (made["protocol_type"], made["data_format"], made["device_type"], made["manufacturer_name"]) == \
        ("MQTT", "json", "Meter", "Other")


def test_an_imported_product_takes_reports(world):
    made = import_product(world, zipped(WATER_METER), protocol_type="MQTT", data_format="json").must_be(201).json
    device = world.device(made["product_id"])
    device.connect().report("WaterMeterBasic", {"registerFlow": 0})
    [service] = world.app.show_shadow(device.device_id).shadow
    assert service.reported.properties == {"registerFlow": 0}


@pytest.mark.parametrize("form_of", ["zip", "xlsx"])
def test_a_model_survives_the_way_out_and_back(world, form_of):
    first = world.product(service_capabilities=THERMOMETER)
    content = exported(world, first, format=form_of)
    second = import_product(world, content, product_id=fresh_name("copy")[:36]).must_be(201).json["product_id"]
    assert model_of(world, second) == model_of(world, first)


def test_the_exported_zip_has_the_vendors_shape(world):
    content = exported(world, world.product(manufacturer_name="Maker"))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        [device] = json.loads(archive.read(DEVICE_FILE))["devices"]
        assert (device["manufacturerName"], device["protocolType"], device["deviceType"]) == ("Maker", "MQTT", "Thermometer")
        for entry in device["serviceTypeCapabilities"]:
            text = archive.read(f"service/{entry['serviceType']}/profile/servicetype-capability.json")
            [service] = json.loads(text)["services"]
            assert service["serviceType"] == entry["serviceType"] and service["properties"]


def test_the_exported_workbook_opens_in_another_program(world):
    content = exported(world, world.product(), format="xlsx")
    book = openpyxl.load_workbook(io.BytesIO(content))
    assert book.sheetnames == ["Services", "Properties", "Commands", "Events"]
    rows = list(book["Properties"].iter_rows(values_only=True))
    assert rows[0][:3] == ("service_id (服务ID)", "property_name (属性名称)", "data_type (数据类型)")
    assert len(rows) == 1 + sum(len(service["properties"]) for service in THERMOMETER)


def test_a_workbook_of_another_program_is_read(world):
    content = workbook({"属性": [
        ["服务ID", "属性名称", "数据类型", "访问权限", "最小值", "最大值", "枚举值"],
        ["Thermo", "temperature", "decimal", "RW", -40, 85.5, None],
        ["Thermo", "mode", "enum", "RWE", None, None, "开，关"]]})
    product = world.product()
    replaced = replace_model(world, product, content).must_be(200).json
    [service] = replaced["service_capabilities"]
    assert [(p["property_name"], p.get("min"), p.get("max"), p.get("enum_list")) for p in service["properties"]] == \
        [("temperature", "-40", "85.5", None), ("mode", None, None, ["开", "关"])]
    assert model_of(world, product) == replaced["service_capabilities"]


def test_the_template_is_a_model(world):
    content = world.rest.get("/product-model-template").must_be(200).content
    assert import_product(world, content).must_be(201).json["service_capabilities"]


def test_a_wrong_zip_tells_every_fault_and_changes_nothing(world):
    product = world.product()
    before = model_of(world, product)
    files = json.loads(json.dumps(WATER_METER))
    files[DEVICE_FILE]["devices"][0]["serviceTypeCapabilities"].append({"serviceId": "Battery", "serviceType": "Battery"})
    service = files["service/WaterMeterBasic/profile/servicetype-capability.json"]["services"][0]
    del service["properties"][0]["propertyName"]
    service["properties"][1]["dataType"] = "float"
    service["commands"][0]["paras"][0]["maxLength"] = "long"
    files["service/Alarm/profile/servicetype-capability.json"] = "{nonsense"
    told = places(replace_model(world, product, zipped(files)))
    at = "service/WaterMeterBasic/profile/servicetype-capability.json.services[0]"
    assert f"{at}.properties[0].propertyName" in told
    assert f"{at}.commands[0].paras[0].maxLength" in told
    assert f"{DEVICE_FILE}.devices[0].serviceTypeCapabilities[1]" in told
    assert any(place.startswith("service/Alarm/profile/servicetype-capability.json, line 1") for place in told)
    assert any("currentReading" in place for place in told)
    assert model_of(world, product) == before


def test_a_wrong_workbook_tells_every_cell_and_changes_nothing(world):
    product = world.product()
    before = model_of(world, product)
    content = workbook({"Properties": [
        ["service_id", "property_name", "data_type", "method", "max_length"],
        ["S", None, "int", "R", None], [None, "b", "int", "R", None], ["S", "c", "float", "X", "many"]]})
    told = places(replace_model(world, product, content))
    for place in ("Sheet 'Properties', row 2, column 'property_name'", "Sheet 'Properties', row 3, column 'service_id'",
                  "Sheet 'Properties', row 4, column 'max_length'", "Service 'S', property 'c'"):
        assert place in told, told
    assert model_of(world, product) == before


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04broken", zipped({"readme.txt": "x"}),
                                     zipped({DEVICE_FILE: []}), zipped({DEVICE_FILE: {"devices": []}}),
                                     workbook({"Sheet1": [["a"]]}), zipped({"xl/workbook.xml": "<x/>"})])
def test_what_is_no_model_is_refused(world, content):
    import_product(world, content).must_be(400, "IOTDA.013006")


def test_a_zip_bomb_is_refused(world):
    import_product(world, zipped({DEVICE_FILE: b" " * (64 << 20)})).must_be(400, "IOTDA.013006")


def test_a_body_without_a_file_is_refused(world):
    world.rest.call("POST", "/product-import", query={"name": "x"}, json={}).must_be(400, "IOTDA.000008")


def test_an_unknown_product_is_not_found(world):
    world.rest.get("/products/nobody/model").must_be(404, "IOTDA.013003")
    replace_model(world, "nobody", zipped(WATER_METER)).must_be(404, "IOTDA.013003")


def test_the_library_has_ten_presets_that_make_products(world):
    presets = world.rest.get("/product-presets").must_be(200).json["presets"]
    assert len(presets) == 10
    for preset in presets:
        assert preset["name"] and preset["name_zh"] and "service_capabilities" not in preset
        whole = world.rest.get(f"/product-presets/{preset['preset_id']}").must_be(200).json
        made = world.rest.post(f"/product-presets/{preset['preset_id']}/products", json={}).must_be(201).json
        assert made["service_capabilities"] == whole["service_capabilities"] == model_of(world, made["product_id"])
        assert (made["name"], made["device_type"]) == (preset["name"], preset["device_type"])


def test_an_unknown_preset_is_not_found(world):
    world.rest.get("/product-presets/nothing").must_be(404, "IOTDA.013009")
    world.rest.post("/product-presets/nothing/products", json={}).must_be(404, "IOTDA.013009")
