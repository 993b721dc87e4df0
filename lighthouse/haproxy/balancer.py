"""The plugin ``haproxy``: keeps the local HAProxy equal to the clusters."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from lighthouse.balancer import Balancer
from lighthouse.cluster import Cluster
from lighthouse.errors import BalancerError, LighthouseError
from lighthouse.haproxy import judge
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.drain import leaving
from lighthouse.haproxy.options import CLUSTER_OPTIONS, OPTIONS, ClusterOptions, HAProxySettings
from lighthouse.haproxy.outcome import Outcome
from lighthouse.haproxy.reconcile import reconcile
from lighthouse.haproxy.tools import Tools, tools_for
from lighthouse.haproxy.versions import limits, too_old
from lighthouse.options import Option

log = logging.getLogger(__name__)

BUDGET = 6.5  # seconds for one sync; the supervisor takes a call of 8 s for hung


class HAProxy(Balancer):
    """Writes clusters into a local HAProxy, 2.4 or newer, and starts it if it does not run and belongs to no service.

    A change of members never reloads it: where HAProxy takes no server at run time, there are slots, of which only a reload makes
    more (`lighthouse.haproxy.slots`). Anything else is a reload that ``haproxy -c`` has accepted; no connection is refused
    meanwhile, and the old process finishes its own.

    Sections come in the order ``global``, ``defaults``, frontends, backends. A timeout that the lines of ``defaults`` do not
    give is 5 s to connect and 1 h of silence; ``hard-stop-after`` is 1 h unless ``global`` says otherwise. ``bind_address:
    localhost`` means 127.0.0.1. The configuration file is 0600, because its lines may hold passwords.
    """

    options: ClassVar[Mapping[str, Option] | None] = OPTIONS
    cluster_options: ClassVar[Mapping[str, Option] | None] = CLUSTER_OPTIONS

    def __init__(self) -> None:
        self._settings: HAProxySettings | None = None
        self._tools: Tools | None = None
        self._version = ""

    @classmethod
    def validate_config(cls, config: dict[str, Any]) -> None:
        """Judge ``balancers/haproxy.yaml``. Raises `ConfigError`."""
        HAProxySettings.from_mapping(config)
        judge.check_settings(config)

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
        """Make HAProxy equal to `clusters` and report; see `Balancer.sync`. Blocks for 6.5 s at most, for milliseconds as a rule.

        The report also tells:

        * ``haproxy``: version, what this version cannot do (``limits``), ``pid`` of the master, ``worker_pid``, ``uptime`` in
          seconds, ``reloads``, and ``old_workers`` that still serve old connections;
        * ``leaving``: the servers of each cluster that take no new connection and wait for their last to end;
        * ``quarantined``: the clusters whose new lines HAProxy refuses, and why;
        * ``refused``: by cluster and node, what is not taken from the registry, and why;
        * ``waiting``: by cluster and node, what the node wants and gets with the next reload only, and the remedy;
        * ``drift``: how many changes from outside were put right, and the last of them;
        * ``pending``: why a reload waits for its time; ``again``: after how many seconds to call this again, or None;
        * ``last``: what this call did.

        A member is ``up``, ``down``, ``maint`` or ``drain`` as HAProxy tells it, or ``pending`` while HAProxy has it not.
        """
        if self._tools is None:
            raise BalancerError("the balancer has no configuration yet")
        try:
            outcome = reconcile(self._tools, clusters, Deadline(BUDGET))
        except BalancerError:
            raise
        except LighthouseError as error:
            raise BalancerError(str(error)) from error
        self._tell_limits(outcome.running.version)
        return {
            **_servers(outcome),
            **_process_report(outcome, self._tools.lifecycle.missing_master()),
            "drift": self._tools.drift.report(),
        }

    def _tell_limits(self, version: str) -> None:
        """Once for each version that is seen."""
        if version and version != self._version:
            self._version = version
            log.info("HAProxy has version %s", version)
            for sentence in limits(version):
                log.warning("%s", sentence)


def _process_report(outcome: Outcome, missing_master: str | None) -> dict[str, Any]:
    version, pid = outcome.running.version, outcome.running.pid
    facts: dict[str, Any] = {"version": version, "worker_pid": pid or None, "limits": limits(version)}
    account = outcome.account
    notes = [*account.notes, *too_old(version)]
    processes = account.processes
    if processes is None and missing_master and pid:
        notes.append(missing_master)
    elif processes is not None:
        facts |= {"pid": processes.master, "uptime": processes.uptime}
        facts |= {"reloads": processes.reloads, "old_workers": processes.old_workers}
    return {
        "degraded": "; ".join(notes) or None,
        "haproxy": facts,
        "quarantined": dict(account.quarantined),
        "refused": {cluster: dict(nodes) for cluster, nodes in outcome.desired.refused.items()},
        "waiting": {cluster: dict(nodes) for cluster, nodes in account.waiting.items()},
        "pending": account.pending,
        "again": account.again,
        "last": {"commands": account.commands, "reload": account.reload},
    }


def _servers(outcome: Outcome) -> dict[str, Any]:
    states: dict[str, dict[str, str]] = {}
    slots = {
        name: {item.name: item.server for item in section.members}
        for name, section in outcome.document.backends().items()
    }
    for name, section in outcome.desired.document.backends().items():
        have = outcome.running.servers.get(name, {})
        server = slots.get(name, {})
        states[name] = {
            item.name: have[key].state if (key := server.get(item.name, item.name)) in have else "pending"
            for item in section.members
        }
    gone: dict[str, list[str]] = {}
    for (backend, server_name), server_state in leaving(outcome.document, outcome.running, outcome.desired.unknown):
        slot = server_name in outcome.document.backends()[backend].slots
        gone.setdefault(backend, []).append(f"{server_state.ip}:{server_state.port}" if slot else server_name)
    return {"servers": states, "leaving": {name: sorted(servers) for name, servers in gone.items()}}
