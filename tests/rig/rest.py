"""Hand-made requests to the application interface: for the platform's own operations, which the SDK does not have, and for
requests that the SDK would never send.
"""

import json as jsonlib
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import requests

from rig import platform_times, request_signing


@dataclass
class Answer:
    status: int
    headers: requests.structures.CaseInsensitiveDict
    content: bytes

    @property
    def json(self):
        return jsonlib.loads(self.content)

    @property
    def text(self) -> str:
        return self.content.decode()

    def must_be(self, status: int, error_code: str | None = None) -> "Answer":
        assert self.status == status, f"status {self.status}, expected {status}: {self.content[:400]!r}"
        if status >= 400:
            assert set(self.json) >= {"error_code", "error_msg"}, self.content
            assert self.json["error_msg"], "the error does not say what to do"
        if error_code is not None:
            assert self.json["error_code"] == error_code, self.content
        return self


class Rest:
    """Requests under `/v5/iot/{project_id}`, signed with the access key of the ready file unless told otherwise."""

    def __init__(self, platform, door: str = "http", scheme: str = request_signing.SDK_SCHEME):
        self.platform = platform
        self.door = door
        self.scheme = scheme
        self.ak = platform.ready["access_key"]["ak"]
        self.sk = platform.ready["access_key"]["sk"]
        self.project_id = platform.project_id
        #: Added to the platform clock in the signature's date.
        self.date_offset_ms = 0
        #: An `X-Auth-Token` to use in place of a signature.
        self.token: str | None = None
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = platform.ca_cert

    def call(self, method: str, path: str, json=None, query: dict | None = None, body: bytes | None = None,
             content_type: str = "application/json", headers: dict | None = None, signed: bool = True,
             timeout: float = 30) -> Answer:
        """`path` is below the project unless it starts with `//`, which means below the server."""
        full = path[1:] if path.startswith("//") else f"/v5/iot/{self.project_id}{path}"
        if json is not None:
            body = jsonlib.dumps(json).encode()
        pairs = [(key, str(value)) for key, value in (query or {}).items() if value is not None]
        url = self.platform.url(self.door) + full
        if pairs:
            url += "?" + "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in pairs)
        sent = {"Content-Type": content_type, **(headers or {})}
        if self.token is not None:
            sent["X-Auth-Token"] = self.token
        elif signed:
            moment = platform_times.utc_now(self.platform.clock_offset_ms + self.date_offset_ms)
            sent |= {"X-Project-Id": self.project_id, "X-Sdk-Date": platform_times.compact(moment)}
            to_sign = {name.lower(): value for name, value in sent.items()} | {"host": urlsplit(url).netloc}
            sent["Authorization"] = request_signing.authorization(
                self.scheme, self.ak, self.sk, method, full, pairs, to_sign, body or b"")
        answer = self.session.request(method, url, data=body, headers=sent, timeout=timeout)
        return Answer(answer.status_code, answer.headers, answer.content)

    def get(self, path, **more) -> Answer:
        return self.call("GET", path, **more)

    def post(self, path, json=None, **more) -> Answer:
        return self.call("POST", path, json=json, **more)

    def put(self, path, json=None, **more) -> Answer:
        return self.call("PUT", path, json=json, **more)

    def delete(self, path, **more) -> Answer:
        return self.call("DELETE", path, **more)

    # --- tokens -------------------------------------------------------------------------------------------------------

    def request_token(self, user=None, password=None, scope=None) -> Answer:
        admin = self.platform.ready["admin"]
        user = user or admin["user"]
        return self.call("POST", "//v3/auth/tokens", signed=False, json={"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": user, "password": password or admin["password"], "domain": {"name": user}}}},
            "scope": scope or {"project": {"id": self.project_id}}}})

    def with_token(self) -> "Rest":
        """A second caller that shows a fresh token in place of signatures."""
        answer = self.request_token().must_be(201)
        other = Rest(self.platform, self.door, self.scheme)
        other.token = answer.headers["X-Subject-Token"]
        return other

    # --- the platform's own operations --------------------------------------------------------------------------------

    def advance_clock(self, milliseconds: int):
        """Moves the platform clock forward; later signatures follow it."""
        answer = self.call("POST", "//debug/clock", json={"advance_ms": milliseconds})
        assert answer.status in (200, 204), answer
        self.platform.clock_offset_ms += milliseconds

    def history(self, device_id: str, **query) -> list[dict]:
        """All rows, page by page."""
        rows, marker = [], None
        limit = query.pop("limit", 1000)
        while True:
            page = self.get(f"/devices/{device_id}/history",
                            query={**query, "limit": limit, "marker": marker}).must_be(200).json
            assert page["device_id"] == device_id
            assert len(page["history"]) <= limit
            rows += page["history"]
            marker = page["page"].get("marker")
            if len(page["history"]) < limit or not marker:
                return rows

    def shadow_of(self, device_id: str) -> dict[str, dict]:
        """service_id -> the service's shadow."""
        answer = self.get(f"/devices/{device_id}/shadow").must_be(200).json
        return {entry["service_id"]: entry for entry in answer["shadow"]}

    def reported(self, device_id: str, service_id: str) -> dict:
        entry = self.shadow_of(device_id).get(service_id, {})
        return (entry.get("reported") or {}).get("properties") or {}

    def push_to(self, app_id: str, url: str):
        answer = self.put(f"/apps/{app_id}/push", json={"url": url})
        assert answer.status in (200, 201, 204), answer

    def metric(self, name: str) -> float:
        """The sum over all labels of a metric; 0 while it has not been written."""
        from prometheus_client.parser import text_string_to_metric_families

        answer = self.call("GET", "//metrics", signed=False)
        assert answer.status == 200, answer
        families = text_string_to_metric_families(answer.text)
        return sum(sample.value for family in families for sample in family.samples if sample.name == name)
