"""Devices that sign in with a certificate over MQTTS (A1.4; 002 §2.1.1, §3.3.3)."""

import json

import pytest

from rig import mosquitto
from rig.application import refused
from rig.authority import Authority, openssl
from rig.deadline import wait_for
from rig.world import fresh_name

ACCEPTED, BAD_CREDENTIALS, NOT_AUTHORISED = 0, 4, 5
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def trusted(platform, authority):
    """The authority, verified on the shared platform."""
    from rig.application import Application

    Application(platform).trust(authority)
    return authority


def certificate_device(world, fingerprint=None, secure_access=None, **fields):
    auth = {"auth_type": "CERTIFICATES", "fingerprint": fingerprint, "secure_access": secure_access}
    return world.device(auth_info={k: v for k, v in auth.items() if v is not None}, **fields)


def code_of(device, certificate, door="mqtts", **fields) -> int:
    """The CONNACK code of one attempt."""
    with device.raw(door, connected=False, certificate=certificate) as link:
        answer = link.connect(**{**device.credentials(), **fields})
        if answer.code == 0:
            link.ping()
        else:
            link.expect_end()
        return answer.code


def reasons(world) -> dict[str, float]:
    """`causeway_device_auth_total` by outcome."""
    from prometheus_client.parser import text_string_to_metric_families

    text = world.rest.call("GET", "//metrics", signed=False).text
    return {sample.labels["outcome"]: sample.value for family in text_string_to_metric_families(text)
            for sample in family.samples if sample.name == "causeway_device_auth_total"}


def check_refused(world, device, certificate, code: int, reason: str, **fields):
    """Refused with this code; the metrics name the reason."""
    before = reasons(world).get(reason, 0)
    assert code_of(device, certificate, **fields) == code
    assert reasons(world).get(reason, 0) == before + 1, reasons(world)


def record_of(world, certificate):
    found = world.app.list_device_certificates(fingerprint=certificate.sha256).device_certificates
    assert len(found) == 1, found
    return found[0]


# --- fingerprints -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["sha256", "sha1"])
def test_the_primary_fingerprint_opens(world, trusted, kind):
    certificate = trusted.issue("device")
    device = certificate_device(world, getattr(certificate, kind))
    assert code_of(device, certificate) == ACCEPTED


def test_an_upper_case_fingerprint_is_the_same(world, trusted):
    certificate = trusted.issue("device")
    device = certificate_device(world, certificate.sha256.upper())
    assert world.app.show_device(device.device_id).auth_info.fingerprint == certificate.sha256
    assert code_of(device, certificate) == ACCEPTED


@pytest.mark.parametrize("kind", ["sha256", "sha1"])
def test_the_secondary_fingerprint_opens_as_well(world, trusted, kind):
    first, second = trusted.issue("first"), trusted.issue("second")
    device = certificate_device(world, first.sha256)
    check_refused(world, device, second, BAD_CREDENTIALS, "fingerprint_mismatch")
    answer = world.app.reset_fingerprint(device.device_id, fingerprint=getattr(second, kind),
                                         fingerprint_type="SECONDARY")
    assert (answer.fingerprint, answer.fingerprint_type) == (getattr(second, kind), "SECONDARY")
    assert code_of(device, second) == ACCEPTED
    assert code_of(device, first) == ACCEPTED


def test_another_certificate_of_the_same_authority_is_refused(world, trusted):
    device = certificate_device(world, trusted.issue("mine").sha256)
    check_refused(world, device, trusted.issue("mine"), BAD_CREDENTIALS, "fingerprint_mismatch")


def test_the_first_certificate_is_bound(world, trusted):
    device = certificate_device(world)
    certificate = trusted.issue("first come")
    assert world.app.show_device(device.device_id).auth_info.fingerprint is None
    assert code_of(device, certificate) == ACCEPTED
    assert world.app.show_device(device.device_id).auth_info.fingerprint == certificate.sha256
    check_refused(world, device, trusted.issue("second come"), BAD_CREDENTIALS, "fingerprint_mismatch")


def test_a_cleared_fingerprint_is_bound_anew(world, trusted):
    old, new = trusted.issue("old"), trusted.issue("new")
    device = certificate_device(world, old.sha256)
    answer = world.app.reset_fingerprint(device.device_id)
    assert (answer.device_id, answer.fingerprint, answer.fingerprint_type) == (device.device_id, None, "PRIMARY")
    assert code_of(device, new) == ACCEPTED
    assert world.app.show_device(device.device_id).auth_info.fingerprint == new.sha256
    assert code_of(device, old) == BAD_CREDENTIALS


