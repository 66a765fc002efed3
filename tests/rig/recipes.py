"""How each operation is called about the things of one space: what the permission matrix needs to know of it.

A recipe is a function from `Things` to a `Request`. To add one: write a line in `RECIPES` under the operation's id (its
`operationId` in /v5/openapi.json). If it is about a kind of thing that is not here yet, add a `cached_property` to `Things`
that makes one in `self.app_id` as the administrator, with `self.mark` in every id and name that can be chosen: an answer that
holds the mark of a foreign space is a leak. Add the path where the thing can be looked at to `Things.shown`, so that the
matrix sees whether somebody changed it. If a body can name things of another space besides the one the operation is about,
add that to `FOREIGN`.
"""

import secrets
from dataclasses import dataclass, field
from functools import cached_property

from rig import platform_times
from rig.authority import Authority
from rig.deadline import wait_for
from rig.device import Registration
from rig.files import FileArea
from rig.identity import Identity
from rig.product_models import THERMOMETER
from rig.rest import Rest
from rig.world import fresh_name

NOWHERE = "f" * 24


@dataclass
class Request:
    path: dict = field(default_factory=dict)
    query: dict = field(default_factory=dict)
    json: object = None
    #: Name of the part and content of an uploaded file.
    file: tuple[str, bytes] | None = None


