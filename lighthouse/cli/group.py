"""The frame of `lighthouse ctl`: its options, where its errors become a line and an exit code, and how it prints documents."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from lighthouse import paths
from lighthouse.cli.client import Client, ControlError
from lighthouse.cli.text import safe


@dataclass(frozen=True, slots=True)
class Target:
    """What `--socket` and `--json` said; the socket is looked for only when a command needs it, so that help always works."""

    socket: Path | None
    json: bool

    def client(self) -> Client:
        """The client. Raises `lighthouse.paths.PathError`."""
        return Client(self.socket or paths.runtime_dir() / paths.SOCKET)


class Control(click.Group):
    """The group: one place where the errors of all commands become a line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # always a TextIOWrapper here
        try:
            return super().invoke(ctx)
        except (ControlError, paths.PathError) as error:
            click.echo(f"lighthouse ctl: {safe(str(error))}", err=True)
            sys.exit(error.exit_code if isinstance(error, ControlError) else 2)


def _json_flag(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    """`--json` behind the command means the same as in front of it."""
    if value:
        ctx.obj = Target(ctx.obj.socket, json=True)


_as_json = click.option("--json", is_flag=True, expose_value=False, callback=_json_flag, help="Print a JSON document.")


@click.group(cls=Control)
@click.option(
    "--socket",
    type=click.Path(path_type=Path, readable=False),
    envvar="LIGHTHOUSE_SOCKET",
    show_envvar=True,
    help="Control socket of the supervisor; default: control.sock in the default runtime directory.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
@click.pass_context
def ctl(ctx: click.Context, socket: Path | None, as_json: bool) -> None:
    """Ask and steer the running supervisor."""
    ctx.obj = Target(socket, as_json)


def command(function: Callable[..., Any]) -> click.Command:
    """Declare a command of `ctl`; the function gets the `Target` first."""
    return ctl.command()(_as_json(click.pass_obj(function)))


def print_json(document: Mapping[str, Any]) -> None:
    """Print a document. All that is not plain ASCII is escaped, and so is the one control character that JSON lets pass."""
    click.echo(json.dumps(document, indent=2, default=str).replace("\x7f", "\\u007f"))
