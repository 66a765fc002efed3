"""Functions: JavaScript in the sandbox and HTTP addresses; limits, hostile scripts, permissions."""

import json
import threading
import time

import pytest

from rig import platform_times
from rig.deadline import wait_for
from rig.function_server import FunctionServer
from rig.identity import Identity, allow
from rig.rest import Rest
from rig.world import fresh_name

HALVE = "function handler(event, context) { return { half: event.value / 2, name: context.function_name } }"


def new(name=None, **fields):
    return {"name": fresh_name("f") if name is None else name, "type": "javascript", "source": HALVE} | fields


def create(rest, **fields) -> dict:
    return rest.post("/functions", json=new(**fields)).must_be(201).json


def invoke(rest, function_id, argument=None, status=200) -> dict:
    return rest.post(f"/functions/{function_id}/invoke", json={"argument": argument}).must_be(status).json


def run(world, source, argument=None, **fields) -> dict:
    """What becomes of a script: created, called once, deleted."""
    made = create(world.rest, source=source, **fields)
    found = invoke(world.rest, made["function_id"], argument)
    world.rest.delete(f"/functions/{made['function_id']}").must_be(204)
    return found


@pytest.fixture
def server():
    made = FunctionServer()
    yield made
    made.close()


# --- life ---------------------------------------------------------------------------------------------------------------


def test_life_of_a_function(world):
    rest, app_id = world.rest, world.platform.ready["default_app_id"]
    made = create(rest, name="life-of_1", description="halves")
    assert made["urn"] == f"urn:fss:causeway:{rest.project_id}:function:{app_id}:life-of_1:latest"
    assert {key: made[key] for key in ("name", "type", "app_type", "app_id", "description", "source", "timeout", "memory")} == {
        "name": "life-of_1", "type": "javascript", "app_type": "APP", "app_id": app_id, "description": "halves",
        "source": HALVE, "timeout": 3000, "memory": 16 << 20}
    assert platform_times.COMPACT.match(made["create_time"])
    path = f"/functions/{made['function_id']}"
    assert rest.get(path).must_be(200).json == made
    found = invoke(rest, made["function_id"], {"value": 5})
    assert found["result"] == {"half": 2.5, "name": "life-of_1"}
    assert (found["log"], found["log_cut"], "fault" in found) == ([], False, False)
    assert 0 < found["used_us"] < 3_000_000
    changed = rest.put(path, json={"source": "exports.handler = async (e) => [e]", "description": "", "timeout": 500,
                                   "memory": 4 << 20}).must_be(200).json
    assert ("description" in changed, changed["timeout"], changed["memory"]) == (False, 500, 4 << 20)
    assert changed["urn"] == made["urn"]
    assert invoke(rest, made["function_id"], "x")["result"] == ["x"]
    rest.delete(path).must_be(204)
    for answer in (rest.get(path), rest.delete(path), rest.put(path, json={}),
                   rest.post(f"{path}/invoke", json={})):
        answer.must_be(404, "IOTDA.028000")


def test_names_are_unique_in_their_space(world):
    rest, name = world.rest, fresh_name("same")
    other = rest.post("/apps", json={"app_name": fresh_name("space")}).must_be(201).json["app_id"]
    try:
        own = create(rest, name=name)
        rest.post("/functions", json=new(name)).must_be(400, "IOTDA.028001")
        there = create(rest, name=name, app_id=other)
        everywhere = create(rest, name=name, app_type="GLOBAL")
        assert len({own["urn"], there["urn"], everywhere["urn"]}) == 3
        assert everywhere["urn"].endswith(f":function:default:{name}:latest")
        assert ("app_id" in everywhere, everywhere["app_type"]) == (False, "GLOBAL")
        listed = rest.get("/functions", query={"name": name, "limit": 2}).must_be(200).json
        assert [f["function_id"] for f in listed["functions"]] == [everywhere["function_id"], there["function_id"]]
        assert listed["page"]["count"] == 3 and not any("source" in f for f in listed["functions"])
        rest_of_list = rest.get("/functions", query={"name": name, "marker": listed["page"]["marker"]}).json["functions"]
        assert [f["function_id"] for f in rest_of_list] == [own["function_id"]]
        of_space = rest.get("/functions", query={"app_id": other}).must_be(200).json["functions"]
        assert [f["function_id"] for f in of_space] == [there["function_id"]]
    finally:
        rest.delete(f"/apps/{other}").must_be(204)
    rest.get(f"/functions/{there['function_id']}").must_be(404)