class Things:
    """One space with one of each kind of thing, made by the administrator when asked for."""

    def __init__(self, platform, folder):
        self.platform = platform
        self.folder = folder
        self.admin = Rest(platform)
        self.identity = Identity(platform)
        #: Stands in every id and name of this space.
        self.mark = f"m{secrets.token_hex(5)}"
        self.app_id = self.make("/apps", {"app_name": self.name("space")})["app_id"]

    def name(self, what: str) -> str:
        return f"{what}_{self.mark}_{secrets.token_hex(2)}"

    def make(self, path: str, body: dict, **more) -> dict:
        answer = self.admin.post(path, json=body, **more)
        assert answer.status in (200, 201), (path, body, answer)
        return answer.json

    @property
    def marks(self) -> list[str]:
        """What no foreign answer may hold."""
        return [self.mark, self.app_id]

    @cached_property
    def product(self) -> str:
        return self.make("/products", {
            "product_id": self.name("p"), "name": self.name("product"), "device_type": "T", "protocol_type": "MQTT",
            "data_format": "json", "service_capabilities": THERMOMETER, "app_id": self.app_id})["product_id"]

    def new_device(self, **fields) -> str:
        return self.make("/devices", {"device_id": self.name("d"), "node_id": self.name("n"), "device_name": self.name("dn"),
                                      "product_id": self.product, "app_id": self.app_id, **fields})["device_id"]

    @cached_property
    def device(self) -> str:
        return self.new_device()

    @cached_property
    def message(self) -> str:
        made = self.make(f"/devices/{self.device}/messages", {"message": self.name("text"), "ttl": 60})
        return made["message_id"]

    @cached_property
    def topic(self) -> str:
        made = self.make(f"/products/{self.product}/topics", {"topic": self.mark,
                                                              "operation": "ALL"}, query={"app_id": self.app_id})
        return made["topic_id"]

    @cached_property
    def group(self) -> str:
        """A group with one device, which has a tag."""
        made = self.make("/device-group", {"name": self.name("g"), "app_id": self.app_id})["group_id"]
        query = {"action_id": "addDevice", "device_id": self.device}
        self.admin.post(f"/device-group/{made}/action", query=query).must_be(200)
        tags = {"resource_type": "device", "resource_id": self.device, "tags": [{"tag_key": "k", "tag_value": "v"}]}
        self.admin.post("/tags/bind-resource", json=tags).must_be(200)
        return made

    @cached_property
    def device_policy(self) -> str:
        return self.make("/device-policies", {"policy_name": self.name("policy"), "app_id": self.app_id,
                                              "statement": STATEMENT})["policy_id"]

    @cached_property
    def task(self) -> str:
        """A batch task of tomorrow, so that it changes nothing."""
        return self.make("/batchtasks", self.new_task())["task_id"]

    def new_task(self) -> dict:
        tomorrow = platform_times.compact(platform_times.utc_now(self.platform.clock_offset_ms + 86_400_000))
        return {"app_id": self.app_id, "task_name": self.name("task"), "task_type": "createMessages",
                "targets": [self.device], "document": {"message": "x"}, "task_policy": {"schedule_time": tomorrow}}

    @cached_property
    def batch_file(self) -> str:
        """A file of the administrator's: files belong to who uploaded them."""
        head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{self.mark}.csv"\r\n\r\ndevice_id\r\n{self.device}\r\n--b--\r\n'
        answer = self.admin.post("/batchtask-files", body=head.encode(), content_type="multipart/form-data; boundary=b")
        return answer.must_be(201).json["file_id"]

    @cached_property
    def export(self) -> str:
        return self.make("/export-tasks", self.new_export())["export_task_id"]

    def new_export(self) -> dict:
        return {"resource_type": "BatchTask", "resource_condition": {"task_id": self.task}, "app_type": "APP",
                "app_id": self.app_id}

    @cached_property
    def authority(self) -> Authority:
        folder = self.folder / self.mark
        folder.mkdir()
        return Authority(folder)

    @cached_property
    def certificate(self) -> str:
        return self.make("/certificates", {"content": self.authority.pem, "app_id": self.app_id})["certificate_id"]

    @cached_property
    def template(self) -> str:
        return self.make("/provisioning-templates", {"template_name": fresh_name("t"), "template_body": TEMPLATE})["template_id"]

    @cached_property
    def queue(self) -> str:
        return self.make("/amqp-queues", {"queue_name": fresh_name("queue")})["queue_id"]

    @cached_property
    def alarm(self) -> str:
        """Raised by a rule, for a device that reported once."""
        made = self.make("/devices", {"device_id": self.name("d"), "node_id": self.name("n"), "product_id": self.product,
                                      "app_id": self.app_id})
        device = made["device_id"]
        condition = {"type": "DEVICE_DATA", "device_property_condition": {"device_id": device, "filters": [
            {"path": "Temperature/value", "operator": ">", "value": "8"}]}}
        self.make("/rules", {
            "name": self.name("r"), "rule_type": "DEVICE_LINKAGE", "app_id": self.app_id,
            "condition_group": {"conditions": [condition], "logic": "and"},
            "actions": [{"type": "DEVICE_ALARM", "device_alarm": {
                "name": self.name("alarm"), "alarm_status": "fault", "severity": "major", "dimension": "device"}}]})
        registration = Registration(self.platform, device, made["auth_info"]["secret"], made["node_id"], self.product)
        registration.connect().report(value=9)
        found = wait_for(lambda: self.admin.get("/alarms", query={"device_id": device}).must_be(200).json["alarms"])
        registration.close()
        return found[0]["alarm_id"]

    @cached_property
    def notification_topic(self) -> str:
        return self.make("/notification-topics", {"name": fresh_name("topic")})["topic_id"]

    @cached_property
    def subscription(self) -> str:
        body = {"protocol": "http", "endpoint": "http://example.com/"}
        return self.make(f"/notification-topics/{self.notification_topic}/subscriptions", body)["subscription_id"]

    @cached_property
    def routing_rule(self) -> str:
        return self.make("/routing-rule/rules", self.new_routing_rule())["rule_id"]

    def new_routing_rule(self) -> dict:
        return {"rule_name": self.name("rule"), "subject": {"resource": "device", "event": "create"}, "app_type": "APP",
                "app_id": self.app_id}

    @cached_property
    def rule_action(self) -> str:
        return self.make("/routing-rule/actions", self.new_rule_action())["action_id"]

    def new_rule_action(self) -> dict:
        return {"rule_id": self.routing_rule, "channel": "HTTP_FORWARDING",
                "channel_detail": {"http_forwarding": {"url": f"http://127.0.0.1:9/{self.mark}"}}}

    @cached_property
    def backlog_policy(self) -> str:
        return self.make("/routing-rule/backlog-policy", {"policy_name": fresh_name("p")})["policy_id"]

    @cached_property
    def flow_control_policy(self) -> str:
        return self.make("/routing-rule/flowcontrol-policy",
                         {"policy_name": fresh_name("p"), "scope": "ACTION", "scope_value": self.rule_action})["policy_id"]

    @cached_property
    def preset(self) -> str:
        return self.admin.get("/product-presets").must_be(200).json["presets"][0]["preset_id"]

    @cached_property
    def file(self) -> dict:
        """A file that is uploaded, for the devices of the space."""
        return FileArea(self.admin).upload(self.name("file"), b"content", app_id=self.app_id)

    @cached_property
    def function(self) -> str:
        return self.make("/functions", self.new_function())["function_id"]

    def new_function(self) -> dict:
        return {"app_id": self.app_id, "name": self.name("f"), "type": "javascript",
                "source": f"function handler(event) {{ return '{self.mark}' }}"}

    @cached_property
    def linkage_rule(self) -> str:
        return self.make("/rules", self.new_linkage_rule())["rule_id"]

    def new_linkage_rule(self) -> dict:
        """A rule that never acts: it is not active."""
        condition = {"device_id": self.device, "filters": [{"path": "Temperature/value", "operator": ">", "value": "8"}]}
        command = {"service_id": "Temperature", "command_name": "ON_OFF", "command_body": {"value": "ON"}}
        return {"app_id": self.app_id, "name": self.name("rule"), "rule_type": "DEVICE_LINKAGE", "status": "inactive",
                "condition_group": {"conditions": [{"type": "DEVICE_DATA", "device_property_condition": condition}]},
                "actions": [{"type": "DEVICE_CMD", "device_command": {"device_id": self.device, "cmd": command}}]}

    @cached_property
    def ota_module(self) -> str:
        return self.make("/ota-upgrades/modules", {"app_id": self.app_id, "product_id": self.product,
                                                   "module_name": self.name("m")})["module_id"]

    @cached_property
    def ota_package(self) -> str:
        return self.make("/ota-upgrades/packages", new_package(self, self))["package_id"]

    # Users belong to no space; each world has some of its own.

    @cached_property
    def user(self) -> str:
        return self.identity.user().id

    @cached_property
    def user_group(self) -> str:
        group = self.identity.group()
        self.identity.join(group, self.user)
        return group

    @cached_property
    def role(self) -> str:
        from rig.identity import allow

        role = self.identity.policy(allow("iotda:*:query"))
        self.identity.grant(self.user_group, role)
        return role

    @cached_property
    def access_key(self) -> str:
        return self.identity.key(self.user).access

    def shown(self) -> dict:
        """Everything of this space as the administrator sees it, by path."""
        # All of them first: what is made while looking would look like a change.
        for thing in ("message", "topic", "group", "device_policy", "certificate", "template", "queue", "file", "function", "linkage_rule", "ota_module",
                      "ota_package", "rule_action", "backlog_policy", "flow_control_policy", "role", "access_key", "alarm", "subscription", "task", "export", "batch_file"):
            getattr(self, thing)
        app = {"app_id": self.app_id}
        looks = [
            (f"/apps/{self.app_id}", {}), (f"/apps/{self.app_id}/push", {}), ("/products", app), ("/devices", app),
            (f"/products/{self.product}", app), (f"/products/{self.product}/topics", app), (f"/devices/{self.device}", {}),
            (f"/devices/{self.device}/shadow", {}), (f"/devices/{self.device}/messages", {}),
            ("/device-group", app), (f"/device-group/{self.group}", {}), (f"/device-group/{self.group}/devices", {}),
            (f"/batchtasks/{self.task}", {}),
            ("/export-tasks", {"resource_type": "BatchTask"}),
            ("/device-policies", app), (f"/device-policies/{self.device_policy}", {}), ("/certificates", app),
            (f"/certificates/{self.certificate}", {}), ("/provisioning-templates", {}), ("/amqp-queues", {}),
            ("/routing-rule/rules", app), (f"/routing-rule/rules/{self.routing_rule}", {}),
            ("/routing-rule/actions", app), (f"/routing-rule/actions/{self.rule_action}", {}),
            (f"/routing-rule/backlog-policy/{self.backlog_policy}", {}),
            (f"/routing-rule/flowcontrol-policy/{self.flow_control_policy}", {}),
            ("/rules", app), (f"/rules/{self.linkage_rule}", {}),
            ("/alarms", app), (f"/alarms/{self.alarm}", {}), ("/notification-topics", {}), (f"/notification-topics/{self.notification_topic}/subscriptions", {}),
            ("/functions", app), (f"/functions/{self.function}", {}), ("/files", app), (f"/files/{self.file['file_id']}", {}), ("/ota-upgrades/modules", app),
            ("/ota-upgrades/packages", {**app, "package_type": "firmwarePackage"}),
            (f"/ota-upgrades/modules/{self.ota_module}", {}), (f"/ota-upgrades/packages/{self.ota_package}", {}),
            ("//v3/users", {}), ("//v3/groups", {}), ("//v3/roles", {}),
            (f"//v3/groups/{self.user_group}/users", {}), (f"//v3.0/OS-CREDENTIAL/credentials/{self.access_key}", {}),
            (f"//v3/projects/{self.platform.project_id}/groups/{self.user_group}/roles", {}),
        ]
        found = {path: self.admin.get(path, query=query) for path, query in looks}
        found |= {f"targets {kind}": self.admin.post(
            f"/device-policies/{self.device_policy}/list-targets", json={"target_type": kind})
            for kind in ("device", "product", "app")}
        shown = {path: f"{answer.status} {answer.text}" for path, answer in found.items()}
        # The administrator sees everybody's files; others may upload some of their own.
        return shown | {"its file": self.batch_file in self.admin.get("/batchtask-files").text}


