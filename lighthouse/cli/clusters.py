"""The commands of `lighthouse ctl` about consumed clusters."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

import click

from lighthouse.cli.client import Client, ControlError
from lighthouse.cli.group import Target, command, print_json
from lighthouse.cli.text import age, clock, safe

ACCEPTED_WITHIN = 10.0  # seconds
EXPLAINED_WITHIN = 5.0  # seconds
POLL = 0.1  # seconds


@command
@click.argument("cluster")
def accept(target: Target, cluster: str) -> None:
    """Confirm that the members of CLUSTER that are held have really gone; exit with 1 if they are not let go."""
    client = target.client()
    before = _held(client, cluster)
    client.call("accept", cluster=cluster)
    deadline = time.monotonic() + ACCEPTED_WITHIN
    while before and _held(client, cluster):
        if time.monotonic() > deadline:
            raise ControlError(
                f"the discovery of cluster {cluster} did not let go of {before} members within {ACCEPTED_WITHIN:g} s; "
                "it does as soon as it works: see `lighthouse ctl status`",
                1,
            )
        time.sleep(POLL)
    if target.json:
        print_json({"cluster": cluster, "accepted": before})
    else:
        click.echo(safe(f"{cluster}: {before} members are let go" if before else f"{cluster}: no members are held"))


def _held(client: Client, cluster: str) -> int:
    """How many members of a cluster are held."""
    from lighthouse.cli.document import document

    held = document(client.call("status"))["clusters"].get(cluster, {}).get("held")
    return held["count"] if held else 0


@command
@click.argument("cluster")
@click.argument("node", required=False)
def why(target: Target, cluster: str, node: str | None) -> None:
    """Show the way of NODE from the registry to its server, or that of each node of CLUSTER in a line.

    NODE is `host:port`, `host` or `ip:port`. Exit with 1 if a node that is shown is not in rotation.
    """
    from lighthouse.cli.document import document
    from lighthouse.cli.way import Mark
    from lighthouse.cli.why import Why

    client = target.client()
    explained = _explained(client, cluster)
    found = document(client.call("status"))
    if cluster not in found["clusters"]:
        raise ControlError(f"there is no cluster {cluster} any more", 2)
    answer = Why(found, explained, cluster)
    steps, ways = answer.cluster(), answer.ways(node)
    if target.json:
        discovery = found["clusters"][cluster]["discovery"]
        shared = [step.to_mapping() for step in steps]
        nodes = [way.to_mapping() for way in ways]
        print_json({"cluster": cluster, "discovery": discovery, "steps": shared, "nodes": nodes})
    elif node is None:
        _print_steps(cluster, steps, clock(found))
        for way in ways:
            click.echo(safe(f"{way.node}: {way.verdict}"))
    else:
        for way in ways:
            _print_steps(f"{way.node}: {way.verdict.partition(';')[0]}", way.steps, clock(found))
    fine = all(way.in_rotation for way in ways)
    if node is None:
        fine = fine and all(step.mark in (Mark.OK, Mark.NOTE) for step in steps)
    sys.exit(0 if fine else 1)


def _explained(client: Client, cluster: str) -> dict[str, Mapping[str, Any]]:
    """What each balancer that works says of a cluster right now; one that does not answer in time is left out."""
    from lighthouse.cli.document import decoded

    asked = client.call("explain", cluster=cluster)
    deadline = time.monotonic() + EXPLAINED_WITHIN
    while True:
        answers = client.call("explained").get("explained")
        known = {name: decoded(blob) for name, blob in answers.items()} if isinstance(answers, dict) else {}
        fresh = {name: item for name, item in known.items() if item.get("asked") == asked.get("asked")}
        if len(fresh) >= len(asked.get("workers") or ()) or time.monotonic() > deadline:
            return {name: item for name, item in fresh.items() if item.get("cluster") == cluster}
        time.sleep(POLL / 2)


def _print_steps(title: str, steps: Any, now: float | None) -> None:
    click.echo(safe(title))
    width = max((len(step.step) for step in steps), default=0)
    for step in steps:
        when = ""
        if step.at is not None and now is not None:
            when = f" ({time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(step.at))}, {age(now - step.at)} ago)"
        click.echo(safe(f"  {_SIGNS[step.mark.value]} {step.step:<{width}}  {step.text}{when}"))


_SIGNS = {"ok": "+", "note": "!", "bad": "-", "unknown": "?"}
