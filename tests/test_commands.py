"""Synchronous commands (002 §2.1.2.10, §4.5.3; A1.5, A1.10, C1)."""

import threading
import time

import pytest

from rig import raw_mqtt
from rig.application import refused
from rig.platform_process import COMMAND_TIMEOUT_SECONDS

ANSWER = {"result_code": 0, "response_name": "COMMAND_RESPONSE", "paras": {"result": "success"}}


@pytest.fixture
def device(world):
    return world.device()


def switch(world, device, value="ON"):
    return world.app.create_command(device.device_id, "Temperature", "ON_OFF", {"value": value})


def test_command_and_answer(world, device):
    link = device.connect().respond("sys/commands/", ANSWER)
    answer = switch(world, device)
    assert (answer.status_code, answer.response, answer.error_code) == (200, ANSWER, None)
    assert answer.command_id
    request = link.wait_down("sys/commands/request_id=")
    assert request.json == {"object_device_id": device.device_id, "service_id": "Temperature", "command_name": "ON_OFF",
                            "paras": {"value": "ON"}}
    assert request.request_id and not set("=/#+?") & set(request.request_id)


@pytest.mark.parametrize("body", [
    {"result_code": 0},
    {"result_code": 1, "paras": {"result": "stuck"}},
    {"result_code": 255, "response_name": "COMMAND_RESPONSE", "paras": {"result": "温度", "more": [1, {"a": None}]}},
])
def test_answer_is_handed_over_as_the_device_sent_it(world, device, body):
    device.connect().respond("sys/commands/", body)
    assert switch(world, device).response == body


def test_answer_at_qos_0(world, device):
    device.connect().respond("sys/commands/", ANSWER, qos=0)
    assert switch(world, device).response == ANSWER


def test_offline_device(world, device):
    with refused(403, "IOTDA.014016"):
        switch(world, device)


def test_device_that_has_left(world, device):
    link = device.connect()
    link.disconnect()
    with refused(403, "IOTDA.014016"):
        for _ in range(3):
            switch(world, device)


def test_silent_device(world, device):
    device.connect()
    began = time.monotonic()
    answer = switch(world, device)
    assert COMMAND_TIMEOUT_SECONDS - 0.2 <= time.monotonic() - began <= COMMAND_TIMEOUT_SECONDS + 3
    assert (answer.status_code, answer.error_code, answer.response) == (200, "IOTDA.014111", None)
    assert answer.error_msg


def test_a_late_answer_is_dropped(world, device):
    link = device.connect()
    assert switch(world, device).error_code == "IOTDA.014111"
    late = link.wait_down("sys/commands/request_id=")
    link.send(f"sys/commands/response/request_id={late.request_id}", {"result_code": 0, "paras": {"result": "late"}})
    link.respond("sys/commands/", ANSWER)
    assert switch(world, device).response == ANSWER


def test_an_answer_that_nobody_asked_for_is_dropped(world, device):
    link = device.connect().respond("sys/commands/", ANSWER)
    link.send("sys/commands/response/request_id=0123", ANSWER)
    assert switch(world, device).response == ANSWER


def test_another_device_cannot_answer(world, device):
    other = world.device().connect()
    link = device.connect()

    def meddle(request):
        for topic in (device.topic(""), other.registration.topic("")):
            other.client.publish(f"{topic}sys/commands/response/request_id={request.request_id}", '{"result_code":66}', 1)

    link.respond("sys/commands/", meddle)
    assert switch(world, device).error_code == "IOTDA.014111"


def test_answer_that_is_no_json(world, device):
    """The waiting ends with an error, not with a crash or a made-up answer."""
    link = device.connect()
    link.respond("sys/commands/", lambda request: link.client.publish(
        device.topic(f"sys/commands/response/request_id={request.request_id}"), b"\xff\xfe", 1) and None)
    answer = switch(world, device)
    assert (answer.response, answer.error_code) == (None, "IOTDA.014111")
    assert link.connected


def test_stray_brace_after_the_request_id(world, device):
    """A public device SDK appends `}` to request ids."""
    link = device.connect()
    link.respond("sys/commands/", lambda request: link.client.publish(
        device.topic(f"sys/commands/response/request_id={request.request_id}}}"), '{"result_code":0}', 1) and None)
    assert switch(world, device).response == {"result_code": 0}


