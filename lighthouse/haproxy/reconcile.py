"""One reconciliation: read what runs, compare, act, read back.

Members first: they change at run time, in about a millisecond, against whatever skeleton runs. Then the shape: a file with
another skeleton is judged by ``haproxy -c``, put in place and loaded; if that fails, the last good skeleton *with the newest
members* takes its place again. So a bad line never keeps a member from joining or leaving, and the file always is what HAProxy
runs.

It may be killed between any two steps; the next one, in a fresh process, then finds
    a candidate                             -> overwrites it
    members changed, file not yet           -> nothing to do at run time; writes the file
    a new file in place, not yet loaded     -> the running hash differs from the file's: loads it; ``.good`` is what to go back to
    HAProxy just starting                   -> finds the process and waits for it instead of starting a second one
    the good file back, not yet loaded      -> as for any other difference
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lighthouse.cluster import Cluster
from lighthouse.errors import BalancerError
from lighthouse.haproxy.config import Desired, HAProxyConfig
from lighthouse.haproxy.control import HAProxyControl, raise_refusal
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.errors import BrokenOffError, NotRunningError, RejectedError
from lighthouse.haproxy.files import ConfigFile
from lighthouse.haproxy.lifecycle import Current, Lifecycle
from lighthouse.haproxy.planner import Kind, Plan, adopt, plan, reload_reason
from lighthouse.haproxy.ports import unavailable
from lighthouse.haproxy.process import HAProxyProcess
from lighthouse.haproxy.refusals import Refusals
from lighthouse.haproxy.running import Processes, Running

APPEAR_TIMEOUT = 1.0  # seconds that a process which exists, but does not answer, is given to do so
ROUNDS = 2  # how often the difference is acted on before it is reported instead

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tools:
    """The means of one balancer: what it renders with, and its hands."""

    config: HAProxyConfig
    control: HAProxyControl
    process: HAProxyProcess
    lifecycle: Lifecycle
    file: ConfigFile
    refusals: Refusals


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a reconciliation did and found."""

    desired: Desired
    running: Running
    processes: Processes | None
    commands: int
    reload: str | None
    notes: list[str]


def reconcile(tools: Tools, clusters: Sequence[Cluster], deadline: Deadline) -> Outcome:
    """Make HAProxy equal to `clusters`. Raises `BalancerError` when that cannot even be tried."""
    return _Reconciliation(tools, clusters, deadline).run()


