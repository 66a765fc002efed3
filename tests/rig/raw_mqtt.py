"""MQTT byte by byte: what the tests need to send that no client library sends, and to see exactly what comes back.

Packets of 3.1 (`MQIsdp`), 3.1.1 and 5 are written by hand from the standards; nothing is shared with the platform.
"""

import socket
import ssl
import struct
from dataclasses import dataclass, field

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 1, 2, 3, 4, 5, 6, 7
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = 8, 9, 10, 11, 12, 13, 14, 15

#: level -> protocol name
PROTOCOL_NAMES = {3: "MQIsdp", 4: "MQTT", 5: "MQTT"}

#: MQTT 5 property id -> kind ([MQTT5-2.2.2.2])
PROPERTY_KINDS = {
    1: "byte", 2: "u32", 3: "text", 8: "text", 9: "binary", 11: "varint", 17: "u32", 18: "text", 19: "u16", 21: "text",
    22: "binary", 23: "byte", 24: "u32", 25: "byte", 26: "text", 28: "text", 31: "text", 33: "u16", 34: "u16", 35: "u16",
    36: "byte", 37: "byte", 38: "pair", 39: "u32", 40: "byte", 41: "byte", 42: "byte",
}
MESSAGE_EXPIRY, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION_DATA = 2, 3, 8, 9
SESSION_EXPIRY, SERVER_KEEP_ALIVE, WILL_DELAY, REASON_STRING = 17, 19, 24, 31
RECEIVE_MAXIMUM, TOPIC_ALIAS_MAXIMUM, TOPIC_ALIAS, MAXIMUM_QOS, RETAIN_AVAILABLE = 33, 34, 35, 36, 37
USER_PROPERTY, MAXIMUM_PACKET_SIZE = 38, 39


class ConnectionEnded(AssertionError):
    """The platform closed the connection where a packet was expected."""


def varint(value: int) -> bytes:
    out = bytearray()
    while True:
        value, digit = divmod(value, 128)
        out.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(out)


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("!H", len(raw)) + raw


def properties(values: dict | None) -> bytes:
    """`values`: property id -> value; a list of pairs for user properties."""
    out = b""
    for key, value in (values or {}).items():
        kind = PROPERTY_KINDS[key]
        if kind == "pair":
            out += b"".join(varint(key) + text(name) + text(content) for name, content in value)
            continue
        out += varint(key)
        if kind in ("text", "binary"):
            out += text(value)
        elif kind == "varint":
            out += varint(value)
        else:
            out += struct.pack({"byte": "!B", "u16": "!H", "u32": "!I"}[kind], value)
    return varint(len(out)) + out


def packet(kind: int, flags: int, body: bytes) -> bytes:
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


def connect(level=4, name=None, client_id="", username=None, password=None, keepalive=120, clean=True, will=None,
            props=None, flags=None) -> bytes:
    """`will`: (topic, payload, qos, retain[, properties]). `flags` overrides the connect flags, for wrong ones."""
    bits = 0x02 if clean else 0
    payload = text(client_id)
    if will:
        bits |= 0x04 | will[2] << 3 | (0x20 if will[3] else 0)
        if level == 5:
            payload += properties(will[4] if len(will) > 4 else None)
        payload += text(will[0]) + text(will[1])
    if username is not None:
        bits |= 0x80
        payload += text(username)
    if password is not None:
        bits |= 0x40
        payload += text(password)
    head = text(PROTOCOL_NAMES.get(level, "MQTT") if name is None else name)
    head += bytes([level, bits if flags is None else flags]) + struct.pack("!H", keepalive)
    if level == 5:
        head += properties(props)
    return packet(CONNECT, 0, head + payload)


def publish(topic, payload=b"", qos=0, packet_id=None, retain=False, dup=False, level=4, props=None) -> bytes:
    body = text(topic)
    if qos:
        body += struct.pack("!H", packet_id)
    if level == 5:
        body += properties(props)
    return packet(PUBLISH, (8 if dup else 0) | qos << 1 | (1 if retain else 0), body + (
        payload.encode() if isinstance(payload, str) else payload))


