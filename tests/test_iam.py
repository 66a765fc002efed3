"""Users, groups, policies and access keys through the vendor's IAM SDK, and what they allow through the IoTDA SDK
(002 §10)."""

import pytest
from huaweicloudsdkcore.exceptions.exceptions import ServiceResponseException
from huaweicloudsdkiam.v3 import model as iam
from huaweicloudsdkiotda.v5 import model as sdk

from rig.application import refused
from rig.identity import PASSWORD, Identity, allow, deny, iam_client, sign_in
from rig.rest import Rest
from rig.world import fresh_name

NOT_PERMITTED = "IOTDA.000005"
#: 002 §10.1
TEXT = "Operation not allowed. The user does not have the permission"


@pytest.fixture(scope="module")
def platform(platform_factory):
    """Room for all the users of this file; nobody else's."""
    return platform_factory({"iam.max_users": 500, "iam.max_groups": 500, "iam.max_policies": 500}).start()


@pytest.fixture(scope="module")
def identity(platform) -> Identity:
    return Identity(platform)


def may_not(call):
    with pytest.raises(ServiceResponseException) as caught:
        call()
    assert (caught.value.status_code, caught.value.error_code, caught.value.error_msg) == (403, NOT_PERMITTED, TEXT)


# --- users ------------------------------------------------------------------------------------------------------------

def test_a_user_is_made_shown_changed_and_deleted(identity):
    name = fresh_name("ann")
    made = identity.user(name, email="ann@example.com", areacode="0049", phone="1234", description="night shift",
                         pwd_status=False, access_mode="programmatic")
    shown = identity.client.show_user(iam.ShowUserRequest(user_id=made.id)).user
    assert (shown.name, shown.email, shown.areacode, shown.phone, shown.description, shown.enabled, shown.pwd_status,
            shown.access_mode) == (name, "ann@example.com", "0049", "1234", "night shift", True, False, "programmatic")
    assert shown.domain_id == identity.domain_id and len(shown.id) == 32

    changed = identity.client.update_user(iam.UpdateUserRequest(user_id=made.id, body=iam.UpdateUserRequestBody(
        user=iam.UpdateUserOption(name=name + "x", description="day shift")))).user
    assert (changed.name, changed.description, changed.email) == (name + "x", "day shift", "ann@example.com")
    keystone = identity.client.keystone_show_user(iam.KeystoneShowUserRequest(user_id=made.id)).user
    assert (keystone.name, keystone.description, keystone.enabled) == (name + "x", "day shift", True)

    identity.client.keystone_delete_user(iam.KeystoneDeleteUserRequest(user_id=made.id))
    with refused(404, "IOTDA.019002"):
        identity.client.show_user(iam.ShowUserRequest(user_id=made.id))


def test_users_by_keystone(identity):
    name = fresh_name("bob")
    option = iam.KeystoneCreateUserOption(name=name, password=PASSWORD, description="d", enabled=False)
    made = identity.client.keystone_create_user(iam.KeystoneCreateUserRequest(
        body=iam.KeystoneCreateUserRequestBody(user=option))).user
    assert (made.name, made.enabled, made.domain_id) == (name, False, identity.domain_id)

    def found(**query):
        users = identity.client.keystone_list_users(iam.KeystoneListUsersRequest(**query)).users
        return [user.id for user in users]

    assert made.id in found() and made.id in found(enabled=False) and made.id not in found(enabled=True)
    assert found(name=name) == [made.id] and found(domain_id="another") == []
    changed = identity.client.keystone_update_user_by_admin(iam.KeystoneUpdateUserByAdminRequest(
        user_id=made.id, body=iam.KeystoneUpdateUserByAdminRequestBody(user=iam.KeystoneUpdateUserOption(enabled=True)))).user
    assert changed.enabled and made.id in found(enabled=True)