def test_clearing_the_secondary_one_opens_nothing(world, trusted):
    device = certificate_device(world, trusted.issue("mine").sha256)
    world.app.reset_fingerprint(device.device_id, fingerprint_type="SECONDARY")
    check_refused(world, device, trusted.issue("other"), BAD_CREDENTIALS, "fingerprint_mismatch")


def test_reset_fingerprint_with_force_disconnect(world, trusted):
    old, new = trusted.issue("old"), trusted.issue("new")
    device = certificate_device(world, old.sha256)
    link = device.raw("mqtts", certificate=old)
    world.app.reset_fingerprint(device.device_id, fingerprint=new.sha256, force_disconnect=True)
    link.expect_end()
    assert code_of(device, old) == BAD_CREDENTIALS
    assert code_of(device, new) == ACCEPTED


def test_reset_fingerprint_without_it_leaves_the_connection(world, trusted):
    old = trusted.issue("old")
    device = certificate_device(world, old.sha256)
    link = device.raw("mqtts", certificate=old)
    world.app.reset_fingerprint(device.device_id, fingerprint="ab" * 32)
    link.ping()


def test_reset_fingerprint_of_a_device_with_a_secret_is_refused(world):
    with refused(403, "IOTDA.016102"):
        world.app.reset_fingerprint(world.device().device_id, fingerprint="ab" * 32)


@pytest.mark.parametrize("fingerprint", ["ab" * 31, "zz" * 32, "ab" * 33])
def test_a_fingerprint_of_another_form_is_refused(world, fingerprint):
    device = certificate_device(world)
    with refused(400, "IOTDA.000006"):
        world.app.reset_fingerprint(device.device_id, fingerprint=fingerprint)


# --- authorities ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("key", ["rsa", "ec384", "ed25519"])
def test_kinds_of_keys(world, tmp_path, key):
    authority = Authority(tmp_path, key=key)
    world.app.trust(authority)
    certificate = authority.issue("device", key=key, digest="sha384" if key == "ec384" else "sha256")
    device = certificate_device(world, certificate.sha256)
    assert code_of(device, certificate) == ACCEPTED


def test_certificates_made_as_the_guide_says(world, tmp_path):
    """002 §11.2.1 and §3.3.3: version 1, without any extension."""
    key, request, ca = tmp_path / "rootCA.key", tmp_path / "rootCA.csr", tmp_path / "rootCA.crt"
    openssl("genrsa", "-out", key, 2048)
    openssl("req", "-new", "-key", key, "-subj", f"/CN={fresh_name('guide')}", "-out", request)
    openssl("x509", "-req", "-days", 50000, "-in", request, "-signkey", key, "-out", ca)
    added = world.app.add_ca(ca.read_text())

    def issue(name):
        own, csr, cert = tmp_path / f"{name}.key", tmp_path / f"{name}.csr", tmp_path / f"{name}.pem"
        openssl("genrsa", "-out", own, 2048)
        openssl("req", "-new", "-key", own, "-subj", f"/CN={name}", "-out", csr)
        openssl("x509", "-req", "-in", csr, "-CA", ca, "-CAkey", key, "-CAcreateserial", "-out", cert, "-days", 500,
                "-sha256")
        return cert, own

    world.app.verify_ca(added.certificate_id, issue(added.verify_code)[0].read_text())
    from rig.authority import Certificate

    certificate = Certificate(*issue("deviceCert"))
    assert "Version: 1" in openssl("x509", "-in", certificate.cert, "-noout", "-text")
    device = certificate_device(world, certificate.sha256)
    assert code_of(device, certificate) == ACCEPTED


def test_an_unknown_authority_is_refused(world, trusted, tmp_path):
    stranger = Authority(tmp_path)
    certificate = stranger.issue("device")
    device = certificate_device(world, certificate.sha256)
    check_refused(world, device, certificate, BAD_CREDENTIALS, "unknown_ca")


def test_an_authority_of_the_same_name_is_refused(world, trusted, tmp_path):
    impostor = Authority(tmp_path, name=trusted.name)
    certificate = impostor.issue("device")
    device = certificate_device(world, certificate.sha256)
    check_refused(world, device, certificate, BAD_CREDENTIALS, "unknown_ca")


