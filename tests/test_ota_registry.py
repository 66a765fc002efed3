"""OTA modules and packages: the registry (002 §3.7, §3.8; B11)."""

import pytest
from huaweicloudsdkiotda.v5 import model as sdk

from rig import platform_times
from rig.application import refused
from rig.files import FileArea, sha256
from rig.world import fresh_name


class Ota:
    """The nine operations through the vendor's SDK."""

    def __init__(self, world):
        self.world = world
        self.client = world.app.client
        self.area = FileArea(world.rest)
        self.app_id = world.platform.ready["default_app_id"]

    def create_module(self, **fields):
        fields = {"app_id": self.app_id, "product_id": self.world.product_id, **fields}
        return self.client.create_ota_module(sdk.CreateOtaModuleRequest(body=sdk.CreateOtaModule(**fields)))

    def show_module(self, module_id):
        return self.client.show_ota_module(sdk.ShowOtaModuleRequest(module_id=module_id))

    def list_modules(self, **query):
        return self.client.list_ota_modules(sdk.ListOtaModulesRequest(**{"app_id": self.app_id, **query}))

    def update_module(self, module_id, **fields):
        return self.client.update_ota_module(
            sdk.UpdateOtaModuleRequest(module_id=module_id, body=sdk.UpdateOtaModule(**fields)))

    def delete_module(self, module_id):
        return self.client.delete_ota_module(sdk.DeleteOtaModuleRequest(module_id=module_id))

    def object(self, content=b"firmware", app_id=None):
        """Uploads a file; the `obs_location` that names it."""
        file = self.area.upload("fw.bin", content, app_id=app_id or self.app_id)
        return {"region_name": "cn-north-4", "bucket_name": file["bucket_name"], "object_key": file["object_key"]}

    def create_package(self, location=None, **fields):
        location = sdk.ObsLocation(**(location or self.object()))
        fields = {"app_id": self.app_id, "product_id": self.world.product_id, "package_type": "firmwarePackage",
                  "version": fresh_name("v"), "file_location": sdk.FileLocation(obs_location=location), **fields}
        return self.client.create_ota_package(sdk.CreateOtaPackageRequest(body=sdk.CreateOtaPackage(**fields)))

    def show_package(self, package_id):
        return self.client.show_ota_package(sdk.ShowOtaPackageRequest(package_id=package_id))

    def list_packages(self, **query):
        return self.client.list_ota_package_info(
            sdk.ListOtaPackageInfoRequest(**{"package_type": "firmwarePackage", **query}))

    def delete_package(self, package_id):
        return self.client.delete_ota_package(sdk.DeleteOtaPackageRequest(package_id=package_id))


@pytest.fixture
def ota(world):
    world._product_id = world.product()
    return Ota(world)


def test_a_module_is_created_shown_changed_and_deleted(ota):
    name = fresh_name("modem.fw-")
    made = ota.create_module(module_name=name, alias_name="调制解调器", description="The modem's own firmware.")
    assert made.status_code == 201
    assert len(made.module_id) == 24
    shown = ota.show_module(made.module_id)
    for module in (made, shown):
        assert (module.app_id, module.product_id, module.module_name) == (ota.app_id, ota.world.product_id, name)
        assert (module.alias_name, module.description) == ("调制解调器", "The modem's own firmware.")
        assert module.product_name == ota.world.app.show_product(ota.world.product_id).name
        assert platform_times.COMPACT.match(module.create_time)
    changed = ota.update_module(made.module_id, alias_name="modem")
    assert (changed.alias_name, changed.description) == ("modem", "The modem's own firmware.")
    changed = ota.update_module(made.module_id, description="")
    shown = ota.show_module(made.module_id)
    assert (shown.alias_name, shown.description, shown.module_name) == ("modem", "", name)
    assert ota.delete_module(made.module_id).status_code == 204
    for call in (ota.show_module, ota.delete_module, ota.update_module):
        with refused(404, "IOTDA.018100"):
            call(made.module_id)


def test_module_names_are_unique_in_the_product(ota):
    ota.create_module(module_name="m")
    with refused(400, "IOTDA.018101"):
        ota.create_module(module_name="m")
    ota.create_module(module_name="m", product_id=ota.world.product())


def test_a_product_has_ten_modules(ota):
    for number in range(10):
        ota.create_module(module_name=f"m{number}")
    with refused(403, "IOTDA.018102"):
        ota.create_module(module_name="m10")
    first = ota.list_modules(product_id=ota.world.product_id, limit=1).modules[0]
    ota.delete_module(first.module_id)
    ota.create_module(module_name="m10")