@pytest.mark.parametrize("fields, code", [
    ({"password": "short-1"}, "IOTDA.019005"),
    ({"password": "onlysmallletters"}, "IOTDA.019005"),
    ({"password": "a1" * 100}, "IOTDA.019005"),
    ({"name": "Ann-ann-1", "password": "aNN-ANN-1"}, "IOTDA.019005"),
    ({"name": "Ann-ann-2", "password": "2-nna-nnA"}, "IOTDA.019005"),
    ({"name": "1ann"}, "IOTDA.000006"),
    ({"name": "a" * 65}, "IOTDA.000006"),
    ({"name": "a/b"}, "IOTDA.000006"),
    ({"email": "nowhere"}, "IOTDA.000006"),
    ({"phone": "123"}, "IOTDA.000006"),
    ({"access_mode": "telepathy"}, "IOTDA.000006"),
])
def test_users_that_break_a_rule(identity, fields, code):
    with refused(400, code):
        identity.user(**fields)


def test_a_name_is_used_once(identity):
    made = identity.user()
    with refused(400, "IOTDA.019003"):
        identity.user(made.name)


def test_limits(platform_factory):
    platform = platform_factory({"iam.max_users": 2, "iam.max_groups": 2, "iam.max_policies": 1, "iam.max_access_keys": 1}).start()
    identity = Identity(platform)
    user = identity.user()
    with refused(403, "IOTDA.019004"):
        identity.user()
    identity.group()
    with refused(403, "IOTDA.019009"):
        identity.group()
    identity.policy(allow("iotda:*:*"))
    with refused(403, "IOTDA.019012"):
        identity.policy(allow("iotda:*:*"))
    identity.key(user.id)
    with refused(403, "IOTDA.019016"):
        identity.key(user.id)
    platform.close()


# --- groups -----------------------------------------------------------------------------------------------------------

def test_groups_and_members(identity):
    client, name = identity.client, fresh_name("night")
    group_id, user = identity.group(name, "the night shift"), identity.user()
    shown = client.keystone_show_group(iam.KeystoneShowGroupRequest(group_id=group_id)).group
    assert (shown.name, shown.description, shown.domain_id) == (name, "the night shift", identity.domain_id)
    assert shown.create_time > 1_600_000_000_000
    listed = client.keystone_list_groups(iam.KeystoneListGroupsRequest(name=name)).groups
    assert [group.id for group in listed] == [group_id]
    body = iam.KeystoneUpdateGroupRequestBody(group=iam.KeystoneUpdateGroupOption(description="all shifts"))
    changed = client.keystone_update_group(iam.KeystoneUpdateGroupRequest(group_id=group_id, body=body)).group
    assert (changed.name, changed.description) == (name, "all shifts")

    def is_member() -> bool:
        try:
            client.keystone_check_user_in_group(iam.KeystoneCheckUserInGroupRequest(group_id=group_id, user_id=user.id))
            return True
        except ServiceResponseException as error:
            assert error.status_code == 404
            return False

    assert not is_member()
    identity.join(group_id, user.id)
    assert is_member()
    members = client.keystone_list_users_for_group_by_admin(iam.KeystoneListUsersForGroupByAdminRequest(group_id=group_id))
    assert [member.id for member in members.users] == [user.id]
    groups = client.keystone_list_groups_for_user(iam.KeystoneListGroupsForUserRequest(user_id=user.id)).groups
    assert [group.id for group in groups] == [group_id]
    client.keystone_remove_user_from_group(iam.KeystoneRemoveUserFromGroupRequest(group_id=group_id, user_id=user.id))
    assert not is_member()
    client.keystone_delete_group(iam.KeystoneDeleteGroupRequest(group_id=group_id))
    with refused(404, "IOTDA.019007"):
        client.keystone_show_group(iam.KeystoneShowGroupRequest(group_id=group_id))


