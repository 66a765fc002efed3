"""The MQTT device of the tour: a street lamp in forty lines, with the paho client.

usage: device.py READY_FILE DEVICE_ID SECRET
"""

import hashlib
import hmac
import json
import sys
import time

import paho.mqtt.client as mqtt

ready = json.load(open(sys.argv[1], encoding="utf-8"))
device_id, secret = sys.argv[2], sys.argv[3]
host, port = ready["addresses"]["mqtt"].rsplit(":", 1)

hour = time.strftime("%Y%m%d%H", time.gmtime())
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"{device_id}_0_1_{hour}")
client.username_pw_set(device_id, hmac.new(hour.encode(), secret.encode(), hashlib.sha256).hexdigest())


def on_connect(client, userdata, flags, reason, properties):
    print("connected:", reason)
    report = {"services": [{"service_id": "Lamp", "properties": {"brightness": 80, "temperature": 21.5}}]}
    client.publish(f"$oc/devices/{device_id}/sys/properties/report", json.dumps(report), qos=1)


def on_publish(client, userdata, mid, reason, properties):
    print("acknowledged: what was sent is safe on disk")


def on_message(client, userdata, message):
    if "/sys/commands/request_id=" in message.topic:
        request_id = message.topic.split("request_id=")[1]
        print("command:", message.payload.decode())
        answer = {"result_code": 0, "response_name": "SWITCH", "paras": {"result": "the lamp is on"}}
        client.publish(f"$oc/devices/{device_id}/sys/commands/response/request_id={request_id}", json.dumps(answer), qos=1)


client.on_connect, client.on_publish, client.on_message = on_connect, on_publish, on_message
client.connect(host, int(port), keepalive=60)
client.loop_forever()
