"""What is worth knowing of the balancers and no problem: what was put right, what waits, what an old program cannot do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lighthouse.cli.text import age, clock, number

RECENT = 600.0  # seconds for which a change from outside is told
NAMED = 3  # nodes that a sentence names

Document = Mapping[str, Any]


def notes(document: Document) -> Iterator[str]:
    """A sentence each. What a plugin reports in another shape is passed over."""
    now = clock(document)
    for name, report in document["balancers"].items():
        if isinstance(report, dict):
            yield from (f"balancer {name}: {text}" for text in _of(report, now))


def _of(report: Mapping[str, Any], now: float | None) -> Iterator[str]:
    yield from _drift(_mapping(report.get("drift")), now)
    if pending := report.get("pending"):
        yield f"a reload waits for its turn: {pending}"
    yield from _waiting(_mapping(report.get("waiting")))
    yield from _refused(_mapping(report.get("refused")))
    facts = _mapping(report.get("haproxy"))
    limits = facts.get("limits")
    told = str(report.get("degraded") or "")
    yield from (str(limit) for limit in limits if str(limit) not in told) if isinstance(limits, list) else ()


def _drift(drift: Mapping[str, Any], now: float | None) -> Iterator[str]:
    last = _mapping(drift.get("last"))
    at = number(last.get("at"))
    if at is not None and now is not None and now - at <= RECENT:
        yield f"changed from outside and put right: {last.get('what')}, {age(now - at)} ago ({drift.get('healed')} in all)"


def _waiting(waiting: Mapping[str, Any]) -> Iterator[str]:
    for cluster, nodes in waiting.items():
        if isinstance(nodes, dict) and nodes:
            names = ", ".join(sorted(map(str, nodes))[:NAMED]) + (", ..." if len(nodes) > NAMED else "")
            yield (
                f"what nodes of cluster {cluster} ask for comes with the next reload: {names}; "
                f"`lighthouse ctl why {cluster}` says what"
            )


def _refused(refused: Mapping[str, Any]) -> Iterator[str]:
    for cluster, nodes in refused.items():
        if isinstance(nodes, dict) and nodes:
            first = min(nodes, key=str)
            more = f", nor are {len(nodes) - 1} more" if len(nodes) > 1 else ""
            yield (
                f"node {first} of cluster {cluster} is not taken as announced: {nodes[first]}{more}; "
                f"`lighthouse ctl why {cluster}` says which and why"
            )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