def test_administrators_cannot_lose_their_group(identity):
    client = identity.client
    admins = client.keystone_list_groups(iam.KeystoneListGroupsRequest(name="admin")).groups[0].id
    admin = client.keystone_list_users(iam.KeystoneListUsersRequest(name="admin")).users[0].id
    with refused(403, "IOTDA.019019"):
        client.keystone_delete_group(iam.KeystoneDeleteGroupRequest(group_id=admins))
    with refused(403, "IOTDA.019017"):
        client.keystone_remove_user_from_group(iam.KeystoneRemoveUserFromGroupRequest(group_id=admins, user_id=admin))
    with refused(403, "IOTDA.019017"):
        client.keystone_delete_user(iam.KeystoneDeleteUserRequest(user_id=admin))
    with refused(403, "IOTDA.019017"):
        client.update_user(iam.UpdateUserRequest(user_id=admin, body=iam.UpdateUserRequestBody(
            user=iam.UpdateUserOption(enabled=False))))
    with refused(403, "IOTDA.019019"):
        client.keystone_remove_domain_permission_from_group(iam.KeystoneRemoveDomainPermissionFromGroupRequest(
            domain_id=identity.domain_id, group_id=admins, role_id=identity.system_policy("FullAccess")))
    assert client.keystone_show_user(iam.KeystoneShowUserRequest(user_id=admin)).user.enabled


# --- policies ---------------------------------------------------------------------------------------------------------

def test_custom_policies(identity):
    client, name = identity.client, fresh_name("watch")
    role_id = identity.policy(allow("iotda:devices:query", "iotda:devices:register"), name=name)
    shown = client.show_custom_policy(iam.ShowCustomPolicyRequest(role_id=role_id)).role
    assert (shown.display_name, shown.type, shown.catalog, shown.references) == (name, "XA", "CUSTOMED", 0)
    assert shown.policy.version == "1.1"
    assert [(s.effect, s.action) for s in shown.policy.statement] == [
        ("Allow", ["iotda:devices:query", "iotda:devices:register"])]
    changed = identity.rewrite(role_id, deny("iotda:devices:delete", apps=["a1"]))
    assert (changed.policy.statement[0].effect, changed.policy.statement[0].resource) == ("Deny", ["iotda:*:*:app:a1"])
    listed = client.list_custom_policies(iam.ListCustomPoliciesRequest(page=1, per_page=300))
    assert role_id in [role.id for role in listed.roles] and listed.total_number == len(listed.roles)
    first = client.list_custom_policies(iam.ListCustomPoliciesRequest(page=1, per_page=1))
    assert len(first.roles) == 1 and first.total_number == listed.total_number

    group_id = identity.group()
    identity.grant(group_id, role_id)
    with refused(403, "IOTDA.019014"):
        client.delete_custom_policy(iam.DeleteCustomPolicyRequest(role_id=role_id))
    client.keystone_delete_group(iam.KeystoneDeleteGroupRequest(group_id=group_id))
    client.delete_custom_policy(iam.DeleteCustomPolicyRequest(role_id=role_id))
    with refused(404, "IOTDA.019010"):
        client.show_custom_policy(iam.ShowCustomPolicyRequest(role_id=role_id))


def test_system_policies(identity):
    roles = identity.client.keystone_list_permissions(iam.KeystoneListPermissionsRequest(catalog="IoTDA")).roles
    assert {role.display_name for role in roles} == {"IoTDA FullAccess", "IoTDA ReadOnlyAccess"}
    shown = identity.client.keystone_show_permission(iam.KeystoneShowPermissionRequest(role_id=roles[0].id)).role
    assert shown.policy.statement[0].effect == "Allow"
    with refused(403, "IOTDA.019019"):
        identity.client.delete_custom_policy(iam.DeleteCustomPolicyRequest(role_id=roles[0].id))


