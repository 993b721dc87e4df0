"""One reconciliation: read what runs, compare, act, read back.

A change of a few clusters' members goes a short way (`lighthouse.haproxy.quick`); this is the long one, which compares everything.

Members first: they change at run time, in about a millisecond, against whatever skeleton runs. Then the shape: a file with
another skeleton is judged by ``haproxy -c``, put in place and loaded; if that fails, the last good skeleton *with the newest
members* takes its place again. So a bad line never keeps a member from joining or leaving, and the file always is what HAProxy
runs. A cluster that alone is refused keeps its last good sections (`lighthouse.haproxy.quarantine`); a reload waits for its turn
(`lighthouse.haproxy.pace`).

It may be killed between any two steps; the next one, in a fresh process, then finds
    a candidate                             -> overwrites it
    members changed, file not yet           -> nothing to do at run time; writes the file
    a new file in place, not yet loaded     -> the running hash differs from the file's: loads it; ``.good`` is what to go back to
    HAProxy just starting                   -> finds the process and waits for it instead of starting a second one
    the good file back, not yet loaded      -> as for any other difference
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lighthouse.cluster import Cluster
from lighthouse.haproxy.aims import astray
from lighthouse.haproxy.arrange import arranged, grown, last_resort, refilled, with_running
from lighthouse.haproxy.config import Desired
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.document import Document, loaded
from lighthouse.haproxy.drain import leaving
from lighthouse.haproxy.errors import HeldUpError, UndecidedError
from lighthouse.haproxy.including import Inclusion
from lighthouse.haproxy.loading import Loading
from lighthouse.haproxy.options import Owner
from lighthouse.haproxy.outcome import LOOK_AGAIN, Account, Outcome
from lighthouse.haproxy.planner import reload_reason
from lighthouse.haproxy.proposals import Proposals
from lighthouse.haproxy.quarantine import Verdict
from lighthouse.haproxy.quick import quick
from lighthouse.haproxy.reader import Reader
from lighthouse.haproxy.repair import changed, repairs, shut_down
from lighthouse.haproxy.resolver import RETRY
from lighthouse.haproxy.running import Running
from lighthouse.haproxy.runtime import Runtime
from lighthouse.haproxy.starting import Start
from lighthouse.haproxy.tools import Tools
from lighthouse.haproxy.trial import SOON
from lighthouse.haproxy.upstreams import stranded

NOT_IN_FORCE = "the new configuration is not in force"

log = logging.getLogger(__name__)


def reconcile(tools: Tools, clusters: Sequence[Cluster], deadline: Deadline) -> Outcome:
    """Make HAProxy equal to `clusters`. Raises `BalancerError` when that cannot even be tried."""
    outcome = quick(tools, clusters, deadline)
    if outcome is None:
        tools.memory.forget()
        tools.refusals.look()
        tools.control.hang_up()
        outcome = _Reconciliation(tools, clusters, deadline).run()
        tools.memory.verified(clusters, outcome)
    if tools.memory.known is not None:
        tools.control.prepare()
    return outcome


class _Reconciliation:
    def __init__(self, tools: Tools, clusters: Sequence[Cluster], deadline: Deadline) -> None:
        self._tools = tools
        self._clusters = clusters
        self._deadline = deadline
        self._account = Account()
        self._proposals = Proposals(tools, self._account, deadline)
        self._reader = Reader(tools, self._account, deadline)
        self._runtime = Runtime(tools, self._account, self._reader, deadline)
        self._loading = Loading(tools, self._account, self._reader, self._proposals, deadline)
        self._shared = tools.owner is Owner.SERVICE

    def run(self) -> Outcome:
        running = self._reader.first()
        desired = self._reader.desired(self._clusters, running)
        if desired.remarks:
            self._account.look_again(RETRY)  # of the resolver, which may know more then
        self._runtime.unknown = desired.unknown
        if running is None:
            self._compare(None)
            way = Inclusion if self._tools.owner is Owner.SERVICE else Start
            missing = way(self._tools, self._account, self._reader, self._proposals, self._deadline)
            document, running = missing.run(desired.document)
            if running.pid:
                running, obstacles = self._runtime.bring(document, running)
                for obstacle in obstacles.values():
                    self._account.tell(obstacle)
        else:
            document, running = self._converge(desired, running)
        self._finish(desired, document, running)
        return Outcome(desired, document, running, self._account)

    def _compare(self, running: Running | None, document: Document | None = None) -> None:
        changes = changed(document, running, shared=self._shared) if document and running else []
        if found := self._tools.drift.found(running, changes, self._tools.file.altered()):
            log.warning("HAProxy was changed from outside, which is put right: %s", ", ".join(found))

    def _finish(self, desired: Desired, document: Document, running: Running) -> None:
        gone = leaving(document.known(desired.unknown), running.servers)
        self._tools.drain.note(gone)
        if running.uptime >= SOON and running.skeleton == document.skeleton:
            self._tools.file.drop_good()
        if running.pid:
            self._tools.drift.left(running, [place for place, _ in gone], document)
        if gone:
            self._account.glance_again(min(LOOK_AGAIN, self._tools.drain.next() or LOOK_AGAIN))

    def _arranged(self, desired: Desired, base: Document | None, running: Running) -> Document:
        return arranged(desired.document, base, running, self._tools.obstacle)

    def _converge(self, desired: Desired, running: Running) -> tuple[Document, Running]:
        base = loaded(self._tools.documents(), running.skeleton)
        running = self._reader.closely(running)
        self._compare(running, base)
        if base is not None:
            self._tools.drain.met(base.backends())
        wanted = self._arranged(desired, base, running)
        if base is None and wanted.skeleton == running.skeleton:
            base = wanted  # the file is lost
        current, obstacles = None, dict[str, str]()
        if base is not None:
            self._tools.refusals.runs(base)
            current = refilled(base, wanted, running)
            running, obstacles = self._brought(current, running)
            current = with_running(current, running, self._runtime.refused)
            wanted = self._arranged(desired, current, running)  # a backend may have turned out to need slots
        try:
            return self._shaped(wanted, base, current, running, obstacles)
        except HeldUpError as error:
            self._account.held_up(error)
            takes_files = isinstance(error, UndecidedError)
        now = current or wanted
        running = self._reader.again()
        return self._settled(now, running) if current and takes_files else (now, running)

    def _brought(self, document: Document, running: Running) -> tuple[Running, dict[str, str]]:
        """Bring the members at run time. Gives what runs then, and what only another process can bring."""
        running, obstacles = self._runtime.bring(document, running)
        if self._account.processes is None and (lost := self._tools.lifecycle.lost_master()):
            obstacles = {**obstacles, "": lost}
        if commands := repairs(document, running, shared=self._shared):
            log.info("putting right at HAProxy: %s", "; ".join(commands))
            self._tools.control.batch(commands, self._deadline)
            self._account.commands += len(commands)
            running = self._reader.again()
        obstacles = {**obstacles, **shut_down(document, running), **stranded(document, running)}
        return running, {**obstacles, **astray(document, running), **self._tools.drift.spoilt(running)}

    def _shaped(
        self,
        wanted: Document,
        base: Document | None,
        current: Document | None,
        running: Running,
        obstacles: Mapping[str, str],
    ) -> tuple[Document, Running]:
        """All but the members. Raises `HeldUpError`; `current` runs then."""
        ports = self._tools.ports(current, held=self._has_its_ports(wanted, current, running))
        good = grown(current, wanted, running, self._tools.obstacle) if current else None
        old = last_resort(good, current, wanted)
        parted = self._proposals.parted(wanted, old, ports)
        known = self._proposals.known(parted, old)
        verdict = self._in_place(known, good, current) if known else None
        wanted, reason = self._needed(verdict or parted, wanted, base, obstacles)
        if reason is None:
            return self._settled(wanted, running)
        if not (verdict and verdict.reason) and self._has_to_wait(running, reason):
            return self._settled(current, running) if current else (wanted, running)
        if verdict is None:
            verdict = self._in_place(self._proposals.judged(parted, old, ports), good, current)
            wanted, reason = self._needed(verdict, wanted, base, obstacles)
            if reason is None:
                return self._settled(wanted, running)
        known_as = verdict.reason or self._loading.futile(wanted)
        refused = known_as or self._loading.load(wanted, current, running, reason)
        if refused is not None:
            (self._account.note if known_as else self._account.tell)(f"{NOT_IN_FORCE}: {refused}")
            return self._settled(current, self._reader.again()) if current else (wanted, running)
        running, obstacles = self._brought(wanted, self._reader.again())
        if obstacles:
            self._loading.was_futile(wanted, obstacles.values())
        return wanted, running

    def _in_place(self, verdict: Verdict, good: Document | None, current: Document | None) -> Verdict:
        """The same; if nothing new can be saved, with what is in force, should that need more slots for its members."""
        if not verdict.reason or good is None or current is None or good.skeleton == current.skeleton:
            return verdict
        self._account.note(f"{NOT_IN_FORCE}: {verdict.reason}")
        return replace(verdict, document=good, reason="")

    def _has_its_ports(self, wanted: Document, current: Document | None, running: Running) -> bool:
        """Whether HAProxy has the ports of `wanted` already, or some that nobody knows."""
        if current is None:
            return self._tools.owner is Owner.LIGHTHOUSE or running.skeleton is not None
        return current.skeleton == wanted.skeleton

    def _needed(
        self, verdict: Verdict, wanted: Document, base: Document | None, obstacles: Mapping[str, str]
    ) -> tuple[Document, str | None]:
        """What should be in force after a verdict, and why it needs a reload, if it does."""
        self._account.set_apart(verdict.clusters, verdict.listeners)
        wanted = verdict.document or wanted
        shape = reload_reason(wanted, base)
        # The last good lines of a cluster whose server HAProxy refused are no better after a reload.
        vain = self._runtime.refused & verdict.clusters.keys()
        left = (why for name, why in obstacles.items() if name not in vain)
        return wanted, "; ".join(filter(None, (shape, *left))) or None

    def _has_to_wait(self, running: Running, reason: str) -> bool:
        wait = self._tools.pace.wait(running, self._account.processes)
        if wait is None:
            return False
        self._account.pending = reason
        self._account.look_again(wait.seconds)
        if wait.trouble:
            self._account.note(wait.trouble)
        return True

    def _settled(self, document: Document, running: Running) -> tuple[Document, Running]:
        refused = self._proposals.save(document)
        if refused is not None:
            self._account.tell(f"the file is not up to date: {refused}")
        return document, running
