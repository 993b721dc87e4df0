"""The entry points: `lighthouse`, and the three daemons under the names that they have in a process list and in units.

Only click is imported here. What runs the daemon and what draws tables is imported by the command that needs it, so that
`lighthouse ctl status --json` stays quick enough to be polled.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lighthouse.cli.ctl import ctl
from lighthouse.cli.plan import plan
from lighthouse.errors import LighthouseError
from lighthouse.role import Role
from lighthouse.version import __version__

_CONTEXT = {"help_option_names": ["-h", "--help"]}

_Command = Callable[..., None]


def _daemon_options(function: _Command) -> _Command:
    """The arguments that all daemons share."""
    directory = click.Path(file_okay=False, path_type=Path)
    config = click.Path(exists=True, file_okay=False, readable=True, path_type=Path)
    function = click.option(
        "--log-dir", type=directory, help="Directory of the log files; default: `logs` in the runtime directory."
    )(function)
    function = click.option(
        "--state-dir",
        type=directory,
        help="Directory of what survives a reboot; default: $STATE_DIRECTORY, or the runtime directory.",
    )(function)
    function = click.option(
        "--runtime-dir",
        type=directory,
        help="Directory of the control socket and of the state that outlives a restart.",
    )(function)
    return click.argument("config_dir", type=config)(function)


def _run(config_dir: Path, role: Role, runtime_dir: Path | None, log_dir: Path | None, state_dir: Path | None) -> None:
    """Run the daemon until it is told to stop, and exit with its code."""
    from lighthouse import daemon

    directories = [None if path is None else path.absolute() for path in (runtime_dir, log_dir, state_dir)]
    try:
        code = daemon.run(config_dir.absolute(), role, *directories)
    except LighthouseError as error:
        click.echo(f"lighthouse: {error}", err=True)
        code = 1
    sys.exit(code)


@click.group(context_settings=_CONTEXT)
@click.version_option(__version__, prog_name="lighthouse")
def main() -> None:
    """Keep this host's HAProxy right: check services, announce them, follow clusters."""


_role = click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.ALL.value,
    show_default=True,
    help="writer: only follow clusters; reporter: only check and announce services.",
)


@main.command()
@_daemon_options
@_role
def run(role: str, **options: Any) -> None:
    """Run the supervisor with the configuration in CONFIG_DIR, in the foreground."""
    _run(role=Role(role), **options)


@click.command(context_settings=_CONTEXT)
@_daemon_options
@_role
@click.version_option(__version__)
def supervisor(role: str, **options: Any) -> None:
    """Run the supervisor with the configuration in CONFIG_DIR, in the foreground."""
    _run(role=Role(role), **options)


@click.command(context_settings=_CONTEXT)
@_daemon_options
@click.version_option(__version__)
def writer(**options: Any) -> None:
    """Follow the clusters of CONFIG_DIR and keep the balancer right; check and announce nothing."""
    _run(role=Role.WRITER, **options)


@click.command(context_settings=_CONTEXT)
@_daemon_options
@click.version_option(__version__)
def reporter(**options: Any) -> None:
    """Check and announce the services of CONFIG_DIR; leave the balancer alone."""
    _run(role=Role.REPORTER, **options)


main.add_command(ctl)
main.add_command(plan)
