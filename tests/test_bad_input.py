"""Broken, oversized and slow input: the sender is cut or ignored, the others live on, and nothing secret is logged."""

import random
import socket
import struct
import threading
import time

import pytest

from rig import raw_mqtt
from rig.deadline import wait_for
from rig.device import Registration
from rig.https_device import HttpsDevice
from rig.raw_mqtt import packet, text, varint
from rig.world import World


@pytest.fixture
def witness(world):
    """Another device, whose link must outlive every attack."""
    device = world.device()
    link = device.raw()
    yield link
    link.ping()
    device.connect().report(value=1)
    assert world.rest.reported(device.device_id, "Temperature") == {"value": 1}


@pytest.fixture
def device(world) -> Registration:
    return world.device()


def greeting(device, **fields) -> bytes:
    return raw_mqtt.connect(**{**device.credentials(), **fields})


def cut(data: bytes, keep: int) -> bytes:
    """The packet with a remaining length that fits, but fields that do not."""
    return packet(data[0] >> 4, data[0] & 15, data[2 if data[1] < 128 else 3:][:keep])


# --- before CONNECT ---------------------------------------------------------------------------------------------------

def first_packets(device) -> dict[str, bytes]:
    good = greeting(device)
    return {
        "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "tls hello": bytes.fromhex("16030100c5010000c10303") + bytes(190),
        "zeros": bytes(64),
        "ones": b"\xff" * 64,
        "random": random.Random(7).randbytes(256),
        "publish first": raw_mqtt.publish("a", b"x"),
        "ping first": raw_mqtt.PING,
        "subscribe first": raw_mqtt.subscribe(1, [("a", 0)]),
        "disconnect first": raw_mqtt.LEAVE,
        "auth first": packet(raw_mqtt.AUTH, 0, b""),
        "connack from a client": packet(raw_mqtt.CONNACK, 0, b"\0\0"),
        "reserved packet type 0": packet(0, 0, b""),
        "reserved flags in the head": bytes([good[0] | 1]) + good[1:],
        "remaining length of five bytes": bytes([0x10]) + b"\xff\xff\xff\xff\x01",
        "connect of 256 MB": bytes([0x10]) + varint((1 << 28) - 1) + text("MQTT"),
        "connect of 1 MB": bytes([0x10]) + varint(1 << 20) + good[3:] + bytes(1 << 20),
        "wrong protocol name": raw_mqtt.connect(name="MQTTT", **device.credentials()),
        "empty protocol name": raw_mqtt.connect(name="", **device.credentials()),
        "reserved connect flag": raw_mqtt.connect(flags=0xC3, **device.credentials()),
        "will qos without will": raw_mqtt.connect(flags=0xCA, **device.credentials()),
        "will qos 3": raw_mqtt.connect(flags=0xDE, **device.credentials()),
        "password without user": raw_mqtt.connect(client_id=device.credentials()["client_id"], password="x"),
        "nothing after the head": packet(raw_mqtt.CONNECT, 0, b""),
        "cut in the protocol name": cut(good, 4),
        "cut in the client id": cut(good, 20),
        "cut in the password": cut(good, len(good) - 10),
        "client id longer than the packet": packet(raw_mqtt.CONNECT, 0, text("MQTT") + b"\x04\x02\0\x3c" + b"\xff\xffabc"),
        "client id that is no utf-8": packet(raw_mqtt.CONNECT, 0, text("MQTT") + b"\x04\xc2\0\x3c" + text(b"\xc3\x28") * 3),
        "client id with nul": packet(raw_mqtt.CONNECT, 0, text("MQTT") + b"\x04\xc2\0\x3c" + text(b"a\0b") * 3),
        "bytes after the payload": packet(raw_mqtt.CONNECT, 0, good[2:] + b"more" if good[1] < 128 else good[3:] + b"more"),
        "v5 properties longer than the packet": packet(raw_mqtt.CONNECT, 0, text("MQTT") + b"\x05\xc2\0\x3c\x7f\x11"),
        "v5 unknown property": packet(raw_mqtt.CONNECT, 0, text("MQTT") + b"\x05\xc2\0\x3c\x02\x7e\0" + text("a") * 3),
        "v5 property twice": packet(raw_mqtt.CONNECT, 0, text("MQTT") + b"\x05\xc2\0\x3c\x0a" + b"\x11\0\0\0\1" * 2 + text("a") * 3),
        "v5 receive maximum 0": packet(raw_mqtt.CONNECT, 0, text("MQTT") + b"\x05\xc2\0\x3c\x03\x21\0\0" + text("a") * 3),
    }