def acknowledge(kind: int, packet_id: int) -> bytes:
    return packet(kind, 2 if kind == PUBREL else 0, struct.pack("!H", packet_id))


def subscribe(packet_id: int, filters: list[tuple[str, int]], level=4) -> bytes:
    body = struct.pack("!H", packet_id) + (b"\0" if level == 5 else b"")
    return packet(SUBSCRIBE, 2, body + b"".join(text(name) + bytes([options]) for name, options in filters))


def unsubscribe(packet_id: int, filters: list[str], level=4) -> bytes:
    body = struct.pack("!H", packet_id) + (b"\0" if level == 5 else b"")
    return packet(UNSUBSCRIBE, 2, body + b"".join(text(name) for name in filters))


PING = packet(PINGREQ, 0, b"")
LEAVE = packet(DISCONNECT, 0, b"")


@dataclass
class Packet:
    kind: int
    flags: int
    body: bytes
    level: int = 4
    props: dict = field(default_factory=dict)

    # PUBLISH
    topic: str = ""
    payload: bytes = b""
    packet_id: int | None = None
    # CONNACK, acknowledgements, DISCONNECT
    code: int | None = None
    session_present: bool = False
    # SUBACK, UNSUBACK
    codes: list[int] = field(default_factory=list)

    @property
    def qos(self) -> int:
        return self.flags >> 1 & 3

    @property
    def dup(self) -> bool:
        return bool(self.flags & 8)

    @property
    def retain(self) -> bool:
        return bool(self.flags & 1)


class _Reader:
    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        assert self.at + count <= len(self.data), "packet is shorter than its fields"
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, form: str) -> int:
        return struct.unpack("!" + form, self.take(struct.calcsize(form)))[0]

    def text(self) -> bytes:
        return self.take(self.number("H"))

    def varint(self) -> int:
        value, shift = 0, 0
        while True:
            digit = self.number("B")
            value |= (digit & 127) << shift
            if not digit & 128:
                return value
            shift += 7

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.at)

    def properties(self) -> dict:
        end = self.varint() + self.at
        found: dict = {}
        while self.at < end:
            key = self.varint()
            kind = PROPERTY_KINDS[key]
            if kind == "pair":
                found.setdefault(key, []).append((self.text().decode(), self.text().decode()))
            elif kind == "text":
                found[key] = self.text().decode()
            elif kind == "binary":
                found[key] = self.text()
            elif kind == "varint":
                found[key] = self.varint()
            else:
                found[key] = self.number({"byte": "B", "u16": "H", "u32": "I"}[kind])
        assert self.at == end, "properties do not end where they say"
        return found


def parse(kind: int, flags: int, body: bytes, level: int) -> Packet:
    found = Packet(kind, flags, body, level)
    reader = _Reader(body)
    if kind == CONNACK:
        found.session_present = bool(reader.number("B") & 1)
        found.code = reader.number("B")
        # A refusal of the protocol version may come in the old form, without properties.
        if level == 5 and reader.at < len(body):
            found.props = reader.properties()
    elif kind == PUBLISH:
        found.topic = reader.text().decode()
        if found.qos:
            found.packet_id = reader.number("H")
        if level == 5:
            found.props = reader.properties()
        found.payload = reader.rest()
    elif kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
        found.packet_id = reader.number("H")
        found.code = reader.number("B") if level == 5 and reader.at < len(body) else 0
        if level == 5 and reader.at < len(body):
            found.props = reader.properties()
    elif kind in (SUBACK, UNSUBACK):
        found.packet_id = reader.number("H")
        if level == 5:
            found.props = reader.properties()
        found.codes = list(reader.rest())
    elif kind == DISCONNECT:
        found.code = reader.number("B") if body else 0
        if level == 5 and reader.at < len(body):
            found.props = reader.properties()
    return found


