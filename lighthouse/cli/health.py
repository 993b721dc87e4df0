"""What is wrong on this host, as sentences: a pure function of the status document.

The order is that of harm: first what takes traffic away, then what may soon, then what only stops things from changing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lighthouse.cli.balanced import notes
from lighthouse.cli.provided import down_services, ordered_services, unknown_services
from lighthouse.cli.text import age, clock, number

GOOD_WORKERS = ("up", "starting")
GOOD_NODES = ("up", "known")
NAMED = 5  # nodes that a sentence names

Document = Mapping[str, Any]


def problems(document: Document) -> list[str]:
    """Every problem, worst first."""
    return [sentence for rule in _RULES for sentence in rule(document)]


def warnings(document: Document) -> list[str]:
    """What is no problem and yet worth knowing."""
    unchecked = [
        f"service {name} has no check: its ports count as up, whatever they do"
        for name, service in document["services"].items()
        if isinstance(ports := service.get("ports"), dict) and any(_unchecked(part) for part in ports.values())
    ]
    return [*unchecked, *_refused_records(document), *notes(document)]


def _refused_records(document: Document) -> Iterator[str]:
    for name, cluster in document["clusters"].items():
        if count := cluster["refused_total"]:
            yield f"cluster {name}: refused records of the registry: {count}; `lighthouse ctl why {name}` says which and why"


def _unchecked(part: Any) -> bool:
    return isinstance(part, dict) and part.get("state") == "up" and part.get("checks") == {}


def refused_files(files: Mapping[str, Any]) -> Iterator[str]:
    """The files that are not in force, worst first; of a held one the last good version is."""
    for state, meaning in (("refused", "is refused"), ("held", "is refused, its last good version stays in force")):
        for path, file in files.items():
            if isinstance(file, dict) and file.get("state") == state:
                error = str(file.get("error") or "no reason was given")
                yield f"file {path} {meaning}:" + ("\n" if "\n" in error else " ") + error


def _empty_clusters(document: Document) -> Iterator[str]:
    for name, cluster in document["clusters"].items():
        if cluster["error"]:
            yield f"cluster {name}: {cluster['error']}"
        elif cluster["nodes"] is None and _has_defaults(document, name):
            yield f"cluster {name}: its members are not known yet; its default nodes stand in where the balancer has no others"
        elif cluster["nodes"] is None:
            yield f"cluster {name}: its members are not known yet"
        elif not cluster["nodes"]:
            yield f"cluster {name} has no members"
        elif not used_nodes(cluster):
            yield f"cluster {name}: its `filter` fits none of its {len(cluster['nodes'])} members"


def used_nodes(cluster: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The members that this host uses: all but those that `filter` and `zone` leave out."""
    return [node for node in cluster["nodes"] or [] if node["state"] != "unused"]


def _has_defaults(document: Document, cluster: str) -> bool:
    told = [report.get("defaults") for report in document["balancers"].values()]
    return any(isinstance(names, list) and cluster in names for names in told)


def _failed_balancers(document: Document) -> Iterator[str]:
    """A load balancer that nobody can tell of: all that it should serve hangs on it."""
    for name, report in document["balancers"].items():
        if failed := report.get("failed"):
            so = "serves nobody" if report.get("absent") is True else "may serve or not, nobody can tell"
            yield f"balancer {name}: {failed}; its load balancer {so}"


def _held_members(document: Document) -> Iterator[str]:
    now = clock(document)
    for name, cluster in document["clusters"].items():
        held, nodes = cluster["held"], cluster["nodes"] or []
        if held:
            until = number(held["until"])
            when = f" for {age(until - now)} more" if until is not None and now is not None else ""
            yield (
                f"cluster {name}: {held['count']} of {len(nodes)} members vanished from the registry at once and are held{when}: "
                f"`lighthouse ctl accept {name}` lets them go"
            )


def _bad_nodes(document: Document) -> Iterator[str]:
    failed = [report for report in document["balancers"].values() if report.get("failed")]
    # `_failed_balancers` says it, once for all.
    good = {*GOOD_NODES, *("pending" if report.get("absent") is True else "unknown" for report in failed)}
    for name, cluster in document["clusters"].items():
        nodes = used_nodes(cluster)
        bad = [node for node in nodes if node["state"] not in good]
        if bad:
            named = ", ".join(f"{node['name']} {node['state']}" for node in bad[:NAMED])
            more = f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
            yield f"cluster {name}: {len(bad)} of {len(nodes)} nodes not up: {named}{more}"