@pytest.mark.parametrize("document, places", [
    ({"Version": "5.0", "Statement": [{"Effect": "Allow", "Action": ["iotda:*:*"]}]}, ["Version"]),
    ({"Version": "1.1", "Statement": []}, ["Statement"]),
    ({"Version": "1.1", "Statement": [{"Effect": "Maybe", "Action": ["iotda"]}]},
     ["Statement[0].Effect", "Statement[0].Action[0]"]),
    ({"Version": "1.1", "Statement": [{"Effect": "Allow", "Action": ["iotda:*:*"], "Condition": {"StringEquals": {}}}]},
     ["Statement[0].Condition"]),
    ({"Version": "1.1", "Statement": [{"Effect": "Allow", "Action": ["iotda:*:*"], "Resource": ["iotda:*:*:app:a*"]}]},
     ["Statement[0].Resource[0]"]),
    ("no policy", ["the policy"]),
])
def test_a_wrong_policy_is_told_with_its_places(platform, document, places):
    role = {"display_name": fresh_name("wrong"), "type": "XA", "policy": document}
    answer = Rest(platform).post("//v3.0/OS-ROLE/roles", json={"role": role}).must_be(400, "IOTDA.019013")
    for place in places:
        assert place + " " in answer.json["error_msg"], answer.json


def test_grants_by_scope(identity, platform):
    client, group_id = identity.client, identity.group()
    read_only = identity.system_policy("IoTDA ReadOnlyAccess")
    domain = {"domain_id": identity.domain_id, "group_id": group_id}
    project = {"project_id": platform.project_id, "group_id": group_id}

    def domain_roles():
        return [r.id for r in client.keystone_list_domain_permissions_for_group(
            iam.KeystoneListDomainPermissionsForGroupRequest(**domain)).roles]

    def project_roles():
        return [r.id for r in client.keystone_list_project_permissions_for_group(
            iam.KeystoneListProjectPermissionsForGroupRequest(**project)).roles]

    client.keystone_associate_group_with_domain_permission(
        iam.KeystoneAssociateGroupWithDomainPermissionRequest(**domain, role_id=read_only))
    assert (domain_roles(), project_roles()) == ([read_only], [])
    identity.grant(group_id, read_only)
    client.update_domain_group_inherit_role(iam.UpdateDomainGroupInheritRoleRequest(**domain, role_id=read_only))
    inherited = client.keystone_list_all_project_permissions_for_group(
        iam.KeystoneListAllProjectPermissionsForGroupRequest(**domain)).roles
    assert (project_roles(), [r.id for r in inherited]) == ([read_only], [read_only])
    client.keystone_check_project_permission_for_group(
        iam.KeystoneCheckProjectPermissionForGroupRequest(**project, role_id=read_only))
    client.keystone_remove_project_permission_from_group(
        iam.KeystoneRemoveProjectPermissionFromGroupRequest(**project, role_id=read_only))
    assert (domain_roles(), project_roles()) == ([read_only], [])
    with refused(404, "IOTDA.019018"):
        client.keystone_remove_project_permission_from_group(
            iam.KeystoneRemoveProjectPermissionFromGroupRequest(**project, role_id=read_only))
    with refused(404, "IOTDA.019010"):
        identity.grant(group_id, "f" * 32)
    with refused(404, "IOTDA.019020"):
        client.keystone_list_domain_permissions_for_group(
            iam.KeystoneListDomainPermissionsForGroupRequest(domain_id="another", group_id=group_id))


# --- what is allowed --------------------------------------------------------------------------------------------------

def test_a_user_without_policies_may_do_nothing(identity):
    person = identity.person()
    may_not(lambda: person.sdk().list_devices(sdk.ListDevicesRequest()))
    may_not(lambda: person.sdk().list_products(sdk.ListProductsRequest()))
    may_not(lambda: person.iam().keystone_list_users(iam.KeystoneListUsersRequest()))


def test_read_only_access_as_in_the_guide(identity, platform):
    """002 §10.1: querying devices works, creating one gives the documented text."""
    person = identity.person(system="IoTDA ReadOnlyAccess")
    assert person.sdk().list_devices(sdk.ListDevicesRequest()).status_code == 200
    may_not(lambda: person.sdk().add_device(sdk.AddDeviceRequest(body=sdk.AddDevice(node_id="n", product_id="p"))))
    answer = person.token_rest().post("/devices", json={"node_id": "n", "product_id": "p"})
    assert answer.must_be(403, NOT_PERMITTED).json["error_msg"] == TEXT


