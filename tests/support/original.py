"""What lighthouse 1.0 does with ZooKeeper, as strictly as it does it: what it cannot read, nobody may write beside it.

It reads all children of a cluster whenever one comes or goes. A record without ``ip`` or ``port`` is left out; anything else that
is wrong with one aborts the whole update, so such a record would stop every 1.0 of the fleet.
"""

import json
from dataclasses import dataclass

from kazoo.exceptions import NodeExistsError, NoNodeError


@dataclass(frozen=True)
class OriginalNode:
    host: str
    ip: str
    port: int
    peer: tuple
    metadata: object


def read(record, own_peer=("reader", "127.0.0.1", 1024)):
    """A node as 1.0 reads it. Raises `ValueError` where it leaves a record out, anything else where it would stop."""
    data = json.loads(record.decode("utf-8"))
    if "ip" not in data or "port" not in data:
        raise ValueError("no ip or port")
    if "peer" in data:
        peer = json.loads(data["peer"])  # a text; anything else is a TypeError
        own_peer = (peer["name"], peer["ip"], peer.get("port", 1024))
    host = data["host"]  # what 1.0 falls back to does not exist
    if not isinstance(data["port"], int):
        raise TypeError("1.0 takes it for a number, and never looks")
    return OriginalNode(host, data["ip"], data["port"], own_peer, data.get("metadata", {}))


def written(host, ip, port, metadata=None):
    """A record as 1.0 writes it, byte for byte."""
    peer = json.dumps({"ip": ip, "name": host, "port": 1024}, sort_keys=True)
    record = {
        "host": host,
        "ip": ip,
        "metadata": json.dumps(metadata or {}, sort_keys=True),
        "peer": peer,
        "port": port,
    }
    return json.dumps(record, sort_keys=True).encode()


class Reporter:
    """The half of 1.0 that announces; its znodes live as long as its client's session."""

    def __init__(self, client, path):
        self.client = client
        self.path = path

    def report_up(self, service, host, port, **metadata):
        path, data = f"{self.path}/{service}/{host}:{port}", written(host, "127.0.0.1", port, metadata)
        try:
            self.client.create(path, data, ephemeral=True, makepath=True)
        except NodeExistsError:
            if self.client.exists(path).ephemeralOwner == self.client.client_id[0]:
                self.client.set(path, data)
                return
            transaction = self.client.transaction()
            transaction.delete(path)
            transaction.create(path, data, ephemeral=True)
            transaction.commit()

    def report_down(self, service, host, port):
        try:
            self.client.delete(f"{self.path}/{service}/{host}:{port}")
        except NoNodeError:
            return


class Writer:
    """The half of 1.0 that consumes: ``updates`` holds the members by name after each of its updates."""

    def __init__(self, client, path, cluster, told=lambda: None):
        self._client = client
        self._path = f"{path}/{cluster}"
        self._told = told
        self._stopped = False
        self.updates = []
        self.broken = []
        client.ensure_path(self._path)  # it polls until it is there
        client.ChildrenWatch(self._path, self._update)

    @property
    def members(self):
        return set(self.updates[-1]) if self.updates else set()

    def stop(self):
        """Watch no longer, from the next event on."""
        self._stopped = True

    def _update(self, names):
        if self._stopped:
            return False
        nodes = {}
        try:
            for name in names:
                try:
                    node = read(self._client.get(f"{self._path}/{name}")[0])
                except (ValueError, NoNodeError):
                    continue
                nodes[f"{node.host}:{node.port}"] = node
        except Exception as error:
            self.broken.append(repr(error))
        else:
            self.updates.append(nodes)
        self._told()
        return True
