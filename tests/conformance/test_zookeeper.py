"""ZooKeeper keeps what a discovery owes."""

import pytest

from lighthouse.testing.registry import Feature
from lighthouse.testing.suite import DiscoverySuite
from support.zookeeper_registry import ZookeeperRegistry

SESSION = 3.0  # seconds


class TestZookeeper(DiscoverySuite):
    @pytest.fixture
    def registry(self, zookeeper):
        plugin = "lighthouse.zookeeper:ZookeeperDiscovery"
        with ZookeeperRegistry(zookeeper, plugin, Feature.ALL, {"session_timeout": SESSION}) as registry:
            yield registry