def test_full_access_is_about_devices_only(identity):
    person = identity.person(system="IoTDA FullAccess")
    made = person.sdk().add_application(sdk.AddApplicationRequest(body=sdk.AddApplication(app_name=fresh_name("space"))))
    person.sdk().delete_application(sdk.DeleteApplicationRequest(app_id=made.app_id))
    may_not(lambda: person.iam().keystone_list_users(iam.KeystoneListUsersRequest()))


def test_custom_actions_and_deny_first(identity):
    person = identity.person(allow("iotda:products:*"), deny("iotda:products:delete"))
    product = sdk.AddProduct(name=fresh_name("p"), device_type="T", protocol_type="MQTT", data_format="json",
                             service_capabilities=[])
    made = person.sdk().create_product(sdk.CreateProductRequest(body=product))
    assert person.sdk().show_product(sdk.ShowProductRequest(product_id=made.product_id)).name == product.name
    may_not(lambda: person.sdk().delete_product(sdk.DeleteProductRequest(product_id=made.product_id)))
    may_not(lambda: person.sdk().list_devices(sdk.ListDevicesRequest()))


def test_one_space_only(identity, platform):
    admin = Rest(platform)
    spaces = [admin.post("/apps", json={"app_name": fresh_name("space")}).must_be(201).json["app_id"] for _ in range(2)]
    people = [identity.person(allow("iotda:*:*", apps=[app])) for app in spaces]
    products = []
    for person, app in zip(people, spaces):
        # Without app_id the one space of the user is meant.
        body = sdk.AddProduct(name=fresh_name("p"), device_type="T", protocol_type="MQTT", data_format="json",
                              service_capabilities=[])
        made = person.sdk().create_product(sdk.CreateProductRequest(body=body))
        assert made.app_id == app
        products.append(made.product_id)
    for own, other in ((0, 1), (1, 0)):
        listed = people[own].sdk().list_products(sdk.ListProductsRequest()).products
        assert [p.product_id for p in listed] == [products[own]]
        assert [a.app_id for a in people[own].sdk().show_applications(sdk.ShowApplicationsRequest()).applications] == [spaces[own]]
        with refused(404, "IOTDA.013003"):
            people[own].sdk().show_product(sdk.ShowProductRequest(product_id=products[other]))
        with refused(403, "IOTDA.001000"):
            people[own].sdk().show_application(sdk.ShowApplicationRequest(app_id=spaces[other]))
    may_not(lambda: people[0].sdk().add_application(sdk.AddApplicationRequest(body=sdk.AddApplication(app_name="x"))))


def test_every_space_but_one(identity, platform):
    admin = Rest(platform)
    hidden = admin.post("/apps", json={"app_name": fresh_name("hidden")}).must_be(201).json["app_id"]
    person = identity.person(allow("iotda:*:*"), deny("iotda:*:*", apps=[hidden]))
    seen = {a.app_id for a in person.sdk().show_applications(sdk.ShowApplicationsRequest()).applications}
    assert hidden not in seen and platform.ready["default_app_id"] in seen
    later = admin.post("/apps", json={"app_name": fresh_name("later")}).must_be(201).json["app_id"]
    assert person.sdk().show_application(sdk.ShowApplicationRequest(app_id=later)).app_id == later


def test_changes_hold_at_once(identity):
    person = identity.person()
    list_devices = lambda: person.sdk().list_devices(sdk.ListDevicesRequest())  # noqa: E731
    may_not(list_devices)
    role_id = identity.policy(allow("iotda:devices:*"))
    identity.grant(person.group_id, role_id)
    assert list_devices().status_code == 200
    identity.rewrite(role_id, allow("iotda:products:*"))
    may_not(list_devices)
    identity.rewrite(role_id, allow("iotda:devices:*"))
    assert list_devices().status_code == 200
    identity.client.keystone_remove_user_from_group(
        iam.KeystoneRemoveUserFromGroupRequest(group_id=person.group_id, user_id=person.id))
    may_not(list_devices)


