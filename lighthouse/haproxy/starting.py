"""Starting HAProxy where none runs: with what is wanted, or else with the last good skeleton and the wanted members."""

from __future__ import annotations

import logging

from lighthouse.errors import BalancerError
from lighthouse.haproxy.arrange import arranged, refilled
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.errors import EndedError, RejectedError, TakenError, UnwrittenError
from lighthouse.haproxy.outcome import Account
from lighthouse.haproxy.ports import unavailable
from lighthouse.haproxy.proposals import Proposals
from lighthouse.haproxy.reader import Reader
from lighthouse.haproxy.refusals import Refusal, retry_of
from lighthouse.haproxy.running import Running
from lighthouse.haproxy.tools import Tools

log = logging.getLogger(__name__)


class Start:
    """One start: anything but no HAProxy."""

    def __init__(
        self, tools: Tools, account: Account, reader: Reader, proposals: Proposals, deadline: Deadline
    ) -> None:
        self._tools = tools
        self._account = account
        self._reader = reader
        self._proposals = proposals
        self._deadline = deadline

    def run(self, desired: Document) -> tuple[Document, Running]:
        """Start it. Gives what is in force then. Raises `BalancerError` if nothing can be started."""
        try:
            return self._written(desired)
        except UnwrittenError as error:
            return self._as_it_is(desired, error)

    def _as_it_is(self, desired: Document, error: UnwrittenError) -> tuple[Document, Running]:
        """Start it with what is on disk, which its members are brought into at run time."""
        document, refused = self._tools.file.document(), ""
        while document is not None:
            try:
                running = self._reader.closely(document, self._run(document))
            except RejectedError as reason:
                refused = f"; and with what is on disk HAProxy cannot be started: {reason}"
                document = self._tools.file.take_good()
                continue
            self._account.unwritten(error)
            wanted = arranged(desired, document, running, self._tools.obstacle)
            return refilled(document, wanted, running), running
        raise UnwrittenError(f"{error}{refused}")

    def _written(self, desired: Document) -> tuple[Document, Running]:
        documents = self._tools.file.documents()
        nothing = Running(None, version=self._tools.process.version(self._deadline))
        wanted = arranged(desired, documents[0] if documents else None, nothing, self._tools.obstacle)
        good = refilled(documents[0], wanted, nothing) if documents else None
        held = bool(self._tools.process.find())  # whoever runs on our files holds the ports until it is replaced
        verdict = self._proposals.known(wanted, good)
        if verdict is None or (verdict.document and not held and unavailable(verdict.document)):
            verdict = self._proposals.judged(wanted, good, drop=True, held=held)
        self._account.quarantined = verdict.clusters
        tried = {wanted.skeleton, verdict.document.skeleton if verdict.document else ""}
        others = [item for item in documents if item.skeleton not in tried]
        fallback = refilled(others[0], wanted, nothing) if others else None
        lost = verdict.document is not None and self._tools.trial.is_lost(verdict.document.skeleton)
        failures = [] if verdict.document else [RejectedError(verdict.reason)]
        for document in filter(None, (verdict.document, fallback)):
            try:
                running = self._with(document, fallback if document is verdict.document else None, lost=lost)
            except RejectedError as error:
                self._remember(document, error)
                failures.append(error)
                continue
            if failures:
                if self._tools.refusals.get(wanted.skeleton) is None:
                    self._remember(wanted, failures[0])
                self._account.trouble.append(
                    f"HAProxy runs its last good configuration, because it refuses the new one: {failures[0]}"
                )
            self._tools.trial.begin(document.skeleton)
            return document, self._reader.closely(document, running)
        reasons = "; and with the last good configuration: ".join(map(str, failures))
        raise BalancerError(f"HAProxy cannot be started: {reasons}")

    def _remember(self, document: Document, error: RejectedError) -> None:
        """Not to try again so soon; a port that is taken may be free at any moment."""
        if not isinstance(error, TakenError):
            self._tools.refusals.remember(document.skeleton, Refusal(str(error)), retry_of(error))

    def _with(self, document: Document, good: Document | None, *, lost: bool) -> Running:
        """`good` is what to go back to, so that one with which all is `lost` need not be tried."""
        if lost and good is not None:
            raise EndedError("HAProxy runs it and ends soon afterwards, again and again; its own log may say why")
        if self._tools.file.unjudged or self._tools.file.text() != document.text():
            refused = self._proposals.accepted(document)
            if refused is not None:
                raise refused
            if good is not None:
                self._tools.file.keep_good(good)
            self._tools.file.write(document)
        return self._run(document)

    def _run(self, document: Document) -> Running:
        replaced = self._tools.process.find()
        if not replaced and (taken := unavailable(document)):
            raise TakenError("; ".join(taken.values()))
        log.info("starting HAProxy")
        self._tools.pace.reloaded()
        running = self._reader.noted(self._tools.lifecycle.start(document, self._deadline, replaced))
        self._account.start = "it did not answer, and was replaced" if replaced else "it did not run"
        return running
