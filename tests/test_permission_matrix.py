"""Every operation of /v5/openapi.json × {no credentials, other project, user of another space, read-only user}.

`rig/recipes.py` says how each operation is called; an operation without a recipe fails here.
"""

import json

import pytest

from rig.identity import Identity, allow
from rig.recipes import FOREIGN, RECIPES, Request, Things
from rig.rest import Rest

UNAUTHENTICATED, NOT_PERMITTED, WRONG_PROJECT, NOT_BUILT = "IOTDA.000002", "IOTDA.000005", "IOTDA.000026", "IOTDA.000024"
#: 002 §10.1
TEXT = "Operation not allowed. The user does not have the permission"

#: What everybody may ask, known or not.
OPEN = {"create_token", "confirm_subscription_by_link", "health", "readiness", "metrics", "openapi", "openapi_v5"}
#: What every caller may do, whatever its policies say.
FOR_EVERY_CALLER = {"list_projects", "list_auth_projects", "list_auth_domains", "keystone_show_project"}
#: What a caller may do for its own account only, whatever its policies say.
OWN_ACCOUNT = {"keystone_update_user_password"}
#: What makes something of the caller's own that is in no space and that nobody else sees.
OF_THE_CALLER = {"upload_batch_task_file"}


class Operation:
    def __init__(self, method: str, path: str, entry: dict):
        self.method, self.path, self.id = method.upper(), path, entry["operationId"]
        self.action = entry.get("x-action", "")
        self.is_built = entry.get("x-built") is not False
        self.is_open = entry.get("security") == []

    @property
    def of_project(self) -> bool:
        return self.path.startswith("/v5/iot/{project_id}")

    @property
    def reads(self) -> bool:
        return self.action.rpartition(":")[2].startswith(("query", "list", "show", "get"))

    def __repr__(self):
        return f"{self.id} ({self.method} {self.path})"


@pytest.fixture(scope="module")
def platform(platform_factory):
    """A platform of its own: the matrix looks at all users and spaces."""
    settings = {"iam.max_users": 500, "iam.max_groups": 500, "iam.max_policies": 500}
    return platform_factory(settings).start()


@pytest.fixture(scope="module")
def operations(platform) -> list[Operation]:
    document = Rest(platform).get("//v5/openapi.json", signed=False).must_be(200).json
    found = [Operation(method, path, entry) for path, item in document["paths"].items() for method, entry in item.items()]
    assert len(found) > 178
    return [operation for operation in found if operation.is_built]


@pytest.fixture(scope="module")
def checked(operations) -> list[Operation]:
    return [operation for operation in operations if not operation.is_open and operation.id in RECIPES]


@pytest.fixture(scope="module")
def identity(platform) -> Identity:
    return Identity(platform)


@pytest.fixture(scope="module")
def mine(platform, tmp_path_factory) -> Things:
    return Things(platform, tmp_path_factory.mktemp("mine"))


@pytest.fixture(scope="module")
def theirs(platform, tmp_path_factory) -> Things:
    return Things(platform, tmp_path_factory.mktemp("theirs"))


def send(rest: Rest, operation: Operation, request: Request, project_id: str | None = None, **more):
    path = operation.path
    names = {"project_id": project_id or rest.project_id, "domain_id": rest.platform.ready["instance_id"], **request.path}
    for name, value in names.items():
        path = path.replace("{" + name + "}", value)
    assert "{" not in path, f"the recipe of {operation} leaves a parameter out: {path}"
    if request.file:
        name, content = request.file
        head = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="x.zip"\r\n\r\n'
        more |= {"body": head.encode() + content + b"\r\n--b--\r\n", "content_type": "multipart/form-data; boundary=b"}
    return rest.call(operation.method, "/" + path, json=request.json, query=request.query, **more)


def told(answer) -> str:
    try:
        return answer.json["error_code"]
    except (ValueError, KeyError, TypeError):
        return ""


class Report:
    """Gathers what is wrong, so that one run shows all of it."""

    def __init__(self):
        self.wrong: list[str] = []

    def expect(self, condition: bool, operation, answer, what: str):
        if not condition:
            self.wrong.append(f"{operation}: {what}; answered {answer.status} {answer.content[:300]!r}")

    def done(self):
        assert not self.wrong, "\n" + "\n".join(self.wrong)


# --- completeness -----------------------------------------------------------------------------------------------------

def test_every_operation_has_a_recipe(operations):
    missing = [operation for operation in operations if operation.id not in RECIPES and not operation.is_open]
    assert not missing, f"write recipes in rig/recipes.py for: {missing}"


def test_operations_without_an_authorisation_test_are_the_known_ones(operations):
    """Whoever opens an operation to everybody, or takes its action away, has to say so here."""
    assert {operation.id for operation in operations if operation.is_open} == OPEN
    without_action = {operation.id for operation in operations if not operation.is_open and not operation.action}
    assert without_action == FOR_EVERY_CALLER | OWN_ACCOUNT


def test_recipes_are_of_operations_that_are_there(operations):
    ids = {operation.id for operation in operations}
    assert {name for name in RECIPES if name not in ids} == set()
    assert {name for name, _ in FOREIGN if name not in ids} == set()


# --- the matrix -------------------------------------------------------------------------------------------------------

