"""What the tests of HAProxy share."""

import pytest

from support.haproxy import haproxy


@pytest.fixture
def paths(tmp_path):
    with haproxy(tmp_path) as found:
        yield found