@pytest.mark.parametrize("fields,status,code", [
    ({"module_name": "a b"}, 400, "IOTDA.000006"), ({"module_name": ""}, 400, "IOTDA.000006"),
    ({"module_name": "x" * 65}, 400, "IOTDA.000006"), ({"alias_name": "x" * 65}, 400, "IOTDA.000006"),
    ({"description": "x" * 1025}, 400, "IOTDA.000006"), ({"product_id": None}, 400, "IOTDA.000006"),
    ({"app_id": None}, 400, "IOTDA.000006"), ({"product_id": "nothing"}, 404, "IOTDA.013003"),
    ({"app_id": "0" * 32}, 403, "IOTDA.001000"),
], ids=str)
def test_bad_modules_are_refused(ota, fields, status, code):
    body = {"app_id": ota.app_id, "product_id": ota.world.product_id, "module_name": "m", **fields}
    body = {key: value for key, value in body.items() if value is not None}
    ota.world.rest.post("/ota-upgrades/modules", json=body).must_be(status, code)


def test_modules_are_listed(ota):
    space = ota.world.app.add_app(fresh_name("ota")).app_id
    products = [ota.world.product(app_id=space) for _ in range(2)]
    made = [ota.create_module(app_id=space, product_id=products[number % 2], module_name=f"m{number}").module_id
            for number in range(5)]
    ids = lambda page: [module.module_id for module in page.modules]
    page = ota.list_modules(app_id=space)
    assert (ids(page), page.page.count) == (made[::-1], 5)
    assert ids(ota.list_modules(app_id=space, product_id=products[1])) == [made[3], made[1]]
    first = ota.list_modules(app_id=space, limit=2, offset=1)
    assert (ids(first), first.page.count) == ([made[3], made[2]], 5)
    assert ids(ota.list_modules(app_id=space, marker=first.page.marker)) == [made[1], made[0]]
    ota.world.rest.get("/ota-upgrades/modules").must_be(400, "IOTDA.000006")
    with refused(403, "IOTDA.001000"):
        ota.list_modules(app_id="0" * 32)
    ota.world.app.delete_app(space)
    with refused(404, "IOTDA.018100"):
        ota.show_module(made[0])


def test_a_package_is_created_shown_and_deleted(ota):
    content = b"\x7fELF firmware"
    location = {**ota.object(content), "sign_method": "SHA256", "sign": sha256(content)}
    fields = {"version": "2.0.1-rc.1", "support_source_versions": ["1.0", "1.1"], "description": "Better.", "custom_info": '{"a":1}<>'}
    made = ota.create_package(location, **fields)
    assert made.status_code == 201
    assert len(made.package_id) == 24
    shown = ota.show_package(made.package_id)
    for package in (made, shown):
        assert {name: getattr(package, name) for name in fields} == fields
        assert (package.app_id, package.product_id, package.package_type) == (ota.app_id, ota.world.product_id, "firmwarePackage")
        assert package.module_name is None
        assert package.product_name
        assert package.file_location.obs_location.to_dict() == location
        assert platform_times.COMPACT.match(package.create_time)
    [listed] = ota.list_packages(product_id=ota.world.product_id).packages
    assert (listed.package_id, listed.version, listed.support_source_versions) == (made.package_id, "2.0.1-rc.1", ["1.0", "1.1"])
    [raw] = ota.world.rest.get("/ota-upgrades/packages", query={
        "package_type": "firmwarePackage", "product_id": ota.world.product_id}).must_be(200).json["packages"]
    assert "file_location" not in raw
    assert ota.delete_package(made.package_id).status_code == 204
    for call in (ota.show_package, ota.delete_package):
        with refused(404, "IOTDA.018110"):
            call(made.package_id)


def test_packages_are_unique_in_product_type_module_and_version(ota):
    location = ota.object()
    ota.create_module(module_name="m")
    ota.create_package(location, version="1")
    for fields in ({"package_type": "softwarePackage"}, {"package_type": "modulePackage", "module_name": "m"},
                   {"product_id": ota.world.product()}):
        ota.create_package(location, version="1", **fields)
        with refused(400, "IOTDA.018111"):
            ota.create_package(location, version="1", **fields)
    with refused(400, "IOTDA.018111"):
        ota.create_package(location, version="1")


def test_a_module_with_packages_stays(ota):
    module = ota.create_module(module_name="m")
    package = ota.create_package(package_type="modulePackage", module_name="m")
    assert ota.show_package(package.package_id).module_name == "m"
    with refused(403, "IOTDA.018103"):
        ota.delete_module(module.module_id)
    ota.delete_package(package.package_id)
    ota.delete_module(module.module_id)
    with refused(404, "IOTDA.018100"):
        ota.create_package(package_type="modulePackage", module_name="m")
    for fields in ({"package_type": "modulePackage"}, {"package_type": "firmwarePackage", "module_name": "m"}):
        with refused(400, "IOTDA.000006"):
            ota.create_package(**fields)


def test_a_file_of_a_package_stays(ota):
    package = ota.create_package()
    key = package.file_location.obs_location.object_key
    [file] = [found for found in ota.area.page(source="APPLICATION")["files"] if found["object_key"] == key]
    ota.world.rest.delete(f"/files/{file['file_id']}").must_be(403, "IOTDA.018006")
    assert ota.area.download(file["file_id"]) == b"firmware"
    ota.delete_package(package.package_id)
    ota.area.delete(file["file_id"])