NAMES = list(first_packets(Registration(type("P", (), {"clock_offset_ms": 0})(), "x", "y")))


@pytest.mark.parametrize("name", NAMES)
def test_first_packet(world, witness, device, name):
    """Refused with a CONNACK or just cut; never accepted, and never left open."""
    with device.raw(connected=False) as link:
        data = first_packets(device)[name]
        try:
            link.send(data)
            link.socket.settimeout(10)
            answer = b""
            while part := link.socket.recv(4096):
                answer += part
        except (ConnectionResetError, BrokenPipeError):
            return
        except TimeoutError:
            raise AssertionError(f"{name}: the link was left open") from None
        if answer:
            assert answer[0] >> 4 in (raw_mqtt.CONNACK, raw_mqtt.DISCONNECT), answer
            if answer[0] >> 4 == raw_mqtt.CONNACK:
                assert answer[3] != 0, f"{name}: accepted"


def test_a_link_that_says_nothing_is_cut(world, witness):
    """Nobody may hold a connection without CONNECT for long."""
    with raw_mqtt.RawMqtt(world.platform.address("mqtt")) as link:
        link.expect_end(seconds=40)


def test_a_connect_that_drips_in_is_cut(world, witness, device):
    """Slow-loris: one byte a second must not hold the connection for ever."""
    with device.raw(connected=False) as link:
        began = time.monotonic()
        data = greeting(device)
        sent = 0
        with pytest.raises((ConnectionError, raw_mqtt.ConnectionEnded)):
            while time.monotonic() - began < 45 and sent < len(data) - 1:
                link.send(data[sent:sent + 1])
                sent += 1
                link.socket.settimeout(1)
                try:
                    if link.socket.recv(1) == b"":
                        raise raw_mqtt.ConnectionEnded("closed")
                except TimeoutError:
                    pass
        assert time.monotonic() - began < 45


def test_a_connect_in_single_bytes_is_accepted(device):
    with device.raw(connected=False) as link:
        for byte in greeting(device):
            link.send(bytes([byte]))
        assert link.expect(raw_mqtt.CONNACK).code == 0


# --- after CONNECT ----------------------------------------------------------------------------------------------------

LATER = {
    "second connect": lambda device: greeting(device),
    "connack": lambda device: packet(raw_mqtt.CONNACK, 0, b"\0\0"),
    "suback": lambda device: packet(raw_mqtt.SUBACK, 0, b"\0\1\0"),
    "unsuback": lambda device: packet(raw_mqtt.UNSUBACK, 0, b"\0\1"),
    "pingresp": lambda device: packet(raw_mqtt.PINGRESP, 0, b""),
    "auth in 3.1.1": lambda device: packet(raw_mqtt.AUTH, 0, b""),
    "type 0": lambda device: packet(0, 0, b""),
    "qos 3": lambda device: packet(raw_mqtt.PUBLISH, 6, text("a") + b"\0\1x"),
    "dup at qos 0": lambda device: packet(raw_mqtt.PUBLISH, 8, text("a") + b"x"),
    "packet id 0": lambda device: raw_mqtt.publish("a", b"x", 1, 0),
    "publish without id": lambda device: packet(raw_mqtt.PUBLISH, 2, text("a")),
    "publish without topic": lambda device: packet(raw_mqtt.PUBLISH, 0, b""),
    "topic longer than the packet": lambda device: packet(raw_mqtt.PUBLISH, 0, b"\xff\xffabc"),
    "topic that is no utf-8": lambda device: packet(raw_mqtt.PUBLISH, 0, text(b"\xc3\x28") + b"x"),
    "topic with nul": lambda device: packet(raw_mqtt.PUBLISH, 0, text(b"a\0b") + b"x"),
    "topic with a surrogate": lambda device: packet(raw_mqtt.PUBLISH, 0, text(b"\xed\xa0\x80") + b"x"),
    "subscribe with wrong flags": lambda device: packet(raw_mqtt.SUBSCRIBE, 0, b"\0\1" + text("a") + b"\0"),
    "subscribe without filters": lambda device: packet(raw_mqtt.SUBSCRIBE, 2, b"\0\1"),
    "subscribe with qos 3": lambda device: packet(raw_mqtt.SUBSCRIBE, 2, b"\0\1" + text("a") + b"\3"),
    "subscribe with reserved bits": lambda device: packet(raw_mqtt.SUBSCRIBE, 2, b"\0\1" + text("a") + b"\xf0"),
    "unsubscribe without filters": lambda device: packet(raw_mqtt.UNSUBSCRIBE, 2, b"\0\1"),
    "pubrel with wrong flags": lambda device: packet(raw_mqtt.PUBREL, 0, b"\0\1"),
    "puback of one byte": lambda device: packet(raw_mqtt.PUBACK, 0, b"\1"),
    "ping with a body": lambda device: packet(raw_mqtt.PINGREQ, 0, b"x"),
    "disconnect with flags": lambda device: packet(raw_mqtt.DISCONNECT, 1, b""),
    "remaining length of five bytes": lambda device: b"\x30\xff\xff\xff\xff\x01",
}


