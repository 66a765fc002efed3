"""The AMQP 1.0 server (002 §4.6.3): signing in, limits, settlement, competing consumers, redelivery, order, hostile bytes.

Consumers are foreign: Debian's python3-qpid-proton and npm's rhea, the latter written as the vendor's Node.js sample."""

import json
import os
import socket
import struct
import time

import pytest

from rig.amqp import PROTON, RHEA, Consumer, Queue, seq_of, sign_in
from rig.deadline import wait_for
from rig.world import World

CLIENTS = pytest.mark.parametrize("client", [PROTON, RHEA], ids=["proton", "rhea"])


@pytest.fixture(scope="module")
def platform(platform_factory):
    """One of this file's own: other tests replace access codes."""
    started = platform_factory().start()
    yield started
    started.close()


@pytest.fixture
def world(platform):
    made = World(platform)
    yield made
    made.close()


@pytest.fixture
def consumers():
    made = []

    def make(*arguments, **options):
        made.append(Consumer(*arguments, **options))
        return made[-1]

    yield make
    for consumer in made:
        consumer.close()


@pytest.fixture
def queue(own_world):
    return Queue(own_world)


@pytest.fixture
def reporter(own_world):
    """Reports numbers; each becomes a message."""
    link = own_world.device().connect()

    def report(*numbers):
        for number in numbers:
            link.report("Battery", seq=number)

    return report


# --- signing in ------------------------------------------------------------------------------------------------------------


@CLIENTS
@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_sample_signs_in_and_reads(own_world, queue, reporter, consumers, client, tls):
    queue.feed()
    consumer = consumers(own_world.platform, queue.name, client=client, tls=tls, auto_accept=True)
    consumer.wait("attached")
    reporter(1, 2, 3)
    messages = consumer.messages(3)
    assert [seq_of(message) for message in messages] == [1, 2, 3]
    first = messages[0]
    assert first["type"] in ("str", "string") and first["content_type"] == "application/json"
    assert first["failed"] == 0 and len({message["id"] for message in messages}) == 3
    event = json.loads(first["body"])
    assert (event["resource"], event["event"]) == ("device.property", "report")


@CLIENTS
@pytest.mark.parametrize("wrong", [{"code": "0" * 32}, {"key": "00000000"}, {"shift_ms": -301_000}, {"shift_ms": 301_000}],
                         ids=["code", "key", "old", "ahead"])
def test_wrong_credentials_are_refused(platform, consumers, client, wrong):
    consumer = consumers(platform, "any-queue", client=client, credentials=sign_in(platform, **wrong))
    wait_for(lambda: consumer.seen("transport_error") or consumer.seen("connection_error") or consumer.seen("disconnected"),
             15, "the refusal")
    assert not consumer.seen("open")


@pytest.mark.parametrize("shift_ms", [-290_000, 290_000])
def test_five_minutes_of_difference_are_accepted(platform, consumers, shift_ms):
    consumers(platform, credentials=sign_in(platform, shift_ms=shift_ms)).wait("open")


@pytest.mark.parametrize("user", ["", "accessKey=%s", "accessKey=%s|timestamp=1700000000", "%s", "timestamp=%s"])
def test_other_user_names_are_refused(platform, consumers, user):
    good = sign_in(platform)
    key = platform.ready["amqp"]["access_key"]
    consumer = consumers(platform, credentials={**good, "user": user.replace("%s", key) or "x"})
    consumer.wait("transport_error")
    assert not consumer.seen("open")


def test_a_replaced_code_is_void(own_world, queue, consumers):
    staying = consumers(own_world.platform, queue.name)
    staying.wait("attached")
    old = sign_in(own_world.platform)
    made = own_world.rest.post("/auth/accesscode", json={"type": "AMQP"}).must_be(201).json
    late = consumers(own_world.platform, queue.name, credentials=old)
    late.wait("transport_error")
    # Whoever is connected stays, unless the caller asks for the contrary.
    new = sign_in(own_world.platform, made["access_key"], made["access_code"])
    consumers(own_world.platform, queue.name, credentials=new).wait("attached")
    assert not staying.seen("disconnected")
    again = own_world.rest.post("/auth/accesscode", json={"type": "AMQP", "force_disconnect": True}).must_be(201).json
    [error] = staying.wait("connection_error")
    assert error["condition"] == "amqp:connection:forced" and "access code" in error["description"]
    own_world.platform.stop()
    own_world.platform.start()
    assert own_world.platform.ready["amqp"] == {"access_key": again["access_key"], "access_code": again["access_code"]}
    consumers(own_world.platform, queue.name).wait("attached")


