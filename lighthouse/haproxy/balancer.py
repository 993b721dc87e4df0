"""The plugin ``haproxy``: keeps the local HAProxy equal to the clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from lighthouse.balancer import Balancer
from lighthouse.cluster import Cluster
from lighthouse.errors import BalancerError, LighthouseError
from lighthouse.haproxy.config import HAProxyConfig
from lighthouse.haproxy.control import HAProxyControl
from lighthouse.haproxy.deadline import Deadline
from lighthouse.haproxy.files import ConfigFile
from lighthouse.haproxy.lifecycle import Lifecycle
from lighthouse.haproxy.options import CLUSTER_OPTIONS, OPTIONS, ClusterOptions, HAProxySettings
from lighthouse.haproxy.process import HAProxyProcess
from lighthouse.haproxy.reconcile import Outcome, Tools, reconcile
from lighthouse.haproxy.refusals import Refusals
from lighthouse.options import Option

BUDGET = 6.5  # seconds for one sync; the supervisor takes a call of 8 s for hung


class HAProxy(Balancer):
    """Writes clusters into a local HAProxy, 2.6 or newer, and starts it if it does not run.

    A change of members never reloads it, as long as the backend takes servers at run time (`lighthouse.haproxy.dynamic`). Anything
    else is a reload that ``haproxy -c`` has accepted; no connection is refused meanwhile, and the old process finishes its own.

    Sections come in the order ``global``, ``defaults``, frontends, backends. A timeout that the lines of ``defaults`` do not
    give is 5 s to connect and 1 h of silence; ``hard-stop-after`` is 1 h unless ``global`` says otherwise. ``bind_address:
    localhost`` means 127.0.0.1. The configuration file is 0600, because its lines may hold passwords.
    """

    options: ClassVar[Mapping[str, Option] | None] = OPTIONS
    cluster_options: ClassVar[Mapping[str, Option] | None] = CLUSTER_OPTIONS

    def __init__(self) -> None:
        self._settings: HAProxySettings | None = None
        self._tools: Tools | None = None

    @classmethod
    def validate_config(cls, config: dict[str, Any]) -> None:
        """Judge ``balancers/haproxy.yaml``. Raises `ConfigError`."""
        HAProxySettings.from_mapping(config)

    @classmethod
    def validate_cluster_config(cls, config: dict[str, Any]) -> None:
        """Judge a cluster's ``haproxy`` key. Raises `ConfigError`."""
        ClusterOptions.from_mapping(config)

    def apply_config(self, config: dict[str, Any]) -> None:
        """Take over the settings; the next `sync` brings them to HAProxy. Raises `ConfigError`."""
        settings = HAProxySettings.from_mapping(config)
        if settings == self._settings:
            return
        control = HAProxyControl(settings.socket_file, settings.master_socket_file)
        process = HAProxyProcess(settings)
        self._settings = settings
        self._tools = Tools(
            config=HAProxyConfig(settings),
            control=control,
            process=process,
            lifecycle=Lifecycle(control, process),
            file=ConfigFile(settings.config_file),
            refusals=Refusals(),
        )

    def sync(self, clusters: Sequence[Cluster]) -> dict[str, Any]:
        """Make HAProxy equal to `clusters` and report; see `Balancer.sync`. Blocks for 6.5 s at most, for milliseconds as a rule.

        The report also tells, under ``haproxy``, version, ``pid`` of the master, ``worker_pid``, ``uptime`` in seconds, ``reloads``
        and ``old_workers`` that still serve old connections; under ``leaving``, the servers of each cluster that take no new
        connection and wait for their last to end; under ``last``, what this call did. A member is ``up``, ``down``, ``maint`` or
        ``drain`` as HAProxy tells it, or ``pending`` while HAProxy has it not.
        """
        if self._tools is None:
            raise BalancerError("the balancer has no configuration yet")
        try:
            outcome = reconcile(self._tools, clusters, Deadline(BUDGET))
        except BalancerError:
            raise
        except LighthouseError as error:
            raise BalancerError(str(error)) from error
        return {**_servers(outcome), **_process_report(outcome, self._tools.control.master_socket_file)}


def _process_report(outcome: Outcome, master_socket_file: str) -> dict[str, Any]:
    notes = list(outcome.notes)
    facts: dict[str, Any] = {"version": outcome.running.version, "worker_pid": outcome.running.pid}
    processes = outcome.processes
    if processes is None:
        notes.append(
            f"HAProxy's master process does not answer at {master_socket_file}, so it cannot be reloaded gracefully"
        )
    else:
        facts |= {"pid": processes.master, "uptime": processes.uptime}
        facts |= {"reloads": processes.reloads, "old_workers": processes.old_workers}
    return {
        "degraded": "; ".join(notes) or None,
        "haproxy": facts,
        "last": {"commands": outcome.commands, "reload": outcome.reload},
    }


def _servers(outcome: Outcome) -> dict[str, Any]:
    states: dict[str, dict[str, str]] = {}
    leaving: dict[str, list[str]] = {}
    for name, section in outcome.desired.document.backends().items():
        have = outcome.running.servers.get(name, {})
        members = {member.name for member in section.members}
        states[name] = {
            member.name: have[member.name].state if member.name in have else "pending" for member in section.members
        }
        others = sorted(server for server in have if server not in members and not section.is_pinned(server))
        if others:
            leaving[name] = others
    return {"servers": states, "leaving": leaving}
