"""DMS_KAFKA_FORWARDING, MRS_KAFKA_FORWARDING and ROMA_FORWARDING: to tansu, behind a door that signs in with SASL and TLS,
and to librdkafka's cluster of several brokers."""

import pytest
from confluent_kafka import Producer

from rig.authority import Authority
from rig.batch import Batch
from rig.deadline import wait_for
from rig.forwarded import Rule, must_be_kept_out, refused_action, report, seqs
from rig.kafka_broker import Broker, SaslDoor, records, value_of
from rig.world import World, fresh_name

USER = {"iot": "s3cret-word"}


@pytest.fixture
def start():
    made = []

    def keep(thing):
        made.append(thing)
        return thing

    yield keep
    for thing in reversed(made):
        thing.stop() if hasattr(thing, "stop") else thing.close()


@pytest.fixture
def broker(start, tmp_path):
    return start(Broker(tmp_path)).start()


def at(*ports, host="ip"):
    return [{host: "127.0.0.1" if host == "ip" else "localhost", "port": port} for port in ports]


def behind_sasl(start, tmp_path, tls=None) -> SaslDoor:
    door = start(SaslDoor(USER, *((tls.cert, tls.key) if tls else ())))
    broker = start(Broker(tmp_path, advertised=door.port)).start()
    door.broker_port = broker.port
    return door


def reading(mechanism="PLAIN", protocol="SASL_PLAINTEXT", **more) -> dict:
    return {"security.protocol": protocol, "sasl.mechanism": mechanism, "sasl.username": "iot", "sasl.password": "s3cret-word", **more}


def test_devices_keep_their_order_in_one_partition(world, start, broker):
    topic = fresh_name("events")
    broker.create(topic, 5)
    start(Rule(world, "MRS_KAFKA_FORWARDING", {"addresses": at(broker.port), "topic": topic, "kerberos_authentication": False}))
    devices = [world.device() for _ in range(4)]
    for device in devices:
        report(device, range(1, 51))
    found = records(broker.port, topic, 200)
    for device in devices:
        own = [record for record in found if record.key().decode() == device.device_id]
        assert len({record.partition() for record in own}) == 1
        assert seqs([value_of(record) for record in own]) == list(range(1, 51))


def test_partitions_are_those_of_other_producers(world, start, broker):
    topic = fresh_name("events")
    broker.create(topic, 7)
    start(Rule(world, "DMS_KAFKA_FORWARDING", {"addresses": at(broker.port), "topic": topic}))
    device = world.device()
    report(device, [1])
    [ours] = records(broker.port, topic, 1)
    # The partitioner of Kafka's own (Java) clients.
    other = Producer({"bootstrap.servers": f"127.0.0.1:{broker.port}", "partitioner": "murmur2"})
    told = []
    other.produce(topic, b"{}", key=device.device_id, on_delivery=lambda _error, record: told.append(record.partition()))
    other.flush(20)
    assert told == [ours.partition()]


def test_events_of_no_device_have_no_key(world, start, broker):
    topic = fresh_name("events")
    start(Rule(world, "DMS_KAFKA_FORWARDING", {"addresses": at(broker.port), "topic": topic}, resource="batchtask", event="update"))
    task = Batch(world).create("freezeDevices", targets=[world.device().device_id])
    record = records(broker.port, topic, 1)[0]
    assert record.key() is None and record.partition() == 0
    assert task.task_id in record.value().decode()


@pytest.mark.parametrize("mechanism, shown", [("PLAIN", "PLAIN"), ("PAAS", "PLAIN"), ("SCRAM-SHA-512", "SCRAM-SHA-512")])
def test_signing_in(world, start, tmp_path, mechanism, shown):
    door = behind_sasl(start, tmp_path)
    rule = start(Rule(world, "DMS_KAFKA_FORWARDING", {
        "addresses": at(door.port), "topic": "events", "username": "iot", "password": "s3cret-word",
        "mechanism": mechanism, "security_protocol": "SASL_PLAINTEXT"}))
    assert "password" not in rule.action["channel_detail"]["dms_kafka_forwarding"]
    device = world.device()
    report(device, range(1, 11))
    found = records(door.port, "events", 10, **reading(shown))
    assert seqs([value_of(record) for record in found]) == list(range(1, 11))
    assert (shown, "iot") in door.signed_in


