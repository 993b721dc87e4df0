"""The status document as tables for people, worst news first.

Imported only where a table is drawn: rich costs more than the rest of `ctl` together. All text passes `safe`, and none of it is
read as markup.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from lighthouse.cli.health import GOOD_NODES, used_nodes
from lighthouse.cli.text import age, clock, cut, number, safe, safe_lines, size

WIDTH = 100  # columns where the output is not a terminal
SHOWN_PROBLEMS = 10
SHOWN_LINES = 12  # of one problem
_STYLES = {
    "up": "green",
    "ok": "green",
    "known": "green",
    "unused": "green",
    "starting": "yellow",
    "pending": "yellow",
    "unknown": "yellow",
    "held": "yellow",
    "stopped": "yellow",
    "stopping": "yellow",
    "draining": "yellow",
    "drain": "yellow",
    "maintenance": "yellow",
    "maint": "yellow",
    "stale": "yellow",
}

Document = Mapping[str, Any]


def show(content: RenderableType) -> None:
    """Print; in colour on a terminal only, and never where NO_COLOR is set."""
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size((WIDTH, 24)).columns if terminal else WIDTH
    Console(width=width, force_terminal=terminal, highlight=False, markup=False, emoji=False).print(content)


def status(document: Document) -> RenderableType:
    """Everything, in the order problems, workers, clusters, services, files."""
    parts: list[RenderableType] = [_headline(document), *_problems(document["problems"])]
    parts += [Text("~ " + cut(safe(warning), 4 * WIDTH), style="yellow") for warning in document["warnings"]]
    parts += _section(workers(document["workers"], clock(document)), document["workers"])
    parts += _section(_clusters(document), document["clusters"])
    parts += _section(_services(document), document["services"])
    bad_files = {path: file for path, file in document["config"]["files"].items() if _get(file, "state") != "ok"}
    parts += _section(_files(bad_files), bad_files)
    return Group(*parts)


def workers(items: Sequence[Mapping[str, Any]], now: float | None) -> Table:
    """The table of workers, those that are not up first; `now` is the supervisor's time."""
    table = _table("WORKER", "STATE", "FOR", "PID", "RESTARTS", "MEMORY", "NOTE")
    for worker in sorted(items, key=lambda item: item.get("state") == "up"):
        memory = worker.get("memory") if worker.get("pid") else None
        table.add_row(
            _cell(worker.get("id"), 32),
            _state(worker.get("state")),
            _since(worker.get("since"), now),
            _cell(_or_dash(worker.get("pid"))),
            _cell(_or_dash(worker.get("restarts"))),
            size(_get(memory, "pss") if _get(memory, "pss") is not None else _get(memory, "uss")),
            _cell(_note(worker, now)),
        )
    return table


def _headline(document: Document) -> Text:
    supervisor, config = document["supervisor"], document["config"]
    style = "bold green" if document["health"] == "ok" else "bold red"
    facts = (
        f"lighthouse {supervisor.get('version')}",
        f"pid {supervisor.get('pid')}",
        f"up {age(supervisor.get('uptime'))}",
        f"role {supervisor.get('role')}",
        f"configuration {config.get('epoch')}" + (" (compiling)" if config.get("compiling") else ""),
    )
    return Text.assemble((document["health"].upper(), style), "  ", safe(", ".join(facts)))


def _problems(sentences: Sequence[str]) -> list[Text]:
    """They wrap over a few lines instead of being cut at the edge: this is what one came to read."""
    lines = [Text(line, style="red") for sentence in sentences[:SHOWN_PROBLEMS] for line in _sentence(sentence)]
    if len(sentences) > SHOWN_PROBLEMS:
        lines.append(
            Text(f"! and {len(sentences) - SHOWN_PROBLEMS} more, see `lighthouse ctl status --json`", style="red")
        )
    return lines


def _sentence(sentence: str) -> list[str]:
    """One problem; what is wrong with a file may be several things, each on its own line."""
    lines = [cut(line, 4 * WIDTH) for line in safe_lines("! " + sentence)]
    more = len(lines) - SHOWN_LINES
    return [*lines[:SHOWN_LINES], *([f"    and {more} more, see `lighthouse ctl reload`"] if more > 0 else [])]


def _clusters(document: Document) -> Table:
    table = _table("CLUSTER", "DISCOVERY", "UP", "AGE", "NODES")
    clusters = document["clusters"].items()
    for name, cluster in sorted(clusters, key=lambda item: _fine(item[1])):
        nodes = cluster["nodes"]
        used = used_nodes(cluster)
        good = sum(node["state"] in GOOD_NODES for node in used)
        style = "green" if _fine(cluster) else "red"
        table.add_row(
            _cell(name, 32),
            _cell(_or_dash(cluster["discovery"]), 16),
            Text("?" if nodes is None else f"{good}/{len(used)}", style=style),
            Text(
                age(cluster["age"]) + (" stale" if cluster["stale"] else ""), style="yellow" if cluster["stale"] else ""
            ),
            _nodes(cluster),
        )
    return table


