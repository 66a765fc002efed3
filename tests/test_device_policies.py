"""Device policies: registry and what they do to topics outside of `$oc` (docs/mqtt.md, device policies)."""

import pytest
from huaweicloudsdkiotda.v5 import model as sdk

from rig import platform_times
from rig.application import refused
from rig.deadline import wait_for
from rig.push_receiver import body_of
from rig.world import fresh_name

PUBLISH, SUBSCRIBE = "iotda:devices:publish", "iotda:devices:subscribe"
REFUSED = 0x80
NOT_AUTHORIZED = 0x87


def statement(effect, resources, actions=(PUBLISH, SUBSCRIBE)):
    return sdk.Statement(effect=effect, actions=list(actions), resources=list(resources))


def create(world, statements, name=None, app_id=None):
    return world.app.client.create_device_policy(sdk.CreateDevicePolicyRequest(body=sdk.CreateDevicePolicy(
        policy_name=name or fresh_name("policy"), app_id=app_id, statement=statements)))


def show(world, policy_id):
    return world.app.client.show_device_policy(sdk.ShowDevicePolicyRequest(policy_id=policy_id))


def listed(world, **query):
    return world.app.client.list_device_policies(sdk.ListDevicePoliciesRequest(**query))


def update(world, policy_id, **fields):
    return world.app.client.update_device_policy(sdk.UpdateDevicePolicyRequest(
        policy_id=policy_id, body=sdk.UpdateDevicePolicy(**fields)))


def delete(world, policy_id):
    return world.app.client.delete_device_policy(sdk.DeleteDevicePolicyRequest(policy_id=policy_id))


def bind(world, policy_id, kind, *ids):
    return world.app.client.bind_device_policy(sdk.BindDevicePolicyRequest(
        policy_id=policy_id, body=sdk.BindDevicePolicy(target_type=kind, target_ids=list(ids))))


def unbind(world, policy_id, kind, *ids):
    return world.app.client.unbind_device_policy(sdk.UnbindDevicePolicyRequest(
        policy_id=policy_id, body=sdk.UnBindDevicePolicy(target_type=kind, target_ids=list(ids))))


def targets(world, policy_id, **fields):
    return world.app.client.show_targets_in_device_policy(sdk.ShowTargetsInDevicePolicyRequest(
        policy_id=policy_id, body=sdk.ShowTargetsInDevicePolicyRequestBody(**fields)))


@pytest.fixture
def closed_space(world):
    """A space without the policy that it was born with: its devices may use no topic outside of `$oc`."""
    space = world.app.add_app(fresh_name("space")[:60]).app_id
    [born] = listed(world, app_id=space).policies
    delete(world, born.policy_id)
    yield space
    world.app.delete_app(space)


@pytest.fixture
def closed_device(world, closed_space):
    return world.device(world.product(app_id=closed_space), app_id=closed_space)


# --- registry -------------------------------------------------------------------------------------------------------------


def test_life_of_a_policy(world):
    said = [statement("ALLOW", ["topic:/v1/${devices.deviceId}/test/*"]), statement("DENY", ["topic:/v1/?"], [PUBLISH])]
    made = create(world, said, name="life-of_a_policy")
    assert (made.status_code, made.policy_name) == (201, "life-of_a_policy")
    assert made.app_id == world.platform.ready["default_app_id"]
    assert len(made.policy_id) == 24
    assert platform_times.COMPACT.match(made.create_time) and platform_times.COMPACT.match(made.update_time)
    shown = show(world, made.policy_id)
    assert [(s.effect, s.actions, s.resources) for s in shown.statement] == [
        ("ALLOW", [PUBLISH, SUBSCRIBE], ["topic:/v1/${devices.deviceId}/test/*"]), ("DENY", [PUBLISH], ["topic:/v1/?"])]
    changed = update(world, made.policy_id, policy_name="new-name")
    assert (changed.status_code, changed.policy_name, len(changed.statement)) == (200, "new-name", 2)
    changed = update(world, made.policy_id, statement=[statement("DENY", ["topic:a"], [SUBSCRIBE])])
    assert show(world, made.policy_id).statement == changed.statement
    assert show(world, made.policy_id).policy_name == "new-name"
    assert delete(world, made.policy_id).status_code == 204
    for call in (show, delete, targets):
        with refused(404, "IOTDA.022000"):
            call(world, made.policy_id)
    with refused(404, "IOTDA.022000"):
        bind(world, made.policy_id, "app", made.app_id)


