"""CA certificates of devices and the certificates that devices have shown, over REST (B5; 002 §3.3.3, §11.2)."""

import re

import pytest

from rig.application import refused
from rig.authority import Authority, openssl
from rig.deadline import wait_for
from rig.world import fresh_name

COMPACT = re.compile(r"\d{8}T\d{6}Z")


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def ca(world, authority):
    added = world.app.add_ca(authority.pem)
    yield added
    world.rest.delete(f"/certificates/{added.certificate_id}")


def refuse_content(world, content: str, words: str):
    with refused(400, "IOTDA.016001") as caught:
        world.app.add_ca(content)
    assert words in caught.value.error_msg, caught.value.error_msg


# --- uploading --------------------------------------------------------------------------------------------------------

def test_an_uploaded_certificate_is_shown(world, authority, ca):
    assert (ca.cn_name, ca.owner) == (authority.name, f"CN={authority.name}, O=Makers, C=CN")
    assert (ca.status, ca.provision_enable, ca.template_id) == (False, False, None)
    assert (ca.ocsp_enable, ca.ocsp_ssl_enable, ca.ocsp_server_ca_id) == (False, False, None)
    assert len(ca.verify_code) >= 32
    for date in (ca.create_date, ca.effective_date, ca.expiry_date):
        assert COMPACT.fullmatch(date), date
    assert ca.effective_date < ca.expiry_date
    shown = world.app.show_ca(ca.certificate_id)
    assert (shown.content, shown.name, shown.cn_name) == (authority.pem, authority.name, authority.name)
    assert (shown.verify_code, shown.status) == (ca.verify_code, False)
    assert world.rest.get(f"/certificates/{ca.certificate_id}").json["state"] == "UNVERIFIED"


def test_text_around_the_certificate_is_left_out(world, tmp_path):
    authority = Authority(tmp_path)
    added = world.app.add_ca(openssl("x509", "-in", authority.own.cert, "-text"))
    assert world.app.show_ca(added.certificate_id).content == authority.pem
    world.app.delete_ca(added.certificate_id)


def test_names_in_other_scripts(world, tmp_path):
    authority = Authority(tmp_path, subject="/CN=设备证书/O=a,b/emailAddress=a@b.example")
    added = world.app.add_ca(authority.pem)
    assert (added.cn_name, added.owner) == ("设备证书", r"EMAILADDRESS=a@b.example, O=a\,b, CN=设备证书")
    world.app.delete_ca(added.certificate_id)


def test_the_same_certificate_twice_in_a_space_is_refused(world, authority, ca):
    with refused(400, "IOTDA.016002"):
        world.app.add_ca(authority.pem)


def test_the_same_certificate_in_another_space(own_world, authority):
    other = own_world.app.add_app(fresh_name("other")).app_id
    here, there = own_world.app.add_ca(authority.pem), own_world.app.add_ca(authority.pem, other)
    assert {c.certificate_id for c in own_world.app.list_cas().certificates} == {
        here.certificate_id, there.certificate_id}
    assert [c.certificate_id for c in own_world.app.list_cas(app_id=other).certificates] == [there.certificate_id]
    own_world.app.delete_app(other)
    assert [c.certificate_id for c in own_world.app.list_cas().certificates] == [here.certificate_id]


def test_an_unknown_space_is_refused(world, tmp_path):
    with refused(403, "IOTDA.001000"):
        world.app.add_ca(Authority(tmp_path).pem, "nowhere")
    with refused(403, "IOTDA.001000"):
        world.app.list_cas(app_id="nowhere")


@pytest.mark.parametrize("content, words", [
    ("hello", "no PEM section CERTIFICATE"),
    ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "it is not PEM"),
    ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be read as X.509"),
    ("-----BEGIN CERTIFICATE-----\n", "not PEM"),
])
def test_what_is_no_certificate_is_refused(world, content, words):
    refuse_content(world, content, words)


def test_a_chain_is_refused(world, authority, tmp_path):
    refuse_content(world, authority.pem + Authority(tmp_path).pem, "2 certificates")


def test_a_private_key_is_refused(world, authority):
    refuse_content(world, authority.own.key.read_text() + authority.pem, "private key")


def test_a_certificate_of_a_device_is_refused(world, authority):
    refuse_content(world, authority.issue("device").pem, "basicConstraints")


