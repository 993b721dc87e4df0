"""A host under test with its discovery on a real ZooKeeper, turned the way the worker does it, and an observer beside it."""

import select
import threading
import time

from lighthouse.cluster import Cluster
from lighthouse.discovery import Announcement, Wanted
from lighthouse.node import Node
from lighthouse.service import Service
from lighthouse.zookeeper import ZookeeperDiscovery
from support.wait import until


class Host:
    """One host: its discovery and the clusters that it watches."""

    def __init__(self, realm, name="host-a", ip="10.0.0.1", *, hosts=None, handover=None, start=True, **options):
        self.name = name
        self.ip = ip
        self.told = {}
        self.config = {"hosts": hosts or realm.hosts, "path": realm.path, "session_timeout": 10.0, **options}
        ZookeeperDiscovery.validate_config(self.config)
        self.discovery = ZookeeperDiscovery()
        self.discovery.apply_config(self.config)
        if handover:
            self.discovery.resume(handover)
        if start:
            self.discovery.connect()
            self.discovery.handover()

    @property
    def session(self):
        return self.discovery._connection.session

    def watch(self, name):
        cluster = Cluster(name)
        self.told[name] = 0

        def should_update():
            self.told[name] += 1

        self.discovery.start_watching(cluster, should_update)
        return cluster

    def node(self, port=80, **metadata):
        return Node(self.name, self.ip, port, metadata)

    def item(self, service="web", port=80, wanted=Wanted.UP, **metadata):
        return Announcement(Service(service, (port,)), port, wanted, self.node(port, **metadata))

    def announce(self, *items):
        """As the worker does it: again until it is not refused."""
        until(lambda: self._announce(items), what=lambda: f"announced: {self.maintain()}")

    def _announce(self, items):
        from lighthouse.errors import RegistryError

        try:
            self.discovery.announce(items)
        except RegistryError:
            return False
        finally:
            self.discovery.handover()
        return True

    def maintain(self):
        report = self.discovery.maintain()
        self.discovery.handover()
        return report

    def turn(self):
        """One turn of the worker's loop: wait for the descriptor or the period, then maintain."""
        fd = self.discovery.watch_fd()
        if fd is not None:
            select.select([fd], [], [], min(self.discovery.period, 0.05))
        return self.maintain()

    def until(self, condition, *, within=30.0, what="condition"):
        """Turn until a condition holds; returns the last report."""
        deadline = time.monotonic() + within
        while True:
            report = self.turn()
            if condition(report):
                return report
            assert time.monotonic() < deadline, f"{what} did not come true: {report}"

    def complete(self):
        return self.until(lambda report: report.complete, what="a complete picture")

    def sees(self, cluster, *expected, within=30.0):
        wanted = list(expected)
        return self.until(
            lambda _: names(cluster) == wanted,
            what=lambda: f"{cluster.name} is {wanted}: {names(cluster)}",
            within=within,
        )

    def stop(self):
        self.discovery.disconnect()

    def next_generation(self):
        """Leave, and return what the next life of the worker gets."""
        handover = self.discovery.handover()
        self.stop()
        return handover


def names(cluster):
    return None if cluster.nodes is None else [node.name for node in cluster.nodes]


class Observer:
    """Another client's view of some znodes: every event, with no gap between two watches."""

    def __init__(self, client, *paths):
        self.events = []
        self._client = client
        self._lock = threading.Lock()
        for path in paths:
            self._watch(path)

    def _watch(self, path):
        if path.count(":"):
            self._client.exists(path, watch=self._event)
        else:
            self._client.get_children(path, watch=self._event)

    def _event(self, event):
        with self._lock:
            self.events.append((event.type, event.path))
