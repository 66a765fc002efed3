"""Data forwarding rules (002 §5): the registry through the vendor's SDK, and events that reach who asked for them."""

import time

import pytest
from huaweicloudsdkiotda.v5 import model as sdk

from rig.application import refused
from rig.deadline import wait_for
from rig.identity import Identity, allow
from rig.load import Reporter, lost_reports
from rig.push_receiver import PushReceiver, body_of
from rig.world import fresh_name

REPORTS = ("device.property", "report")


class Forwarding:
    """The SDK's forwarding operations, and receivers that end with the test."""

    def __init__(self, world):
        self.world = world
        self.receivers = []
        self.rules = []

    @property
    def client(self):
        return self.world.app.client

    def receiver(self) -> PushReceiver:
        self.receivers.append(PushReceiver())
        return self.receivers[-1]

    def rule(self, subject=REPORTS, app_id=None, **fields):
        """A rule of the default space unless another one is named."""
        resource, event = subject
        if fields.get("app_type") != "GLOBAL":
            app_id = app_id or self.world.platform.ready["default_app_id"]
        made = self.client.create_routing_rule(sdk.CreateRoutingRuleRequest(body=sdk.AddRuleReq(**{
            "rule_name": fresh_name("rule"), "subject": sdk.RoutingRuleSubject(resource, event), "app_type": "APP",
            "app_id": app_id, **fields})))
        self.rules.append(made.rule_id)
        return made

    def show(self, rule_id):
        return self.client.show_routing_rule(sdk.ShowRoutingRuleRequest(rule_id=rule_id))

    def update(self, rule_id, **fields):
        return self.client.update_routing_rule(
            sdk.UpdateRoutingRuleRequest(rule_id=rule_id, body=sdk.UpdateRuleReq(**fields)))

    def delete(self, rule_id):
        return self.client.delete_routing_rule(sdk.DeleteRoutingRuleRequest(rule_id=rule_id))

    def list_rules(self, **query):
        return self.client.list_routing_rules(sdk.ListRoutingRulesRequest(**query))

    def action(self, rule_id, channel="HTTP_FORWARDING", **detail):
        return self.client.create_rule_action(sdk.CreateRuleActionRequest(body=sdk.AddActionReq(
            rule_id=rule_id, channel=channel, channel_detail=sdk.ChannelDetail(**detail))))

    def push_action(self, rule_id, url):
        return self.action(rule_id, http_forwarding=sdk.HttpForwarding(url=url))

    def show_action(self, action_id):
        return self.client.show_rule_action(sdk.ShowRuleActionRequest(action_id=action_id))

    def update_action(self, action_id, **fields):
        return self.client.update_rule_action(
            sdk.UpdateRuleActionRequest(action_id=action_id, body=sdk.UpdateActionReq(**fields)))

    def delete_action(self, action_id):
        return self.client.delete_rule_action(sdk.DeleteRuleActionRequest(action_id=action_id))

    def list_actions(self, **query):
        return self.client.list_rule_actions(sdk.ListRuleActionsRequest(**query))

    def forwarded(self, subject=REPORTS, url=None, **fields):
        """An active rule that pushes to a receiver; the rule, the action and the receiver."""
        receiver = None if url else self.receiver()
        rule = self.rule(subject, **fields)
        action = self.push_action(rule.rule_id, url or receiver.url)
        assert self.update(rule.rule_id, active=True).active is True
        return rule, action, receiver

    def flow(self, **fields):
        return self.client.create_routing_flow_control_policy(
            sdk.CreateRoutingFlowControlPolicyRequest(body=sdk.AddFlowControlPolicy(**fields)))

    def backlog(self, **fields):
        return self.client.create_routing_backlog_policy(
            sdk.CreateRoutingBacklogPolicyRequest(body=sdk.AddBacklogPolicy(**fields)))

    def statistics(self, **query) -> list[dict]:
        return self.world.rest.get("/routing-rule/statistics", query=query).must_be(200).json["targets"]

    def counters(self, rule_id) -> dict:
        [target] = self.statistics(rule_id=rule_id)
        assert target["written"] == sum(
            target[name] for name in ("delivered", "expired", "overflowed", "rejected", "waiting")), target
        return target

    def close(self):
        for receiver in self.receivers:
            receiver.close()
        if self.world.platform.running:
            for rule_id in self.rules:
                self.world.rest.delete(f"/routing-rule/rules/{rule_id}")


