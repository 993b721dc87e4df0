"""Keeping this host's own znodes as they should be, and no others: a state machine without I/O, time injected.

For each znode that is wanted or was ours: look at it, decide, act, look again. The last look leaves a watch, so what somebody does
to it is seen at once. When the path changes, a znode at the old one goes only once its successor at the new one stands.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence

from lighthouse.discovery import Announcement, Wanted
from lighthouse.errors import NodeError
from lighthouse.identity import shown
from lighthouse.zookeeper.messages import Answer, Changed, Failure, Kind, Request
from lighthouse.zookeeper.own import Own, key_of, record_of, request_of
from lighthouse.zookeeper.ownership import Act, decide, whose
from lighthouse.zookeeper.paths import parent
from lighthouse.zookeeper.session import Key
from lighthouse.zookeeper.settings import Format

RETRY = 5.0  # seconds after which what ZooKeeper refused is tried again
DISPUTE = 60.0  # seconds; who takes the same znode over again and again waits up to so long
FRIENDLY = 2  # takeovers in so short a time that need no reason
ANOTHER_NAME = "give one of the two another `hostname` or `advertise`"

log = logging.getLogger(__name__)


class Announcer:
    """The announcements of this host. ``takeovers`` counts the leftovers that were replaced."""

    def __init__(self) -> None:
        self.takeovers = 0
        self._own: dict[str, Own] = {}
        self._told = False
        self._refused: list[str] = []
        self._session = 0
        self._sessions: Collection[int] = ()

    @property
    def standing(self) -> int:
        """How many announcements stand."""
        return sum(1 for own in self._own.values() if self._stands(own))

    @property
    def problems(self) -> list[str]:
        """What cannot be done, and why."""
        return [*self._refused, *filter(None, map(self._trouble, self._own.values()))]

    @property
    def settled(self) -> bool:
        """Whether all is as it should be, as far as it can be."""
        return all(own.problem or self._is_right(own) for own in self._own.values())

    def handed_over(self) -> dict[Key, bytes]:
        """What stands, or is about to, with its content."""
        return {
            own.key: own.content
            for own in self._own.values()
            if own.stood or (own.wanted is Wanted.UP and not own.problem)
        }

    def resume(self, own: Mapping[Key, bytes]) -> None:
        """These stood in an earlier generation: they are held until `want` says what is wanted."""
        for key, content in own.items():
            self._own[key.path] = Own(key, Wanted.HOLD, content, stood=True)

    def want(self, announcements: Sequence[Announcement], base: str, record: Format) -> None:
        """From now on these are wanted, and no others."""
        self._told = True
        self._refused = []
        standing = {own.key.port for own in self._own.values() if own.stood}
        wanted: set[str] = set()
        for item in announcements:
            key = None
            state, content = item.wanted, b""
            try:
                key = key_of(item, base)
                if state is not Wanted.DOWN:
                    content = record_of(item, record)
            except NodeError as error:
                self._refused.append(f"{shown(item.service.name)} cannot be announced: {error}")
                if key is None:
                    continue
                state = Wanted.DOWN if state.goes else Wanted.HOLD  # what it said before goes on
            wanted.add(key.path)
            own = self._own.setdefault(key.path, Own(key))
            own.stood = own.stood or key.port in standing
            if (own.wanted, own.content) != (state, content):
                own.not_before, own.problem = 0.0, None
            own.wanted, own.node = state, item.node
            own.content = content if state in (Wanted.UP, Wanted.LEAVING) or not own.content else own.content
        for path, own in self._own.items():
            if path not in wanted:
                if own.wanted is not Wanted.DOWN:
                    own.not_before, own.problem = 0.0, None
                own.wanted, own.node = Wanted.DOWN, None

    def opened(self, session: int, sessions: Collection[int]) -> None:
        """There is a connection, with this session: all is looked at anew."""
        self._session, self._sessions = session, sessions
        self.lost()
        for own in self._own.values():
            own.not_before, own.disputes = 0.0, 0

    def lost(self) -> None:
        """The connection is gone, and with it whatever was asked."""
        for own in self._own.values():
            own.asked = False
            own.parents.clear()
            own.looked = False

    def audit(self) -> None:
        """Look at everything again."""
        for own in self._own.values():
            own.looked = False

    def event(self, event: Changed) -> None:
        """A watch fired, of one of these znodes or of any other."""
        own = self._own.get(event.path)
        if own is not None:
            own.looked = False
            if own.problem:
                own.not_before = 0.0

    def requests(self, now: float, most: int) -> Iterator[Request]:
        """What is to be asked next, so many at most."""
        for own in self._own.values():
            if now - own.disputed >= 2 * DISPUTE:
                own.disputes = 0
        idle = [own for own in self._own.values() if not own.asked and now >= own.not_before]
        for own in idle:
            request = self._request(own, now) if most > 0 else None
            if request is not None:
                own.asked = True
                most -= 1
                yield request

    def take(self, answer: Answer, now: float) -> None:
        """An answer to one of the requests."""
        kind, path = answer.request.kind, answer.request.path
        if kind is Kind.PARENT:
            for own in self._own.values():
                if own.asked and own.parents and own.parents[-1] == path:
                    own.asked = False
                    self._take_parent(own, answer, now)
            return
        found = self._own.get(path)
        if found is not None:
            found.asked = False
            self._take_own(found, answer, now)

    def _take_own(self, own: Own, answer: Answer, now: float) -> None:
        kind, path = answer.request.kind, answer.request.path
        if kind is Kind.GET:
            self._take_look(own, answer, now)
        elif answer.failure is Failure.NO_NODE and kind is Kind.CREATE:
            own.parents = [parent(path)]
        elif answer.failure in (Failure.DENIED, Failure.OTHER):
            self._put_off(own, answer, now)
        else:
            self._take_act(own, answer, now)

    def _request(self, own: Own, now: float) -> Request | None:
        """What to ask of one znode now."""
        path = own.key.path
        if not own.looked:
            return Request(Kind.GET, path)
        if own.parents:
            return Request(Kind.PARENT, own.parents[-1])
        act = self._act(own)
        own.problem = None
        if act is Act.CLASH:
            own.problem = f"{path} is announced by another host: {ANOTHER_NAME}"
            own.not_before = now + DISPUTE
        if act is Act.DELETE and not self._succeeded(own):
            return None
        return request_of(act, own)

    def _act(self, own: Own) -> Act:
        owner = whose(own.found, own.node, self._session, self._sessions)
        same = own.found is not None and own.found.data == own.content
        return decide(owner, own.wanted, same=same, stood=own.stood and bool(own.content))

    def _is_right(self, own: Own) -> bool:
        """Whether nothing is to be done; what waits for its successor is as it should be, as long as that is not."""
        if own.asked or not own.looked:
            return False
        act = self._act(own)
        return act is Act.LEAVE or (act is Act.DELETE and not self._succeeded(own))

    def _trouble(self, own: Own) -> str | None:
        if own.disputes > FRIENDLY:
            return f"{own.key.path} is taken from this host again and again: {ANOTHER_NAME}"
        return own.problem

    def _stands(self, own: Own) -> bool:
        return own.looked and own.found is not None and own.found.owner == self._session

    def _succeeded(self, own: Own) -> bool:
        """Whether no other znode is to take this one's place, or it has."""
        return own.node is not None or all(
            heir.wanted.goes or self._stands(heir) for heir in self._own.values() if heir.key.port == own.key.port
        )

    def _take_look(self, own: Own, answer: Answer, now: float) -> None:
        if answer.failure not in (None, Failure.NO_NODE):
            self._put_off(own, answer, now)
            return
        own.looked, own.found = True, answer.found
        if self._stands(own):
            own.stood, own.problem = True, None
        elif own.found is None and own.wanted.goes:
            own.stood = False
        if own.node is None and self._told and self._act(own) is Act.LEAVE:
            del self._own[own.key.path]  # it is gone, or was never ours

    def _take_act(self, own: Own, answer: Answer, now: float) -> None:
        """Whatever became of it: look again."""
        own.looked = False
        if answer.failure is not None:
            return
        if answer.request.kind is Kind.DELETE:
            own.stood = False
            log.info("withdrew %s", own.key.path)
        else:
            own.stood = True
            log.info("announced %s", own.key.path)
        if answer.request.kind is Kind.REPLACE:
            self.takeovers += 1
            own.disputes = min(own.disputes + 1, 10)
            if own.disputes > FRIENDLY:
                own.not_before = now + min(DISPUTE, 2.0 ** (own.disputes - 1))
            own.disputed = now

    def _take_parent(self, own: Own, answer: Answer, now: float) -> None:
        if answer.failure is None or answer.failure is Failure.EXISTS:
            own.parents.pop()
        elif answer.failure is Failure.NO_NODE:
            own.parents.append(parent(own.parents[-1]))
        else:
            own.parents.clear()
            self._put_off(own, answer, now)

    def _put_off(self, own: Own, answer: Answer, now: float) -> None:
        own.looked = False
        if answer.failure is Failure.LOST:
            return
        why = "this host has no permission" if answer.failure is Failure.DENIED else answer.text
        what = "withdrawn" if own.wanted.goes else "announced"
        own.problem = f"{own.key.path} cannot be {what}: {why}"
        own.not_before = now + RETRY
