"""AMQP queues and access codes (002 §4.6.3): their registry. What consumers see is in test_amqp.py."""

import re

import pytest
from huaweicloudsdkiotda.v5 import model as sdk

from rig import platform_times
from rig.application import refused
from rig.world import fresh_name


def add(world, name):
    return world.app.client.add_queue(sdk.AddQueueRequest(body=sdk.QueueInfo(queue_name=name)))


def show(world, queue_id):
    return world.app.client.show_queue(sdk.ShowQueueRequest(queue_id=queue_id))


def listed(world, **query):
    return world.app.client.batch_show_queue(sdk.BatchShowQueueRequest(**query))


def delete(world, queue_id):
    return world.app.client.delete_queue(sdk.DeleteQueueRequest(queue_id=queue_id))


def access_code(world, **fields):
    return world.app.client.create_access_code(
        sdk.CreateAccessCodeRequest(body=sdk.CreateAccessCodeRequestBody(**fields)))


def test_life_of_a_queue(world):
    name = fresh_name("orders.from:the-shop")
    made = add(world, name)
    assert (made.status_code, made.queue_name) == (201, name)
    assert len(made.queue_id) == 36
    assert platform_times.COMPACT.match(made.create_time) and made.last_modify_time == made.create_time
    shown = show(world, made.queue_id)
    assert (shown.queue_id, shown.queue_name, shown.create_time) == (made.queue_id, name, made.create_time)
    assert delete(world, made.queue_id).status_code == 204
    with refused(404, "IOTDA.023000"):
        show(world, made.queue_id)
    with refused(404, "IOTDA.023000"):
        delete(world, made.queue_id)


def test_names_are_unique(world):
    name = fresh_name("twice_twice")
    queue = add(world, name)
    with refused(400, "IOTDA.023001"):
        add(world, name)
    delete(world, queue.queue_id)
    add(world, name)


@pytest.mark.parametrize("name", ["short12", "x" * 129, "with blank", "with/slash", "温度温度温度温度"])
def test_bad_names_are_refused(world, name):
    with refused(400, "IOTDA.000006"):
        add(world, name)


def test_lists_are_filtered_and_paged(world):
    start = fresh_name("paged_queue")
    made = [add(world, f"{start}.{n}").queue_id for n in range(3)]
    first = listed(world, queue_name=start, limit=2)
    assert [q.queue_id for q in first.queues] == [made[2], made[1]]
    assert first.page.count == 3
    assert [q.queue_id for q in listed(world, queue_name=start, marker=first.page.marker).queues] == [made[0]]
    assert [q.queue_id for q in listed(world, queue_name=start, offset=2).queues] == [made[0]]
    with refused(400, "IOTDA.000017"):
        listed(world, limit=51)


def test_a_hundred_queues_at_most(own_world):
    for number in range(100):
        add(own_world, f"queue-no-{number}")
    with refused(403, "IOTDA.023002"):
        add(own_world, "one-too-many")
    assert listed(own_world).page.count == 100


def test_access_codes_are_new_each_time(world):
    first, second = access_code(world, type="AMQP"), access_code(world, type="MQTT", force_disconnect=True)
    for made in (first, second, access_code(world)):
        assert made.status_code == 201
        assert re.fullmatch("[0-9A-Za-z]{8}", made.access_key)
        assert len(made.access_code) >= 32
    assert first.access_key != second.access_key and first.access_code != second.access_code
    world.rest.post("/auth/accesscode").must_be(201)
    with refused(400, "IOTDA.000006"):
        access_code(world, type="KAFKA")
