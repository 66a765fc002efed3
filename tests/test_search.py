"""Device search with the vendor's SQL: answers compared with a plain evaluation, and everything that is refused."""

import random

import pytest
from huaweicloudsdkiotda.v5 import model as sdk

from rig.application import refused
from rig.world import World, fresh_name

BAD = "IOTDA.015200"
TIME = "create_time"


class Fleet:
    """Some 200 devices in two spaces that differ in all that can be asked for, as the platform shows them."""

    def __init__(self, world: World):
        self.world, app, dice = world, world.app, random.Random(11)
        spaces = [world.platform.ready["default_app_id"], app.add_app("second").app_id]
        products = [(space, world.product(app_id=space, name=f"p{n}")) for space in spaces for n in range(2)]
        gateways = {space: [] for space in spaces}
        names = ["room", "room-1", "Room-12", "厨房温度计1", "厨房温度计22", "it's, -- no", "100%_sure"]
        ids = []
        for _ in range(200):
            space, product_id = dice.choice(products)
            fields = {"app_id": space}
            if dice.random() < 0.7:
                fields["device_name"] = dice.choice(names)
            if gateways[space] and dice.random() < 0.4:
                fields["gateway_id"] = dice.choice(gateways[space])
            device = world.device(product_id, **fields)
            if "gateway_id" not in fields and len(gateways[space]) < 5:
                gateways[space].append(device.device_id)
            tags = {key: dice.choice(["1", "2", "east", "east-2"]) for key in ("floor", "floor-2", "楼层") if dice.random() < 0.4}
            if tags:
                app.tag(device.device_id, **tags)
            if "gateway_id" not in fields and dice.random() < 0.1:
                app.freeze(device.device_id)
            ids.append(device.device_id)
        groups = [app.add_group(f"g{n}", app_id=spaces[n % 2]).group_id for n in range(3)]
        shown = {device_id: app.show_device(device_id) for device_id in ids}
        self.members = {group: set() for group in groups}
        for device_id, device in shown.items():
            for n, group in enumerate(groups):
                if device.app_id == spaces[n % 2] and dice.random() < 0.3:
                    app.group_action(group, "addDevice", device_id)
                    self.members[group].add(device_id)
        rule = "tag_key = 'floor' and tag_value like 'east%' or device_name = 'room'"
        group = app.add_group("dynamic", app_id=spaces[1], group_type="DYNAMIC", dynamic_group_rule=rule).group_id
        markers = {d.device_id: d.marker for d in self.everything("device_id, marker")}
        self.rows = []
        for device_id, device in shown.items():
            self.rows.append({
                "app_id": device.app_id, "device_id": device_id, "gateway_id": device.gateway_id, "product_id": device.product_id,
                "device_name": device.device_name, "node_id": device.node_id, "status": device.status,
                "node_type": device.node_type, "sw_version": device.sw_version, "fw_version": device.fw_version,
                "marker": markers[device_id], TIME: None, "tags": {tag.tag_key: tag.tag_value for tag in device.tags}})
        self.members[group] = {
            row["device_id"] for row in self.rows if row["app_id"] == spaces[1] and (
                row["tags"].get("floor", "").startswith("east") or row["device_name"] == "room")}
        assert self.members[group]

    def everything(self, fields: str):
        found = []
        for offset in range(0, 200, 50):
            found += self.world.app.search(f"select {fields} from device order by marker asc limit {offset},50").devices
        return found


@pytest.fixture(scope="module")
def fleet(platform_factory):
    platform = platform_factory().start()
    world = World(platform)
    yield Fleet(world)
    world.close()
    platform.close()


def quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def make_condition(fleet: Fleet, dice: random.Random):
    """A condition as SQL, and as a function of a row; tags stand as (field, test of a text)."""
    row, other = dice.choice(fleet.rows), dice.choice(fleet.rows)
    fields = ["app_id", "device_id", "gateway_id", "product_id", "device_name", "node_id", "status", "node_type", "sw_version",
              "fw_version", "marker", "group_id", "tag_key", "tag_value"]
    field = dice.choice(fields)
    if field in ("tag_key", "tag_value"):
        words = ["floor", "floor-2", "楼层", "nope"] if field == "tag_key" else ["1", "2", "east", "east-2"]
        word, operator = dice.choice(words), dice.choice(["=", "!=", "like"])
        if operator == "like" and len(word) >= 4:
            return f"{field} like '{word[:4]}%'", (field, lambda text: text.startswith(word[:4]), False)
        operator = "=" if operator == "like" else operator
        return f"{field} {operator} {quoted(word)}", (field, lambda text: text == word, operator == "!=")
    if field == "group_id":
        groups = dice.sample(sorted(fleet.members) + ["nope"], dice.choice([1, 1, 2]))
        within = dice.random() < 0.6
        members = set().union(*(fleet.members.get(group, set()) for group in groups))
        test = lambda row: (row["device_id"] in members) == within
        if len(groups) == 1:
            return f"group_id {'=' if within else '!='} '{groups[0]}'", test
        return f"group_id {'in' if within else 'not in'} ({', '.join(map(quoted, groups))})", test
    value = row[field] if row[field] is not None else "v1"
    choices = ["=", "!=", "in", "not in"]
    if field == "marker":
        choices += [">", "<"] * 2
    if field in ("device_name", "node_id"):
        choices += ["like"] * 2
    operator = dice.choice(choices)
    if operator == "like":
        start = value[:5] if all(c.isalnum() or c in "_-" for c in value[:5]) else "room"
        start = start if len(start) >= 4 else "room"
        return f"{field} like '{start}%'", lambda row: row[field] is not None and row[field].startswith(start)
    if operator in ("in", "not in"):
        values = [value, other[field] if other[field] is not None else "v2"]
        sql = f"{field} {operator} ({', '.join(map(quoted, values))})"
        return sql, lambda row: (row[field] in values) == (operator == "in")
    compare = {"=": lambda x: x == value, "!=": lambda x: x != value, ">": lambda x: x is not None and x > value,
               "<": lambda x: x is not None and x < value}[operator]
    return f"{field} {operator} {quoted(value)}", lambda row: compare(row[field])