@pytest.fixture
def forwarding(world):
    made = Forwarding(world)
    yield made
    made.close()


@pytest.fixture
def own_forwarding(own_world):
    made = Forwarding(own_world)
    yield made
    made.close()


def wait_accepted(receiver, count, seconds=15):
    wait_for(lambda: len(receiver.accepted) >= count, seconds, f"{count} pushes")
    return list(receiver.accepted)


# --- the registry -----------------------------------------------------------------------------------------------------

def test_life_of_a_rule(forwarding):
    made = forwarding.rule(description="for the plant", select="notify_data.body.services AS services",
                           where="WHERE notify_data.header.device_id = 'd'")
    assert made.status_code == 201
    assert (made.active, made.app_type, made.description) == (False, "APP", "for the plant")
    assert (made.subject.resource, made.subject.event) == REPORTS
    assert (made.select, made.where) == ("notify_data.body.services AS services", "notify_data.header.device_id = 'd'")
    shown = forwarding.show(made.rule_id)
    assert shown.to_dict() == {**made.to_dict()}
    changed = forwarding.update(made.rule_id, rule_name="other", description="d", select="*", where="")
    assert (changed.rule_name, changed.description, changed.select, changed.where) == ("other", "d", "*", None)
    assert forwarding.delete(made.rule_id).status_code == 204
    with refused(404, "IOTDA.010002"):
        forwarding.show(made.rule_id)
    with refused(404, "IOTDA.010002"):
        forwarding.delete(made.rule_id)
    with refused(404, "IOTDA.010002"):
        forwarding.update(made.rule_id, rule_name="x")


def test_rules_are_listed(forwarding):
    start = fresh_name("listed")
    made = [forwarding.rule(rule_name=f"{start}_{n}").rule_id for n in range(3)]
    other = forwarding.rule(("device", "delete"), rule_name=f"{start}_x").rule_id
    ids = lambda **query: [rule.rule_id for rule in forwarding.list_rules(rule_name=start, **query).rules]
    assert ids() == [other, *reversed(made)]
    assert ids(resource="device", event="delete") == [other]
    assert ids(active=True) == []
    assert ids(app_type="GLOBAL") == []
    first = forwarding.list_rules(rule_name=start, limit=2)
    assert first.count == 4 and len(first.rules) == 2
    assert ids(marker=first.marker) == [made[1], made[0]]
    with refused(400, "IOTDA.000017"):
        forwarding.list_rules(limit=51)


def test_life_of_an_action(forwarding):
    rule = forwarding.rule()
    detail = sdk.HttpForwarding(url="http://127.0.0.1:9/a", signature_enable=True, token="secret-token")
    made = forwarding.action(rule.rule_id, http_forwarding=detail)
    assert (made.status_code, made.rule_id, made.channel) == (201, rule.rule_id, "HTTP_FORWARDING")
    for shown in (made, forwarding.show_action(made.action_id), forwarding.list_actions(rule_id=rule.rule_id).actions[0]):
        assert shown.channel_detail.http_forwarding.url == "http://127.0.0.1:9/a"
        assert shown.channel_detail.http_forwarding.token is None
        assert "secret-token" not in str(shown)
    # The token is not said again and stays: without one the signature could not be switched on.
    changed = forwarding.update_action(made.action_id, channel="HTTP_FORWARDING", channel_detail=sdk.ChannelDetail(
        http_forwarding=sdk.HttpForwarding(url="http://127.0.0.1:9/b", signature_enable=True)))
    assert changed.channel_detail.http_forwarding.url == "http://127.0.0.1:9/b"
    assert forwarding.update_action(made.action_id).channel_detail.http_forwarding.url == "http://127.0.0.1:9/b"
    assert forwarding.list_actions(rule_id=rule.rule_id, channel="AMQP_FORWARDING").actions == []
    assert forwarding.delete_action(made.action_id).status_code == 204
    with refused(404, "IOTDA.010020"):
        forwarding.show_action(made.action_id)
    with refused(404, "IOTDA.010020"):
        forwarding.delete_action(made.action_id)


