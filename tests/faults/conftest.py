"""One site per test module, so that a fault meets a system that has met others before."""

import pytest

from support.site import Site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("site"))
    try:
        yield site.start()
    finally:
        assert site.stop() == 0
