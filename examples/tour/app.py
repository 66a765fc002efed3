"""The application of the tour: the vendor's unmodified SDK, pointed at Causeway.

usage: app.py READY_FILE setup              make a product and two devices
       app.py READY_FILE shadow DEVICE_ID   what the device reported last
       app.py READY_FILE command DEVICE_ID  switch the lamp, wait for the device's answer
"""

import json
import sys

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkiotda.v5 import (
    AddDevice,
    AddDeviceRequest,
    AddProduct,
    AuthInfo,
    CreateCommandRequest,
    CreateProductRequest,
    DeviceCommandRequest,
    IoTDAClient,
    ServiceCapability,
    ServiceCommand,
    ServiceCommandPara,
    ServiceProperty,
    ShowDeviceShadowRequest,
)


def connect(ready):
    """Only the address is new: credentials, client and calls are what they were on the cloud."""
    key = ready["access_key"]
    return (
        IoTDAClient.new_builder()
        .with_credentials(BasicCredentials(key["ak"], key["sk"], ready["project_id"]))
        .with_endpoints(["http://" + ready["addresses"]["http"]])
        .build()
    )


def setup(client):
    lamp = ServiceCapability(
        service_id="Lamp",
        service_type="Lamp",
        properties=[
            ServiceProperty(property_name="brightness", data_type="int", min="0", max="100", method="RW"),
            ServiceProperty(property_name="temperature", data_type="decimal", method="R"),
        ],
        commands=[
            ServiceCommand(
                command_name="SWITCH",
                paras=[ServiceCommandPara(para_name="value", data_type="enum", enum_list=["ON", "OFF"])],
            )
        ],
    )
    product = AddProduct(
        product_id="street-lamp", name="Street lamp", device_type="Lamp", protocol_type="MQTT", data_format="json",
        service_capabilities=[lamp],
    )
    try:
        client.create_product(CreateProductRequest(body=product))
    except ClientRequestException as error:
        print("the product is there already:", error.error_msg)
    for node in ("mqtt1", "https1"):
        device = AddDevice(node_id=node, product_id="street-lamp", auth_info=AuthInfo(secret="tour-secret-" + node))
        try:
            made = client.add_device(AddDeviceRequest(body=device))
            print("registered", made.device_id)
        except ClientRequestException as error:
            print("the device is there already:", error.error_msg)


def shadow(client, device_id):
    answer = client.show_device_shadow(ShowDeviceShadowRequest(device_id=device_id))
    for service in answer.shadow:
        reported = service.reported
        print(service.service_id, reported.properties if reported else "nothing yet", reported.event_time if reported else "")


def command(client, device_id):
    body = DeviceCommandRequest(service_id="Lamp", command_name="SWITCH", paras={"value": "ON"})
    answer = client.create_command(CreateCommandRequest(device_id=device_id, body=body))
    print("the device answered:", answer.response)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        client = connect(json.load(file))
    {"setup": setup, "shadow": shadow, "command": command}[sys.argv[2]](client, *sys.argv[3:])


if __name__ == "__main__":
    main()
