"""Reading what HAProxy runs, as closely as a reconciliation needs it."""

from __future__ import annotations

from collections.abc import Sequence

from lighthouse.cluster import Cluster
from lighthouse.haproxy.config import Desired
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.document import Document, loaded
from lighthouse.haproxy.errors import BrokenOffError, NotRunningError
from lighthouse.haproxy.lifecycle import Current
from lighthouse.haproxy.outcome import Account
from lighthouse.haproxy.planner import adopt
from lighthouse.haproxy.running import Running
from lighthouse.haproxy.tools import Tools
from lighthouse.haproxy.upstreams import Addresses, addresses_for, names_in

APPEAR = 1 / 8  # of a call, that a process which exists, but does not answer, is given to do so


class Reader:
    """Reads within one deadline, and notes what the master says."""

    def __init__(self, tools: Tools, account: Account, deadline: Deadline) -> None:
        self._tools = tools
        self._account = account
        self._deadline = deadline

    def desired(self, clusters: Sequence[Cluster], running: Running | None) -> Desired:
        """What should run. A cluster whose members are unknown keeps those that run, or those of the file if nothing runs."""
        unknown = [cluster.name for cluster in clusters if cluster.nodes is None]
        documents = self._tools.documents()
        previous = (running and loaded(documents, running.skeleton)) or next(iter(documents), None)
        adopted = {name: adopt(name, running, previous) for name in unknown}
        addresses = self._addresses(documents, running)
        return self._tools.config.desired(clusters, adopted, previous, addresses)

    def _addresses(self, documents: Sequence[Document], running: Running | None) -> Addresses:
        """Where the servers of proxies are whose hosts are names. Asks the resolver, which may take its time once for each name."""
        settings = self._tools.config.settings
        answers = self._tools.names.known(names_in(settings.proxies), self._deadline)
        return addresses_for(settings.proxies, settings.defaults, answers, documents, running)

    def first(self) -> Running | None:
        """What runs; None if nothing does. One that is just starting is waited for."""
        lifecycle = self._tools.lifecycle
        try:
            current = lifecycle.current(self._deadline)
        except (NotRunningError, BrokenOffError):
            found = lifecycle.appearing(self._deadline.share(APPEAR))
            if found is None:
                return None
            current = found
        return self.noted(current)

    def again(self) -> Running:
        """Read back. A master that could not be asked is not asked again, because that may take its time."""
        if self._account.processes is None:
            running = self._tools.control.running(self._deadline)
        else:
            running = self.noted(self._tools.lifecycle.current(self._deadline))
        return self.closely(running)

    def closely(self, running: Running) -> Running:
        """The same with the details of all servers: whatever is allowed now, anybody may have set a limit."""
        return self._tools.control.details(running, self._deadline)

    def noted(self, current: Current) -> Running:
        """What runs, of what a start or a reload ended with."""
        running, self._account.processes = current
        return running
