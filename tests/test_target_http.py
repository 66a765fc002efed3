"""HTTP_FORWARDING (002 §4.6.2): certificates that vouch for the host, names in certificate and handshake, signed pushes."""

import hashlib
import ssl

import pytest

from rig.authority import Authority, Certificate, openssl
from rig.deadline import wait_for
from rig.forwarded import Rule, must_be_kept_out, refused_action, report, seqs
from rig.push_receiver import PushReceiver
from rig.world import World


@pytest.fixture
def start():
    made = []

    def keep(thing):
        made.append(thing)
        return thing

    yield keep
    for thing in reversed(made):
        thing.close()


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def ca_id(world, authority):
    added = world.app.add_ca(authority.pem)
    yield added.certificate_id
    world.rest.delete(f"/certificates/{added.certificate_id}")


class Names:
    """Names that handshakes asked for."""

    def __init__(self, certificate: Certificate):
        self.asked: list[str | None] = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate.chain or certificate.cert, certificate.key)
        self.context.sni_callback = lambda _socket, name, _context: self.asked.append(name)


def secured(certificate: Certificate) -> tuple[PushReceiver, Names]:
    names = Names(certificate)
    return PushReceiver(names.context), names


def arrives(world, receiver, number: int) -> list[int]:
    device = world.device()
    report(device, [number])
    return seqs(receiver.wait("device.property", device.device_id, seconds=30))


def fails(world, detail, words: str, start):
    """A rule whose pushes fail for this reason, as the log of the platform tells."""
    start(Rule(world, "HTTP_FORWARDING", detail))
    report(world.device(), [1])
    wait_for(lambda: words in world.platform.log(), 30, f"'{words}' in the log")


def test_the_ca_of_the_action_vouches_for_the_host(world, start, authority, ca_id):
    receiver, _ = secured(authority.issue("/CN=whatever", extensions=("subjectAltName=IP:127.0.0.1",)))
    start(receiver)
    start(Rule(world, "HTTP_FORWARDING", {"url": receiver.url, "cert_id": ca_id}))
    assert arrives(world, receiver, 5) == [5]


def test_another_ca_does_not(own_world, start, authority, tmp_path):
    receiver, _ = secured(authority.issue("/CN=x", extensions=("subjectAltName=IP:127.0.0.1",)))
    start(receiver)
    other = own_world.app.add_ca(Authority(tmp_path).pem)
    fails(own_world, {"url": receiver.url, "cert_id": other.certificate_id}, "is not under the one that 'cert_id' names", start)
    assert not receiver.accepted


def test_the_system_does_not_vouch_for_an_unknown_ca(own_world, start, authority):
    receiver, _ = secured(authority.issue("/CN=x", extensions=("subjectAltName=IP:127.0.0.1",)))
    start(receiver)
    fails(own_world, {"url": receiver.url}, "cannot be reached", start)
    assert not receiver.accepted


def test_a_chain_and_another_name(own_world, start, authority, tmp_path):
    middle = Authority(tmp_path, above=authority)
    host = middle.issue("/CN=x", extensions=("subjectAltName=DNS:push.example",), chain=(middle,))
    receiver, names = secured(host)
    start(receiver)
    ca_id = own_world.app.add_ca(authority.pem).certificate_id
    fails(own_world, {"url": receiver.url, "cert_id": ca_id}, "its certificate is not for '127.0.0.1'", start)
    assert set(names.asked) == {None}
    start(Rule(own_world, "HTTP_FORWARDING", {"url": receiver.url, "cert_id": ca_id, "cn_name": "push.example:8443"}))
    assert arrives(own_world, receiver, 6) == [6]
    assert set(names.asked) == {None}
    start(Rule(own_world, "HTTP_FORWARDING", {
        "url": receiver.url, "cert_id": ca_id, "cn_name": "push.example", "sni_enable": True}))
    assert arrives(own_world, receiver, 7)[0] == 7
    wait_for(lambda: "push.example" in names.asked, 20, "a handshake that names the host")
    # The request itself names the host of the address.
    assert {headers["host"] for headers in receiver.headers} == {f"127.0.0.1:{receiver.port}"}


def test_no_name_in_the_handshake_on_demand(own_world, start, authority):
    receiver, names = secured(authority.issue("/CN=x", extensions=("subjectAltName=DNS:localhost",)))
    start(receiver)
    ca_id = own_world.app.add_ca(authority.pem).certificate_id
    url = f"https://localhost:{receiver.port}/push"
    start(Rule(own_world, "HTTP_FORWARDING", {"url": url, "cert_id": ca_id, "sni_enable": False}))
    assert arrives(own_world, receiver, 1) == [1]
    assert set(names.asked) == {None}
    start(Rule(own_world, "HTTP_FORWARDING", {"url": url, "cert_id": ca_id}))
    arrives(own_world, receiver, 2)
    wait_for(lambda: "localhost" in names.asked, 20, "a handshake that names the host")


