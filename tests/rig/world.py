"""Applications and devices of one platform: what the tests make things with."""

import itertools
import secrets

from rig.application import Application
from rig.device import Registration
from rig.https_device import HttpsDevice
from rig.platform_process import PlatformProcess
from rig.product_models import THERMOMETER
from rig.push_receiver import PushReceiver
from rig.rest import Rest

_numbers = itertools.count(1)


def fresh_name(start: str) -> str:
    """Unique over workers and runs; letters, digits and underscores only."""
    return f"{start}_{secrets.token_hex(3)}_{next(_numbers)}"


class World:
    """One platform with an application, and everything that a test has made on it."""

    def __init__(self, platform: PlatformProcess):
        self.platform = platform
        self.app = Application(platform)
        self.rest = Rest(platform)
        self.registrations: list[Registration] = []
        self.receivers: list[tuple[str, PushReceiver]] = []
        self._product_id = None

    @property
    def product_id(self) -> str:
        """A product with the model THERMOMETER, made at the first use."""
        if self._product_id is None:
            self._product_id = self.product()
        return self._product_id

    def product(self, **fields) -> str:
        return self.app.create_product(**{
            "name": fresh_name("thermometer"), "device_type": "Thermometer", "protocol_type": "MQTT", "data_format": "json",
            "service_capabilities": THERMOMETER, **fields}).product_id

    def device(self, product_id: str | None = None, **fields) -> Registration:
        made = self.app.add_device(**{"node_id": fresh_name("node"), "product_id": product_id or self.product_id, **fields})
        secret = made.auth_info.secret if made.auth_info else None
        found = Registration(self.platform, made.device_id, secret, made.node_id, made.product_id)
        self.registrations.append(found)
        return found

    def child(self, gateway: Registration, **fields) -> Registration:
        return self.device(gateway_id=gateway.device_id, **fields)

    def https_device(self) -> HttpsDevice:
        return HttpsDevice(self.device())

    def topic(self, product_id: str, topic: str, operation: str = "ALL") -> dict:
        answer = self.rest.post(f"/products/{product_id}/topics", json={"topic": topic, "operation": operation})
        assert answer.status in (200, 201), answer
        return answer.json

    def pushes(self, app_id: str | None = None) -> PushReceiver:
        """A receiver that gets the pushes of a space from now on."""
        app_id = app_id or self.platform.ready["default_app_id"]
        receiver = PushReceiver()
        self.receivers.append((app_id, receiver))
        self.rest.push_to(app_id, receiver.url)
        return receiver

    def after_restart(self):
        """The ports have changed: connections and callers are made anew, registrations stay."""
        for registration in self.registrations:
            registration.close()
        self.app = Application(self.platform)
        self.rest = Rest(self.platform)

    def close(self):
        for registration in self.registrations:
            registration.close()
        for app_id, receiver in self.receivers:
            if self.platform.running:
                self.rest.delete(f"/apps/{app_id}/push")
            receiver.close()
