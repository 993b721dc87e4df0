"""What is told of one cluster: the registry's members, and those that the guard holds."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lighthouse.guard import Guard, Hold
from lighthouse.ipc.errors import ProtocolError
from lighthouse.ipc.frames import MAX_SNAPSHOT
from lighthouse.ipc.messages import pack, pack_list, pack_map, unpack
from lighthouse.node import Node
from lighthouse.settings import MassLoss as Rules
from lighthouse.workers.plugins import why

SHOWN = 5  # members that a line of the log names
MOST = 50  # refused records, and members that left, that are told
TEXT = 300  # characters of the name of a record, and of a reason

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Member:
    """A member as it is told: packed once, because a cluster may have thousands and one change is about one of them.

    ``node`` is what the plugin gave, None for one that an earlier generation told; ``since`` is when it was first told (unix time).
    """

    node: Node | None
    since: float
    packed: bytes

    @classmethod
    def of(cls, node: Node, since: float) -> Member:
        """A node that is told. Raises whatever, if nobody could read it: plugins make nodes of what they find."""
        packed = pack({**node.to_mapping(), "since": since})
        Node.from_mapping(unpack(packed))
        return cls(node, since, packed)


@dataclass(slots=True)
class Telling:
    """One cluster, its members by name.

    ``payload`` is the snapshot that was told last, ``problem`` why the registry's newest answer could not be told.
    ``gone`` is who left lately, and when; ``leaving`` those of them whose records said so themselves; ``refused`` the records that
    cannot be used. ``epoch`` is the unix time at which CLOCK_MONOTONIC was 0.
    """

    name: str
    epoch: float = 0.0
    guard: Guard = field(default_factory=Guard)
    members: dict[str, Member] = field(default_factory=dict)
    gone: dict[str, float] = field(default_factory=dict)
    leaving: frozenset[str] = frozenset()
    refused: list[dict[str, str]] = field(default_factory=list)
    refused_total: int = 0
    payload: bytes = b""
    problem: str | None = None

    @classmethod
    def kept(cls, name: str, epoch: float, payload: bytes) -> Telling:
        """Go on with what an earlier generation told; a hold that it had goes on, with its times begun anew."""
        try:
            data = unpack(payload)
            members = {
                f"{item['host']}:{item['port']}": Member(None, float(item.get("since") or 0.0), pack(item))
                for item in data["nodes"]
            }
            held = data.get("held")
            hold = held and Hold(dict.fromkeys(map(str, held["names"])), min(float(held["began"]), time.monotonic()))
            guard = Guard(frozenset(members), hold=hold)
            refused = list(data.get("refused", []))
            total = int(data.get("refused_total", len(refused)))
            gone, leaving = dict(data.get("gone", {})), frozenset(map(str, data.get("leaving", ())))
            return cls(name, epoch, guard, members, gone, leaving, refused, total, payload)
        except (AttributeError, KeyError, ProtocolError, TypeError, ValueError) as error:
            log.error("the kept members of %s cannot be read: %s", name, error)
            return cls(name, epoch)

    def answered(self, nodes: Iterable[Node], refused: Mapping[str, str], now: float, rules: Rules | None) -> None:
        """The registry gave a complete answer, with these records that cannot be used, and why."""
        moment, leaving = self._moment(now), set[str]()
        answer, bad = dict[str, Member](), dict(refused)
        for node in list(nodes):
            if node.leaving:
                leaving.add(node.name)
                continue
            try:
                answer[node.name] = self._member(node, moment)
            except Exception as error:  # noqa: BLE001  a plugin may put anything into it, which costs this node alone
                bad[node.name] = f"it cannot be told: {why(error)}"
        some = sorted(bad.items())[:MOST]
        self.refused_total = len(bad)
        self.refused = [{"record": record[:TEXT], "reason": reason[:TEXT]} for record, reason in some]
        leaving -= answer.keys()
        self.leaving |= leaving
        if self._become(self.guard.answered(answer, now, rules, leaving), answer, now, rules):
            self.problem = None

    def heard(self, now: float, rules: Rules | None, *, complete: bool) -> None:
        """The registry still says the same in a complete answer, or it gave none."""
        if self.guard.hold is not None:
            self._become(self.guard.confirmed(now, rules) if complete else self.guard.doubted(), {}, now, rules)

    def accepted(self, at: float, now: float) -> None:
        """A person confirmed what was held at that time."""
        guard = self.guard.accepted(at)
        if guard is not self.guard:
            self._become(guard, {}, now, None)

    def _moment(self, now: float) -> float:
        return round(self.epoch + now, 3)

    def _become(self, guard: Guard, answer: Mapping[str, Member], now: float, rules: Rules | None) -> bool:
        """Tell what `guard` says: of its members those of the answer as they are there, the others as they were.

        Returns whether it can be told.
        """
        moment = self._moment(now)
        members = {name: answer.get(name) or self.members[name] for name in sorted(guard.told)}
        gone = {name: when for name, when in self.gone.items() if name not in guard.told}
        gone |= dict.fromkeys(sorted(self.guard.told - guard.told), moment)
        gone = dict(list(gone.items())[-MOST:])
        leaving = self.leaving.intersection(gone)
        document = {
            "nodes": pack_list([member.packed for member in members.values()]),
            "gone": pack(gone),
            "refused": pack(self.refused),
        }
        if leaving:
            document["leaving"] = pack(sorted(leaving))
        if self.refused_total > len(self.refused):
            document["refused_total"] = pack(self.refused_total)
        if guard.hold is not None:
            document["held"] = pack(self._held(guard.hold, rules))
        payload = pack_map(document)
        if len(payload) > MAX_SNAPSHOT:
            self.problem = (
                f"the {len(members)} members of {self.name} are more than the {MAX_SNAPSHOT} bytes that can be told: "
                "shorten their metadata, or split the cluster; the last known ones stay"
            )
            return False
        _say(self.name, self.guard, guard)
        self.guard, self.members, self.gone, self.leaving, self.payload = guard, members, gone, leaving, payload
        return True

    def _member(self, node: Node, moment: float) -> Member:
        known = self.members.get(node.name)
        if known is not None and known.node == node:
            return known
        return Member.of(node, known.since if known is not None and known.since else moment)

    def _held(self, hold: Hold, rules: Rules | None) -> dict[str, Any]:
        """The mark of a hold, for status and for the next generation: unix times, and its begin on CLOCK_MONOTONIC, too."""
        until = hold.until(rules) if rules else None
        return {
            "names": sorted(hold.missing),
            "began": hold.since,
            "since": round(self.epoch + hold.since, 3),
            "until": None if until is None else round(self.epoch + until, 3),
        }


def _say(cluster: str, before: Guard, after: Guard) -> None:
    """Say loudly what is held back, and what becomes of it."""
    new, gone = after.held - before.held, before.held - after.held
    if new:
        log.error(
            "cluster %s: %d of %d members vanished from the registry at once and are held: %s; "
            "`lighthouse ctl accept %s` lets them go",
            *(cluster, len(after.held), len(after.told), _listed(after.held), cluster),
        )
    if let_go := gone - after.told:
        log.warning("cluster %s: %d held members are let go: %s", cluster, len(let_go), _listed(let_go))
    if back := gone & after.told:
        log.warning("cluster %s: %d held members are back: %s", cluster, len(back), _listed(back))


def _listed(names: Iterable[str]) -> str:
    known = sorted(names)
    return ", ".join(known[:SHOWN]) + (f" and {len(known) - SHOWN} more" if len(known) > SHOWN else "")
