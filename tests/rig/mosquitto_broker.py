"""A mosquitto broker on a free port, with user and password, plain or under TLS; what it is sent is read with paho."""

import json
import subprocess
from pathlib import Path

import paho.mqtt.client as paho

from rig.deadline import wait_for
from rig.kafka_broker import is_open
from rig.s3_server import free_port


class MosquittoBroker:
    def __init__(self, folder: Path, user=("iot", "s3cret-word"), tls=None):
        self.folder, self.port, self.user, self.tls = Path(folder), free_port(), user, tls
        passwords = self.folder / "passwords"
        subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), *user], check=True, capture_output=True)
        lines = [f"listener {self.port} 127.0.0.1", f"password_file {passwords}", "allow_anonymous false",
                 "persistence true", f"persistence_location {self.folder}/", "user root", "max_queued_messages 0"]
        if tls:
            lines += [f"certfile {tls.cert}", f"keyfile {tls.key}"]
        self.config = self.folder / "mosquitto.conf"
        self.config.write_text("\n".join(lines) + "\n")
        self.process: subprocess.Popen | None = None

    def start(self) -> "MosquittoBroker":
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(self.config)], stdout=log, stderr=log)
        wait_for(lambda: is_open(self.port), 20, "mosquitto to listen")
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process = None


class Reader:
    """Keeps what a filter is sent. Its session outlives the broker's restarts."""

    def __init__(self, broker: MosquittoBroker, topic: str, ca=None):
        self.messages: list[tuple[str, dict, int, bool]] = []
        self.subscribed = False
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=f"reader-{broker.port}", clean_session=False)
        self.client.username_pw_set(*broker.user)
        if ca:
            self.client.tls_set(str(ca))
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = lambda client, *_: client.subscribe(topic, 1)
        self.client.on_subscribe = lambda *_: setattr(self, "subscribed", True)
        self.client.on_message = lambda _c, _u, m: self.messages.append((m.topic, json.loads(m.payload), m.qos, m.retain))
        self.client.connect("localhost", broker.port)
        self.client.loop_start()
        wait_for(lambda: self.subscribed, 20, "the subscription")

    def wait(self, count: int, seconds=30):
        wait_for(lambda: len(self.messages) >= count, seconds, f"{count} messages")
        return list(self.messages)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()
