"""Provisioning templates and devices that register themselves by them (`iotda-v5-api.md`, provisioning templates)."""

import copy
import re

import pytest
from huaweicloudsdkiotda.v5 import model as sdk

from rig.application import refused
from rig.authority import Authority
from rig.device import Registration
from rig.world import World, fresh_name

BAD_CREDENTIALS, NOT_AUTHORISED = 4, 5
NAME, COUNTRY = "iotda::certificate::common_name", "iotda::certificate::country"


def body(product_id: str, **device) -> dict:
    return {
        "parameters": {NAME: {"type": "String"}, COUNTRY: {"type": "String"}},
        "resources": {"device": {
            "device_id": {"ref": NAME}, "node_id": {"ref": NAME}, "product_id": product_id,
            "tags": [{"tag_key": "land", "tag_value": {"ref": COUNTRY}}], **device}},
    }


def as_sdk(raw: dict) -> sdk.ProvisioningTemplateBody:
    device = {k: sdk.ParameterRef(v["ref"]) if k in ("device_id", "device_name", "node_id") else v
              for k, v in raw["resources"]["device"].items()}
    device["tags"] = [sdk.TagRef(**tag) for tag in device.get("tags", [])]
    policy = raw["resources"].get("policy")
    return sdk.ProvisioningTemplateBody(parameters=raw["parameters"], resources=sdk.TemplateResource(
        device=sdk.DeviceResource(**device), policy=sdk.PolicyResource(**policy) if policy else None))


@pytest.fixture
def template(world):
    made = world.app.create_template(template_name=fresh_name("t"), template_body=as_sdk(body(world.product_id)))
    yield made
    world.rest.delete(f"/provisioning-templates/{made.template_id}")


# --- templates --------------------------------------------------------------------------------------------------------

def test_a_template_is_kept_whole(world):
    name = fresh_name("模板-t")
    made = world.app.create_template(template_name=name, description="meters, all", template_body=as_sdk(body("p1")))
    assert re.fullmatch("[0-9a-f]{24}", made.template_id)
    assert re.fullmatch(r"\d{8}T\d{6}Z", made.create_time) and made.update_time == made.create_time
    shown = world.app.show_template(made.template_id)
    assert (shown.template_name, shown.description) == (name, "meters, all")
    assert shown.template_body.parameters == body("p1")["parameters"]
    device = shown.template_body.resources.device
    assert (device.device_id.ref, device.node_id.ref, device.product_id) == (NAME, NAME, "p1")
    assert [(t.tag_key, t.tag_value) for t in device.tags] == [("land", {"ref": COUNTRY})]
    world.app.delete_template(made.template_id)
    with refused(404, "IOTDA.016200"):
        world.app.show_template(made.template_id)


def test_a_template_is_changed(world, template):
    changed = world.app.update_template(template.template_id, description="new", template_body=as_sdk(body("p2")))
    shown = world.app.show_template(template.template_id)
    for found in (changed, shown):
        assert (found.template_name, found.description) == (template.template_name, "new")
        assert found.template_body.resources.device.product_id == "p2"
    world.app.update_template(template.template_id, description="newer")
    shown = world.app.show_template(template.template_id)
    assert (shown.description, shown.template_body.resources.device.product_id) == ("newer", "p2")


def test_lists_have_no_bodies_and_are_filtered_and_paged(own_world):
    made = [own_world.app.create_template(template_name=f"line-{i}", template_body=as_sdk(body("p")))
            for i in range(4)]
    listed = own_world.app.list_templates()
    assert [t.template_id for t in listed.templates] == [t.template_id for t in made[::-1]]
    assert listed.page.count == 4
    assert "template_body" not in own_world.rest.get("/provisioning-templates").json["templates"][0]
    assert [t.template_name for t in own_world.app.list_templates(template_name="ne-2").templates] == ["line-2"]
    first = own_world.app.list_templates(limit=3)
    rest = own_world.app.list_templates(limit=3, marker=first.page.marker)
    assert [t.template_name for t in rest.templates] == ["line-0"]


def test_the_limit(own_world):
    for i in range(10):
        own_world.app.create_template(template_name=f"t{i}", template_body=as_sdk(body("p")))
    with refused(403, "IOTDA.016202"):
        own_world.app.create_template(template_name="t10", template_body=as_sdk(body("p")))


def broken(path: str, value) -> dict:
    made = copy.deepcopy(body("p"))
    at = made
    *above, last = path.split(".")
    for name in above:
        at = at[int(name)] if isinstance(at, list) else at[name]
    at[last] = value
    return made