def test_a_ca_that_may_not_sign_is_refused(world, tmp_path):
    extensions = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,digitalSignature")
    refuse_content(world, Authority(tmp_path, extensions=extensions).pem, "keyCertSign")


def test_name_constraints_are_refused(world, tmp_path):
    extensions = ("basicConstraints=critical,CA:TRUE", "nameConstraints=critical,permitted;DNS:example.com")
    refuse_content(world, Authority(tmp_path, extensions=extensions).pem, "nameConstraints")


def test_a_weak_key_is_refused(world, tmp_path):
    refuse_content(world, Authority(tmp_path, key="rsa1024").pem, "2048")


def test_a_broken_signature_is_refused(world, tmp_path):
    import ssl

    der = bytearray(Authority(tmp_path).own.der)
    der[-1] ^= 1
    refuse_content(world, ssl.DER_cert_to_PEM_cert(bytes(der)), "signature")


def test_a_long_content_is_refused(world):
    with refused(400, "IOTDA.000006"):
        world.app.add_ca("x" * 40_000)


@pytest.mark.parametrize("body", [{}, {"content": None}, {"content": 7}, {"content": ""}])
def test_a_body_without_content_is_refused(world, body):
    world.rest.post("/certificates", json=body).must_be(400, "IOTDA.000006")


def test_the_limit(platform_factory, tmp_path):
    from rig.world import World

    platform = platform_factory({"certificate.max_cas": "2"}).start()
    world = World(platform)
    try:
        authorities = [Authority(tmp_path) for _ in range(3)]
        first = world.app.add_ca(authorities[0].pem)
        world.app.add_ca(authorities[1].pem)
        with refused(403, "IOTDA.016003"):
            world.app.add_ca(authorities[2].pem)
        world.app.delete_ca(first.certificate_id)
        world.app.add_ca(authorities[2].pem)
    finally:
        world.close()
        platform.close()


# --- lists ------------------------------------------------------------------------------------------------------------

def test_lists_are_paged_newest_first(own_world, tmp_path):
    made = [own_world.app.add_ca(Authority(tmp_path).pem).certificate_id for _ in range(5)]
    whole = own_world.app.list_cas(limit=50)
    assert ([c.certificate_id for c in whole.certificates], whole.page.count) == (made[::-1], 5)
    first = own_world.app.list_cas(limit=2)
    second = own_world.app.list_cas(limit=2, marker=first.page.marker, offset=1)
    assert [c.certificate_id for c in first.certificates + second.certificates] == [made[4], made[3], made[1], made[0]]
    assert second.page.count == 5
    with refused(400, "IOTDA.000017"):
        own_world.app.list_cas(limit=51)


# --- verifying --------------------------------------------------------------------------------------------------------

def test_a_verification_certificate_verifies(world, authority, ca):
    world.app.verify_ca(ca.certificate_id, authority.verification(ca.verify_code))
    assert world.app.show_ca(ca.certificate_id).status is True
    listed = [c for c in world.app.list_cas(limit=50).certificates if c.certificate_id == ca.certificate_id]
    assert listed[0].status is True
    assert world.rest.get(f"/certificates/{ca.certificate_id}").json["state"] == "VERIFIED"


def test_verifying_again_is_harmless(world, authority, ca):
    for _ in range(2):
        world.app.verify_ca(ca.certificate_id, authority.verification(ca.verify_code))


def refuse_verification(world, ca, content, words):
    with refused(400, "IOTDA.016005") as caught:
        world.app.verify_ca(ca.certificate_id, content)
    assert words in caught.value.error_msg, caught.value.error_msg
    assert world.app.show_ca(ca.certificate_id).status is False


def test_a_verification_with_another_code_is_refused(world, authority, ca):
    refuse_verification(world, ca, authority.verification("x" + ca.verify_code[1:]), "CN")


def test_a_verification_by_another_authority_is_refused(world, ca, tmp_path):
    refuse_verification(world, ca, Authority(tmp_path).verification(ca.verify_code), "issuer")


def test_a_verification_by_an_authority_of_the_same_name_is_refused(world, authority, ca, tmp_path):
    impostor = Authority(tmp_path, name=authority.name)
    refuse_verification(world, ca, impostor.verification(ca.verify_code), "private key")


