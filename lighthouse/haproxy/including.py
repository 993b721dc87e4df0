"""An HAProxy of a service that does not answer at our socket: it does not run, or has not read our file.

The file is made ready, so that the service's next start is right. If there is somebody to ask, HAProxy is reloaded, which makes it
read a file that was still empty when it started.
"""

from __future__ import annotations

from lighthouse.haproxy.actor import Actor
from lighthouse.haproxy.arrange import arranged, refilled
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.errors import HeldUpError, NotRunningError, RejectedError, UnfinishedError
from lighthouse.haproxy.refusals import Refusal
from lighthouse.haproxy.running import Running

_REASON = "HAProxy had not read our file"


class Inclusion(Actor):
    """One try to have our file read."""

    def run(self, desired: Document) -> tuple[Document, Running]:
        """Gives what is in the file then, and what runs: nothing, if that is how it stays. Raises `BalancerError`."""
        nothing = Running(None, version=self._tools.process.version(self._deadline))
        document = self._file(desired, nothing)
        if document is None:
            return desired, nothing
        # It may have been starting while the file was made ready.
        current = self._tools.lifecycle.appearing(self._deadline)
        if current is not None and current[0].skeleton == document.skeleton:
            return document, self._reader.closely(self._reader.noted(current))
        refused = self._put_off(document, nothing)
        if refused is None:
            try:
                running = self._asked(document, nothing)
            except (RejectedError, UnfinishedError, NotRunningError) as error:
                refused = str(error)
            else:
                self._account.reload = _REASON
                return document, self._reader.closely(running)
        self._account.tell(f"HAProxy does not serve the clusters: {refused}")
        return document, nothing

    def _put_off(self, document: Document, nothing: Running) -> str | None:
        """Why it is not asked now: it was lately, and other members make no difference to what came of it."""
        if (known := self._tools.refusals.inclusions.get(document.skeleton)) is not None:
            return known.reason
        if (wait := self._tools.pace.wait(nothing, None)) is None:
            return None
        self._account.pending = _REASON
        self._account.look_again(wait.seconds)
        return "it has not read our file, and the next reload waits until `restart_interval` is over"

    def _asked(self, document: Document, nothing: Running) -> Running:
        """Have it reloaded. Raises `RejectedError`, `UnfinishedError`, or `NotRunningError` where nobody is there to be asked."""
        asked = True
        try:
            return self._reader.noted(self._tools.lifecycle.reload(document, nothing, self._deadline))
        except NotRunningError:
            asked = False  # the one that comes next is asked at once
            raise
        except (RejectedError, UnfinishedError) as error:
            self._tools.refusals.inclusions.remember(document.skeleton, Refusal(str(error)))
            raise
        finally:
            if asked:
                self._tools.pace.reloaded()

    def _file(self, desired: Document, nothing: Running) -> Document | None:
        """Make the file as good as it can be, and give what is in it; None if nothing can be."""
        try:
            return self._written(desired, nothing)
        except HeldUpError as error:
            self._account.held_up(error)
            base = self._tools.file.document()
            return base and refilled(base, arranged(desired, base, nothing, self._tools.obstacle), nothing)

    def _written(self, desired: Document, nothing: Running) -> Document | None:
        base = next(iter(self._tools.file.documents()), None)
        wanted = arranged(desired, base, nothing, self._tools.obstacle)
        document: Document | None = wanted
        if base is None or base.skeleton != wanted.skeleton:
            good = refilled(base, wanted, nothing) if base else None
            ports = self._tools.ports(good)
            parted = self._proposals.parted(wanted, good, ports, start=True)
            verdict = self._proposals.known(parted, good) or self._proposals.judged(parted, good, ports, start=True)
            self._account.set_apart(verdict.clusters, verdict.listeners)
            if verdict.document is None:
                self._account.note(f"the new configuration is not in force: {verdict.reason}")
            document = verdict.document or good
        if document is not None and (refused := self._proposals.save(document)) is not None:
            self._account.tell(f"the file is not up to date: {refused}")
        return document