def test_a_certificate_signed_by_itself_is_refused(world, trusted, tmp_path):
    own = Authority(tmp_path, extensions=("basicConstraints=CA:FALSE",)).own
    device = certificate_device(world, own.sha256)
    check_refused(world, device, own, BAD_CREDENTIALS, "unknown_ca")


def test_an_unverified_authority_is_refused(world, tmp_path):
    authority = Authority(tmp_path)
    added = world.app.add_ca(authority.pem)
    certificate = authority.issue("device")
    device = certificate_device(world, certificate.sha256)
    check_refused(world, device, certificate, BAD_CREDENTIALS, "unverified_ca")
    world.app.verify_ca(added.certificate_id, authority.verification(added.verify_code))
    assert code_of(device, certificate) == ACCEPTED


def test_an_authority_of_another_space_is_refused(own_world, tmp_path):
    other = own_world.app.add_app(fresh_name("other")).app_id
    authority = Authority(tmp_path)
    own_world.app.trust(authority, other)
    certificate = authority.issue("device")
    here = certificate_device(own_world, certificate.sha256)
    check_refused(own_world, here, certificate, BAD_CREDENTIALS, "unknown_ca")
    there = certificate_device(own_world, certificate.sha256, product_id=own_world.product(app_id=other), app_id=other)
    assert code_of(there, certificate) == ACCEPTED


def test_an_intermediate_authority_may_be_shown(world, trusted, tmp_path):
    middle = Authority(tmp_path, above=trusted)
    certificate = middle.issue("device", chain=(middle,))
    device = certificate_device(world, certificate.sha256)
    assert code_of(device, certificate) == ACCEPTED
    certificate.chain = None
    check_refused(world, device, certificate, BAD_CREDENTIALS, "unknown_ca")


def test_a_device_cannot_be_an_authority(world, trusted, tmp_path):
    class Device(Authority):
        def __init__(self):  # signs with the key of a device
            self.folder, self.own = tmp_path, trusted.issue("device")
            self._numbers = iter(range(100, 200))

    forger = Device()
    forged = forger.issue("other", chain=(forger,))
    device = certificate_device(world, forged.sha256)
    check_refused(world, device, forged, BAD_CREDENTIALS, "unknown_ca")


def test_the_certificate_of_an_authority_is_not_one_of_a_device(world, trusted):
    device = certificate_device(world, trusted.own.sha256)
    check_refused(world, device, trusted.own, BAD_CREDENTIALS, "invalid_certificate")


def test_a_certificate_for_servers_only_is_refused(world, trusted):
    certificate = trusted.issue("server", extensions=("extendedKeyUsage=serverAuth",))
    device = certificate_device(world, certificate.sha256)
    check_refused(world, device, certificate, BAD_CREDENTIALS, "invalid_certificate")


def test_a_signature_over_sha1_is_refused(world, trusted):
    certificate = trusted.issue("old", digest="sha1")
    device = certificate_device(world, certificate.sha256)
    check_refused(world, device, certificate, BAD_CREDENTIALS, "unknown_ca")


def test_a_deleted_authority_is_refused_and_its_devices_disconnected(world, tmp_path):
    authority = Authority(tmp_path)
    added = world.app.trust(authority)
    certificate = authority.issue("device")
    device = certificate_device(world, certificate.sha256)
    link = device.raw("mqtts", certificate=certificate)
    with refused(403, "IOTDA.016004"):
        world.app.delete_ca(added.certificate_id)
    link.ping()
    world.app.reset_fingerprint(device.device_id, fingerprint="ab" * 32)
    world.app.delete_ca(added.certificate_id)
    link.expect_end()
    world.app.reset_fingerprint(device.device_id, fingerprint=certificate.sha256)
    check_refused(world, device, certificate, BAD_CREDENTIALS, "unknown_ca")


# --- time -------------------------------------------------------------------------------------------------------------

def test_certificates_expire(own_world, tmp_path):
    authority = Authority(tmp_path)
    own_world.app.trust(authority)
    short, long = authority.issue("short", days=2), authority.issue("long", days=20)
    devices = [certificate_device(own_world, certificate.sha256) for certificate in (short, long)]
    assert [code_of(d, c) for d, c in zip(devices, (short, long))] == [ACCEPTED, ACCEPTED]
    own_world.rest.advance_clock(3 * DAY_MS)
    check_refused(own_world, devices[0], short, NOT_AUTHORISED, "certificate_expired")
    assert code_of(devices[1], long) == ACCEPTED


