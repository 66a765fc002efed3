"""A device on MQTT, spoken by paho, and its registration."""

import hashlib
import hmac
import json
import socket
import ssl
import threading
import time
from dataclasses import dataclass

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from rig import platform_times, raw_mqtt

VERSIONS = {"3.1": paho.MQTTv31, "3.1.1": paho.MQTTv311, "5": paho.MQTTv5}
DOORS = {"mqtt": ("tcp", False), "mqtts": ("tcp", True), "ws": ("websockets", False), "wss": ("websockets", True)}
#: paho shows refusals of 3.x with the MQTT 5 codes; this turns them back (002 §2.1.2.11).
CONNACK_CODES = {0: 0, 132: 1, 133: 2, 136: 3, 134: 4, 135: 5}


def sign(secret: str, stamp: str) -> str:
    """The password: lower-case hex HMAC-SHA256 with the time stamp as the key (002 §2.1.2.11)."""
    return hmac.new(stamp.encode(), secret.encode(), hashlib.sha256).hexdigest()


def tls_context(ca_cert: str, certificate=None) -> ssl.SSLContext:
    """`certificate` is what the client shows, a `rig.authority.Certificate`."""
    return certificate.context(ca_cert) if certificate else ssl.create_default_context(cafile=ca_cert)


@dataclass
class Message:
    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: Properties | None

    @property
    def json(self):
        return json.loads(self.payload)

    @property
    def request_id(self) -> str:
        return self.topic.partition("request_id=")[2]


class Registration:
    """A device that the platform knows: its id, its secret, and ways to connect as it."""

    def __init__(self, platform, device_id: str, secret: str | None, node_id: str = "", product_id: str = ""):
        self.platform = platform
        self.device_id = device_id
        self.secret = secret
        self.node_id = node_id
        self.product_id = product_id
        self._open: list = []

    def topic(self, rest: str) -> str:
        return f"$oc/devices/{self.device_id}/{rest}"

    def stamp(self) -> str:
        return platform_times.hour_stamp(platform_times.utc_now(self.platform.clock_offset_ms))

    def credentials(self, sign_type=0, stamp=None, secret=None) -> dict:
        """client_id, username and password of a CONNECT."""
        stamp = stamp or self.stamp()
        return {
            "client_id": f"{self.device_id}_0_{sign_type}_{stamp}",
            "username": self.device_id,
            "password": sign(secret or self.secret, stamp) if secret or self.secret else None,
        }

    def connect(self, answers: dict | None = None, **options) -> "MqttDevice":
        """Connects. `answers` are given from the first moment on, each as to `MqttDevice.respond`."""
        device = MqttDevice(self, **options)
        self._open.append(device)
        for rest, answer in (answers or {}).items():
            device.respond(rest, answer)
        return device.connect()

    def raw(self, door="mqtt", connected=True, level=4, certificate=None, **fields) -> raw_mqtt.RawMqtt:
        """A byte-level connection, by default already accepted. `fields` are those of `raw_mqtt.connect`."""
        tls = tls_context(self.platform.ca_cert, certificate) if DOORS[door][1] else None
        link = raw_mqtt.RawMqtt(self.platform.address(door), tls, level)
        self._open.append(link)
        if connected:
            answer = link.connect(**{"level": level, **self.credentials(), **fields})
            assert answer.code == 0, answer
            link.connack = answer
        return link

    def close(self):
        for link in self._open:
            link.close()
        self._open.clear()