@pytest.mark.parametrize("body", [
    {"channel": "NOWHERE", "channel_detail": {"http_forwarding": {"url": "http://a"}}},
    {"channel": "HTTP_FORWARDING", "channel_detail": {}},
    {"channel": "HTTP_FORWARDING", "channel_detail": {"amqp_forwarding": {"queue_name": "a-queue-name"}}},
    {"channel": "HTTP_FORWARDING", "channel_detail": {"http_forwarding": {"url": "ftp://a"}}},
    {"channel": "HTTP_FORWARDING", "channel_detail": {"http_forwarding": {"url": "http://u:p@a/"}}},
    {"channel": "HTTP_FORWARDING", "channel_detail": {"http_forwarding": {"url": "http://a", "token": "x"}}},
    {"channel": "HTTP_FORWARDING", "channel_detail": 7},
    {"channel": "HTTP_FORWARDING"},
])
def test_bad_actions_are_refused(forwarding, body):
    answer = forwarding.world.rest.post("/routing-rule/actions", json={"rule_id": forwarding.rule().rule_id, **body})
    if "u:p@" in str(body):
        # With push.allow_private the address is looked at when the push is made.
        assert answer.status in (201, 400)
        return
    answer.must_be(400, "IOTDA.000006")


def test_limits_and_missing_things(own_forwarding):
    rule = own_forwarding.rule()
    with refused(404, "IOTDA.010002"):
        own_forwarding.push_action("nowhere", "http://127.0.0.1:9/")
    with refused(404, "IOTDA.023000"):
        own_forwarding.action(rule.rule_id, "AMQP_FORWARDING", amqp_forwarding=sdk.AmqpForwarding("no-such-queue"))
    for _ in range(10):
        own_forwarding.push_action(rule.rule_id, "http://127.0.0.1:9/")
    with refused(403, "IOTDA.010021"):
        own_forwarding.push_action(rule.rule_id, "http://127.0.0.1:9/")
    for _ in range(99):
        own_forwarding.rule(subject=("device", "create"))
    with refused(403, "IOTDA.010003"):
        own_forwarding.rule()


def test_a_rule_without_actions_cannot_be_activated(forwarding):
    rule = forwarding.rule()
    with refused(400, "IOTDA.010025"):
        forwarding.update(rule.rule_id, active=True)
    forwarding.push_action(rule.rule_id, "http://127.0.0.1:9/")
    assert forwarding.update(rule.rule_id, active=True).active is True
    assert forwarding.show(rule.rule_id).active is True
    assert forwarding.update(rule.rule_id, active=False).active is False


def test_deleting_a_rule_takes_its_actions_along(forwarding):
    rule = forwarding.rule()
    action = forwarding.push_action(rule.rule_id, "http://127.0.0.1:9/")
    forwarding.delete(rule.rule_id)
    with refused(404, "IOTDA.010020"):
        forwarding.show_action(action.action_id)


@pytest.mark.parametrize("field, text, place", [
    ("select", "notify_data..body", "character 13"),
    ("where", "notify_data.header.device_id ~ 'x'", "character"),
    ("where", "notify_data.header.device_id = 'x' ORDER BY a", "character 36"),
    ("where", "1 = ", "character"),
])
def test_wrong_clauses_are_refused_with_their_place(forwarding, field, text, place):
    with refused(400, "IOTDA.000006") as caught:
        forwarding.rule(**{field: text})
    assert f"'{field}'" in caught.value.error_msg and place in caught.value.error_msg, caught.value.error_msg
    rule = forwarding.rule()
    with refused(400, "IOTDA.000006"):
        forwarding.update(rule.rule_id, **{field: text})


