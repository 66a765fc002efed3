"""Forwarding to tables of PostgreSQL (POSTGRESQL_FORWARDING)."""

import os
import subprocess
from urllib.parse import urlsplit

import pytest

from rig.authority import Authority
from rig.deadline import wait_for
from rig.forwarding import Forwarding
from rig.postgres_cluster import PostgresCluster

PROPERTIES = "notify_data.body.services[0].properties"


class Database:
    def __init__(self, cluster: PostgresCluster):
        self.cluster, self.url = cluster, urlsplit(cluster.create_database())
        self.name = self.url.path[1:]

    def sql(self, sql: str) -> list[list[str]]:
        done = subprocess.run(
            [str(self.cluster.bin / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p",
             str(self.url.port), "-U", self.url.username, "-d", self.name, "-c", sql],
            env={**os.environ, "PGPASSWORD": self.url.password}, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return [line.split("|") for line in done.stdout.splitlines()]

    def forwarding(self, table: str, mappings: dict, **more) -> dict:
        return {"address": {"ip": "127.0.0.1", "port": self.url.port}, "db_name": self.name, "username": self.url.username,
                "password": self.url.password, "table_name": table,
                "column_mappings": [{"column_name": c, "json_key": k} for c, k in mappings.items()], **more}

    def rows(self, sql: str, count: int, seconds=20) -> list[list[str]]:
        def look():
            found = self.sql(sql)
            assert len(found) >= count, found
            return found

        return wait_for(look, seconds, f"{count} rows")


@pytest.fixture(scope="module")
def cluster():
    made = PostgresCluster()
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def database(cluster):
    return Database(cluster)


@pytest.fixture
def device(world):
    return world.device()


@pytest.fixture
def forwarding(world):
    made = Forwarding(world)
    yield made
    made.close()


def test_each_column_gets_its_value(world, device, database, forwarding):
    database.sql("create type mode as enum ('heat', 'cool'); create schema plant; "
                 'create table plant."My Table" (device text, at timestamptz, value int, ratio numeric(4, 2), is_on boolean, '
                 "on_number smallint, mode mode, labels jsonb, whole jsonb, missing text)")
    forwarding.start("POSTGRESQL_FORWARDING", database.forwarding("plant.My Table", {
        "device": "notify_data.header.device_id", "at": "event_time", "value": f"{PROPERTIES}.value",
        "ratio": f"{PROPERTIES}.ratio", "is_on": f"{PROPERTIES}.on", "on_number": f"{PROPERTIES}.on",
        "mode": f"{PROPERTIES}.mode", "labels": f"{PROPERTIES}.labels", "whole": "notify_data.body", "missing": "no.such"}))
    device.connect().report(value=21, ratio=0.25, on=True, mode="cool", labels=["a", "b"])
    [row] = database.rows("select device, value, ratio, is_on, on_number, mode, labels->>1, "
                          "whole #>> '{services,0,service_id}', missing is null, abs(extract(epoch from now() - at)) < 60 "
                          'from plant."My Table"', 1)
    assert row == [device.device_id, "21", "0.25", "t", "1", "cool", "b", "Temperature", "t", "t"]


def test_a_row_that_is_refused_does_not_stop_the_others(world, device, database, forwarding):
    database.sql("create table t (value int check (value <> 13), note varchar(5) not null)")
    action_id = forwarding.start("POSTGRESQL_FORWARDING", database.forwarding("t", {
        "value": f"{PROPERTIES}.value", "note": f"{PROPERTIES}.note"}))
    link = device.connect()
    for number in range(1, 31):
        link.report(value=number, **({} if number % 10 == 0 else {"note": "toolong" if number % 7 == 0 else "ok"}))
    expected = [[str(n)] for n in range(1, 31) if n % 7 and n % 10 and n != 13]
    assert database.rows("select value from t", len(expected)) == expected
    forwarding.wait_counters(action_id, written=30, delivered=len(expected), rejected=30 - len(expected))


def test_events_wait_for_their_table(world, device, database, forwarding):
    action_id = forwarding.start("POSTGRESQL_FORWARDING", database.forwarding("later", {"value": f"{PROPERTIES}.value"}))
    link = device.connect()
    for number in range(1, 4):
        link.report(value=number)
    forwarding.wait_counters(action_id, written=3, waiting=3)
    database.sql("create table later (value int)")
    assert database.rows("select value from later", 3, seconds=60) == [["1"], ["2"], ["3"]]
    assert database.url.password not in world.platform.log_path.read_text()


def test_the_connectivity_test_says_what_is_wrong(database, forwarding):
    database.sql("create table t (value int)")
    detail = database.forwarding("t", {"value": "value"})
    for change, reason, word in (({}, None, ""), ({"password": "wrong"}, "refused", "authentication failed"),
                                 ({"table_name": "nope"}, "refused", "nope"), ({"sslmode": "verify-full"}, "unreachable", "TLS")):
        found = forwarding.test(forwarding.start("POSTGRESQL_FORWARDING", detail | change), {"value": 1})
        assert (found["success"], found.get("reason")) == (reason is None, reason), found
        assert word in (found.get("detail") or ""), found
    assert database.sql("select value from t") == [["1"]]


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    """A cluster that speaks TLS, and the authority that vouches for it."""
    authority = Authority(tmp_path_factory.mktemp("authority"))
    made = PostgresCluster(authority.issue("/CN=localhost", extensions=("subjectAltName=DNS:localhost",)))
    try:
        yield made.start(), authority
    finally:
        made.stop()


def test_over_tls(world, device, secure, forwarding, tmp_path):
    cluster, authority = secure
    database = Database(cluster)
    database.sql("create table t (value int)")
    detail = database.forwarding("t", {"value": f"{PROPERTIES}.value"}, sslmode="verify-full", ca_certificate=authority.own.pem)
    forwarding.start("POSTGRESQL_FORWARDING", detail | {"address": {"domain": "localhost", "port": database.url.port}})
    device.connect().report(value=4)
    assert database.rows("select value from t", 1) == [["4"]]
    # The certificate is not of this name, or of another authority.
    for change in ({}, {"address": {"domain": "localhost", "port": database.url.port}, "ca_certificate": Authority(tmp_path).own.pem}):
        found = forwarding.test(forwarding.start("POSTGRESQL_FORWARDING", detail | change), {"value": 1})
        assert found.get("reason") == "unreachable" and "certificate" in found["detail"], found
