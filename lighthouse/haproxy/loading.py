"""Bringing a configuration into force that HAProxy has accepted, and going back to what ran if it does not run."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable

from lighthouse.errors import BalancerError
from lighthouse.haproxy.actor import Actor
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.errors import (
    EndedError,
    NoAnswerError,
    NotRunningError,
    RejectedError,
    UnfinishedError,
    UnstartedError,
    UnwrittenError,
)
from lighthouse.haproxy.refusals import RETRY, Refusal, retry_of
from lighthouse.haproxy.running import Running

log = logging.getLogger(__name__)


class Loading(Actor):
    """The reloads of one reconciliation."""

    def futile(self, wanted: Document) -> str | None:
        """Why a reload would not help: it was made lately, for the same file."""
        refusals = self._tools.refusals
        known = refusals.reloads.get(_key(wanted))
        known = known or refusals.loads.get(wanted.question) or refusals.shapes.get(wanted.question)
        return known.reason or None if known else None

    def was_futile(self, wanted: Document, obstacles: Iterable[str]) -> None:
        """A reload into this very file has left `obstacles`, for which another one would only be made again."""
        self._tools.refusals.reloads.remember(_key(wanted), Refusal("; ".join(obstacles)))

    def load(self, wanted: Document, current: Document | None, running: Running, reason: str) -> str | None:
        """Bring in an accepted configuration. Gives the reason if HAProxy cannot run it; what ran before then runs again."""
        tools = self._tools
        if (refused := self._proposals.accepted(wanted)) is not None:
            tools.refusals.shapes.remember(wanted.question, Refusal(str(refused)))
            return str(refused)
        if current is not None and current.skeleton != wanted.skeleton:
            tools.file.keep_good(current)
        tools.file.commit(wanted)
        log.info("reloading HAProxy: %s", reason)
        tools.pace.reloaded()
        try:
            self._reader.noted(tools.lifecycle.reload(wanted, running, self._deadline))
        except RejectedError as error:
            self._remember(wanted, current, error)
            if current is not None:
                self._go_back(current, running)
            return str(error)
        except UnfinishedError as error:
            # It may be failing, and would only be made again; if it is not, that is seen.
            self._remember(wanted, current, error)
            raise
        except (NotRunningError, NoAnswerError) as error:
            return str(error)
        self._account.reload = reason
        tools.trial.begin(wanted.skeleton)
        return None

    def _remember(self, wanted: Document, current: Document | None, error: RejectedError | UnfinishedError) -> None:
        """Not to try `wanted` again so soon. If it could not be started, what may be the cause is left out, and the rest tried.

        A port that was taken just before the reload is found by trying; then it is tried again, as all such ports are. While the
        reload goes on it would be HAProxy itself that has it.
        """
        retry, ports = retry_of(error), self._tools.ports(current)
        if isinstance(error, UnstartedError) and ports.taken(wanted):
            retry = RETRY
        elif isinstance(error, UnstartedError | UnfinishedError):
            suspects = ports.suspects(wanted)
            places = error.places if isinstance(error, RejectedError) else ()
            named = [item for item in suspects if item.header in places]
            self._proposals.suspect(named or suspects, wanted)
        refusal = Refusal(str(error), final=isinstance(error, EndedError))
        self._tools.refusals.loads.remember(wanted.question, refusal, retry)

    def _go_back(self, good: Document, running: Running) -> None:
        """Put back what ran, and load it so that HAProxy's master is whole again."""
        try:
            self._tools.file.write(good)
        except UnwrittenError as error:
            good = self._tools.file.take_good() or good
            self._account.held_up(error)
        self._tools.memory.judged = good
        try:
            self._reader.noted(self._tools.lifecycle.restore(good, running, self._deadline))
        except BalancerError as error:  # what runs, if anything does, is read next
            self._account.tell(f"what ran before cannot be loaded again: {error}")


def _key(document: Document) -> str:
    """Tells a file apart from others with the same skeleton."""
    return hashlib.sha256(document.text().encode()).hexdigest()
