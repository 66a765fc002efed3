"""What tests of forwarding targets share: one rule with one action, reports to forward, and what arrived of them."""

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
