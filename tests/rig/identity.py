"""Users with policies, made through the vendor's IAM SDK, and callers that act as them."""

from dataclasses import dataclass

from huaweicloudsdkcore.auth.credentials import GlobalCredentials
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkiam.v3 import IamClient
from huaweicloudsdkiam.v3 import model as iam
from huaweicloudsdkiam.v3.iam_credentials import IamCredentials
from huaweicloudsdkiotda.v5 import IoTDAClient

from rig.application import PLAIN, sdk_client
from rig.rest import Rest
from rig.world import fresh_name

PASSWORD = "Correct-horse-7"


def domain_id(platform) -> str:
    """The one domain, as the SDK would look it up."""
    return Rest(platform).get("//v3/auth/domains").must_be(200).json["domains"][0]["id"]


def iam_client(platform, ak=None, sk=None, token=None) -> IamClient:
    """Signs with an access key, the administrator's unless told otherwise, or shows a token."""
    config = HttpConfig.get_default_config()
    config.timeout = (10, 40)
    if token is not None:
        credentials = IamCredentials().with_x_auth_token(token)
    else:
        key = platform.ready["access_key"]
        credentials = GlobalCredentials(ak or key["ak"], sk or key["sk"], domain_id(platform))
    return (IamClient.new_builder().with_http_config(config).with_credentials(credentials)
            .with_endpoints([platform.url("http")]).build())


def statement(effect: str, actions: list[str], resources: list[str] | None = None) -> dict:
    made = {"Effect": effect, "Action": actions}
    return made | {"Resource": resources} if resources else made


def allow(*actions: str, apps: list[str] | None = None) -> dict:
    return statement("Allow", list(actions), [f"iotda:*:*:app:{app}" for app in apps] if apps else None)


def deny(*actions: str, apps: list[str] | None = None) -> dict:
    return allow(*actions, apps=apps) | {"Effect": "Deny"}


@dataclass
class Person:
    """A user with an access key."""

    platform: object
    id: str
    name: str
    password: str
    group_id: str
    ak: str
    sk: str

    def sdk(self) -> IoTDAClient:
        return sdk_client(self.platform, PLAIN, ak=self.ak, sk=self.sk)

    def iam(self) -> IamClient:
        return iam_client(self.platform, self.ak, self.sk)

    def rest(self) -> Rest:
        rest = Rest(self.platform)
        rest.ak, rest.sk = self.ak, self.sk
        return rest

    def sign_in(self, password: str | None = None):
        """The answer to a request for a token."""
        return sign_in(self.platform, self.name, password or self.password)

    def token_rest(self) -> Rest:
        rest = Rest(self.platform)
        rest.token = self.sign_in().must_be(201).headers["X-Subject-Token"]
        return rest


def sign_in(platform, name: str, password: str):
    user = {"name": name, "password": password, "domain": {"name": "default"}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
    return Rest(platform).post("//v3/auth/tokens", json=body, signed=False)


class Identity:
    """What an administrator does about users."""

    def __init__(self, platform):
        self.platform = platform
        self.client = iam_client(platform)
        self.domain_id = domain_id(platform)

    def user(self, name: str | None = None, password: str | None = PASSWORD, **fields):
        option = iam.CreateUserOption(name=name or fresh_name("user"), password=password, domain_id=self.domain_id, **fields)
        return self.client.create_user(iam.CreateUserRequest(body=iam.CreateUserRequestBody(user=option))).user

    def group(self, name: str | None = None, description: str = "") -> str:
        option = iam.KeystoneCreateGroupOption(name=name or fresh_name("group"), description=description)
        body = iam.KeystoneCreateGroupRequestBody(group=option)
        return self.client.keystone_create_group(iam.KeystoneCreateGroupRequest(body=body)).group.id

    def join(self, group_id: str, user_id: str):
        self.client.keystone_add_user_to_group(iam.KeystoneAddUserToGroupRequest(group_id=group_id, user_id=user_id))

    def policy(self, *statements: dict, name: str | None = None) -> str:
        made = [iam.ServiceStatement(action=s["Action"], effect=s["Effect"], resource=s.get("Resource")) for s in statements]
        option = iam.ServicePolicyRoleOption(display_name=name or fresh_name("policy"), type="XA", description="made by a test",
                                             policy=iam.ServicePolicy(version="1.1", statement=made))
        body = iam.CreateCloudServiceCustomPolicyRequestBody(role=option)
        request = iam.CreateCloudServiceCustomPolicyRequest(body=body)
        return self.client.create_cloud_service_custom_policy(request).role.id

    def rewrite(self, role_id: str, *statements: dict):
        made = [iam.ServiceStatement(action=s["Action"], effect=s["Effect"], resource=s.get("Resource")) for s in statements]
        option = iam.ServicePolicyRoleOption(display_name=fresh_name("policy"), type="XA", description="rewritten",
                                             policy=iam.ServicePolicy(version="1.1", statement=made))
        return self.client.update_cloud_service_custom_policy(iam.UpdateCloudServiceCustomPolicyRequest(
            role_id=role_id, body=iam.UpdateCloudServiceCustomPolicyRequestBody(role=option))).role

    def grant(self, group_id: str, role_id: str):
        self.client.keystone_associate_group_with_project_permission(
            iam.KeystoneAssociateGroupWithProjectPermissionRequest(
                project_id=self.platform.project_id, group_id=group_id, role_id=role_id))

    def system_policy(self, display_name: str) -> str:
        roles = self.client.keystone_list_permissions(iam.KeystoneListPermissionsRequest(display_name=display_name)).roles
        return next(role.id for role in roles if role.display_name == display_name)

    def key(self, user_id: str):
        option = iam.CreateCredentialOption(user_id=user_id, description="made by a test")
        body = iam.CreatePermanentAccessKeyRequestBody(credential=option)
        return self.client.create_permanent_access_key(iam.CreatePermanentAccessKeyRequest(body=body)).credential

    def person(self, *statements: dict, system: str | None = None) -> Person:
        """A user with a key in a group of its own, which has one policy with these statements, or a system policy."""
        user, group_id = self.user(), self.group()
        self.join(group_id, user.id)
        if statements:
            self.grant(group_id, self.policy(*statements))
        if system:
            self.grant(group_id, self.system_policy(system))
        key = self.key(user.id)
        return Person(self.platform, user.id, user.name, PASSWORD, group_id, key.access, key.secret)
