"""From the objects in force to each worker's configuration: plain data, with what does not concern a worker left out.

A key of a cluster's file that is the name of a configured balancer addresses that balancer; one that is the name of a
plugin, and of no balancer, addresses all balancers of that plugin.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from lighthouse.advertise import rules_of
from lighthouse.config.selecting import completed
from lighthouse.plan import WorkerSpec

Objects = Mapping[str, Mapping[str, Any]]
Blob = dict[str, Any]


@dataclass(frozen=True, slots=True)
class InForce:
    """The objects in force, by name, each in the shape that its compiler documents."""

    logging: Mapping[str, Any] | None
    settings: Mapping[str, Any]
    discoveries: Objects
    balancers: Objects
    clusters: Objects
    services: Objects


def blobs(force: InForce) -> dict[str, Blob]:
    """Each worker's configuration, by worker id (``kind/name``)."""
    found = {f"discovery/{name}": _discovery(name, force) for name in sorted(force.discoveries)}
    found |= {f"balancer/{name}": _balancer(name, force) for name in sorted(force.balancers)}
    found |= {f"checker/{name}": _checker(name, force) for name in sorted(force.services)}
    return found


def specs(configs: Mapping[str, Blob]) -> dict[str, WorkerSpec]:
    """What the supervisor needs to know of each; the digest is the same for the same configuration, whenever it is compiled."""
    return {id_: WorkerSpec(id_, id_.partition("/")[0], _digest(blob)) for id_, blob in configs.items()}


def _digest(blob: Blob) -> str:
    return sha256(json.dumps(blob, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _service(name: str, force: InForce) -> Blob:
    made = force.services[name]["service"]
    zone = force.settings["zone"]
    return {"name": name, **made, "metadata": {**({} if zone is None else {"zone": zone}), **made["metadata"]}}


def _checker(name: str, force: InForce) -> Blob:
    made = force.services[name]
    return {
        "logging": force.logging,
        "service": _service(name, force),
        "interval": made["interval"],
        "checks": made["checks"],
        "flap": made.get("flap"),  # a version that was held since an earlier release has none
        # A worker that lived so long is replaced at once: what a hanging check costs the others is a moment.
        "patience": force.settings["restart"]["stable"],
    }


def _discovery(name: str, force: InForce) -> Blob:
    made = force.discoveries[name]
    services = [key for key, item in force.services.items() if item["service"]["discovery"] == name]
    return {
        "logging": force.logging,
        "name": name,
        "plugin": made["reference"],
        "config": made["config"],
        "clusters": sorted(key for key, item in force.clusters.items() if item["discovery"] == name),
        "guards": _guards(name, force),
        "services": [_service(key, force) for key in sorted(services)],
        "hostname": force.settings["hostname"],
        "advertise": rules_of(force.settings["advertise"]),
        "registration": force.settings["registration"],
    }


def _guards(name: str, force: InForce) -> dict[str, Any]:
    """How each cluster of a discovery is guarded against mass loss; one that is not is left out."""
    own = {key: item.get("guard", {}) for key, item in force.clusters.items() if item["discovery"] == name}
    return {key: {**force.settings["mass_loss"], **guard} for key, guard in sorted(own.items()) if guard is not None}


def _balancer(name: str, force: InForce) -> Blob:
    made = force.balancers[name]
    plugin = made["plugin"]
    keys = [name] if plugin in force.balancers else [name, plugin]
    clusters = []
    for cluster, item in sorted(force.clusters.items()):
        key = next((key for key in keys if key in item["options"]), None)
        if key is not None:
            meta = {"meta_cluster": item["meta_cluster"]} if "meta_cluster" in item else {}
            if "selection" in item:
                meta["selection"] = completed(item["selection"], force.settings["zone"])
            if "default_nodes" in item:
                meta["default_nodes"] = item["default_nodes"]
            clusters.append({"name": cluster, "discovery": item["discovery"], "options": item["options"][key], **meta})
    return {
        "logging": force.logging,
        "name": name,
        "plugin": made["reference"],
        "config": made["config"],
        "initial_wait": force.settings["initial_wait"],
        "clusters": clusters,
    }
