"""Consumers of AMQP queues, in processes of their own, and what fills a queue."""

import json
import subprocess
import threading
import time
from pathlib import Path

from rig.deadline import wait_for
from rig.world import fresh_name

RIG = Path(__file__).resolve().parent
PROTON = ["/usr/bin/python3", str(RIG / "proton_consumer.py")]
RHEA = ["node", str(RIG.parent / "node" / "consumer.mjs")]


def sign_in(platform, key=None, code=None, shift_ms=0) -> dict:
    """User name and password of 002 §4.6.3.3 by the platform's clock."""
    amqp = platform.ready["amqp"]
    timestamp = int(time.time() * 1000) + platform.clock_offset_ms + shift_ms
    return {"user": f"accessKey={key or amqp['access_key']}|timestamp={timestamp}", "password": code or amqp["access_code"]}


class Consumer:
    """A consumer in a child process. `events` is everything it said."""

    def __init__(self, platform, *queues, client=PROTON, tls=False, credentials=None, **options):
        host, port = platform.address("amqps" if tls else "amqp")
        said = {"host": host, "port": port, "queues": queues, **(credentials or sign_in(platform)), **options}
        if tls:
            said["ca"] = platform.ca_cert
            said["host"] = "localhost"
        self.events: list[dict] = []
        self._process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *client, json.dumps(said)], text=True, bufsize=1,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self._process.stdout:
            try:
                self.events.append(json.loads(line))
            except json.JSONDecodeError:
                self.events.append({"event": "output", "text": line.rstrip()})

    def do(self, what, **fields):
        self._process.stdin.write(json.dumps({"do": what, **fields}) + "\n")
        self._process.stdin.flush()

    def seen(self, event, **fields) -> list[dict]:
        return [e for e in list(self.events)
                if e["event"] == event and all(e.get(name) == value for name, value in fields.items())]

    def wait(self, event, count=1, seconds=15.0, **fields) -> list[dict]:
        try:
            return wait_for(lambda: len(found := self.seen(event, **fields)) >= count and found, seconds, f"{count} x {event}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it said {[e for e in self.events if e['event'] != 'message'][-8:]}") from None

    def messages(self, count, seconds=30.0) -> list[dict]:
        return self.wait("message", count, seconds)

    def bodies(self) -> list[str]:
        return [message["body"] for message in self.seen("message")]

    def settle(self, what, messages):
        self.do(what, numbers=[message["number"] for message in messages])

    def kill(self):
        """The connection is lost: no close, no detach."""
        self._process.kill()
        self._process.wait()

    def close(self):
        if self._process.poll() is None:
            try:
                self.do("close")
                self._process.wait(5)
            except (BrokenPipeError, subprocess.TimeoutExpired):
                self._process.kill()
                self._process.wait()


def seq_of(message: dict) -> int:
    """Battery/seq of the property report in a message."""
    [service] = json.loads(message["body"])["notify_data"]["body"]["services"]
    return service["properties"]["seq"]


class Queue:
    """A queue; `feed` puts events of one space into it."""

    def __init__(self, world, app_id=None):
        self.world = world
        self.name = fresh_name("queue")
        self.id = world.rest.post("/amqp-queues", json={"queue_name": self.name}).must_be(201).json["queue_id"]
        self.app_id = app_id

    def feed(self, resource="device.property") -> "Queue":
        """Reports of the space's devices go into it from now on."""
        rule = {"rule_name": fresh_name("rule"), "subject": {"resource": resource, "event": "report"},
                "app_type": "APP", "app_id": self.app_id or self.world.platform.ready["default_app_id"]}
        rule_id = self.world.rest.post("/routing-rule/rules", json=rule).must_be(201).json["rule_id"]
        action = {"rule_id": rule_id, "channel": "AMQP_FORWARDING",
                  "channel_detail": {"amqp_forwarding": {"queue_name": self.name}}}
        self.world.rest.post("/routing-rule/actions", json=action).must_be(201)
        self.world.rest.put(f"/routing-rule/rules/{rule_id}", json={"active": True}).must_be(200)
        return self