# --- links and limits ------------------------------------------------------------------------------------------------------


@CLIENTS
def test_unknown_queues_are_refused_with_a_sentence(world, consumers, client):
    [error] = consumers(world.platform, "no-such-queue", client=client).wait("link_error")
    assert error["condition"] == "amqp:not-found" and "no-such-queue" in error["description"]


@CLIENTS
def test_senders_are_refused_with_a_sentence(world, consumers, client):
    consumer = consumers(world.platform, Queue(world).name, client=client, sender="some-queue")
    [error] = consumer.wait("link_error")
    assert error["condition"] == "amqp:not-allowed" and "REST" in error["description"]
    consumer.wait("attached")


def test_ten_links_of_a_connection(world, consumers):
    queue = Queue(world)
    consumer = consumers(world.platform, *[queue.name] * 11)
    [error] = consumer.wait("link_error")
    assert error["condition"] == "amqp:resource-limit-exceeded" and "10" in error["description"]
    wait_for(lambda: len({e["link"] for e in consumer.seen("attached")} - {error["link"]}) == 10, 10, "ten links")
    # A link that goes makes room.
    consumer.do("detach")
    consumer.wait("detached", link="link-0")
    consumer.do("attach", queue=queue.name)
    consumer.wait("attached", link="link-11")
    assert len(consumer.seen("link_error")) == 1


def test_connections_of_a_key(platform_factory, consumers):
    platform = platform_factory({"amqp.max_connections": 3}).start()
    first = [consumers(platform) for _ in range(3)]
    for consumer in first:
        consumer.wait("open")
    [error] = consumers(platform).wait("connection_error")
    assert error["condition"] == "amqp:resource-limit-exceeded" and "3" in error["description"]
    first[0].kill()

    def has_room():
        consumer = consumers(platform)
        wait_for(lambda: consumer.seen("open") or consumer.seen("connection_error"), 10, "an answer")
        return not consumer.seen("connection_error")

    wait_for(has_room, 10, "room for another", every=0.3)
    platform.close()


def test_a_connection_without_link_is_closed(platform_factory, consumers):
    platform = platform_factory({"amqp.link_timeout": "1s"}).start()
    queue = Queue(World(platform))
    with_link = consumers(platform, queue.name)
    with_link.wait("attached")
    without = consumers(platform)
    [error] = without.wait("connection_error")
    assert error["condition"] == "amqp:connection:forced" and "1 second" in error["description"]
    # Bytes that never come to a sign-in end as well.
    with socket.create_connection(platform.address("amqp"), 10) as silent:
        assert silent.recv(100) == b""
    assert not with_link.seen("disconnected")
    platform.close()


def test_idle_time_out_both_ways(platform_factory, consumers):
    platform = platform_factory({"amqp.idle_timeout": "2s"}).start()
    queue = Queue(World(platform))
    # Proton beats for the platform's half of two seconds, and wants a frame in its own second.
    living = consumers(platform, queue.name, heartbeat=1)
    living.wait("attached")
    assert living.seen("open")[0]["idle"] == 1
    with Raw(platform) as mute:
        mute.open()
        began = time.monotonic()
        assert mute.ends(), "the silent connection is closed"
        assert 1.5 < time.monotonic() - began < 6
    time.sleep(1)
    assert not living.seen("disconnected") and not living.seen("connection_error")
    platform.close()


def test_a_deleted_queue_detaches_its_consumers(world, consumers):
    queue = Queue(world)
    consumer = consumers(world.platform, queue.name)
    consumer.wait("attached")
    world.rest.delete(f"/amqp-queues/{queue.id}").must_be(204)
    [error] = consumer.wait("link_error")
    assert error["condition"] == "amqp:resource-deleted" and "deleted" in error["description"]


