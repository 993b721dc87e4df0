"""`lighthouse plan`: what would change in the load balancers if a directory came into force. Nothing does.

The running supervisor is asked for the members that it knows; the rest is found out by a process of its own
(``workers/preview.py``), because plugins run there.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from lighthouse import paths
from lighthouse.cli.client import Client, ControlError, NoSupervisorError
from lighthouse.cli.group import print_json
from lighthouse.cli.text import safe
from lighthouse.errors import LighthouseError
from lighthouse.role import Role

WITHIN = 60.0  # seconds; by default a balancer takes 8 s at most and a compilation 10 s
GOOD = "config.good"


class PlanError(LighthouseError):
    """There is no plan; the text says why."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the running supervisor knows: members by cluster, its balancers, its role, and where its last good versions are."""

    members: Mapping[str, str] = field(default_factory=dict)
    balancers: frozenset[str] = frozenset()
    role: str = Role.ALL.value
    good: str | None = None
    notes: tuple[str, ...] = ()


@click.command()
@click.argument("config_dir", type=click.Path(exists=True, file_okay=False, readable=True, path_type=Path))
@click.option(
    "--socket",
    type=click.Path(path_type=Path, readable=False),
    envvar="LIGHTHOUSE_SOCKET",
    show_envvar=True,
    help="Control socket of the supervisor that knows the members; default: control.sock in the default runtime directory.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def plan(config_dir: Path, socket: Path | None, as_json: bool) -> None:
    """Show what would change if CONFIG_DIR came into force. Nothing is changed.

    Exit code: 0 nothing would change; 1 something is refused, or there is no plan; 2 wrong use; 3 changes at run time only; 4 a
    reload or a start.
    """
    from lighthouse.cli.plan_text import document, exit_code, lines

    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # always a TextIOWrapper here
    try:
        known = _known(socket)
        answer = _asked(config_dir.absolute(), known)
    except (ControlError, PlanError) as error:
        click.echo(f"lighthouse plan: {safe(str(error))}", err=True)
        sys.exit(1)
    found = document(answer, known.notes, known.balancers)
    if as_json:
        print_json(found)
    else:
        for line in lines(found):
            click.echo(line)
    sys.exit(exit_code(found))


def _known(socket: Path | None) -> Known:
    """Ask the supervisor. Without one no members are known; one that was named must answer. Raises `ControlError`."""
    unknown = "so no members are known, and servers stay as they are"
    try:
        raw = Client(socket or paths.runtime_dir() / paths.SOCKET).call("status")
    except paths.PathError:
        return Known(notes=(f"no supervisor was named with --socket, {unknown}",))
    except NoSupervisorError as error:
        if socket is not None:
            raise
        return Known(notes=(f"{error}; {unknown}",))
    clusters, supervisor = _mapping(raw.get("clusters")), _mapping(raw.get("supervisor"))
    members = {
        name: part["members"] for name, part in clusters.items() if isinstance(_mapping(part).get("members"), str)
    }
    workers = [item.get("id", "") for item in raw.get("workers", []) if isinstance(item, dict)]
    role = str(supervisor.get("role", Role.ALL.value))
    idle = ("the supervisor is a reporter, which writes no load balancer",) if role == Role.REPORTER.value else ()
    return Known(
        members,
        frozenset(item.removeprefix("balancer/") for item in workers if str(item).startswith("balancer/")),
        role,
        str(Path(str(supervisor["runtime_dir"])) / GOOD) if "runtime_dir" in supervisor else None,
        idle,
    )


def _asked(directory: Path, known: Known) -> dict[str, Any]:
    """Have the plan made. Raises `PlanError`."""
    import subprocess

    order = {"directory": str(directory), "role": known.role, "good": known.good, "members": dict(known.members)}
    # -P: the directory that this is run from may hold anything, modules of the names that are imported included.
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "lighthouse.workers.preview"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(json.dumps(order).encode(), timeout=WITHIN)
        late = False
    except subprocess.TimeoutExpired:
        late = True
        _kill(process.pid)
        out, err = process.communicate()
    except BaseException:
        _kill(process.pid)
        raise
    answer, at = _read(out)
    if "result" in answer:
        return _mapping(answer["result"])
    if "error" in answer:
        raise PlanError(str(answer["error"]))
    last = err.decode(errors="replace").strip().splitlines()[-1:] or ["without a word"]
    ended = f"did not end within {WITHIN:g} s" if late else f"ended with code {process.returncode}: {last[0][:300]}"
    raise PlanError(f"the process that reads the configuration {ended}" + (f"; it had {at} in hand" if at else ""))


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _read(out: bytes) -> tuple[dict[str, Any], str]:
    """The answer, if there is one, and what was in hand last."""
    at = ""
    for line in out.splitlines():
        try:
            message = _mapping(json.loads(line))
        except ValueError:
            continue
        if "at" in message:
            at = str(message["at"]) or at
        elif message.keys() & {"result", "error"}:
            return message, at
    return {}, at


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
