"""What operators use: the command line, health, metrics, the OpenAPI document (E7)."""

import inspect
import json
import os
import re
import socket
import subprocess
import time

import pytest
from huaweicloudsdkiotda.v5 import IoTDAClient
from openapi_spec_validator import validate
from prometheus_client.parser import text_string_to_metric_families

from rig.deadline import wait_for
from rig.load import Reporter
from rig.platform_process import LISTEN_KEYS, binary, run_causeway
from rig.postgres_cluster import PostgresCluster
from rig.rest import Rest
from test_not_built import BUILT


def get(platform, path, door="http"):
    return Rest(platform, door).call("GET", f"/{path}", signed=False)


# --- health and metrics -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health(platform, path):
    assert get(platform, path).status == 200


def test_not_ready_without_its_database(platform_factory, store, new_store_url):
    """Alive, but not ready, while PostgreSQL cannot be reached; SQLite lives in the same process."""
    if store == "sqlite":
        platform = platform_factory().start()
        assert get(platform, "/readyz").status == 200
        platform.close()
        return

    cluster = PostgresCluster().start()
    platform = platform_factory(store_url=cluster.create_database()).start()
    try:
        assert get(platform, "/readyz").status == 200
        cluster.stop()
        wait_for(lambda: get(platform, "/readyz").status == 503, 30, "the platform to notice")
        assert get(platform, "/healthz").status == 200
        assert platform.running
    finally:
        platform.close()
        cluster.stop()


