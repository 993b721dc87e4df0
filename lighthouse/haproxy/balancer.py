"""The plugin ``haproxy``: keeps the local HAProxy equal to the clusters."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, ClassVar

from lighthouse.balancer import Balancer
from lighthouse.cluster import Cluster
from lighthouse.errors import AbsentError, BalancerError, LighthouseError
from lighthouse.haproxy import judge
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.ended import Ended
from lighthouse.haproxy.explain import GLANCE, explained, is_absent
from lighthouse.haproxy.listeners import proxies_of
from lighthouse.haproxy.options import CLUSTER_OPTIONS, OPTIONS, ClusterOptions, HAProxySettings
from lighthouse.haproxy.preview import preview
from lighthouse.haproxy.reconcile import reconcile
from lighthouse.haproxy.report import Report
from lighthouse.haproxy.tools import Tools, tools_for
from lighthouse.haproxy.versions import limits
from lighthouse.options import Option
from lighthouse.preview import Preview

log = logging.getLogger(__name__)

BUDGET = 0.8  # of the time that a call may take: a sync that cannot end says so before it is taken for hung
EXPLAINED = 3.0  # seconds for an explanation


class HAProxy(Balancer):
    """Writes clusters into a local HAProxy, 2.4 or newer, and starts it if it does not run and belongs to no service.

    A change of members never reloads it: where HAProxy takes no server at run time, there are slots, of which only a reload makes
    more (`lighthouse.haproxy.slots`). Anything else is a reload that ``haproxy -c`` has accepted; no connection is refused
    meanwhile, and the old process finishes its own.

    Sections come in the order ``global``, ``defaults``, frontends, backends. A timeout that the lines of ``defaults`` do not
    give is 5 s to connect and 1 h of silence; ``hard-stop-after`` is 1 h unless ``global`` says otherwise. ``bind_address:
    localhost`` means 127.0.0.1. The configuration file is 0600, because its lines may hold passwords.
    """

    name: ClassVar[str] = "haproxy"
    options: ClassVar[Mapping[str, Option] | None] = OPTIONS
    cluster_options: ClassVar[Mapping[str, Option] | None] = CLUSTER_OPTIONS

    def __init__(self) -> None:
        self._settings: HAProxySettings | None = None
        self._tools: Tools | None = None
        self._report = Report()
        self._ended = Ended()
        self._version = ""

    @classmethod
    def validate_config(cls, config: dict[str, Any]) -> None:
        """Judge ``balancers/haproxy.yaml``. Raises `ConfigError`."""
        HAProxySettings.from_mapping(config)
        judge.check_settings(config)

    @classmethod
    def validate_proxies_config(cls, proxies: Mapping[str, Any]) -> None:
        """Judge the key ``proxies`` alone. Raises `ConfigError`."""
        proxies_of({"proxies": proxies})

    @property
    def restart_interval(self) -> float:
        """Seconds that lie between two reloads at least."""
        return self._settings.restart_interval if self._settings else float(OPTIONS["restart_interval"].default)

    @classmethod
    def validate_cluster_config(cls, config: dict[str, Any]) -> None:
        """Judge a cluster's ``haproxy`` key. Raises `ConfigError`."""
        ClusterOptions.from_mapping(config)
        judge.check_cluster(config)

    def apply_config(self, config: dict[str, Any]) -> None:
        """Take over the settings; the next `sync` brings them to HAProxy. Raises `ConfigError`."""
        settings = HAProxySettings.from_mapping(config)
        if settings == self._settings:
            return
        self._settings = settings
        self._tools = tools_for(settings)

    def sync(self, clusters: Sequence[Cluster]) -> dict[str, Any]:
        """Make HAProxy equal to `clusters` and report; see `Balancer.sync`.

        Blocks for four fifths of `call_deadline` at most, for milliseconds as a rule.

        The report also tells:

        * ``haproxy``: version, what this version cannot do (``limits``), ``pid`` of the master, ``worker_pid``, ``uptime`` in
          seconds, ``reloads``, and ``old_workers`` that still serve old connections;
        * ``leaving``: the servers of each cluster that take no new connection and wait for their last to end, whose they were
          (``node``; None for a slot of which this process does not know it), and where they are;
        * ``quarantined``: the clusters whose new lines HAProxy refuses, and why;
        * ``refused``: by cluster and node, what is not taken from the registry, and why;
        * ``notes``: the parts of ``degraded``, the gravest first: ``text``, and ``cluster`` if it is about one;
        * ``waiting``: by cluster and node, what the node wants and gets with the next reload only, and the remedy;
        * ``drift``: how many changes from outside were put right, and the last of them;
        * ``pending``: why a reload waits for its time; ``again``: after how many seconds to call this again, or None;
        * ``last``: what this call did: ``commands``, and why there was a ``start`` or a ``reload``.

        A member is ``up``, ``down``, ``maint`` or ``drain`` as HAProxy tells it, ``pending`` while HAProxy has it not, or
        ``shadowed`` where a server of the operator's own lines has its name and another address.
        """
        tools = self._ready()
        try:
            outcome = reconcile(tools, clusters, self._deadline())
        except LighthouseError as error:
            raise _told(tools, error) from None
        self._tell_limits(outcome.running.version)
        processes = outcome.account.processes
        self._ended.watch({pid for pid in (outcome.running.pid, processes.master if processes else 0) if pid})
        return self._report.of(outcome, tools)

    def sync_file(self, clusters: Sequence[Cluster]) -> None:
        """The same without a report, by the name of lighthouse 1.0."""
        self.sync(clusters)

    def sync_nodes(self, clusters: Sequence[Cluster]) -> None:
        """The same: there is no syncing of nodes that leaves out the rest."""
        self.sync(clusters)

    def watch_fd(self) -> int | None:
        """Readable once HAProxy has ended; see `Balancer.watch_fd`."""
        return self._ended.fileno()

    def preview(self, clusters: Sequence[Cluster]) -> Preview:
        """Tell what `sync` would change; see `Balancer.preview`. HAProxy is read, and judges a file that lies in memory."""
        return preview(self._ready(), clusters, self._deadline())

    def _deadline(self, most: float = inf) -> Deadline:
        """For a call as a whole. What it leaves of its time is for a look at what runs, should the call fail."""
        return Deadline(min(most, BUDGET * self.call_deadline - GLANCE), self.call_deadline)

    def _ready(self) -> Tools:
        if self._tools is None:
            raise BalancerError("the balancer has no configuration yet")
        return self._tools

    def explain(self, cluster: str) -> dict[str, dict[str, Any]]:
        """Ask HAProxy about the servers of one cluster; see `Balancer.explain`. Blocks for 3 s at most."""
        tools = self._ready()
        try:
            return explained(tools, cluster, self._deadline(most=EXPLAINED))
        except LighthouseError as error:
            raise _told(tools, error) from None

    def _tell_limits(self, version: str) -> None:
        """Once for each version that is seen."""
        if version and version != self._version:
            self._version = version
            log.info("HAProxy has version %s", version)
            for sentence in limits(version):
                log.warning("%s", sentence)


def _told(tools: Tools, error: LighthouseError) -> BalancerError:
    """The error as those who call a balancer know it."""
    if is_absent(tools):
        return AbsentError(str(error))
    return error if isinstance(error, BalancerError) else BalancerError(str(error))