@pytest.mark.parametrize(("fields", "word"), [
    ({"name": "a b"}, "name"), ({"name": "x" * 65}, "name"), ({"name": ""}, "name"),
    ({"type": "wasm"}, "type"), ({"source": None}, "source"), ({"source": "x" * 65_537}, "source"),
    ({"source": "ü" * 40_000}, "source"), ({"url": "http://127.0.0.1/"}, "url"), ({"timeout": 9}, "timeout"),
    ({"timeout": 15_001}, "timeout"), ({"timeout": "3"}, "timeout"), ({"memory": 1000}, "memory"),
    ({"memory": (64 << 20) + 1}, "memory"), ({"app_type": "GLOBAL", "app_id": "x"}, "app_id"),
    ({"description": "x" * 257}, "description"), ({"type": "http", "source": None, "url": "ftp://a/"}, "url"),
    ({"type": "http", "source": None, "url": "http://a/", "token": "a b"}, "token"), ({"type": "http"}, "url"),
])
def test_what_cannot_be_is_refused(world, fields, word):
    answer = world.rest.post("/functions", json={k: v for k, v in new(**fields).items() if v is not None}).must_be(400)
    assert word in answer.json["error_msg"], answer


@pytest.mark.parametrize(("source", "words"), [
    ("function handler() {\n\n  let = = 3\n}", ["SyntaxError", "line 3"]),
    ("function handler() {", ["SyntaxError", "line 1"]),
    ("\nnothing.there", ["ReferenceError", "line 2"]),
    ("function other() {}", ["no function 'handler'"]),
    ("while (true);", ["time limit of 3000 ms"]),
])
def test_scripts_are_checked_when_they_come(world, source, words):
    answer = world.rest.post("/functions", json=new(source=source)).must_be(400)
    assert all(word in answer.json["error_msg"] for word in words), answer
    made = create(world.rest)
    world.rest.put(f"/functions/{made['function_id']}", json={"source": source}).must_be(400)
    assert invoke(world.rest, made["function_id"], {"value": 1})["result"]["half"] == 0.5


def test_functions_survive_a_crash(own_world):
    made = create(own_world.rest)
    invoke(own_world.rest, made["function_id"], {"value": 1})
    own_world.platform.restart_after_kill()
    own_world.after_restart()
    assert own_world.rest.get(f"/functions/{made['function_id']}").must_be(200).json == made
    assert invoke(own_world.rest, made["function_id"], {"value": 4})["result"]["half"] == 2


def test_changes_are_in_the_audit_log(world):
    made = create(world.rest)
    invoke(world.rest, made["function_id"], {"value": 1})
    world.rest.delete(f"/functions/{made['function_id']}").must_be(204)
    query = {"resource_id": made["function_id"], "limit": 50}

    def events():
        found = world.rest.get("/audit-logs", query=query).must_be(200).json["audit_logs"]
        return found if len(found) == 3 else None

    found = wait_for(events, seconds=5, what="three records")
    assert [r["event_name"] for r in found] == ["deleteFunction", "invokeFunction", "createFunction"]
    assert {r["app_id"] for r in found} == {world.platform.ready["default_app_id"]}


# --- calls --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("source", "argument", "result"), [
    ("function handler(e) { return e }", {"t": "温度 \" \\ \u2028", "n": 12345678901.5, "b": [True, None]}, ...),
    ("function handler(e) { return e }", None, ...),
    ("const handler = (e) => e.map(x => x ** 2)", [1, 2, 3], [1, 4, 9]),
    ("function handler() {}", 1, None),
    ("exports.handler = async function (e) { return await Promise.all(e.map(async x => x + 1)) }", [1, 2], [2, 3]),
    ("function handler(e, c) { return [c.timeout, c.memory, typeof c.function_urn, c.app_id.length > 0] }", None,
     [3000, 16 << 20, "string", True]),
    ("function handler() { return [typeof fetch, typeof require, typeof process, typeof setTimeout, typeof std] }", None,
     ["undefined"] * 5),
    ("function handler() { try { return import('fs').then(() => 1, e => 'no') } catch (e) { return 'no' } }", None, "no"),
])
def test_results(world, source, argument, result):
    found = run(world, source, argument)
    assert "fault" not in found, found
    assert found.get("result") == (argument if result is ... else result)


