"""What a sync would do, found out without doing it: HAProxy is only read, and the candidate lies in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from lighthouse.cluster import Cluster
from lighthouse.haproxy.arrange import arranged, grown, last_resort, refilled
from lighthouse.haproxy.config import Desired
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.document import Document, loaded
from lighthouse.haproxy.effects import at_run_time, of_shape, of_start, passing, repaired, shadowed
from lighthouse.haproxy.errors import LateError, RejectedError
from lighthouse.haproxy.options import Owner
from lighthouse.haproxy.outcome import Account
from lighthouse.haproxy.parting import part_ports, with_ports
from lighthouse.haproxy.planner import plan
from lighthouse.haproxy.ports import Ports
from lighthouse.haproxy.quarantine import Verdict
from lighthouse.haproxy.reader import Reader
from lighthouse.haproxy.running import Running
from lighthouse.haproxy.search import Search
from lighthouse.haproxy.stanzas.peers import disabled
from lighthouse.haproxy.stanzas.section import Section
from lighthouse.haproxy.tools import Tools
from lighthouse.preview import Effect, Preview, Way


def preview(tools: Tools, clusters: Sequence[Cluster], deadline: Deadline) -> Preview:
    """What would change. Blocks like a sync. Raises `BalancerError` if HAProxy cannot be asked."""
    return _Preview(tools, deadline).run(clusters)


class _Preview:
    def __init__(self, tools: Tools, deadline: Deadline) -> None:
        self._tools = tools
        self._deadline = deadline
        self._account = Account()
        self._reader = Reader(tools, self._account, deadline)
        self._effects: list[Effect] = []
        self._notes: list[str] = []

    def run(self, clusters: Sequence[Cluster]) -> Preview:
        running = self._reader.first()
        documents = self._tools.file.documents()
        desired = self._reader.desired(clusters, running)
        if running is None:
            self._start(desired, documents)
        else:
            self._change(desired, documents, running)
        self._effects += _left_out(desired)
        self._notes += (*_refused(desired), *shadowed(desired, running), *desired.remarks)
        if desired.unknown:
            self._notes.append(
                f"the members of {', '.join(sorted(desired.unknown))} are not known: servers stay as they are"
            )
        return Preview(tuple(self._effects), tuple(self._notes))

    def _change(self, desired: Desired, documents: Sequence[Document], running: Running) -> None:
        base = loaded(documents, running.skeleton)
        running = self._reader.closely(running)
        wanted = arranged(desired.document, base, running, self._tools.obstacle)
        if base is None and wanted.skeleton == running.skeleton:
            base = wanted  # the file is lost
        current = None
        if base is not None:
            current = refilled(base, wanted, running)
            todo = plan(current, running, desired.unknown)
            self._effects += at_run_time(todo, current)
            self._notes += passing(todo)
            self._effects += repaired(current, running, shared=self._tools.owner is Owner.SERVICE)
            if self._account.processes is None and (lost := self._tools.lifecycle.lost_master()):
                self._effects.append(Effect(Way.RELOAD, "haproxy", lost))
        if base is not None and wanted.skeleton == base.skeleton:
            return
        held = current is None and (self._tools.owner is Owner.LIGHTHOUSE or running.skeleton is not None)
        good = grown(current, wanted, running, self._tools.obstacle) if current else None
        old = last_resort(good, current, wanted)
        found = self._judged(wanted, old, self._tools.ports(current, held=held)).document or good
        if found is not None:
            self._effects += of_shape(found, base)

    def _start(self, desired: Desired, documents: Sequence[Document]) -> None:
        nothing = Running(None, version=self._tools.process.version(self._deadline))
        base = next(iter(documents), None)
        wanted = arranged(desired.document, base, nothing, self._tools.obstacle)
        good = refilled(base, wanted, nothing) if base else None
        service = self._tools.owner is Owner.SERVICE
        runs = not service and bool(self._tools.process.find())
        own = [good] if service else documents if runs else ()
        ports = self._tools.ports(*own, held=runs and not documents)
        verdict = self._judged(wanted, good, ports, start=True)
        document = verdict.document
        if document is None and good is not None and self._accepted(good) is None:
            document = good
        if document is not None:
            why = (
                "does not answer: its service has to start it, or to reload it with our file"
                if service
                else "does not run"
            )
            self._effects += of_start(document, why)

    def _judged(self, wanted: Document, good: Document | None, ports: Ports, *, start: bool = False) -> Verdict:
        """What a sync would find out about `wanted`; what is refused becomes a line. See `Proposals`."""
        verdict = part_ports(wanted, good, ports.taken, drop=start)
        parted = verdict.document
        if parted is not None and (start or good is None or parted.skeleton != good.skeleton):
            found = self._found(Search(parted, good, drop=start), ports)
            verdict = replace(found, apart={**verdict.apart, **found.apart})
        if verdict.document is None:
            self._effects.append(Effect(Way.REFUSED, "haproxy", verdict.reason))
        for header, why in verdict.listeners.items():
            left = verdict.document or good
            self._effects.append(
                Effect(Way.REFUSED, header, f"{why} ({_rest(left.section(header) if left else None)})")
            )
        old = good.backends() if good else {}
        for name, why in verdict.clusters.items():
            there = verdict.document.backends() if verdict.document else old
            stays = "its last good lines stay" if name in old and name in there else "it is left out"
            self._effects.append(Effect(Way.REFUSED, f"cluster {name}", f"{why} ({stays})"))
        return verdict

    def _found(self, search: Search, ports: Ports) -> Verdict:
        """What HAProxy accepts; nothing, if there is no time to tell more than that it does not accept all of it."""
        try:
            return search.go_on(with_ports(ports.taken, self._accepted))
        except LateError:
            if search.first is None:
                raise
            return Verdict(None, reason=f"{search.first}; there was no time to find which lines are the cause")

    def _accepted(self, document: Document) -> RejectedError | None:
        """Why HAProxy refuses it. It reads the candidate from our memory, so that no file is left behind by a kill."""
        descriptor = os.memfd_create("haproxy-candidate")
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(document.text().encode())
            self._tools.process.check(f"/proc/{os.getpid()}/fd/{descriptor}", document, self._deadline)
        except RejectedError as error:
            return error
        finally:
            os.close(descriptor)
        return None


def _rest(section: Section | None) -> str:
    """What is left of a section that is set apart."""
    if section is None:
        return "it is left out"
    return "it is disabled" if section == disabled(section.header) else "it stays as it was"


def _left_out(desired: Desired) -> Iterator[Effect]:
    for note in desired.notes:
        where, colon, what = note.partition(": ")
        if colon and where.startswith("cluster "):
            yield Effect(Way.REFUSED, where, what)
        else:
            yield Effect(Way.REFUSED, "haproxy", note)


def _refused(desired: Desired) -> Iterator[str]:
    """What other hosts announce wrongly: no configuration of this one is the cause."""
    for cluster, nodes in desired.refused.items():
        first = min(nodes)
        more = f", nor are {len(nodes) - 1} more" if len(nodes) > 1 else ""
        yield f"cluster {cluster}: node {first} is not taken as announced: {nodes[first]}{more}"
