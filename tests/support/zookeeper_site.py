"""A whole site whose registry is ZooKeeper, and the two who look on: one at the znodes, one at everything."""

import time
from contextlib import contextmanager

from kazoo.exceptions import NoNodeError

from lighthouse.node import Node
from support.haproxy import Load
from support.site import Site
from support.wait import until
from support.watcher import Servers

SESSION = 4.0  # seconds until ZooKeeper drops a session; longer than a hang lasts until its worker is replaced


class ZookeeperSite(Site):
    """A supervisor, HAProxy and web instances on a path of a real ZooKeeper; `hosts` are where Lighthouse connects."""

    def __init__(self, root, realm, hosts, *, instances=2, settings=None, **options):
        config = {"plugin": "zoo_zookeeper", "hosts": hosts, "path": realm.path, "session_timeout": SESSION, **options}
        super().__init__(root, instances=instances, settings=settings, discovery=("zk", config))
        self.realm = realm
        self.client = realm.client(timeout=30.0)
        self.folder = f"{realm.path}/web"

    @property
    def names(self):
        return {f"testhost:{web.port}" for web in self.webs}

    def renew(self, hosts=None):
        """Take a new client: after a loss of data because the old one has seen more than the servers, and they refuse it."""
        self.client.stop()
        self.client = self.realm.client(hosts=hosts, timeout=30.0)

    def announced(self):
        """What stands in the registry, as of now."""
        try:
            self.client.sync(self.folder)
            return set(self.client.retry(self.client.get_children, self.folder))
        except NoNodeError:
            return set()

    def wait_announced(self, within=60):
        until(lambda: self.announced() >= self.names, within=within, what=lambda: f"announcements; {self.tail()}")

    def tail(self):
        return self.stack.tail("discovery/zk")

    def worker(self):
        return self.stack.worker("discovery/zk")

    def join(self, name):
        """Announce another node that is served by one of our instances, as another host would."""
        host, _, port = name.rpartition(":")
        record = Node(host, "127.0.0.1", int(port)).serialize().encode()
        self.client.retry(self.client.create, f"{self.folder}/{name}", record, ephemeral=True)

    def leave(self, name):
        self.client.retry(self.client.delete, f"{self.folder}/{name}")

    def touch(self):
        """Change something that is watched, so that the plugin is called now."""
        self.join(f"touch:{self.webs[0].port}")
        self.leave(f"touch:{self.webs[0].port}")

    def serves(self, name):
        return name in Servers(self).there()

    def wait_working(self, number=0):
        """Until a member that joins now is in rotation, and out of it when it leaves."""
        name = f"other{number}:{self.webs[0].port}"
        self.join(name)
        until(lambda: self.serves(name), within=60, what=lambda: f"{name} in rotation; {self.tail()}")
        self.leave(name)
        until(lambda: not self.serves(name), within=60, what=lambda: f"{name} out of rotation; {self.tail()}")

    @contextmanager
    def peace(self):
        """No request fails and no member leaves HAProxy in the block."""
        load, servers = Load(self.port, threads=3, rate=150), Servers(self)
        begin = time.monotonic()
        with load, servers:
            yield
        print(f"{load.total} requests in {time.monotonic() - begin:.1f} s")
        assert load.failed == []
        assert load.total > 0
        assert servers.looks > 0
        assert servers.missing == []


class Witness:
    """Sees what any other host's client would see of these znodes: watches on each, and at the end their transaction ids."""

    def __init__(self, client, folder, names):
        self._client = client
        self._paths = [f"{folder}/{name}" for name in sorted(names)]
        self._ended = False
        self.seen = []

    def __enter__(self):
        self._before = {path: self._stat(path, self._fired) for path in self._paths}
        assert all(self._before.values()), self._before
        return self

    def __exit__(self, *_):
        self._ended = True

    def events(self):
        """What the watches told, and what the transaction ids tell of what they missed."""
        now = {path: self._stat(path) for path in self._paths}
        changed = [
            f"{path}: {self._before[path]} -> {now[path]}" for path in self._paths if now[path] != self._before[path]
        ]
        return self.seen + changed

    def _stat(self, path, watch=None):
        self._client.retry(self._client.sync, path)
        stat = self._client.retry(self._client.exists, path, watch=watch)
        return stat and (stat.czxid, stat.mzxid, stat.ephemeralOwner)

    def _fired(self, event):
        """A watch fires once; what comes after it shows in the transaction ids."""
        if event.type != "NONE" and not self._ended:
            self.seen.append(f"{event.type} {event.path}")