@pytest.mark.parametrize("name", LATER)
def test_later_packet(witness, device, name):
    link = device.raw()
    link.send(LATER[name](device))
    link.expect_end()


def test_a_publish_above_the_limit_ends_the_link(world, witness, device):
    """The limit of a message is 1 MB; far more than that is not even read."""
    link = device.raw()
    link.send(bytes([raw_mqtt.PUBLISH << 4 | 2]) + varint(200 << 20) + text(device.topic("sys/messages/up")))
    link.expect_end()


def test_a_publish_of_a_megabyte_is_taken(world, witness, device):
    receiver = world.pushes()
    link = device.raw()
    content = "x" * (1 << 20)
    link.publish(device.topic("sys/messages/up"), content)
    [push] = receiver.wait("device.message", device.device_id)
    assert len(push["notify_data"]["body"]["content"]) == 1 << 20


def test_random_bytes_after_connect(world, witness, device):
    chance = random.Random(11)
    for _ in range(30):
        with device.raw() as link:
            try:
                for _ in range(5):
                    link.send(chance.randbytes(chance.randrange(1, 400)))
                link.socket.shutdown(socket.SHUT_WR)
                while link.socket.recv(4096):
                    pass
            except OSError:
                pass


def test_acknowledgements_that_nobody_waits_for_are_ignored(device):
    link = device.raw()
    for kind in (raw_mqtt.PUBACK, raw_mqtt.PUBREC, raw_mqtt.PUBCOMP):
        link.send(raw_mqtt.acknowledge(kind, 999))
    link.send(raw_mqtt.PING)
    answers = [link.receive()]
    while answers[-1].kind != raw_mqtt.PINGRESP:
        answers.append(link.receive())


# --- payloads ---------------------------------------------------------------------------------------------------------

PAYLOADS = [
    b"", b"{", b"null", b"[]", b"7", b'"text"', b"\xff\xfe\xfd", b"{}", b'{"services":null}', b'{"services":{}}',
    b'{"services":[]}', b'{"services":[null]}', b'{"services":[{}]}', b'{"services":[{"service_id":7,"properties":{}}]}',
    b'{"services":[{"service_id":"Temperature"}]}', b'{"services":[{"service_id":"Temperature","properties":[]}]}',
    b'{"services":[{"service_id":"Temperature","properties":{"value":1e999}}]}',
    b'{"services":[{"service_id":"Temperature","properties":{"value":NaN}}]}',
    b'{"services":' * 200 + b"[]" + b"}" * 200, b"[" * 100_000,
    b'{"services":[{"service_id":"Temperature","properties":{"note":"\\ud800"}}]}',
    b'{"services":[{"service_id":"Temperature","properties":{"note":"a\\u0000b"}}]}',
]


@pytest.mark.parametrize("topic", [
    "sys/properties/report", "sys/gateway/sub_devices/properties/report", "sys/commands/response/request_id=1",
    "sys/properties/set/response/request_id=1", "sys/properties/get/response/request_id=1", "sys/shadow/get/request_id=1",
    "sys/events/up", "sys/messages/up",
])
def test_bad_payloads_are_acknowledged_and_change_nothing(world, witness, device, topic):
    """No device SDK handles a cut after a bad payload: the link stays, the platform stays."""
    link = device.raw()
    for payload in PAYLOADS:
        link.publish(device.topic(topic), payload)
    link.ping()
    for row in world.rest.history(device.device_id):
        # A text with an escaped NUL is a valid string; all the rest must leave no trace.
        assert row["properties"] == {"note": "a\0b"}


