"""An application that drives the platform with the vendor's unmodified SDK."""

from contextlib import contextmanager

import pytest
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ServiceResponseException
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkcore.region.region import Region
from huaweicloudsdkiotda.v5 import IoTDAClient
from huaweicloudsdkiotda.v5 import model as sdk

#: `SDK-HMAC-SHA256`: the client is built with endpoints.
PLAIN = "plain"
#: `V11-HMAC-SHA256`: the client is built with a region and a derived predicate.
DERIVED = "derived"


def sdk_client(platform, signature: str = DERIVED, door: str = "http", ak=None, sk=None, project_id=None) -> IoTDAClient:
    key = platform.ready["access_key"]
    credentials = BasicCredentials(ak or key["ak"], sk or key["sk"], project_id or platform.project_id)
    config = HttpConfig.get_default_config()
    config.timeout = (10, 40)
    if door == "https":
        config.ssl_ca_cert = platform.ca_cert
    builder = IoTDAClient.new_builder().with_http_config(config)
    if signature == DERIVED:
        credentials.with_derived_predicate(BasicCredentials.get_default_derived_predicate())
        builder.with_region(Region("cn-north-4", platform.url(door)))
    else:
        builder.with_endpoints([platform.url(door)])
    return builder.with_credentials(credentials).build()


@contextmanager
def refused(status: int, error_code: str | None = None):
    """The SDK call inside must fail with this HTTP status and, if given, this error code."""
    with pytest.raises(ServiceResponseException) as caught:
        yield caught
    error = caught.value
    assert error.status_code == status, error
    if error_code is None:
        assert error.error_code.startswith("IOTDA."), error
    else:
        assert error.error_code == error_code, error
    assert error.error_msg, "the error does not say what to do"


