"""Starting, reloading and taking over: each ends when the wanted configuration runs, or with the reason why it does not."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Sequence

from lighthouse.errors import BalancerError
from lighthouse.haproxy.control import HAProxyControl
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.errors import BrokenOffError, NoAnswerError, NotRunningError, RejectedError
from lighthouse.haproxy.process import HAProxyProcess
from lighthouse.haproxy.running import Processes, Running

READY_TIMEOUT = 3.0  # seconds until a new process answers
RELOAD_TIMEOUT = 2.5  # seconds; a failing reload tries for 2 s to bind its ports
_PAUSE = 0.005


class Lifecycle:
    """Brings HAProxy to run the file that is on disk."""

    def __init__(self, control: HAProxyControl, process: HAProxyProcess) -> None:
        self._control = control
        self._process = process

    def start(self, document: Document, deadline: Deadline, replaced: Sequence[int] = ()) -> Running:
        """Start it, in place of the processes `replaced`. Raises `RejectedError` or `BalancerError`."""
        self._process.start(document, replaced, deadline)
        return self._ready(document, replaced, deadline)

    def reload(self, document: Document, running: Running, deadline: Deadline) -> Running:
        """Reload the running HAProxy, or replace it if it cannot be reloaded into our file.

        It cannot if it was started without our master socket, by lighthouse 1.0 for instance, or on other paths.
        Raises `RejectedError` if the new process did not come up (the old one then still serves) or `BalancerError`.
        """
        before = self._master(deadline.within(RELOAD_TIMEOUT))
        if before is None or not self._process.serves_our_files(before.master):
            pids = {running.pid, *self._process.find(), *([before.master] if before else [])}
            return self.start(document, deadline, sorted(pids))
        self._control.reload(deadline.within(RELOAD_TIMEOUT))
        after = self._reloaded(before, deadline.within(RELOAD_TIMEOUT))
        if after.failed:
            raise RejectedError("HAProxy could not start with it and goes on with the old one" + _ports_hint(document))
        return self._ready(document, (running.pid,), deadline)

    def answering(self, deadline: Deadline) -> Running | None:
        """What runs, once a process that is just starting or ending has done so; None if none is left or it stays silent."""
        while self._process.find() and deadline:
            try:
                return self._control.running(deadline)
            except (NotRunningError, BrokenOffError):
                time.sleep(_PAUSE)
        return None

    def _master(self, deadline: Deadline) -> Processes | None:
        """What the master says; None if there is no master on our socket. One that is just loading is waited for."""
        while True:
            try:
                return self._control.processes(deadline)
            except (NotRunningError, BrokenOffError):
                if not deadline or not any(map(self._process.serves_our_files, self._process.find())):
                    return None
                time.sleep(_PAUSE)

    def _reloaded(self, before: Processes, deadline: Deadline) -> Processes:
        """Wait for the end of a reload. The master listens to nobody while it loads, and counts only what has ended."""
        while deadline:
            try:
                now = self._control.processes(deadline)
            except (NotRunningError, NoAnswerError):
                time.sleep(_PAUSE)
                continue
            if now.reloads != before.reloads or now.master != before.master:
                return now
            time.sleep(_PAUSE)
        raise BalancerError("HAProxy has not ended its reload in time; it is looked at again")

    def _ready(self, document: Document, before: Sequence[int], deadline: Deadline) -> Running:
        """Wait until a process other than those `before` answers with this document."""
        deadline = deadline.within(READY_TIMEOUT)
        while deadline:
            try:
                running = self._control.running(deadline)
            except (NotRunningError, NoAnswerError):
                running = None
            if (
                running
                and running.pid not in before
                and running.skeleton == document.skeleton
                and self._master(deadline)
            ):
                return running
            time.sleep(_PAUSE)
        raise BalancerError("HAProxy started but does not answer at its socket; its own log may say why")


def _ports_hint(document: Document) -> str:
    """HAProxy in the background cannot say why it failed to start. The usual cause, a port in use, can be found out."""
    taken = []
    for section in document.sections:
        for line in section.lines if section.header.startswith("frontend ") else ():
            word, _, rest = line.partition(" ")
            if word == "bind" and (cause := _cannot_bind(rest.split()[0])):
                taken.append(f"{section.header}: cannot listen on {rest}: {cause}")
    return f": {'; '.join(taken[:3])}" if taken else ": its own log may say why"


def _cannot_bind(address: str) -> str | None:
    """Why an address cannot be listened on. Sharing is allowed, as HAProxy does, so that its own sockets do not count."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            probe.bind(("" if host == "*" else host, int(port)))
        except OSError as error:
            return "another program has it" if error.errno == errno.EADDRINUSE else error.strerror
        except ValueError:
            return None
    return None