class MqttDevice:
    """One paho client. What arrives is kept in `messages` in order of arrival."""

    def __init__(self, registration: Registration, version="3.1.1", door="mqtt", sign_type=0, stamp=None, keepalive=120,
                 clean=True, client_id=None, will=None, properties=None, ws_path="/mqtt", certificate=None):
        self.registration = registration
        self.version = version
        self.keepalive = keepalive
        self.address = registration.platform.address(door)
        self.messages: list[Message] = []
        self.connect_properties = properties
        self.connack: int | None = None
        self.session_present = False
        self.ended = threading.Event()
        self._news = threading.Condition()
        self._acknowledged: dict[int, object] = {}
        self._granted: dict[int, list] = {}
        self._responders: list = []
        transport, tls = DOORS[door]
        identity = registration.credentials(sign_type, stamp)
        clean_session = {} if version == "5" else {"clean_session": clean}
        self.clean_start = {"clean_start": clean} if version == "5" else {}
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id or identity["client_id"], protocol=VERSIONS[version],
            transport=transport, reconnect_on_failure=False, **clean_session)
        self.client.username_pw_set(identity["username"], identity["password"])
        if will:
            self.client.will_set(*will)
        if tls:
            self.client.tls_set_context(tls_context(registration.platform.ca_cert, certificate))
        if transport == "websockets":
            self.client.ws_set_options(path=ws_path)
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_message = self._on_message
        self.client.on_publish = self._on_publish
        self.client.on_subscribe = self._on_subscribe

    # --- paho's callbacks, on its thread ------------------------------------------------------------------------------

    def _on_connect(self, _client, _data, flags, code, _properties):
        with self._news:
            value = code.value
            self.connack = value if self.version == "5" else CONNACK_CODES[value]
            self.session_present = flags.session_present
            self._news.notify_all()

    def _on_disconnect(self, _client, _data, _flags, _code, _properties):
        self.ended.set()
        with self._news:
            self._news.notify_all()

    def _on_message(self, _client, _data, message):
        found = Message(message.topic, message.payload, message.qos, message.retain,
                        getattr(message, "properties", None))
        with self._news:
            self.messages.append(found)
            self._news.notify_all()
        for prefix, respond in self._responders:
            if found.topic.startswith(prefix):
                respond(found)

    def _on_publish(self, _client, _data, number, code, _properties):
        with self._news:
            self._acknowledged[number] = code
            self._news.notify_all()

    def _on_subscribe(self, _client, _data, number, codes, _properties):
        with self._news:
            self._granted[number] = [code.value for code in codes]
            self._news.notify_all()

    def _wait(self, condition, seconds, what):
        end = time.monotonic() + seconds
        with self._news:
            while True:
                found = condition()
                if found is not None and found is not False:
                    return found
                left = end - time.monotonic()
                assert left > 0, f"{what} within {seconds} s; arrived: {[m.topic for m in self.messages]}"
                self._news.wait(left)

    # --- life ---------------------------------------------------------------------------------------------------------

    def connect(self) -> "MqttDevice":
        code = self.client.connect(*self.address, keepalive=self.keepalive, properties=self.connect_properties,
                                   **self.clean_start)
        assert code == MQTTErrorCode.MQTT_ERR_SUCCESS, code
        self.client.loop_start()
        self._wait(lambda: self.connack is not None or self.ended.is_set(), 10, "no CONNACK")
        assert self.connack == 0, f"refused with {self.connack}"
        return self

    @property
    def connected(self) -> bool:
        return self.client.is_connected()

    def disconnect(self):
        """DISCONNECT, as a well-behaved device leaves."""
        self.client.disconnect()
        self.client.loop_stop()

    def drop(self):
        """Cuts the TCP connection without DISCONNECT."""
        self.client.socket().shutdown(socket.SHUT_RDWR)
        self.ended.wait(10)
        self.client.loop_stop()

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()

    # --- up -----------------------------------------------------------------------------------------------------------

    def publish(self, topic, payload, qos=1, retain=False, properties=None):
        """Returns when the platform has acknowledged (QoS 1 and 2), with its reason code."""
        if not isinstance(payload, (bytes, str)):
            payload = json.dumps(payload)
        info = self.client.publish(topic, payload, qos, retain, properties)
        assert info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS, info
        if qos == 0:
            return None
        return self._wait(lambda: self._acknowledged.pop(info.mid, None), 15, f"no acknowledgement of {topic}")

    def send(self, rest: str, payload, **more):
        """`rest` is the topic below the device's own."""
        return self.publish(self.registration.topic(rest), payload, **more)

    def report(self, service_id="Temperature", properties=None, event_time=None, qos=1, **values):
        service = {"service_id": service_id, "properties": properties if properties is not None else values}
        if event_time is not None:
            service["event_time"] = event_time
        return self.send("sys/properties/report", {"services": [service]}, qos=qos)

    def subscribe(self, topic: str, qos=1) -> int:
        """The granted QoS or the refusal."""
        _, number = self.client.subscribe(topic, qos)
        return self._wait(lambda: self._granted.pop(number, None), 10, f"no SUBACK for {topic}")[0]

    # --- down ---------------------------------------------------------------------------------------------------------

    def wait_message(self, topic_start: str, seconds=10, count=1) -> Message:
        """The `count`-th message whose topic starts so."""
        def look():
            found = [message for message in self.messages if message.topic.startswith(topic_start)]
            return found[count - 1] if len(found) >= count else None

        return self._wait(look, seconds, f"no message {count} on {topic_start}")

    def wait_down(self, rest: str, seconds=10, count=1) -> Message:
        return self.wait_message(self.registration.topic(rest), seconds, count)

    def down(self, rest: str) -> list[Message]:
        """What has arrived so far below the device's own topic."""
        return [message for message in self.messages if message.topic.startswith(self.registration.topic(rest))]

    def respond(self, rest: str, answer, qos=1):
        """Answers every request on `…/{rest}request_id=R` on `…/{rest}response/request_id=R`.

        `answer` is the body, or a function from the request to the body; None stays silent.
        """
        def send(request: Message):
            body = answer(request) if callable(answer) else answer
            if body is not None:
                topic = self.registration.topic(f"{rest}response/request_id={request.request_id}")
                self.client.publish(topic, json.dumps(body), qos)

        self._responders.append((self.registration.topic(f"{rest}request_id="), send))
        return self


def properties_of(packet: str, **values) -> Properties:
    """paho's MQTT 5 properties, e.g. `properties_of("CONNECT", SessionExpiryInterval=60)`."""
    found = Properties(getattr(PacketTypes, packet))
    for name, value in values.items():
        setattr(found, name, value)
    return found
