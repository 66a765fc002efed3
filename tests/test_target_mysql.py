"""Forwarding to tables of MariaDB (MYSQL_FORWARDING)."""

import pytest

from rig.authority import Authority
from rig.deadline import wait_for
from rig.forwarding import Forwarding, action_body
from rig.mariadb_server import MariadbServer
from rig.world import fresh_name

PROPERTIES = "notify_data.body.services[0].properties"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def maria(authority):
    tls = authority.issue("/CN=localhost", extensions=("subjectAltName=DNS:localhost,IP:127.0.0.1",))
    server = MariadbServer(tls)
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture
def device(world):
    return world.device()


@pytest.fixture
def forwarding(world):
    made = Forwarding(world)
    yield made
    made.close()


@pytest.fixture
def table(maria):
    name = fresh_name("t")
    maria.sql(f"create table `{name}` (device varchar(64), at datetime(3), value int, note varchar(5) not null default '-', "
              f"is_on tinyint, words varchar(8), whole json, `odd ``name` double)")
    return name


def rows(maria, table, columns, count, seconds=20):
    def look():
        found = maria.sql(f"select {columns} from `{table}`")
        assert len(found) >= count, found
        return found

    return wait_for(look, seconds, f"{count} rows")


def test_each_column_gets_its_value(world, device, maria, table, forwarding):
    forwarding.start("MYSQL_FORWARDING", maria.forwarding(table, {
        "device": "notify_data.header.device_id", "at": "event_time_ms", "value": f"{PROPERTIES}.value",
        "is_on": f"{PROPERTIES}.on", "words": f"{PROPERTIES}.on", "whole": "notify_data.body", "odd `name": f"{PROPERTIES}.ratio"}))
    device.connect().report(value=21, ratio=0.25, on=True)
    [row] = rows(maria, table, "device, value, is_on, words, json_value(whole, '$.services[0].properties.ratio'), `odd ``name`, "
                 "abs(timestampdiff(second, at, utc_timestamp())) < 60", 1)
    assert row == [device.device_id, "21", "1", "true", "0.25", "0.25", "1"]


def test_output_of_a_selection(world, device, maria, table, forwarding):
    forwarding.start("MYSQL_FORWARDING", maria.forwarding(table, {"device": "notify_data.header.device_id", "words": "words"}),
                     resource="device.message", select="notify_data.header.device_id, notify_data.body.content AS words")
    device.connect().send("sys/messages/up", "Grüße")
    assert rows(maria, table, "device, words", 1) == [[device.device_id, "Grüße"]]


def test_a_row_that_is_refused_does_not_stop_the_others(world, device, maria, table, forwarding):
    action_id = forwarding.start("MYSQL_FORWARDING", maria.forwarding(table, {
        "value": f"{PROPERTIES}.value", "note": f"{PROPERTIES}.note"}))
    link = device.connect()
    for number in range(1, 31):
        # Six characters are one too many; without a note the column has no value and must not be NULL.
        link.report(value=number, **({} if number % 10 == 0 else {"note": "toolong" if number % 7 == 0 else "ok"}))
    expected = [[str(n)] for n in range(1, 31) if n % 7 and n % 10]
    assert rows(maria, table, "value", len(expected)) == expected
    forwarding.wait_counters(action_id, written=30, delivered=len(expected), rejected=30 - len(expected))


def test_rows_wait_for_a_server_that_is_away(own_world, maria, table):
    forwarding = Forwarding(own_world)
    device = own_world.device()
    forwarding.start("MYSQL_FORWARDING", maria.forwarding(table, {"value": f"{PROPERTIES}.value"}))
    link = device.connect()
    link.report(value=1)
    rows(maria, table, "value", 1)
    maria.stop()
    try:
        for number in range(2, 6):
            link.report(value=number)
        own_world.platform.kill()
        own_world.platform.start()
    finally:
        maria.start()
    assert rows(maria, table, "value", 5, seconds=60) == [[str(n)] for n in range(1, 6)]


def test_over_tls(world, device, maria, table, forwarding, authority):
    detail = maria.forwarding(table, {"value": f"{PROPERTIES}.value"}, enable_ssl=True, ca_certificate=authority.own.pem)
    maria.sql(f"create user if not exists secure@'%' identified by '{maria.password}' require ssl; "
              f"grant all on {maria.database}.* to secure@'%'")
    forwarding.start("MYSQL_FORWARDING", detail | {"username": "secure"})
    device.connect().report(value=3)
    assert rows(maria, table, "value", 1) == [["3"]]


def test_the_connectivity_test_says_what_is_wrong(world, maria, table, forwarding, tmp_path):
    detail = maria.forwarding(table, {"value": "value"})
    stranger = Authority(tmp_path).own.pem
    for change, reason, word in (({}, None, ""), ({"password": "wrong"}, "refused", "Access denied"),
                                 ({"table_name": "nope"}, "refused", "nope"), ({"address": {"ip": "127.0.0.1", "port": 1}}, "unreachable", "refused"),
                                 ({"enable_ssl": True, "ca_certificate": stranger}, "unreachable", "UnknownIssuer")):
        found = forwarding.test(forwarding.start("MYSQL_FORWARDING", detail | change), {"value": 1})
        assert (found["success"], found.get("reason")) == (reason is None, reason), found
        assert word in (found.get("detail") or ""), found
    rejected = forwarding.test(forwarding.start("MYSQL_FORWARDING", detail), {"value": "many"})
    assert rejected["reason"] == "rejected" and "many" in rejected["detail"], rejected
    assert maria.sql(f"select value from `{table}`") == [["1"]]
    assert maria.password not in world.platform.log_path.read_text()


def test_the_password_is_not_shown_and_mistakes_are_named(world, maria, table, forwarding):
    action_id = forwarding.start("MYSQL_FORWARDING", maria.forwarding(table, {"value": "x"}))
    shown = world.rest.get(f"/routing-rule/actions/{action_id}").must_be(200)
    assert "password" not in shown.json["channel_detail"]["mysql_forwarding"] and maria.password not in shown.text
    for field, wrong in (("table_name", ""), ("column_mappings", []), ("address", {"port": 1}), ("username", None)):
        detail = maria.forwarding(table, {"value": "x"}) | {field: wrong}
        answer = world.rest.post("/routing-rule/actions",
                                 json=action_body(forwarding.rules[0], "MYSQL_FORWARDING", detail)).must_be(400)
        assert "mysql_forwarding" in answer.json["error_msg"], answer.text
