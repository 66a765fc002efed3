"""Every operation of the vendor's SDK is either built or answers 501 with a clean error (H1)."""

import inspect
import re

import pytest
from huaweicloudsdkcore.exceptions.exceptions import ServiceResponseException
from huaweicloudsdkcore.http.formdata import FormFile
from huaweicloudsdkiotda.v5 import IoTDAClient
from huaweicloudsdkiotda.v5 import model as models

#: Grows with the platform; the other operations must answer 501, these must not.
BUILT = {
    "add_application", "show_applications", "delete_application", "show_application", "update_application",
    "create_product", "list_products", "delete_product", "show_product", "update_product",
    "add_device", "list_devices", "delete_device", "show_device", "update_device", "freeze_device", "unfreeze_device",
    "reset_device_secret",
    "delete_device_shadow", "show_device_shadow", "update_device_shadow_desired_data",
    "create_message", "list_device_messages", "delete_device_message", "show_device_message",
    "create_command", "list_properties", "update_properties",
    "search_devices", "list_device_groups_by_device", "change_gateway",
    "add_device_group", "list_device_groups", "delete_device_group", "show_device_group", "update_device_group",
    "create_or_delete_device_in_group", "show_devices_in_group",
    "add_certificate", "list_certificates", "delete_certificate", "show_certificate", "update_certificate",
    "check_certificate", "list_device_certificate", "delete_device_certificate", "show_device_certificate",
    "update_device_certificate", "list_device_by_device_certificate", "reset_fingerprint",
    "create_provisioning_template", "list_provisioning_templates", "delete_provisioning_template",
    "show_provisioning_template", "update_provisioning_template",
    "create_server_certificate", "list_server_certificate", "delete_server_certificate", "show_server_certificate",
    "list_resources_by_tags", "tag_device", "untag_device",
    "broadcast_message", "confirm_batch_task", "create_batch_task", "create_export_task", "delete_batch_task",
    "delete_batch_task_file", "delete_export_task", "list_batch_task_files", "list_batch_tasks", "list_export_tasks",
    "retry_batch_task", "show_batch_task", "show_export_task", "stop_batch_task", "upload_batch_task_file",
    "bind_device_policy", "create_device_policy", "delete_device_policy", "list_device_policies", "show_device_policy",
    "show_targets_in_device_policy", "unbind_device_policy", "update_device_policy",
    "add_queue", "batch_show_queue", "create_access_code", "delete_queue", "show_queue",
    "change_rule_status", "create_rule", "delete_rule", "list_rules", "show_rule", "update_rule",
    "create_routing_rule", "create_rule_action", "list_routing_rules", "list_rule_actions", "delete_routing_rule",
    "delete_rule_action", "show_routing_rule", "show_rule_action", "update_routing_rule", "update_rule_action",
    "create_routing_backlog_policy", "list_routing_backlog_policy", "delete_routing_backlog_policy",
    "show_routing_backlog_policy", "update_routing_backlog_policy",
    "create_routing_flow_control_policy", "list_routing_flow_control_policy", "delete_routing_flow_control_policy",
    "show_routing_flow_control_policy", "update_routing_flow_control_policy",
    "create_ota_module", "create_ota_package", "delete_ota_module", "delete_ota_package", "list_ota_modules",
    "list_ota_package_info", "show_ota_module", "show_ota_package", "update_ota_module",
}

OPERATIONS = sorted(name.removeprefix("_").removesuffix("_http_info")
                    for name, _ in inspect.getmembers(IoTDAClient) if re.fullmatch(r"_\w+_http_info", name))


def filled(kind: str, tmp_path, depth=0):
    """A value of an SDK type, with everything that the type has."""
    if kind.startswith("list["):
        return [filled(kind[5:-1], tmp_path, depth)]
    if kind.startswith("dict("):
        return {}
    simple = {"str": "a" * 24, "int": 1, "float": 1.0, "bool": True, "object": {"a": 1}, "datetime": "20200101T000000Z"}
    if kind in simple:
        return simple[kind]
    if kind == "file":
        sheet = tmp_path / "devices.xlsx"
        sheet.write_bytes(b"PK")
        return FormFile(open(sheet, "rb"))
    model = getattr(models, kind)
    if depth > 4:
        return None
    made = model.__new__(model)
    for attribute in model.openapi_types:
        setattr(made, f"_{attribute}", None)
    made.discriminator = None
    for attribute, type_name in model.openapi_types.items():
        if attribute not in ("instance_id", "sp_auth_token", "stage_auth_token"):
            setattr(made, f"_{attribute}", filled(type_name, tmp_path, depth + 1))
    return made


def test_the_sdk_has_178_operations():
    """The fact sheet counts them; another number means another SDK, and this suite must be read anew."""
    assert len(OPERATIONS) == 178
    assert BUILT <= set(OPERATIONS)


@pytest.mark.parametrize("operation", sorted(set(OPERATIONS) - BUILT))
def test_not_built(world, tmp_path, operation):
    source = inspect.getsource(getattr(IoTDAClient, operation))
    request_type = re.search(r":class:`huaweicloudsdkiotda\.v5\.(\w+Request)`", source).group(1)
    with pytest.raises(ServiceResponseException) as caught:
        getattr(world.app.client, operation)(filled(request_type, tmp_path))
    error = caught.value
    assert error.status_code == 501, error
    assert error.error_code.startswith("IOTDA."), error
    assert error.error_msg, error


def test_not_built_needs_credentials_too(world):
    world.rest.get("/bridges", signed=False).must_be(401, "IOTDA.000002")
