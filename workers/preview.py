"""The process behind ``lighthouse plan``: compiles a directory and asks its balancers what they would change.

It does what the configuration worker and the balancer workers do, up to the point where these would change something. Plugin code
runs in it, so it is a process of its own, which whoever asks starts (``python -m``) and ends: one order on standard input, a line
of JSON for each step and for the result on standard output. What plugins print goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from base64 import b64decode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lighthouse.balancer import Balancer
from lighthouse.config.compiler import compile_directory
from lighthouse.config.lastgood import LastGood
from lighthouse.errors import ConfigError, NodeError
from lighthouse.ipc.errors import ProtocolError
from lighthouse.preview import masked
from lighthouse.role import Role
from lighthouse.settings import Settings
from lighthouse.workers.consumed import Consumed
from lighthouse.workers.members import Members
from lighthouse.workers.plugins import load, why

Tell = Callable[[Mapping[str, Any]], None]


def main() -> int:
    """Carry out one order; returns the exit code."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)

        def tell(message: Mapping[str, Any]) -> None:
            out.write(json.dumps(message) + "\n")
            out.flush()

        order = json.load(sys.stdin)
        try:
            tell({"result": _carried_out(order, tell)})
        except ConfigError as error:
            tell({"error": masked(str(error))})
        except Exception as error:  # noqa: BLE001 - the one who asked gets a sentence whatever went wrong, never a traceback
            tell({"error": masked(f"a fault of Lighthouse: {why(error)}")})
    return 0


def _carried_out(order: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """`order`: ``directory``, ``role``, ``good`` (where the last good versions are, or None), ``members`` (base64, by cluster)."""
    good, notes = LastGood(), []
    if order["good"] is not None:
        good, warning = LastGood.load(Path(order["good"]), set_aside=False)
        if warning:
            notes.append(f"what stays of a refused file is not known: {warning}")
    compiled = compile_directory(
        Path(order["directory"]),
        Role(order["role"]),
        good=good,
        poisoned={},
        progress=lambda what, _: tell({"at": what}),
    )
    allowed = Settings.from_mapping(compiled.plan.settings).deadlines.call
    balancers = {}
    for worker, blob in compiled.blobs.items():
        kind, _, name = worker.partition("/")
        if kind == "balancer":
            tell({"at": f"balancers/{name}"})
            balancers[name] = _asked(blob, order["members"], allowed)
    files = {
        path: {"state": file.state.value, "error": None if file.error is None else masked(file.error)}
        for path, file in compiled.plan.files.items()
    }
    return {"files": files, "balancers": balancers, "notes": [masked(note) for note in notes]}


def _asked(blob: Mapping[str, Any], members: Mapping[str, str], allowed: float) -> dict[str, Any]:
    """What one balancer would change, or ``error``, why it cannot tell."""
    try:
        balancer: Balancer = load(blob["plugin"])()
        balancer.call_deadline = allowed
        balancer.apply_config(dict(blob["config"]))
        consumed, unread = _consumed(blob, members)
        found = balancer.preview(consumed.clusters())
    except BaseException as error:  # noqa: BLE001 - foreign code may raise anything, SystemExit included; the other balancers go on
        return _answer(error=why(error))
    if found is None:
        return _answer(error=f"{blob['plugin']} cannot tell what it would change: it has no `preview`")
    effects = [{"way": item.way.value, "where": item.where, "what": masked(item.what)} for item in found.effects]
    return _answer(effects, [masked(note) for note in (*unread, *found.notes)])


def _answer(effects: Any = (), notes: Any = (), error: str | None = None) -> dict[str, Any]:
    return {"effects": list(effects), "notes": list(notes), "error": None if error is None else masked(error)}


def _consumed(blob: Mapping[str, Any], members: Mapping[str, str]) -> tuple[Consumed, list[str]]:
    """The clusters, and of which the members cannot be read, in words: as to a balancer worker they are unknown then."""
    consumed, unread = Consumed(), []
    consumed.configure(blob["clusters"])
    for name in (item["name"] for item in blob["clusters"] if item["name"] in members):
        try:
            consumed.learn(name, Members().read(name, b64decode(members[name])))
        except (NodeError, ProtocolError) as error:
            unread.append(
                f"cluster {name}: the members that were told cannot be read, and count as unknown: {why(error)}"
            )
    return consumed, unread


if __name__ == "__main__":
    sys.exit(main())
