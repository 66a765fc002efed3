"""Fixtures of the black-box suite.

`platform` is one running platform per worker that most tests share: a test that uses it makes its own devices and
judges only those. A test that restarts the platform, moves its clock or fills it takes `own_platform`.
"""

import shutil
import tempfile
from pathlib import Path

import pytest

from rig.platform_process import PlatformProcess
from rig.postgres_cluster import PostgresCluster
from rig.world import World


def pytest_addoption(parser):
    parser.addoption("--store", choices=("sqlite", "postgres"), default="sqlite",
                     help="the store behind the platform (default: sqlite)")
    parser.addoption("--keep", action="store_true", help="keep the platforms' folders, with data and logs")


def pytest_report_header(config):
    return f"store: {config.getoption('--store')}"


@pytest.fixture(scope="session")
def store(request) -> str:
    return request.config.getoption("--store")


@pytest.fixture(scope="session")
def new_store_url(store):
    """A function that makes an empty store and returns its URL: None for SQLite in the data folder."""
    if store == "sqlite":
        yield lambda: None
        return
    cluster = PostgresCluster()
    try:
        cluster.start()
        yield cluster.create_database
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def platform_factory(request, new_store_url):
    """Makes platforms that are not started yet; each has its own folder and its own store."""
    made: list[PlatformProcess] = []
    root = Path(tempfile.mkdtemp(prefix="causeway-tests-"))

    def make(settings: dict | None = None, store_url: str | None = ...) -> PlatformProcess:
        url = new_store_url() if store_url is ... else store_url
        platform = PlatformProcess(root / f"platform{len(made)}", url, settings)
        made.append(platform)
        return platform

    yield make
    for platform in made:
        platform.close()
    if request.config.getoption("--keep"):
        print(f"\nplatform folders kept in {root}")
    else:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def platform(platform_factory) -> PlatformProcess:
    return platform_factory().start()


@pytest.fixture(autouse=True)
def _shared_platform_survives(request):
    """Whatever a test does to the shared platform, it must still run afterwards; its log is shown when it does not."""
    yield
    if "platform" in request.fixturenames:
        shared = request.getfixturevalue("platform")
        assert shared.running, f"the platform ended:\n{shared.log_tail()}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failed test shows the end of the platform's log."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for name in ("own_platform", "platform"):
            found = item.funcargs.get(name)
            if isinstance(found, PlatformProcess):
                report.sections.append((f"log of {name}", found.log_tail()))
                break


@pytest.fixture
def own_platform(platform_factory):
    """A fresh running platform for one test."""
    platform = platform_factory().start()
    yield platform
    platform.close()


@pytest.fixture(scope="session")
def shared_product(platform) -> str:
    return World(platform).product()


@pytest.fixture
def world(platform, shared_product):
    """The shared platform."""
    made = World(platform)
    made._product_id = shared_product
    yield made
    made.close()


@pytest.fixture
def own_world(own_platform):
    """The test's own platform."""
    made = World(own_platform)
    yield made
    made.close()
