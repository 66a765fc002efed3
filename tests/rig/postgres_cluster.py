"""A private PostgreSQL cluster on a free loopback port, from Debian's package, with fsync on.

PostgreSQL refuses to run as root, so root runs it as user `postgres`; anybody else runs it as himself.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from rig.deadline import wait_for


def _bin_dir() -> Path:
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not candidates:
        raise RuntimeError("no PostgreSQL server below /usr/lib/postgresql: run tests/setup.sh")
    return candidates[-1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class PostgresCluster:
    """One cluster; every platform start gets a database of its own from `create_database`."""

    def __init__(self, tls=None):
        """`tls` is a certificate that the server shows."""
        self.bin = _bin_dir()
        # Not pytest's temporary folder: only root may pass through that one.
        self.folder = Path(tempfile.mkdtemp(prefix="causeway-postgres-", dir="/tmp"))
        self.port = None
        self.password = secrets.token_hex(12)
        self._server = None
        self._tls = []
        self._as = []
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
            self._as = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--init-groups"]

        for name, source in (("cert", tls.cert), ("key", tls.key)) if tls else ():
            # A key must be the server's own and private.
            copy = self.folder / f"server.{name}"
            shutil.copyfile(source, copy)
            copy.chmod(0o600)
            if os.geteuid() == 0:
                os.chown(copy, owner.pw_uid, owner.pw_gid)
            self._tls += ["-c", f"ssl_{name}_file={copy}"]
        if tls:
            self._tls += ["-c", "ssl=on"]

    def start(self) -> "PostgresCluster":
        password_file = self.folder / "password"
        password_file.write_text(self.password + "\n")
        os.chmod(password_file, 0o644)
        data = self.folder / "data"
        subprocess.run(
            [*self._as, str(self.bin / "initdb"), "-D", str(data), "-U", "causeway", "--auth=scram-sha-256",
             "--pwfile", str(password_file), "-E", "UTF8", "--locale=C"],
            check=True, stdout=subprocess.DEVNULL, cwd=self.folder)
        for _ in range(5):
            if self._try_to_listen(data):
                return self
        raise RuntimeError(f"PostgreSQL does not start, see {self.folder}/log")

    def _try_to_listen(self, data: Path) -> bool:
        self.port = free_port()
        with open(self.folder / "log", "ab") as log:
            # The server dies with the test process: SIGQUIT is its immediate shutdown.
            self._server = subprocess.Popen(
                ["setpriv", *self._as[1:], "--pdeathsig", "QUIT", str(self.bin / "postgres"), "-D", str(data),
                 "-c", f"port={self.port}", "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
                 "-c", "fsync=on", "-c", "synchronous_commit=on", "-c", "max_connections=300", *self._tls],
                stdout=log, stderr=log, cwd=self.folder)

        def answers():
            if self._server.poll() is not None:
                return "ended"
            return "ready" if self._psql("select 1", check=False).returncode == 0 else None

        return wait_for(answers, 30, "PostgreSQL to answer", every=0.1) == "ready"

    def _psql(self, sql: str, check=True) -> subprocess.CompletedProcess:
        return subprocess.run(
            [str(self.bin / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port),
             "-U", "causeway", "-d", "postgres", "-c", sql],
            env={**os.environ, "PGPASSWORD": self.password, "PGCONNECT_TIMEOUT": "5"},
            check=check, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def create_database(self) -> str:
        """Makes an empty database, owned by a role without special rights, and returns its store URL."""
        name = f"causeway_{secrets.token_hex(6)}"
        self._psql(f"create role {name} login password '{self.password}'")
        self._psql(f"create database {name} owner {name}")
        return f"postgres://{name}:{self.password}@127.0.0.1:{self.port}/{name}"

    def stop(self):
        if self._server and self._server.poll() is None:
            self._server.send_signal(signal.SIGINT)
            try:
                self._server.wait(20)
            except subprocess.TimeoutExpired:
                self._server.send_signal(signal.SIGQUIT)
                self._server.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)
