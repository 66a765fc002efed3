"""SIGTERM under load: the platform ends within 10 s with code 0, and nothing acknowledged is lost."""

import os
import signal
import threading
import time

from rig import raw_mqtt
from rig.deadline import wait_for
from rig.load import Reporter, lost_reports
from rig.platform_process import STOP_SECONDS


def test_sigterm_under_load(own_world):
    reporters = [Reporter(own_world.device()) for _ in range(4)]
    for _ in range(3):
        for reporter in reporters:
            reporter.start()
        goal = {reporter: len(reporter.acknowledged) + 50 for reporter in reporters}
        wait_for(lambda: all(len(reporter.acknowledged) >= goal[reporter] for reporter in reporters), 30, "reports to flow")
        assert own_world.platform.stop() < STOP_SECONDS
        for reporter in reporters:
            reporter.join()
        own_world.platform.start()
        own_world.after_restart()
    for reporter in reporters:
        assert lost_reports(own_world.rest, reporter) == set()


def test_sigterm_with_idle_and_half_open_links(own_world):
    """Links that say nothing, requests that wait and clients that never read do not hold it up."""
    device, waiting = own_world.device(), own_world.device()
    idle = device.raw()
    half = raw_mqtt.RawMqtt(own_world.platform.address("mqtt"))
    half.send(b"\x10")
    tls = device.raw(door="mqtts", connected=False)
    keep_alive = own_world.rest.get("/devices")
    keep_alive.must_be(200)
    waiting.connect()
    command = threading.Thread(target=lambda: own_world.rest.post(
        f"/devices/{waiting.device_id}/commands", json={
            "service_id": "Temperature", "command_name": "ON_OFF", "paras": {"value": "ON"}}), daemon=True)
    command.start()
    assert own_world.platform.stop() < STOP_SECONDS
    idle.expect_end()
    half.close()
    tls.close()


def test_mqtt_5_devices_are_told(own_world):
    """[MQTT5-3.14.2.1]: 0x8B, server shutting down."""
    link = own_world.device().raw(level=5)
    began = time.monotonic()
    own_world.platform.terminate()
    assert link.expect(raw_mqtt.DISCONNECT).code == 0x8B
    own_world.platform.wait_stopped(began)


def test_sigint_ends_it_as_well(own_world):
    began = time.monotonic()
    os.kill(own_world.platform.pid, signal.SIGINT)
    own_world.platform.wait_stopped(began)
