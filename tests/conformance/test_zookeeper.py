"""ZooKeeper keeps what a discovery owes."""

import pytest

from lighthouse.testing.registry import Feature
from lighthouse.testing.suite import DiscoverySuite
from support.zookeeper_registry import ZookeeperRegistry

SESSION = 3.0  # seconds
PASSWORD = "nobody-may-read-this"


class TestZookeeper(DiscoverySuite):
    @pytest.fixture
    def registry(self, zookeeper, tmp_path):
        file = tmp_path / "password"
        file.write_text(PASSWORD)
        auth = {"scheme": "digest", "user": "lighthouse", "password_file": str(file)}
        config = {"session_timeout": SESSION, "auth": auth}
        plugin = "lighthouse.zookeeper:ZookeeperDiscovery"
        with ZookeeperRegistry(zookeeper, plugin, Feature.ALL, config, secrets=(PASSWORD,)) as registry:
            yield registry