def test_permissions_survive_a_restart(platform_factory):
    platform = platform_factory().start()
    person = Identity(platform).person(system="IoTDA ReadOnlyAccess")
    platform.restart_after_kill()
    assert person.sdk().list_devices(sdk.ListDevicesRequest()).status_code == 200
    may_not(lambda: person.sdk().delete_device(sdk.DeleteDeviceRequest(device_id="d")))
    platform.close()


# --- the own account --------------------------------------------------------------------------------------------------

def test_users_see_themselves_only(identity):
    person, other = identity.person(), identity.person()
    client = person.iam()
    assert client.show_user(iam.ShowUserRequest(user_id=person.id)).user.name == person.name
    assert client.keystone_show_user(iam.KeystoneShowUserRequest(user_id=person.id)).user.id == person.id
    groups = client.keystone_list_groups_for_user(iam.KeystoneListGroupsForUserRequest(user_id=person.id)).groups
    assert [group.id for group in groups] == [person.group_id]
    for user_id in (other.id, "f" * 32):
        may_not(lambda: client.show_user(iam.ShowUserRequest(user_id=user_id)))
        may_not(lambda: client.keystone_list_groups_for_user(iam.KeystoneListGroupsForUserRequest(user_id=user_id)))
    may_not(lambda: client.update_user(iam.UpdateUserRequest(user_id=person.id, body=iam.UpdateUserRequestBody(
        user=iam.UpdateUserOption(enabled=True)))))
    body = iam.UpdateUserInformationRequestBody(user=iam.UpdateUserInformationOption(email="me@example.com", mobile="0049-77"))
    client.update_user_information(iam.UpdateUserInformationRequest(user_id=person.id, body=body))
    shown = client.show_user(iam.ShowUserRequest(user_id=person.id)).user
    assert (shown.email, shown.areacode, shown.phone) == ("me@example.com", "0049", "77")
    may_not(lambda: client.update_user_information(iam.UpdateUserInformationRequest(user_id=other.id, body=body)))


def change_password(client, user_id, original, new):
    option = iam.KeystoneUpdatePasswordOption(password=new, original_password=original)
    client.keystone_update_user_password(iam.KeystoneUpdateUserPasswordRequest(
        user_id=user_id, body=iam.KeystoneUpdateUserPasswordRequestBody(user=option)))


def test_a_user_changes_its_password(identity, platform):
    person = identity.person(system="IoTDA ReadOnlyAccess")
    rest = person.token_rest()
    rest.get("/devices").must_be(200)
    client = iam_client(platform, token=rest.token)
    with refused(400, "IOTDA.019006"):
        change_password(client, person.id, "Wrong-horse-7", "New-battery-8")
    with refused(400, "IOTDA.019005"):
        change_password(client, person.id, PASSWORD, PASSWORD)
    with refused(400, "IOTDA.019005"):
        change_password(client, person.id, PASSWORD, "weak")
    change_password(client, person.id, PASSWORD, "New-battery-8")
    # Tokens made before die; keys live on.
    rest.get("/devices").must_be(401, "IOTDA.000002")
    person.sign_in(PASSWORD).must_be(401)
    person.sign_in("New-battery-8").must_be(201)
    assert person.sdk().list_devices(sdk.ListDevicesRequest()).status_code == 200
    may_not(lambda: change_password(identity.client, person.id, "New-battery-8", "Other-horse-9"))


