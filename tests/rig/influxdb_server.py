"""A private InfluxDB 1.x with authentication on a free loopback port, from Debian's package."""

import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

import requests

from rig.deadline import wait_for
from rig.postgres_cluster import free_port

CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
[http]
bind-address = "127.0.0.1:{port}"
auth-enabled = true
log-enabled = false
[monitor]
store-enabled = false
"""


class InfluxdbServer:
    database, user = "iot", "iot"

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="causeway-influxdb-", dir="/tmp"))
        self.port = free_port()
        self.password = secrets.token_hex(12)
        self.session = requests.Session()
        self.session.trust_env = False
        self._process: subprocess.Popen | None = None

    def start(self) -> "InfluxdbServer":
        assert shutil.which("influxd"), "no influxd: run tests/setup.sh"
        config = self.folder / "influxdb.conf"
        config.write_text(CONFIG.format(folder=self.folder, port=self.port, rpc=free_port()))
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "influxd", "-config", str(config)],
                                             stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder)

        def answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
            try:
                return self.session.get(f"http://127.0.0.1:{self.port}/ping", timeout=5).status_code == 204
            except requests.exceptions.ConnectionError:
                return None

        wait_for(answers, 30, "InfluxDB to answer", every=0.1)
        self._query(f"CREATE USER {self.user} WITH PASSWORD '{self.password}' WITH ALL PRIVILEGES", None)
        self.query(f"CREATE DATABASE {self.database}")
        return self

    def _query(self, q: str, auth) -> dict:
        answer = self.session.post(f"http://127.0.0.1:{self.port}/query", data={"q": q, "db": self.database}, auth=auth,
                                   params={"epoch": "ns"}, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def query(self, q: str) -> list[dict]:
        """Points of the first series as dictionaries."""
        result = self._query(q, (self.user, self.password))["results"][0]
        assert "error" not in result, result
        return [dict(zip(series["columns"], row)) for series in result.get("series", []) for row in series["values"]]

    def forwarding(self, measurement: str, mappings: dict, **more) -> dict:
        """A configuration of INFLUXDB_FORWARDING."""
        return {"address": {"ip": "127.0.0.1", "port": self.port}, "db_name": self.database, "username": self.user,
                "password": self.password, "measurement": measurement,
                "column_mappings": [{"column_name": c, "json_key": k} for c, k in mappings.items()], **more}

    def close(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)