def test_the_object_must_be_an_uploaded_file_of_the_space(ota):
    good = ota.object()
    waiting = ota.area.create("w.bin")["file"]
    space = ota.world.app.add_app(fresh_name("ota")).app_id
    for change in ({"bucket_name": "other-bucket"}, {"object_key": "app_file/x/nothing"}, {"object_key": "../etc/passwd"},
                   {"object_key": waiting["object_key"]}, {"object_key": ota.object(app_id=space)["object_key"]}):
        with refused(400, "IOTDA.018112"):
            ota.create_package({**good, **change})
    with refused(400, "IOTDA.018004"):
        ota.create_package({**good, "sign": "ab" * 32})
    ota.create_package({**good, "sign": sha256(b"firmware").upper()})
    ota.world.app.delete_app(space)


@pytest.mark.parametrize("fields,status,code", [
    ({"package_type": "firmware"}, 400, "IOTDA.000006"), ({"package_type": None}, 400, "IOTDA.000006"),
    ({"version": "a b"}, 400, "IOTDA.000006"), ({"version": "x" * 257}, 400, "IOTDA.000006"),
    ({"version": None}, 400, "IOTDA.000006"), ({"support_source_versions": ["a b"]}, 400, "IOTDA.000006"),
    ({"support_source_versions": [str(n) for n in range(21)]}, 400, "IOTDA.000006"),
    ({"description": "x" * 1025}, 400, "IOTDA.000006"), ({"custom_info": "x" * 4097}, 400, "IOTDA.000006"),
    ({"file_location": {}}, 400, "IOTDA.000006"), ({"file_location": None}, 400, "IOTDA.000006"),
    ({"file_location": {"obs_location": {"region_name": "r", "bucket_name": "causeway", "object_key": "k", "sign": "ab"}}}, 400, "IOTDA.000006"),
    ({"file_location": {"obs_location": {"region_name": "r", "bucket_name": "ab", "object_key": "k"}}}, 400, "IOTDA.000006"),
    ({"file_location": {"obs_location": {"bucket_name": "causeway", "object_key": "k"}}}, 400, "IOTDA.000006"),
    ({"product_id": "nothing"}, 404, "IOTDA.013003"), ({"app_id": "0" * 32}, 403, "IOTDA.001000"),
], ids=str)
def test_bad_packages_are_refused(ota, fields, status, code):
    location = {"obs_location": {"region_name": "r", "bucket_name": "causeway", "object_key": "app_file/a/b"}}
    body = {"app_id": ota.app_id, "product_id": ota.world.product_id, "package_type": "softwarePackage", "version": "1",
            "file_location": location, **fields}
    body = {key: value for key, value in body.items() if value is not None}
    ota.world.rest.post("/ota-upgrades/packages", json=body).must_be(status, code)


def test_the_longest_fields_are_taken(ota):
    fields = {"version": "x" * 256, "custom_info": "信" * 4096, "description": "x" * 1024,
              "support_source_versions": [f"{n}-" + "v" * 250 for n in range(20)]}
    shown = ota.show_package(ota.create_package(**fields).package_id)
    assert {name: getattr(shown, name) for name in fields} == fields


def test_packages_are_listed(ota):
    space = ota.world.app.add_app(fresh_name("ota")).app_id
    product, other = ota.world.product(app_id=space), ota.world.product(app_id=space)
    location = ota.object(app_id=space)
    common = {"app_id": space, "product_id": product}
    made = [ota.create_package(location, **common, version=f"{n}").package_id for n in range(4)]
    foreign = ota.create_package(location, app_id=space, product_id=other, version="1").package_id
    software = ota.create_package(location, **common, package_type="softwarePackage", version="1").package_id
    ids = lambda page: [package.package_id for package in page.packages]
    page = ota.list_packages(app_id=space)
    assert (ids(page), page.page.count) == ([foreign, *made[::-1]], 5)
    assert ids(ota.list_packages(app_id=space, package_type="softwarePackage")) == [software]
    assert ids(ota.list_packages(product_id=product)) == made[::-1]
    assert ids(ota.list_packages(app_id=space, version="1")) == [foreign, made[1]]
    first = ota.list_packages(app_id=space, limit=2)
    assert ids(ota.list_packages(app_id=space, limit=2, marker=first.page.marker)) == [made[2], made[1]]
    for query in ({}, {"package_type": "x"}, {"package_type": "firmwarePackage", "version": "a b"}):
        ota.world.rest.get("/ota-upgrades/packages", query=query).must_be(400, "IOTDA.000006")
    ota.world.app.delete_app(space)
    with refused(404, "IOTDA.018110"):
        ota.show_package(made[0])


def test_everything_goes_with_the_product(ota):
    product = ota.world.product()
    module = ota.create_module(product_id=product, module_name="m").module_id
    package = ota.create_package(product_id=product).package_id
    ota.world.app.delete_product(product)
    with refused(404, "IOTDA.018100"):
        ota.show_module(module)
    with refused(404, "IOTDA.018110"):
        ota.show_package(package)
