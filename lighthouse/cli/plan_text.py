"""The document of `lighthouse plan`, its lines for people, and its exit code. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from lighthouse.cli.text import safe

WAYS = ("refused", "start", "reload", "runtime")
_TOLD = {"refused": "refused", "start": "to start", "reload": "by a reload", "runtime": "at run time"}
_WIDEST = 40  # columns of the second column

NOTHING, BAD, RUNTIME, RELOAD = 0, 1, 3, 4

Document = Mapping[str, Any]


def document(answer: Mapping[str, Any], notes: Sequence[str], running: Collection[str]) -> dict[str, Any]:
    """The answer of the process that made the plan, counted; `running` names the balancers that are at work now."""
    balancers = answer["balancers"]
    bad = {path: file for path, file in answer["files"].items() if file["state"] != "ok"}
    ways = [effect["way"] for balancer in balancers.values() for effect in balancer["effects"]]
    counts = {way: ways.count(way) for way in WAYS}
    counts["refused"] += len(bad)
    gone = [
        f"balancer {name} is not in this directory: what it wrote goes on as it is, and nobody keeps it right"
        for name in sorted(set(running) - balancers.keys())
    ]
    return {"changes": counts, "files": bad, "balancers": balancers, "notes": [*notes, *answer["notes"], *gone]}


def exit_code(found: Document) -> int:
    """0 nothing would change, 1 something is refused or unknown, 3 changes at run time only, 4 a reload or a start."""
    counts = found["changes"]
    if counts["refused"] or any(balancer["error"] for balancer in found["balancers"].values()):
        return BAD
    if counts["reload"] or counts["start"]:
        return RELOAD
    return RUNTIME if counts["runtime"] else NOTHING


def lines(found: Document) -> Iterator[str]:
    """A line per change: how, where, what. Then notes, and a summary."""
    for file in found["files"].values():
        stays = "its last good version stays" if file["state"] == "held" else "nothing of it is in force"
        first, *more = str(file["error"]).splitlines() or ["no reason was given"]
        yield from (safe(f"{'refused':<8} {line}") for line in (f"{first} ({stays})", *more))
    named = len(found["balancers"]) > 1
    for name, balancer in found["balancers"].items():
        if named:
            yield safe(f"{name}:")
        yield from _of_balancer(name, balancer)
    for note in (*(note for item in found["balancers"].values() for note in item["notes"]), *found["notes"]):
        yield safe(f"{'note':<8} {note}")
    yield summary(found)


def summary(found: Document) -> str:
    """What the lines come to."""
    counts = found["changes"]
    told = [f"{counts[way]} {_TOLD[way]}" for way in WAYS if counts[way]]
    failed = [name for name, balancer in found["balancers"].items() if balancer["error"]]
    told += [f"unknown for {', '.join(failed)}"] if failed else []
    return safe(f"plan: {', '.join(told) or 'nothing would change'}")


def _of_balancer(name: str, balancer: Mapping[str, Any]) -> Iterator[str]:
    if balancer["error"]:
        yield safe(f"{'unknown':<8} balancer {name}: {balancer['error']}")
    width = min(_WIDEST, max((len(effect["where"]) for effect in balancer["effects"]), default=0))
    for way in WAYS:
        for effect in balancer["effects"]:
            if effect["way"] == way:
                yield safe(f"{way:<8} {effect['where']:<{width}}  {effect['what']}".rstrip())
