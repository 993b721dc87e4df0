"""The base class of discoveries: what watches clusters and announces services in a registry."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from inspect import signature
from typing import Any, ClassVar, Protocol

from lighthouse.cluster import Cluster
from lighthouse.errors import AnnounceError, LighthouseError
from lighthouse.node import Node
from lighthouse.pluggable import Pluggable
from lighthouse.service import Service


class ShouldUpdate(Protocol):
    """Tells the worker that ``cluster.nodes`` now holds a newer complete answer; both documented spellings work."""

    def __call__(self) -> None:
        """Tell it."""

    def set(self) -> None:
        """The same as calling it."""


class Wanted(Enum):
    """What should become of an announcement.

    HOLD is for a port whose state is not known: an announcement that stands is kept alive, and none is made. LEAVING is for one
    that goes by somebody's will: an announcement that stands says so in its record (the node's ``leaving``), and none is made. A
    moment later DOWN follows. Who reads the first knows that the second is no loss.
    """

    UP = "up"
    LEAVING = "leaving"
    DOWN = "down"
    HOLD = "hold"

    @property
    def goes(self) -> bool:
        """Whether it is not to be used any more."""
        return self in (Wanted.LEAVING, Wanted.DOWN)


@dataclass(frozen=True, slots=True)
class Announcement:
    """One port of one service of this host, the node that announces it, and what should become of it."""

    service: Service
    port: int
    wanted: Wanted
    node: Node

    def settled(self) -> Announcement:
        """The same, or withdrawn if it is leaving."""
        if self.wanted is not Wanted.LEAVING:
            return self
        return replace(self, wanted=Wanted.DOWN, node=replace(self.node, leaving=False))


@dataclass(slots=True)
class Report:
    """What a discovery tells of itself in `ctl status`.

    ``complete`` says whether the last reading of the registry was whole: only then is the picture fresh. ``degraded`` is a
    sentence or None. ``details`` is plain data: counters and the like, never a secret. ``unread`` names the clusters that a
    complete reading does not cover all the same, such as one without permission: what is known of their members stands.
    """

    complete: bool = True
    degraded: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    unread: Collection[str] = ()


class Discovery(Pluggable):
    """Watches clusters and announces services.

    All methods are called on one thread, one after another, each under a deadline. A plugin of lighthouse 1.0 implements the
    classic ones (`connect` to `report_down`) and inherits the rest. One that can do better overrides `announce`, which sees the
    whole wanted set at once, and `maintain`, which is called at least every ``period`` seconds and whenever `watch_fd` becomes
    readable, so that it needs no thread of its own.
    """

    entry_point: ClassVar[str] = "lighthouse.discovery"
    period: float = 5.0

    _reported: dict[tuple[str, int], Announcement] | None = None
    _refused: list[tuple[str, int]] | None = None

    def adapt(self, config: dict[str, Any]) -> bool:  # noqa: ARG002 - for those that can
        """Take over a changed, validated `config` while running, without losing anything; False when that is not possible.

        Then a new object is made, which gets what `handover` gives. Raising refuses the configuration: the last one stays at work.
        """
        return False

    def connect(self) -> None:
        """Establish the connection to the registry. Raises `lighthouse.errors.RegistryError`; it is then called again."""

    def disconnect(self) -> None:
        """Undo `connect`, leaving announcements in place: stopping the tool does not mean that the services are down."""

    def start_watching(self, cluster: Cluster, should_update: ShouldUpdate) -> None:
        """From now on keep ``cluster.nodes`` right and call `should_update` after each complete answer."""
        raise NotImplementedError

    def stop_watching(self, cluster: Cluster) -> None:
        """Undo `start_watching`."""
        raise NotImplementedError

    def report_up(self, service: Service, port: int) -> None:
        """Announce one port of a service. The documented spelling without `port` is supported too."""
        raise NotImplementedError

    def report_down(self, service: Service, port: int) -> None:
        """Withdraw one port of a service. The documented spelling without `port` is supported too."""
        raise NotImplementedError

    def announce(self, announcements: Sequence[Announcement]) -> None:
        """Make the announcements of this host equal to the wanted set; one no longer in it is withdrawn.

        Raises `lighthouse.errors.RegistryError`; it is then called again. `lighthouse.errors.AnnounceError` says which
        announcements could not be made, and that the others were.
        """
        known = self._reported = dict(self._reported or {})
        wanted = {(item.service.name, item.port): item.settled() for item in announcements}
        gone = {key: replace(item, wanted=Wanted.DOWN) for key, item in known.items() if item.wanted is Wanted.UP}
        due = {
            key: item
            for key, item in {**gone, **wanted}.items()
            if item.wanted is not Wanted.HOLD and known.get(key) != item
        }
        refused = self._refused = [key for key in self._refused or () if key in due]
        # One failure ends it, so that many that wait in vain do not add up to a hang. Next time that one is the last to be tried.
        for key in sorted(due, key=lambda key: refused.index(key) if key in refused else -1):
            item = due[key]
            try:
                _tell(self.report_up if item.wanted is Wanted.UP else self.report_down, item)
            except Exception as error:
                self._refused = [*(other for other in refused if other != key), key]
                text = str(error) if isinstance(error, LighthouseError) else f"{type(error).__name__}: {error}"
                raise AnnounceError(text, [key for key in due if known.get(key) != due[key]]) from error
            known[key] = item
        self._reported = {key: item for key, item in known.items() if key in wanted}

    def maintain(self) -> Report:
        """Refresh, reread, clean up; see the class. Raises `lighthouse.errors.RegistryError`; it is then called again."""
        return Report()

    def watch_fd(self) -> int | None:
        """A descriptor that becomes readable when `maintain` has something to read, or None."""
        return None

    def handover(self) -> bytes:
        """What the next generation of this worker needs to take over, e.g. a session. It is kept secret.

        It is asked for after `connect`, `announce` and `maintain`.
        """
        return b""

    def resume(self, handover: bytes) -> None:
        """Take over what `handover` gave, before `connect`."""


def _tell(report: Callable[..., None], item: Announcement) -> None:
    """Call `report_up` or `report_down` in the spelling that the plugin has.

    Lighthouse 1.0 documented ``(service)`` and its code called ``(service, port)``, so plugins of both kinds exist.
    """
    if len(signature(report).parameters) == 1:
        report(item.service)
    else:
        report(item.service, item.port)
