"""Devices on mosquitto's command-line clients, a C implementation."""

import subprocess

from rig.device import DOORS, Registration

VERSIONS = {"3.1": "mqttv31", "3.1.1": "mqttv311", "5": "mqttv5"}


def _command(program: str, device: Registration, version: str, door: str) -> list[str]:
    assert DOORS[door][0] == "tcp", "mosquitto's clients speak no WebSocket"
    host, port = device.platform.address(door)
    identity = device.credentials()
    command = [program, "-h", host, "-p", str(port), "-V", VERSIONS[version], "-i", identity["client_id"],
               "-u", identity["username"], "-k", "60"]
    if identity["password"] is not None:
        command += ["-P", identity["password"]]
    if DOORS[door][1]:
        command += ["--cafile", device.platform.ca_cert]
    return command


def publish(device: Registration, topic: str, payload: str, version="3.1.1", door="mqtt", qos=1,
            options: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    command = _command("mosquitto_pub", device, version, door) + ["-t", topic, "-q", str(qos), "-m", payload, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=20)


def subscriber(device: Registration, topic: str, version="3.1.1", door="mqtt", qos=1, count=1) -> subprocess.Popen:
    """Prints `topic payload` of `count` messages, then ends."""
    command = _command("mosquitto_sub", device, version, door) + [
        "-t", topic, "-q", str(qos), "-C", str(count), "-W", "20", "-F", "%t %p"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