class _Reconciliation:
    def __init__(self, tools: Tools, clusters: Sequence[Cluster], deadline: Deadline) -> None:
        self._tools = tools
        self._clusters = clusters
        self._deadline = deadline
        self._commands = 0
        self._reload: str | None = None
        self._processes: Processes | None = None
        self._notes: list[str] = []

    def run(self) -> Outcome:
        running = self._running()
        if running is None:
            desired = self._desired(None)
            running = self._start(desired)
        else:
            desired = self._desired(running)
            running = self._converge(desired, running)
        notes = [*desired.notes, *self._notes]
        return Outcome(desired, running, self._processes, self._commands, self._reload, notes)

    def _running(self) -> Running | None:
        lifecycle = self._tools.lifecycle
        try:
            current = lifecycle.current(self._deadline)
        except (NotRunningError, BrokenOffError):
            found = lifecycle.appearing(self._deadline.within(APPEAR_TIMEOUT))
            if found is None:
                return None
            current = found
        return self._noted(current)

    def _read(self) -> Running:
        """Read back. A master that could not be asked is not asked again, because that may take its time."""
        if self._processes is None:
            return self._tools.control.running(self._deadline)
        return self._noted(self._tools.lifecycle.current(self._deadline))

    def _noted(self, current: Current) -> Running:
        running, self._processes = current
        return running

    def _desired(self, running: Running | None) -> Desired:
        unknown = [cluster.name for cluster in self._clusters if cluster.nodes is None]
        on_disk = next(iter(self._tools.file.documents()), None) if unknown else None
        return self._tools.config.desired(self._clusters, {name: adopt(name, running, on_disk) for name in unknown})

    # -- it runs ---------------------------------------------------------------------------------------------------------------

    def _converge(self, desired: Desired, running: Running) -> Running:
        wanted = desired.document
        base = self._document_of(running, wanted)
        current, obstacles = None, dict[str, str]()
        if base is not None:
            current = _with_members_of(base, wanted)
            running, obstacles = self._members(current, running, desired.unknown)
        reason = reload_reason(wanted, base) or "; ".join(obstacles.values()) or None
        if reason is None:
            self._save(wanted)
            return running
        refused = self._tools.refusals.reason(wanted.skeleton) or self._shape(wanted, current, running, reason)
        if refused is not None:
            self._notes.append(f"the new configuration is not in force: {refused}")
            if current is not None:
                self._save(current)
            return self._read()
        running, _ = self._members(wanted, self._read(), desired.unknown)
        return running

    def _document_of(self, running: Running, wanted: Document) -> Document | None:
        """The document that HAProxy runs, apart from its members."""
        if running.skeleton == wanted.skeleton:
            return wanted
        return next((item for item in self._tools.file.documents() if item.skeleton == running.skeleton), None)

    def _members(self, document: Document, running: Running, unknown: Iterable[str]) -> tuple[Running, dict[str, str]]:
        """Bring the members to those of `document`, which must be what runs; also tell which backends need a reload for it."""
        unknown = frozenset(unknown)
        refused: dict[str, str] = {}
        todo = plan(document, running, unknown)
        for _ in range(ROUNDS):
            if not todo.steps:
                break
            refused |= self._execute(todo)
            running = self._read()
            todo = plan(document, running, unknown)
            if not todo.open:
                break
        late = [step for step in todo.open if step.backend not in refused]
        if late:
            self._notes.append(
                f"HAProxy did not take {len(late)} changes, first that of {late[0].backend}/{late[0].server}"
            )
        return running, {**refused, **todo.blocked}

    def _execute(self, todo: Plan) -> dict[str, str]:
        """Send the commands of a plan; tells which backends refused a new server, and why."""
        commands = [command for step in todo.steps for command in step.commands]
        answers = iter(self._tools.control.batch(commands, self._deadline))
        self._commands += len(commands)
        refused = {}
        for step in todo.steps:
            first, *_ = [next(answers) for _ in step.commands]
            if first.startswith("Permission denied"):
                raise_refusal(first)
            if step.kind is Kind.JOIN and not first.startswith(("New server registered", "Already exists")):
                refused[step.backend] = (
                    f"backend {step.backend} refuses server {step.server} at run time: {' '.join(first.split())[:200]}"
                )
        return refused

    def _shape(self, wanted: Document, current: Document | None, running: Running, reason: str) -> str | None:
        """Bring in another skeleton. Gives the reason if HAProxy refuses it; what ran before then runs again."""
        tools = self._tools
        refused = self._accepted(wanted)
        if refused is None and current is not None:
            refused = "; ".join(unavailable(wanted, current)) or None
        if refused is not None:
            return refused
        if current is not None and current.skeleton != wanted.skeleton:
            tools.file.keep_good(current)
        tools.file.commit()
        log.info("reloading HAProxy: %s", reason)
        try:
            self._noted(tools.lifecycle.reload(wanted, running, self._deadline))
        except RejectedError as error:
            tools.refusals.remember(wanted.skeleton, str(error))
            if current is not None:
                self._go_back(current, running)
            return str(error)
        self._reload = reason
        tools.refusals.forget()
        tools.file.drop_good()
        return None

    def _go_back(self, good: Document, running: Running) -> None:
        """Put back what ran, and load it so that HAProxy's master is whole again."""
        self._tools.file.propose(good.text())
        self._tools.file.commit()
        self._noted(self._tools.lifecycle.reload(good, running, self._deadline))

    # -- it does not run -------------------------------------------------------------------------------------------------------

    def _start(self, desired: Desired) -> Running:
        """Start it with what is wanted, or else with the last good skeleton and the wanted members: anything but no HAProxy."""
        wanted = desired.document
        others = [item for item in self._tools.file.documents() if item.skeleton != wanted.skeleton]
        fallback = _with_members_of(others[0], wanted) if others else None
        failures = []
        for document in (wanted, fallback) if fallback else (wanted,):
            try:
                running = self._start_with(document, fallback if document is wanted else None)
            except RejectedError as error:
                self._tools.refusals.remember(document.skeleton, str(error))
                failures.append(str(error))
                continue
            if failures:
                self._tools.refusals.remember(wanted.skeleton, failures[0])
                self._notes.append(
                    f"HAProxy runs its last good configuration, because it refuses the new one: {failures[0]}"
                )
            else:
                self._tools.file.drop_good()
            return running
        raise BalancerError(f"HAProxy cannot be started: {'; and with the last good configuration: '.join(failures)}")

    def _start_with(self, document: Document, good: Document | None) -> Running:
        if self._tools.file.text() != document.text():
            refused = self._accepted(document)
            if refused is not None:
                raise RejectedError(refused)
            if good is not None:
                self._tools.file.keep_good(good)
            self._tools.file.commit()
        replaced = self._tools.process.find()
        if not replaced and (taken := unavailable(document)):
            raise RejectedError("; ".join(taken))
        log.info("starting HAProxy")
        return self._noted(self._tools.lifecycle.start(document, self._deadline, replaced))

    # -- the file --------------------------------------------------------------------------------------------------------------

    def _accepted(self, document: Document) -> str | None:
        """Write the candidate and let HAProxy judge it. Gives the reason if it refuses."""
        try:
            path = self._tools.file.propose(document.text())
            self._tools.process.check(path, document, self._deadline)
        except RejectedError as error:
            self._tools.refusals.remember(document.skeleton, str(error))
            self._tools.file.discard()
            return str(error)
        return None

    def _save(self, document: Document) -> None:
        """Make the file say what runs, so that the next start does too."""
        if self._tools.file.text() == document.text():
            return
        refused = self._accepted(document)
        if refused is None:
            self._tools.file.commit()
        else:
            self._notes.append(f"the file is not up to date: {refused}")


def _with_members_of(base: Document, wanted: Document) -> Document:
    """The skeleton of `base` with the members of `wanted`; a backend that only `base` has keeps its own."""
    members = {name: section.members for name, section in wanted.backends().items()}
    return base.with_members(lambda section: members.get(section.backend or "", section.members))
