"""Starting HAProxy where none runs: with what is wanted, or else with the last good skeleton and the wanted members."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from lighthouse.errors import BalancerError
from lighthouse.haproxy.actor import Actor
from lighthouse.haproxy.arrange import arranged, grown, refilled
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.errors import EndedError, HeldUpError, RejectedError, TakenError, UnwrittenError
from lighthouse.haproxy.ports import Ports
from lighthouse.haproxy.quarantine import Verdict
from lighthouse.haproxy.refusals import IDLE_RETRY, Refusal, retry_of
from lighthouse.haproxy.running import Running

log = logging.getLogger(__name__)


class Start(Actor):
    """One start: anything but no HAProxy."""

    _runs = False  # what does not answer, and may serve all the same: a try to replace it can cost connections

    def run(self, desired: Document) -> tuple[Document, Running]:
        """Start it. Gives what is in force then. Raises `BalancerError` if nothing can be started."""
        try:
            return self._judged(desired)
        except HeldUpError as error:
            return self._as_it_is(desired, error)

    def _as_it_is(self, desired: Document, error: HeldUpError) -> tuple[Document, Running]:
        """Start it with what is on disk, which its members are brought into at run time."""
        document, refused = self._on_disk(), ""
        while document is not None:
            try:
                _, running = self._attempt(document, self._run, IDLE_RETRY)
            except RejectedError as reason:
                refused = f"; and with what is on disk: {reason}"
                document = self._tools.file.take_good()
                continue
            self._account.held_up(error)
            wanted = arranged(desired, document, running, self._tools.obstacle)
            return refilled(document, wanted, running), running
        raise BalancerError(f"HAProxy cannot be started: {error}{refused}")

    def _on_disk(self) -> Document | None:
        """What is in the file, or what was good if that is lost or HAProxy ends with it again and again."""
        document = self._tools.file.document()
        if document is not None and not self._tools.trial.is_lost(document.skeleton):
            return document
        with suppress(UnwrittenError):
            document = self._tools.file.take_good() or document
        return document

    def _judged(self, desired: Document) -> tuple[Document, Running]:
        """Start it with what HAProxy accepts: of what is wanted, else of what was good. Raises `HeldUpError` or `BalancerError`."""
        documents = self._tools.documents()
        nothing = Running(None, version=self._tools.process.version(self._deadline))
        wanted = arranged(desired, documents[0] if documents else None, nothing, self._tools.obstacle)
        good = refilled(documents[0], wanted, nothing) if documents else None
        good = grown(good, wanted, nothing, self._tools.obstacle) if good else None
        self._runs = bool(self._tools.process.find())  # what runs on our files has their ports until it is replaced
        ports = self._tools.ports(*(documents if self._runs else ()), held=self._runs and not documents)
        verdict = self._found(wanted, good, ports)
        self._account.set_apart(verdict.clusters, verdict.listeners)
        tried = {wanted.skeleton, verdict.document.skeleton if verdict.document else ""}
        others = [item for item in documents if item.skeleton not in tried]
        spare = refilled(others[0], wanted, nothing) if others else None
        try:
            return self._first(verdict, spare)
        except RejectedError as error:
            refused = error
        if verdict.document is not None and self._suspected(verdict.document, refused, ports):
            return self._judged(desired)
        return self._second(verdict, spare, refused, ports)

    def _suspected(self, document: Document, refused: RejectedError, ports: Ports) -> bool:
        """Whether HAProxy named listeners with which it cannot start, that it can do without from now on."""
        named = [item for item in ports.suspects(document) if item.header in refused.places]
        self._proposals.suspect(named, document)
        return bool(named)

    def _found(self, wanted: Document, good: Document | None, ports: Ports) -> Verdict:
        """What of `wanted` can be started."""
        parted = self._proposals.parted(wanted, good, ports, start=True)
        known = self._proposals.known(parted, good, start=True)
        return known or self._proposals.judged(parted, good, ports, start=True)

    def _first(self, verdict: Verdict, spare: Document | None) -> tuple[Document, Running]:
        """Start what was found good; with a `spare` it need not be by all means. Raises `RejectedError`."""
        if verdict.document is None:
            raise RejectedError(verdict.reason)

        def start(document: Document) -> Running:
            if spare is not None and self._tools.trial.is_lost(document.skeleton):
                raise EndedError("HAProxy runs it and ends soon afterwards, again and again; its own log may say why")
            return self._with(document, spare)

        return self._attempt(verdict.document, start, None if spare else IDLE_RETRY)

    def _attempt(
        self, document: Document, start: Callable[[Document], Running], retry: float | None
    ) -> tuple[Document, Running]:
        """Start this, unless that failed lately. Raises `RejectedError`; it may be tried again after `retry` seconds then.

        None means as long as anything that was refused; so it is where something serves.
        """
        known = self._tools.refusals.loads.get(document.question)
        if known is not None and known.final:
            raise RejectedError(known.reason)
        try:
            running = start(document)
        except TakenError:
            raise  # it may be free at any moment
        except RejectedError as error:
            seconds = retry_of(error) if retry is None or self._runs else retry
            self._tools.refusals.loads.remember(document.question, Refusal(str(error), final=True), seconds)
            raise
        self._tools.trial.begin(document.skeleton)
        return document, self._reader.closely(running)

    def _second(
        self, verdict: Verdict, spare: Document | None, refused: RejectedError, ports: Ports
    ) -> tuple[Document, Running]:
        """Start the `spare`, what was good before, or as much of it as HAProxy still accepts."""
        reasons = [refused]
        if spare is not None:
            found = self._found(spare, spare, ports)
            try:
                document, running = self._first(found, None)
            except RejectedError as error:
                reasons.append(error)
            else:
                self._account.set_apart({**verdict.clusters, **found.clusters}, found.listeners)
                self._account.tell(
                    f"HAProxy runs its last good configuration, because it refuses the new one: {refused}"
                )
                return document, running
        if not self._runs:
            self._tools.refusals.hasten(IDLE_RETRY)
            self._tools.trial.forget()
        raise BalancerError(
            f"HAProxy cannot be started: {'; and with the last good configuration: '.join(map(str, reasons))}"
        )

    def _with(self, document: Document, good: Document | None) -> Running:
        """`good` is what to go back to."""
        if self._tools.file.unjudged or not self._tools.file.holds(document):
            refused = self._proposals.accepted(document)
            if refused is not None:
                raise refused
            if good is not None:
                self._tools.file.keep_good(good)
            self._tools.file.write(document)
        return self._run(document)

    def _run(self, document: Document) -> Running:
        replaced = self._tools.process.find()
        if not replaced and (taken := Ports().taken(document)):
            raise TakenError("; ".join(taken.values()))
        log.info("starting HAProxy")
        self._tools.pace.reloaded()
        running = self._reader.noted(self._tools.lifecycle.start(document, self._deadline, replaced))
        self._account.start = "it did not answer, and was replaced" if replaced else "it did not run"
        return running