def _fine(cluster: Mapping[str, Any]) -> bool:
    nodes = used_nodes(cluster)
    return (
        bool(nodes)
        and not cluster["stale"]
        and not cluster["held"]
        and all(node["state"] in GOOD_NODES for node in nodes)
    )


def _nodes(cluster: Mapping[str, Any]) -> Text:
    """The nodes that are used: first those that are not fine, with their state, then how many are not used, then the rest."""
    used, parts = used_nodes(cluster), list[tuple[str, str]]()
    for node in used:
        words = [*([] if node["state"] in GOOD_NODES else [node["state"]]), *(["held"] if node["held"] else [])]
        if words:
            parts.append((" ".join((node["name"], *words)), "red"))
    if cluster["refused_total"]:
        total = cluster["refused_total"]
        parts.append((f"{total} record{'' if total == 1 else 's'} refused", "yellow"))
    if unused := len(cluster["nodes"] or []) - len(used):
        parts.append((f"{unused} unused", "yellow"))
    parts += [(node["name"], "") for node in used if node["state"] in GOOD_NODES and not node["held"]]
    line = Text(no_wrap=True, overflow="ellipsis")
    for text, style in parts:
        line.append((", " if line else "") + safe(text), style=style)
    return line


def _services(document: Document) -> Table:
    table = _table("SERVICE", "DISCOVERY", "PORT", "STATE", "FOR", "CHECKS")
    now = clock(document)
    rows = [
        (name, service, port, part)
        for name, service in document["services"].items()
        for port, part in (_get(service, "ports") or {}).items()
    ]
    for name, service, port, part in sorted(rows, key=lambda row: _get(row[3], "state") == "up"):
        state = _state(_get(part, "state"))
        if _get(service, "held"):
            state.append(" (held)", style="yellow")
        since = _since(_get(part, "since"), now)
        discovery = _cell(_or_dash(_get(service, "discovery")), 16)
        table.add_row(_cell(name, 32), discovery, _cell(port), state, since, _cell(_checks(part)))
    return table


def _checks(part: Any) -> str:
    texts = []
    for name, check in (_get(part, "checks") or {}).items():
        reason = _get(check, "reason")
        texts.append(f"{name} {_get(check, 'state')}" + (f": {reason}" if reason else ""))
    flap = _get(part, "flap")
    if _get(flap, "changes"):
        texts.insert(0, f"{'held, ' if _get(flap, 'held') else ''}{_get(flap, 'changes')} changes")
    return "; ".join(texts) or "none"


def _files(files: Mapping[str, Any]) -> Table:
    table = _table("FILE", "STATE", "ERROR")
    for path, file in files.items():
        first, *more = str(_get(file, "error") or "").split("\n")
        error = f"{len(more) + 1} problems, see above" if more else first
        table.add_row(_cell(path, 40), _state(_get(file, "state")), _cell(error))
    return table


def _note(worker: Mapping[str, Any], now: float | None) -> str:
    """The one thing worth knowing: why it is not up, else a call that takes long, else how it last ended."""
    retry = f", next try in {age(worker['retry_in'])}" if number(worker.get("retry_in")) is not None else ""
    if worker.get("reason"):
        return f"{worker['reason']}{retry}"
    call, last = worker.get("call"), worker.get("last_exit")
    if (number(_get(call, "age")) or 0) >= 1:
        return f"in {_get(call, 'name')} for {age(_get(call, 'age'))}"
    if last:
        at = number(_get(last, "at"))
        when = f" {age(now - at)} ago" if at is not None and now is not None else ""
        return f"last exit{when}: {_get(last, 'reason')}{retry}"
    return ""


def _since(since: Any, now: float | None) -> str:
    moment = number(since)
    return "-" if moment is None or now is None else age(now - moment)


def _section(table: Table, content: Any) -> list[RenderableType]:
    return ["", table] if content else []


def _table(*headers: str) -> Table:
    """A table whose last column takes what is left and is cut at the edge."""
    table = Table(box=None, pad_edge=False, expand=True, header_style="bold")
    for header in headers[:-1]:
        table.add_column(header, no_wrap=True, overflow="ellipsis")
    table.add_column(headers[-1], no_wrap=True, overflow="ellipsis", ratio=1, min_width=10)
    return table


def _cell(value: object, limit: int = 400) -> Text:
    return Text(cut(safe(value), limit), no_wrap=True, overflow="ellipsis")


def _state(value: object) -> Text:
    return Text(safe(value), style=_STYLES.get(str(value), "red"))


def _or_dash(value: object) -> object:
    return "-" if value is None else value


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None
