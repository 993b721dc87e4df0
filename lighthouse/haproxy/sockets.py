"""What is asked and told at HAProxy's sockets; one conversation (`lighthouse.haproxy.talk`) for each exchange.

HAProxy takes longer to accept a connection, for which it wakes all its threads, than to do what it is told. So one conversation is
begun before there is anything to say. It is used once, like any other, and it does not wait beyond the next whole reconciliation,
because a connection keeps alive a worker that was replaced.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace

from lighthouse.errors import BalancerError
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.document import VARIABLE
from lighthouse.haproxy.errors import (
    BrokenOffError,
    HAProxyControlError,
    NoAnswerError,
    PermissionError,  # noqa: A004  the name of lighthouse 1.0
    UnknownCommandError,
    UnknownServerError,
)
from lighthouse.haproxy.frontends import parse_frontends
from lighthouse.haproxy.limits import rates_of
from lighthouse.haproxy.processes import Processes, parse_proc
from lighthouse.haproxy.running import (
    Running,
    kept,
    parse_env,
    parse_ids,
    parse_info,
    parse_servers_state,
    parse_stat,
    parse_version,
    with_details,
)
from lighthouse.haproxy.stanzas.global_ import STATS_MAXCONN
from lighthouse.haproxy.talk import Dialogue, Talk
from lighthouse.identity import shown

ANSWER = 2 / 8  # of a call; HAProxy answers within milliseconds unless it is stopped or the host is starved
PREPARE = 0.1  # seconds; there is nothing to wait for, unless too many wait already
PATIENCE = 60  # seconds for which HAProxy keeps a conversation that was only begun; its own 10 s are as long as between two syncs
ROOM = 3  # connections at least: of fewer none is held, so that people find room, too
_NOT_FOUND = "Can't find the target PID"
_WHO = (f"show env {VARIABLE}", "show info")
_READ = (_WHO[0], "show servers state", "show stat -1 1 -1", _WHO[1])


class Sockets:
    """The stats socket, which has room for `room` connections, and the master's socket of one HAProxy."""

    def __init__(self, socket_file: str, master_socket_file: str, room: int = STATS_MAXCONN) -> None:
        self.socket_file = socket_file
        self.master_socket_file = master_socket_file
        self._room = room
        self._waiting: Dialogue | None = None
        self._seen = Running(None)  # all details; what is said of a server again is not read again

    def details(self, running: Running, deadline: Deadline, backends: Collection[str] | None = None) -> Running:
        """The same, with what only ``show stat`` tells about the servers of `backends`, or of all. Raises like `running`."""
        asked = ["-1"] if backends is None else [running.ids[name] for name in sorted(set(backends) & set(running.ids))]
        if not asked:
            return running
        servers = dict(running.servers)
        for answer in self.batch([f"show stat {number} 4 -1" for number in asked], deadline.share(ANSWER)):
            raise_refusal(answer)
            found = parse_stat(answer)
            servers |= {name: with_details(servers[name], found[name]) for name in found.keys() & servers.keys()}
        result = replace(running, servers=servers)
        if backends is None:
            self._seen = result
        return result

    def running(self, deadline: Deadline) -> Running:
        """What runs now. Raises `NotRunningError`, `NoAnswerError`, `HAProxyControlError` or `BalancerError`."""
        env, state, stat, info = self.batch(_READ, deadline.share(ANSWER))
        raise_refusal(state)
        facts = _facts(env, info)
        return replace(
            facts,
            servers=parse_servers_state(state, self._seen.servers if self._seen.pid == facts.pid else None),
            ids=parse_ids(state),
            frontends=parse_frontends(stat),
        )

    def prepare(self) -> None:
        """Begin the next exchange's conversation. If that fails, the exchange finds out why."""
        self.hang_up()
        if self._room < ROOM:
            return
        with suppress(BalancerError):
            self._waiting = Dialogue(self.socket_file, Deadline(PREPARE))
            self._waiting.ask(f"set timeout cli {PATIENCE}")
            self._waiting.send()

    def hang_up(self) -> None:
        """End the conversation that was begun and not used."""
        if self._waiting is not None:
            self._waiting.close()
            self._waiting = None

    def exchange(
        self,
        running: Running,
        commands: Sequence[str],
        backends: Collection[str],
        closely: Collection[str],
        deadline: Deadline,
    ) -> tuple[list[str], Running]:
        """Send commands and read these backends back, with details of those that are looked at `closely`.

        Gives the answers, and what runs then: of the other backends, what was in `running`. Raises like `running`.
        """
        begun, self._waiting = self._waiting, None
        with begun or Dialogue(self.socket_file, deadline.share(ANSWER)) as dialogue:
            dialogue.ask(*commands)
            dialogue.send()  # the questions can wait until HAProxy is at work
            names = list(backends)
            detailed = [name for name in names if name in closely and name in running.ids]
            questions = (
                *_WHO,
                *(f"show servers state {name}" for name in names),
                *(f"show stat {running.ids[name]} 4 -1" for name in detailed),
            )
            dialogue.ask(*questions)
            answers = dialogue.answers(deadline.share(ANSWER))[-len(commands) - len(questions) :]
        env, info, *looks = answers[len(commands) :]
        servers, ids = dict(running.servers), dict(running.ids)
        for answer in looks:
            raise_refusal(answer)
        for name, state in zip(names, looks, strict=False):
            servers[name] = parse_servers_state(state, running.servers).get(name, {})
            if name not in ids:  # it had no server before
                ids |= parse_ids(state)
        for name, stat in zip(detailed, looks[len(names) :], strict=True):
            servers[name] = with_details(servers[name], parse_stat(stat).get(name, {}))
        servers |= {name: kept(servers[name], running.servers.get(name, {})) for name in detailed}
        now = replace(_facts(env, info), servers=servers, ids=ids, frontends=running.frontends)
        return answers[: len(commands)], now

    def command(self, command: str, deadline: Deadline) -> str:
        """One command's answer. Raises `HAProxyControlError` by its kind, `NotRunningError` or `NoAnswerError`."""
        (answer,) = self.batch([command], deadline)
        raise_refusal(answer)
        return answer

    def batch(self, commands: Sequence[str], deadline: Deadline) -> list[str]:
        """The answer to each command, errors included as text. Raises `NotRunningError` or `NoAnswerError`."""
        with Dialogue(self.socket_file, deadline) as dialogue:
            dialogue.ask(*commands)
            return dialogue.answers(deadline)

    def processes(self, deadline: Deadline) -> Processes:
        """The master's list of processes. Raises `NotRunningError`, `NoAnswerError` or `BalancerError`."""
        return parse_proc(self._master("show proc", deadline))

    def is_loading(self, worker: int, deadline: Deadline) -> bool:
        """Whether this worker of the master still reads its configuration. Raises like `processes`.

        Up to 3.0 the master did that itself and answered nobody meanwhile. Since 3.1 it answers, and does not find such a worker.
        """
        return self._master(f"@!{worker} show version", deadline, line=True).startswith(_NOT_FOUND)

    def startup_log(self, deadline: Deadline) -> str:
        """What HAProxy has said while it loaded; something else before 2.7, which keeps no such log. Raises like `processes`."""
        return self._master("show startup-logs", deadline)

    def reload(self, deadline: Deadline) -> None:
        """Ask the master for a reload; how it ended is told by `processes`. Raises `NotRunningError` or `BalancerError`.

        Up to 2.6 this returns at once, since 2.7 when the reload has ended or the deadline is over.
        """
        with suppress(NoAnswerError), Talk(self.master_socket_file, deadline) as talk:
            talk.say("reload", "quit")
            talk.heard(deadline)

    def _master(self, command: str, deadline: Deadline, *, line: bool = False) -> str:
        within = deadline.share(ANSWER)
        with Talk(self.master_socket_file, within) as talk:
            talk.say(command, "quit")
            if answer := talk.heard(within, line=line):
                return answer
        raise BrokenOffError(f"HAProxy at {self.master_socket_file} broke off before it answered")


def _facts(env: str, info: str) -> Running:
    """The process by its answers to `_WHO`, without its servers."""
    raise_refusal(info)
    facts = parse_info(info)
    return Running(
        skeleton=parse_env(env, VARIABLE),
        version=parse_version(facts.get("Version", "")),
        pid=int(facts.get("Pid", "0")),
        uptime=int(facts.get("Uptime_sec", "0")),
        stopping=facts.get("Stopping") == "1",
        limit=int(facts.get("Maxconn", "0")),
        hard=int(facts.get("Hard_maxconn", "0")),
        rates=rates_of(facts),
    )


def raise_refusal(answer: str) -> None:
    """Raise the `HAProxyControlError` that an answer stands for, if it is one of those known."""
    kinds: dict[str, type[HAProxyControlError]] = {
        "Unknown command": UnknownCommandError,
        "Permission denied": PermissionError,
        "No such backend": UnknownServerError,
        "No such server": UnknownServerError,
        "Can't find backend": UnknownServerError,
    }
    for start, kind in kinds.items():
        if answer.startswith(start):
            remedy = ": its stats socket must have `level admin`" if kind is PermissionError else ""
            raise kind(f"HAProxy answered {shown(answer.partition(chr(10))[0], 200)}{remedy}")
