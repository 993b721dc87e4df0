"""What a reconciliation found and did."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from lighthouse.haproxy.config import Desired
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.errors import HeldUpError
from lighthouse.haproxy.processes import Processes
from lighthouse.haproxy.running import Running

LOOK_AGAIN = 1.0  # seconds after which what could not be done, and servers that are leaving, are looked at again


@dataclass(slots=True)
class Account:
    """What has been done and found so far.

    ``start`` and ``reload``: why one was made; ``pending``: why a reload waits; ``trouble``: what could not be done and is tried
    again soon; ``lasting``: what is not as it should be, and stays so for a while; ``waiting``: what members get with the next
    reload only, by backend and member (`lighthouse.haproxy.planner`). ``again``: seconds until another reconciliation is asked for;
    ``due``: until one that compares everything is, if that is sooner than usual.
    """

    processes: Processes | None = None
    commands: int = 0
    start: str | None = None
    reload: str | None = None
    pending: str | None = None
    again: float | None = None
    due: float | None = None
    trouble: list[str] = field(default_factory=list)
    lasting: list[str] = field(default_factory=list)
    quarantined: Mapping[str, str] = field(default_factory=dict)
    waiting: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def is_calm(self) -> bool:
        """Whether what is in force is as it is known: nothing went wrong, though something may be refused or wait for its time."""
        return not self.trouble

    def kept(self, due: float) -> Account:
        """What still holds of it as long as nothing but members changes; everything is compared after `due` seconds."""
        found = Account(
            processes=self.processes,
            pending=self.pending,
            lasting=list(self.lasting),
            quarantined=self.quarantined,
            waiting=self.waiting,
        )
        if self.due is not None:
            found.look_again(max(0.0, due))
        return found

    def set_apart(self, clusters: Mapping[str, str], listeners: Mapping[str, str]) -> None:
        """Note the clusters in quarantine, and the sections of no cluster that are not as they should be."""
        self.quarantined = clusters
        for header, why in listeners.items():
            self.note(why if why.startswith(header) else f"{header} is set apart: {why}")

    def held_up(self, error: HeldUpError) -> None:
        """Note that no new file can come into force: members need none, a reload does."""
        self.tell(f"{error}. Until then members change at run time, and all else waits")

    def tell(self, trouble: str) -> None:
        """Note what could not be done, once; it is tried again soon."""
        if trouble not in self.trouble:
            self.trouble.append(trouble)
        self.look_again(LOOK_AGAIN)

    def note(self, what: str) -> None:
        """Note what is not as it should be, once."""
        if what not in self.lasting:
            self.lasting.append(what)

    def look_again(self, seconds: float) -> None:
        """Ask for everything to be compared after `seconds`, or sooner if someone asked for that."""
        self.due = _sooner(self.due, seconds)
        self.glance_again(seconds)

    def glance_again(self, seconds: float) -> None:
        """Ask for another reconciliation after `seconds`, or sooner if someone asked for that."""
        self.again = _sooner(self.again, seconds)


def _sooner(known: float | None, seconds: float) -> float:
    return seconds if known is None else min(known, seconds)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a reconciliation; ``document`` is what is in force, ``only`` the backends that were looked at (None: all)."""

    desired: Desired
    document: Document
    running: Running
    account: Account
    only: Collection[str] | None = None

    @property
    def notes(self) -> list[str]:
        """What people should know, in sentences: of all clusters first, then of single ones, then of what never was in force."""
        quarantined = sorted(self.account.quarantined.items())
        clashes = [f"cluster {name}: {why}" for name, why in self.desired.clashes.items()]
        return [
            *self.account.trouble,
            *self.account.lasting,
            *(f"cluster {name} is quarantined: {why}" for name, why in quarantined),
            *clashes,
            *(note for note in self.desired.notes if note not in clashes),
            *self.desired.remarks,
        ]
