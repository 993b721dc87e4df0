"""For an HAProxy that Lighthouse does not support, which `.ci/test-versions` gives."""

import subprocess

import pytest

from lighthouse.haproxy.running import parse_version
from lighthouse.haproxy.versions import OLDEST, parsed
from support.haproxy import haproxy


@pytest.fixture(scope="session")
def version():
    said = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=True).stdout
    found = parse_version(said.split("version ", 1)[1])
    if parsed(found) >= OLDEST:
        pytest.skip(f"HAProxy {found} is new enough")
    return found


@pytest.fixture
def paths(tmp_path):
    with haproxy(tmp_path) as found:
        yield found