@pytest.mark.parametrize(("body", "kind", "line", "text"), [
    ("throw new RangeError('too hot')", "thrown", 2, "RangeError: too hot"),
    ("event.a.b.c", "thrown", 2, "TypeError"),
    ("return new Promise(() => {})", "result", None, "nothing settles"),
    ("const a = {}; a.a = a; return a", "result", None, "circular"),
    ("return 'x'.repeat(1100000)", "result", None, "1048576"),
    ("while (true);", "time", None, "time limit of 300 ms"),
    ("const a = []; while (1) a.push(a.length)", "memory", None, "memory limit of 4096 kB"),
    ("return handler(event)", "thrown", 2, "stack"),
])
def test_faults_tell_kind_and_place(world, body, kind, line, text):
    found = run(world, f"function handler(event) {{\n  {body}\n}}", {}, timeout=300, memory=4 << 20)
    assert "result" not in found, found
    fault = found["fault"]
    assert (fault["kind"], text in fault["message"]) == (kind, True), fault
    assert line in (None, fault.get("line")), fault


def test_lines_that_are_logged_come_back(world):
    found = run(world, "function handler(e) { console.log('got', e, 1.5); console.error('x'); throw new Error('after') }", {"a": 1})
    assert (found["log"], found["fault"]["kind"]) == (['got {"a":1} 1.5', "x"], "thrown")
    found = run(world, "function handler() { for (let i = 0; i < 5000; i++) console.log('x'.repeat(1000)); return 1 }")
    assert (found["log_cut"], sum(map(len, found["log"])), found["result"]) == (True, 16 << 10, 1)


def test_nothing_is_left_between_calls(world):
    bad = create(world.rest, source="""
        Object.prototype.toJSON = function () { return 'mine' };
        Array.prototype.map = null; JSON.stringify = () => 'no'; globalThis.left = 1;
        function handler() { globalThis.count = (globalThis.count || 0) + 1; return count }""")
    good = create(world.rest, source="function handler(e) { return [typeof left, typeof count, e.map(x => x)] }")
    for _ in range(3):
        invoke(world.rest, bad["function_id"])
        assert invoke(world.rest, good["function_id"], [1])["result"] == ["undefined", "undefined", [1]]


# --- HTTP functions -----------------------------------------------------------------------------------------------------


def test_an_http_function(world, server):
    made = world.rest.post("/functions", json={"name": fresh_name("h"), "type": "http", "url": server.url,
                                               "token": "s3cret-token", "timeout": 500}).must_be(201)
    assert "s3cret-token" not in made.text
    assert (made.json["has_token"], made.json["url"], "source" in made.json, "memory" in made.json) == (True, server.url, False, False)
    function_id, path = made.json["function_id"], f"/functions/{made.json['function_id']}"
    assert invoke(world.rest, function_id, {"a": [1]})["result"] == {"ok": True}
    called, headers, body = server.calls[-1]
    assert (called, json.loads(body)) == ("/function?x=1", {"a": [1]})
    assert headers["Authorization"] == "Bearer s3cret-token"
    assert headers["Content-Type"].startswith("application/json")

    def fault(**state):
        for name, value in state.items():
            setattr(server, name, value)
        found = invoke(world.rest, function_id, 1)["fault"]
        server.status, server.answer, server.delay = 200, b"null", 0.0
        return found

    assert (fault(status=500)["kind"], "500" in fault(status=500)["message"]) == ("refused", True)
    assert fault(status=302)["kind"] == "refused"
    assert fault(answer=b"no json")["kind"] == "result"
    assert fault(answer=b'"' + b"x" * (1 << 20) + b'"')["kind"] == "result"
    assert fault(delay=2)["kind"] == "time"
    server.answer = b""
    assert "fault" not in invoke(world.rest, function_id, 1)
    # A token stays until another one comes, and does not follow to a new address.
    world.rest.put(path, json={"description": "x"}).must_be(200)
    invoke(world.rest, function_id)
    assert server.calls[-1][1]["Authorization"] == "Bearer s3cret-token"
    assert "token" in world.rest.put(path, json={"url": server.url + "2"}).must_be(400).json["error_msg"]
    world.rest.put(path, json={"token": "other"}).must_be(200)
    invoke(world.rest, function_id)
    assert server.calls[-1][1]["Authorization"] == "Bearer other"
    assert world.rest.put(path, json={"token": ""}).must_be(200).json["has_token"] is False
    invoke(world.rest, function_id)
    assert "Authorization" not in server.calls[-1][1]
    world.rest.put(path, json={"url": "http://127.0.0.1:9/"}).must_be(200)
    assert invoke(world.rest, function_id)["fault"]["kind"] == "unreachable"