def test_clauses_have_a_length(forwarding):
    fits = "a = '" + "x" * 2494 + "'"
    assert forwarding.rule(where=fits).where == fits
    for field in ("select", "where"):
        with refused(400, "IOTDA.000006"):
            forwarding.rule(**{field: fits + " "})


def test_unknown_subjects_are_refused(forwarding):
    for subject in [("device", "report"), ("nothing", "update")]:
        with refused(400, "IOTDA.000006"):
            forwarding.rule(subject)


def test_queues_that_are_fed_stay(forwarding):
    client, name = forwarding.client, fresh_name("queue")
    queue = client.add_queue(sdk.AddQueueRequest(body=sdk.QueueInfo(queue_name=name)))
    rule = forwarding.rule()
    action = forwarding.action(rule.rule_id, "AMQP_FORWARDING", amqp_forwarding=sdk.AmqpForwarding(name))
    assert action.channel_detail.amqp_forwarding.queue_name == name
    with refused(403, "IOTDA.023003"):
        client.delete_queue(sdk.DeleteQueueRequest(queue_id=queue.queue_id))
    forwarding.delete_action(action.action_id)
    client.delete_queue(sdk.DeleteQueueRequest(queue_id=queue.queue_id))


def test_life_of_policies(own_forwarding):
    client = own_forwarding.client
    made = own_forwarding.backlog(policy_name="small", description="d", backlog_size=1000, backlog_time=60)
    assert (made.status_code, made.backlog_size, made.backlog_time) == (201, 1000, 60)
    biggest = own_forwarding.backlog()
    assert (biggest.backlog_size, biggest.backlog_time) == (1073741823, 86399)
    listed = client.list_routing_backlog_policy(sdk.ListRoutingBacklogPolicyRequest(policy_name="small"))
    assert [p.policy_id for p in listed.backlog_policies] == [made.policy_id] and listed.count == 1
    changed = client.update_routing_backlog_policy(sdk.UpdateRoutingBacklogPolicyRequest(
        policy_id=made.policy_id, body=sdk.UpdateBacklogPolicy(backlog_time=0)))
    assert (changed.backlog_size, changed.backlog_time, changed.policy_name) == (1000, 0, "small")
    assert client.show_routing_backlog_policy(
        sdk.ShowRoutingBacklogPolicyRequest(policy_id=made.policy_id)).backlog_time == 0
    client.delete_routing_backlog_policy(sdk.DeleteRoutingBacklogPolicyRequest(policy_id=made.policy_id))
    with refused(404, "IOTDA.010022"):
        client.show_routing_backlog_policy(sdk.ShowRoutingBacklogPolicyRequest(policy_id=made.policy_id))
    for fields in ({"backlog_size": 1073741824}, {"backlog_time": -1}):
        with refused(400, "IOTDA.000006"):
            own_forwarding.backlog(**fields)

    rule = own_forwarding.rule()
    made = own_forwarding.flow(policy_name="slow", scope="RULE", scope_value=rule.rule_id, limit=5)
    assert (made.status_code, made.scope, made.scope_value, made.limit) == (201, "RULE", rule.rule_id, 5)
    everything = own_forwarding.flow(scope="USER")
    assert (everything.scope, everything.scope_value, everything.limit) == ("USER", None, 1000)
    with refused(400, "IOTDA.010024"):
        own_forwarding.flow(scope="USER", limit=1)
    listed = client.list_routing_flow_control_policy(sdk.ListRoutingFlowControlPolicyRequest(scope="RULE"))
    assert [p.policy_id for p in listed.flowcontrol_policies] == [made.policy_id]
    assert client.update_routing_flow_control_policy(sdk.UpdateRoutingFlowControlPolicyRequest(
        policy_id=made.policy_id, body=sdk.UpdateFlowControlPolicy(limit=7))).limit == 7
    assert client.show_routing_flow_control_policy(
        sdk.ShowRoutingFlowControlPolicyRequest(policy_id=made.policy_id)).limit == 7
    client.delete_routing_flow_control_policy(sdk.DeleteRoutingFlowControlPolicyRequest(policy_id=made.policy_id))
    with refused(404, "IOTDA.010022"):
        client.show_routing_flow_control_policy(sdk.ShowRoutingFlowControlPolicyRequest(policy_id=made.policy_id))
    for status, fields in [(400, {"scope": "RULE"}), (400, {"scope": "USER", "scope_value": "x"}),
                           (400, {"scope": "CHANNEL", "scope_value": "X"}), (404, {"scope": "RULE", "scope_value": "x"}),
                           (404, {"scope": "ACTION", "scope_value": "x"}), (400, {"scope": "CHANNEL", "limit": 1001})]:
        with refused(status):
            own_forwarding.flow(**fields)


