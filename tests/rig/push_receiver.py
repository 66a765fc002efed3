"""An application's HTTP end for pushes: keeps what it was sent, and refuses on demand."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class PushReceiver:
    """`tls`: a context of `ssl`, for pushes over HTTPS."""

    def __init__(self, tls=None):
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
                status = receiver.take(self.path, self.headers.get("Content-Type", ""), body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

        self.server = Server(("127.0.0.1", 0), Handler)
        self.scheme = "https" if tls else "http"
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        #: Headers of every push, names in lower case.
        self.headers: list[dict[str, str]] = []
        self.news = threading.Condition()
        #: Every accepted push (answered with 200), in order of arrival.
        self.accepted: list[dict] = []
        self.refused: list[dict] = []
        self.content_types: set[str] = set()
        #: How many more pushes are refused, and with what status.
        self.refuse_next = 0
        self.refuse_status = 500
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def port(self) -> int:
        return self.server.server_address[1]

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/push"

    def take(self, _path: str, content_type: str, body: bytes) -> int:
        event = json.loads(body)
        with self.news:
            self.content_types.add(content_type)
            if self.refuse_next > 0:
                self.refuse_next -= 1
                self.refused.append(event)
                status = self.refuse_status
            else:
                self.accepted.append(event)
                status = 200
            self.news.notify_all()
        return status

    def select(self, resource: str, device_id: str | None = None, event: str | None = None) -> list[dict]:
        with self.news:
            pushes = list(self.accepted)
        return [push for push in pushes
                if push["resource"] == resource and event in (None, push["event"])
                and device_id in (None, push["notify_data"].get("header", {}).get("device_id"))]

    def wait(self, resource: str, device_id: str | None = None, count: int = 1, seconds: float = 15, where=None) -> list[dict]:
        """The pushes of this kind, once there are at least `count` of them for which `where` holds."""
        end = time.monotonic() + seconds
        while True:
            found = [push for push in self.select(resource, device_id) if where is None or where(push)]
            if len(found) >= count:
                return found
            with self.news:
                left = end - time.monotonic()
                assert left > 0, (f"{len(found)} of {count} pushes of {resource} within {seconds} s; "
                                  f"in all {[push['resource'] for push in self.accepted]}")
                self.news.wait(min(left, 0.2))

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def body_of(push: dict) -> dict:
    return push["notify_data"]["body"]


def device_of(push: dict) -> str:
    return push["notify_data"]["header"]["device_id"]
