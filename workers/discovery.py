"""The discovery worker: keeps one registry's picture of the consumed clusters fresh, and announces the provided services there.

It works in steps, each one plugin call on one lane under its own deadline: connect, watch, unwatch, announce, maintain. What is
to be done next is derived from what is wanted and what is done, so a step that fails is simply tried again.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lighthouse.cluster import Cluster
from lighthouse.discovery import Announcement, Discovery, Report, Wanted
from lighthouse.errors import LighthouseError
from lighthouse.ipc.boot import ANNOUNCE_TOPIC, members_topic
from lighthouse.ipc.messages import pack, unpack
from lighthouse.node import Node
from lighthouse.peer import Peer
from lighthouse.service import Service
from lighthouse.workers.lanes import Outcome
from lighthouse.workers.plugins import load, why
from lighthouse.workers.runtime import Runtime

RETRY = 1.0  # seconds after a step that failed

log = logging.getLogger(__name__)

Step = tuple[str, Callable[[], Any], Callable[[Any], None]]
"""A step: its name, the plugin call, and what to do with the call's value."""


class Signal:
    """What a plugin is given as ``should_update``: callable, and with ``set``; safe from any thread."""

    def __init__(self, cluster: str, signalled: set[str], wake: Callable[[], None]) -> None:
        self._cluster = cluster
        self._signalled = signalled
        self._wake = wake

    def __call__(self) -> None:
        """Tell that the cluster's nodes are a newer complete answer."""
        self._signalled.add(self._cluster)
        self._wake()

    set = __call__


@dataclass(frozen=True, slots=True)
class Address:
    """Under which name and address this host announces."""

    hostname: str
    ip: str


