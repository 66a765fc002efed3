"""Every MQTT version over every transport: connect, report, command round trip (A1.1), with clients of four makers."""

import asyncio
import json
import subprocess
from pathlib import Path

import gmqtt
import pytest
from gmqtt.mqtt.constants import MQTTv50, MQTTv311
from websockets.sync.client import connect as websocket

from rig import mosquitto, raw_mqtt
from rig.deadline import wait_for
from rig.device import DOORS, tls_context

ANSWER = {"result_code": 0, "response_name": "COMMAND_RESPONSE", "paras": {"result": "success"}}


def switch_on(world, device):
    return world.app.create_command(device.device_id, "Temperature", "ON_OFF", {"value": "ON"})


def assert_reported(world, device, **values):
    wait_for(lambda: world.rest.reported(device.device_id, "Temperature") == values, what=f"shadow to hold {values}")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("version", ["3.1", "3.1.1", "5"])
def test_paho(world, version, door):
    device = world.device()
    link = device.connect(version=version, door=door).respond("sys/commands/", ANSWER)
    link.report(value=21, qos=0)
    link.report(value2=22, qos=1)
    assert_reported(world, device, value=21, value2=22)
    answer = switch_on(world, device)
    assert answer.response == ANSWER
    assert answer.command_id
    request = link.wait_down("sys/commands/request_id=")
    assert request.json == {"object_device_id": device.device_id, "service_id": "Temperature", "command_name": "ON_OFF",
                            "paras": {"value": "ON"}}


@pytest.mark.parametrize("door", ["mqtt", "mqtts"])
@pytest.mark.parametrize("version", mosquitto.VERSIONS)
def test_mosquitto(world, version, door):
    device = world.device()
    body = json.dumps({"services": [{"service_id": "Temperature", "properties": {"value": 23}}]})
    done = mosquitto.publish(device, device.topic("sys/properties/report"), body, version, door)
    assert (done.returncode, done.stderr) == (0, "")
    # QoS 1: when the program has ended, the report is in.
    assert world.rest.reported(device.device_id, "Temperature") == {"value": 23}

    listener = mosquitto.subscriber(device, device.topic("sys/messages/down"), version, door)
    wait_for(lambda: world.app.status_of(device.device_id) == "ONLINE", what="mosquitto_sub to be online")
    sent = world.app.create_message(device.device_id, "hello", name="greeting")
    printed, problems = listener.communicate(timeout=20)
    topic, _, payload = printed.strip().partition(" ")
    assert (topic, problems) == (device.topic("sys/messages/down"), "")
    assert json.loads(payload) == {"object_device_id": device.device_id, "name": "greeting", "id": sent.message_id,
                                   "content": "hello"}


@pytest.mark.parametrize("version", [MQTTv311, MQTTv50])
def test_gmqtt(world, version):
    """A Python client that shares no code with paho."""
    device = world.device()
    identity = device.credentials()
    host, port = world.platform.address("mqtt")

    async def life():
        client = gmqtt.Client(identity["client_id"], clean_session=True)
        client.set_auth_credentials(identity["username"], identity["password"])
        client.set_config({"reconnect_retries": 0})

        def answer(_client, topic, _payload, _qos, _properties):
            request = topic.partition("request_id=")[2]
            client.publish(device.topic(f"sys/commands/response/request_id={request}"), json.dumps(ANSWER), qos=1)
            return 0

        client.on_message = answer
        await client.connect(host, port, version=version, keepalive=60)
        client.publish(device.topic("sys/properties/report"),
                       json.dumps({"services": [{"service_id": "Temperature", "properties": {"value": 24}}]}), qos=1)
        result = await asyncio.to_thread(switch_on, world, device)
        await client.disconnect()
        return result

    assert asyncio.run(asyncio.wait_for(life(), 20)).response == ANSWER
    assert_reported(world, device, value=24)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("version", [3, 4, 5])
def test_mqtt_js(world, version, door):
    """Node's MQTT.js: reports, answers one command, and ends."""
    device = world.device()
    host, port = world.platform.address(door)
    scheme = {"mqtt": "mqtt", "mqtts": "mqtts", "ws": "ws", "wss": "wss"}[door]
    job = {"url": f"{scheme}://{host}:{port}/mqtt", "version": version, "ca": world.platform.ca_cert,
           "device_id": device.device_id, **device.credentials(), "answer": ANSWER,
           "report": {"services": [{"service_id": "Temperature", "properties": {"value": 25}}]}}
    script = Path(__file__).parent / "node" / "device.mjs"
    node = subprocess.Popen(["node", str(script), json.dumps(job)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert node.stdout.readline().strip() == "reported", node.stderr.read()
        assert_reported(world, device, value=25)
        assert switch_on(world, device).response == ANSWER
        assert node.wait(20) == 0, node.stderr.read()
    finally:
        node.kill()
        node.communicate()


@pytest.mark.parametrize("door", ["ws", "wss"])
@pytest.mark.parametrize("subprotocol,level", [("mqtt", 4), ("mqtt", 5), ("mqttv3.1", 3)])
def test_websocket_subprotocols(world, door, subprotocol, level):
    """The handshake names the subprotocol back [MQTT-6.0.0-4]; one MQTT packet may come in several frames [MQTT-6.0.0-2]."""
    device = world.device()
    host, port = world.platform.address(door)
    tls = tls_context(world.platform.ca_cert) if door == "wss" else None
    with websocket(f"{door}://{host}:{port}/mqtt", subprotocols=[subprotocol], ssl=tls, proxy=None, open_timeout=10) as link:
        assert link.subprotocol == subprotocol
        greeting = raw_mqtt.connect(level=level, **device.credentials())
        for cut in (greeting[:1], greeting[1:7], greeting[7:] + raw_mqtt.PING):
            link.send(cut)
        answer = b""
        while len(answer) < 2 or len(answer) < 2 + answer[1] + 2:
            frame = link.recv(timeout=10)
            assert isinstance(frame, bytes)  # [MQTT-6.0.0-1]
            answer += frame
        assert (answer[0] >> 4, answer[3]) == (raw_mqtt.CONNACK, 0)
        assert answer.endswith(bytes([raw_mqtt.PINGRESP << 4, 0]))


def test_websocket_text_frames_end_the_connection(world):
    """[MQTT-6.0.0-1]"""
    host, port = world.platform.address("ws")
    with websocket(f"ws://{host}:{port}/mqtt", subprotocols=["mqtt"], proxy=None) as link:
        link.send("this is text")
        with pytest.raises(Exception) as ended:
            link.recv(timeout=10)
        assert not isinstance(ended.value, TimeoutError)


def test_websocket_elsewhere_is_not_found(world):
    from websockets.exceptions import InvalidStatus

    host, port = world.platform.address("ws")
    with pytest.raises(InvalidStatus) as refusal:
        websocket(f"ws://{host}:{port}/elsewhere", subprotocols=["mqtt"], proxy=None)
    assert refusal.value.response.status_code == 404
