"""A plugin written for lighthouse 1.0 keeps what every discovery owes, in both spellings that were documented."""

import pytest

from lighthouse.testing.registry import Feature
from lighthouse.testing.suite import DiscoverySuite
from lighthouse.testing.suite.announcing import Announcing
from lighthouse.testing.suite.watching import Watching
from support.zookeeper_registry import ZookeeperRegistry


class TestWithPort(DiscoverySuite):
    """``report_up(service, port)``, and ``should_update`` is called."""

    @pytest.fixture
    def registry(self, zookeeper):
        with ZookeeperRegistry(zookeeper, "support.classic:WithPort", Feature.NONE) as registry:
            yield registry


class TestWithoutPort(Announcing):
    """``report_up(service)``, and ``should_update`` is set. The rest of the suite meets no other spelling."""

    test_members_that_join_and_leave_are_told = Watching.test_members_that_join_and_leave_are_told

    @pytest.fixture
    def registry(self, zookeeper):
        with ZookeeperRegistry(zookeeper, "support.classic:WithoutPort", Feature.NONE) as registry:
            yield registry
