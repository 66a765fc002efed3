"""Notification topics: who is told what, by mail, over HTTP and by short messages (D7, E3)."""

import subprocess
import urllib.request

import pytest

from rig.deadline import wait_for
from rig.mail_server import MailServer
from rig.push_receiver import PushReceiver
from rig.world import World, fresh_name


@pytest.fixture(scope="module")
def mail(tmp_path_factory):
    """A mail server with a certificate of its own authority."""
    folder = tmp_path_factory.mktemp("mail")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"],
                   check=True, capture_output=True)
    server = MailServer(folder / "cert.pem", folder / "key.pem")
    server.authority = folder / "cert.pem"
    yield server
    server.close()


@pytest.fixture(scope="module")
def gateway():
    receiver = PushReceiver()
    receiver.accepted = []
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def platform(platform_factory, mail, gateway):
    return platform_factory({
        "mail.server": "localhost", "mail.port": mail.port, "mail.ca_file": str(mail.authority), "mail.rate": 6000,
        "mail.user": mail.USER, "mail.password": mail.PASSWORD, "mail.from": "causeway@example.com",
        "sms.gateway_url": gateway.url, "notify.region": "cn-north-4", "push.retry": "200ms",
    }).start()


@pytest.fixture
def world(platform):
    made = World(platform)
    yield made
    made.close()


@pytest.fixture
def receiver():
    made = PushReceiver()
    yield made
    made.close()


def topic(world, **fields) -> dict:
    return world.rest.post("/notification-topics", json={"name": fresh_name("topic"), **fields}).must_be(201).json


def subscribe(world, made, protocol, endpoint, confirm=True) -> dict:
    path = f"/notification-topics/{made['topic_id']}/subscriptions"
    found = world.rest.post(path, json={"protocol": protocol, "endpoint": endpoint}).must_be(201).json
    assert found["status"] == "UNCONFIRMED"
    if not confirm:
        return found
    found = world.rest.post(f"{path}/{found['subscription_id']}/confirm", json={}).must_be(200).json
    assert found["status"] == "CONFIRMED"
    return found


def publish(world, made, message, **fields) -> dict:
    path = f"/notification-topics/{made['topic_id']}/publish"
    return world.rest.post(path, json={"message": message, **fields}).must_be(200).json


def arrived(receiver, count=1) -> list[dict]:
    wait_for(lambda: len(receiver.accepted) >= count, seconds=20)
    return list(receiver.accepted)


# --- the registry ---------------------------------------------------------------------------------------------------------

def test_a_topic_is_made_changed_and_deleted(world):
    made = topic(world, display_name="Cold room")
    assert made["topic_urn"] == f"urn:smn:cn-north-4:{world.rest.project_id}:{made['name']}"
    path = f"/notification-topics/{made['topic_id']}"
    assert world.rest.get(path).must_be(200).json == made
    changed = world.rest.put(path, json={"display_name": "Warm room"}).must_be(200).json
    assert changed["display_name"] == "Warm room" and changed["create_time"] == made["create_time"]
    listed = world.rest.get("/notification-topics", query={"name": made["name"]}).must_be(200).json
    assert [t["topic_id"] for t in listed["topics"]] == [made["topic_id"]] and listed["page"]["count"] == 1
    world.rest.post("/notification-topics", json={"name": made["name"]}).must_be(400, "IOTDA.026001")
    world.rest.delete(path).must_be(204)
    world.rest.get(path).must_be(404, "IOTDA.026000")
    world.rest.delete(path).must_be(404, "IOTDA.026000")


def test_subscriptions_are_listed_and_ended(world, receiver):
    made = topic(world)
    path = f"/notification-topics/{made['topic_id']}/subscriptions"
    first = subscribe(world, made, "http", receiver.url)
    second = subscribe(world, made, "email", "anna@example.com", confirm=False)
    again = {"protocol": "http", "endpoint": receiver.url}
    world.rest.post(path, json=again).must_be(400, "IOTDA.026011")
    listed = world.rest.get(path).must_be(200).json
    assert listed["subscriptions"] == [second, first] and listed["page"]["count"] == 2
    assert world.rest.get(f"{path}/{first['subscription_id']}").must_be(200).json == first
    world.rest.delete(f"{path}/{first['subscription_id']}").must_be(204)
    world.rest.get(f"{path}/{first['subscription_id']}").must_be(404, "IOTDA.026010")
    assert publish(world, made, "nobody")["subscribers"] == 0


@pytest.mark.parametrize("protocol, endpoint", [
    ("email", "nobody"), ("email", "a@b\r\nBcc: c@d"), ("http", "ftp://x/"), ("https", "http://x/"), ("sms", "call me"),
    ("pigeon", "x"), ("http", "http://user@host/"),
])
def test_endpoints_that_cannot_be_reached_are_refused(world, protocol, endpoint):
    path = f"/notification-topics/{topic(world)['topic_id']}/subscriptions"
    world.rest.post(path, json={"protocol": protocol, "endpoint": endpoint}).must_be(400, "IOTDA.000006")


