"""The short way of a reconciliation: only members of a few clusters changed, and the rest is known.

It looks at the clusters that changed, and at backends that servers are leaving. The commands, the question who answers them, and
the reading back of these backends travel in one exchange. So what one change costs does not depend on the other clusters, but
for the writing of the file, which is one write; nor on what is refused, or waits for a reload. They are compared, the file with
them, by a whole reconciliation: at least every `lighthouse.haproxy.memory.VERIFY` seconds, when nothing changed, and after anything
unexpected.

What is planned rests on what was known, and HAProxy may have been reloaded or replaced since. That does no harm, because commands
say what should be, not what to add to what is. But it is seen in the answers, by the process's id, by the hash of what it runs,
and by its own word that it is being replaced; then everything is compared at once.

The file is not judged by ``haproxy -c`` here: its lines are made of the parts of lines that HAProxy has accepted, just now or at
its start, and a leave is quick only if no line names the server (`lighthouse.haproxy.held`). A whole reconciliation lets the file
be judged (`lighthouse.haproxy.proposals`).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from lighthouse.cluster import Cluster
from lighthouse.exact import same
from lighthouse.haproxy.arrange import defaults_of, refilled_section
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.drain import leaving
from lighthouse.haproxy.errors import BrokenOffError, HAProxyControlError, NotRunningError, UnwrittenError
from lighthouse.haproxy.memory import Known
from lighthouse.haproxy.options import ClusterOptions
from lighthouse.haproxy.outcome import LOOK_AGAIN, Outcome
from lighthouse.haproxy.planner import Plan, differing, plan_of
from lighthouse.haproxy.running import Running, Server
from lighthouse.haproxy.runtime import ROUNDS, commands_of, refused_joins
from lighthouse.haproxy.stanzas.section import Section
from lighthouse.haproxy.tools import Tools

log = logging.getLogger(__name__)


def quick(tools: Tools, clusters: Sequence[Cluster], deadline: Deadline) -> Outcome | None:
    """Bring what changed to HAProxy; None if that takes a whole reconciliation. Raises `BalancerError`."""
    known = tools.memory.known
    if known is None or tools.memory.is_due:
        return None
    news = _news(tools, clusters, known)
    if news is None:
        return None
    busy = {backend for backend, _ in tools.drain.places}
    if (not news and not busy) or tools.file.is_touched():
        return None
    try:
        outcome = _Quick(tools, known, news, busy, deadline).run()
    except (NotRunningError, BrokenOffError, HAProxyControlError):
        return None  # whatever it was, a whole reconciliation finds out
    except BaseException:
        tools.memory.forget()
        tools.drift.forget()
        raise
    if outcome is not None and outcome.account.is_calm:
        tools.memory.changed(clusters, outcome)
    elif outcome is not None:
        tools.memory.forget()
    return outcome


def _news(tools: Tools, clusters: Sequence[Cluster], known: Known) -> dict[str, Section] | None:
    """The backends of the clusters that changed; None if more has changed than members."""
    if len(clusters) != len(known.clusters):
        return None
    news: dict[str, Section] = {}
    desired = known.outcome.desired
    backends = desired.document.backends()
    for cluster, before in zip(clusters, known.clusters, strict=True):
        if cluster is before or cluster == before:
            continue
        name = cluster.name
        if (name, cluster.meta_cluster) != (before.name, before.meta_cluster) or not same(
            cluster.options, before.options
        ):
            return None
        if cluster.nodes is None or before.nodes is None or ClusterOptions.of(cluster).peers:
            return None
        if name in known.outcome.account.quarantined:
            return None  # a line may be refused for want of the very server that comes
        rendered = tools.config.backend(cluster)
        if rendered.refused != desired.refused.get(name, {}) or rendered.shadowed != desired.shadowed.get(name, {}):
            return None
        if not rendered.section.has_shape_of(backends[name]) or name not in known.outcome.document.backends():
            return None
        if (named := known.outcome.document.named.get(name)) and named - rendered.section.servers:
            return None  # no file without them is accepted
        named = desired.document.named.get(name, frozenset())
        if named & backends[name].servers != named & rendered.section.servers:
            return None  # a line of another cluster may have been refused for want of it
        news[name] = rendered.section
    return news


class _Quick:
    def __init__(
        self, tools: Tools, known: Known, news: Mapping[str, Section], busy: Collection[str], deadline: Deadline
    ) -> None:
        self._tools = tools
        self._news = news
        self._backends = list(dict.fromkeys((*news, *busy)))
        self._deadline = deadline
        outcome = known.outcome
        self._desired = outcome.desired
        self._before = outcome.document
        self._defaults = defaults_of(outcome.document)
        self._old = {name: outcome.document.backends()[name] for name in self._backends}
        self._running = outcome.running
        self._late = outcome.account.waiting
        self._had = outcome.running.servers
        self._account = outcome.account.kept(tools.memory.due_in)

    def run(self) -> Outcome | None:
        made = self._made()
        if made is None:
            return None
        self._tools.drain.met(self._old)
        well = self._brought(made)
        self._tools.drift.left(self._running, self._tools.drain.places, self._before)
        if not well:
            return None
        # Only now, with HAProxy served, what is as large as the whole: to copy a list means to touch all that is in it.
        new = {name: section for name, section in made.items() if section is not self._old[name]}
        document = self._before.exchanged(new) if new else self._before
        if new:
            try:
                self._tools.file.write(document, judged=False)
            except UnwrittenError as error:
                self._account.held_up(error)
        if self._tools.drain.places:
            self._account.glance_again(min(LOOK_AGAIN, self._tools.drain.next() or LOOK_AGAIN))
        desired = self._desired
        if self._news:
            desired = replace(desired, document=desired.document.exchanged(self._news))
        return Outcome(desired, document, self._running, self._account, self._backends)

    def _made(self) -> dict[str, Section] | None:
        """The backends with the members that they should have; None if these do not fit."""
        made = dict(self._old)
        for name, section in self._news.items():
            base = self._old[name]
            new = refilled_section(base, section, self._defaults, self._running.servers.get(name, {}))
            if len(new.members) != len(section.members) or not new.has_shape_of(base):
                return None
            made[name] = new
        return made

    def _brought(self, made: Mapping[str, Section]) -> bool:
        """Bring the members to HAProxy. Whether they and nothing else are there now."""
        todo = self._plan(made)
        for _ in range(ROUNDS):
            if todo.blocked or not self._exchanged(made, todo):
                return False
            todo = self._plan(made)
            if not todo.open:
                break
        others = {name: late for name, late in self._account.waiting.items() if name not in made}
        self._account.waiting = {**others, **todo.waiting}
        return not todo.open and not todo.blocked

    def _plan(self, made: Mapping[str, Section]) -> Plan:
        sections: dict[str, Section] = {}
        servers: dict[str, Mapping[str, Server]] = {}
        for name, section in made.items():
            pair = section, self._running.servers.get(name, {})
            # Where something waits for a reload, not all is as it should be, and all is looked at.
            if name not in self._late:
                pair = differing(*pair, self._old[name], self._had.get(name, {}))
            sections[name], servers[name] = pair
        drain = self._tools.drain
        drain.note(leaving(sections, servers), self._backends)
        return plan_of(sections, self._defaults, servers, drain.expired(), self._running.servers)

    def _exchanged(self, made: Mapping[str, Section], todo: Plan) -> bool:
        """Take the steps and read back. Whether it is the HAProxy that is known, and took new servers."""
        tools, before = self._tools, self._running
        commands = commands_of(todo)
        closely = {name for name, section in made.items() if section.slots or section.held or self._is_close(name)}
        answers, running = tools.control.exchange(before, commands, self._backends, closely, self._deadline)
        self._account.commands += len(commands)
        if (running.pid, running.skeleton, running.stopping) != (before.pid, before.skeleton, False):
            return False
        self._running = tools.control.details(running, self._deadline, _unseen(closely, running))
        touched = {(step.backend, step.server) for step in todo.steps}
        if found := tools.drift.seen(self._running, self._backends, touched):
            log.warning("HAProxy was changed from outside, which is put right: %s", ", ".join(found))
        return not refused_joins(tools, todo, answers, made)

    def _is_close(self, backend: str) -> bool:
        return backend in self._desired.limited or backend in self._late


def _unseen(backends: Collection[str], running: Running) -> set[str]:
    """Those of which details could not be asked for with the rest: they had no server before."""
    return {name for name in backends if any(item.sessions is None for item in running.servers[name].values())}