def test_every_space_is_born_with_an_open_policy(world):
    space = world.app.add_app(fresh_name("space")[:60]).app_id
    [born] = listed(world, app_id=space).policies
    assert born.policy_name == "system_default_policy"
    [said] = show(world, born.policy_id).statement
    assert (said.effect, said.actions, said.resources) == ("ALLOW", [PUBLISH, SUBSCRIBE], ["topic:*"])
    [target] = targets(world, born.policy_id).targets
    assert (target.target_type, target.target_id) == ("app", space)
    world.app.delete_app(space)
    with refused(404, "IOTDA.022000"):
        show(world, born.policy_id)


def test_lists_are_filtered_and_paged(world):
    space = world.app.add_app(fresh_name("space")[:60]).app_id
    made = [create(world, [statement("ALLOW", ["topic:a"])], name=f"listed{n}", app_id=space).policy_id for n in range(3)]
    newest_first = made[::-1]
    first = listed(world, app_id=space, limit=2)
    assert [p.policy_id for p in first.policies] == newest_first[:2]
    assert first.page.count == 4
    rest = listed(world, app_id=space, limit=2, marker=first.page.marker)
    assert [p.policy_id for p in rest.policies][0] == newest_first[2]
    assert [p.policy_id for p in listed(world, app_id=space, policy_name="listed1").policies] == [made[1]]
    assert [p.policy_id for p in listed(world, app_id=space, offset=1, limit=1).policies] == [newest_first[1]]
    with refused(403, "IOTDA.001000"):
        listed(world, app_id="0" * 32)
    with refused(400, "IOTDA.000017"):
        listed(world, limit=51)
    world.app.delete_app(space)


@pytest.mark.parametrize("said", [
    [], [statement("ALLOW", [])], [statement("ALLOW", ["topic:a"] * 11)], [statement("ALLOW", ["a"])],
    [statement("ALLOW", ["topic:"])], [statement("ALLOW", ["topic:a b"])], [statement("ALLOW", ["topic:${devices.x}"])],
    [statement("MAYBE", ["topic:a"])], [statement("ALLOW", ["topic:a"], [])], [statement("ALLOW", ["topic:a"], ["iotda:x"])],
    [statement("ALLOW", ["topic:a"])] * 11, [statement("ALLOW", ["topic:" + "a" * 1500] * 10)],
], ids=range(12))
def test_bad_statements_are_refused(world, said):
    with refused(400, "IOTDA.000006"):
        create(world, said)


@pytest.mark.parametrize("name", ["", "a b", "x" * 129, "温"])
def test_bad_names_are_refused(world, name):
    body = {"policy_name": name, "statement": [{"effect": "ALLOW", "actions": [PUBLISH], "resources": ["topic:a"]}]}
    world.rest.post("/device-policies", json=body).must_be(400, "IOTDA.000006")


def test_fifty_policies_at_most(own_world):
    for _ in range(50):
        create(own_world, [statement("ALLOW", ["topic:a"])])
    with refused(403, "IOTDA.022001"):
        create(own_world, [statement("ALLOW", ["topic:a"])])
    assert listed(own_world).page.count == 51


