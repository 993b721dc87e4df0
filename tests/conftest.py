"""Settings and servers that all tests share."""

import os
import signal
import subprocess
import threading

import pytest
from hypothesis import HealthCheck, settings

from support.wait import until

# Examples are not timed: the machine may be busy, and slowness is measured in benchmarks/. Where CI judges a change, each run
# has the same examples; new ones are searched for on developers' machines.
settings.register_profile(
    "lighthouse", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("lighthouse")

# An HAProxy other than the installed one. The product, its tests and all that they start find it by its name in PATH.
if program := os.environ.get("HAPROXY_PROGRAM"):
    os.environ["PATH"] = f"{os.path.dirname(os.path.abspath(program))}:{os.environ['PATH']}"


def pytest_report_header():
    try:
        return subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=False).stdout.partition("\n")[0]
    except OSError:
        return "no HAProxy in PATH"


# A shell starts jobs in the background with SIGINT ignored, which what the tests start would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module", autouse=True)
def no_thread_is_left():
    """A thread that outlives its module keeps later ones from forking."""
    before = set(threading.enumerate())
    yield
    until(lambda: set(threading.enumerate()) <= before, what=lambda: f"end of {set(threading.enumerate()) - before}")


@pytest.fixture(scope="session")
def zookeeper_server(tmp_path_factory):
    """One ZooKeeper for all tests that do it no harm."""
    from support.zookeeper import Ensemble

    server = Ensemble(tmp_path_factory.mktemp("zookeeper"))
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def zookeeper(zookeeper_server):
    """A path of its own on the shared ZooKeeper, with clients that end with the test."""
    from support.zookeeper import Realm

    realm = Realm(zookeeper_server)
    yield realm
    realm.close()


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory):
    """Three servers that a module's tests may harm, as long as they mend what they break."""
    from support.zookeeper import Ensemble

    servers = Ensemble(tmp_path_factory.mktemp("ensemble"), 3)
    try:
        yield servers.start()
    finally:
        servers.stop()


@pytest.fixture
def realm(ensemble):
    """A path of its own on the ensemble; all members serve when the test begins."""
    from support.zookeeper import Realm

    ensemble.start()
    realm = Realm(ensemble)
    yield realm
    realm.close()
