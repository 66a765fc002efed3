"""NATS_FORWARDING to a real nats-server: subjects, signing in, TLS, JetStream with acknowledgements and de-duplication."""

import json

import pytest

from rig.authority import Authority
from rig.deadline import wait_for
from rig.forwarded import Rule, must_be_kept_out, refused_action, report, seqs
from rig.nats_server import Listener, NatsServer
from rig.world import World


@pytest.fixture
def start(tmp_path):
    """Makes servers, listeners and rules that end with the test."""
    made = []

    def keep(thing):
        made.append(thing)
        return thing

    yield keep
    for thing in reversed(made):
        thing.stop() if hasattr(thing, "stop") else thing.close()


def detail(server, subject, **more):
    return {"addresses": [{"ip": "127.0.0.1", "port": server.port}], "subject": subject, **more}


def test_events_go_to_the_subject_of_their_device(world, start, tmp_path):
    server = start(NatsServer(tmp_path).start())
    listener = start(Listener(server, "iot.>"))
    start(Rule(world, "NATS_FORWARDING", detail(server, "iot.{product_id}.{device_id}")))
    devices = [world.device() for _ in range(2)]
    for device in devices:
        report(device, range(1, 21))
    messages = listener.wait(40)
    for device in devices:
        own = [event for subject, event in messages if subject == f"iot.{device.product_id}.{device.device_id}"]
        assert seqs(own) == list(range(1, 21))


def test_user_and_password(world, start, tmp_path):
    server = start(NatsServer(tmp_path, 'authorization { user: "iot", password: "s3cret-word" }').start())
    listener = start(Listener(server, "a", user="iot", password="s3cret-word"))
    rule = start(Rule(world, "NATS_FORWARDING", detail(server, "a", username="iot", password="s3cret-word")))
    assert "password" not in rule.action["channel_detail"]["nats_forwarding"]
    report(world.device(), [1])
    assert seqs([event for _, event in listener.wait(1)]) == [1]


def test_a_wrong_token_is_told_without_it(own_world, start, tmp_path):
    server = start(NatsServer(tmp_path, 'authorization { token: "right-token" }').start())
    listener = start(Listener(server, "a", token="right-token"))
    start(Rule(own_world, "NATS_FORWARDING", detail(server, "a", token="wrong-token")))
    report(own_world.device(), [1])
    wait_for(lambda: "user name, password or token are wrong" in own_world.platform.log(), 20, "the failure in the log")
    assert "wrong-token" not in own_world.platform.log()
    start(Rule(own_world, "NATS_FORWARDING", detail(server, "a", token="right-token")))
    report(own_world.device(), [2])
    assert seqs([event for _, event in listener.wait(1)]) == [2]


def test_tls(world, start, tmp_path):
    authority = Authority(tmp_path)
    own = authority.issue("/CN=localhost", extensions=("subjectAltName=DNS:localhost",))
    server = start(NatsServer(tmp_path, f'tls {{ cert_file: "{own.cert}", key_file: "{own.key}" }}').start())
    context = own.context(authority.own.cert)
    listener = start(Listener(server, "a", tls=context, tls_hostname="localhost"))
    to = {"addresses": [{"domain": "localhost", "port": server.port}], "subject": "a"}
    start(Rule(world, "NATS_FORWARDING", {**to, "ca_certificate": authority.pem}))
    report(world.device(), [1])
    assert seqs([event for _, event in listener.wait(1)]) == [1]
    start(Rule(world, "NATS_FORWARDING", to))
    report(world.device(), [2])
    listener.wait(2)
    wait_for(lambda: "no TLS session with localhost" in world.platform.log(), 20, "the refused certificate in the log")
    assert len(listener.messages) == 2


def test_a_stream_keeps_every_event_once(own_world, start, tmp_path):
    server = start(NatsServer(tmp_path).start())
    keeper = start(Listener(server))
    keeper.add_stream("EVENTS", "kept.>")
    start(Rule(own_world, "NATS_FORWARDING", detail(server, "kept.{device_id}", jetstream=True)))
    device = own_world.device()
    report(device, range(1, 51))
    wait_for(lambda: keeper.stream_count("EVENTS") >= 20, 30, "the first events in the stream")
    # The server goes and comes again on the same port, with what its streams keep.
    server.stop()
    report(device, range(51, 81))
    server.start()
    wait_for(lambda: keeper.client.is_connected and keeper.stream_count("EVENTS") >= 80, 60, "all events in the stream")
    # A platform that dies may send again what it sent: the ids are the same.
    own_world.platform.restart_after_kill()
    report(device, range(81, 91))
    wait_for(lambda: keeper.stream_count("EVENTS") >= 90, 60, "the last events in the stream")
    messages = keeper.stream_events("EVENTS")
    assert seqs([json.loads(message.data) for message in messages]) == list(range(1, 91))
    ids = [message.headers["Nats-Msg-Id"] for message in messages]
    assert len(set(ids)) == 90


def test_a_subject_that_no_stream_takes_waits_for_one(world, start, tmp_path):
    server = start(NatsServer(tmp_path).start())
    keeper = start(Listener(server))
    start(Rule(world, "NATS_FORWARDING", detail(server, "later.{device_id}", jetstream=True)))
    report(world.device(), [1, 2, 3])
    wait_for(lambda: "no stream takes the subject" in world.platform.log(), 20, "the failure in the log")
    keeper.add_stream("LATER", "later.>")
    wait_for(lambda: keeper.stream_count("LATER") == 3, 60, "what waited")


def test_refusals(world):
    address = [{"ip": "127.0.0.1"}]
    for detail, word in [({"addresses": [], "subject": "a"}, "addresses"), ({"addresses": address, "subject": "a.*"}, "subject"),
                         ({"addresses": address, "subject": "a", "username": "u"}, "password")]:
        answer = refused_action(world, "NATS_FORWARDING", detail).must_be(400)
        assert f"'{word}'" in answer.json["error_msg"], answer.text


def test_the_own_network_is_not_entered(platform_factory, start, tmp_path):
    server = start(NatsServer(tmp_path).start())
    listener = start(Listener(server, "a"))
    careful = start(World(platform_factory({"push.allow_private": "false"}).start()))
    detail = {"addresses": [{"domain": "HOST", "port": server.port}], "subject": "a"}
    must_be_kept_out(careful, "NATS_FORWARDING", detail, "HOST")
    assert not listener.messages