@pytest.mark.parametrize("path, value", [
    ("parameters", []), ("parameters", {"iotda::mqtt::username": {"type": "String"}}),
    ("parameters", {NAME: {"type": "Integer"}}), ("resources", None), ("resources.device", []),
    ("resources.device.node_id", "fixed"), ("resources.device.node_id", {"ref": "iotda::certificate::organization"}),
    ("resources.device.product_id", "a b"), ("resources.device.product_id", 7), ("resources.device.tags", {}),
    ("resources.device.tags", [{"tag_key": "x"}]), ("resources.device.tags.0.tag_key", "a b"),
    ("resources.policy", {"policy_ids": [1]}),
])
def test_a_broken_body_is_refused_with_its_place(world, path, value):
    answer = world.rest.post("/provisioning-templates", json={"template_name": "t", "template_body": broken(path, value)})
    answer.must_be(400, "IOTDA.016201")
    assert f"template_body.{path.split('.')[0]}" in answer.json["error_msg"], answer.json


@pytest.mark.parametrize("fields", [
    {"template_body": {}}, {"template_name": "a b", "template_body": {}}, {"template_name": "x" * 129, "template_body": {}},
    {"template_name": "t"}, {"template_name": "t", "template_body": {}, "description": "<b>"}])
def test_broken_fields_are_refused(world, fields):
    answer = world.rest.post("/provisioning-templates", json=fields)
    assert answer.status == 400, answer


def test_a_huge_body_is_refused(world):
    huge = body("p")
    huge["more"] = "x" * 20_000
    world.rest.post("/provisioning-templates", json={"template_name": "t", "template_body": huge}).must_be(
        400, "IOTDA.016201")


def test_an_unknown_template(world):
    for call in (world.app.show_template, world.app.delete_template,
                 lambda i: world.app.update_template(i, description="x")):
        with refused(404, "IOTDA.016200"):
            call("0" * 24)


def test_a_template_in_use_is_not_deleted(world, template, tmp_path):
    ca = world.app.trust(Authority(tmp_path))
    changed = world.app.update_ca(ca.certificate_id, provision_enable=True, template_id=template.template_id)
    assert (changed.provision_enable, changed.template_id) == (True, template.template_id)
    with refused(403, "IOTDA.016203"):
        world.app.delete_template(template.template_id)
    with refused(400, "IOTDA.000006"):
        world.rest.put(f"/certificates/{ca.certificate_id}", json={"template_id": None})
        world.app.update_ca(ca.certificate_id, template_id="")
    unbound = world.rest.put(f"/certificates/{ca.certificate_id}", json={
        "template_id": None, "provision_enable": False}).must_be(200).json
    assert ("template_id" in unbound, unbound["provision_enable"]) == (False, False)
    world.app.delete_template(template.template_id)


def test_the_sdk_unbinds_with_an_empty_text(world, template, tmp_path):
    ca = world.app.add_ca(Authority(tmp_path).pem)
    world.app.update_ca(ca.certificate_id, template_id=template.template_id)
    assert world.app.show_ca(ca.certificate_id).template_id == template.template_id
    assert world.app.update_ca(ca.certificate_id, template_id="").template_id is None
    assert world.app.show_ca(ca.certificate_id).template_id is None


# --- devices that register themselves ---------------------------------------------------------------------------------

class Line:
    """A production line: an authority with a template."""

    def __init__(self, world: World, folder, enabled=True, policy=None, **device):
        self.world = world
        self.authority = Authority(folder)
        self.ca = world.app.trust(self.authority)
        raw = body(world.product_id, **device)
        if policy:
            raw["resources"]["policy"] = {"policy_ids": [policy]}
        self.template = world.app.create_template(template_name=fresh_name("line"), template_body=as_sdk(raw))
        world.app.update_ca(self.ca.certificate_id, provision_enable=enabled, template_id=self.template.template_id)

    def close(self):
        self.world.app.update_ca(self.ca.certificate_id, provision_enable=False, template_id="")
        self.world.app.delete_template(self.template.template_id)

    def device(self, name=None) -> Registration:
        found = Registration(self.world.platform, name or fresh_name("self"), None)
        self.world.registrations.append(found)
        return found


@pytest.fixture
def line(world, tmp_path):
    made = Line(world, tmp_path)
    yield made
    made.close()


def code_of(device, certificate) -> int:
    with device.raw("mqtts", connected=False, certificate=certificate) as link:
        answer = link.connect(**device.credentials())
        return answer.code