def _failing_workers(document: Document) -> Iterator[str]:
    for worker in document["workers"]:
        state = worker.get("state")
        told = state == "degraded" and says_all(_report(document, worker), worker)  # `_degraded` says it
        if state not in GOOD_WORKERS and not stopped_by_operator(worker) and not told:
            yield f"worker {worker.get('id')} is {state}{_why(worker)}"


def _report(document: Document, worker: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the worker itself reported, if its kind reports."""
    kind, _, name = str(worker.get("id")).partition("/")
    reports: Mapping[str, Mapping[str, Any]] = document.get({"balancer": "balancers"}.get(kind, "discoveries"), {})
    return reports.get(name, {}) if kind in ("balancer", "discovery") else {}


def says_all(report: Mapping[str, Any], worker: Mapping[str, Any]) -> bool:
    """Whether the report gives the very reason that its worker gives, and perhaps more of it. Another one is newer, or has more."""
    told = report.get("degraded")
    return bool(told) and str(told).startswith(str(worker.get("reason") or ""))


def _stopped_workers(document: Document) -> Iterator[str]:
    for worker in document["workers"]:
        if stopped_by_operator(worker):
            yield f"worker {worker.get('id')} is stopped by operator (`lighthouse ctl start {worker.get('id')}` starts it)"


def stopped_by_operator(worker: Mapping[str, Any]) -> bool:
    """Whether someone asked for it: no worker stops for good by itself."""
    return worker.get("state") == "stopped"


def _why(worker: Mapping[str, Any]) -> str:
    last = worker.get("last_exit")
    reason = worker.get("reason") or (last.get("reason") if isinstance(last, dict) else None)
    wait = worker.get("retry_in")
    text = f": {reason}" if reason else ""
    return f"{text}; next try in {age(wait)}" if isinstance(wait, int | float) else text


def _stale_clusters(document: Document) -> Iterator[str]:
    for name, cluster in document["clusters"].items():
        if cluster["stale"]:
            how = "of unknown age" if cluster["age"] is None else f"those of {age(cluster['age'])} ago"
            yield f"cluster {name} is stale: its members are {how} and stay in force"


def _degraded(document: Document) -> Iterator[str]:
    degraded = {worker.get("id"): worker for worker in document["workers"] if worker.get("state") == "degraded"}
    for kind, key in (("balancer", "balancers"), ("discovery", "discoveries")):
        for name, report in document[key].items():
            worker = degraded.get(f"{kind}/{name}")
            if worker is not None and report.get("degraded") and not says_all(report, worker):
                continue  # `_failing_workers` says it
            if report.get("failed"):
                continue  # `_failed_balancers` says it
            if report.get("degraded"):
                yield f"{kind} {name}: {report['degraded']}"
            elif report.get("complete") is False:
                yield f"{kind} {name}: its last reading of the registry was not complete"


def _slowed(document: Document) -> Iterator[str]:
    for name, report in document["discoveries"].items():
        told = report.get("registration")
        waiting = told.get("waiting") if isinstance(told, dict) else None
        if waiting:
            yield f"discovery {name}: {waiting} announcements wait for their turn: more change than `registration.rate` allows"


def _configuration(document: Document) -> Iterator[str]:
    config = document["config"]
    if config.get("error"):
        yield f"the configuration could not be read: {config['error']}"
    elif not config.get("compilations"):
        yield "no configuration has been read yet"
    yield from refused_files(config["files"])


def _unkept(document: Document) -> Iterator[str]:
    if document["supervisor"].get("unkept"):
        yield str(document["supervisor"]["unkept"])


def _stopping(document: Document) -> Iterator[str]:
    if document["supervisor"].get("stopping"):
        yield "the supervisor is stopping"


_RULES: tuple[Callable[[Document], Iterator[str]], ...] = (
    _failed_balancers,
    _empty_clusters,
    _held_members,
    down_services,
    ordered_services,
    _bad_nodes,
    _failing_workers,
    _degraded,
    _slowed,
    _stale_clusters,
    _unkept,
    _configuration,
    _stopped_workers,
    unknown_services,
    _stopping,
)
