"""What tests of forwarding targets share: one rule with one action, reports to forward, and what arrived of them."""

import json
import socket

from rig.deadline import wait_for
from rig.forwarding import Forwarding, action_body
from rig.world import World, fresh_name


class Rule:
    """A rule with one action, until `close`."""

    def __init__(self, world: World, channel: str, detail: dict, **more):
        self.forwarding = Forwarding(world)
        self.action_id = self.forwarding.start(channel, detail, **more)
        self.action = world.rest.get(f"/routing-rule/actions/{self.action_id}").must_be(200).json

    def close(self):
        self.forwarding.close()


def refused_action(world: World, channel: str, detail: dict):
    """The answer to an action that must be refused."""
    rule = world.rest.post("/routing-rule/rules", {
        "rule_name": fresh_name("rule"), "subject": {"resource": "device.property", "event": "report"},
        "app_type": "APP", "app_id": world.platform.ready["default_app_id"]}).must_be(201).json
    answer = world.rest.post("/routing-rule/actions", action_body(rule["rule_id"], channel, detail))
    world.rest.delete(f"/routing-rule/rules/{rule['rule_id']}")
    return answer


def report(device, numbers):
    """Reports Battery/seq, one report a number; returns when the platform has them."""
    link = device.connect()
    for number in numbers:
        link.report("Battery", seq=number)
    link.close()


def seqs(events: list[dict]) -> list[int]:
    return [service["properties"]["seq"] for event in events for service in event["notify_data"]["body"]["services"]]


def must_be_kept_out(world: World, channel: str, detail: dict, name: str):
    """A target in the platform's own network is refused: addresses and names of this machine at once, another name when it
    is resolved. `detail` has `name` wherever the host stands."""
    machine = socket.gethostname()
    for host in ("127.0.0.1", "localhost"):
        text = json.dumps(detail).replace(name, host)
        text = text.replace('"domain": "127.0.0.1"', '"ip": "127.0.0.1"')
        answer = refused_action(world, channel, json.loads(text)).must_be(400)
        assert "leads into the platform's own network" in answer.json["error_msg"], answer.text
    rule = Rule(world, channel, json.loads(json.dumps(detail).replace(name, machine)))
    try:
        report(world.device(), [1])
        wait_for(lambda: "leads into the platform's own network" in world.platform.log(), 20, "the refusal in the log")
    finally:
        rule.close()