STATEMENT = [{"effect": "ALLOW", "actions": ["iotda:devices:publish"], "resources": ["topic:/v1/test"]}]
TEMPLATE = {
    "parameters": {"iotda::certificate::common_name": {"type": "String"}},
    "resources": {"device": {"node_id": {"ref": "iotda::certificate::common_name"}, "product_id": "p"}},
}



def of_app(t, **more):
    return Request({"app_id": t.app_id}, **more)


def of_device(t, **more):
    return Request({"device_id": t.device}, **more)


def of_product(t, **more):
    return Request({"product_id": t.product}, {"app_id": t.app_id, **more.pop("query", {})}, **more)


def of_device_group(t, **more):
    return Request({"group_id": t.group}, **more)


def tags(device, name="tags", values=({"tag_key": "k2", "tag_value": "v2"},)):
    return {"resource_type": "device", "resource_id": device, name: list(values)}


def of_policy(t, **more):
    return Request({"policy_id": t.device_policy}, **more)


def of_notification_topic(t, **more):
    return Request({"topic_id": t.notification_topic}, **more)


def of_subscription(t, **more):
    return Request({"topic_id": t.notification_topic, "subscription_id": t.subscription}, **more)


def of_rule(t, **more):
    return Request({"rule_id": t.routing_rule}, **more)