def test_a_verification_over_sha1_is_refused(world, authority, ca):
    refuse_verification(world, ca, authority.verification(ca.verify_code, digest="sha1"), "SHA-1")


@pytest.mark.parametrize("content, words", [("x", "one PEM certificate"), ("", None)])
def test_a_verification_that_is_no_certificate_is_refused(world, ca, content, words):
    if words is None:
        with refused(400, "IOTDA.000006"):
            world.app.verify_ca(ca.certificate_id, content)
    else:
        refuse_verification(world, ca, content, words)


def test_another_action_is_refused(world, ca):
    with refused(400, "IOTDA.000006"):
        world.app.verify_ca(ca.certificate_id, "x", action_id="sign")


# --- changing ---------------------------------------------------------------------------------------------------------

def test_ocsp_fields_are_kept(world, ca):
    changed = world.app.update_ca(ca.certificate_id, ocsp_enable=True, ocsp_ssl_enable=True, ocsp_server_ca_id="ca1")
    shown = world.app.show_ca(ca.certificate_id)
    for found in (changed, shown):
        assert (found.ocsp_enable, found.ocsp_ssl_enable, found.ocsp_server_ca_id) == (True, True, "ca1")
    world.app.update_ca(ca.certificate_id, ocsp_enable=False)
    shown = world.app.show_ca(ca.certificate_id)
    assert (shown.ocsp_enable, shown.ocsp_ssl_enable, shown.ocsp_server_ca_id) == (False, True, "ca1")


def test_an_unknown_template_is_refused(world, ca):
    with refused(404, "IOTDA.016200"):
        world.app.update_ca(ca.certificate_id, template_id="0" * 24)


def test_provisioning_without_a_template_is_refused(world, ca):
    with refused(400, "IOTDA.000006"):
        world.app.update_ca(ca.certificate_id, provision_enable=True)


@pytest.mark.parametrize("call", [
    lambda app, i: app.show_ca(i), lambda app, i: app.update_ca(i, ocsp_enable=True),
    lambda app, i: app.delete_ca(i), lambda app, i: app.verify_ca(i, "x")])
@pytest.mark.parametrize("certificate_id", ["00000000-0000-0000-0000-000000000000", "a/b?c", "证"])
def test_an_unknown_certificate(world, call, certificate_id):
    with refused(404, "IOTDA.016000"):
        call(world.app, certificate_id)


def test_a_deleted_certificate_is_gone(world, tmp_path):
    authority = Authority(tmp_path)
    added = world.app.add_ca(authority.pem)
    world.app.delete_ca(added.certificate_id)
    with refused(404, "IOTDA.016000"):
        world.app.show_ca(added.certificate_id)
    world.app.delete_ca(world.app.add_ca(authority.pem).certificate_id)


def test_everything_survives_a_restart(platform_factory, tmp_path):
    from rig.world import World

    platform = platform_factory().start()
    world = World(platform)
    try:
        authority = Authority(tmp_path)
        added = world.app.trust(authority)
        certificate = authority.issue("device")
        device = world.device(auth_info={"auth_type": "CERTIFICATES"})
        device.raw("mqtts", certificate=certificate).leave()
        platform.restart_after_kill()
        world.after_restart()
        assert world.app.show_ca(added.certificate_id).status is True
        device.raw("mqtts", certificate=certificate).ping()
    finally:
        world.close()
        platform.close()


# --- certificates of devices ------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def trusted(platform, authority):
    from rig.application import Application

    other = Authority(authority.folder)
    Application(platform).trust(other)
    return other


def connect_once(world, certificate, **auth):
    device = world.device(auth_info={"auth_type": "CERTIFICATES", **auth})
    device.raw("mqtts", certificate=certificate).leave()
    return device