# --- events -----------------------------------------------------------------------------------------------------------

def test_an_active_rule_forwards(forwarding):
    device = forwarding.world.device()
    rule, action, receiver = forwarding.forwarded(where=f"notify_data.header.device_id = '{device.device_id}'")
    device.connect().report(value=21)
    forwarding.world.device().connect().report(value=22)
    [push] = receiver.wait("device.property", device.device_id)
    assert body_of(push)["services"][0]["properties"] == {"value": 21}
    forwarding.update(rule.rule_id, active=False)
    device.connect().report(value=22)
    forwarding.update(rule.rule_id, active=True)
    device.connect().report(value=23)
    pushes = receiver.wait("device.property", device.device_id, count=2)
    assert [body_of(p)["services"][0]["properties"]["value"] for p in pushes] == [21, 23]
    assert {p["notify_data"]["header"]["device_id"] for p in receiver.accepted} == {device.device_id}
    counters = wait_for(lambda: (found := forwarding.counters(rule.rule_id))["delivered"] == 2 and found, 15, "counters")
    assert (counters["written"], counters["waiting"], counters["kind"]) == (2, 0, "action")
    assert (counters["action_id"], counters["channel"]) == (action.action_id, "HTTP_FORWARDING")


def test_conditions_and_selections(forwarding):
    device = forwarding.world.device()
    _, _, receiver = forwarding.forwarded(
        select="notify_data.header.device_id AS id, notify_data.body.services[0].properties.value AS v",
        where=f"notify_data.header.device_id = '{device.device_id}' AND notify_data.body.services[0].properties.value > 20")
    link = device.connect()
    for value in (19, 20, 21, 5, 30):
        link.report(value=value)
    assert wait_accepted(receiver, 2) == [{"id": device.device_id, "v": 21}, {"id": device.device_id, "v": 30}]


def test_several_rules_and_actions(forwarding):
    device = forwarding.world.device()
    only = f"notify_data.header.device_id = '{device.device_id}'"
    rule, _, first = forwarding.forwarded(where=only)
    second = forwarding.receiver()
    forwarding.push_action(rule.rule_id, second.url)
    _, _, third = forwarding.forwarded(where=only)
    device.connect().report(value=1)
    for receiver in (first, second, third):
        receiver.wait("device.property", device.device_id)
    assert len(forwarding.statistics(rule_id=rule.rule_id)) == 2


def test_a_global_rule_takes_events_of_every_space(own_forwarding):
    world = own_forwarding.world
    other = world.app.add_app(fresh_name("other")).app_id
    product = world.product(app_id=other)
    rule, _, receiver = own_forwarding.forwarded(app_type="GLOBAL")
    here, there = world.device(), world.device(product, app_id=other)
    here.connect().report(value=1)
    there.connect().report(value=2)
    receiver.wait("device.property", here.device_id)
    receiver.wait("device.property", there.device_id)
    assert own_forwarding.show(rule.rule_id).app_id is None
    with refused(400, "IOTDA.000006"):
        own_forwarding.rule(app_type="GLOBAL", app_id=other)


