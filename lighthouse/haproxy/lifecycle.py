"""Starting, reloading and taking over: each ends when the wanted configuration runs, or with the reason why it does not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lighthouse.errors import BalancerError
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.errors import (
    BrokenOffError,
    EndedError,
    NoAnswerError,
    NotRunningError,
    UnfinishedError,
    UnstartedError,
)
from lighthouse.haproxy.process import HAProxyProcess
from lighthouse.haproxy.processes import Processes
from lighthouse.haproxy.running import Running
from lighthouse.haproxy.sockets import Sockets

READY = 3 / 8  # of a call, until a new process answers
RELOAD = 3.5 / 8  # of a call; a failing reload tries for 2 s to bind its ports, and a busy host takes its time
SETTLE = 1 / 8  # of a call, until only the new worker answers
_PAUSE = 0.005
_ENDED = "HAProxy ended right after its start; its own log may say why"

Current = tuple[Running, Processes | None]


class Lifecycle:
    """Brings an HAProxy of our own to run the file that is on disk. One of a service: `lighthouse.haproxy.service`."""

    def __init__(self, control: Sockets, process: HAProxyProcess) -> None:
        self._control = control
        self._process = process

    def start(self, document: Document, deadline: Deadline, replaced: Sequence[int] = ()) -> Current:
        """Start it, in place of the processes `replaced`. Raises `RejectedError` or `BalancerError`."""
        self._process.start(document, replaced, deadline)
        return self._ready(document, replaced, deadline)

    def reload(self, document: Document, running: Running, deadline: Deadline) -> Current:
        """Reload the running HAProxy, or replace it if it cannot be reloaded into our file.

        It cannot if it was started without our master socket, by lighthouse 1.0 for instance, or on other paths.
        Raises `RejectedError` if the new process did not come up (the old one then still serves) or `BalancerError`.
        """
        before = self.master(deadline)
        if before is None or not self._process.serves_our_files(before.master):
            pids = {running.pid, *self._process.find(), *([before.master] if before else [])}
            return self.start(document, deadline, sorted(pids))
        ended, limit = self.ended(before, document), deadline.share(RELOAD)
        self._control.reload(limit)
        ended(limit)
        return self._ready(document, (running.pid,), deadline)

    def restore(self, good: Document, running: Running, deadline: Deadline) -> Current:
        """Load again what ran, and still serves, so that HAProxy's master is whole again. Raises like `reload`."""
        return self.reload(good, running, deadline)

    def current(self, deadline: Deadline) -> Current:
        """What the current worker runs, and what the master says; None if no master can be asked.

        For a moment after a reload the old worker still answers too, and a reload that an earlier, killed process of ours asked
        for may be on its way. To believe the old one, or to reload again before the new one answers, would be wrong.
        Raises `NotRunningError`, `NoAnswerError` or `BalancerError`.
        """
        waiting = None
        while True:
            running = self._control.running(deadline)
            try:
                processes = self.master(deadline, running.pid)
            except BalancerError:
                processes = None  # members can be changed without it
            if processes is None or processes.worker in (None, running.pid):
                return running, processes
            if waiting is None:
                waiting = deadline.share(SETTLE)
            elif not waiting:
                return running, processes
            time.sleep(_PAUSE)

    def appearing(self, deadline: Deadline) -> Current | None:
        """The same, once a process that is just starting or ending has done so; None if none is left or it stays silent."""
        while self._process.find() and deadline:
            try:
                return self.current(deadline)
            except (NotRunningError, BrokenOffError):
                time.sleep(_PAUSE)
        return None

    def master(self, deadline: Deadline, serving: int = 0) -> Processes | None:
        """What the master says; None if there is none. One that is loading is waited for; its worker `serving` is not.

        Raises `NoAnswerError` or `NoAccessError`.
        """
        if not self._control.master_socket_file:
            return None
        waiting = deadline.share(RELOAD)
        while True:
            try:
                found = self._control.processes(deadline)
                if not waiting or found.worker in (None, serving) or not self._is_loading(found, deadline):
                    return found
            except (NotRunningError, BrokenOffError):
                if not waiting or not self._will_listen():
                    return None
            time.sleep(_PAUSE)

    def _is_loading(self, found: Processes, deadline: Deadline) -> bool:
        return found.worker is not None and self._control.is_loading(found.worker, deadline)

    def _will_listen(self) -> bool:
        """Whether a process of ours is there whose master does not listen; one whose socket was deleted never will."""
        return _exists(self._control.master_socket_file) and any(
            map(self._process.serves_our_files, self._process.find())
        )

    def missing_master(self) -> str | None:
        """Why there may be no answer of a master, and what follows; None if none is needed."""
        path = self._control.master_socket_file
        if not path:
            return None
        closed = _exists(path) and not os.access(path, os.W_OK, effective_ids=True)
        what = "is closed to the user of Lighthouse" if closed else "does not answer"
        return f"HAProxy's master process {what} at {path}, so it cannot be reloaded gracefully"

    def lost_master(self) -> str | None:
        """Why it takes another process to have a master that answers; None if one may answer yet, none can, or none is needed."""
        path = self._control.master_socket_file
        if not path or _exists(path) or not os.access(Path(path).parent, os.W_OK | os.X_OK, effective_ids=True):
            return None
        return f"the socket of HAProxy's master process was deleted ({path})"

    def ended(self, before: Processes, document: Document) -> Callable[[Deadline], None]:
        """To be asked for before a reload into `document`: what waits for its end then.

        That raises `UnstartedError` if the old process goes on, `EndedError` if it ended too, `UnfinishedError` if it takes long.
        """
        gone = self._process.gone([before.master])

        def wait(deadline: Deadline) -> None:
            deadline = deadline.share(RELOAD)
            while deadline:
                try:
                    if self._has_reloaded(before, document, deadline):
                        return
                except (NotRunningError, NoAnswerError):
                    if gone():
                        raise EndedError("HAProxy ended when it was to run it; its own log may say why") from None
                time.sleep(_PAUSE)
            raise UnfinishedError(f"HAProxy has not ended its reload within {deadline}; it is looked at again")

        return wait

    def _has_reloaded(self, before: Processes, document: Document, deadline: Deadline) -> bool:
        """Whether the reload is over; a worker that has ended takes its master along. Raises `UnstartedError` if it failed."""
        now = self._control.processes(deadline)
        if now.reloads == before.reloads and now.master == before.master:
            return False
        if now.failed:
            said = self._control.startup_log(deadline)
            why = f": {self._process.reason(said, document)}" if "[ALERT]" in said else "; its own log may say why"
            places = self._process.places(said, document)
            raise UnstartedError(f"HAProxy cannot start with it and goes on with the old one{why}", places)
        return now.worker is not None and not self._is_loading(now, deadline)

    def _ready(self, document: Document, before: Sequence[int], deadline: Deadline) -> Current:
        found = self.ready(document, before, deadline, gone=self._process.gone(self._process.find()))
        if found is None and not self._process.find():
            raise EndedError(_ENDED)  # before it was even seen
        if found is None:
            raise BalancerError("HAProxy started but does not answer at its socket; its own log may say why")
        return found

    def ready(
        self,
        document: Document,
        before: Sequence[int],
        deadline: Deadline,
        *,
        master: bool = True,
        gone: Callable[[], bool] = lambda: False,
    ) -> Current | None:
        """Wait until a process other than those `before` answers with this document, and its `master` too if there is one.

        None if that did not come in time. Raises `EndedError` once all of it is `gone`.
        """
        deadline = deadline.share(READY)
        while deadline:
            try:
                running, processes = self.current(deadline)
            except (NotRunningError, NoAnswerError):
                if gone():
                    raise EndedError(_ENDED) from None
                time.sleep(_PAUSE)
                continue
            if (processes or not master) and running.pid not in before and running.skeleton == document.skeleton:
                return running, processes
            time.sleep(_PAUSE)
        return None


def _exists(path: str) -> bool:
    """Unlike that of `pathlib`, this does not raise where a directory on the way may not be searched."""
    return os.path.exists(path)  # noqa: PTH110