def holds(conditions, row) -> bool:
    """One alternative: a key and a value right beside each other speak of one tag."""
    conditions = list(conditions)
    tags = row["tags"]
    while conditions:
        test = conditions.pop(0)
        if callable(test):
            if not test(row):
                return False
            continue
        field, matches, negated = test
        follows = conditions[0] if conditions and not callable(conditions[0]) and conditions[0][0] != field else None
        if follows:
            conditions.pop(0)
            (_, key, no_key), (_, value, no_value) = (test, follows) if field == "tag_key" else (follows, test)
            if not any(key(k) != no_key and value(v) != no_value for k, v in tags.items()):
                return False
        elif any(map(matches, tags if field == "tag_key" else tags.values())) == negated:
            return False
    return True


@pytest.mark.parametrize("seed", range(6))
def test_answers_agree_with_a_plain_evaluation(fleet, seed):
    dice = random.Random(seed)
    asked = 0
    while asked < 25:
        parts, alternatives = [], [[]]
        for n in range(dice.choice([1, 2, 2, 3, 4, 5])):
            sql, test = make_condition(fleet, dice)
            if n:
                word = dice.choice(["and", "AND", "or"])
                parts.append(word)
                if word == "or":
                    alternatives.append([])
            parts.append(sql)
            alternatives[-1].append(test)
        where = " ".join(parts)
        if len(where) > 300:
            continue
        asked += 1
        expected = [row["device_id"] for row in sorted(fleet.rows, key=lambda row: row["marker"])
                    if any(holds(all_of, row) for all_of in alternatives)]
        search = fleet.world.app.search
        assert search(f"select count(*) from device where {where}").count == len(expected), where
        found = []
        for offset in range(0, len(expected) + 1, 50):
            found += search(f"select device_id from device where {where} order by marker asc limit {offset},50").devices
        assert [hit.device_id for hit in found] == expected, where
        newest = search(f"select device_id from device where {where}").devices
        assert [hit.device_id for hit in newest] == expected[::-1][:10], where


def test_create_time(fleet):
    search = fleet.world.app.search
    assert search("select count(*) from device where create_time > '2020-01-01T00:00:00.000Z'").count == 200
    assert search("select count(*) from device where create_time < '2020-01-01T00:00:00.000Z'").count == 0


def test_a_count_comes_alone(fleet):
    for what in ("count(*)", "count(1)", "COUNT( * )"):
        answer = fleet.world.rest.post("/search/query-devices", json={"sql": f"select {what} from device"}).must_be(200)
        assert answer.json == {"count": 200}


def test_every_field_is_shown(fleet):
    row = next(row for row in fleet.rows if row["tags"] and row["device_name"])
    answer = fleet.world.app.search(f"select * from device where device_id = '{row['device_id']}'")
    assert answer.count is None
    [hit] = answer.devices
    shown = fleet.world.app.show_device(row["device_id"])
    for field in ("app_id", "app_name", "device_id", "node_id", "gateway_id", "device_name", "node_type", "product_id",
                  "product_name", "status"):
        assert getattr(hit, field) == getattr(shown, field), field
    assert {tag["tag_key"]: tag["tag_value"] for tag in hit.tags} == row["tags"]
    assert hit.marker == row["marker"] and hit.modules == []
    groups = {group for group, members in fleet.members.items() if row["device_id"] in members}
    assert {group["group_id"] for group in hit.groups} == groups


def test_only_the_fields_asked_for_are_shown(fleet):
    answer = fleet.world.rest.post("/search/query-devices", json={"sql": "select status, marker from device limit 1"})
    assert [sorted(device) for device in answer.must_be(200).json["devices"]] == [["marker", "status"]]


def test_pages_by_marker(fleet):
    search = fleet.world.app.search
    seen, where = [], ""
    while True:
        page = search(f"select marker from device {where} order by marker desc limit 50").devices
        if not page:
            break
        seen += [hit.marker for hit in page]
        where = f"where marker < '{page[-1].marker}'"
    assert seen == sorted((row["marker"] for row in fleet.rows), reverse=True)


