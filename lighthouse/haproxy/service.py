"""An HAProxy that belongs to a service: never started, replaced or ended from here, only asked to read its files again.

Its owner's files come first on its command line, ours behind them. Whatever the way in which the reload was asked for, HAProxy
itself is the witness of what became of it.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence

from lighthouse.errors import BalancerError
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.errors import NoAccessError, NoAnswerError, NotRunningError, RejectedError, UnfinishedError
from lighthouse.haproxy.lifecycle import RELOAD, Current, Lifecycle
from lighthouse.haproxy.options import HAProxySettings
from lighthouse.haproxy.process import HAProxyProcess
from lighthouse.haproxy.processes import Processes
from lighthouse.haproxy.program import run
from lighthouse.haproxy.running import Running
from lighthouse.haproxy.sockets import Sockets
from lighthouse.identity import shown

VAIN_RETRY = 600.0  # seconds until a reload that brought nothing is tried again
GLANCE = 0.2  # seconds to look at what runs after a failure
COMMAND = 3 / 8  # of a call; `systemctl reload` judges the configuration first


class ServiceLifecycle:
    """Has the HAProxy of a service run the file that is on disk."""

    def __init__(
        self,
        settings: HAProxySettings,
        control: Sockets,
        process: HAProxyProcess,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._control = control
        self._process = process
        self._clock = clock
        self._looking = Lifecycle(control, process)
        self._vain: tuple[str, int] | None = None
        self._again = 0.0

    def current(self, deadline: Deadline) -> Current:
        """See `Lifecycle.current`. A reload into what runs now was not made in vain, but took long."""
        found = self._looking.current(deadline)
        if self._vain and found[0].skeleton == self._vain[0]:
            self._vain = None
        return found

    def appearing(self, deadline: Deadline) -> Current | None:
        """See `Lifecycle.appearing`. A master that answers has finished starting, whether its worker has read our file or not."""
        try:
            master = self._looking.master(deadline)
            return self.current(deadline) if master else None
        except (NotRunningError, NoAnswerError, NoAccessError):
            return None

    def missing_master(self) -> str | None:
        """See `Lifecycle.missing_master`. A reload command needs none."""
        return None if self._settings.reload_command else self._looking.missing_master()

    def lost_master(self) -> None:
        """See `Lifecycle.lost_master`. It takes its owner to start another one."""

    def start(self, document: Document, deadline: Deadline, replaced: Sequence[int] = ()) -> Current:  # noqa: ARG002
        """Never. Raises `NotRunningError`."""
        raise NotRunningError(self._absent())

    def reload(self, document: Document, running: Running, deadline: Deadline) -> Current:
        """Have it reloaded, also when it has not read our file yet and therefore does not listen at our socket.

        A reload that went well and brought nothing is not made again so soon for the same document and the same master: each
        leaves an old process behind. Raises `RejectedError` if the document does not run afterwards, `NotRunningError` if there is
        nobody to ask, or `BalancerError`.
        """
        try:
            before = self._looking.master(deadline)
        except NoAccessError:
            if not self._settings.reload_command:
                raise
            before = None
        for pid in (running.pid, before.master if before else 0):
            if pid and self._process.leaves_ours_out(pid):
                raise RejectedError(f"HAProxy runs without {self._settings.config_file}: {self._remedy()}")
        attempt = document.skeleton, before.master if before else 0
        if attempt == self._vain and self._clock() < self._again:
            raise RejectedError(self._unread())
        old, master = (running.pid,), before is not None
        try:
            self._ask(document, before, deadline)
        except RejectedError as error:
            # A command that fails may have done its work all the same.
            if (found := self._looking.ready(document, old, Deadline(GLANCE), master=master)) is not None:
                return found
            raise RejectedError(f"{error}{self._hint()}") from None
        found = self._looking.ready(document, old, deadline, master=master)
        if found is None:
            self._vain, self._again = attempt, self._clock() + VAIN_RETRY
            raise RejectedError(self._unread())
        return found

    def restore(self, good: Document, running: Running, deadline: Deadline) -> Current:
        """See `Lifecycle.restore`. If `good` still runs, its master stays as it is where a reload cannot make it whole."""
        now, processes = self.current(deadline)
        runs = now.skeleton == good.skeleton
        if runs and not (processes and processes.failed):
            return now, processes
        try:
            return self.reload(good, running, deadline)
        except BalancerError:
            if runs:
                return self.current(deadline)
            raise

    def _ask(self, document: Document, before: Processes | None, deadline: Deadline) -> None:
        ended = self._looking.ended(before, document) if before else None
        if self._settings.reload_command:
            self._run(deadline.share(COMMAND))
        elif ended is None:
            raise NotRunningError(self._absent())
        else:
            deadline = deadline.share(RELOAD)
            self._control.reload(deadline)
        if ended is None:
            return
        try:
            ended(deadline)
        except UnfinishedError:
            if self._settings.reload_command:
                raise RejectedError("reload_command ended without an error, but HAProxy was not reloaded") from None
            raise

    def _run(self, deadline: Deadline) -> None:
        command = self._settings.reload_command
        name = f"reload_command {shown(shlex.join(command), 100)}"
        try:
            code, output = run(command, deadline)
        except OSError as error:
            raise RejectedError(f"{name} cannot be run: {error.strerror}") from None
        if code == 0:
            return
        said = " ".join(output.split())
        said = f": {shown(said[-300:], 300)}" if said else ""
        if code is None:
            raise RejectedError(f"{name} did not end within {deadline} and was killed{said}")
        raise RejectedError(f"{name} failed with exit code {code}{said}")

    def _hint(self) -> str:
        """What else there is to say when a reload failed and HAProxy is not to be seen either."""
        try:
            self._control.running(Deadline(GLANCE))
        except NotRunningError:
            return f"; {self._absent()}"
        except BalancerError:
            pass
        return ""

    def _absent(self) -> str:
        settings = self._settings
        return f"no HAProxy listens at {settings.socket_file}: start its service, with `-f {settings.config_file}` as its last file"

    def _unread(self) -> str:
        file = self._settings.config_file
        return f"HAProxy was reloaded and does not run {file}, or not with its socket: is it on its command line? {self._remedy()}"

    def _remedy(self) -> str:
        return f"add `-f {self._settings.config_file}` behind its other files and restart its service"
