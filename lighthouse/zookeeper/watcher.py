"""The clusters that are watched, and whom to tell of their members. No I/O; time and chance injected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lighthouse.cluster import Cluster
from lighthouse.discovery import ShouldUpdate
from lighthouse.identity import valid_name
from lighthouse.zookeeper.messages import Answer, Changed, Request
from lighthouse.zookeeper.names import Names
from lighthouse.zookeeper.paths import parent
from lighthouse.zookeeper.picture import Picture

RETRY = 5.0  # seconds after which a cluster that cannot be read is tried again
BEHIND = 1.0  # seconds for which a cluster may be read anew before what was told of it counts as stale
LONGEST = 10.0  # seconds for which the first reading of one cluster makes the others wait until they count as fresh
FAIR = 4  # requests of one cluster before it is another's turn
REVIEW = 30.0  # seconds between two looks at the addresses of hosts that are known by name


@dataclass(slots=True)
class Watched:
    """A cluster, whom to tell, and what is known of its znodes. ``touched``: an answer came, which may have ended a round."""

    cluster: Cluster
    should_update: ShouldUpdate
    picture: Picture
    touched: bool = True
    behind: float | None = None  # since when it has been read or looked up without an end

    def late(self, now: float, patience: float) -> bool:
        """Whether that has taken more than so many seconds."""
        return self.behind is not None and now - self.behind > patience


class Watcher:
    """All clusters; see the module. ``reads`` counts what was asked of ZooKeeper for them.

    What a turn costs does not grow with the clusters of which nothing is heard: ``_asking`` are those that may have something to
    ask, in the order of their turns, ``_stirred`` those of which there may be something to tell.
    """

    def __init__(self, names: Names) -> None:
        self.reads = 0
        self._names = names
        self._watched: dict[str, Watched] = {}
        self._paths: dict[str, Watched] = {}
        self._asking: dict[str, None] = {}
        self._stirred: dict[str, None] = {}
        self._missed = 0
        self._retry = 0.0
        self._review = 0.0

    @property
    def pictures(self) -> dict[str, Picture]:
        """By the name of the cluster, in its order."""
        return {name: watched.picture for name, watched in sorted(self._watched.items())}

    @property
    def missed(self) -> int:
        """The changes that no watch had told."""
        return self._missed + sum(watched.picture.missed for watched in self._watched.values())

    def complete(self, now: float) -> bool:
        """Whether every cluster was read, but for those that cannot be, or take too long; where none was, it is not."""
        some = not self._watched
        for watched in self._watched.values():
            if not watched.picture.trouble and watched.picture.rounds:
                some = True
            elif not watched.picture.trouble and not watched.late(now, LONGEST):
                return False
        return some

    def unread(self, now: float) -> list[str]:
        """The clusters of which a complete answer says nothing: they cannot be read, or change faster than they are read."""
        return sorted(
            name
            for name, watched in self._watched.items()
            if watched.picture.trouble or not watched.picture.rounds or watched.late(now, BEHIND)
        )

    def add(self, cluster: Cluster, should_update: ShouldUpdate, base: str) -> None:
        """Watch a cluster."""
        name = valid_name(cluster.name)
        self.remove(name)
        self._watched[name] = watched = Watched(cluster, should_update, Picture(f"{base}/{name}"))
        self._paths[watched.picture.path] = watched
        self._stir(name)

    def remove(self, name: str) -> None:
        """Forget a cluster. Its watches stay with ZooKeeper until they fire once more, and tell nobody."""
        if watched := self._watched.pop(name, None):
            del self._paths[watched.picture.path]
            self._asking.pop(name, None)
            self._stirred.pop(name, None)
            self._missed += watched.picture.missed

    def clear(self) -> None:
        """Forget all of them."""
        self._names.close()
        for name in list(self._watched):
            self.remove(name)

    def move(self, base: str) -> None:
        """They are below another path now; what is known of their members stands until it is read there."""
        for name, watched in self._watched.items():
            self._missed += watched.picture.missed
            watched.picture = Picture(f"{base}/{name}")
        self._paths = {watched.picture.path: watched for watched in self._watched.values()}
        self._stir(*self._watched)

    def lost(self) -> None:
        """The connection and all watches are gone."""
        for watched in self._watched.values():
            watched.picture.lost()
        self._stir(*self._watched)

    def audit(self) -> None:
        """Compare with the registry what the watches told."""
        for watched in self._watched.values():
            watched.picture.audit()
        self._stir(*self._watched)

    def event(self, event: Changed) -> None:
        """A watch fired."""
        if watched := self._of(event.path):
            watched.picture.event(event)
            self._stir(watched.cluster.name)

    def take(self, answer: Answer, _now: float) -> None:
        """An answer to one of the requests."""
        if watched := self._of(answer.request.path):
            watched.picture.take(answer)
            watched.touched = True
            self._stir(watched.cluster.name)

    def requests(self, now: float, most: int) -> Iterator[Request]:
        """What is to be asked next, so many at most."""
        if now >= self._retry:
            self._retry = now + RETRY
            for watched in self._watched.values():
                watched.picture.retry()
            self._stir(*self._watched)
        while self._asking and most > 0:
            name = next(iter(self._asking))
            requests = list(self._watched[name].picture.requests(min(most, FAIR)))
            del self._asking[name]
            if requests:
                self._asking[name] = None  # next time it is the others' turn first
            self.reads += len(requests)
            most -= len(requests)
            yield from requests

    def tell(self, now: float) -> None:
        """Tell of the members that changed."""
        everything = self._names.take()
        if self._names.used and now >= self._review:
            self._review, everything = now + REVIEW, True
        stirred, self._stirred = list(self._watched if everything else self._stirred), {}
        for watched in map(self._watched.__getitem__, stirred):
            if everything or watched.touched or watched.picture.waiting:
                watched.touched = False
                self._asking[watched.cluster.name] = None  # there may be room again for what was left out
                before = watched.picture.rounds
                if watched.picture.conclude(self._names):
                    watched.cluster.nodes = list(watched.picture.nodes or ())
                    watched.cluster.refused = watched.picture.refused
                    watched.should_update()
                if watched.picture.rounds != before:
                    watched.behind = None
            if watched.picture.current:
                watched.behind = None
            elif watched.behind is None:
                watched.behind = now
            if watched.picture.waiting:
                self._stirred[watched.cluster.name] = None

    def _stir(self, *names: str) -> None:
        """Something happened to these."""
        self._asking |= dict.fromkeys(names)
        self._stirred |= dict.fromkeys(names)

    def _of(self, path: str) -> Watched | None:
        """The cluster to which a znode belongs: it may be the cluster's own, or a child of it."""
        return self._paths.get(path) or self._paths.get(parent(path))