def of_action(t, **more):
    return Request({"action_id": t.rule_action}, **more)


def of_file(t, **more):
    return Request({"file_id": t.file["file_id"]}, **more)


def new_package(t, owner):
    """A package in space `t` of a file of `owner`."""
    location = {"region_name": "r", "bucket_name": owner.file["bucket_name"], "object_key": owner.file["object_key"]}
    return {"app_id": t.app_id, "product_id": t.product, "package_type": "firmwarePackage", "version": t.name("v"),
            "file_location": {"obs_location": location}}


def of_user(t, **more):
    return Request({"user_id": t.user}, **more)


def of_group(t, **more):
    return Request({"group_id": t.user_group}, **more)


def of_role(t, **more):
    return Request({"role_id": t.role}, **more)


def of_grant(t):
    return Request({"group_id": t.user_group, "role_id": t.role})


def of_key(t, **more):
    return Request({"access_key": t.access_key}, **more)


def new_product(t):
    return {"name": t.name("x"), "device_type": "T", "protocol_type": "MQTT", "data_format": "json",
            "service_capabilities": [], "app_id": t.app_id}


def new_role():
    return {"role": {"display_name": fresh_name("r"), "type": "XA", "description": "d", "policy": {
        "Version": "1.1", "Statement": [{"Effect": "Allow", "Action": ["iotda:*:query"]}]}}}


def of_function(t, **more):
    return Request({"function_id": t.function}, **more)


