"""A nats-server (Debian) on a free port with a folder of its own, and messages read with nats-py."""

import asyncio
import json
import subprocess
import threading
from pathlib import Path

import nats
from nats.js.api import StreamConfig

from rig.deadline import wait_for
from rig.kafka_broker import is_open
from rig.s3_server import free_port


class NatsServer:
    def __init__(self, folder: Path, config: str = "", port: int | None = None):
        self.folder, self.port = Path(folder), port or free_port()
        self.config = self.folder / "nats.conf"
        self.config.write_text(f'listen: "127.0.0.1:{self.port}"\njetstream {{ store_dir: "{self.folder}/js" }}\n{config}\n')
        self.process: subprocess.Popen | None = None

    def start(self) -> "NatsServer":
        with (self.folder / "nats.log").open("ab") as log:
            self.process = subprocess.Popen(["/usr/sbin/nats-server", "-c", str(self.config)], stdout=log, stderr=log)
        wait_for(lambda: is_open(self.port), 20, "nats-server to listen")
        return self

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait(10)
            self.process = None


class Listener:
    """A client in a thread of its own that keeps what a subject is sent."""

    def __init__(self, server: NatsServer, subject: str | None = None, **options):
        self.messages: list[tuple[str, dict]] = []
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.client = self.run(nats.connect(f"nats://127.0.0.1:{server.port}", **options))
        if subject:
            self.run(self.client.subscribe(subject, cb=self._take))
            self.run(self.client.flush())

    def run(self, what):
        return asyncio.run_coroutine_threadsafe(what, self.loop).result(20)

    async def _take(self, message):
        self.messages.append((message.subject, json.loads(message.data)))

    def wait(self, count: int, seconds=30) -> list[tuple[str, dict]]:
        wait_for(lambda: len(self.messages) >= count, seconds, f"{count} messages")
        return list(self.messages)

    # --- JetStream ----------------------------------------------------------------------------------------------------

    def add_stream(self, name: str, subject: str, **config):
        self.run(self.client.jetstream().add_stream(StreamConfig(name=name, subjects=[subject], **config)))

    def stream_count(self, name: str) -> int:
        return self.run(self.client.jetstream().stream_info(name)).state.messages

    def stream_events(self, name: str) -> list[dict]:
        """Everything that the stream keeps, in order, with `headers` of the message."""
        js = self.client.jetstream()
        return [self.run(js.get_msg(name, seq)) for seq in range(1, self.stream_count(name) + 1)]

    def close(self):
        self.run(self.client.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
