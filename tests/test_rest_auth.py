"""Who may call the application interface: signatures of both schemes, tokens (H1)."""

import pytest
from huaweicloudsdkiotda.v5 import ListDevicesRequest

from rig import request_signing
from rig.application import DERIVED, PLAIN, refused, sdk_client
from rig.rest import Rest

UNAUTHORISED = "IOTDA.000002"
SCHEMES = [request_signing.SDK_SCHEME, request_signing.DERIVED_SCHEME]


@pytest.fixture(params=SCHEMES)
def caller(platform, request) -> Rest:
    return Rest(platform, scheme=request.param)


def test_signatures_of_this_suite_agree_with_the_sdk():
    """The vector was computed with the vendor's SDK."""
    headers = {"content-type": "application/json", "host": "127.0.0.1:8080", "user-agent": "ua/1", "x-project-id": "p1",
               "x-sdk-date": "20260102T030405Z"}
    made = [request_signing.authorization(
        scheme, "AKEXAMPLE", "SKEXAMPLE", "POST", "/v5/iot/p1/tags/query-resources", [("limit", "5"), ("offset", "0")],
        headers, b'{"resource_type": "device"}').rpartition("=")[2] for scheme in SCHEMES]
    assert made == ["18c6dc4aabd50a9db4074bbb32b14591d7cf45ff1ea1834e366d78ab10c03f32",
                    "3beec02d871a1ed1400f7eaec90342cb21b53cafde5a6f0d66b18202fa08cba7"]


# --- the SDK ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("door", ["http", "https"])
@pytest.mark.parametrize("signature", [PLAIN, DERIVED])
def test_sdk(platform, signature, door):
    answer = sdk_client(platform, signature, door).list_devices(ListDevicesRequest(limit=1))
    assert answer.status_code == 200


@pytest.mark.parametrize("signature", [PLAIN, DERIVED])
@pytest.mark.parametrize("change", [{"sk": "wrong-secret-key"}, {"ak": "UNKNOWNACCESSKEY"}])
def test_sdk_with_a_wrong_key(platform, signature, change):
    with refused(401, UNAUTHORISED):
        sdk_client(platform, signature, **change).list_devices(ListDevicesRequest())


@pytest.mark.parametrize("signature", [PLAIN, DERIVED])
def test_sdk_with_names_that_need_encoding(world, platform, signature):
    client = sdk_client(platform, signature)
    for name in ("a b", "a+b", "a/b", "ä", "温度", "a%20b", "a=b&c", "~", "*", "'"):
        assert client.list_devices(ListDevicesRequest(device_name=name)).devices == []


# --- signatures by hand -----------------------------------------------------------------------------------------------

def test_signed_call(caller):
    caller.get("/devices", query={"limit": 1, "offset": 0}).must_be(200)


def test_unsigned_call(caller):
    caller.get("/devices", signed=False).must_be(401, UNAUTHORISED)


def test_wrong_secret_key(caller):
    caller.sk += "x"
    caller.get("/devices").must_be(401, UNAUTHORISED)


def test_unknown_access_key(caller):
    caller.ak = "UNKNOWNACCESSKEY"
    caller.get("/devices").must_be(401, UNAUTHORISED)


@pytest.mark.parametrize("minutes", [-20, 20, -60 * 24 * 365])
def test_stale_date(caller, minutes):
    caller.date_offset_ms = minutes * 60_000
    caller.get("/devices").must_be(401, UNAUTHORISED)


@pytest.mark.parametrize("minutes", [-10, 10])
def test_date_a_little_off(caller, minutes):
    caller.date_offset_ms = minutes * 60_000
    caller.get("/devices").must_be(200)


def tampered(caller, monkeypatch, change):
    """Lets `change` alter what is sent after the signature was made."""
    send = caller.session.request

    def request(method, url, **more):
        method, url, more = change(method, url, more)
        return send(method, url, **more)

    monkeypatch.setattr(caller.session, "request", request)


def test_body_changed_on_the_way(caller, monkeypatch):
    tampered(caller, monkeypatch, lambda method, url, more: (method, url, more | {"data": b'{"app_name":"evil"}'}))
    caller.post("/apps", json={"app_name": "good"}).must_be(401, UNAUTHORISED)


def test_query_changed_on_the_way(caller, monkeypatch):
    tampered(caller, monkeypatch, lambda method, url, more: (method, url.replace("limit=1", "limit=2"), more))
    caller.get("/devices", query={"limit": 1}).must_be(401, UNAUTHORISED)


def test_path_changed_on_the_way(caller, monkeypatch):
    tampered(caller, monkeypatch, lambda method, url, more: (method, url.replace("/devices", "/products"), more))
    caller.get("/devices").must_be(401, UNAUTHORISED)


def test_method_changed_on_the_way(caller, monkeypatch):
    tampered(caller, monkeypatch, lambda method, url, more: ("DELETE", url, more))
    caller.get("/devices/nobody_nowhere").must_be(401, UNAUTHORISED)