def test_private_addresses_need_the_key(platform_factory, server):
    platform = platform_factory({"push.allow_private": "false"}).start()
    try:
        rest = Rest(platform)
        for url in (server.url, "http://localhost:1/", "http://10.0.0.1/", "http://[::1]/"):
            body = {"name": "f", "type": "http", "url": url}
            assert "allow_private" in rest.post("/functions", json=body).must_be(400).json["error_msg"]
        made = rest.post("/functions", json={"name": "f", "type": "http", "url": "http://localtest.invalid/"}).must_be(201).json
        assert invoke(rest, made["function_id"])["fault"]["kind"] in ("unreachable", "not_public")
        assert server.calls == []
    finally:
        platform.close()


# --- hostile scripts ----------------------------------------------------------------------------------------------------

HOSTILE = [
    "while (true);",
    "const a = []; while (1) a.push(a)",
    "return handler(event)",
    "return /^(([a-z])+.)+[A-Z]([a-z])+$/.test('a'.repeat(60))",
    "return { toJSON() { for (;;); } }",
    "return new Proxy({}, { ownKeys() { for (;;); } })",
    "return [].indexOf.call({ length: 2 ** 53 - 1 }, 1)",
    "const a = 'a'.repeat(600000); for (let i = 0; i < 9999; i++) a.indexOf('a'.repeat(300000) + 'b')",
    "let s = 'x'; while (1) s += s",
    "return JSON.parse('['.repeat(500000))",
    "throw { get message() { for (;;); }, toString() { for (;;); } }",
]


def test_hostile_scripts_do_not_hold_up_devices(world):
    """Scripts of one space run wild all the time; devices report, and another space's functions answer."""
    rest, receiver = world.rest, world.pushes()
    bad_space = rest.post("/apps", json={"app_name": fresh_name("bad")}).must_be(201).json["app_id"]
    bad = [create(rest, source=f"function handler(event) {{ {body} }}", app_id=bad_space, timeout=300, memory=4 << 20)
           for body in HOSTILE]
    good = create(rest)
    over, faults = threading.Event(), []

    def torment(mine):
        own = Rest(world.platform)
        while not over.is_set():
            for function in mine:
                faults.append(invoke(own, function["function_id"], {}).get("fault"))

    threads = [threading.Thread(target=torment, args=(bad[n::3],), daemon=True) for n in range(3)]
    for thread in threads:
        thread.start()
    try:
        device = world.device()
        link = device.connect()
        for number in range(1, 51):
            link.report("Battery", seq=number)
        receiver.wait("device.property", device.device_id, count=50, seconds=30)
        worst = 0.0
        for number in range(20):
            began = time.monotonic()
            assert invoke(rest, good["function_id"], {"value": number})["result"]["half"] == number / 2
            worst = max(worst, time.monotonic() - began)
        assert worst < 2, "a space waits for its own scripts only"
        wait_for(lambda: len(faults) >= len(HOSTILE), seconds=60, what="a round of hostile scripts")
    finally:
        over.set()
        for thread in threads:
            thread.join(30)
        rest.delete(f"/apps/{bad_space}").must_be(204)
    assert all(faults) and {fault["kind"] for fault in faults} >= {"time", "memory", "thrown"}