def test_certificates_that_the_guide_makes(world, start, tmp_path):
    """002 §4.6.2, making a certificate for debugging: version 1, without alternative names."""
    ca_key, ca, key, cert = (tmp_path / name for name in ("ca.key", "ca.cer", "server.key", "server.cer"))
    openssl("genrsa", "-out", ca_key, "2048")
    openssl("req", "-new", "-key", ca_key, "-out", tmp_path / "ca.csr", "-subj", "/C=CN/ST=GD/L=SZ/O=Huawei/OU=IoT/CN=CA")
    openssl("x509", "-req", "-in", tmp_path / "ca.csr", "-out", ca, "-signkey", ca_key, "-days", "3650")
    openssl("genrsa", "-out", key, "2048")
    openssl("req", "-new", "-key", key, "-out", tmp_path / "s.csr", "-subj", "/C=CN/ST=GD/L=SZ/O=Huawei/OU=IoT/CN=localhost")
    openssl("x509", "-req", "-in", tmp_path / "s.csr", "-out", cert, "-sha256", "-CA", ca, "-CAkey", ca_key,
            "-CAcreateserial", "-days", "3650")
    receiver, _ = secured(Certificate(cert, key))
    start(receiver)
    added = world.app.add_ca(ca.read_text())
    url = f"https://localhost:{receiver.port}/push"
    start(Rule(world, "HTTP_FORWARDING", {"url": url, "cert_id": added.certificate_id}))
    assert arrives(world, receiver, 3) == [3]


def test_a_server_certificate_vouches_for_itself(own_world, start, authority):
    host = authority.issue("/CN=x", extensions=("subjectAltName=IP:127.0.0.1",))
    receiver, _ = secured(host)
    start(receiver)
    added = own_world.app.add_server_certificate(certificate_pem=host.pem, private_key=host.key.read_text())
    start(Rule(own_world, "HTTP_FORWARDING", {"url": receiver.url, "cert_id": added.server_certificate_id}))
    assert arrives(own_world, receiver, 4) == [4]


def test_pushes_are_signed(world, start):
    receiver = start(PushReceiver())
    rule = start(Rule(world, "HTTP_FORWARDING", {"url": receiver.url, "signature_enable": True, "token": "my-token_1"}))
    assert "token" not in rule.action["channel_detail"]["http_forwarding"]
    assert arrives(world, receiver, 1) == [1]
    headers = receiver.headers[-1]
    parts = sorted(["my-token_1", headers["timestamp"], headers["nonce"]])
    assert headers["signature"] == hashlib.sha256("".join(parts).encode()).hexdigest()
    assert len(headers["timestamp"]) == 13 and len(headers["nonce"]) == 32


def test_without_a_token_nothing_is_signed(world, start):
    receiver = start(PushReceiver())
    start(Rule(world, "HTTP_FORWARDING", {"url": receiver.url}))
    assert arrives(world, receiver, 1) == [1]
    assert "signature" not in receiver.headers[-1]


def test_a_certificate_that_is_not_there(own_world, start):
    receiver, _ = secured(Authority(own_world.platform.folder).issue("/CN=x"))
    start(receiver)
    fails(own_world, {"url": receiver.url, "cert_id": "no-such-id"}, "The certificate 'no-such-id' does not exist", start)


def test_the_own_network_is_not_entered(platform_factory, start, authority):
    careful = start(World(platform_factory({"push.allow_private": "false"}).start()))
    receiver, names = secured(authority.issue("/CN=x", extensions=("subjectAltName=DNS:localhost",)))
    start(receiver)
    ca_id = careful.app.add_ca(authority.pem).certificate_id
    detail = {"url": f"https://HOST:{receiver.port}/", "cert_id": ca_id, "cn_name": "localhost", "sni_enable": True}
    must_be_kept_out(careful, "HTTP_FORWARDING", detail, "HOST")
    assert not names.asked and not receiver.accepted


def test_refusals(world):
    for more, word in [({"cn_name": "10.0.0.1"}, "cn_name"), ({"signature_enable": True}, "token"), ({"token": "a b c"}, "token")]:
        answer = refused_action(world, "HTTP_FORWARDING", {"url": "https://a.example", **more}).must_be(400)
        assert f"'{word}'" in answer.json["error_msg"], answer.text
    answer = refused_action(world, "DMS_ROCKETMQ_FORWARDING", {"topic": "a"}).must_be(400)
    assert "DMS_ROCKETMQ_FORWARDING is not built" in answer.json["error_msg"]
