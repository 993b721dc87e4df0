"""ZooKeeper as registry: announcements that live as long as a session, and watches instead of polling."""

from lighthouse.zookeeper.discovery import ZookeeperDiscovery

__all__ = ["ZookeeperDiscovery"]
