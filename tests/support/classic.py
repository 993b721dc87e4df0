"""Discoveries in the shape of lighthouse 1.0: the classic methods only, threads of their own, and each documented spelling."""

import threading

from kazoo.client import KazooClient
from kazoo.exceptions import NodeExistsError, NoNodeError
from kazoo.recipe.watchers import ChildrenWatch

from lighthouse.discovery import Discovery
from lighthouse.errors import NodeError
from lighthouse.node import Node

TIMEOUT = 3.0  # seconds of session


class Classic(Discovery):
    """What 1.0 did with ZooKeeper: wait for a cluster's path in a thread, then read all children whenever one comes or goes."""

    def apply_config(self, config):
        self.hosts = ",".join(config["hosts"])
        self.path = config["path"]
        self.client = None
        self.stopped = {}

    def connect(self):
        if self.client is not None:
            self.client.stop()
            self.client.close()
        self.client = KazooClient(hosts=self.hosts, timeout=TIMEOUT)
        self.client.start(timeout=5)

    def disconnect(self):
        for stopped in self.stopped.values():
            stopped.set()
        if self.client is not None:
            self.client.stop()

    def start_watching(self, cluster, should_update):
        stopped = self.stopped[cluster.name] = threading.Event()
        threading.Thread(target=self._wait, args=(cluster, should_update, stopped), daemon=True).start()

    def stop_watching(self, cluster):
        self.stopped.pop(cluster.name).set()

    def _wait(self, cluster, should_update, stopped):
        path = f"{self.path}/{cluster.name}"
        while not stopped.is_set():
            if self.client.retry(self.client.exists, path):
                ChildrenWatch(self.client, path, lambda names: self._read(path, names, cluster, should_update, stopped))
                return
            stopped.wait(0.1)

    def _read(self, path, names, cluster, should_update, stopped):
        if stopped.is_set():
            return False
        nodes = []
        for name in names:
            try:
                nodes.append(Node.deserialize(self.client.retry(self.client.get, f"{path}/{name}")[0]))
            except (NoNodeError, NodeError):
                continue
        cluster.nodes = nodes
        self.tell(should_update)
        return True

    def tell(self, should_update):
        should_update()

    def _up(self, service, port):
        node = Node(service.hostname, service.ip, port, service.metadata)
        path, data = f"{self.path}/{service.name}/{node.name}", node.serialize().encode()
        try:
            self.client.create(path, data, ephemeral=True, makepath=True)
        except NodeExistsError:
            stat = self.client.exists(path)
            if stat and stat.ephemeralOwner == self.client.client_id[0]:
                self.client.set(path, data)
                return
            transaction = self.client.transaction()
            transaction.delete(path)
            transaction.create(path, data, ephemeral=True)
            transaction.commit()

    def _down(self, service, port):
        try:
            self.client.delete(f"{self.path}/{service.name}/{service.hostname}:{port}")
        except NoNodeError:
            return


class WithPort(Classic):
    """As the code of 1.0 called it."""

    def report_up(self, service, port):
        self._up(service, port)

    def report_down(self, service, port):
        self._down(service, port)


class WithoutPort(Classic):
    """As the documents of 1.0 had it, with ``should_update`` as an event."""

    def tell(self, should_update):
        should_update.set()

    def report_up(self, service):
        for port in service.ports:
            self._up(service, port)

    def report_down(self, service):
        for port in service.ports:
            self._down(service, port)
