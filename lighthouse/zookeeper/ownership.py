"""Whose a znode is, and what to do with it: pure decisions.

An announcement stands at ``<base>/<service>/<host>:<port>``. The znode there is

* ours, if our session made it;
* a leftover, if a session that was ours made it, or if its record gives our own address: an earlier life of this host, which
  lighthouse 1.0 may have been. It would go when that session ends, so it is replaced by one of ours;
* another host's otherwise, and then it is never touched, whatever is wanted.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum, auto

from lighthouse.discovery import Wanted
from lighthouse.errors import NodeError
from lighthouse.node import Node
from lighthouse.records import read
from lighthouse.zookeeper.messages import Found


class Whose(Enum):
    """See the module."""

    NOBODY = auto()
    OURS = auto()
    LEFTOVER = auto()
    ANOTHER = auto()


class Act(Enum):
    """What to do with the znode of an announcement."""

    LEAVE = auto()
    CREATE = auto()
    SET = auto()
    REPLACE = auto()  # the wanted content takes the place of a leftover
    ADOPT = auto()  # a leftover becomes ours with the content that it has
    DELETE = auto()
    CLASH = auto()  # what is wanted cannot be, for another host has the name


def whose(found: Found | None, node: Node | None, session: int, sessions: Collection[int]) -> Whose:
    """Whose a znode is: `node` is what we would announce there, None if nothing; `sessions` are those that once were ours."""
    if found is None:
        return Whose.NOBODY
    if found.owner == session:
        return Whose.OURS
    if found.owner in sessions or (node is not None and _is_ours(found.data, node)):
        return Whose.LEFTOVER
    return Whose.ANOTHER


def decide(owner: Whose, wanted: Wanted, *, same: bool, stood: bool) -> Act:
    """The act that brings a znode to what is wanted.

    `same` says whether its content is the wanted one, `stood` whether we announced it before: what stood and is to be held comes
    back even after the loss of the session.
    """
    if wanted is Wanted.HOLD:
        return _HOLD_STOOD[owner] if stood else _HOLD[owner]
    if wanted is Wanted.DOWN:
        return _DOWN[owner]
    acts = _LEAVING if wanted is Wanted.LEAVING else _UP
    return Act.SET if owner is Whose.OURS and not same else acts[owner]


_UP = {
    Whose.NOBODY: Act.CREATE,
    Whose.OURS: Act.LEAVE,
    Whose.LEFTOVER: Act.REPLACE,
    Whose.ANOTHER: Act.CLASH,
}
_LEAVING = {**_UP, Whose.NOBODY: Act.LEAVE, Whose.ANOTHER: Act.LEAVE}
_HOLD = {
    Whose.NOBODY: Act.LEAVE,
    Whose.OURS: Act.LEAVE,
    Whose.LEFTOVER: Act.ADOPT,
    Whose.ANOTHER: Act.LEAVE,
}
_HOLD_STOOD = {**_HOLD, Whose.NOBODY: Act.CREATE, Whose.ANOTHER: Act.CLASH}
_DOWN = {
    Whose.NOBODY: Act.LEAVE,
    Whose.OURS: Act.DELETE,
    Whose.LEFTOVER: Act.DELETE,
    Whose.ANOTHER: Act.LEAVE,
}


def _is_ours(record: bytes, node: Node) -> bool:
    """Whether a record gives our own address and port; one that cannot be read might be anybody's."""
    try:
        found = read(record)
    except NodeError:
        return False
    if found.port != node.port:
        return False
    return found.ip == node.ip if isinstance(found, Node) else found.host == node.host
