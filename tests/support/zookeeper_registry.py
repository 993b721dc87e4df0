"""ZooKeeper as the conformance suite sees it: the plugin goes through a proxy that can fail, the suite goes straight."""

from kazoo.exceptions import NodeExistsError, NoNodeError

from lighthouse.testing.registry import Change, Event
from support.faultproxy import FaultProxy


class ZxidObserver:
    """Sees by the transaction ids that ZooKeeper keeps of every node, so nothing that happened between two looks is overlooked.

    A node that was deleted and made again has another ``czxid``, one that was written another ``mzxid``.
    """

    def __init__(self, client, path):
        self._client = client
        self._path = path
        self._events = []
        client.ensure_path(path)
        self._known = self._look()

    def _look(self):
        self._client.sync(self._path)
        found = {}
        for name in self._client.get_children(self._path):
            stat = self._client.exists(f"{self._path}/{name}")
            if stat:
                found[name] = (stat.czxid, stat.mzxid)
        return found

    def events(self):
        now = self._look()
        for name in sorted(now.keys() | self._known.keys()):
            before, after = self._known.get(name, (None, None)), now.get(name, (None, None))
            if before[0] != after[0]:
                self._events += [Event(Change.GONE, name)] * (before[0] is not None)
                self._events += [Event(Change.CAME, name)] * (after[0] is not None)
            elif before[1] != after[1]:
                self._events.append(Event(Change.CHANGED, name))
        self._known = now
        return self._events

    def close(self):
        """Its client ends with the test."""


class ZookeeperRegistry:
    """A path of its own on a real server."""

    outages = ("refused", "silent")

    def __init__(self, realm, plugin, features, config=None, secrets=()):
        self.secrets = secrets
        self.plugin = plugin
        self.features = features
        self._proxy = FaultProxy(realm.ensemble.servers[0].port)
        self._client = realm.client()
        self._path = realm.path
        self.config = {"hosts": [self._proxy.address], "path": realm.path, **(config or {})}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._proxy.close()

    def write(self, service, name, record):
        path = f"{self._path}/{service}/{name}"
        while True:
            try:
                self._client.create(path, record, ephemeral=True, makepath=True)
            except NodeExistsError:
                try:
                    self._client.set(path, record)
                except NoNodeError:
                    continue
            return

    def remove(self, service, name):
        self._client.delete(f"{self._path}/{service}/{name}")

    def read(self, service):
        found = {}
        path = f"{self._path}/{service}"
        try:
            for name in self._client.get_children(path):
                found[name] = self._client.get(f"{path}/{name}")[0]
        except NoNodeError:
            return found
        return found

    def observe(self, service):
        return ZxidObserver(self._client, f"{self._path}/{service}")

    def cut(self, how):
        if how == "refused":
            self._proxy.refuse()
            self._proxy.cut()
        else:
            self._proxy.hold()

    def mend(self):
        self._proxy.accept()
        self._proxy.pass_on()