def test_binding_tells_what_failed(world):
    device, product_id = world.device(), world.product()
    policy = create(world, [statement("ALLOW", ["topic:*"])]).policy_id
    bound = bind(world, policy, "device", device.device_id, "nobody", "not an id")
    assert (bound.status_code, bound.policy_id, bound.target_type) == (200, policy, "device")
    assert bound.success_targets == [device.device_id]
    assert {(f.target_id, f.error_code) for f in bound.failure_targets} == {
        ("nobody", "IOTDA.014000"), ("not an id", "IOTDA.000006")}
    assert all(f.error_msg for f in bound.failure_targets)
    assert bind(world, policy, "product", product_id, "none").success_targets == [product_id]
    listed_targets = targets(world, policy)
    assert [(t.target_type, t.target_id) for t in listed_targets.targets] == [
        ("product", product_id), ("device", device.device_id)]
    assert listed_targets.page.count == 2
    assert [t.target_id for t in targets(world, policy, target_type="device").targets] == [device.device_id]
    one = targets(world, policy, limit=1)
    assert [t.target_id for t in targets(world, policy, marker=one.page.marker, limit=1).targets] == [device.device_id]
    assert [t.target_id for t in targets(world, policy, offset=1).targets] == [device.device_id]
    for fields, code in (({"limit": 51}, "IOTDA.000017"), ({"limit": 0}, "IOTDA.000017"), ({"marker": "x"}, "IOTDA.000018")):
        with refused(400, code):
            targets(world, policy, **fields)
    gone = unbind(world, policy, "device", device.device_id, world.device().device_id)
    assert gone.success_targets == [device.device_id]
    assert [f.error_code for f in gone.failure_targets] == ["IOTDA.022003"]
    assert targets(world, policy).page.count == 1
    with refused(400, "IOTDA.000006"):
        bind(world, policy, "device")
    with refused(400, "IOTDA.000006"):
        bind(world, policy, "group", "x")


def test_only_things_of_the_policys_space_are_bound(world):
    space = world.app.add_app(fresh_name("space")[:60]).app_id
    policy = create(world, [statement("ALLOW", ["topic:*"])], app_id=space).policy_id
    here = world.device(world.product(app_id=space), app_id=space)
    there = world.device()
    bound = bind(world, policy, "device", here.device_id, there.device_id)
    assert bound.success_targets == [here.device_id]
    assert [f.error_code for f in bound.failure_targets] == ["IOTDA.014000"]
    assert [f.error_code for f in bind(world, policy, "product", there.product_id).failure_targets] == ["IOTDA.013003"]
    default = world.platform.ready["default_app_id"]
    assert [f.error_code for f in bind(world, policy, "app", default).failure_targets] == ["IOTDA.001000"]
    world.app.delete_app(space)


def test_five_policies_at_a_target_at_most(world):
    device = world.device()
    policies = [create(world, [statement("ALLOW", ["topic:*"])]).policy_id for _ in range(6)]
    for policy in policies[:5]:
        assert bind(world, policy, "device", device.device_id).failure_targets == []
    refusal = bind(world, policies[5], "device", device.device_id)
    assert [f.error_code for f in refusal.failure_targets] == ["IOTDA.022002"]
    assert bind(world, policies[0], "device", device.device_id).failure_targets == []
    for policy in policies:
        delete(world, policy)


# --- enforcement ----------------------------------------------------------------------------------------------------------


def test_without_an_allowing_policy_only_system_topics_are_left(world, closed_device):
    world.topic(closed_device.product_id, "both", "ALL")
    link = closed_device.raw()
    filters = ["a/b", "#", "sys/messages/down", "user/both"]
    topics = [f if f in ("a/b", "#") else closed_device.topic(f) for f in filters]
    assert link.subscribe(*[(t, 1) for t in topics]) == [REFUSED, REFUSED, 1, 1]
    link.publish(closed_device.topic("sys/properties/report"),
                 b'{"services":[{"service_id":"Battery","properties":{"level":41}}]}')
    link.ping()
    assert world.rest.reported(closed_device.device_id, "Battery") == {"level": 41}


def test_publishing_needs_an_allow_and_is_dropped_otherwise(world, closed_space, closed_device):
    policy = create(world, [statement("ALLOW", ["topic:up/${devices.deviceId}/*"], [PUBLISH])], app_id=closed_space).policy_id
    bind(world, policy, "device", closed_device.device_id)
    receiver = world.pushes(closed_space)
    link = closed_device.raw()
    for topic in ("up/other/x", "other", f"up/{closed_device.device_id}/x"):
        link.publish(topic, topic.encode())
    wait_for(lambda: receiver.select("device.message", closed_device.device_id), what="the message on the allowed topic")
    [push] = receiver.select("device.message", closed_device.device_id)
    assert body_of(push)["topic"] == f"up/{closed_device.device_id}/x"


