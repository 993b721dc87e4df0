"""What is known of one cluster's znodes: a state machine without I/O.

A picture goes round: list the children, read those that are new or changed, tell. Each list and each read leaves a watch, and
ZooKeeper sends the event of a watch before the answer to any later read. So an event that comes while the same thing is being read
is old news, and a difference that a reading shows and no event announced was missed: it is counted. While a round is not
finished what was told before stands, so nobody ever sees a half of a change.

A cluster whose znode does not exist is waited for with a watch of its existence.

Somebody may write more below a cluster than is good for us. So what is kept of one has an end: beyond `MAX_RECORDS` the list is not
followed, and beyond `MAX_BYTES` only the sizes of the rest are noted. Then nothing is told, what was told stands, and it goes on by
itself once there is less again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from lighthouse.node import Node
from lighthouse.records import chosen
from lighthouse.zookeeper.audit import Audit
from lighthouse.zookeeper.entries import Entries, Entry, Settled
from lighthouse.zookeeper.listing import Listing
from lighthouse.zookeeper.messages import Answer, Changed, Failure, Kind, Request
from lighthouse.zookeeper.names import Address

MAX_RECORDS = 20_000  # children of one cluster
MAX_BYTES = 6 * 1024 * 1024  # of their records together; of their names too

log = logging.getLogger(__name__)


class Picture:
    """The znodes of one cluster.

    ``nodes`` is None until the first complete round, then the sorted members. ``refused`` gives the reason for each child that is
    not used. ``problem`` says why it cannot be read, ``excess`` why it is more than is kept, ``waiting`` whether an address is
    being looked up. ``rounds`` counts those that ended since the connection.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.nodes: list[Node] | None = None
        self.refused: dict[str, str] = {}
        self.problem: str | None = None
        self.excess: str | None = None
        self.rounds = 0
        self._crowded = False  # more children than are followed; the list is asked for again in its time only
        self._listing = Listing.DUE
        self._entries = Entries(MAX_BYTES)
        self._unread: dict[str, None] = {}
        self._reading: set[str] = set()
        self._suspect: set[str] | None = None  # of the next list, what is to be read anew; None: all
        self._audit = Audit(path)
        self.waiting = False

    @property
    def missed(self) -> int:
        """How many differences showed that no event had announced."""
        return self._audit.missed

    @property
    def records(self) -> int:
        """How many children there are, as far as is known."""
        return len(self._entries)

    @property
    def current(self) -> bool:
        """Whether nothing is to be read or looked up: the picture is complete and watched."""
        return self._read and self._listing is Listing.WATCHED and not self.waiting and self.excess is None

    @property
    def trouble(self) -> str | None:
        """Why what is told of it is not what is there, and will not be by itself."""
        return self.problem or self.excess

    @property
    def _read(self) -> bool:
        """Whether the round has ended: all that the last list names is read."""
        listed = self._suspect is not None
        return listed and not self._unread and not self._reading and self.problem is None

    # What is to be asked

    def requests(self, most: int) -> Iterator[Request]:
        """What is to be asked next, so many at most."""
        if self.problem is not None:
            return
        for name in list(islice(self._unread, max(0, most))):
            del self._unread[name]
            self._reading.add(name)
            yield Request(Kind.GET, f"{self.path}/{name}")
        # The next round begins only when this one is told: under a stream of changes each is told all the same.
        if self._unread or self._reading or most <= 0:
            return
        if self._listing is Listing.DUE:
            self._listing = Listing.ASKED
            yield Request(Kind.CHILDREN, self.path)
        elif self._listing is Listing.ABSENT:
            self._listing = Listing.AWAITED
            yield Request(Kind.EXISTS, self.path)

    def lost(self) -> None:
        """The connection and all watches are gone: everything is to be read anew, and what was told stands meanwhile."""
        self._listing = Listing.DUE
        self._unread.clear()
        self._reading.clear()
        self._suspect = None
        self._audit.drop()
        self._crowded, self.rounds = False, 0
        self.problem = None

    def audit(self) -> None:
        """Compare with the registry what the watches told: the list, and a part of the records, all of them in turns."""
        if self.current:
            self._listing, self._suspect = Listing.DUE, self._audit.begin(self._entries)

    # What comes in

    def event(self, event: Changed) -> None:
        """A watch fired, of the cluster's own znode or of one of its children."""
        if event.path == self.path:
            self._relist()
            return
        name = event.path.rpartition("/")[2]
        self._audit.told(name)
        if name not in self._entries or name in self._reading:
            return
        if event.gone:  # the list will tell whether it is there again
            self._relist()
            if self._suspect is not None:
                self._suspect.add(name)
        else:
            self._unread[name] = None

    def _relist(self) -> None:
        self._audit.lists = False
        if self._listing is Listing.WATCHED:
            self._listing = Listing.CROWDED if self._crowded else Listing.DUE

    def take(self, answer: Answer) -> None:
        """An answer to one of the requests."""
        kind = answer.request.kind
        if kind is Kind.GET:
            self._take_record(answer)
        elif answer.failure is Failure.NO_NODE:
            self._listing = Listing.ABSENT
        elif answer.failure is not None:
            self._listing = Listing.DUE
            self._fail(answer)
        elif kind is Kind.CHILDREN:
            self._take_names(answer.names)
        elif answer.exists:
            self._listing = Listing.DUE
        else:
            self._take_names(())

    def retry(self) -> None:
        """Try again what could not be read."""
        if self.problem is not None:
            self.lost()
        elif self._listing is Listing.CROWDED:
            self._listing = Listing.DUE

    def conclude(self, address: Callable[[str], Address]) -> bool:
        """Whether ``nodes`` or ``refused`` changed with the round that ended, as the first one always does; `address` looks up."""
        if not self._read or not self._fits():
            return False
        self.waiting = True
        settled: dict[str, Settled] = {}
        for name, entry in self._entries.items():
            if entry is not None:
                found = entry.settled(address)
                if found is None:
                    return False
                settled[name] = found
        self.waiting = False
        self.rounds += 1
        nodes, refused = chosen(settled)
        changed = (nodes, refused) != (self.nodes, self.refused)
        self.nodes, self.refused = nodes, refused
        return changed

    def _fits(self) -> bool:
        """Whether all of it is kept. What was left out for want of room is read again once there is some."""
        if self._crowded:
            return False
        left_out, fits = self._entries.left_out()
        if not fits:
            self._exceed(f"holds more than {MAX_BYTES} bytes of records: shorten their metadata, or remove some")
        else:
            self._unread.update(dict.fromkeys(left_out))
            self.excess = self.excess if left_out else None
        return fits and not left_out

    def _exceed(self, how: str) -> None:
        if self.excess is None:
            log.error("%s %s; its last known members stay", self.path, how)
        self.excess = f"{self.path} {how}; its last known members stay"

    def _take_names(self, names: Sequence[str]) -> None:
        self._listing = Listing.WATCHED
        self._crowded = len(names) > MAX_RECORDS or sum(map(len, names)) > MAX_BYTES
        if self._crowded:
            self._exceed(f"has more than {MAX_RECORDS} children: remove those that are no members")
            return
        suspect, differences = self._suspect, self._entries.follow(names)
        if self._audit.lists:
            self._audit.count(differences)
        self._audit.lists = False
        self._suspect = set()
        for name, entry in self._entries.items():
            if entry is None or suspect is None or name in suspect:
                self._unread[name] = None

    def _take_record(self, answer: Answer) -> None:
        name = answer.request.path.rpartition("/")[2]
        self._reading.discard(name)
        audited = self._audit.covers(name)
        if name not in self._entries:
            return
        known = self._entries.get(name)
        if answer.failure is Failure.NO_NODE:
            # Its deletion fires the watch of the list. One that nothing lists again was deleted before that watch was in place.
            self._entries.remove(name)
            if audited:
                self._audit.count(1)
        elif answer.failure is Failure.DENIED:
            self._entries.put(name, Entry(0, None, "this host has no permission to read it"))
        elif answer.failure is not None or answer.found is None:
            self._unread[name] = None
            self._fail(answer)
        elif known is None or known.left_out or known.changed != answer.found.changed:
            if audited and known is not None:
                self._audit.count(1)
            self._entries.put(name, Entry.of(answer.found))

    def _fail(self, answer: Answer) -> None:
        if answer.failure is not Failure.LOST:
            why = "this host has no permission" if answer.failure is Failure.DENIED else answer.text
            self.problem = f"{answer.request.path} cannot be read: {why}"