def test_authorities_expire(own_world, tmp_path):
    authority = Authority(tmp_path, days=40)
    added = own_world.app.trust(authority)
    certificate = authority.issue("device", days=400)
    device = certificate_device(own_world, certificate.sha256)

    def state():
        return own_world.rest.get(f"/certificates/{added.certificate_id}").must_be(200).json["state"]

    assert state() == "VERIFIED"
    own_world.rest.advance_clock(15 * DAY_MS)
    assert state() == "EXPIRING"
    assert code_of(device, certificate) == ACCEPTED
    own_world.rest.advance_clock(26 * DAY_MS)
    assert state() == "EXPIRED"
    check_refused(own_world, device, certificate, NOT_AUTHORISED, "ca_expired")


def test_a_certificate_of_the_future_is_refused(world, trusted, tmp_path):
    key, request, cert = tmp_path / "k", tmp_path / "r", tmp_path / "c"
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
    openssl("req", "-new", "-key", key, "-subj", "/CN=future", "-out", request)
    (tmp_path / "index").write_text("")
    (tmp_path / "ca.cnf").write_text(
        f"[ca]\ndefault_ca=d\n[d]\ndatabase={tmp_path}/index\nnew_certs_dir={tmp_path}\ndefault_md=sha256\npolicy=p\n"
        "rand_serial=yes\nunique_subject=no\n[p]\ncommonName=supplied\n")
    openssl("ca", "-batch", "-config", tmp_path / "ca.cnf", "-in", request, "-cert", trusted.own.cert, "-keyfile",
            trusted.own.key, "-startdate", "20900101000000Z", "-enddate", "20910101000000Z", "-out", cert, "-notext")
    from rig.authority import Certificate

    certificate = Certificate(cert, key)
    device = certificate_device(world, certificate.sha256)
    check_refused(world, device, certificate, NOT_AUTHORISED, "certificate_not_yet_valid")


# --- revocation -------------------------------------------------------------------------------------------------------

def test_a_revoked_certificate_is_refused_and_disconnected(world, trusted):
    certificate = trusted.issue(fresh_name("revoked"))
    device = certificate_device(world, certificate.sha256)
    link = device.raw("mqtts", certificate=certificate)
    record = record_of(world, certificate)
    assert world.app.update_device_certificate(record.certificate_id, "INACTIVE").status == "INACTIVE"
    link.expect_end()
    check_refused(world, device, certificate, NOT_AUTHORISED, "certificate_revoked")
    world.app.update_device_certificate(record.certificate_id, "ACTIVE")
    assert code_of(device, certificate) == ACCEPTED


def test_a_revoked_certificate_does_not_come_back_by_binding(world, trusted):
    certificate = trusted.issue(fresh_name("revoked"))
    device = certificate_device(world)
    assert code_of(device, certificate) == ACCEPTED
    world.app.update_device_certificate(record_of(world, certificate).certificate_id, "INACTIVE")
    world.app.reset_fingerprint(device.device_id)
    check_refused(world, device, certificate, NOT_AUTHORISED, "certificate_revoked")
    assert world.app.show_device(device.device_id).auth_info.fingerprint is None


def test_revocation_leaves_other_devices_alone(world, trusted):
    one, other = trusted.issue(fresh_name("one")), trusted.issue(fresh_name("other"))
    devices = [certificate_device(world, certificate.sha256) for certificate in (one, other)]
    links = [d.raw("mqtts", certificate=c) for d, c in zip(devices, (one, other))]
    world.app.update_device_certificate(record_of(world, one).certificate_id, "INACTIVE")
    links[0].expect_end()
    links[1].ping()


# --- kinds of devices -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("door", ["mqtts", "wss"])
def test_a_device_works_as_any_other(world, trusted, door):
    certificate = trusted.issue("device")
    device = certificate_device(world, certificate.sha256)
    link = device.connect(door=door, certificate=certificate)
    assert world.app.status_of(device.device_id) == "ONLINE"
    link.report(value=21)
    wait_for(lambda: world.rest.reported(device.device_id, "Temperature") == {"value": 21}, what="the report")


