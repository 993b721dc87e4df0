"""The base class of balancers: what writes clusters into a load balancer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from lighthouse.cluster import Cluster
from lighthouse.options import Option
from lighthouse.pluggable import Pluggable
from lighthouse.preview import Preview


class Balancer(Pluggable):
    """Makes a load balancer follow a set of clusters.

    ``cluster_options`` declares what a cluster's file may say under the balancer's name, with the rules of
    `Configurable.options`.
    """

    entry_point: ClassVar[str] = "lighthouse.balancers"
    cluster_options: ClassVar[Mapping[str, Option] | None] = None

    call_deadline: float = 8.0
    """Seconds that a call may take before this process counts as hung: the setting ``deadlines.call``. The worker sets it."""

    @classmethod
    def validate_cluster_config(cls, config: dict[str, Any]) -> None:
        """Judge what a cluster's file says under this balancer's name. Raises like `validate_config`."""

    def sync(self, clusters: Sequence[Cluster]) -> Mapping[str, Any]:
        """Make the load balancer equal to `clusters`, read it back, and report.

        It is called at each change and again periodically, and must reconcile: compare what is with what should be and act on the
        difference. A cluster of which nothing changed is the same object as at the last call, and none is changed once it was
        passed. A cluster whose ``nodes`` is None is unknown: its servers stay as they are. Raises
        `lighthouse.errors.BalancerError` when the load balancer cannot be made right now; it is then called again.

        The report is plain data for `ctl status`. Its key ``servers``, ``{cluster: {node name: state}}``, gives each member's
        state as the load balancer itself tells it; ``degraded``, a sentence or None, says what could not be done.
        """
        self.sync_file(clusters)
        return {}

    def watch_fd(self) -> int | None:
        """A descriptor that becomes readable when `sync` would find something changed, or None. Asked after each `sync`.

        It is only waited for, by another thread. While it stays readable, `sync` is called once a second.
        """
        return None

    def preview(self, clusters: Sequence[Cluster]) -> Preview | None:  # noqa: ARG002
        """Tell what `sync` would change, for ``lighthouse plan``; None if this balancer cannot.

        It is called on a fresh object, in a process of its own that ends afterwards, maybe while a worker with the same
        configuration is at work. It must change nothing: no file, no state of the load balancer. Raises like `sync`.
        """
        return None

    def explain(self, cluster: str) -> Mapping[str, Mapping[str, Any]]:
        """What the load balancer itself says right now of each node of a cluster, for `ctl why`.

        Plain data by node name, each key optional: ``server``, its name there; ``line``, its line in the configuration;
        ``address``; ``state``; ``since``, seconds in that state; ``weight``; ``sessions``. A server that belongs to no member
        (any more) stands under its own name, or that of the node that is leaving it, with ``member`` False. Raises
        `lighthouse.errors.BalancerError`. A balancer that cannot tell need not implement it.
        """
        raise NotImplementedError

    def sync_file(self, clusters: Sequence[Cluster]) -> None:
        """The name that plugins of lighthouse 1.0 implement instead of `sync`."""
        raise NotImplementedError