# --- forwarding rules ---------------------------------------------------------------------------------------------------


def rule(rest, urn, app_id=None, **fields) -> str:
    """A rule that sends property reports to a function; its id."""
    scope = {"app_type": "APP", "app_id": app_id} if app_id else {"app_type": "GLOBAL"}
    made = rest.post("/routing-rule/rules", json={
        "rule_name": fresh_name("rule"), "subject": {"resource": "device.property", "event": "report"}, **scope, **fields})
    rule_id = made.must_be(201).json["rule_id"]
    action(rest, rule_id, urn).must_be(201)
    rest.put(f"/routing-rule/rules/{rule_id}", json={"active": True}).must_be(200)
    return rule_id


def action(rest, rule_id, urn):
    return rest.post("/routing-rule/actions", json={
        "rule_id": rule_id, "channel": "FUNCTIONGRAPH_FORWARDING",
        "channel_detail": {"functiongraph_forwarding": {"func_urn": urn, "func_name": "f"}}})


def calls(world, kind, outcome) -> int:
    label = f'causeway_function_calls_total{{type="{kind}",outcome="{outcome}"}} '
    for line in world.rest.get("//metrics", signed=False).must_be(200).text.splitlines():
        if line.startswith(label):
            return int(float(line.removeprefix(label)))
    return 0


def test_a_rule_calls_an_http_function(own_world, server):
    made = own_world.rest.post("/functions", json={"name": "h", "type": "http", "url": server.url}).must_be(201).json
    rule(own_world.rest, made["urn"], made["app_id"])
    device = own_world.device()
    link = device.connect()
    for number in range(1, 21):
        link.report("Battery", seq=number)
    wait_for(lambda: len(server.calls) >= 20, seconds=20, what="twenty calls")
    events = [json.loads(body) for _, _, body in server.calls]
    assert [e["notify_data"]["body"]["services"][0]["properties"]["seq"] for e in events] == list(range(1, 21))
    assert {e["resource"] for e in events} == {"device.property"}


def test_a_fault_is_tried_again_until_the_function_is_mended(own_world):
    """Nothing is lost meanwhile, not even by a crash."""
    rest = own_world.rest
    made = create(rest, name="f", source="function handler(event) {\n  throw new Error('not yet') }")
    rule(rest, made["urn"])
    own_world.device().connect().report("Battery", seq=7)
    wait_for(lambda: calls(own_world, "javascript", "thrown") >= 2, seconds=30, what="a second try")
    log = own_world.platform.log()
    assert "not yet (line 2, column" in log
    own_world.platform.restart_after_kill()
    own_world.after_restart()
    rest = own_world.rest
    source = """function handler(event) {
        const seen = event.notify_data.body.services[0].properties.seq;
        if (seen !== 7) throw new Error('not mine');
    }"""
    rest.put(f"/functions/{made['function_id']}", json={"source": source}).must_be(200)
    wait_for(lambda: calls(own_world, "javascript", "done") == 1, seconds=70, what="the event that waited")


def test_rules_name_functions_of_their_space_and_of_the_instance(world):
    rest = world.rest
    space = rest.post("/apps", json={"app_name": fresh_name("space")}).must_be(201).json["app_id"]
    try:
        theirs, mine, everywhere = create(rest, app_id=space), create(rest), create(rest, app_type="GLOBAL")
        of_space = rest.post("/routing-rule/rules", json={
            "rule_name": fresh_name("rule"), "subject": {"resource": "device.property", "event": "report"},
            "app_type": "APP", "app_id": space}).must_be(201).json["rule_id"]
        for urn in (mine["urn"], "urn:fss:causeway:p:function:default:f:latest", theirs["urn"][:-7] + "x:latest"):
            action(rest, of_space, urn).must_be(404, "IOTDA.028000")
        action(rest, of_space, "f").must_be(400)
        made = action(rest, of_space, everywhere["urn"]).must_be(201).json["action_id"]
        body = {"channel": "FUNCTIONGRAPH_FORWARDING",
                "channel_detail": {"functiongraph_forwarding": {"func_urn": mine["urn"], "func_name": "f"}}}
        rest.put(f"/routing-rule/actions/{made}", json=body).must_be(404, "IOTDA.028000")
        action(rest, of_space, theirs["urn"]).must_be(201)
    finally:
        rest.delete(f"/apps/{space}").must_be(204)


