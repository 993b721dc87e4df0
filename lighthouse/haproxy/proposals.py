"""A new configuration before it comes into force: written as a candidate, judged by HAProxy, its ports tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lighthouse.haproxy.binds import bind_lines
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.errors import LateError, RejectedError, UndecidedError, UnjudgedError
from lighthouse.haproxy.outcome import LOOK_AGAIN, Account
from lighthouse.haproxy.parting import part_ports, with_ports
from lighthouse.haproxy.ports import Ports, key_of
from lighthouse.haproxy.quarantine import Verdict, without
from lighthouse.haproxy.refusals import DEADLY_RETRY, IDLE_RETRY, RETRY, Refusal
from lighthouse.haproxy.stanzas.section import Section
from lighthouse.haproxy.tools import Tools
from lighthouse.preview import masked


class Proposals:
    """Judges documents within one deadline. Every method raises `BalancerError` when HAProxy cannot be asked."""

    def __init__(self, tools: Tools, account: Account, deadline: Deadline) -> None:
        self._process = tools.process
        self._file = tools.file
        self._refusals = tools.refusals
        self._memory = tools.memory
        self._account = account
        self._deadline = deadline
        self._judged: Document | None = None  # what was accepted just now

    def parted(self, wanted: Document, good: Document | None, ports: Ports, *, start: bool = False) -> Verdict:
        """What of `wanted` needs no port that is taken, `good` being what was in force. HAProxy need not be asked for that.

        At a `start` a cluster may be left out whose ports in `good` are taken too; else it serves there.
        """
        parted = part_ports(wanted, good, ports.taken, drop=start)
        if parted.apart or parted.reason:
            self._account.look_again(LOOK_AGAIN)  # a port may be free at any moment
        return parted

    def known(self, parted: Verdict, good: Document | None, *, start: bool = False) -> Verdict | None:
        """What was found out lately about what was `parted`, so that HAProxy is not asked the same at every sync.

        At a `start` only what goes for one: a file that the last good lines of a cluster name may have vanished meanwhile.
        """
        wanted = parted.document
        if wanted is None:
            return parted
        found = self._refusals.of_shape(wanted.question, start=start)
        if found is None:
            return None
        known, seconds = found
        self._account.look_again(seconds)
        if known.apart:
            return _joined(parted, Verdict(without(wanted, good, known.apart), known.apart))
        return _joined(parted, Verdict(None, reason=known.reason))

    def judged(self, parted: Verdict, good: Document | None, ports: Ports, *, start: bool = False) -> Verdict:
        """What of that HAProxy accepts. What it refuses is remembered; a port in use is not: it may be free at any moment."""
        wanted = parted.document
        if wanted is None:
            return parted
        judge = with_ports(ports.taken, self.accepted)
        try:
            verdict = self._refusals.search.verdict(wanted, good, judge, self._deadline, drop=start)
        except LateError:
            self._account.look_again(LOOK_AGAIN)
            raise
        if verdict.document is not wanted:
            final = start and verdict.document is None
            refusal = Refusal(verdict.reason, verdict.apart, final=final)
            self._refusals.shapes.remember(wanted.question, refusal, IDLE_RETRY if final else RETRY)
        return _joined(parted, verdict)

    def accepted(self, document: Document) -> RejectedError | None:
        """Write the candidate and let HAProxy judge it, once. Gives the reason if it refuses.

        Raises `UndecidedError` if it comes to no judgement, and then at once for a while: each try may take up the time of a sync.
        """
        if document == self._judged and self._file.proposed() == document.text():
            return None
        undecided = self._refusals.undecided
        if (known := undecided.get(document.skeleton)) is not None:
            self._account.look_again(undecided.retry_in(document.skeleton))
            raise UndecidedError(known.reason)
        try:
            path = self._file.propose(document.text())
            self._process.check(path, document, self._deadline)
        except RejectedError as error:
            self._file.discard()
            return error
        except UndecidedError as error:
            self._file.discard()
            if not isinstance(error, LateError):
                undecided.remember(document.skeleton, Refusal(str(error)))
            raise
        self._memory.judged = self._judged = document
        return None

    def suspect(self, listeners: Sequence[Section], document: Document) -> None:
        """Note that HAProxy could not start with these; they are left out of what is tried next."""
        for section in listeners:
            lines = ", ".join(f"`{masked(line[:200])}`" for line in bind_lines(section, document))
            reason = (
                f"HAProxy could not start with {lines}; its own log may say why. It is tried again after an hour, since all "
                f"connections are refused for a moment, or once the line is changed"
            )
            self._refusals.listeners.remember(key_of(section, document), Refusal(reason), DEADLY_RETRY)
            self._account.look_again(LOOK_AGAIN)

    def save(self, document: Document) -> RejectedError | None:
        """Make the file say what runs, so that the next start does too. Gives the reason if it cannot.

        If the files of HAProxy's owner keep it from being judged, or HAProxy comes to no judgement, it is written all the same: all
        of it runs already. One that was written without HAProxy's judgement gets it now; if it is refused, what was accepted last
        takes its place, if that is what runs.
        """
        written = self._file.holds(document)
        if written and not self._file.unjudged:
            return None
        good = self._memory.judged
        refused = self._saved(document)
        if isinstance(refused, UnjudgedError):
            if not written:
                self._file.write(document, judged=False)
            return None
        if refused is None:
            self._file.commit(document)
        elif self._file.unjudged and good is not None and good.skeleton == document.skeleton:
            self._file.write(good)
        return refused

    def _saved(self, document: Document) -> RejectedError | None:
        """The judgement on what runs; what was refused is not asked again so soon."""
        question, refusals = document.question, self._refusals
        if (known := refusals.unjudged.get(question)) is not None:
            return UnjudgedError(known.reason)
        if (known := refusals.saves.get(question)) is not None:
            self._account.look_again(refusals.saves.retry_in(question))
            return RejectedError(known.reason)
        try:
            refused = self.accepted(document)
        except UndecidedError as error:
            return UnjudgedError(str(error))
        if refused is not None:
            kind = refusals.unjudged if isinstance(refused, UnjudgedError) else refusals.saves
            kind.remember(question, Refusal(str(refused)))
        return refused


def _joined(parted: Verdict, verdict: Verdict) -> Verdict:
    return replace(verdict, apart={**parted.apart, **verdict.apart})