def test_consumers_are_told_of_a_stop(own_world, queue, consumers):
    consumer = consumers(own_world.platform, queue.name)
    consumer.wait("attached")
    assert own_world.platform.stop() < 5
    [error] = consumer.wait("connection_error")
    assert error["condition"] == "amqp:connection:forced" and "stopping" in error["description"]


# --- settlement ------------------------------------------------------------------------------------------------------------


@CLIENTS
def test_outcomes(own_world, queue, reporter, consumers, client):
    queue.feed()
    reporter(1, 2, 3, 4)
    consumer = consumers(own_world.platform, queue.name, client=client)
    one, two, three, four = consumer.messages(4)
    consumer.settle("accept", [one])
    consumer.settle("reject", [two])
    consumer.settle("release", [three])
    consumer.settle("modify", [four])
    back = consumer.messages(6)[4:]
    assert sorted((seq_of(message), message["failed"]) for message in back) == [(3, 0), (4, 1)]
    consumer.settle("accept", back)
    reporter(5)
    last = consumer.messages(7)[6:]
    assert [seq_of(message) for message in last] == [5]
    consumer.settle("accept", last)
    consumer.close()
    # Nothing of it is left.
    reporter(6)
    assert [seq_of(m) for m in consumers(own_world.platform, queue.name, client=client, auto_accept=True).messages(1)] == [6]


def test_order_and_redelivery_after_a_lost_connection(own_world, queue, reporter, consumers):
    queue.feed()
    reporter(*range(1, 51))
    lost = consumers(own_world.platform, queue.name, credit=0)
    lost.wait("attached")
    lost.do("credit", credit=30)
    taken = lost.messages(30)
    assert [seq_of(message) for message in taken] == list(range(1, 31))
    lost.settle("accept", taken[:10])
    time.sleep(0.3)
    lost.kill()
    found = consumers(own_world.platform, queue.name, auto_accept=True).messages(40)
    assert [seq_of(message) for message in found] == list(range(11, 51))
    assert [message["failed"] for message in found] == [1] * 20 + [0] * 20


def test_competing_consumers_share_and_lose_nothing(own_world, queue, reporter, consumers):
    queue.feed()
    both = [consumers(own_world.platform, queue.name, credit=10, auto_accept=True) for _ in range(2)]
    for consumer in both:
        consumer.wait("attached")
    reporter(*range(1, 201))
    wait_for(lambda: sum(len(c.seen("message")) for c in both) >= 200, 30, "all messages")
    seen = [[seq_of(message) for message in consumer.seen("message")] for consumer in both]
    assert sorted(seen[0] + seen[1]) == list(range(1, 201))
    assert min(len(seen[0]), len(seen[1])) > 20, [len(s) for s in seen]
    assert all(numbers == sorted(numbers) for numbers in seen)


def test_credit_is_respected(own_world, queue, reporter, consumers):
    queue.feed()
    reporter(*range(1, 21))
    consumer = consumers(own_world.platform, queue.name, credit=0, auto_accept=True)
    consumer.wait("attached")
    consumer.do("credit", credit=3)
    consumer.messages(3)
    time.sleep(0.5)
    assert len(consumer.seen("message")) == 3
    # One without credit keeps nothing from another.
    other = consumers(own_world.platform, queue.name, auto_accept=True)
    assert [seq_of(message) for message in other.messages(17)] == list(range(4, 21))


def test_drain_gives_what_there_is(own_world, queue, reporter, consumers):
    queue.feed()
    reporter(1, 2)
    consumer = consumers(own_world.platform, queue.name, credit=0, auto_accept=True)
    consumer.wait("attached")
    consumer.do("drain", credit=10)
    consumer.wait("drained")
    assert [seq_of(message) for message in consumer.seen("message")] == [1, 2]


@CLIENTS
def test_settled_messages_do_not_come_again(own_world, queue, reporter, consumers, client):
    queue.feed()
    reporter(*range(1, 11))
    consumer = consumers(own_world.platform, queue.name, client=client, settled=True)
    assert [seq_of(message) for message in consumer.messages(10)] == list(range(1, 11))
    time.sleep(0.3)
    consumer.kill()
    reporter(11)
    again = consumers(own_world.platform, queue.name, auto_accept=True).messages(1)
    assert [seq_of(message) for message in again] == [11]