def test_access_keys(identity, platform):
    person = identity.person(system="IoTDA ReadOnlyAccess")
    client = person.iam()
    second = client.create_permanent_access_key(iam.CreatePermanentAccessKeyRequest(
        body=iam.CreatePermanentAccessKeyRequestBody(credential=iam.CreateCredentialOption(
            user_id=person.id, description="spare")))).credential
    assert second.secret and second.status == "active" and second.description == "spare"
    with refused(403, "IOTDA.019016"):
        identity.key(person.id)
    listed = client.list_permanent_access_keys(iam.ListPermanentAccessKeysRequest()).credentials
    assert [key.access for key in listed] == [person.ak, second.access]
    shown = client.show_permanent_access_key(iam.ShowPermanentAccessKeyRequest(access_key=second.access)).credential
    assert (shown.user_id, shown.status) == (person.id, "active")
    assert "secret" not in Rest(platform).get(f"//v3.0/OS-CREDENTIAL/credentials/{second.access}").must_be(200).text

    def update(status):
        return client.update_permanent_access_key(iam.UpdatePermanentAccessKeyRequest(
            access_key=second.access, body=iam.UpdatePermanentAccessKeyRequestBody(
                credential=iam.UpdateCredentialOption(status=status)))).credential.status

    spare = Rest(platform)
    spare.ak, spare.sk = second.access, second.secret
    spare.get("/devices").must_be(200)
    assert update("inactive") == "inactive"
    spare.get("/devices").must_be(401, "IOTDA.000002")
    assert update("active") == "active"
    spare.get("/devices").must_be(200)
    client.delete_permanent_access_key(iam.DeletePermanentAccessKeyRequest(access_key=second.access))
    spare.get("/devices").must_be(401, "IOTDA.000002")


def test_access_keys_of_others(identity):
    person, other = identity.person(), identity.person()
    client = person.iam()
    for ak in (other.ak, "UNKNOWN"):
        may_not(lambda: client.show_permanent_access_key(iam.ShowPermanentAccessKeyRequest(access_key=ak)))
        may_not(lambda: client.delete_permanent_access_key(iam.DeletePermanentAccessKeyRequest(access_key=ak)))
    may_not(lambda: client.list_permanent_access_keys(iam.ListPermanentAccessKeysRequest(user_id=other.id)))
    may_not(lambda: client.create_permanent_access_key(iam.CreatePermanentAccessKeyRequest(
        body=iam.CreatePermanentAccessKeyRequestBody(credential=iam.CreateCredentialOption(user_id=other.id)))))
    assert other.rest().get("//v3/auth/projects").status == 200


def test_console_users_have_no_keys(identity):
    user = identity.user(access_mode="console")
    with refused(400, "IOTDA.000006"):
        identity.key(user.id)


# --- signing in -------------------------------------------------------------------------------------------------------

def test_tokens_of_the_sdk(identity, platform):
    person = identity.person(system="IoTDA ReadOnlyAccess")
    auth = iam.PwdAuth(
        identity=iam.PwdIdentity(methods=["password"], password=iam.PwdPassword(user=iam.PwdPasswordUser(
            name=person.name, password=person.password, domain=iam.PwdPasswordUserDomain(name="default")))),
        scope=iam.AuthScope(project=iam.AuthScopeProject(id=platform.project_id)))
    answer = identity.client.keystone_create_user_token_by_password(iam.KeystoneCreateUserTokenByPasswordRequest(
        body=iam.KeystoneCreateUserTokenByPasswordRequestBody(auth=auth)))
    assert (answer.token.user.id, answer.token.user.name) == (person.id, person.name)
    assert answer.token.user.domain.id == identity.domain_id
    rest = Rest(platform)
    rest.token = answer.x_subject_token
    rest.get("/devices").must_be(200)


