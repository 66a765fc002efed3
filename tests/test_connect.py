"""CONNECT and its return codes (002 §2.1.2.11; A1.2, A1.3, A1.7)."""

import datetime as dt

import pytest

from rig import platform_times, raw_mqtt
from rig.deadline import wait_for
from rig.device import sign

ACCEPTED, BAD_VERSION, BAD_CLIENT_ID, BAD_CREDENTIALS, NOT_AUTHORISED = 0, 1, 2, 4, 5


@pytest.fixture
def device(world):
    return world.device()


def code_of(device, **fields) -> int:
    """The CONNACK code of one attempt; a refusal must be answered first and closed then."""
    with device.raw(connected=False) as link:
        answer = link.connect(**{**device.credentials(), **fields})
        if answer.code == 0:
            link.ping()
        else:
            assert not answer.session_present  # [MQTT-3.2.2-4]
            link.expect_end()
        return answer.code


@pytest.mark.parametrize("sign_type", [0, 1])
def test_signed_with_the_present_hour_is_accepted(device, sign_type):
    assert code_of(device, **device.credentials(sign_type=sign_type)) == ACCEPTED


def test_answer_has_no_session_at_first_connect(device):
    assert not device.raw().connack.session_present


def test_sign_type_0_does_not_judge_the_timestamp(device):
    assert code_of(device, **device.credentials(sign_type=0, stamp="2018072417")) == ACCEPTED


@pytest.mark.parametrize("hours", [-8, -3, 3, 8])
def test_sign_type_1_refuses_a_timestamp_that_is_far_away(device, hours):
    stamp = platform_times.hour_stamp(platform_times.utc_now() + dt.timedelta(hours=hours))
    assert code_of(device, **device.credentials(sign_type=1, stamp=stamp)) == BAD_CREDENTIALS


def test_sign_type_1_accepts_the_last_hour_just_after_the_turn(own_world):
    """A device that reconnects with the stamp it made before the hour turned must pass."""
    device = own_world.device()
    stamp = device.stamp()
    now = platform_times.utc_now()
    turn = now.replace(minute=0, second=20, microsecond=0) + dt.timedelta(hours=1)
    own_world.rest.advance_clock(int((turn - now).total_seconds() * 1000))
    assert code_of(device, **device.credentials(sign_type=1, stamp=stamp)) == ACCEPTED


def test_sign_type_1_goes_by_the_platform_clock(own_world):
    device = own_world.device()
    stamp = device.stamp()
    own_world.rest.advance_clock(5 * 3600 * 1000)
    assert code_of(device, **device.credentials(sign_type=1, stamp=stamp)) == BAD_CREDENTIALS
    assert code_of(device, **device.credentials(sign_type=0, stamp=stamp)) == ACCEPTED
    assert code_of(device, **device.credentials(sign_type=1)) == ACCEPTED


def test_password_vector_of_the_public_page(world):
    """Secret, stamp and password as a public page of the vendor shows them."""
    device = world.device(auth_info={"auth_type": "SECRET", "secret": "12345678"})
    password = "c75150e6cb841417396819e4d2ee4358a416344a03a083e3a8567074ddec820a"
    assert sign("12345678", "2025041401") == password
    assert code_of(device, client_id=f"{device.device_id}_0_0_2025041401", username=device.device_id,
                   password=password) == ACCEPTED


@pytest.mark.parametrize("change", [
    {"password": "0" * 64},
    {"password": ""},
    {"password": None},
    {"username": None, "password": None},
    {"username": "somebody_else"},
])
def test_wrong_credentials_are_code_4(device, change):
    assert code_of(device, **change) == BAD_CREDENTIALS


def test_wrong_secret_is_code_4(device):
    assert code_of(device, **device.credentials(secret="another-secret-0123456789")) == BAD_CREDENTIALS


def test_the_secret_itself_is_not_a_password(device):
    assert code_of(device, password=device.secret) == BAD_CREDENTIALS


def test_signed_with_another_hour_than_the_client_id_says(device):
    assert code_of(device, password=sign(device.secret, "2018072418"),
                   client_id=f"{device.device_id}_0_0_2018072417") == BAD_CREDENTIALS


def test_unknown_device_is_code_4(device):
    stamp = device.stamp()
    assert code_of(device, client_id=f"nobody_nowhere_0_0_{stamp}", username="nobody_nowhere",
                   password=sign("0123456789abcdef", stamp)) == BAD_CREDENTIALS


