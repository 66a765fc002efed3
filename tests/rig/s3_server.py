"""An S3 server nobody here wrote (npm s3rver), with one bucket, on a free port. It does not compare signatures of
version 4, which all here are: `presigned_signature` computes what they must be.
"""

import hashlib
import hmac
import socket
import subprocess
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import requests

from rig.deadline import wait_for

ACCESS_KEY, SECRET_KEY = "S3RVER", "S3RVER"
SERVER = Path(__file__).resolve().parents[1] / "node" / "node_modules" / "s3rver" / "bin" / "s3rver.js"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def presigned_signature(url: str, method: str, secret_key: str = SECRET_KEY) -> str:
    """Signature version 4 in query parameters, host signed, payload not."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    query.pop("X-Amz-Signature")
    canonical_query = "&".join(f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}" for key, value in sorted(query.items()))
    request = f"{method}\n{parts.path}\n{canonical_query}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    _, day, region, service, end = query["X-Amz-Credential"].split("/")
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, service, end):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    scope = f"{day}/{region}/{service}/{end}"
    to_sign = f"AWS4-HMAC-SHA256\n{query['X-Amz-Date']}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()


class S3Server:
    def __init__(self, folder: Path, bucket="device-files"):
        self.folder, self.bucket = Path(folder), bucket
        self.port = 0
        self._process: subprocess.Popen | None = None

    def start(self) -> "S3Server":
        assert SERVER.is_file(), f"{SERVER} is missing: run tests/setup.sh"
        self.folder.mkdir(parents=True, exist_ok=True)
        # Started again, it is where it was.
        self.port = self.port or free_port()
        with open(self.folder.parent / "s3.log", "ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "node", str(SERVER), "--directory", str(self.folder), "--address", "127.0.0.1",
                 "--port", str(self.port), "--no-vhost-buckets", "--configure-bucket", self.bucket],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)

        def answers():
            assert self._process.poll() is None, (self.folder.parent / "s3.log").read_text()
            try:
                return requests.get(self.url, timeout=5).status_code
            except requests.exceptions.ConnectionError:
                return None

        wait_for(answers, 30, "the S3 server")
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def settings(self, prefix="iot/files", **more) -> dict:
        """The platform's keys for this server."""
        return {"objects.url": f"s3://{self.bucket}/{prefix}", "objects.s3.endpoint": self.url,
                "objects.s3.access_key": ACCESS_KEY, "objects.s3.secret_key": SECRET_KEY, **more}

    def objects(self) -> list[str]:
        """Keys in the bucket."""
        root = self.folder / self.bucket
        suffix = "._S3rver_object"
        return sorted(str(path.relative_to(root))[:-len(suffix)] for path in root.rglob(f"*{suffix}"))

    def close(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