@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest.mark.parametrize("tls", ["tlsv1.2", "tlsv1.3"])
def test_mosquitto(world, trusted, version, tls):
    certificate = trusted.issue("device", key="rsa")
    device = certificate_device(world, certificate.sha256)
    payload = json.dumps({"services": [{"service_id": "Temperature", "properties": {"value": 7}}]})
    done = mosquitto.publish(device, device.topic("sys/properties/report"), payload, version, "mqtts", options=(
        "--cert", str(certificate.cert), "--key", str(certificate.key), "--tls-version", tls))
    assert done.returncode == 0, done
    wait_for(lambda: world.rest.reported(device.device_id, "Temperature") == {"value": 7}, what="the report")


@pytest.mark.parametrize("password", [b"", b"whatever"])
def test_a_password_does_not_matter(world, trusted, password):
    certificate = trusted.issue("device")
    device = certificate_device(world, certificate.sha256)
    assert code_of(device, certificate, password=password) == ACCEPTED


def test_the_user_name_must_be_the_device(world, trusted):
    certificate = trusted.issue("device")
    device = certificate_device(world, certificate.sha256)
    assert code_of(device, certificate, username="someone") == BAD_CREDENTIALS


@pytest.mark.parametrize("door", ["mqtts", "mqtt"])
def test_a_certificate_device_without_its_certificate_is_refused(world, trusted, door):
    device = certificate_device(world, trusted.issue("device").sha256)
    check_refused(world, device, None, BAD_CREDENTIALS, "certificate_missing", door=door, password=b"x")


def test_a_secret_device_shares_the_port(world, trusted):
    device = world.device()
    assert code_of(device, None) == ACCEPTED


def test_a_secret_device_may_show_a_certificate(world, trusted, tmp_path):
    device = world.device()
    assert code_of(device, trusted.issue("device")) == ACCEPTED
    assert code_of(device, Authority(tmp_path).issue("stranger")) == ACCEPTED


def test_a_certificate_does_not_replace_the_secret(world, trusted):
    device = world.device()
    certificate = trusted.issue(device.device_id[:60])
    check_refused(world, device, certificate, BAD_CREDENTIALS, "wrong_password", password=b"x")
    assert code_of(device, certificate, password=None) == BAD_CREDENTIALS


def test_a_secret_does_not_replace_the_certificate(world, trusted):
    device = certificate_device(world, trusted.issue("device").sha256)
    device.secret = "0123456789abcdef"
    with refused(403, "IOTDA.016102"):
        world.app.reset_secret(device.device_id, secret=device.secret)
    assert code_of(device, None) == BAD_CREDENTIALS


def test_a_frozen_device_is_refused(world, trusted):
    certificate = trusted.issue("device")
    device = certificate_device(world, certificate.sha256)
    link = device.raw("mqtts", certificate=certificate)
    world.app.freeze(device.device_id)
    link.expect_end()
    check_refused(world, device, certificate, NOT_AUTHORISED, "frozen")


def test_a_handshake_without_the_private_key_fails(world, trusted):
    """The certificate of another device is public; its key is not."""
    import ssl

    certificate = trusted.issue("device")
    certificate.key = trusted.issue("thief").key
    with pytest.raises(ssl.SSLError):
        certificate.context(world.platform.ca_cert)


def test_an_unknown_device_is_refused_whatever_it_shows(world, trusted):
    from rig.device import Registration

    ghost = Registration(world.platform, fresh_name("ghost"), None)
    check_refused(world, ghost, trusted.issue(ghost.device_id), BAD_CREDENTIALS, "unknown_device")
    ghost.close()


def test_the_reason_stands_in_the_log(world, trusted, tmp_path):
    certificate = Authority(tmp_path).issue("device")
    device = certificate_device(world, certificate.sha256)
    assert code_of(device, certificate) == BAD_CREDENTIALS
    wait_for(lambda: any(device.device_id in line and "unknown_ca" in line
                         for line in world.platform.log().splitlines()), what="the log line")


def test_applications_are_not_asked_for_a_certificate(world):
    """A browser would ask its user which one to show."""
    asks = {}
    for door in ("https", "mqtts"):
        host, port = world.platform.address(door)
        import subprocess

        done = subprocess.run(["openssl", "s_client", "-connect", f"{host}:{port}", "-tls1_2"], input="", text=True,
                              capture_output=True, timeout=20)
        asks[door] = "Client Certificate Types" in done.stdout
    assert asks == {"https": False, "mqtts": True}