def test_signed_header_changed_on_the_way(caller, monkeypatch):
    tampered(caller, monkeypatch, lambda method, url, more: (
        method, url, more | {"headers": more["headers"] | {"Content-Type": "text/plain"}}))
    caller.get("/devices").must_be(401, UNAUTHORISED)


@pytest.mark.parametrize("value", [
    "", "Bearer x", "SDK-HMAC-SHA256", "SDK-HMAC-SHA256 Access=",
    "SDK-HMAC-SHA256 Access=a, SignedHeaders=, Signature=",
    "SDK-HMAC-SHA256 Access=a, SignedHeaders=host;x-sdk-date, Signature=" + "0" * 64,
    "SDK-HMAC-SM3 Access=a, SignedHeaders=host, Signature=00",
    "V11-HMAC-SHA256 Credential=a, SignedHeaders=host, Signature=00",
    "V11-HMAC-SHA256 Credential=a/b/c/d, SignedHeaders=x, Signature=zz",
])
def test_malformed_authorization(platform, value):
    Rest(platform).call("GET", "/devices", signed=False, headers={"Authorization": value}).must_be(401, UNAUTHORISED)


def test_another_project(caller):
    caller.project_id = "0123456789abcdef0123456789abcdef"
    answer = caller.get("/devices")
    assert answer.status in (401, 403), answer
    assert set(answer.json) >= {"error_code", "error_msg"}


def test_project_header_that_contradicts_the_path(platform):
    caller = Rest(platform).with_token()
    caller.project_id = "0123456789abcdef0123456789abcdef"
    assert caller.get("/devices").status in (401, 403)


def test_secrets_are_not_in_errors(caller):
    sk = caller.sk
    caller.sk += "x"
    assert sk not in caller.get("/devices").text


# --- tokens -----------------------------------------------------------------------------------------------------------

def test_token(platform):
    answer = Rest(platform).request_token().must_be(201)
    token = answer.headers["X-Subject-Token"]
    assert len(token) >= 32
    assert answer.json["token"]["expires_at"]
    assert answer.json["token"]["project"]["id"] == platform.project_id
    caller = Rest(platform)
    caller.token = token
    caller.get("/devices").must_be(200)


def test_token_for_a_project_by_name(platform):
    project = Rest(platform).request_token().must_be(201).json["token"]["project"]
    Rest(platform).request_token(scope={"project": {"name": project["name"]}}).must_be(201)


def test_token_over_tls(platform):
    Rest(platform, door="https").with_token().get("/devices").must_be(200)


@pytest.mark.parametrize("change", [{"password": "wrong"}, {"user": "nobody"}])
def test_token_with_wrong_credentials(platform, change):
    answer = Rest(platform).request_token(**change)
    assert answer.status == 401
    assert "X-Subject-Token" not in answer.headers


@pytest.mark.parametrize("body", [{}, {"auth": {}}, {"auth": {"identity": {"methods": ["password"]}}}, [], 7,
                                  {"auth": {"identity": {"methods": ["magic"], "magic": {}}}}], ids=str)
def test_malformed_token_request(platform, body):
    answer = Rest(platform).call("POST", "//v3/auth/tokens", json=body, signed=False)
    assert answer.status in (400, 401), answer


@pytest.mark.parametrize("token", ["made-up", "", "x" * 5000])
def test_invalid_token(platform, token):
    caller = Rest(platform)
    caller.token = token
    caller.get("/devices").must_be(401, UNAUTHORISED)


def test_token_lasts_a_day(own_world):
    caller = own_world.rest.with_token()
    own_world.rest.advance_clock(86_000_000)
    caller.get("/devices").must_be(200)
    own_world.rest.advance_clock(500_000)
    caller.get("/devices").must_be(401, UNAUTHORISED)


def test_tokens_survive_a_restart(own_world):
    caller = own_world.rest.with_token()
    own_world.platform.restart_after_kill()
    caller.get("/devices").must_be(200)


def test_clock_cannot_be_moved_by_strangers(platform):
    answer = Rest(platform).call("POST", "//debug/clock", json={"advance_ms": 1}, signed=False)
    assert answer.status == 401


def test_clock_does_not_exist_unless_it_is_movable(platform_factory):
    fixed = platform_factory({"clock.movable": "false"}).start()
    try:
        assert Rest(fixed).call("POST", "//debug/clock", json={"advance_ms": 1}).status == 404
    finally:
        fixed.close()


# --- form of requests and errors --------------------------------------------------------------------------------------

def test_unknown_path(world):
    assert world.rest.get("/unheard-of").status == 404


def test_request_id_header(world):
    answer = world.rest.get("/devices/nobody_nowhere").must_be(404)
    assert answer.headers["X-Request-Id"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"{}"])
def test_bad_json_is_400(world, body):
    world.rest.call("POST", "/products", body=body).must_be(400)


def test_media_type_is_compared_without_its_parameters(world):
    world.rest.call("POST", "/products", body=b"{}", content_type="application/json;charset=UTF-8").must_be(400, "IOTDA.000006")


def test_huge_body_is_refused(world):
    answer = world.rest.call("POST", "/products", body=b'{"name":"' + b"x" * (20 << 20) + b'"}')
    assert 400 <= answer.status < 500