RECIPES = {
    # Resource spaces
    "add_application": lambda t: Request(json={"app_name": t.name("new")}),
    "show_applications": lambda t: Request(),
    "delete_application": of_app,
    "show_application": of_app,
    "update_application": lambda t: of_app(t, json={"app_name": t.name("renamed")}),
    "set_push": lambda t: of_app(t, json={"url": "http://127.0.0.1:9/"}),
    "show_push": of_app,
    "delete_push": of_app,
    # Products
    "create_product": lambda t: Request(json=new_product(t)),
    "list_products": lambda t: Request(),
    "delete_product": of_product,
    "show_product": of_product,
    "update_product": lambda t: of_product(t, json={"app_id": t.app_id, "name": "changed"}),
    "add_topic": lambda t: of_product(t, json={"topic": "x", "operation": "ALL"}),
    "list_topics": of_product,
    "delete_topic": lambda t: Request({"product_id": t.product, "topic_id": t.topic}, {"app_id": t.app_id}),
    "import_product": lambda t: Request(query={"name": t.name("x"), "app_id": t.app_id}, file=("file", b"PK")),
    "export_product_model": of_product,
    "replace_product_model": lambda t: of_product(t, file=("file", b"PK")),
    "show_product_model_template": lambda t: Request(),
    "list_product_presets": lambda t: Request(),
    "show_product_preset": lambda t: Request({"preset_id": t.preset}),
    "use_product_preset": lambda t: Request({"preset_id": t.preset}, json={"app_id": t.app_id}),
    # Devices
    "add_device": lambda t: Request(json={"node_id": t.name("x"), "product_id": t.product, "app_id": t.app_id}),
    "list_devices": lambda t: Request(),
    "delete_device": of_device,
    "change_gateway": lambda t: of_device(t, json={"gateway_id": t.device}),
    "show_device": of_device,
    "update_device": lambda t: of_device(t, json={"device_name": "changed"}),
    "freeze_device": of_device,
    "unfreeze_device": of_device,
    "reset_device_secret": lambda t: of_device(t, query={"action_id": "resetSecret"}, json={"secret": "12345678"}),
    "reset_fingerprint": lambda t: of_device(t, json={}),
    "show_device_history": of_device,
    # Shadow, messages, commands, properties
    "delete_device_shadow": of_device,
    "show_device_shadow": of_device,
    "update_device_shadow_desired_data": lambda t: of_device(
        t, json={"shadow": [{"service_id": "Temperature", "desired": {"unit": "C"}}]}),
    "create_message": lambda t: of_device(t, json={"message": "x"}),
    "list_device_messages": of_device,
    "delete_device_message": lambda t: Request({"device_id": t.device, "message_id": t.message}),
    "show_device_message": lambda t: Request({"device_id": t.device, "message_id": t.message}),
    "create_command": lambda t: of_device(t, json={"service_id": "s", "command_name": "c", "paras": {}}),
    "list_properties": lambda t: of_device(t, query={"service_id": "Temperature"}),
    "update_properties": lambda t: of_device(
        t, json={"services": [{"service_id": "Temperature", "properties": {"unit": "C"}}]}),
    "search_devices": lambda t: Request(json={"sql": "select * from device"}),
    # Groups, tags
    "list_device_groups_by_device": of_device,
    "add_device_group": lambda t: Request(json={"name": t.name("x"), "app_id": t.app_id}),
    "list_device_groups": lambda t: Request(),
    "delete_device_group": of_device_group,
    "show_device_group": of_device_group,
    "update_device_group": lambda t: of_device_group(t, json={"name": "changed"}),
    "create_or_delete_device_in_group": lambda t: of_device_group(
        t, query={"action_id": "removeDevice", "device_id": t.device}),
    "show_devices_in_group": of_device_group,
    "list_resources_by_tags": lambda t: Request(
        json={"resource_type": "device", "tags": [{"tag_key": "k", "tag_value": "v"}]}),
    "tag_device": lambda t: Request(json=tags(t.device)),
    "untag_device": lambda t: Request(json=tags(t.device, "tag_keys", ("k",))),
    # Device policies
    "create_device_policy": lambda t: Request(
        json={"policy_name": t.name("x"), "app_id": t.app_id, "statement": STATEMENT}),
    "list_device_policies": lambda t: Request(),
    "delete_device_policy": of_policy,
    "show_device_policy": of_policy,
    "update_device_policy": lambda t: of_policy(t, json={"policy_name": "changed"}),
    "bind_device_policy": lambda t: of_policy(t, json={"target_type": "device", "target_ids": [t.device]}),
    "show_targets_in_device_policy": lambda t: of_policy(t, json={"target_type": "device"}),
    "unbind_device_policy": lambda t: of_policy(t, json={"target_type": "device", "target_ids": [t.device]}),
    # Certificates
    "add_certificate": lambda t: Request(json={"content": t.authority.pem, "app_id": t.app_id}),
    "list_certificates": lambda t: Request(),
    "delete_certificate": lambda t: Request({"certificate_id": t.certificate}),
    "show_certificate": lambda t: Request({"certificate_id": t.certificate}),
    "update_certificate": lambda t: Request({"certificate_id": t.certificate}, json={"provision_enable": False}),
    "check_certificate": lambda t: Request({"certificate_id": t.certificate}, {"action_id": "verify"},
                                           {"verify_content": t.authority.pem}),
    # These come into being when devices connect with one; test_x509 looks at whose they are.
    "list_device_certificate": lambda t: Request(),
    "delete_device_certificate": lambda t: Request({"certificate_id": NOWHERE}),
    "show_device_certificate": lambda t: Request({"certificate_id": NOWHERE}),
    "update_device_certificate": lambda t: Request({"certificate_id": NOWHERE}, json={"status": "INACTIVE"}),
    "list_device_by_device_certificate": lambda t: Request({"certificate_id": NOWHERE}, json={}),
    "create_server_certificate": lambda t: Request(json={"certificate_pem": "x", "private_key": "x"}),
    "list_server_certificate": lambda t: Request(),
    "delete_server_certificate": lambda t: Request({"server_certificate_id": NOWHERE}),
    "show_server_certificate": lambda t: Request({"server_certificate_id": NOWHERE}),
    "create_provisioning_template": lambda t: Request(json={"template_name": fresh_name("t"), "template_body": TEMPLATE}),
    "list_provisioning_templates": lambda t: Request(),
    "delete_provisioning_template": lambda t: Request({"template_id": t.template}),
    "show_provisioning_template": lambda t: Request({"template_id": t.template}),
    "update_provisioning_template": lambda t: Request({"template_id": t.template}, json={"description": "changed"}),
    # Batch tasks, exports
    "broadcast_message": lambda t: Request(json={"app_id": t.app_id, "topic_full_name": "$oc/broadcast/x", "message": "eA=="}),
    "create_batch_task": lambda t: Request(json=t.new_task()),
    "list_batch_tasks": lambda t: Request(query={"task_type": "createMessages"}),
    "show_batch_task": lambda t: Request({"task_id": t.task}),
    "confirm_batch_task": lambda t: Request({"task_id": t.task}),
    "retry_batch_task": lambda t: Request({"task_id": t.task}, json={"targets": [t.device]}),
    "stop_batch_task": lambda t: Request({"task_id": t.task}, json={"targets": [t.device]}),
    "delete_batch_task": lambda t: Request({"task_id": t.task}),
    "show_batch_task_template": lambda t: Request({"task_type": "deleteDevices"}),
    "list_batch_task_files": lambda t: Request(),
    "upload_batch_task_file": lambda t: Request(file=("file", b"PK")),
    "delete_batch_task_file": lambda t: Request({"file_id": t.batch_file}),
    "create_export_task": lambda t: Request(json=t.new_export()),
    "list_export_tasks": lambda t: Request(query={"resource_type": "BatchTask"}),
    "show_export_task": lambda t: Request({"export_task_id": t.export}),
    "delete_export_task": lambda t: Request({"export_task_id": t.export}),
    # Gateways, logs
    "list_device_logs": of_device,
    "set_log_config": lambda t: of_device(t, json={"switch": "on"}),
    "show_log_config": of_device,
    "start_scan": lambda t: of_device(t, json={}),
    "list_scan_results": of_device,
    # Data forwarding
    "create_routing_rule": lambda t: Request(json=t.new_routing_rule()),
    "list_routing_rules": lambda t: Request(),
    "show_routing_rule": of_rule,
    "update_routing_rule": lambda t: of_rule(t, json={"rule_name": "changed"}),
    "delete_routing_rule": of_rule,
    "create_rule_action": lambda t: Request(json=t.new_rule_action()),
    "list_rule_actions": lambda t: Request(),
    "show_rule_action": of_action,
    "update_rule_action": lambda t: of_action(t, json={
        "channel": "HTTP_FORWARDING", "channel_detail": {"http_forwarding": {"url": "http://127.0.0.1:9/changed"}}}),
    "delete_rule_action": of_action,
    "test_rule_action": lambda t: of_action(t, json={}),
    "debug_routing_rule": lambda t: Request(json={"resource": "device", "event": "create"}),
    "list_routing_templates": lambda t: Request(),
    "list_routing_statistics": lambda t: Request(),
    "create_routing_backlog_policy": lambda t: Request(json={"policy_name": fresh_name("p")}),
    "list_routing_backlog_policy": lambda t: Request(),
    "show_routing_backlog_policy": lambda t: Request({"policy_id": t.backlog_policy}),
    "update_routing_backlog_policy": lambda t: Request({"policy_id": t.backlog_policy}, json={"policy_name": "changed"}),
    "delete_routing_backlog_policy": lambda t: Request({"policy_id": t.backlog_policy}),
    "create_routing_flow_control_policy": lambda t: Request(
        json={"scope": "RULE", "scope_value": t.routing_rule}),
    "list_routing_flow_control_policy": lambda t: Request(),
    "show_routing_flow_control_policy": lambda t: Request({"policy_id": t.flow_control_policy}),
    "update_routing_flow_control_policy": lambda t: Request(
        {"policy_id": t.flow_control_policy}, json={"policy_name": "changed"}),
    "delete_routing_flow_control_policy": lambda t: Request({"policy_id": t.flow_control_policy}),
    # AMQP queues, access code
    "add_queue": lambda t: Request(json={"queue_name": fresh_name("q")}),
    "batch_show_queue": lambda t: Request(),
    "delete_queue": lambda t: Request({"queue_id": t.queue}),
    "show_queue": lambda t: Request({"queue_id": t.queue}),
    "create_access_code": lambda t: Request(json={}),
    # Device linkage rules
    "create_rule": lambda t: Request(json=t.new_linkage_rule()),
    "list_rules": lambda t: Request(),
    "show_rule": lambda t: Request({"rule_id": t.linkage_rule}),
    "update_rule": lambda t: Request({"rule_id": t.linkage_rule}, json=t.new_linkage_rule()),
    "change_rule_status": lambda t: Request({"rule_id": t.linkage_rule}, json={"status": "active"}),
    "delete_rule": lambda t: Request({"rule_id": t.linkage_rule}),
    # Alarms
    "list_alarms": lambda t: Request(),
    "show_alarm": lambda t: Request({"alarm_id": t.alarm}),
    "acknowledge_alarm": lambda t: Request({"alarm_id": t.alarm}, json={}),
    "clear_alarm": lambda t: Request({"alarm_id": t.alarm}, json={}),
    # Notification topics
    "create_notification_topic": lambda t: Request(json={"name": fresh_name("nt")}),
    "list_notification_topics": lambda t: Request(),
    "show_notification_topic": of_notification_topic,
    "update_notification_topic": lambda t: of_notification_topic(t, json={"display_name": "changed"}),
    "delete_notification_topic": of_notification_topic,
    "publish_notification": lambda t: of_notification_topic(t, json={"message": "x"}),
    "add_subscription": lambda t: of_notification_topic(t, json={"protocol": "http", "endpoint": "http://example.com/x"}),
    "list_subscriptions": of_notification_topic,
    "show_subscription": of_subscription,
    "confirm_subscription": lambda t: of_subscription(t, json={}),
    "delete_subscription": of_subscription,
    # Audit
    "list_audit_logs": lambda t: Request(),
    # Identity
    "create_user": lambda t: Request(json={"user": {"name": fresh_name("u"), "password": "Correct-horse-7"}}),
    "show_user": of_user,
    "update_user": lambda t: of_user(t, json={"user": {"description": "changed"}}),
    "update_user_information": lambda t: of_user(t, json={"user": {"email": "x@example.com"}}),
    "keystone_create_user": lambda t: Request(json={"user": {"name": fresh_name("u"), "password": "Correct-horse-7"}}),
    "keystone_list_users": lambda t: Request(),
    "keystone_show_user": of_user,
    "keystone_update_user_by_admin": lambda t: of_user(t, json={"user": {"description": "changed"}}),
    "keystone_delete_user": of_user,
    "keystone_update_user_password": lambda t: of_user(
        t, json={"user": {"original_password": "Correct-horse-7", "password": "Changed-horse-8"}}),
    "keystone_list_groups_for_user": of_user,
    "keystone_list_projects_for_user": of_user,
    "keystone_create_group": lambda t: Request(json={"group": {"name": fresh_name("g")}}),
    "keystone_list_groups": lambda t: Request(),
    "keystone_show_group": of_group,
    "keystone_update_group": lambda t: of_group(t, json={"group": {"description": "changed"}}),
    "keystone_delete_group": of_group,
    "keystone_list_users_for_group_by_admin": of_group,
    "keystone_add_user_to_group": lambda t: Request({"group_id": t.user_group, "user_id": t.user}),
    "keystone_check_user_in_group": lambda t: Request({"group_id": t.user_group, "user_id": t.user}),
    "keystone_remove_user_from_group": lambda t: Request({"group_id": t.user_group, "user_id": t.user}),
    "create_cloud_service_custom_policy": lambda t: Request(json=new_role()),
    "list_custom_policies": lambda t: Request(),
    "show_custom_policy": of_role,
    "update_cloud_service_custom_policy": lambda t: of_role(t, json=new_role()),
    "delete_custom_policy": of_role,
    "keystone_list_permissions": lambda t: Request(),
    "keystone_show_permission": of_role,
    "keystone_list_domain_permissions_for_group": of_group,
    "keystone_associate_group_with_domain_permission": of_grant,
    "keystone_check_domain_permission_for_group": of_grant,
    "keystone_remove_domain_permission_from_group": of_grant,
    "keystone_list_project_permissions_for_group": of_group,
    "keystone_associate_group_with_project_permission": of_grant,
    "keystone_check_project_permission_for_group": of_grant,
    "keystone_remove_project_permission_from_group": of_grant,
    "keystone_list_all_project_permissions_for_group": of_group,
    "update_domain_group_inherit_role": of_grant,
    "keystone_checkrole_for_group": of_grant,
    "delete_domain_group_inherited_role": of_grant,
    "create_permanent_access_key": lambda t: Request(json={"credential": {"user_id": t.user}}),
    "list_permanent_access_keys": lambda t: Request(query={"user_id": t.user}),
    "show_permanent_access_key": of_key,
    "update_permanent_access_key": lambda t: of_key(t, json={"credential": {"status": "inactive"}}),
    "delete_permanent_access_key": of_key,
    # Files, OTA
    "create_function": lambda t: Request(json=t.new_function()),
    "list_own_functions": lambda t: Request(),
    "show_function": of_function,
    "update_function": lambda t: of_function(t, json={"description": t.name("changed")}),
    "delete_function": of_function,
    "invoke_function": lambda t: of_function(t, json={"argument": {}}),
    "create_file": lambda t: Request(json={"file_name": t.name("x"), "app_id": t.app_id}),
    "list_files": lambda t: Request(),
    "show_file": of_file,
    "show_file_url": of_file,
    "delete_file": of_file,
    "create_ota_module": lambda t: Request(json={"app_id": t.app_id, "product_id": t.product, "module_name": t.name("x")}),
    "list_ota_modules": lambda t: Request(query={"app_id": t.app_id}),
    "show_ota_module": lambda t: Request({"module_id": t.ota_module}),
    "update_ota_module": lambda t: Request({"module_id": t.ota_module}, json={"alias_name": "changed"}),
    "delete_ota_module": lambda t: Request({"module_id": t.ota_module}),
    "create_ota_package": lambda t: Request(json=new_package(t, t)),
    "list_ota_package_info": lambda t: Request(query={"package_type": "firmwarePackage"}),
    "show_ota_package": lambda t: Request({"package_id": t.ota_package}),
    "delete_ota_package": lambda t: Request({"package_id": t.ota_package}),
    "move_clock": lambda t: Request(json={"advance_ms": 1}),
    # For every caller
    "list_projects": lambda t: Request(),
    "list_auth_projects": lambda t: Request(),
    "list_auth_domains": lambda t: Request(),
    "keystone_show_project": lambda t: Request(),
}