def test_two_spaces_are_isolated(own_forwarding):
    world = own_forwarding.world
    spaces = [world.app.add_app(fresh_name("space")).app_id for _ in range(2)]
    products = [world.product(app_id=space) for space in spaces]
    receivers = [own_forwarding.forwarded(app_id=space)[2] for space in spaces]
    devices = [world.device(product, app_id=space) for product, space in zip(products, spaces)]
    for device in devices:
        device.connect().report(value=1)
    for device, receiver in zip(devices, receivers):
        receiver.wait("device.property", device.device_id)
    assert [len(receiver.accepted) for receiver in receivers] == [1, 1]
    # Whoever may do everything in one space sees that one's rules only, and no policies and queues.
    mine = Identity(world.platform).person(allow("iotda:*:*", apps=[spaces[0]])).rest()
    rules = mine.get("/routing-rule/rules").must_be(200).json
    assert {rule["app_id"] for rule in rules["rules"]} == {spaces[0]} and rules["count"] == 1
    targets = mine.get("/routing-rule/statistics").must_be(200).json["targets"]
    assert {target["app_id"] for target in targets} == {spaces[0]}
    mine.post("/routing-rule/rules", json={"subject": {"resource": "device", "event": "create"}}).must_be(403, "IOTDA.000005")
    mine.get("/routing-rule/flowcontrol-policy").must_be(403, "IOTDA.000005")


def test_a_deleted_space_takes_its_rules_along(own_forwarding):
    world = own_forwarding.world
    space = world.app.add_app(fresh_name("doomed")).app_id
    rule, action, _ = own_forwarding.forwarded(app_id=space, url="http://127.0.0.1:9/")
    world.device(world.product(app_id=space), app_id=space).connect().report(value=1)
    world.app.delete_app(space)
    with refused(404, "IOTDA.010002"):
        own_forwarding.show(rule.rule_id)
    with refused(404, "IOTDA.010020"):
        own_forwarding.show_action(action.action_id)
    assert own_forwarding.statistics() == []


def test_an_action_that_moves_takes_what_waits_along(forwarding):
    device = forwarding.world.device()
    rule, action, _ = forwarding.forwarded(
        where=f"notify_data.header.device_id = '{device.device_id}'", url="http://127.0.0.1:9/")
    device.connect().report(value=1)
    receiver = forwarding.receiver()
    forwarding.update_action(action.action_id, channel="HTTP_FORWARDING", channel_detail=sdk.ChannelDetail(
        http_forwarding=sdk.HttpForwarding(url=receiver.url)))
    receiver.wait("device.property", device.device_id)
    assert forwarding.counters(rule.rule_id)["written"] == 1


@pytest.mark.timeout(200)
def test_nothing_is_lost_when_the_platform_is_killed(own_forwarding):
    """kill -9 between commit and delivery: what was acknowledged to the device arrives."""
    world = own_forwarding.world
    reporter = Reporter(world.device())
    rule, _, receiver = own_forwarding.forwarded()
    numbers = lambda: {service["properties"]["seq"] for push in list(receiver.accepted) for service in body_of(push)["services"]}
    for round in range(3):
        reporter.start()
        enough = len(reporter.acknowledged) + 200
        # The receiver refuses now and then, so that deliveries wait when the platform goes.
        receiver.refuse_next = 5
        wait_for(lambda: len(reporter.acknowledged) >= enough, 30, "reports to flow", every=0.001)
        world.platform.kill()
        reporter.join()
        world.platform.start()
        world.after_restart()
    assert lost_reports(world.rest, reporter) == set()
    wait_for(lambda: reporter.acknowledged <= numbers(), 90, "every acknowledged report to be pushed")
    counters = wait_for(lambda: (c := own_forwarding.counters(rule.rule_id))["waiting"] == 0 and c, 30, "an empty outbox")
    assert counters["written"] == counters["delivered"] >= len(reporter.acknowledged)