# --- settings -----------------------------------------------------------------------------------------------------------


def test_the_operators_limits(platform_factory):
    settings = {"script.max_time": "200ms", "script.max_memory": "2MB", "script.max_functions": 3, "script.workers": 1,
                "script.queue": 1, "script.wait": "100ms"}
    platform = platform_factory(settings).start()
    try:
        rest = Rest(platform)
        assert "200" in rest.post("/functions", json=new(timeout=201)).must_be(400).json["error_msg"]
        assert "2097152" in rest.post("/functions", json=new(memory=(2 << 20) + 1)).must_be(400).json["error_msg"]
        made = create(rest)
        assert (made["timeout"], made["memory"]) == (200, 2 << 20)
        slow = create(rest, source="function handler() { while (true); }")
        # One runs, and there is no place to wait.
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(Rest(platform).post(
            f"/functions/{slow['function_id']}/invoke", json={}))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert {answer.status for answer in answers} == {200, 429}, answers
        create(rest)
        rest.post("/functions", json=new()).must_be(403, "IOTDA.028002")
        text = rest.get("//metrics", signed=False).must_be(200).text
        assert 'causeway_function_calls_total{type="javascript",outcome="time"}' in text
    finally:
        platform.close()


def test_two_workers_serve_two_spaces(platform_factory):
    """`script.workers`: with two, a space that waits for itself leaves one to the others; the queue has room."""
    platform = platform_factory({"script.workers": 2, "script.queue": 16}).start()
    try:
        rest = Rest(platform)
        slow = create(rest, source="function handler() { while (true); }", timeout=1000)
        good = create(rest, app_type="GLOBAL")
        invoke(rest, good["function_id"], {"value": 1})
        threads = [threading.Thread(target=lambda: Rest(platform).post(f"/functions/{slow['function_id']}/invoke", json={}))
                   for _ in range(4)]
        for thread in threads:
            thread.start()
        began = time.monotonic()
        for _ in range(5):
            invoke(rest, good["function_id"], {"value": 1})
        assert time.monotonic() - began < 1.5
        for thread in threads:
            thread.join(30)
    finally:
        platform.close()


# --- permission ---------------------------------------------------------------------------------------------------------


def test_who_may_do_what(world):
    rest = world.rest
    space = rest.post("/apps", json={"app_name": fresh_name("space")}).must_be(201).json["app_id"]
    identity = Identity(world.platform)
    try:
        theirs = create(rest, app_id=space)
        foreign, everywhere = create(rest), create(rest, app_type="GLOBAL")
        user = identity.person(allow("iotda:functions:*", apps=[space])).rest()
        assert [f["function_id"] for f in user.get("/functions").must_be(200).json["functions"]] == [theirs["function_id"]]
        assert invoke(user, theirs["function_id"], {"value": 2})["result"]["half"] == 1
        for hidden in (foreign, everywhere):
            path = f"/functions/{hidden['function_id']}"
            for answer in (user.get(path), user.put(path, json={"description": "x"}), user.delete(path),
                           user.post(f"{path}/invoke", json={})):
                answer.must_be(404, "IOTDA.028000")
        user.post("/functions", json=new(app_type="GLOBAL")).must_be(403)
        made = user.post("/functions", json=new()).must_be(201).json
        assert made["app_id"] == space
        caller = identity.person(allow("iotda:functions:invoke", apps=[space])).rest()
        assert invoke(caller, theirs["function_id"], {"value": 2})["result"]["half"] == 1
        caller.get(f"/functions/{theirs['function_id']}").must_be(403)
    finally:
        rest.delete(f"/apps/{space}").must_be(204)
