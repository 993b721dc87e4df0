"""Taking the steps of a plan at run time, and reading back what became of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet

from lighthouse.haproxy.change import Kind
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.drain import leaving
from lighthouse.haproxy.outcome import Account
from lighthouse.haproxy.planner import Plan, plan
from lighthouse.haproxy.reader import Reader
from lighthouse.haproxy.running import Running
from lighthouse.haproxy.sockets import raise_refusal
from lighthouse.haproxy.stanzas.section import Section
from lighthouse.haproxy.tools import Tools

ROUNDS = 4  # how often the difference is acted on before it is reported instead


class Runtime:
    """Brings members to HAProxy; ``unknown`` names the backends that are left alone, ``refused`` those that took no new server."""

    def __init__(self, tools: Tools, account: Account, reader: Reader, deadline: Deadline) -> None:
        self.unknown: Collection[str] = ()
        self.refused: AbstractSet[str] = frozenset()
        self._tools = tools
        self._account = account
        self._reader = reader
        self._deadline = deadline

    def bring(self, document: Document, running: Running) -> tuple[Running, dict[str, str]]:
        """Bring the members to those of `document`, which must be what runs; also tell which backends need a reload for it."""
        drain = self._tools.drain
        drain.note(leaving(document.known(self.unknown), running.servers))
        refused: dict[str, str] = {}
        todo = plan(document, running, self.unknown, drain.expired())
        for _ in range(ROUNDS):
            if not todo.steps:
                break
            refused |= self._execute(todo, document)
            running = self._reader.again()
            todo = plan(document, running, self.unknown, drain.expired())
            if not todo.open:
                break
        late = [step for step in todo.open if step.backend not in refused]
        if late:
            self._account.tell(
                f"HAProxy did not take {len(late)} changes, first that of {late[0].backend}/{late[0].server}"
            )
        self._account.waiting = todo.waiting
        self.refused = refused.keys()
        return running, {**refused, **todo.blocked}

    def _execute(self, todo: Plan, document: Document) -> dict[str, str]:
        """Send the commands of a plan; tells which backends refused a new server, and why."""
        commands = commands_of(todo)
        answers = self._tools.control.batch(commands, self._deadline)
        self._account.commands += len(commands)
        return refused_joins(self._tools, todo, answers, document.backends())


def commands_of(todo: Plan) -> list[str]:
    """The commands of all steps, in their order."""
    return [command for step in todo.steps for command in step.commands]


def refused_joins(tools: Tools, todo: Plan, answers: Sequence[str], sections: Mapping[str, Section]) -> dict[str, str]:
    """Which backends refused a new server, and why, by the answers to `commands_of`; it is learned. Raises `PermissionError`."""
    rest = iter(answers)
    refused = {}
    for step in todo.steps:
        first, *_ = [next(rest) for _ in step.commands]
        if first.startswith("Permission denied"):
            raise_refusal(first)
        if step.kind is not Kind.JOIN or sections[step.backend].slots:
            continue
        if not first.startswith(("New server registered", "Already exists")):
            why = " ".join(first.split())[:200]
            tools.learn_static(sections[step.backend], why)
            refused[step.backend] = f"backend {step.backend} refuses server {step.server} at run time: {why}"
    return refused
