"""Rules of data forwarding with one action each, made by the platform's REST interface."""

from rig.deadline import wait_for
from rig.world import World, fresh_name


class Forwarding:
    """Makes rules in the default space and takes them away again."""

    def __init__(self, world: World):
        self.world, self.rest = world, world.rest
        self.rules: list[str] = []

    def start(self, channel: str, detail: dict, resource="device.property", event="report", select=None, where=None) -> str:
        """A rule that forwards from now on; returns the id of its action."""
        body = {"rule_name": fresh_name("rule"), "subject": {"resource": resource, "event": event}, "app_type": "APP",
                "app_id": self.world.platform.ready["default_app_id"]}
        body |= {name: text for name, text in (("select", select), ("where", where)) if text is not None}
        rule_id = self.rest.post("/routing-rule/rules", json=body).must_be(201).json["rule_id"]
        self.rules.append(rule_id)
        action = self.rest.post("/routing-rule/actions", json=action_body(rule_id, channel, detail)).must_be(201).json
        self.rest.put(f"/routing-rule/rules/{rule_id}", json={"active": True}).must_be(200)
        return action["action_id"]

    def counters(self, action_id: str) -> dict:
        """What became of the events that were written for an action."""
        targets = self.rest.get("/routing-rule/statistics").must_be(200).json["targets"]
        [found] = [target for target in targets if target.get("action_id") == action_id]
        assert found["written"] == sum(found[end] for end in ("delivered", "expired", "overflowed", "rejected", "waiting")), found
        return found

    def wait_counters(self, action_id: str, seconds: float = 20, **expected) -> dict:
        def look():
            found = self.counters(action_id)
            assert {name: found[name] for name in expected} == expected, found
            return found

        return wait_for(look, seconds, f"counters {expected}")

    def test(self, action_id: str, message: dict | None = None) -> dict:
        """The connectivity test."""
        return self.rest.post(f"/routing-rule/actions/{action_id}/test", json={"message": message} if message else {},
                              timeout=60).must_be(200).json

    def close(self):
        for rule_id in self.rules:
            if self.world.platform.running:
                self.rest.put(f"/routing-rule/rules/{rule_id}", json={"active": False})
                for action in self.rest.get("/routing-rule/actions", query={"rule_id": rule_id}).json.get("actions", []):
                    self.rest.delete(f"/routing-rule/actions/{action['action_id']}")
                self.rest.delete(f"/routing-rule/rules/{rule_id}")


def action_body(rule_id: str, channel: str, detail: dict) -> dict:
    return {"rule_id": rule_id, "channel": channel, "channel_detail": {channel.lower(): detail}}