@pytest.mark.parametrize("sql", [
    "", ";", "select", "drop table device", "select * from device; drop table device", "select * from device;",
    "select * from device where device_id = 'x' or 1=1", "select * from device where device_id = '' or ''=''",
    "select * from device where device_id = 'x'' or 1=1 --'x", "select * from device where device_id = 'x' -- ",
    "select * from device where device_id = 'x", "select * from device where device_id = x'", "select * from device where 'a' = 'a'",
    "select * from device where device_id = \"x\"", "select * from device where device_id = `x`", "select * from app",
    "select * from device d", "select device_id as d from device", "select * from device, product",
    "select * from device join product on device.product_id = product.product_id", "select secret from device",
    "select * from device union select * from user", "select * from (select * from device)",
    "select * from device where device_id in (select id from device)", "select * from device where (device_id = 'x')",
    "select * from device where ((((((((((device_id = 'x'))))))))))", "select * from device where " + "(" * 370,
    "select * from device where device_name = null", "select * from device where device_name is null",
    "select * from device where device_name = ''", "select * from device where device_name = 5",
    "select * from device where device_name like '%room%'", "select * from device where device_name like 'roo%'",
    "select * from device where device_name like 'room'", "select * from device where status like 'ONLI%'",
    "select * from device where status = 'online'", "select * from device where device_id > 'a'",
    "select * from device where create_time > 'now'", "select * from device where create_time >= '2020-01-01T00:00:00.000Z'",
    "select * from device where marker = '1'", "select * from device where tag_key in ('a')",
    "select * from device where not device_id = 'x'", "select * from device where device_id between 'a' and 'b'",
    "select * from device where device_id = 'a\x00b'", "select * from device where ｄevice_id = 'x'",
    "select * from device group by product_id", "select * from device having count(*) > 1",
    "select * from device order by device_id", "select * from device order by marker nulls last",
    "select * from device limit 0", "select * from device limit 51", "select * from device limit 501,1",
    "select * from device limit -1", "select * from device limit 1 offset 1", "select * from device limit 1;",
    "select sleep(10) from device", "select count(device_id) from device", "select *, count(*) from device",
    "select * from device where device_id = 'x' /* hidden */", "select * from device where device_id = $1",
    "select * from device where device_id = ?", "select * from device where device_id = x'6162'",
    "SELECT * FROM DEVICE", "select * from device where DEVICE_ID = 'x'", "select * from device where device_id = 'x' and",
    "select * from device where device_id = " + quoted("x" * 400),
    "select * from device where " + " or ".join(["status='ONLINE'"] * 6),
], ids=lambda sql: sql[:60].encode("ascii", "replace").decode().replace("\x00", "?") or "empty")
def test_what_is_not_listed_is_refused_with_its_place(fleet, sql):
    answer = fleet.world.rest.post("/search/query-devices", json={"sql": sql}).must_be(400, BAD)
    assert "at character" in answer.json["error_msg"]


@pytest.mark.parametrize("value", ["'; drop table device; --", "' or '1'='1", "%", "\\", "\\'", "温度😀", "$1 ?1 :a @b", "\t"])
def test_values_are_nothing_but_values(fleet, value):
    answer = fleet.world.app.search(f"select count(*) from device where device_name = {quoted(value)}")
    assert answer.count == 0
    assert fleet.world.app.search("select count(*) from device").count == 200


def test_five_conditions_are_enough(fleet):
    where = " or ".join(["status='INACTIVE'"] * 5)
    assert fleet.world.app.search(f"select count(*) from device where {where}").count > 0


def test_the_body_must_hold_the_sql(fleet):
    for body in ({}, {"sql": None}, {"sql": 5}, {"sql": ["x"]}):
        fleet.world.rest.post("/search/query-devices", json=body).must_be(400, "IOTDA.000006")


def test_a_refusal_through_the_sdk(fleet):
    with refused(400, BAD) as caught:
        fleet.world.app.client.search_devices(sdk.SearchDevicesRequest(body=sdk.SearchSql(sql="select * from device where a='b'")))
    assert "at character 28" in caught.value.error_msg


def test_limits_and_rate_are_keys(platform_factory):
    settings = {"search.max_length": "60", "search.max_conditions": "1", "search.rate": "1"}
    platform = platform_factory(settings).start()
    world = World(platform)
    try:
        answers = [world.rest.post("/search/query-devices", json={"sql": "select * from device"}).status for _ in range(8)]
        assert answers[0] == 200 and 403 in answers
        last = world.rest.post("/search/query-devices", json={"sql": "select * from device"})
        if last.status != 200:
            last.must_be(403, "IOTDA.021101")
    finally:
        world.close()
        platform.close()
    for sql in ("select * from device where status='ONLINE' or status='OFFLINE'", "select * from device where device_id='" + "x" * 30 + "'"):
        platform = platform_factory({"search.max_length": "65", "search.max_conditions": "1"}).start()
        World(platform).rest.post("/search/query-devices", json={"sql": sql}).must_be(400, BAD)
        platform.close()
