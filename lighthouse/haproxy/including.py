"""An HAProxy of a service that does not answer at our socket: it does not run, or has not read our file.

The file is made ready, so that the service's next start is right. If there is somebody to ask, HAProxy is reloaded, which makes it
read a file that was still empty when it started.
"""

from __future__ import annotations

import hashlib

from lighthouse.haproxy.actor import Actor
from lighthouse.haproxy.arrange import arranged, refilled
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.errors import HeldUpError, NotRunningError, RejectedError
from lighthouse.haproxy.refusals import Refusal
from lighthouse.haproxy.running import Running


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
        key = hashlib.sha256(document.text().encode()).hexdigest()
        known = self._tools.refusals.inclusions.get(key)
        refused = known.reason if known else None
        if refused is None:
            self._tools.pace.reloaded()
            try:
                running = self._reader.noted(self._tools.lifecycle.reload(document, nothing, self._deadline))
            except RejectedError as error:
                refused = str(error)
                self._tools.refusals.inclusions.remember(key, Refusal(refused))
            except NotRunningError as error:
                refused = str(error)
            else:
                self._account.reload = "HAProxy had not read our file"
                return document, self._reader.closely(running)
        self._account.trouble.insert(0, f"HAProxy does not serve the clusters: {refused}")
        return document, nothing

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
                self._account.trouble.append(f"the new configuration is not in force: {verdict.reason}")
            document = verdict.document or good
        if document is not None and (refused := self._proposals.save(document)) is not None:
            self._account.trouble.append(f"the file is not up to date: {refused}")
        return document