class RawMqtt:
    """One connection. `level` tells how answers are to be read; `connect` sets it."""

    def __init__(self, address: tuple[str, int], tls: ssl.SSLContext | None = None, level: int = 4, seconds: float = 10):
        self.level = level
        plain = socket.create_connection(address, timeout=seconds)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = tls.wrap_socket(plain, server_hostname=address[0]) if tls else plain
        self.seconds = seconds
        self.last_id = 0
        #: Messages that arrived while something else was awaited, in order of arrival.
        self.messages: list[Packet] = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Drops the connection without DISCONNECT."""
        self.socket.close()

    def send(self, data: bytes):
        self.socket.sendall(data)

    def next_id(self) -> int:
        self.last_id = self.last_id % 65535 + 1
        return self.last_id

    def _read(self, count: int) -> bytes:
        parts = b""
        while len(parts) < count:
            try:
                part = self.socket.recv(count - len(parts))
            except (ConnectionResetError, BrokenPipeError, ssl.SSLError) as reset:
                raise ConnectionEnded(f"connection reset: {reset}") from None
            if not part:
                raise ConnectionEnded("connection closed")
            parts += part
        return parts

    def receive(self, seconds: float | None = None) -> Packet:
        """The next packet of any kind; TimeoutError when none comes."""
        self.socket.settimeout(self.seconds if seconds is None else seconds)
        first = self._read(1)[0]
        length, shift = 0, 0
        while True:
            digit = self._read(1)[0]
            length |= (digit & 127) << shift
            if not digit & 128:
                break
            shift += 7
            assert shift < 28, "remaining length of more than four bytes"
        return parse(first >> 4, first & 15, self._read(length), self.level)

    def expect(self, *kinds: int, packet_id: int | None = None, seconds: float | None = None) -> Packet:
        """The next packet of these kinds; messages on the way are kept in `messages`, anything else is an error."""
        while True:
            found = self.receive(seconds)
            if found.kind in kinds and packet_id in (None, found.packet_id):
                return found
            assert found.kind == PUBLISH, f"unexpected packet {found}, waited for {kinds}"
            self.messages.append(found)

    def expect_end(self, seconds: float = 10):
        """The platform must close the connection; a last DISCONNECT (MQTT 5) or message is allowed."""
        try:
            while True:
                found = self.receive(seconds)
                assert found.kind in (DISCONNECT, PUBLISH), f"{found} in place of the end of the connection"
        except ConnectionEnded:
            return
        except TimeoutError:
            raise AssertionError(f"the connection was not closed within {seconds} s") from None

    # --- whole exchanges ----------------------------------------------------------------------------------------------

    def connect(self, **fields) -> Packet:
        self.level = fields.get("level", 4)
        self.send(connect(**fields))
        return self.expect(CONNACK)

    def subscribe(self, *filters: tuple[str, int]) -> list[int]:
        number = self.next_id()
        self.send(subscribe(number, list(filters), self.level))
        return self.expect(SUBACK, packet_id=number).codes

    def publish(self, topic, payload=b"", qos=1, retain=False, props=None) -> Packet | None:
        """Returns the PUBACK or PUBCOMP."""
        number = self.next_id()
        self.send(publish(topic, payload, qos, number, retain, False, self.level, props))
        if qos == 0:
            return None
        if qos == 1:
            return self.expect(PUBACK, packet_id=number)
        received = self.expect(PUBREC, packet_id=number)
        if received.code and received.code >= 0x80:
            return received
        self.send(acknowledge(PUBREL, number))
        return self.expect(PUBCOMP, packet_id=number)

    def message(self, seconds: float = 10, acknowledged: bool = True) -> Packet:
        """The next message; acknowledged at QoS 1 unless told otherwise."""
        found = self.messages.pop(0) if self.messages else self.expect(PUBLISH, seconds=seconds)
        if found.qos == 1 and acknowledged:
            self.send(acknowledge(PUBACK, found.packet_id))
        return found

    def ping(self):
        """Proves that the link lives, and that everything sent before it has been read."""
        self.send(PING)
        self.expect(PINGRESP)

    def leave(self):
        """DISCONNECT; returns once the platform has closed its side, so that a next connect meets no open link."""
        self.send(LEAVE)
        self.expect_end()
        self.socket.close()