def test_commands_at_the_same_time_find_their_answers(world, device):
    device.connect().respond("sys/commands/", lambda request: {
        "result_code": 0, "response_name": "COMMAND_RESPONSE", "paras": {"result": request.json["paras"]["value"]}})
    results: dict[int, str] = {}

    def ask(number):
        value = ("ON", "OFF")[number % 2]
        results[number] = (value, switch(world, device, value).response["paras"]["result"])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(results) == 8 and all(sent == heard for sent, heard in results.values())


@pytest.mark.parametrize("service,command,paras", [
    ("Temperature", "EXPLODE", {"value": "ON"}),
    ("Battery", "ON_OFF", {"value": "ON"}),
    ("Unknown", "ON_OFF", {"value": "ON"}),
    ("Temperature", "ON_OFF", {"value": "SIDEWAYS"}),
    ("Temperature", "ON_OFF", {}),
], ids=["command", "service without it", "service", "parameter value", "missing parameter"])
def test_command_against_the_model_is_refused(world, device, service, command, paras):
    link = device.connect().respond("sys/commands/", ANSWER)
    with refused(400):
        world.app.create_command(device.device_id, service, command, paras)
    assert link.down("sys/commands/") == []


def test_unknown_command_name_has_its_own_code(world, device):
    device.connect()
    with refused(400, "IOTDA.014108"):
        world.app.create_command(device.device_id, "Temperature", "EXPLODE", {})


def test_unknown_device(world):
    with refused(404, "IOTDA.014000"):
        world.app.create_command("nobody_nowhere", "Temperature", "ON_OFF", {"value": "ON"})


def test_command_for_a_child_goes_through_its_gateway(world, device):
    child = world.child(device)
    link = device.connect().respond("sys/commands/", ANSWER)
    assert switch(world, child).response == ANSWER
    assert link.wait_down("sys/commands/request_id=").json["object_device_id"] == child.device_id


def test_command_for_a_child_of_an_offline_gateway(world, device):
    child = world.child(device)
    with refused(400, "IOTDA.014028"):
        switch(world, child)


# --- implicit and explicit subscription (A1.5) ------------------------------------------------------------------------

def copies_of_one_command(world, device, link) -> list:
    """Sends one command and a message after it; returns every command packet that came before the message."""
    answer = []
    asking = threading.Thread(target=lambda: answer.append(switch(world, device)))
    asking.start()
    first = link.message()
    link.publish(first.topic.replace("/commands/request_id", "/commands/response/request_id"), b'{"result_code":0}')
    asking.join(20)
    assert answer[0].response == {"result_code": 0}
    world.app.create_message(device.device_id, "end", payload_format="raw")
    found = [first]
    while (message := link.message()).payload != b"end":
        found.append(message)
    return found


def test_without_subscription_a_command_comes_once_at_qos_0(world, device):
    [copy] = copies_of_one_command(world, device, device.raw())
    assert (copy.qos, copy.dup, copy.retain) == (0, False, False)


@pytest.mark.parametrize("filters,qos", [
    ([("sys/commands/#", 1)], 1),
    ([("sys/commands/#", 0)], 0),
    ([("sys/commands/#", 0), ("sys/#", 1)], 1),
    ([("#", 1), ("sys/commands/+", 1), ("sys/commands/#", 1)], 1),
])
def test_with_subscriptions_a_command_comes_once_at_the_highest_qos(world, device, filters, qos):
    """Exactly one copy; and the device's own answer, which the filter matches too, does not come back."""
    link = device.raw()
    assert link.subscribe(*((device.topic(name), wanted) for name, wanted in filters)) == [wanted for _, wanted in filters]
    [copy] = copies_of_one_command(world, device, link)
    assert copy.topic.startswith(device.topic("sys/commands/request_id="))
    assert (copy.qos, copy.dup, copy.retain) == (qos, False, False)


def test_after_unsubscribing_the_implicit_subscription_is_left(world, device):
    link = device.raw()
    link.subscribe((device.topic("sys/commands/#"), 1))
    number = link.next_id()
    link.send(raw_mqtt.unsubscribe(number, [device.topic("sys/commands/#")]))
    link.expect(raw_mqtt.UNSUBACK, packet_id=number)
    [copy] = copies_of_one_command(world, device, link)
    assert copy.qos == 0
