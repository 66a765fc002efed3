"""TLS of the device doors: the certificate that the platform made for itself, and the versions (A1.1, A2.1)."""

import socket
import ssl
import warnings

import pytest

DOORS = ["mqtts", "wss", "device_https", "https"]


def handshake(platform, door, context, name="127.0.0.1"):
    with socket.create_connection(platform.address(door), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname=name) as link:
            return link.version()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_certificate_holds_under_the_platforms_ca(platform, door, name):
    handshake(platform, door, ssl.create_default_context(cafile=platform.ca_cert), name)


@pytest.mark.parametrize("door", DOORS)
def test_certificate_is_not_trusted_without_the_platforms_ca(platform, door):
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(platform, door, ssl.create_default_context())


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(platform, door, version):
    context = ssl.create_default_context(cafile=platform.ca_cert)
    context.minimum_version = context.maximum_version = version
    assert handshake(platform, door, context) == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version.name]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_older_versions_are_refused(platform, door, version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Security level 0, so that it is the platform that refuses and not this client.
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    with pytest.raises((ssl.SSLError, ConnectionError)) as refusal:
        handshake(platform, door, context)
    assert "NO_PROTOCOLS_AVAILABLE" not in str(refusal.value)


def test_plain_mqtt_on_the_tls_port_is_cut(world):
    device = world.device()
    from rig.raw_mqtt import ConnectionEnded, RawMqtt, connect

    with RawMqtt(world.platform.address("mqtts")) as link:
        link.send(connect(**device.credentials()))
        with pytest.raises((ConnectionEnded, AssertionError)):
            # A TLS alert may come first; it is no MQTT packet.
            answer = link.receive()
            assert answer.kind == 2
