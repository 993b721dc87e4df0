"""What each command of the control socket does: a table of functions, see docs/control.md."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lighthouse.supervisor import status as status_of
from lighthouse.supervisor.actions import Action, Send
from lighthouse.supervisor.control import Command, Refusal
from lighthouse.supervisor.ordering import ordering

if TYPE_CHECKING:
    from lighthouse.supervisor.loop import Supervisor

Arguments = Mapping[str, Any]


def table(supervisor: Supervisor) -> dict[str, Command]:
    """The commands by name."""
    core = supervisor.core

    def status(_arguments: Arguments) -> Mapping[str, Any]:
        return supervisor.status()

    def steer(decide: Callable[[str, float], list[Action]]) -> Callable[[Arguments], Mapping[str, Any]]:
        def command(arguments: Arguments) -> Mapping[str, Any]:
            name = _worker(supervisor, arguments)
            if core.stopping:
                raise Refusal("stopping", "the supervisor is stopping")
            supervisor.pool.perform(decide(name, time.monotonic()))
            return {"worker": name, "state": core.workers[name].state.value}

        return command

    def accept(arguments: Arguments) -> Mapping[str, Any]:
        name = _cluster(supervisor, arguments)
        supervisor.obey(core.accept(name, time.monotonic()))
        return {"cluster": name}

    def explain(arguments: Arguments) -> Mapping[str, Any]:
        name, now = _cluster(supervisor, arguments), time.monotonic()
        actions = core.explain(name, now)
        supervisor.pool.perform(actions)
        return {
            "cluster": name,
            "asked": now,
            "workers": [action.worker for action in actions if isinstance(action, Send)],
        }

    def explained(_arguments: Arguments) -> Mapping[str, Any]:
        return {"explained": status_of.explained(core)}

    def dump(arguments: Arguments) -> Mapping[str, Any]:
        name = _worker(supervisor, arguments)
        if not core.workers[name].live:
            raise Refusal("usage", f"{name} does not run, so it has no stacks")
        path = supervisor.place.log_path(name)
        offset = _size(path)
        supervisor.pool.dump_stacks(name)
        return {"log": str(path), "offset": offset}

    def logs(arguments: Arguments) -> Mapping[str, Any]:
        name = arguments.get("worker")
        if name not in ("supervisor", "config"):
            name = _worker(supervisor, arguments)
        return {"log": str(supervisor.place.log_path(str(name)))}

    def reload(_arguments: Arguments) -> Mapping[str, Any]:
        if core.stopping:
            raise Refusal("stopping", "the supervisor is stopping")
        return {"compilation": supervisor.reload()}

    def shutdown(_arguments: Arguments) -> Mapping[str, Any]:
        supervisor.shut_down()
        return {}

    return {
        "status": Command(status),
        "restart": Command(steer(core.lives.restart), mutates=True),
        "stop": Command(steer(core.lives.stop), mutates=True),
        "start": Command(steer(core.lives.start), mutates=True),
        "accept": Command(accept, mutates=True),
        **ordering(core, supervisor.obey),
        "explain": Command(explain),
        "explained": Command(explained),
        "dump": Command(dump, mutates=True),
        "logs": Command(logs),
        "reload": Command(reload, mutates=True),
        "shutdown": Command(shutdown, mutates=True),
    }


def _worker(supervisor: Supervisor, arguments: Arguments) -> str:
    name = arguments.get("worker")
    workers = supervisor.core.workers
    if not isinstance(name, str) or name not in workers or workers[name].removed:
        known = ", ".join(sorted(workers)) or "none"
        raise Refusal("usage", f"there is no worker {str(name)[:80]!r}; known are {known}")
    return name


def _cluster(supervisor: Supervisor, arguments: Arguments) -> str:
    name = arguments.get("cluster")
    clusters = supervisor.core.plan.clusters
    if not isinstance(name, str) or name not in clusters:
        known = ", ".join(sorted(clusters)) or "none"
        raise Refusal("usage", f"there is no cluster {str(name)[:80]!r}; known are {known}")
    return name


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
