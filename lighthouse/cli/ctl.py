"""The commands of `lighthouse ctl`: ask and steer a running supervisor.

Exit codes: 0 fine; 1 the answer came and is bad news; 2 wrong use, an unknown worker included; 3 no supervisor; 4 it refused.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from lighthouse.cli import clusters as clusters  # noqa: PLC0414 - its commands belong to the group
from lighthouse.cli import services as services  # noqa: PLC0414 - likewise
from lighthouse.cli.client import Client, ControlError
from lighthouse.cli.group import Target, command, ctl, print_json
from lighthouse.cli.text import clock, safe, safe_line, safe_lines

__all__ = ["ctl"]

COMPILED_WITHIN = 20.0  # seconds
STOPPED_WITHIN = 30.0  # seconds
POLL = 0.1  # seconds

_Result = TypeVar("_Result")


@command
def status(target: Target) -> None:
    """Show everything, worst news first; exit with 1 if there is a problem."""
    from lighthouse.cli.document import document

    found = document(target.client().call("status"))
    if target.json:
        print_json(found)
    else:
        from lighthouse.cli import tables

        tables.show(tables.status(found))
    sys.exit(1 if found["problems"] else 0)


@command
def workers(target: Target) -> None:
    """Show the workers."""
    from lighthouse.cli.document import workers_of

    raw = target.client().call("status")
    if target.json:
        print_json({"workers": workers_of(raw)})
    else:
        from lighthouse.cli import tables

        tables.show(tables.workers(workers_of(raw), clock(raw)))


@command
@click.argument("worker")
def restart(target: Target, worker: str) -> None:
    """Stop a worker and start it again; ends a waiting time after failures."""
    _steer(target, "restart", worker)


@command
@click.argument("worker")
def stop(target: Target, worker: str) -> None:
    """Stop a worker until it is started again.

    HAProxy keeps its members. What a stopped discovery announced expires when its registry says so.
    """
    _steer(target, "stop", worker)


@command
@click.argument("worker")
def start(target: Target, worker: str) -> None:
    """Start a worker that was stopped, or that waits after failures."""
    _steer(target, "start", worker)


def _steer(target: Target, verb: str, worker: str) -> None:
    result = target.client().call(verb, worker=worker)
    if target.json:
        print_json(result)
    else:
        click.echo(safe(f"{result.get('worker', worker)}: {result.get('state', 'done')}"))


@command
@click.argument("worker")
def dump(target: Target, worker: str) -> None:
    """Show where each thread of a worker is right now. The worker goes on."""
    from lighthouse.cli.logfile import settled

    result = target.client().call("dump", worker=worker)
    path, offset = _log(result), result.get("offset")
    data = _reading(path, lambda: settled(path, offset if isinstance(offset, int) else 0))
    if not data:
        raise ControlError(f"{worker} wrote no stacks within 5 s; its log is {path}", 1)
    text = data.decode("utf-8", "backslashreplace").removesuffix("\n")
    if target.json:
        print_json({"worker": worker, "log": str(path), "stacks": text})
    else:
        click.echo("\n".join(safe_line(line) for line in text.split("\n")))


@command
@click.argument("worker")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on.")
@click.option(
    "-n", "--lines", type=click.IntRange(0), default=50, show_default=True, help="How many of the last lines."
)
def logs(target: Target, worker: str, follow: bool, lines: int) -> None:
    """Show the log of a worker, or of the supervisor itself: WORKER is then `supervisor`."""
    from lighthouse.cli import logfile

    if follow and target.json:
        raise click.UsageError("--follow and --json do not go together: a log that goes on is no document")
    path = _log(target.client().call("logs", worker=worker))
    if follow:
        _reading(path, lambda: _print_lines(logfile.follow(path, lines)))
        return
    found = _reading(path, lambda: logfile.last_lines(logfile.rotated(path), lines))
    if target.json:
        print_json({"worker": worker, "log": str(path), "lines": [_decoded(line) for line in found]})
    else:
        _print_lines(found)


@command
def reload(target: Target) -> None:
    """Read the configuration again; exit with 1 if a file is refused."""
    client = target.client()
    number = client.call("reload").get("compilation")
    config = _compiled(client, number if isinstance(number, int) else 0)
    found = _refusals(config)
    if target.json:
        print_json({"compilation": number, "problems": found, "config": config})
    else:
        for sentence in found or ["the configuration is in force"]:
            click.echo("\n".join(safe_lines(sentence)))
    sys.exit(1 if found else 0)


def _compiled(client: Client, number: int) -> dict[str, Any]:
    """The configuration's status once the asked compilation is over."""
    deadline = time.monotonic() + COMPILED_WITHIN
    while True:
        config = client.call("status").get("config")
        done = config.get("compilations") if isinstance(config, dict) else None
        if isinstance(config, dict) and isinstance(done, int) and done >= number:
            return config
        if time.monotonic() > deadline:
            raise ControlError(
                f"the configuration was not compiled within {COMPILED_WITHIN:g} s; see `lighthouse ctl status`", 1
            )
        time.sleep(POLL)


def _refusals(config: Mapping[str, Any]) -> list[str]:
    from lighthouse.cli.health import refused_files

    failed = [f"the configuration could not be read: {config['error']}"] if config.get("error") else []
    files = config.get("files")
    return failed + list(refused_files(files if isinstance(files, dict) else {}))


@command
def shutdown(target: Target) -> None:
    """Stop the supervisor and its workers. HAProxy and what is announced stay."""
    client = target.client()
    listener = client.listener()
    client.call("shutdown")
    deadline = time.monotonic() + STOPPED_WITHIN
    while client.listener() == listener is not None:
        if time.monotonic() > deadline:
            raise ControlError(f"the supervisor did not stop within {STOPPED_WITHIN:g} s", 1)
        time.sleep(POLL)
    if target.json:
        print_json({})
    else:
        click.echo("the supervisor has stopped")


def _log(result: Mapping[str, Any]) -> Path:
    log = result.get("log")
    if not isinstance(log, str) or "\0" in log:
        raise ControlError("the supervisor's answer names no log file")
    return Path(log)


def _reading(path: Path, read: Callable[[], _Result]) -> _Result:
    """Read a log; Ctrl-C is how one ends following it."""
    try:
        return read()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ControlError(f"the log {path} cannot be read: {error.strerror or error}", 1) from None


def _print_lines(lines: Iterable[bytes]) -> None:
    for line in lines:
        click.echo(safe_line(_decoded(line)))


def _decoded(line: bytes) -> str:
    return line.decode("utf-8", "backslashreplace")