class DiscoveryJob:
    """The job of ``discovery/NAME``."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._config: dict[str, Any] = {}
        self._applied: dict[str, Any] | None = None
        self._discovery: Discovery | None = None
        self._address: Address | None = None
        self._connected = False
        self._watched: dict[str, Cluster] = {}
        self._signalled: set[str] = set()
        self._told: dict[str, bytes] = {}
        self._wanted: dict[str, dict[str, str]] = {}
        self._announced: list[Announcement] | None = None
        self._due = 0.0
        self._fd: int | None = None
        self._busy = False
        self._stopping = False
        self._handed = b""
        self._told_report: Report | None = None
        runtime.on_wake = self._tell
        if ANNOUNCE_TOPIC in runtime.boot.kept:
            self._wanted = unpack(runtime.boot.kept[ANNOUNCE_TOPIC])

    def configure(self, config: dict[str, Any]) -> None:
        """Take over the registry's configuration, the clusters to watch and the services to announce."""
        if self._config and self._config["plugin"] != config["plugin"]:
            self._runtime.leave(0)  # another plugin wants a fresh process
            return
        if (self._config.get("hostname"), self._config.get("advertise")) != (config["hostname"], config["advertise"]):
            self._address = None
        self._config = config
        self._announced = None
        self._next()

    def receive(self, topic: str, payload: bytes) -> None:
        """What should be announced."""
        if topic == ANNOUNCE_TOPIC:
            self._wanted = unpack(payload)
            self._next()

    def stop(self) -> None:
        """The last wanted announcements are made before the end; all of them stay in the registry."""
        self._stopping = True
        self._next()

    # What comes next

    def _next(self) -> None:
        """Take the next step, if none is under way."""
        if self._busy or not self._config:
            return
        step = self._step()
        if step is None:
            self._settle()
            return
        name, function, done = step
        self._busy = True
        self._runtime.call(name, function, lambda outcome: self._done(outcome, done))

    def _step(self) -> Step | None:
        """What is to be done: its name, the call, and what to do with its value. None when all is done for now."""
        discovery, config = self._discovery, self._config
        if discovery is None or self._applied != config["config"]:
            resume = self._runtime.boot.handover if discovery is None else b""
            return "set up", lambda: _build(config, discovery, resume), self._built
        if self._address is None and config["services"]:
            return "find the own address", lambda: _address(config), self._addressed
        if not self._connected:
            return "connect", discovery.connect, self._connection
        if (step := self._watch_step(discovery)) is not None and not self._stopping:
            return step
        announcements = self._announcements()
        if announcements != self._announced:
            return (
                "announce",
                lambda: _announce(discovery, announcements),
                lambda value: self._has_announced(announcements, value),
            )
        if time.monotonic() >= self._due and not self._stopping:
            return "maintain", lambda: _maintain(discovery), self._maintained
        if self._stopping:
            self._stopping = False
            self._config = {}
            return "disconnect", discovery.disconnect, lambda _: None
        return None

    def _watch_step(self, discovery: Discovery) -> Step | None:
        wanted = dict.fromkeys(self._config["clusters"])
        gone = next((name for name in self._watched if name not in wanted), None)
        if gone is not None:
            cluster = self._watched[gone]
            return f"stop watching {gone}", lambda: discovery.stop_watching(cluster), lambda _: self._unwatched(gone)
        new = next((name for name in wanted if name not in self._watched), None)
        if new is not None:
            cluster = Cluster(new, self._config["name"])
            signal = Signal(new, self._signalled, self._runtime.lanes.wake)
            return f"watch {new}", lambda: discovery.start_watching(cluster, signal), lambda _: self._watching(cluster)
        return None

    def _done(self, outcome: Outcome, done: Callable[[Any], None]) -> None:
        self._busy = False
        if outcome.error is None:
            done(outcome.value)
            self._tell()
            self._next()
        elif self._applied is None:
            self._runtime.give_up(why(outcome.error))
        else:
            self._failed(outcome.error)

    def _failed(self, error: BaseException) -> None:
        """Nothing that is known changes; the step is tried again."""
        if isinstance(error, LighthouseError):
            self._runtime.condition(str(error))
        else:
            log.error("a call into the registry plugin failed", exc_info=error)
            self._runtime.condition(why(error))
        self._tell()
        self._runtime.ready()
        if self._stopping:
            self._stopping, self._config = False, {}  # asked to end: the next generation tries again
            return
        self._due = 0.0
        self._busy = True  # until the retry
        self._runtime.after(RETRY, self._retry)

    def _retry(self) -> None:
        self._busy = False
        self._next()

    def _settle(self) -> None:
        """All is done for now: come back when the plugin's period is over, or its descriptor or a signal calls."""
        delay = max(0.01, self._due - time.monotonic())
        due = self._due
        self._runtime.after(delay, lambda: self._next() if due == self._due else None)

    # What each step leaves

    def _built(self, discovery: Discovery) -> None:
        if self._discovery is not None:
            self._drop_fd()
            self._connected = False  # a changed configuration may point elsewhere: connect and watch anew
            self._watched.clear()
            self._announced = None
        self._discovery, self._applied = discovery, self._config["config"]

    def _addressed(self, address: Address) -> None:
        self._address = address
        log.info("announcing as %s at %s", address.hostname, address.ip)

    def _connection(self, _value: Any) -> None:
        self._connected = True
        self._due = 0.0
        self._drop_fd()
        fd = self._discovery.watch_fd() if self._discovery else None
        if fd is not None:
            self._fd = fd
            self._runtime.watch(fd, self._called)

    def _drop_fd(self) -> None:
        if self._fd is not None:
            self._runtime.unwatch(self._fd)
            self._fd = None

    def _called(self) -> None:
        """The plugin's descriptor is readable. It is not watched again until `maintain` has read it, so that the loop can rest."""
        self._drop_fd()
        self._due = 0.0
        self._next()

    def _watching(self, cluster: Cluster) -> None:
        self._watched[cluster.name] = cluster
        self._due = 0.0

    def _unwatched(self, name: str) -> None:
        del self._watched[name]
        self._told.pop(name, None)

    def _has_announced(self, announcements: list[Announcement], handover: bytes) -> None:
        self._announced = announcements
        self._hand_over(handover)

    def _maintained(self, value: tuple[Report, bytes]) -> None:
        report, handover = value
        discovery = self._discovery
        if discovery is None:
            return
        self._due = time.monotonic() + discovery.period
        if report.complete:
            self._runtime.fresh = time.monotonic()
        self._hand_over(handover)
        self._runtime.condition(report.degraded)
        if report != self._told_report:
            self._told_report = report
            self._runtime.report({"complete": report.complete, "degraded": report.degraded, "details": report.details})
        fd = discovery.watch_fd()
        if fd is not None and self._fd is None:
            self._fd = fd
            self._runtime.watch(fd, self._called)
        self._tell()
        self._runtime.ready()

    def _hand_over(self, secret: bytes) -> None:
        if secret != self._handed:
            self._handed = secret
            self._runtime.hand_over(secret)

    def _tell(self) -> None:
        """Tell the members of each cluster that the plugin signalled, where they changed."""
        while self._signalled:
            name = self._signalled.pop()
            cluster = self._watched.get(name)
            if cluster is None or cluster.nodes is None:
                continue
            nodes = sorted(cluster.nodes, key=lambda node: (node.name, node.ip))
            payload = pack({"nodes": [node.to_mapping() for node in nodes]})
            before = self._told.get(name, self._runtime.boot.kept.get(members_topic(name)))
            self._told[name] = payload
            if payload != before:
                log.info("cluster %s has %d members", name, len(nodes))
                self._runtime.publish(members_topic(name), payload)

    def _announcements(self) -> list[Announcement]:
        if self._address is None:
            return []
        made = []
        for item in self._config["services"]:
            service = _service(item, self._config["name"], self._address)
            wanted = self._wanted.get(service.name, {})
            for port in service.ports:
                node = Node(
                    self._address.hostname,
                    self._address.ip,
                    port,
                    service.metadata,
                    Peer(self._address.hostname, self._address.ip),
                )
                made.append(Announcement(service, port, Wanted(wanted.get(str(port), "hold")), node))
        return made


def _build(config: Mapping[str, Any], existing: Discovery | None, handover: bytes) -> Discovery:
    """Load the plugin, or give a running one its changed configuration; on a lane."""
    if existing is not None:
        existing.disconnect()
        existing.apply_config(dict(config["config"]))
        return existing
    discovery: Discovery = load(config["plugin"])()
    discovery.apply_config(dict(config["config"]))
    if handover:
        discovery.resume(handover)
    return discovery


def _address(config: Mapping[str, Any]) -> Address:
    """The name and address to announce; asks the resolver where the configuration does not say, so it may block; on a lane."""
    hostname = config["hostname"] or socket.getfqdn()
    try:
        return Address(hostname, config["advertise"] or socket.gethostbyname(hostname))
    except OSError as error:
        raise LighthouseError(
            f"the address of {hostname} is not known ({os.strerror(error.errno) if error.errno and error.errno > 0 else error}); "
            "set `advertise` in lighthouse.yaml"
        ) from error


def _service(item: Mapping[str, Any], discovery: str, address: Address) -> Service:
    return Service(
        name=item["name"],
        ports=tuple(item["ports"]),
        discovery=discovery,
        host=item["host"],
        metadata=item["metadata"],
        hostname=address.hostname,
        ip=address.ip,
    )


def _announce(discovery: Discovery, announcements: list[Announcement]) -> bytes:
    discovery.announce(announcements)
    return discovery.handover()


def _maintain(discovery: Discovery) -> tuple[Report, bytes]:
    return discovery.maintain(), discovery.handover()
