"""The platform under test: the real binary, started on free ports with a data folder of its own."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from rig.deadline import wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
LISTEN_KEYS = ("mqtt", "mqtts", "ws", "wss", "device_https", "https", "http", "amqps", "amqp")
#: The drain limit of the architecture: every long-running part ends within 10 s of SIGTERM.
STOP_SECONDS = 10.0
#: Kept short, so that a command that nobody answers does not cost the suite 20 s.
COMMAND_TIMEOUT_SECONDS = 2.0


def binary() -> Path:
    chosen = Path(os.environ.get("CAUSEWAY_BIN", "target/debug/causeway"))
    path = chosen if chosen.is_absolute() else REPOSITORY / chosen
    if not path.is_file():
        raise RuntimeError(f"{path} does not exist: build it (cargo build) or set CAUSEWAY_BIN")
    return path


def run_causeway(*arguments, timeout=60, **options) -> subprocess.CompletedProcess:
    """Runs a sub-command to its end and returns its text output."""
    return subprocess.run([str(binary()), *map(str, arguments)], capture_output=True, text=True, timeout=timeout, **options)


class PlatformProcess:
    """`causeway serve` on one data folder. `start`, `stop`, `kill` and `start` again keep the data."""

    def __init__(self, folder: Path, store_url: str | None = None, settings: dict | None = None):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / "data"
        self.store_url = store_url
        self.log_path = self.folder / "platform.log"
        self.ready: dict = {}
        #: How far `advance_clock` has moved the platform ahead of this machine, in ms.
        self.clock_offset_ms = 0
        self._process: subprocess.Popen | None = None
        self.settings = {f"listen.{key}": "127.0.0.1:0" for key in LISTEN_KEYS}
        self.settings |= {
            "push.allow_private": "true",
            "clock.movable": "true",
            "command.timeout": f"{COMMAND_TIMEOUT_SECONDS:g}s",
        }
        if store_url:
            self.settings["store.url"] = store_url
        self.settings |= settings or {}

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self, seconds: float = 30.0) -> "PlatformProcess":
        assert self._process is None, "already started"
        ready_file = self.folder / "ready.json"
        ready_file.unlink(missing_ok=True)
        arguments = [str(binary()), "serve", "--data", str(self.data), "--ready-file", str(ready_file)]
        for key, value in self.settings.items():
            arguments += ["--set", f"{key}={value}"]
        with open(self.log_path, "ab") as log:
            # setpriv replaces itself by the platform: same process id, and it dies with the tests.
            self._process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *arguments], stdout=log, stderr=log,
                                             stdin=subprocess.DEVNULL, cwd=self.folder)

        def is_ready():
            code = self._process.poll()
            if code is not None:
                raise RuntimeError(f"causeway serve ended with code {code}:\n{self.log_tail()}")
            try:
                return json.loads(ready_file.read_text())
            except (FileNotFoundError, json.JSONDecodeError):
                return None

        self.ready = wait_for(is_ready, seconds, "the ready file")
        # The platform clock starts again at the machine's time with each start.
        self.clock_offset_ms = 0
        return self

    def stop(self) -> float:
        """SIGTERM; the platform must end by itself with code 0 within the drain limit. Returns the seconds it took."""
        began = time.monotonic()
        self.terminate()
        return self.wait_stopped(began)

    def terminate(self):
        self._process.send_signal(signal.SIGTERM)

    def wait_stopped(self, began: float) -> float:
        process, self._process = self._process, None
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"SIGTERM did not end the platform within {STOP_SECONDS} s:\n{self.log_tail()}") from None
        assert code == 0, f"SIGTERM ended the platform with code {code}:\n{self.log_tail()}"
        return time.monotonic() - began

    def kill(self):
        """SIGKILL: no chance to tidy up."""
        process, self._process = self._process, None
        process.kill()
        process.wait()

    def restart_after_kill(self) -> "PlatformProcess":
        self.kill()
        return self.start()

    def close(self):
        """End of a test: ends whatever still runs, without judging it."""
        if self._process is not None:
            self.kill()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    # --- what the ready file says -------------------------------------------------------------------------------------

    def address(self, door: str) -> tuple[str, int]:
        host, port = self.ready["addresses"][door].rsplit(":", 1)
        return host, int(port)

    def url(self, door: str = "http") -> str:
        scheme = "http" if door == "http" else "https"
        host, port = self.address(door)
        return f"{scheme}://{host}:{port}"

    @property
    def ca_cert(self) -> str:
        return self.ready["ca_cert"]

    @property
    def project_id(self) -> str:
        return self.ready["project_id"]

    # --- log ----------------------------------------------------------------------------------------------------------

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self.log().splitlines()[-lines:])
