"""A device on the HTTPS door, spoken by curl over TLS (001)."""

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rig.device import Registration, sign


@dataclass
class CurlAnswer:
    status: int
    http_version: str
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    def must_be(self, status: int, error_code: str | None = None) -> "CurlAnswer":
        assert self.status == status, f"status {self.status}, expected {status}: {self.body[:400]!r}"
        if error_code is not None:
            assert self.json["error_code"] == error_code, self.body
            assert self.json["error_msg"], self.body
        return self


def curl(platform, method: str, path: str, body: bytes | str | None = None, headers: dict | None = None,
         options: tuple[str, ...] = ()) -> CurlAnswer:
    host, port = platform.address("device_https")
    with tempfile.TemporaryDirectory() as folder:
        sent, answered = Path(folder, "sent"), Path(folder, "answered")
        command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--cacert", platform.ca_cert, "--max-time", "30",
                   "--request", method, "--output", str(answered), "--write-out", "%{http_code} %{http_version}"]
        for name, value in (headers or {}).items():
            command += ["--header", f"{name}: {value}"]
        if body is not None:
            sent.write_bytes(body.encode() if isinstance(body, str) else body)
            # No "Expect: 100-continue": a refusal must come as an answer, not as a broken upload.
            command += ["--header", "Expect:", "--data-binary", f"@{sent}"]
        done = subprocess.run([*command, *options, f"https://{host}:{port}{path}"], capture_output=True, text=True)
        assert done.returncode == 0, f"curl ended with {done.returncode}: {done.stderr}"
        status, version = done.stdout.split()
        return CurlAnswer(int(status), version, answered.read_bytes() if answered.exists() else b"")


class HttpsDevice:
    def __init__(self, registration: Registration):
        self.registration = registration
        self.platform = registration.platform
        self.token: str | None = None

    def auth_body(self, **changes) -> dict:
        stamp = changes.get("timestamp", self.registration.stamp())
        body = {
            "device_id": self.registration.device_id,
            "sign_type": 0,
            "timestamp": stamp,
            "password": sign(self.registration.secret, str(stamp)),
        } | changes
        return {key: value for key, value in body.items() if value is not None}

    def authenticate(self, options: tuple[str, ...] = (), **changes) -> CurlAnswer:
        """A change to None leaves the field out."""
        return curl(self.platform, "POST", "/v5/device-auth", json.dumps(self.auth_body(**changes)),
                    {"Content-Type": "application/json"}, options)

    def login(self) -> "HttpsDevice":
        self.token = self.authenticate().must_be(200).json["access_token"]
        return self

    def post(self, rest: str, body, token=..., content_type="application/json", device_id=None,
             options: tuple[str, ...] = ()) -> CurlAnswer:
        """`rest` is the path below the device's own, e.g. `sys/properties/report`."""
        headers = {"Content-Type": content_type}
        token = self.token if token is ... else token
        if token is not None:
            headers["access_token"] = token
        if not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        return curl(self.platform, "POST", f"/v5/devices/{device_id or self.registration.device_id}/{rest}", body, headers,
                    options)

    def report(self, properties: dict, service_id="Temperature", **more) -> CurlAnswer:
        return self.post("sys/properties/report", {"services": [{"service_id": service_id, "properties": properties}]},
                         **more)