def test_deny_wins_over_allow(world):
    device = world.device()
    policy = create(world, [statement("DENY", ["topic:secret/*"])]).policy_id
    bind(world, policy, "device", device.device_id)
    link = device.raw()
    assert link.subscribe(("open/a", 1), ("secret/a", 1), ("secret/#", 1), ("#", 1)) == [1, REFUSED, REFUSED, 1]
    assert world.device().raw().subscribe(("secret/a", 1)) == [1]


def test_mqtt5_devices_are_told(closed_device):
    link = closed_device.raw(level=5)
    assert link.subscribe(("a/b", 1)) == [NOT_AUTHORIZED]
    assert link.publish("a/b", b"x").code == NOT_AUTHORIZED


def test_a_policy_of_the_product_and_of_the_space(world, closed_space):
    product_id = world.product(app_id=closed_space)
    covered, other = world.device(product_id, app_id=closed_space), world.device(
        world.product(app_id=closed_space), app_id=closed_space)
    by_product = create(world, [statement("ALLOW", ["topic:p/*"])], app_id=closed_space).policy_id
    by_space = create(world, [statement("ALLOW", ["topic:s/*"])], app_id=closed_space).policy_id
    bind(world, by_product, "product", product_id)
    bind(world, by_space, "app", closed_space)
    assert covered.raw().subscribe(("p/a", 1), ("s/a", 1), ("x", 1)) == [1, 1, REFUSED]
    assert other.raw().subscribe(("p/a", 1), ("s/a", 1), ("x", 1)) == [REFUSED, 1, REFUSED]


def test_changes_reach_live_connections(world, closed_space, closed_device):
    link = closed_device.raw()
    policy = create(world, [statement("ALLOW", ["topic:a"])], app_id=closed_space).policy_id
    assert link.subscribe(("a", 1)) == [REFUSED]
    bind(world, policy, "device", closed_device.device_id)
    assert link.subscribe(("a", 1)) == [1]
    update(world, policy, statement=[statement("ALLOW", ["topic:b"])])
    assert link.subscribe(("a", 1), ("b", 1)) == [REFUSED, 1]
    unbind(world, policy, "device", closed_device.device_id)
    assert link.subscribe(("b", 1)) == [REFUSED]
    bind(world, policy, "app", closed_space)
    assert link.subscribe(("b", 1)) == [1]
    delete(world, policy)
    assert link.subscribe(("b", 1)) == [REFUSED]


def test_nothing_is_delivered_to_a_subscription_that_is_denied_now(world):
    device = world.device()
    link = device.connect()
    link.subscribe("news/a")
    world.app.create_message(device.device_id, "before", topic_full_name="news/a", payload_format="raw")
    link.wait_message("news/a")
    policy = create(world, [statement("DENY", ["topic:news/*"], [SUBSCRIBE])]).policy_id
    bind(world, policy, "device", device.device_id)
    made = world.app.create_message(device.device_id, "after", topic_full_name="news/a", payload_format="raw")
    wait_for(lambda: world.app.show_message(device.device_id, made.message_id).status == "FAILED",
             what="the message to fail")
    # Its own publications stay away too.
    link.publish("news/a", b"own")
    world.app.create_message(device.device_id, "end")
    link.wait_down("sys/messages/down")
    assert [m.payload for m in link.messages if m.topic == "news/a"] == [b"before"]


def test_a_will_obeys_policies(world, closed_space, closed_device):
    receiver = world.pushes(closed_space)
    policy = create(world, [statement("ALLOW", ["topic:last/allowed"], [PUBLISH])], app_id=closed_space).policy_id
    bind(world, policy, "device", closed_device.device_id)
    for topic in ("last/denied", "last/allowed"):
        closed_device.raw(will=(topic, b"gone", 1, False)).close()
    wait_for(lambda: receiver.select("device.message", closed_device.device_id), what="the allowed will")
    topics = [body_of(m)["topic"] for m in receiver.select("device.message", closed_device.device_id)]
    assert topics == ["last/allowed"]
