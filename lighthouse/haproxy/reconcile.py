"""One reconciliation: read what runs, compare, act, read back.

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

import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence

from lighthouse.cluster import Cluster
from lighthouse.errors import BalancerError
from lighthouse.haproxy.arrange import arranged, looked_at, refilled
from lighthouse.haproxy.config import Desired
from lighthouse.haproxy.control import raise_refusal
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.drain import leaving
from lighthouse.haproxy.errors import BrokenOffError, NotRunningError, RejectedError
from lighthouse.haproxy.lifecycle import Current
from lighthouse.haproxy.outcome import Outcome
from lighthouse.haproxy.planner import Kind, Plan, adopt, plan, reload_reason
from lighthouse.haproxy.ports import unavailable
from lighthouse.haproxy.proposals import Proposals
from lighthouse.haproxy.quarantine import Verdict, without
from lighthouse.haproxy.refusals import Refusal
from lighthouse.haproxy.running import Processes, Running
from lighthouse.haproxy.tools import Tools

APPEAR_TIMEOUT = 1.0  # seconds that a process which exists, but does not answer, is given to do so
ROUNDS = 3  # how often the difference is acted on before it is reported instead
LOOK_AGAIN = 1.0  # seconds after which servers that are leaving are looked at again

log = logging.getLogger(__name__)


def reconcile(tools: Tools, clusters: Sequence[Cluster], deadline: Deadline) -> Outcome:
    """Make HAProxy equal to `clusters`. Raises `BalancerError` when that cannot even be tried."""
    return _Reconciliation(tools, clusters, deadline).run()


class _Reconciliation:
    def __init__(self, tools: Tools, clusters: Sequence[Cluster], deadline: Deadline) -> None:
        self._tools = tools
        self._clusters = clusters
        self._deadline = deadline
        self._proposals = Proposals(tools.process, tools.file, tools.refusals, deadline)
        self._commands = 0
        self._reload: str | None = None
        self._processes: Processes | None = None
        self._notes: list[str] = []
        self._quarantined: Mapping[str, str] = {}
        self._pending: str | None = None
        self._again: float | None = None
        self._watched: Collection[str] = ()
        self._unknown: frozenset[str] = frozenset()

    def run(self) -> Outcome:
        running = self._running()
        if found := self._tools.drift.found(running):
            log.warning("HAProxy was changed from outside, which is put right: %s", ", ".join(found))
        desired = self._desired(running)
        self._watched, self._unknown = desired.limited, desired.unknown
        if running is None:
            document, running = self._start(desired)
        else:
            document, running = self._converge(desired, running)
        self._finish(document, running)
        notes = [f"cluster {name} is quarantined: {why}" for name, why in sorted(self._quarantined.items())]
        return Outcome(
            desired,
            document,
            running,
            self._processes,
            self._commands,
            self._reload,
            (*desired.notes, *notes, *self._notes),
            self._quarantined,
            self._pending,
            self._again,
        )

    def _finish(self, document: Document, running: Running) -> None:
        gone = leaving(document, running, self._unknown)
        self._tools.drain.note(gone)
        self._tools.drift.left(running, [place for place, _ in gone])
        if gone:
            self._look_again(min(LOOK_AGAIN, self._tools.drain.next() or LOOK_AGAIN))

    def _look_again(self, seconds: float) -> None:
        self._again = seconds if self._again is None else min(self._again, seconds)

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

    def _read(self, document: Document) -> Running:
        """Read back. A master that could not be asked is not asked again, because that may take its time."""
        if self._processes is None:
            running = self._tools.control.running(self._deadline)
        else:
            running = self._noted(self._tools.lifecycle.current(self._deadline))
        return self._closely(document, running)

    def _closely(self, document: Document, running: Running) -> Running:
        """The same with the details of those backends for which they decide something."""
        backends = looked_at(document, running, self._watched)
        return self._tools.control.details(running, backends, self._deadline)

    def _noted(self, current: Current) -> Running:
        running, self._processes = current
        return running

    def _desired(self, running: Running | None) -> Desired:
        unknown = [cluster.name for cluster in self._clusters if cluster.nodes is None]
        on_disk = next(iter(self._tools.file.documents()), None) if unknown else None
        adopted = {name: adopt(name, running, on_disk) for name in unknown}
        return self._tools.config.desired(self._clusters, adopted, on_disk)

    def _arranged(self, desired: Desired, base: Document | None, running: Running) -> Document:
        return arranged(desired.document, base, running, self._tools.obstacle)

    # -- it runs ---------------------------------------------------------------------------------------------------------------

    def _converge(self, desired: Desired, running: Running) -> tuple[Document, Running]:
        base = next((item for item in self._tools.file.documents() if item.skeleton == running.skeleton), None)
        running = self._closely(base or desired.document, running)
        wanted = self._arranged(desired, base, running)
        if base is None and wanted.skeleton == running.skeleton:
            base = wanted  # the file is lost
        current, obstacles = None, dict[str, str]()
        if base is not None:
            current = refilled(base, wanted, running)
            running, obstacles = self._members(current, running)
            wanted = self._arranged(desired, current, running)  # a backend may have turned out to need slots
        verdict = self._known(wanted, base)
        wanted, reason = self._needed(verdict, wanted, base, obstacles)
        if reason is None:
            return self._settled(wanted, running)
        if not (verdict and verdict.reason) and self._has_to_wait(running, reason):
            return self._settled(current, running) if current else (wanted, running)
        if verdict is None:
            verdict = self._proposals.judged(wanted, current)
            wanted, reason = self._needed(verdict, wanted, base, obstacles)
            if reason is None:
                return self._settled(wanted, running)
        refused = verdict.reason or self._futile(wanted) or self._load(wanted, current, running, reason)
        if refused is not None:
            self._notes.append(f"the new configuration is not in force: {refused}")
            return self._settled(current, self._read(current)) if current else (wanted, running)
        running, obstacles = self._members(wanted, self._read(wanted))
        if obstacles:
            self._tools.refusals.remember(_key(wanted), Refusal("; ".join(obstacles.values())))
        return wanted, running

    def _known(self, wanted: Document, base: Document | None) -> Verdict | None:
        """What was found out lately about this configuration."""
        known = self._tools.refusals.get(wanted.skeleton)
        if known is None:
            return None
        self._look_again(self._tools.refusals.retry_in(wanted.skeleton))
        if known.clusters:
            return Verdict(without(wanted, base, known.clusters), known.clusters)
        return Verdict(None, reason=known.reason)

    def _needed(
        self, verdict: Verdict | None, wanted: Document, base: Document | None, obstacles: Mapping[str, str]
    ) -> tuple[Document, str | None]:
        """What should be in force after a verdict, and why it needs a reload, if it does."""
        if verdict is not None:
            self._quarantined = verdict.clusters
            wanted = verdict.document or wanted
        shape = reload_reason(wanted, base)
        return wanted, "; ".join(filter(None, (shape, *obstacles.values()))) or None

    def _has_to_wait(self, running: Running, reason: str) -> bool:
        wait = self._tools.pace.wait(running, self._processes)
        if wait is None:
            return False
        self._pending = reason
        self._look_again(wait.seconds)
        if wait.trouble:
            self._notes.append(wait.trouble)
        return True

    def _settled(self, document: Document, running: Running) -> tuple[Document, Running]:
        refused = self._proposals.save(document)
        if refused is not None:
            self._notes.append(f"the file is not up to date: {refused}")
        return document, running

    def _members(self, document: Document, running: Running) -> tuple[Running, dict[str, str]]:
        """Bring the members to those of `document`, which must be what runs; also tell which backends need a reload for it."""
        drain = self._tools.drain
        drain.note(leaving(document, running, self._unknown))
        refused: dict[str, str] = {}
        todo = plan(document, running, self._unknown, drain.expired())
        for _ in range(ROUNDS):
            if not todo.steps:
                break
            refused |= self._execute(todo, document)
            running = self._read(document)
            todo = plan(document, running, self._unknown, drain.expired())
            if not todo.open:
                break
        late = [step for step in todo.open if step.backend not in refused]
        if late:
            self._notes.append(
                f"HAProxy did not take {len(late)} changes, first that of {late[0].backend}/{late[0].server}"
            )
        return running, {**refused, **todo.blocked}

    def _execute(self, todo: Plan, document: Document) -> dict[str, str]:
        """Send the commands of a plan; tells which backends refused a new server, and why."""
        commands = [command for step in todo.steps for command in step.commands]
        answers = iter(self._tools.control.batch(commands, self._deadline))
        self._commands += len(commands)
        refused = {}
        sections = document.backends()
        for step in todo.steps:
            first, *_ = [next(answers) for _ in step.commands]
            if first.startswith("Permission denied"):
                raise_refusal(first)
            if step.kind is not Kind.JOIN or sections[step.backend].slots:
                continue
            if not first.startswith(("New server registered", "Already exists")):
                why = " ".join(first.split())[:200]
                self._tools.learn_static(sections[step.backend], why)
                refused[step.backend] = f"backend {step.backend} refuses server {step.server} at run time: {why}"
        return refused

    def _futile(self, wanted: Document) -> str | None:
        """Why a reload would not help: it was made lately, for the same file."""
        known = self._tools.refusals.get(_key(wanted))
        return known.reason if known else None

    def _load(self, wanted: Document, current: Document | None, running: Running, reason: str) -> str | None:
        """Bring in an accepted configuration. Gives the reason if HAProxy cannot run it; what ran before then runs again."""
        tools = self._tools
        if (error := self._proposals.accepted(wanted)) is not None:
            return str(error)
        if current is not None and current.skeleton != wanted.skeleton:
            tools.file.keep_good(current)
        tools.file.commit()
        log.info("reloading HAProxy: %s", reason)
        tools.pace.reloaded()
        try:
            self._noted(tools.lifecycle.reload(wanted, running, self._deadline))
        except RejectedError as error:
            tools.refusals.remember(wanted.skeleton, Refusal(str(error)))
            if current is not None:
                self._go_back(current, running)
            return str(error)
        self._reload = reason
        tools.file.drop_good()
        return None

    def _go_back(self, good: Document, running: Running) -> None:
        """Put back what ran, and load it so that HAProxy's master is whole again."""
        self._tools.file.propose(good.text())
        self._tools.file.commit()
        self._noted(self._tools.lifecycle.reload(good, running, self._deadline))

    # -- it does not run -------------------------------------------------------------------------------------------------------

    def _start(self, desired: Desired) -> tuple[Document, Running]:
        """Start it with what is wanted, or else with the last good skeleton and the wanted members: anything but no HAProxy."""
        documents = self._tools.file.documents()
        nothing = Running(None, version=self._tools.process.version(self._deadline))
        wanted = self._arranged(desired, documents[0] if documents else None, nothing)
        others = [item for item in documents if item.skeleton != wanted.skeleton]
        good = refilled(documents[0], wanted, nothing) if documents else None
        verdict = self._known(wanted, good) or self._proposals.judged(wanted, good, start=True)
        self._quarantined = verdict.clusters
        fallback = refilled(others[0], wanted, nothing) if others else None
        failures = [] if verdict.document else [verdict.reason]
        for document in filter(None, (verdict.document, fallback)):
            try:
                running = self._start_with(document, fallback if document is verdict.document else None)
            except RejectedError as error:
                self._tools.refusals.remember(document.skeleton, Refusal(str(error)))
                failures.append(str(error))
                continue
            if failures:
                self._tools.refusals.remember(wanted.skeleton, Refusal(failures[0]))
                self._notes.append(
                    f"HAProxy runs its last good configuration, because it refuses the new one: {failures[0]}"
                )
            else:
                self._tools.file.drop_good()
            return document, self._closely(document, running)
        raise BalancerError(f"HAProxy cannot be started: {'; and with the last good configuration: '.join(failures)}")

    def _start_with(self, document: Document, good: Document | None) -> Running:
        if self._tools.file.text() != document.text():
            refused = self._proposals.accepted(document)
            if refused is not None:
                raise refused
            if good is not None:
                self._tools.file.keep_good(good)
            self._tools.file.propose(document.text())
            self._tools.file.commit()
        replaced = self._tools.process.find()
        if not replaced and (taken := unavailable(document)):
            raise RejectedError("; ".join(taken.values()))
        log.info("starting HAProxy")
        self._tools.pace.reloaded()
        return self._noted(self._tools.lifecycle.start(document, self._deadline, replaced))


def _key(document: Document) -> str:
    """Tells a file apart from others with the same skeleton."""
    return hashlib.sha256(document.text().encode()).hexdigest()
