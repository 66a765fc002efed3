"""An HTTP function: answers what a test tells it to, and keeps what it was asked."""

import threading
import time
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FunctionServer:
    def __init__(self):
        function = self
        #: Path, headers and body of every call.
        self.calls: list[tuple[str, Message, bytes]] = []
        self.status, self.answer, self.delay = 200, b'{"ok":true}', 0.0

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                function.calls.append((self.path, self.headers, body))
                time.sleep(function.delay)
                try:
                    self.send_response(function.status)
                    self.send_header("Content-Length", str(len(function.answer)))
                    self.end_headers()
                    self.wfile.write(function.answer)
                except ConnectionError:
                    pass  # the caller did not wait

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/function?x=1"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