def test_an_unknown_device_registers_itself(world, line):
    device = line.device()
    certificate = line.authority.issue(f"/C=CN/CN={device.device_id}")
    with refused(404, "IOTDA.014000"):
        world.app.show_device(device.device_id)
    link = device.raw("mqtts", certificate=certificate)
    shown = world.app.show_device(device.device_id)
    assert (shown.node_id, shown.product_id, shown.status) == (device.device_id, world.product_id, "ONLINE")
    assert (shown.auth_info.auth_type, shown.auth_info.fingerprint) == ("CERTIFICATES", certificate.sha256)
    assert [(t.tag_key, t.tag_value) for t in shown.tags] == [("land", "CN")]
    link.leave()
    assert code_of(device, certificate) == 0
    assert world.app.list_device_certificates(fingerprint=certificate.sha256).page.count == 1


def test_a_device_without_device_id_gets_the_usual_one(world, tmp_path):
    raw = body(world.product_id, device_name={"ref": COUNTRY})
    del raw["resources"]["device"]["device_id"]
    line = Line(world, tmp_path)
    world.app.update_template(line.template.template_id, template_body=as_sdk(raw))
    node = fresh_name("node")
    device = line.device(f"{world.product_id}_{node}")
    assert code_of(device, line.authority.issue(f"/C=DE/CN={node}")) == 0
    shown = world.app.show_device(device.device_id)
    assert (shown.node_id, shown.device_name) == (node, "DE")
    line.close()


def test_a_device_can_register_only_itself(world, line):
    certificate = line.authority.issue("/C=CN/CN=somebody")
    device = line.device()
    assert code_of(device, certificate) == NOT_AUTHORISED
    with refused(404, "IOTDA.014000"):
        world.app.show_device(device.device_id)


def test_a_subject_without_a_parameter_is_refused(world, line):
    device = line.device()
    assert code_of(device, line.authority.issue(f"/CN={device.device_id}")) == NOT_AUTHORISED
    with refused(404, "IOTDA.014000"):
        world.app.show_device(device.device_id)


def test_nobody_registers_while_it_is_off(world, tmp_path):
    line = Line(world, tmp_path, enabled=False)
    device = line.device()
    certificate = line.authority.issue(f"/C=CN/CN={device.device_id}")
    assert code_of(device, certificate) == BAD_CREDENTIALS
    world.app.update_ca(line.ca.certificate_id, provision_enable=True)
    assert code_of(device, certificate) == 0
    line.close()


def test_an_unverified_authority_registers_nobody(world, template, tmp_path):
    authority = Authority(tmp_path)
    ca = world.app.add_ca(authority.pem)
    world.app.update_ca(ca.certificate_id, provision_enable=True, template_id=template.template_id)
    device = Registration(world.platform, fresh_name("self"), None)
    assert code_of(device, authority.issue(f"/C=CN/CN={device.device_id}")) == BAD_CREDENTIALS
    with refused(404, "IOTDA.014000"):
        world.app.show_device(device.device_id)
    world.app.update_ca(ca.certificate_id, provision_enable=False, template_id="")


def test_a_product_that_is_not_there_is_refused(world, tmp_path):
    line = Line(world, tmp_path)
    world.app.update_template(line.template.template_id, template_body=as_sdk(body("nowhere")))
    device = line.device()
    assert code_of(device, line.authority.issue(f"/C=CN/CN={device.device_id}")) == NOT_AUTHORISED
    line.close()


def test_policies_of_the_template_are_bound(world, tmp_path):
    policy = world.rest.post("/device-policies", json={"policy_name": fresh_name("p"), "statement": [
        {"effect": "DENY", "actions": ["iotda:devices:publish"], "resources": ["topic:/no/*"]}]}).must_be(201).json
    line = Line(world, tmp_path, policy=policy["policy_id"])
    device = line.device()
    assert code_of(device, line.authority.issue(f"/C=CN/CN={device.device_id}")) == 0
    targets = world.rest.post(f"/device-policies/{policy['policy_id']}/list-targets", json={}).must_be(200).json["targets"]
    assert [t["target_id"] for t in targets] == [device.device_id]
    line.close()


def test_a_policy_that_is_not_there_is_refused(world, tmp_path):
    line = Line(world, tmp_path, policy="0" * 24)
    device = line.device()
    assert code_of(device, line.authority.issue(f"/C=CN/CN={device.device_id}")) == NOT_AUTHORISED
    with refused(404, "IOTDA.014000"):
        world.app.show_device(device.device_id)
    line.close()


def test_many_connections_at_once_register_one_device(world, line):
    from concurrent.futures import ThreadPoolExecutor

    device = line.device()
    certificate = line.authority.issue(f"/C=CN/CN={device.device_id}")

    def attempt(_):
        with device.raw("mqtts", connected=False, certificate=certificate) as link:
            try:
                return link.connect(**device.credentials()).code
            except Exception:  # another connection took its place
                return None

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(attempt, range(8)))
    assert 0 in codes and set(codes) <= {0, 3, None}, codes
    assert world.app.show_device(device.device_id).auth_info.fingerprint == certificate.sha256
