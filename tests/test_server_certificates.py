"""Server certificates (`iotda-v5-api.md`, server certificates)."""

import re

import pytest

from rig.application import refused
from rig.authority import Authority, openssl
from rig.world import World


@pytest.fixture(scope="module")
def own(platform_factory):
    platform = platform_factory().start()
    yield platform
    platform.close()


@pytest.fixture
def server(own):
    """A platform without server certificates."""
    made = World(own)
    yield made
    for certificate in made.app.list_server_certificates(limit=50).server_certificates:
        made.app.delete_server_certificate(certificate.server_certificate_id)
    made.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def add(world, certificate, **fields):
    return world.app.add_server_certificate(**{
        "certificate_pem": certificate.pem, "private_key": certificate.key.read_text(), **fields})


def refuse(world, certificate, words, **fields):
    with refused(400, "IOTDA.016301") as caught:
        add(world, certificate, **fields)
    assert words in caught.value.error_msg, caught.value.error_msg
    assert world.app.list_server_certificates().page.count == 0


@pytest.mark.parametrize("key", ["ec", "ec384", "rsa", "ed25519"])
def test_a_certificate_is_kept(server, authority, key):
    certificate = authority.issue("iot.example.com", key=key)
    made = add(server, certificate)
    assert (made.common_name, made.certificate_owner) == ("iot.example.com", "CN=iot.example.com")
    assert made.certificate_issuer == f"CN={authority.name}, O=Makers, C=CN"
    assert all(re.fullmatch(r"\d{8}T\d{6}Z", date) for date in (made.effective_date, made.expiry_date))
    shown = server.app.show_server_certificate(made.server_certificate_id)
    assert (shown.certificate_pem, shown.common_name) == (certificate.pem, "iot.example.com")
    listed = server.app.list_server_certificates()
    assert ([c.server_certificate_id for c in listed.server_certificates], listed.page.count) == (
        [made.server_certificate_id], 1)


def test_the_key_is_shown_nowhere_and_stands_sealed(server, authority, own):
    certificate = authority.issue("secret.example.com")
    made = add(server, certificate)
    answer = server.rest.get(f"/server-certificates/{made.server_certificate_id}")
    assert "PRIVATE" not in answer.text and "private_key" not in answer.text
    from base64 import b64decode

    text = certificate.key.read_text().split("-----")[2]
    raw = b64decode(text)[-60:-20]
    for file in (own.folder / "data").rglob("*"):
        if file.is_file():
            assert raw not in file.read_bytes(), file


def test_a_chain_is_kept_whole(server, authority, tmp_path):
    middle = Authority(tmp_path, above=authority)
    certificate = middle.issue("iot.example.com")
    chain = certificate.pem + middle.pem + authority.pem
    made = add(server, certificate, certificate_pem=chain)
    assert server.app.show_server_certificate(made.server_certificate_id).certificate_pem == chain
    server.app.delete_server_certificate(made.server_certificate_id)
    refuse(server, certificate, "then the one that signed it", certificate_pem=certificate.pem + authority.pem)
    refuse(server, certificate, "authority", certificate_pem=middle.pem + authority.pem)


@pytest.mark.parametrize("cipher", [
    ["-v2", "aes-256-cbc"], ["-v2", "aes-128-cbc", "-iter", "100000"], ["-scrypt"], ["-v2", "des3"]])
def test_a_key_with_a_password(server, authority, tmp_path, cipher):
    certificate = authority.issue("iot.example.com")
    sealed = tmp_path / "sealed.key"
    openssl("pkcs8", "-topk8", *cipher, "-in", certificate.key, "-passout", "pass:open sesame", "-out", sealed)
    assert "ENCRYPTED" in sealed.read_text()
    refuse(server, certificate, "private_key_password", private_key=sealed.read_text())
    refuse(server, certificate, "does not open", private_key=sealed.read_text(), private_key_password="wrong")
    add(server, certificate, private_key=sealed.read_text(), private_key_password="open sesame")


def test_a_key_that_would_take_for_ever_is_refused(server, authority, tmp_path):
    certificate = authority.issue("iot.example.com")
    sealed = tmp_path / "sealed.key"
    openssl("pkcs8", "-topk8", "-v2", "aes-256-cbc", "-iter", "2000000", "-in", certificate.key, "-passout", "pass:x",
            "-out", sealed)
    refuse(server, certificate, "rounds", private_key=sealed.read_text(), private_key_password="x")


def test_a_key_encrypted_in_the_old_way_is_refused(server, authority, tmp_path):
    certificate = authority.issue("iot.example.com", key="rsa")
    sealed = tmp_path / "sealed.key"
    openssl("rsa", "-aes128", "-traditional", "-in", certificate.key, "-passout", "pass:x", "-out", sealed)
    refuse(server, certificate, "pkcs8 -topk8", private_key=sealed.read_text(), private_key_password="x")


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_keys_of_their_own_forms(server, authority, tmp_path, kind):
    certificate = authority.issue("iot.example.com", key=kind)
    plain = tmp_path / "plain.key"
    openssl(kind, "-in", certificate.key, "-out", plain, *(["-traditional"] if kind == "rsa" else []))
    assert f"BEGIN {kind.upper()} PRIVATE KEY" in plain.read_text()
    add(server, certificate, private_key=plain.read_text())


def test_a_key_of_another_certificate_is_refused(server, authority):
    other = authority.issue("other.example.com")
    refuse(server, authority.issue("iot.example.com"), "belong together", private_key=other.key.read_text())


@pytest.mark.parametrize("field, value, words", [
    ("certificate_pem", "hello", "PEM certificates"), ("private_key", "hello", "private_key"),
    ("certificate_pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "X.509"),
    ("private_key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "private_key"),
    ("private_key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "private_key")])
def test_what_is_none_is_refused(server, authority, field, value, words):
    refuse(server, authority.issue("iot.example.com"), words, private_key_password="x", **{field: value})


def test_the_same_certificate_twice_is_refused(server, authority):
    certificate = authority.issue("iot.example.com")
    add(server, certificate)
    with refused(400, "IOTDA.016303"):
        add(server, certificate)


def test_the_limit(server, authority):
    made = [add(server, authority.issue(f"{i}.example.com")) for i in range(2)]
    third = authority.issue("2.example.com")
    with refused(403, "IOTDA.016302"):
        add(server, third)
    server.app.delete_server_certificate(made[0].server_certificate_id)
    add(server, third)
    names = [c.common_name for c in server.app.list_server_certificates().server_certificates]
    assert names == ["2.example.com", "1.example.com"]
    first = server.app.list_server_certificates(limit=1)
    rest = server.app.list_server_certificates(limit=1, marker=first.page.marker)
    assert [c.common_name for c in rest.server_certificates] == ["1.example.com"]


@pytest.mark.parametrize("body", [{}, {"certificate_pem": "x"}, {"private_key": "x"}, {"certificate_pem": 1}])
def test_missing_fields_are_refused(server, body):
    server.rest.post("/server-certificates", json=body).must_be(400, "IOTDA.000006")


def test_an_unknown_certificate(server):
    for call in (server.app.show_server_certificate, server.app.delete_server_certificate):
        with refused(404, "IOTDA.016300"):
            call("nothing")