def test_kills_of_the_platform_lose_nothing(own_world, queue, reporter, consumers):
    queue.feed()
    seen = []
    for number in range(3):
        own_world.after_restart()
        link = own_world.registrations[0].connect()
        for each in range(100):
            link.report("Battery", seq=number * 100 + each)
        consumer = consumers(own_world.platform, queue.name, credit=20, auto_accept=True)
        consumer.messages(20 + 10 * number)
        own_world.platform.restart_after_kill()
        seen += [seq_of(message) for message in consumer.seen("message")]
    own_world.after_restart()
    last = consumers(own_world.platform, queue.name, auto_accept=True)
    wait_for(lambda: set(seen) | {seq_of(m) for m in last.seen("message")} == set(range(300)), 30, "everything")


def test_a_consumer_that_does_not_read_costs_the_doors_nothing(own_world, queue, reporter, consumers):
    queue.feed()
    with Raw(own_world.platform) as stuck:
        stuck.open()
        stuck.attach(queue.name, credit=1_000_000)
        began = time.monotonic()
        reporter(*range(300))
        assert time.monotonic() - began < 30
    found = consumers(own_world.platform, queue.name, auto_accept=True).messages(300)
    assert [seq_of(message) for message in found] == list(range(300))


def test_long_messages_are_cut_to_the_frames_of_the_consumer(own_world, queue, consumers):
    queue.feed("device.message")
    text = "long " * 4000
    own_world.device().connect().send("sys/messages/up", {"content": text})
    with Raw(own_world.platform, max_frame_size=512) as raw:
        raw.open()
        raw.attach(queue.name, credit=10)
        frames = raw.transfers()
        assert len(frames) > len(text) // 512 and all(len(frame) <= 512 for frame in frames)
    # Whoever takes larger frames gets it whole.
    [message] = consumers(own_world.platform, queue.name, auto_accept=True).messages(1)
    assert text in message["body"]


# --- hostile bytes ---------------------------------------------------------------------------------------------------------


def described(code: int, *fields: bytes) -> bytes:
    inside = struct.pack(">I", len(fields)) + b"".join(fields)
    return b"\x00\x53" + bytes([code]) + b"\xd0" + struct.pack(">I", len(inside)) + inside


def framed(body: bytes, channel=0, kind=0) -> bytes:
    return struct.pack(">IBBH", 8 + len(body), 2, kind, channel) + body


def text(value: str, code=0xB1) -> bytes:
    return bytes([code]) + struct.pack(">I", len(value)) + value.encode()


def uint(value: int) -> bytes:
    return b"\x70" + struct.pack(">I", value)


class Raw:
    """AMQP by hand, to say what no client says."""

    def __init__(self, platform, max_frame_size=65536):
        self.platform = platform
        self.max_frame_size = max_frame_size
        self.socket = socket.create_connection(platform.address("amqp"), 15)
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def say(self, data: bytes):
        self.socket.sendall(data)

    def read(self, count: int) -> bytes:
        while len(self.rest) < count:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError
            self.rest += more
        found, self.rest = self.rest[:count], self.rest[count:]
        return found

    def frame(self) -> bytes:
        size = struct.unpack(">I", self.read(4))[0]
        return struct.pack(">I", size) + self.read(size - 4)

    def until(self, code: int) -> bytes:
        while True:
            frame = self.frame()
            if frame[8:11] == b"\x00\x53" + bytes([code]):
                return frame

    def sign_in(self):
        credentials = sign_in(self.platform)
        response = f"\0{credentials['user']}\0{credentials['password']}".encode()
        self.say(b"AMQP\x03\x01\x00\x00" + framed(
            described(0x41, text("PLAIN", 0xB3), b"\xb0" + struct.pack(">I", len(response)) + response), kind=1))
        assert self.read(8) == b"AMQP\x03\x01\x00\x00"
        self.until(0x40)
        assert self.until(0x44).endswith(b"\x50\x00")
        return self

    def open(self):
        self.sign_in()
        self.say(b"AMQP\x00\x01\x00\x00" + framed(described(0x10, text("raw"), b"\x40", uint(self.max_frame_size))))
        assert self.read(8) == b"AMQP\x00\x01\x00\x00"
        self.until(0x10)
        return self

    def attach(self, queue: str, credit: int):
        source = described(0x28, text(queue))
        self.say(framed(described(0x11, b"\x40", uint(0), uint(2000), uint(2000)))
                 + framed(described(0x12, text("raw"), uint(0), b"\x41", b"\x50\x02", b"\x50\x00", source, described(0x29))))
        self.until(0x12)
        self.say(framed(described(0x13, uint(0), uint(1_000_000), uint(0), uint(2000), uint(0), uint(0), uint(credit))))

    def transfers(self) -> list[bytes]:
        """The frames of one delivery; `more` is the last field of a transfer's list."""
        frames = [self.until(0x14)]
        while frames[-1][13 + frames[-1][12] - 1:][:1] == b"\x41":
            frames.append(self.until(0x14))
        return frames

    def ends(self) -> bool:
        try:
            while self.frame():
                pass
        except (EOFError, ConnectionResetError):
            return True
        return False


