"""When a connection to ZooKeeper does what comes with time: reading anew, comparing, opening again. Pure."""

from __future__ import annotations

from collections.abc import Callable

LONGEST_PERIOD = 5.0  # seconds between two turns
REREAD = 2.0  # seconds over which the hosts of a fleet spread what they read anew after a reconnect
RETURN = 10.0  # seconds at least for others to announce anew; the client library waits up to 3 s before it connects
REOPEN = 5.0  # seconds, and as many again by chance, until a client is made anew that gave up
ZXID_EVERY = 5.0  # seconds between two looks at what was seen last: each is handed over anew


class Timetable:
    """``resync``: seconds between two comparisons, give or take a quarter. What falls due is told once."""

    def __init__(self, chance: Callable[[float, float], float]) -> None:
        self.resync = 60.0
        self._chance = chance
        self._reread_at: float | None = None
        self._returning = 0.0  # until then others may be on their way back
        self._audit_at = 0.0
        self._zxid_at = 0.0
        self._reopen_at: float | None = None

    def opened(self) -> None:
        """There is a client."""
        self._reopen_at = None

    def connected(self, now: float, *, again: bool, lost: float | None) -> None:
        """There is a connection, `again` or for the first time. `lost`: a session that we had is lost; it is the new one's timeout.

        What took our session may have taken those of the whole fleet, and the fleet may not be at this ensemble yet: who is not
        back is not gone.
        """
        if lost is not None:
            self._returning = now + max(RETURN, lost)
        begin = max(now, self._returning)
        self._reread_at = begin + self._chance(0.0, REREAD) if again or begin > now else None
        self._plan_audit(now)

    def gave_up(self, now: float) -> None:
        """The client connects no more: another one is needed."""
        self._reopen_at = now + REOPEN + self._chance(0.0, REOPEN)

    def reopens(self, now: float) -> bool:
        """Whether to make a client anew. If that fails, it is tried again after `REOPEN`."""
        due = self._reopen_at is not None and now >= self._reopen_at
        if due:
            self._reopen_at = now + REOPEN
        return due

    def reads(self, now: float) -> bool:
        """Whether members may be read."""
        return self._reread_at is None or now >= self._reread_at

    def waits_for_others(self, now: float) -> bool:
        """Whether others may be on their way back."""
        return now < self._returning

    def looks_at_zxid(self, now: float) -> bool:
        """Whether to look at what was seen last."""
        due = now >= self._zxid_at
        if due:
            self._zxid_at = now + ZXID_EVERY
        return due

    def audits(self, now: float) -> bool:
        """Whether to compare with the registry what the watches told."""
        due = now >= self._audit_at
        if due:
            self._plan_audit(now)
        return due

    def period(self, now: float, also: float | None) -> float:
        """Seconds until something falls due, or it is time for what comes `also`."""
        planned = (self._reread_at, self._reopen_at, self._audit_at, also)
        times = [at for at in planned if at is not None and at > now]
        return min(LONGEST_PERIOD, *(at - now for at in times)) if times else LONGEST_PERIOD

    def _plan_audit(self, now: float) -> None:
        self._audit_at = now + self.resync * self._chance(0.75, 1.25)