class Application:
    """The SDK's calls by their names, with bodies built from keyword arguments. `client` is the bare SDK."""

    def __init__(self, platform, signature: str = DERIVED, door: str = "http"):
        self.platform = platform
        self.client = sdk_client(platform, signature, door)

    # --- apps ---------------------------------------------------------------------------------------------------------

    def add_app(self, name: str):
        return self.client.add_application(sdk.AddApplicationRequest(body=sdk.AddApplication(app_name=name)))

    def show_app(self, app_id: str):
        return self.client.show_application(sdk.ShowApplicationRequest(app_id=app_id))

    def list_apps(self, **query):
        return self.client.show_applications(sdk.ShowApplicationsRequest(**query)).applications

    def update_app(self, app_id: str, name: str):
        return self.client.update_application(
            sdk.UpdateApplicationRequest(app_id=app_id, body=sdk.UpdateApplicationDTO(app_name=name)))

    def delete_app(self, app_id: str):
        return self.client.delete_application(sdk.DeleteApplicationRequest(app_id=app_id))

    # --- products -----------------------------------------------------------------------------------------------------

    def create_product(self, **fields):
        return self.client.create_product(sdk.CreateProductRequest(body=sdk.AddProduct(**fields)))

    def show_product(self, product_id: str, **query):
        return self.client.show_product(sdk.ShowProductRequest(product_id=product_id, **query))

    def list_products(self, **query):
        return self.client.list_products(sdk.ListProductsRequest(**query))

    def update_product(self, product_id: str, **fields):
        return self.client.update_product(
            sdk.UpdateProductRequest(product_id=product_id, body=sdk.UpdateProduct(**fields)))

    def delete_product(self, product_id: str, **query):
        return self.client.delete_product(sdk.DeleteProductRequest(product_id=product_id, **query))

    # --- devices ------------------------------------------------------------------------------------------------------

    def add_device(self, **fields):
        return self.client.add_device(sdk.AddDeviceRequest(body=sdk.AddDevice(**fields)))

    def show_device(self, device_id: str):
        return self.client.show_device(sdk.ShowDeviceRequest(device_id=device_id))

    def list_devices(self, **query):
        return self.client.list_devices(sdk.ListDevicesRequest(**query))

    def update_device(self, device_id: str, **fields):
        return self.client.update_device(
            sdk.UpdateDeviceRequest(device_id=device_id, body=sdk.UpdateDevice(**fields)))

    def delete_device(self, device_id: str):
        return self.client.delete_device(sdk.DeleteDeviceRequest(device_id=device_id))

    def freeze(self, device_id: str):
        return self.client.freeze_device(sdk.FreezeDeviceRequest(device_id=device_id))

    def unfreeze(self, device_id: str):
        return self.client.unfreeze_device(sdk.UnfreezeDeviceRequest(device_id=device_id))

    def reset_secret(self, device_id: str, **fields):
        return self.client.reset_device_secret(sdk.ResetDeviceSecretRequest(
            device_id=device_id, action_id="resetSecret", body=sdk.ResetDeviceSecret(**fields)))

    def reset_fingerprint(self, device_id: str, **fields):
        return self.client.reset_fingerprint(sdk.ResetFingerprintRequest(
            device_id=device_id, body=sdk.ResetFingerprint(**fields)))

    def status_of(self, device_id: str) -> str:
        return self.show_device(device_id).status

    def change_gateway(self, device_id: str, gateway_id: str):
        return self.client.change_gateway(
            sdk.ChangeGatewayRequest(device_id=device_id, body=sdk.ChangeGateway(gateway_id=gateway_id)))

    def search(self, sql: str):
        return self.client.search_devices(sdk.SearchDevicesRequest(body=sdk.SearchSql(sql=sql)))

    # --- tags ---------------------------------------------------------------------------------------------------------

    def tag(self, device_id: str, **tags):
        body = sdk.BindTagsDTO(resource_type="device", resource_id=device_id,
                               tags=[sdk.TagV5DTO(tag_key=key, tag_value=value) for key, value in tags.items()])
        return self.client.tag_device(sdk.TagDeviceRequest(body=body))

    def untag(self, device_id: str, *keys: str):
        body = sdk.UnbindTagsDTO(resource_type="device", resource_id=device_id, tag_keys=list(keys))
        return self.client.untag_device(sdk.UntagDeviceRequest(body=body))

    def find_by_tags(self, *tags: tuple, **query):
        body = sdk.QueryResourceByTagsDTO(
            resource_type="device", tags=[sdk.TagV5DTO(tag_key=key, tag_value=value) for key, value in tags])
        return self.client.list_resources_by_tags(sdk.ListResourcesByTagsRequest(body=body, **query))

    # --- groups -------------------------------------------------------------------------------------------------------

    def add_group(self, name: str, **fields):
        return self.client.add_device_group(sdk.AddDeviceGroupRequest(body=sdk.AddDeviceGroupDTO(name=name, **fields)))

    def list_groups(self, **query):
        return self.client.list_device_groups(sdk.ListDeviceGroupsRequest(**query))

    def show_group(self, group_id: str):
        return self.client.show_device_group(sdk.ShowDeviceGroupRequest(group_id=group_id))

    def update_group(self, group_id: str, **fields):
        return self.client.update_device_group(
            sdk.UpdateDeviceGroupRequest(group_id=group_id, body=sdk.UpdateDeviceGroupDTO(**fields)))

    def delete_group(self, group_id: str):
        return self.client.delete_device_group(sdk.DeleteDeviceGroupRequest(group_id=group_id))

    def group_action(self, group_id: str, action_id: str, device_id: str):
        return self.client.create_or_delete_device_in_group(sdk.CreateOrDeleteDeviceInGroupRequest(
            group_id=group_id, action_id=action_id, device_id=device_id))

    def group_devices(self, group_id: str, **query):
        return self.client.show_devices_in_group(sdk.ShowDevicesInGroupRequest(group_id=group_id, **query))

    def groups_of(self, device_id: str):
        return self.client.list_device_groups_by_device(
            sdk.ListDeviceGroupsByDeviceRequest(device_id=device_id)).device_groups

    # --- shadow -------------------------------------------------------------------------------------------------------

    def show_shadow(self, device_id: str):
        return self.client.show_device_shadow(sdk.ShowDeviceShadowRequest(device_id=device_id))

    def update_desired(self, device_id: str, service_id: str, desired: dict, version: int | None = None):
        entry = sdk.UpdateDesired(service_id=service_id, desired=desired, version=version)
        return self.client.update_device_shadow_desired_data(sdk.UpdateDeviceShadowDesiredDataRequest(
            device_id=device_id, body=sdk.UpdateDesireds(shadow=[entry])))

    def delete_shadow(self, device_id: str):
        return self.client.delete_device_shadow(sdk.DeleteDeviceShadowRequest(device_id=device_id))

    # --- messages, commands, properties -------------------------------------------------------------------------------

    def create_message(self, device_id: str, message, **fields):
        return self.client.create_message(sdk.CreateMessageRequest(
            device_id=device_id, body=sdk.DeviceMessageRequest(message=message, **fields)))

    def show_message(self, device_id: str, message_id: str):
        return self.client.show_device_message(
            sdk.ShowDeviceMessageRequest(device_id=device_id, message_id=message_id))

    def list_messages(self, device_id: str):
        return self.client.list_device_messages(sdk.ListDeviceMessagesRequest(device_id=device_id)).messages

    def delete_message(self, device_id: str, message_id: str):
        return self.client.delete_device_message(
            sdk.DeleteDeviceMessageRequest(device_id=device_id, message_id=message_id))

    def create_command(self, device_id: str, service_id: str, command_name: str, paras):
        return self.client.create_command(sdk.CreateCommandRequest(device_id=device_id, body=sdk.DeviceCommandRequest(
            service_id=service_id, command_name=command_name, paras=paras)))

    def get_properties(self, device_id: str, service_id: str):
        return self.client.list_properties(sdk.ListPropertiesRequest(device_id=device_id, service_id=service_id))

    def set_properties(self, device_id: str, services):
        return self.client.update_properties(sdk.UpdatePropertiesRequest(
            device_id=device_id, body=sdk.DevicePropertiesRequest(services=services)))

    # --- certificates -------------------------------------------------------------------------------------------------

    def add_ca(self, content: str, app_id: str | None = None):
        return self.client.add_certificate(sdk.AddCertificateRequest(
            body=sdk.CreateCertificateDTO(content=content, app_id=app_id)))

    def list_cas(self, **query):
        return self.client.list_certificates(sdk.ListCertificatesRequest(**query))

    def show_ca(self, certificate_id: str):
        return self.client.show_certificate(sdk.ShowCertificateRequest(certificate_id=certificate_id))

    def update_ca(self, certificate_id: str, **fields):
        return self.client.update_certificate(sdk.UpdateCertificateRequest(
            certificate_id=certificate_id, body=sdk.UpdateCertificateDTO(**fields)))

    def delete_ca(self, certificate_id: str):
        return self.client.delete_certificate(sdk.DeleteCertificateRequest(certificate_id=certificate_id))

    def verify_ca(self, certificate_id: str, content: str, action_id: str = "verify"):
        return self.client.check_certificate(sdk.CheckCertificateRequest(
            certificate_id=certificate_id, action_id=action_id, body=sdk.VerifyCertificateDTO(verify_content=content)))

    def trust(self, authority, app_id: str | None = None):
        """Uploads the certificate of an authority and verifies it."""
        added = self.add_ca(authority.pem, app_id)
        self.verify_ca(added.certificate_id, authority.verification(added.verify_code))
        return added

    def list_device_certificates(self, **query):
        return self.client.list_device_certificate(sdk.ListDeviceCertificateRequest(**query))

    def show_device_certificate(self, certificate_id: str):
        return self.client.show_device_certificate(sdk.ShowDeviceCertificateRequest(certificate_id=certificate_id))

    def update_device_certificate(self, certificate_id: str, status: str):
        return self.client.update_device_certificate(sdk.UpdateDeviceCertificateRequest(
            certificate_id=certificate_id, body=sdk.UpdateDeviceCertificate(status=status)))

    def delete_device_certificate(self, certificate_id: str):
        return self.client.delete_device_certificate(sdk.DeleteDeviceCertificateRequest(certificate_id=certificate_id))

    def devices_of_certificate(self, certificate_id: str, **page):
        return self.client.list_device_by_device_certificate(sdk.ListDeviceByDeviceCertificateRequest(
            certificate_id=certificate_id, body=sdk.ListDeviceRequest(**page)))

    def create_template(self, **fields):
        return self.client.create_provisioning_template(sdk.CreateProvisioningTemplateRequest(
            body=sdk.CreateProvisioningTemplate(**fields)))

    def list_templates(self, **query):
        return self.client.list_provisioning_templates(sdk.ListProvisioningTemplatesRequest(**query))

    def show_template(self, template_id: str):
        return self.client.show_provisioning_template(sdk.ShowProvisioningTemplateRequest(template_id=template_id))

    def update_template(self, template_id: str, **fields):
        return self.client.update_provisioning_template(sdk.UpdateProvisioningTemplateRequest(
            template_id=template_id, body=sdk.UpdateProvisioningTemplate(**fields)))

    def delete_template(self, template_id: str):
        return self.client.delete_provisioning_template(sdk.DeleteProvisioningTemplateRequest(template_id=template_id))

    def add_server_certificate(self, **fields):
        return self.client.create_server_certificate(sdk.CreateServerCertificateRequest(
            body=sdk.CreateServerCertificateDTO(**fields)))

    def list_server_certificates(self, **query):
        return self.client.list_server_certificate(sdk.ListServerCertificateRequest(**query))

    def show_server_certificate(self, certificate_id: str):
        return self.client.show_server_certificate(
            sdk.ShowServerCertificateRequest(server_certificate_id=certificate_id))

    def delete_server_certificate(self, certificate_id: str):
        return self.client.delete_server_certificate(
            sdk.DeleteServerCertificateRequest(server_certificate_id=certificate_id))