def test_mails_and_short_messages_need_a_server(platform_factory):
    world = World(platform_factory({"push.allow_private": "false"}).start())
    path = f"/notification-topics/{topic(world)['topic_id']}/subscriptions"
    for protocol, endpoint, hint in [("email", "a@example.com", "mail.server"), ("sms", "112", "sms.gateway_url"),
                                     ("http", "http://127.0.0.1/", "push.allow_private")]:
        answer = world.rest.post(path, json={"protocol": protocol, "endpoint": endpoint}).must_be(400, "IOTDA.000006")
        assert hint in answer.text
    world.close()


# --- telling --------------------------------------------------------------------------------------------------------------

def test_http_subscribers_get_the_message_in_the_form_of_smn(world, receiver):
    made = topic(world)
    subscribe(world, made, "http", receiver.url)
    told = publish(world, made, "above 8 °C", subject="Cold room")
    assert told["subscribers"] == 1
    [push] = arrived(receiver)
    assert push.pop("timestamp").endswith("Z")
    assert push == {"type": "Notification", "message_id": told["message_id"], "topic_urn": made["topic_urn"],
                    "topic_name": made["name"], "subject": "Cold room", "message": "above 8 °C"}


def test_a_subscriber_that_refuses_is_told_again_and_holds_nobody_up(world, receiver):
    made, other = topic(world), PushReceiver()
    subscribe(world, made, "http", receiver.url)
    subscribe(world, made, "http", other.url)
    receiver.refuse_next = 2
    publish(world, made, "x")
    arrived(other)
    assert len(arrived(receiver)) == 1 and len(receiver.refused) == 2
    other.close()


def test_mails_go_over_starttls_with_a_password(world, mail):
    made = topic(world, display_name="Cold room 冷库")
    subscribe(world, made, "email", "anna@example.com")
    before = len(mail.mails)
    told = publish(world, made, "Above 8 °C.\nClose the valve.", subject="Alarm: too warm 报警")
    letter = mail.wait(before + 1)[-1]
    assert mail.recipients[-1] == "anna@example.com"
    assert letter["Subject"] == "Alarm: too warm 报警" and letter["To"] == "anna@example.com"
    assert letter["From"].addresses[0].addr_spec == "causeway@example.com"
    assert letter["From"].addresses[0].display_name == "Cold room 冷库"
    assert letter["Message-ID"] == f"<{told['message_id']}@example.com>"
    assert letter.get_content().replace("\r\n", "\n").strip() == "Above 8 °C.\nClose the valve."


def test_a_refused_mailbox_holds_no_other_up(world, mail):
    made = topic(world)
    mail.unknown.add("gone@example.com")
    subscribe(world, made, "email", "gone@example.com")
    subscribe(world, made, "email", "bert@example.com")
    before = len(mail.mails)
    publish(world, made, "x", subject="a\r\nBcc: c@example.com")
    letter = mail.wait(before + 1)[-1]
    assert mail.recipients[-1] == "bert@example.com" and letter["Bcc"] is None
    assert letter["Subject"].split() == ["a", "Bcc:", "c@example.com"]


def test_short_messages_go_through_the_gateway(world, gateway):
    made = topic(world)
    subscribe(world, made, "sms", "+8613800138000")
    told = publish(world, made, "too warm")
    wait_for(lambda: gateway.accepted, seconds=20)
    assert gateway.accepted[-1] == {"to": "+8613800138000", "text": "too warm", "message_id": told["message_id"]}


def test_nothing_is_lost_when_the_platform_is_killed(platform_factory, receiver):
    platform = platform_factory({"push.retry": "200ms"}).start()
    world = World(platform)
    made = topic(world)
    subscribe(world, made, "http", receiver.url)
    receiver.refuse_next = 1_000_000
    ids = [publish(world, made, f"{n}")["message_id"] for n in range(20)]
    platform.kill()
    receiver.refuse_next = 0
    platform.start()
    wait_for(lambda: {p["message_id"] for p in receiver.accepted} >= set(ids), seconds=30)
    world.after_restart()
    world.close()


# --- confirming -----------------------------------------------------------------------------------------------------------

def test_a_subscriber_confirms_by_the_link(platform_factory, receiver):
    platform = platform_factory({"notify.public_url": "http://placeholder"}).start()
    world = World(platform)
    made = topic(world)
    found = subscribe(world, made, "http", receiver.url, confirm=False)
    [push] = arrived(receiver)
    assert push["type"] == "SubscriptionConfirmation" and push["subscribe_url"] in push["message"]
    assert publish(world, made, "too early")["subscribers"] == 0
    link = push["subscribe_url"].replace("http://placeholder", world.platform.url("http"))
    with urllib.request.urlopen(link) as answer:
        assert answer.status == 200
    world.rest.get("//notifications/confirm", query={"token": "0" * 32}, signed=False).must_be(404, "IOTDA.026010")
    path = f"/notification-topics/{made['topic_id']}/subscriptions/{found['subscription_id']}"
    assert world.rest.get(path).must_be(200).json["status"] == "CONFIRMED"
    assert publish(world, made, "now")["subscribers"] == 1
    assert arrived(receiver, 2)[-1]["message"] == "now"
    world.close()
