"""A private MariaDB on a free loopback port, from Debian's package."""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from rig.deadline import wait_for
from rig.postgres_cluster import free_port


def _tool(name: str) -> str:
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert found, f"no {name}: run tests/setup.sh"
    return found


class MariadbServer:
    """One server with a database and a user; `tls` is a certificate for 127.0.0.1 and localhost."""

    database, user = "iot", "iot"

    def __init__(self, tls=None):
        self.folder = Path(tempfile.mkdtemp(prefix="causeway-mariadb-", dir="/tmp"))
        self.data, self.socket = self.folder / "data", self.folder / "s"
        self.password = secrets.token_hex(12)
        self.tls = tls
        self.port = free_port()
        self._process: subprocess.Popen | None = None
        # As root it wants to be told so.
        self._as = ["--user=root"] if os.geteuid() == 0 else []

    def start(self) -> "MariadbServer":
        if not self.data.exists():
            subprocess.run([_tool("mariadb-install-db"), "--no-defaults", f"--datadir={self.data}", *self._as,
                            "--auth-root-authentication-method=normal", "--skip-test-db"],
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder)
        tls = [f"--ssl-cert={self.tls.cert}", f"--ssl-key={self.tls.key}"] if self.tls else []
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", _tool("mariadbd"), "--no-defaults", *self._as, f"--datadir={self.data}",
                 f"--socket={self.socket}", f"--port={self.port}", "--bind-address=127.0.0.1", "--skip-name-resolve",
                 "--innodb-buffer-pool-size=16M", f"--pid-file={self.folder}/pid", *tls],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder)

        def answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
            return self._client("select 1", database="mysql").returncode == 0

        wait_for(answers, 60, "MariaDB to answer", every=0.1)
        self.sql(f"create database if not exists {self.database}; create user if not exists {self.user}@'%' "
                 f"identified by '{self.password}'; grant all on {self.database}.* to {self.user}@'%'", database="mysql")
        return self

    def _client(self, sql: str, database: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [_tool("mariadb"), "--no-defaults", f"--socket={self.socket}", "--user=root", "--batch", "--skip-column-names",
             "--default-character-set=utf8mb4", database], input=sql, capture_output=True, text=True, timeout=30)

    def sql(self, sql: str, database: str | None = None) -> list[list[str]]:
        """Rows as texts."""
        done = self._client(sql, database or self.database)
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    def forwarding(self, table: str, mappings: dict, **more) -> dict:
        """A configuration of MYSQL_FORWARDING."""
        return {"address": {"ip": "127.0.0.1", "port": self.port}, "db_name": self.database, "username": self.user,
                "password": self.password, "table_name": table,
                "column_mappings": [{"column_name": c, "json_key": k} for c, k in mappings.items()], **more}

    def stop(self):
        """As a crash of it would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(20)
            self._process = None

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