def test_flow_control_slows_deliveries_down(own_forwarding):
    world = own_forwarding.world
    rule, action, receiver = own_forwarding.forwarded()
    _, _, free = own_forwarding.forwarded()
    own_forwarding.flow(scope="ACTION", scope_value=action.action_id, limit=5)
    devices = [world.device().connect() for _ in range(4)]
    began = time.monotonic()
    for number in range(5):
        for device in devices:
            device.report(value=number)
    wait_accepted(free, 20)
    quick = time.monotonic() - began
    wait_accepted(receiver, 20, seconds=30)
    slow = time.monotonic() - began
    assert quick < slow
    assert 3 < slow < 15, "20 deliveries at 5 a second"
    assert own_forwarding.counters(rule.rule_id)["written"] == 20


def test_backlog_policies_bound_what_waits(own_forwarding):
    world = own_forwarding.world
    rule, _, _ = own_forwarding.forwarded(url="http://127.0.0.1:9/")
    device = world.device().connect()
    for number in range(10):
        device.report(value=number)
    wait_for(lambda: own_forwarding.counters(rule.rule_id)["waiting"] == 10, 15, "ten to wait")
    each = own_forwarding.counters(rule.rule_id)["waiting_bytes"] // 10
    own_forwarding.backlog(policy_name="generous")
    policy = own_forwarding.backlog(policy_name="narrow", backlog_size=3 * each + each // 2)
    counters = wait_for(lambda: (c := own_forwarding.counters(rule.rule_id))["overflowed"] and c, 30, "an overflow")
    assert (counters["overflowed"], counters["waiting"]) == (7, 3)
    world.app.client.update_routing_backlog_policy(sdk.UpdateRoutingBacklogPolicyRequest(
        policy_id=policy.policy_id, body=sdk.UpdateBacklogPolicy(backlog_time=1)))
    counters = wait_for(lambda: (c := own_forwarding.counters(rule.rule_id))["expired"] == 3 and c, 30, "an expiry")
    assert counters["waiting"] == counters["waiting_bytes"] == 0


def test_metrics_of_targets_balance(own_forwarding):
    world = own_forwarding.world
    rule, _, receiver = own_forwarding.forwarded()
    stuck, _, _ = own_forwarding.forwarded(url="http://127.0.0.1:9/")
    link = world.device().connect()
    for number in range(6):
        link.report(value=number)
    wait_accepted(receiver, 6)

    def metrics() -> dict[str, float]:
        lines = world.rest.get("//metrics", signed=False).must_be(200).text.splitlines()
        pairs = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def balance():
        found = metrics()
        written = found.get('causeway_outbox_written_total{kind="action"}', 0)
        waiting = found.get('causeway_outbox_waiting{kind="action"}', 0)
        ends = {key: value for key, value in found.items() if key.startswith('causeway_outbox_finished_total{kind="action"')}
        return (written, waiting, sum(ends.values())) == (12, 6, 6) and ends

    ends = wait_for(balance, 15, "metrics that balance")
    assert ends['causeway_outbox_finished_total{kind="action",outcome="delivered"}'] == 6
    own_forwarding.delete(stuck.rule_id)
    wait_for(lambda: metrics().get('causeway_outbox_finished_total{kind="action",outcome="deleted"}') == 6, 15, "the deleted")
    assert metrics()['causeway_outbox_waiting{kind="action"}'] == 0


# --- debugging --------------------------------------------------------------------------------------------------------

def test_online_debugging(forwarding):
    rest = forwarding.world.rest
    message = {"resource": "device.property", "event": "report", "notify_data": {
        "header": {"device_id": "d"}, "body": {"services": [{"service_id": "s", "properties": {"v": 9}}]}}}
    tried = rest.post("/routing-rule/debug", json={
        "resource": "device.property", "event": "report", "message": message,
        "select": "GET_SERVICE_PROPERTY('s', 'v') AS v", "where": "GET_SERVICE_PROPERTY('s', 'v') > 8"}).must_be(200).json
    assert (tried["of_subject"], tried["matched"], tried["output"]) == (True, True, {"v": 9})
    [first, *_] = tried["steps"]
    assert (first["clause"], first["position"], first["value"]) == ("where", 1, 9), tried["steps"]
    assert first["text"] == "GET_SERVICE_PROPERTY('s', 'v')"
    tried = rest.post("/routing-rule/debug", json={
        "resource": "device.property", "event": "report", "where": "1 > 2"}).must_be(200).json
    assert tried["matched"] is False and "output" not in tried
    answer = rest.post("/routing-rule/debug", json={
        "resource": "device.property", "event": "report", "where": "1 >"}).must_be(400, "IOTDA.000006").json
    assert "'where'" in answer["error_msg"] and "character" in answer["error_msg"]
    rest.post("/routing-rule/debug", json={
        "resource": "device.property", "event": "report", "message": "no JSON"}).must_be(400, "IOTDA.000006")


def test_templates(forwarding):
    rest = forwarding.world.rest
    templates = rest.get("/routing-rule/templates").must_be(200).json["templates"]
    assert len(templates) >= 11
    for template in templates:
        assert (template["message"]["resource"], template["message"]["event"]) == (template["resource"], template["event"])
        rest.post("/routing-rule/debug", json=template).must_be(200)
    [one] = rest.get("/routing-rule/templates", query={"resource": "device.status"}).must_be(200).json["templates"]
    assert one["message"]["notify_data"]["body"]["status"] == "ONLINE"


def test_connectivity_test(forwarding):
    rest, receiver = forwarding.world.rest, forwarding.receiver()
    rule = forwarding.rule()
    action = forwarding.push_action(rule.rule_id, receiver.url).action_id
    tested = rest.post(f"/routing-rule/actions/{action}/test").must_be(200).json
    assert tested["success"] is True and tested["message"]["resource"] == "device.property"
    assert receiver.accepted == [tested["message"]]
    tested = rest.post(f"/routing-rule/actions/{action}/test", json={"message": {"own": 1}}).must_be(200).json
    assert tested["success"] is True and receiver.accepted[-1] == {"own": 1}
    receiver.refuse_next = 1
    tested = rest.post(f"/routing-rule/actions/{action}/test").must_be(200).json
    assert (tested["success"], tested["reason"]) == (False, "refused") and "500" in tested["detail"] and tested["advice"]
    rest.post(f"/routing-rule/actions/{action}/test", json={"message": [1]}).must_be(400, "IOTDA.000006")
    gone = forwarding.push_action(rule.rule_id, "http://127.0.0.1:9/").action_id
    tested = rest.post(f"/routing-rule/actions/{gone}/test").must_be(200).json
    assert (tested["success"], tested["reason"]) == (False, "unreachable") and tested["advice"]
    name = fresh_name("queue")
    forwarding.client.add_queue(sdk.AddQueueRequest(body=sdk.QueueInfo(queue_name=name)))
    queued = forwarding.action(rule.rule_id, "AMQP_FORWARDING", amqp_forwarding=sdk.AmqpForwarding(name)).action_id
    assert rest.post(f"/routing-rule/actions/{queued}/test").must_be(200).json["success"] is True
    [target] = forwarding.statistics(queue=name)
    assert (target["kind"], target["queue_name"], target["waiting"]) == ("queue", name, 1)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://localhost/", "http://10.0.0.1/", "http://[::1]/"])
def test_private_addresses_are_refused(careful, url):
    careful.post("/routing-rule/actions", json={
        "rule_id": careful.rule_id, "channel": "HTTP_FORWARDING",
        "channel_detail": {"http_forwarding": {"url": url}}}).must_be(400, "IOTDA.000006")


@pytest.fixture(scope="module")
def careful(platform_factory):
    """A platform that keeps the default of `push.allow_private`, with a rule."""
    from rig.rest import Rest

    platform = platform_factory({"push.allow_private": "false"}).start()
    rest = Rest(platform)
    rest.rule_id = rest.post("/routing-rule/rules", json={
        "subject": {"resource": "device", "event": "create"}}).must_be(201).json["rule_id"]
    yield rest
    platform.close()