@pytest.mark.parametrize("form", [
    "",
    "x",
    "{id}",
    "{id}_0",
    "{id}_0_0_",
    "{id}_0_0_20180724",
    "{id}_0_0_2018072417x",
    "{id}_0_7_2018072417",
    "{id}_0_00_2018072417",
    "{id}_9_0_2018072417",
    "{id}-0-0-2018072417",
    "_0_0_2018072417",
    "x" * 260 + "_0_0_2018072417",
])
def test_malformed_client_id_is_code_2(device, form):
    assert code_of(device, client_id=form.format(id=device.device_id)) == BAD_CLIENT_ID


@pytest.mark.parametrize("device_id", ["{unique}_0_1_2018072417", "{unique}_a__b_", "-{unique}-0_0"])
def test_client_id_is_read_from_the_right(world, device_id):
    """A device id may itself hold underscores, and may even look like a client id."""
    unique = world.device().device_id.rpartition("_")[2] + "u" + str(id(world))
    device = world.device(device_id=device_id.format(unique=unique))
    assert code_of(device) == ACCEPTED


def test_default_device_id_is_product_and_node(world, device):
    assert device.device_id == f"{device.product_id}_{device.node_id}"


@pytest.mark.parametrize("seconds,code", [
    (30, ACCEPTED), (120, ACCEPTED), (1200, ACCEPTED),
    (0, BAD_CLIENT_ID), (1, BAD_CLIENT_ID), (29, BAD_CLIENT_ID), (1201, BAD_CLIENT_ID), (65535, BAD_CLIENT_ID),
])
def test_keepalive_range(device, seconds, code):
    assert code_of(device, keepalive=seconds) == code


def test_frozen_device_is_code_5_until_unfrozen(world, device):
    world.app.freeze(device.device_id)
    assert code_of(device) == NOT_AUTHORISED
    world.app.unfreeze(device.device_id)
    assert code_of(device) == ACCEPTED


def test_frozen_device_with_a_wrong_secret_learns_nothing(world, device):
    world.app.freeze(device.device_id)
    assert code_of(device, password="0" * 64) == BAD_CREDENTIALS


def test_freezing_ends_an_open_connection(world, device):
    link = device.raw()
    world.app.freeze(device.device_id)
    link.expect_end()


def test_deleted_device_is_cut_and_cannot_return(world, device):
    link = device.raw()
    world.app.delete_device(device.device_id)
    link.expect_end()
    assert code_of(device) == BAD_CREDENTIALS


def test_unsupported_protocol_version_is_code_1(device):
    with device.raw(connected=False) as link:
        assert link.connect(level=4, name="MQTT", **device.credentials()).code == ACCEPTED
    with device.raw(connected=False) as link:
        link.send(raw_mqtt.connect(level=2, name="MQTT", **device.credentials()))
        assert link.expect(raw_mqtt.CONNACK).code == BAD_VERSION
        link.expect_end()


def test_a_newer_link_of_the_device_takes_over(device):
    old = device.raw()
    # Another client id: the hour differs. The rule is one link per device, not per client id.
    new = device.raw(**device.credentials(stamp="2018072417"))
    old.expect_end()
    new.ping()
    new.publish(device.topic("sys/messages/up"), b"still here")


def test_a_refused_attempt_does_not_disturb_the_open_link(device):
    link = device.raw()
    assert code_of(device, password="0" * 64) == BAD_CREDENTIALS
    link.ping()


def test_resetting_the_secret_with_force_ends_the_link(world, device):
    link = device.raw()
    renewed = world.app.reset_secret(device.device_id, force_disconnect=True)
    link.expect_end()
    assert code_of(device) == BAD_CREDENTIALS
    device.secret = renewed.secret
    assert code_of(device) == ACCEPTED


def test_resetting_the_secret_without_force_leaves_the_link(world, device):
    link = device.raw()
    renewed = world.app.reset_secret(device.device_id, secret="0123456789abcdef", force_disconnect=False)
    assert renewed.secret == "0123456789abcdef"
    link.ping()
    assert code_of(device) == BAD_CREDENTIALS


def test_first_connect_activates_the_device(world, device):
    before = world.app.show_device(device.device_id)
    assert (before.status, before.active_time) == ("INACTIVE", None)
    device.raw()
    shown = wait_for(lambda: (found := world.app.show_device(device.device_id)).status == "ONLINE" and found,
                     what="the device to be ONLINE")
    assert platform_times.WITH_MILLISECONDS.match(shown.active_time)
    assert platform_times.WITH_MILLISECONDS.match(shown.connection_status_update_time)


def test_answer_comes_within_a_second(device):
    """A public device SDK gives up after one second."""
    with device.raw(connected=False) as link:
        link.seconds = 1
        assert link.connect(**device.credentials()).code == ACCEPTED