def test_metrics_are_prometheus_text(world):
    device = world.device()
    device.connect().report(value=1)
    answer = get(world.platform, "/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    own = [name for name in families if name.startswith("causeway_")]
    assert own
    assert device.device_id not in answer.text, "a label per device has no bound"


# --- OpenAPI ----------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def document(platform) -> dict:
    return get(platform, "/v5/openapi.json").must_be(200).json


def test_openapi_is_valid(document):
    validate(document)


def sdk_paths() -> set[tuple[str, str]]:
    found = set()
    for operation in BUILT:
        source = inspect.getsource(getattr(IoTDAClient, f"_{operation}_http_info"))
        found.add((re.search(r'"method": "(\w+)"', source).group(1).lower(),
                   re.search(r'"resource_path": "([^"]+)"', source).group(1)))
    return found


OWN = {
    ("post", "/v5/iot/{project_id}/products/{product_id}/topics"), ("get", "/v5/iot/{project_id}/products/{product_id}/topics"),
    ("delete", "/v5/iot/{project_id}/products/{product_id}/topics/{topic_id}"),
    ("put", "/v5/iot/{project_id}/apps/{app_id}/push"), ("get", "/v5/iot/{project_id}/apps/{app_id}/push"),
    ("delete", "/v5/iot/{project_id}/apps/{app_id}/push"), ("get", "/v5/iot/{project_id}/devices/{device_id}/history"),
    ("post", "/v3/auth/tokens"),
}


@pytest.mark.parametrize("method,path", sorted(sdk_paths() | OWN))
def test_openapi_describes_every_operation(document, method, path):
    assert path in document["paths"], sorted(document["paths"])
    operation = document["paths"][path][method]
    assert operation["responses"]
    assert operation.get("summary") or operation.get("description")


def test_openapi_says_501_exactly_where_it_is_answered(document, world):
    for path, operations in document["paths"].items():
        if "get" not in operations or not path.startswith("/v5/iot/"):
            continue
        concrete = path.replace("/v5/iot/{project_id}", "")
        while "{" in concrete:
            start, end = concrete.index("{"), concrete.index("}")
            concrete = concrete[:start] + "a" * 24 + concrete[end + 1:]
        is_built = "501" not in operations["get"]["responses"]
        assert (world.rest.get(concrete).status != 501) == is_built, path


# --- command line -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments", [[], ["serve"], ["backup"], ["restore"], ["sim"], ["demo"], ["bench"]], ids=str)
def test_help(arguments):
    done = run_causeway(*arguments, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout and len(done.stdout) > 100


def test_version(platform):
    done = run_causeway("--version")
    assert done.returncode == 0
    assert platform.ready["version"] in done.stdout


def test_ready_file(platform):
    ready = platform.ready
    assert set(ready["addresses"]) >= set(LISTEN_KEYS)
    assert ready["pid"] == platform.pid
    for door in LISTEN_KEYS:
        socket.create_connection(platform.address(door), timeout=5).close()
    assert "BEGIN CERTIFICATE" in open(ready["ca_cert"]).read()
    for key in ("project_id", "instance_id", "default_app_id"):
        assert ready[key]
    assert set(ready["admin"]) >= {"user", "password"} and set(ready["access_key"]) >= {"ak", "sk"}


def serve(tmp_path, *arguments) -> subprocess.CompletedProcess:
    """A start that must fail, and soon."""
    everywhere = [part for key in LISTEN_KEYS for part in ("--set", f"listen.{key}=127.0.0.1:0")]
    return subprocess.run([str(binary()), "serve", "--data", str(tmp_path / "data"), *everywhere, *arguments],
                          capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("key", LISTEN_KEYS)
def test_a_taken_port_is_an_error_that_names_the_key(tmp_path, key):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = serve(tmp_path, "--set", f"listen.{key}=127.0.0.1:{taken.getsockname()[1]}")
    assert done.returncode != 0
    assert f"listen.{key}" in done.stderr
    assert "panicked" not in done.stderr


@pytest.mark.parametrize("setting,named", [
    ("no.such.key=1", "no.such.key"), ("listen.mqtt=nonsense", "listen.mqtt"), ("command.timeout=soon", "command.timeout"),
    ("listen.mqtt", "listen.mqtt"), ("push.allow_private=perhaps", "push.allow_private"),
])
def test_a_wrong_setting_is_an_error_that_names_it(tmp_path, setting, named):
    done = serve(tmp_path, "--set", setting)
    assert done.returncode != 0
    assert named in done.stderr
    assert "panicked" not in done.stderr


def test_config_file(platform_factory, tmp_path):
    """A file sets what the command line sets; the command line wins."""
    config = tmp_path / "causeway.toml"
    lines = [f'{key} = "127.0.0.1:0"' for key in LISTEN_KEYS]
    config.write_text("[listen]\n" + "\n".join(lines) + "\n[command]\ntimeout = \"1s\"\n")
    ready = tmp_path / "ready.json"
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", str(binary()), "serve", "--data", str(tmp_path / "data"), "--config", str(config),
         "--ready-file", str(ready)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:

        def is_ready():
            assert process.poll() is None, "ended"
            return ready.exists() and json.loads(ready.read_text() or "{}")

        assert set(wait_for(is_ready, 30, "the ready file")["addresses"]) >= set(LISTEN_KEYS)
    finally:
        process.terminate()
        process.wait(20)


def test_an_unreachable_store_is_a_clear_error(tmp_path):
    done = serve(tmp_path, "--set", "store.url=postgres://causeway:very-secret@127.0.0.1:9/causeway")
    assert done.returncode != 0
    assert "store.url" in done.stderr
    assert "very-secret" not in done.stderr + done.stdout


def test_an_unknown_store_is_a_clear_error(tmp_path):
    done = serve(tmp_path, "--set", "store.url=oracle://x")
    assert done.returncode != 0
    assert "store.url" in done.stderr


def test_a_second_platform_on_the_same_data_is_refused(own_platform):
    """Two writers on one data folder would break each other's promises."""
    arguments = [part for key in LISTEN_KEYS for part in ("--set", f"listen.{key}=127.0.0.1:0")]
    if own_platform.store_url:
        arguments += ["--set", f"store.url={own_platform.store_url}"]
    done = subprocess.run([str(binary()), "serve", "--data", str(own_platform.data), *arguments], capture_output=True,
                          text=True, timeout=30)
    assert done.returncode != 0
    assert "panicked" not in done.stderr
    assert get(own_platform, "/healthz").status == 200


def test_memory_is_bounded_while_thousands_report(own_world):
    """A quick look, not a benchmark: 3,000 acknowledged reports do not swell the process."""

    def resident_mb() -> float:
        with open(f"/proc/{own_world.platform.pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)

    reporters = [Reporter(own_world.device()) for _ in range(4)]
    before = resident_mb()
    for reporter in reporters:
        reporter.start()
    wait_for(lambda: sum(len(reporter.acknowledged) for reporter in reporters) >= 3000, 60, "3,000 acknowledgements")
    for reporter in reporters:
        reporter.stop()
    for reporter in reporters:
        reporter.join()
    assert resident_mb() - before < 200


# --- rest --------------------------------------------------------------------------------------------------------------

def test_an_idle_platform_rests(platform_factory):
    """With nothing to do it uses next to no CPU: the batch engine once span a core."""
    platform = platform_factory().start()

    def cpu_seconds():
        fields = open(f"/proc/{platform.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    time.sleep(2)  # what starts in the background ends
    before = cpu_seconds()
    time.sleep(4)
    assert cpu_seconds() - before < 0.8