def test_a_certificate_appears_when_its_device_connects(world, trusted):
    name = fresh_name("dev")
    certificate = trusted.issue(name)
    assert world.app.list_device_certificates(common_name=name).device_certificates == []
    device = connect_once(world, certificate)
    found = world.app.list_device_certificates(common_name=name)
    assert found.page.count == 1
    listed = found.device_certificates[0]
    assert (listed.common_name, listed.fingerprint, listed.status) == (name, certificate.sha256, "ACTIVE")
    assert COMPACT.fullmatch(listed.expiry_date)
    shown = world.app.show_device_certificate(listed.certificate_id)
    assert (shown.certificate_pem, shown.fingerprint) == (certificate.pem, certificate.sha256)
    devices = world.app.devices_of_certificate(listed.certificate_id)
    assert (devices.page.count, [d.device_id for d in devices.devices]) == (1, [device.device_id])
    simple = devices.devices[0]
    assert (simple.node_id, simple.gateway_id, simple.product_id) == (
        device.node_id, device.device_id, device.product_id)


def test_lists_of_device_certificates_are_filtered(world, trusted):
    start = fresh_name("flt")
    certificates = [trusted.issue(f"{start}-{i}") for i in range(3)]
    for certificate in certificates:
        connect_once(world, certificate)
    names = lambda **query: [c.common_name for c in world.app.list_device_certificates(**query).device_certificates]
    assert names(common_name=start) == [f"{start}-{i}" for i in (2, 1, 0)]
    assert names(common_name=f"{start}-1") == [f"{start}-1"]
    assert names(common_name=start[1:]) == []
    assert names(fingerprint=certificates[0].sha256) == [f"{start}-0"]
    assert names(fingerprint=certificates[2].sha1.upper()) == [f"{start}-2"]
    assert names(fingerprint="0" * 40) == []
    page = world.app.list_device_certificates(common_name=start, limit=2)
    rest = world.app.list_device_certificates(common_name=start, limit=2, marker=page.page.marker)
    assert [c.common_name for c in page.device_certificates + rest.device_certificates] == names(common_name=start)
    with refused(400, "IOTDA.000006"):
        world.app.list_device_certificates(fingerprint="xyz")


def test_devices_may_share_a_certificate(world, trusted):
    certificate = trusted.issue(fresh_name("shared"))
    devices = [connect_once(world, certificate, fingerprint=f) for f in (
        certificate.sha256, certificate.sha1, certificate.sha256)]
    record = world.app.list_device_certificates(fingerprint=certificate.sha256).device_certificates[0]
    ids = [d.device_id for d in devices][::-1]
    first = world.app.devices_of_certificate(record.certificate_id, limit=2)
    second = world.app.devices_of_certificate(record.certificate_id, limit=2, marker=first.page.marker)
    assert ([d.device_id for d in first.devices + second.devices], second.page.count) == (ids, 3)
    with refused(400, "IOTDA.000017"):
        world.app.devices_of_certificate(record.certificate_id, limit=0)


def test_a_certificate_in_use_is_not_deleted(world, trusted):
    certificate = trusted.issue(fresh_name("used"))
    device = connect_once(world, certificate)
    record = world.app.list_device_certificates(fingerprint=certificate.sha256).device_certificates[0]
    with refused(403, "IOTDA.016101"):
        world.app.delete_device_certificate(record.certificate_id)
    world.app.delete_device(device.device_id)
    world.app.delete_device_certificate(record.certificate_id)
    with refused(404, "IOTDA.016100"):
        world.app.show_device_certificate(record.certificate_id)
    assert world.app.list_device_certificates(fingerprint=certificate.sha256).page.count == 0


def test_another_status_is_refused(world):
    with refused(400, "IOTDA.000006"):
        world.app.update_device_certificate("x", "REVOKED")


@pytest.mark.parametrize("call", [
    lambda app, i: app.show_device_certificate(i), lambda app, i: app.update_device_certificate(i, "ACTIVE"),
    lambda app, i: app.delete_device_certificate(i), lambda app, i: app.devices_of_certificate(i)])
def test_an_unknown_device_certificate(world, call):
    with refused(404, "IOTDA.016100"):
        call(world.app, "00000000-0000-0000-0000-000000000000")


def test_an_authority_in_use_is_not_deleted(world, tmp_path):
    authority = Authority(tmp_path)
    added = world.app.trust(authority)
    device = connect_once(world, authority.issue("device"))
    with refused(403, "IOTDA.016004"):
        world.app.delete_ca(added.certificate_id)
    world.app.delete_device(device.device_id)
    world.app.delete_ca(added.certificate_id)
    wait_for(lambda: added.certificate_id not in [
        c.certificate_id for c in world.app.list_cas(limit=50).certificates], what="the deletion")