#: Bodies and queries by which the user of space `b` tries to reach things of space `a` through things of its own: an
#: operation, and a function of both spaces.
FOREIGN = [
    ("create_routing_rule", lambda a, b: Request(json=b.new_routing_rule() | {"app_id": a.app_id})),
    ("create_rule_action", lambda a, b: Request(json=b.new_rule_action() | {"rule_id": a.routing_rule})),
    ("list_routing_rules", lambda a, b: Request(query={"app_id": a.app_id})),
    ("list_rule_actions", lambda a, b: Request(query={"app_id": a.app_id})),
    ("list_rule_actions", lambda a, b: Request(query={"rule_id": a.routing_rule})),
    ("list_routing_statistics", lambda a, b: Request(query={"rule_id": a.routing_rule})),
    ("create_batch_task", lambda a, b: Request(json=b.new_task() | {"app_id": a.app_id})),
    ("create_batch_task", lambda a, b: Request(json=b.new_task() | {"targets_filter": {"group_ids": [a.group]}, "targets": None})),
    ("create_export_task", lambda a, b: Request(json=b.new_export() | {"resource_condition": {"task_id": a.task}})),
    ("list_batch_tasks", lambda a, b: Request(query={"app_id": a.app_id, "task_type": "createMessages"})),
    ("change_gateway", lambda a, b: Request({"device_id": b.device}, json={"gateway_id": a.device})),
    ("broadcast_message", lambda a, b: Request(json={"app_id": a.app_id, "topic_full_name": "$oc/broadcast/x", "message": "eA=="})),
    ("list_devices", lambda a, b: Request(query={"app_id": a.app_id})),
    ("list_devices", lambda a, b: Request(query={"product_id": a.product})),
    ("list_devices", lambda a, b: Request(query={"gateway_id": a.device})),
    ("list_products", lambda a, b: Request(query={"app_id": a.app_id})),
    ("list_device_policies", lambda a, b: Request(query={"app_id": a.app_id})),
    ("list_certificates", lambda a, b: Request(query={"app_id": a.app_id})),
    ("list_own_functions", lambda a, b: Request(query={"app_id": a.app_id})),
    ("create_function", lambda a, b: Request(json=a.new_function())),
    ("list_rules", lambda a, b: Request(query={"app_id": a.app_id})),
    ("create_rule", lambda a, b: Request(json=a.new_linkage_rule())),
    ("create_rule", lambda a, b: Request(json=a.new_linkage_rule() | {"app_id": b.app_id})),
    ("update_rule", lambda a, b: Request({"rule_id": b.linkage_rule}, json=a.new_linkage_rule() | {"app_id": b.app_id})),
    ("list_files", lambda a, b: Request(query={"app_id": a.app_id})),
    ("list_files", lambda a, b: Request(query={"device_id": a.device})),
    ("list_files", lambda a, b: Request(query={"product_id": a.product})),
    ("create_file", lambda a, b: Request(json={"file_name": "x", "device_id": a.device})),
    ("create_file", lambda a, b: Request(json={"file_name": "x", "product_id": a.product})),
    ("create_file", lambda a, b: Request(json={"file_name": "x", "device_id": a.device, "app_id": b.app_id})),
    ("create_ota_module", lambda a, b: Request(json={"app_id": b.app_id, "product_id": a.product, "module_name": "x"})),
    ("create_ota_package", lambda a, b: Request(json=new_package(b, a))),
    ("list_ota_modules", lambda a, b: Request(query={"app_id": b.app_id, "product_id": a.product})),
    ("list_ota_package_info", lambda a, b: Request(query={"package_type": "firmwarePackage", "product_id": a.product})),
    ("list_alarms", lambda a, b: Request(query={"app_id": a.app_id})),
    ("list_alarms", lambda a, b: Request(query={"device_id": a.device})),
    ("list_audit_logs", lambda a, b: Request(query={"app_id": a.app_id})),
    ("list_audit_logs", lambda a, b: Request(query={"resource_id": a.device})),
    ("add_device", lambda a, b: Request(json={"node_id": "x", "product_id": a.product})),
    ("add_device", lambda a, b: Request(json={"node_id": "x", "product_id": a.product, "app_id": b.app_id})),
    ("add_device", lambda a, b: Request(json={"node_id": "x", "product_id": b.product, "gateway_id": a.device})),
    ("update_product", lambda a, b: Request({"product_id": b.product}, json={"app_id": a.app_id, "name": "changed"})),
    ("show_product", lambda a, b: Request({"product_id": a.product})),
    ("search_devices", lambda a, b: Request(json={"sql": f"select * from device where app_id = '{a.app_id}'"})),
    ("search_devices", lambda a, b: Request(json={"sql": f"select * from device where device_id = '{a.device}'"})),
    ("search_devices", lambda a, b: Request(json={"sql": f"select * from device where group.group_id = '{a.group}'"})),
    ("list_device_groups", lambda a, b: Request(query={"app_id": a.app_id})),
    ("add_device_group", lambda a, b: Request(json={"name": b.name("x"), "super_group_id": a.group})),
    ("create_or_delete_device_in_group", lambda a, b: Request(
        {"group_id": b.group}, {"action_id": "addDevice", "device_id": a.device})),
    ("create_or_delete_device_in_group", lambda a, b: Request(
        {"group_id": a.group}, {"action_id": "addDevice", "device_id": b.device})),
    ("bind_device_policy", lambda a, b: Request(
        {"policy_id": b.device_policy}, json={"target_type": "device", "target_ids": [a.device]})),
    ("bind_device_policy", lambda a, b: Request(
        {"policy_id": b.device_policy}, json={"target_type": "product", "target_ids": [a.product]})),
    ("bind_device_policy", lambda a, b: Request(
        {"policy_id": b.device_policy}, json={"target_type": "app", "target_ids": [a.app_id]})),
]