GARBAGE = [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", b"AMQP\x00\x00\x09\x01",
           b"AMQP\x03\x01\x00\x00" + b"\xff" * 64, b"AMQP\x03\x01\x00\x00" + framed(b"\x00" * 200, kind=1),
           b"AMQP\x03\x01\x00\x00\x00\x00\x00\x04\x02\x01\x00\x00", os.urandom(4096)]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_before_the_sign_in(platform, garbage):
    with Raw(platform) as raw:
        raw.say(garbage)
        try:
            while raw.socket.recv(4096):
                pass
        except ConnectionResetError:
            pass


AFTER = {
    "frame_too_large": struct.pack(">IBBH", 0x7FFFFFFF, 2, 0, 0),
    "frame_too_short": struct.pack(">IBBH", 4, 2, 0, 0),
    "not_a_performative": framed(b"\x41\x41\x41"),
    "unknown_performative": framed(described(0x77)),
    "open_again": framed(described(0x10, text("raw"))),
    "channel_too_high": framed(described(0x11, b"\x40", uint(0), uint(1), uint(1)), channel=60000),
    "no_session": framed(described(0x12, text("x"), uint(0), b"\x41")),
    "deep": framed(b"\x00" * 60000),
    "sasl_again": framed(described(0x41, text("PLAIN", 0xB3)), kind=1),
    "array_of_a_billion": framed(b"\x00\x53\x10\xd0" + struct.pack(">II", 8, 0x3FFFFFFF) + b"\x40" * 4),
}


@pytest.mark.parametrize("said", AFTER.values(), ids=AFTER.keys())
def test_wrong_frames_close_the_connection(platform, said):
    with Raw(platform) as raw:
        raw.open()
        raw.say(said)
        close = raw.until(0x18)
        assert b"amqp:" in close
        assert raw.ends()


def test_a_disposition_of_everything_is_harmless(world):
    with Raw(world.platform) as raw:
        raw.open()
        raw.attach(Queue(world).name, credit=10)
        raw.say(framed(described(0x15, b"\x41", uint(0), uint(0xFFFFFFFF), b"\x41", b"\x00\x53\x24\x45")))
        raw.say(framed(described(0x15, b"\x41", uint(5), uint(1), b"\x41", b"\x00\x53\x24\x45")))
        # It still answers.
        raw.say(framed(described(0x13, uint(0), uint(1), uint(0), uint(1), uint(0), uint(0), uint(5), b"\x40", b"\x42", b"\x41")))
        raw.until(0x13)


def test_messages_from_consumers_end_the_session(world):
    with Raw(world.platform) as raw:
        raw.open()
        raw.attach(Queue(world).name, credit=10)
        raw.say(framed(described(0x14, uint(0), uint(0), b"\xa0\x01x", uint(0), b"\x42", b"\x42") + b"\x00\x53\x77\xa1\x01x"))
        assert b"amqp:not-allowed" in raw.until(0x17)