def test_no_credentials(platform, checked, theirs):
    report, rest, before = Report(), Rest(platform), theirs.shown()
    for operation in checked:
        answer = send(rest, operation, RECIPES[operation.id](theirs), signed=False)
        report.expect((answer.status, told(answer)) == (401, UNAUTHENTICATED), operation, answer, "401 expected")
    report.done()
    assert theirs.shown() == before


def test_another_project(platform, checked, theirs):
    report, rest, before = Report(), Rest(platform), theirs.shown()
    for operation in (operation for operation in checked if operation.of_project):
        answer = send(rest, operation, RECIPES[operation.id](theirs), project_id="0" * 32)
        report.expect((answer.status, told(answer)) == (403, WRONG_PROJECT), operation, answer, "403 expected")
    report.done()
    assert theirs.shown() == before


def test_a_user_without_policies(platform, checked, theirs, identity):
    report, rest, before = Report(), identity.person().rest(), theirs.shown()
    for operation in checked:
        answer = send(rest, operation, RECIPES[operation.id](theirs))
        if operation.id in FOR_EVERY_CALLER:
            report.expect(answer.status == 200, operation, answer, "200 expected")
            continue
        report.expect((answer.status, told(answer)) == (403, NOT_PERMITTED), operation, answer, "403 expected")
        report.expect(answer.json.get("error_msg") == TEXT, operation, answer, "the text of the guide expected")
    report.done()
    assert theirs.shown() == before


def test_a_read_only_user(platform, checked, theirs, identity):
    report, rest, before = Report(), identity.person(system="IoTDA ReadOnlyAccess").rest(), theirs.shown()
    for operation in (operation for operation in checked if operation.action or operation.id in OWN_ACCOUNT):
        answer = send(rest, operation, RECIPES[operation.id](theirs))
        if operation.reads and operation.action.startswith("iotda:"):
            report.expect(told(answer) != NOT_PERMITTED and answer.status != 401, operation, answer, "may be read")
            report.expect(answer.status < 500, operation, answer, "no fault expected")
            continue
        report.expect((answer.status, told(answer)) == (403, NOT_PERMITTED), operation, answer, "403 expected")
        report.expect(answer.json.get("error_msg") == TEXT, operation, answer, "the text of the guide expected")
    report.done()
    assert theirs.shown() == before


def check_stranger(report: Report, operation: Operation, answer, theirs: Things, what: str):
    """Refused as if it were not there, or an answer that knows nothing of the other space."""
    report.expect(answer.status < 500, operation, answer, f"no fault expected for {what}")
    if answer.status < 400:
        report.expect(operation.reads or operation.id in OF_THE_CALLER, operation, answer, f"{what} must be refused")
        if operation.path.endswith(("openapi.json",)):
            return
        leaked = [mark for mark in theirs.marks if mark in answer.content.decode(errors="replace")]
        report.expect(not leaked, operation, answer, f"{what} tells of the other space")
    else:
        report.expect(answer.status in (403, 404), operation, answer, f"{what}: 403 or 404 expected")


def test_a_user_of_another_space(platform, checked, mine, theirs, identity):
    report, rest, before = Report(), identity.person(allow("iotda:*:*", apps=[mine.app_id])).rest(), theirs.shown()
    for operation in (operation for operation in checked if operation.action or operation.id in OWN_ACCOUNT):
        answer = send(rest, operation, RECIPES[operation.id](theirs))
        check_stranger(report, operation, answer, theirs, "what belongs to another space")
        if not operation.action.startswith("iotda:"):
            report.expect(told(answer) == NOT_PERMITTED, operation, answer, "403 expected")
    report.done()
    assert theirs.shown() == before


def test_things_of_another_space_in_bodies_and_queries(platform, operations, mine, theirs, identity):
    report, rest = Report(), identity.person(allow("iotda:*:*", apps=[mine.app_id])).rest()
    mine.shown()
    before, own_before = theirs.shown(), mine.shown()
    by_id = {operation.id: operation for operation in operations}
    for name, make in FOREIGN:
        operation, request = by_id[name], make(theirs, mine)
        answer = send(rest, operation, request)
        what = f"{json.dumps(request.json or request.query)[:200]}"
        if answer.status < 400 and not operation.reads:
            # Bulk calls tell of each target; none of the other space may be done, or be told apart from one that is not there.
            done = answer.json.get("success_targets")
            report.expect(done == [], operation, answer, f"{what}: every target must fail")
            continue
        if answer.status == 400:
            # A gateway or product in a body that is not there is a fault of the body.
            report.expect(not any(word in answer.text for word in ("permission", "belongs to")), operation, answer, what)
            continue
        check_stranger(report, operation, answer, theirs, what)
    report.done()
    assert theirs.shown() == before
    assert mine.shown() == own_before


def test_a_user_sees_its_own_space(platform, checked, mine, identity):
    """The other side: what is refused above is not refused to everybody."""
    report, rest = Report(), identity.person(allow("iotda:*:*", apps=[mine.app_id])).rest()
    seen = 0
    for operation in (operation for operation in checked if operation.action.startswith("iotda:") and operation.reads):
        answer = send(rest, operation, RECIPES[operation.id](mine))
        report.expect(answer.status not in (401, 500, 501), operation, answer, "may be read")
        seen += mine.mark in answer.content.decode(errors="replace")
    report.done()
    assert seen >= 12, "lists and records of the own space bear its mark"