def test_a_good_service_beside_a_broken_one(world, device):
    device.connect().send("sys/properties/report", {"services": [
        7, {"service_id": "Temperature", "properties": 7}, {"service_id": "Battery", "properties": {"level": 4}}]})
    wait_for(lambda: set(world.rest.shadow_of(device.device_id)) <= {"Battery"}, what="no trace of the broken ones")


def test_many_links_at_once_that_go_away(world, witness):
    links = [raw_mqtt.RawMqtt(world.platform.address("mqtt")) for _ in range(300)]
    for link in links:
        link.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        link.close()


def test_a_reader_that_never_reads_does_not_hold_up_the_others(world, witness, device):
    """Messages to a device whose socket is full must not block other devices or the memory of the platform."""
    deaf = world.device()
    link = deaf.raw(connected=False)
    link.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    assert link.connect(**deaf.credentials()).code == 0
    big = "x" * 100_000

    def shout():
        for _ in range(60):
            world.app.create_message(deaf.device_id, big, payload_format="raw")

    shouting = threading.Thread(target=shout)
    shouting.start()
    quick = device.connect()
    for number in range(10):
        world.app.create_message(device.device_id, f"{number}", payload_format="raw")
    quick.wait_down("sys/messages/down", count=10)
    shouting.join(60)
    assert not shouting.is_alive()


# --- slow HTTP --------------------------------------------------------------------------------------------------------

def test_http_headers_that_never_end_are_cut(world, witness):
    with socket.create_connection(world.platform.address("http"), timeout=60) as link:
        link.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        link.settimeout(45)
        while link.recv(4096):
            pass


@pytest.mark.parametrize("head", [
    b"GARBAGE\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /healthz HTTP/1.1\r\nContent-Length: x\r\nHost: x\r\n\r\n",
    b"POST /v3/auth/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(2000)) + b"\r\n",
])
def test_malformed_http_is_a_client_error(world, witness, head):
    with socket.create_connection(world.platform.address("http"), timeout=15) as link:
        try:
            link.sendall(head)
            answer = link.recv(4096)
        except (ConnectionResetError, BrokenPipeError):
            return
        assert answer == b"" or answer.split()[1].startswith(b"4"), answer[:80]


# --- the log ----------------------------------------------------------------------------------------------------------

def test_no_secret_is_logged(platform_factory):
    """Every secret of a full day's work, wrong attempts included; at the most talkative level."""
    platform = platform_factory({"log.level": "trace"}).start()
    world = World(platform)
    try:
        device = world.device()
        link = device.connect().respond("sys/commands/", {"result_code": 0})
        link.report(value=1)
        world.app.create_command(device.device_id, "Temperature", "ON_OFF", {"value": "ON"})
        with device.raw(connected=False) as wrong:
            assert wrong.connect(**{**device.credentials(), "password": device.secret}).code == 4
        https = HttpsDevice(device).login()
        https.report({"value": 2}).must_be(200)
        https.authenticate(password="1" * 64).must_be(401)
        caller = world.rest.with_token()
        caller.get("/devices").must_be(200)
        world.rest.sk += "x"
        world.rest.get("/devices").must_be(401)
        renewed = world.app.reset_secret(device.device_id).secret
        secrets = {
            "device secret": device.secret, "new device secret": renewed,
            "device password": device.credentials()["password"], "device token": https.token,
            "secret key": platform.ready["access_key"]["sk"], "token": caller.token,
        }
        if platform.store_url:
            secrets["store password"] = platform.store_url.split(":")[2].split("@")[0]
        platform.stop()
        log = platform.log()
        assert len(log) > 100, "the log says nothing at all"
        assert [name for name, secret in secrets.items() if secret in log] == []
        # The administrator's first password is printed once, for the person at the console.
        assert log.count(platform.ready["admin"]["password"]) <= 1
    finally:
        world.close()
        platform.close()


def test_data_folder_is_private(own_world):
    """Keys and secrets lie in the data folder: nobody else on the machine may look into it."""
    assert own_world.platform.data.stat().st_mode & 0o077 == 0


def test_device_secrets_are_not_stored_in_the_clear(own_world):
    device = own_world.device(auth_info={"auth_type": "SECRET", "secret": "find-me-if-you-can-123"})
    device.raw().ping()
    own_world.platform.stop()
    for path in own_world.platform.data.rglob("*"):
        if path.is_file():
            assert b"find-me-if-you-can-123" not in path.read_bytes(), path.name
