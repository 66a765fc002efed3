"""Files: what a device asks for over MQTT, and the plain HTTP that it speaks to the URL it gets."""

import hashlib
import json
from dataclasses import dataclass

import requests

from rig.device import MqttDevice


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class FileUrl:
    """The `paras` of a URL answer."""
    url: str
    bucket_name: str
    object_name: str
    expire: int
    file_attributes: dict


class FileLink:
    """`$file_manager` of a connected device, in the words of the vendor's SDKs."""

    def __init__(self, link: MqttDevice, object_device_id: str | None = None):
        self.link = link
        self.registration = link.registration
        self.object_device_id = object_device_id or link.registration.device_id
        self._asked = 0
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = self.registration.platform.ca_cert

    def _send(self, event_type: str, paras: dict, service_id="$file_manager", **more):
        event = {"service_id": service_id, "event_type": event_type, "event_time": None, "event_id": "", "paras": paras, **more}
        self.link.send("sys/events/up", {"object_device_id": self.object_device_id, "services": [event]})

    def answers(self) -> list[dict]:
        """The events that have arrived, each with the device they are about."""
        return [{"object_device_id": message.json["object_device_id"], **event}
                for message in self.link.down("sys/events/down") for event in message.json["services"]
                if event["service_id"] == "$file_manager"]

    def time(self) -> dict:
        """Asks for the time and waits for it: whatever would have been answered before has been answered then."""
        count = len(self.link.down("sys/events/down"))
        self._send("time_sync_request", {"device_send_time": "1"}, service_id="$time_sync")
        return self.link.wait_down("sys/events/down", count=count + 1).json

    def ask(self, event_type: str, paras: dict, **more) -> FileUrl:
        count = len(self.link.down("sys/events/down"))
        self._send(event_type, paras, **more)
        answer = self.link.wait_down("sys/events/down", count=count + 1).json
        [event] = answer["services"]
        assert answer["object_device_id"] == self.object_device_id
        assert (event["service_id"], event["event_type"]) == ("$file_manager", f"{event_type}_response"), event
        return FileUrl(**event["paras"])

    def ask_in_vain(self, event_type: str, paras: dict):
        """No answer comes: the documents have none for a refusal."""
        before = len(self.answers())
        self._send(event_type, paras)
        self.time()
        assert len(self.answers()) == before, self.answers()[before:]

    def upload_url(self, name: str, content: bytes | None = None, **attributes) -> FileUrl:
        paras = {"file_name": name}
        if content is not None:
            attributes = {"hash_code": sha256(content), "size": len(content), **attributes}
        if attributes:
            paras["file_attributes"] = attributes
        return self.ask("get_upload_url", paras)

    def download_url(self, name: str) -> FileUrl:
        return self.ask("get_download_url", {"file_name": name})

    def put(self, url: str, content, **more) -> requests.Response:
        return self.session.put(url, data=content, headers={"Content-Type": "text/plain"}, timeout=30, **more)

    def get(self, url: str, **headers) -> requests.Response:
        return self.session.get(url, headers={"Content-Type": "text/plain", **headers}, timeout=30)

    def report(self, way: str, object_name: str, result_code=0, **more):
        self._send(f"{way}_result_report", {"object_name": object_name, "result_code": result_code, **more})

    def upload(self, name: str, content: bytes) -> FileUrl:
        """The whole way, as the SDKs go it."""
        found = self.upload_url(name, content)
        answer = self.put(found.url, content)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        self.report("upload", found.object_name, 0, status_code=200, status_description="upload success")
        return found


def must_refuse(answer: requests.Response, status: int, error_code: str):
    assert answer.status_code == status, (answer.status_code, answer.text)
    body = json.loads(answer.text)
    assert body["error_code"] == error_code and body["error_msg"], body


class FileArea:
    """Applications' own operations on files."""

    def __init__(self, rest):
        self.rest = rest
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = rest.platform.ca_cert

    def create(self, name: str, **fields) -> dict:
        return self.rest.post("/files", json={"file_name": name, **fields}).must_be(201).json

    def upload(self, name: str, content: bytes, **fields) -> dict:
        made = self.create(name, **fields)
        assert made["upload"]["method"] == "PUT"
        answer = self.session.put(made["upload"]["url"], data=content, timeout=30)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        return made["file"]

    def show(self, file_id: str) -> dict:
        return self.rest.get(f"/files/{file_id}").must_be(200).json

    def page(self, **query) -> dict:
        return self.rest.get("/files", query=query).must_be(200).json

    def of(self, device_id: str) -> list[dict]:
        return self.page(device_id=device_id)["files"]

    def download(self, file_id: str) -> bytes:
        found = self.rest.get(f"/files/{file_id}/url").must_be(200).json
        assert found["method"] == "GET"
        answer = self.session.get(found["url"], timeout=30)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        return answer.content

    def delete(self, file_id: str):
        self.rest.delete(f"/files/{file_id}").must_be(204)