@pytest.mark.parametrize("end", ["deleted", "disabled", "new password"])
def test_tokens_die_with_what_they_stand_for(identity, end):
    person = identity.person(system="IoTDA ReadOnlyAccess")
    by_token, by_key = person.token_rest(), person.rest()
    by_token.get("/devices").must_be(200)
    by_key.get("/devices").must_be(200)
    client = identity.client
    if end == "deleted":
        client.keystone_delete_user(iam.KeystoneDeleteUserRequest(user_id=person.id))
    else:
        option = iam.UpdateUserOption(enabled=False) if end == "disabled" else iam.UpdateUserOption(password="Other-horse-9")
        client.update_user(iam.UpdateUserRequest(user_id=person.id, body=iam.UpdateUserRequestBody(user=option)))
    by_token.get("/devices").must_be(401, "IOTDA.000002")
    if end == "new password":
        by_key.get("/devices").must_be(200)
        person.sign_in("Other-horse-9").must_be(201)
    else:
        by_key.get("/devices").must_be(401, "IOTDA.000002")
    person.sign_in().must_be(401, "IOTDA.000002")
    if end == "disabled":
        client.update_user(iam.UpdateUserRequest(user_id=person.id, body=iam.UpdateUserRequestBody(
            user=iam.UpdateUserOption(enabled=True))))
        by_token.get("/devices").must_be(401, "IOTDA.000002")
        by_key.get("/devices").must_be(200)
        person.token_rest().get("/devices").must_be(200)


def test_guessing_is_stopped_for_some_minutes(platform_factory):
    platform = platform_factory({"iam.sign_in_failures": 3}).start()
    identity = Identity(platform)
    ann, bob = identity.person(system="IoTDA ReadOnlyAccess"), identity.person()
    for _ in range(3):
        ann.sign_in("Wrong-horse-7").must_be(401, "IOTDA.000002")
    answer = ann.sign_in().must_be(403, "IOTDA.019001")
    assert "15 minute" in answer.json["error_msg"]
    # Others and access keys are not concerned.
    bob.sign_in().must_be(201)
    ann.rest().get("/devices").must_be(200)
    # A name that is not there is locked in the same way.
    for _ in range(3):
        sign_in(platform, "nobody", "x").must_be(401, "IOTDA.000002")
    sign_in(platform, "nobody", "x").must_be(403, "IOTDA.019001")
    Rest(platform).advance_clock(14 * 60_000)
    ann.sign_in().must_be(403, "IOTDA.019001")
    Rest(platform).advance_clock(61_000)
    ann.sign_in().must_be(201)
    platform.close()


def test_an_address_that_tries_many_names_is_stopped(platform_factory):
    platform = platform_factory({"iam.sign_in_failures_of_address": 4}).start()
    person = Identity(platform).person()
    for name in "abcd":
        sign_in(platform, name, "x").must_be(401, "IOTDA.000002")
    person.sign_in().must_be(403, "IOTDA.019001")
    platform.close()


def test_password_rules_are_configured(platform_factory):
    settings = {"iam.password_min_length": 12, "iam.password_max_length": 20, "iam.password_classes": 4}
    platform = platform_factory(settings).start()
    identity = Identity(platform)
    for password in ("Short-1-pass", "no-capitals-in-1-here", "Long-enough-but-1-too-long"):
        if password == "Short-1-pass":
            identity.user(password=password)
            continue
        with refused(400, "IOTDA.019005"):
            identity.user(password=password)
    platform.close()


def test_domains_and_projects(identity, platform):
    client = identity.client
    assert [d.id for d in client.keystone_list_auth_domains(iam.KeystoneListAuthDomainsRequest()).domains] == [
        identity.domain_id]
    projects = [
        client.keystone_list_auth_projects(iam.KeystoneListAuthProjectsRequest()).projects,
        client.keystone_list_projects(iam.KeystoneListProjectsRequest(name="cn-north-4")).projects,
        [client.keystone_show_project(iam.KeystoneShowProjectRequest(project_id=platform.project_id)).project],
    ]
    for listed in projects:
        assert [(p.id, p.domain_id) for p in listed] == [(platform.project_id, identity.domain_id)]
    with refused(404, "IOTDA.019020"):
        client.keystone_show_project(iam.KeystoneShowProjectRequest(project_id="another"))