def test_roma_signs_in_with_plain(world, start, tmp_path):
    door = behind_sasl(start, tmp_path)
    start(Rule(world, "ROMA_FORWARDING", {"addresses": at(door.port), "topic": "events", "username": "iot", "password": "s3cret-word"}))
    report(world.device(), [1])
    records(door.port, "events", 1, **reading())
    assert door.signed_in[0] == ("PLAIN", "iot")


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_wrong_credentials_are_told_without_them(own_world, start, tmp_path, mechanism):
    door = behind_sasl(start, tmp_path)
    detail = {"addresses": at(door.port), "topic": "events", "username": "iot", "password": "wrong-word",
              "mechanism": mechanism, "security_protocol": "SASL_PLAINTEXT"}
    start(Rule(own_world, "DMS_KAFKA_FORWARDING", detail))
    report(own_world.device(), [1])
    wait_for(lambda: "refused user name and password" in own_world.platform.log(), 20, "the failure in the log")
    assert "wrong-word" not in own_world.platform.log()
    assert not door.signed_in


def test_tls(own_world, start, tmp_path):
    authority = Authority(tmp_path)
    own = authority.issue("/CN=localhost", extensions=("subjectAltName=DNS:localhost,IP:127.0.0.1",))
    door = behind_sasl(start, tmp_path, tls=own)
    detail = {"addresses": at(door.port, host="domain"), "topic": "events", "username": "iot", "password": "s3cret-word",
              "mechanism": "SCRAM-SHA-512", "security_protocol": "SASL_SSL"}
    start(Rule(own_world, "DMS_KAFKA_FORWARDING", detail))
    report(own_world.device(), [1])
    wait_for(lambda: "no TLS session with localhost" in own_world.platform.log(), 20, "the refused certificate in the log")
    assert not door.signed_in
    start(Rule(own_world, "DMS_KAFKA_FORWARDING", {**detail, "ca_certificate": authority.pem}))
    report(own_world.device(), [2])
    found = records(door.port, "events", 1, **reading(protocol="SASL_SSL", **{"ssl.ca.location": str(authority.own.cert)}))
    assert seqs([value_of(record) for record in found]) == [2]


def test_nothing_is_lost_while_the_broker_is_away(world, start, tmp_path):
    first = start(Broker(tmp_path)).start()
    start(Rule(world, "MRS_KAFKA_FORWARDING", {"addresses": at(first.port), "topic": "events"}))
    device = world.device()
    report(device, range(1, 11))
    assert seqs([value_of(record) for record in records(first.port, "events", 10)]) == list(range(1, 11))
    first.stop()
    report(device, range(11, 31))
    # The same address, and nothing of what was there: the platform finds its way again.
    start(Broker(tmp_path, port=first.port)).start()
    found = records(first.port, "events", 20, seconds=60)
    assert seqs([value_of(record) for record in found]) == list(range(11, 31))


def test_a_cluster_of_several_brokers(world, start):
    cluster = Producer({"bootstrap.servers": "unused:1", "test.mock.num.brokers": 3})
    ports = [broker.port for broker in cluster.list_topics(timeout=20).brokers.values()]
    # One that does not answer stands first.
    start(Rule(world, "MRS_KAFKA_FORWARDING", {"addresses": [{"ip": "127.0.0.1", "port": 1}, *at(ports[0])], "topic": "events"}))
    devices = [world.device() for _ in range(6)]
    for device in devices:
        report(device, range(1, 21))
    found = records(ports[1], "events", 120)
    for device in devices:
        own = [value_of(record) for record in found if record.key().decode() == device.device_id]
        assert seqs(own) == list(range(1, 21))
    assert len({record.partition() for record in found}) > 1


def test_the_own_network_is_not_entered(platform_factory, start, broker):
    careful = start(World(platform_factory({"push.allow_private": "false"}).start()))
    detail = {"addresses": [{"domain": "HOST", "port": broker.port}], "topic": "events"}
    must_be_kept_out(careful, "MRS_KAFKA_FORWARDING", detail, "HOST")


def test_refusals(world):
    for channel, more, word in [
            ("MRS_KAFKA_FORWARDING", {"kerberos_authentication": True}, "kerberos_authentication"),
            ("DMS_KAFKA_FORWARDING", {"username": "u"}, "password"),
            ("DMS_KAFKA_FORWARDING", {"username": "u", "password": "p", "mechanism": "GSSAPI"}, "mechanism"),
            ("ROMA_FORWARDING", {"username": "u"}, "roma_forwarding")]:
        answer = refused_action(world, channel, {"addresses": at(9092), "topic": "a", **more}).must_be(400)
        assert f"'{word}'" in answer.json["error_msg"], answer.text
