"""When the configuration directory is read, and what follows when the reading dies: a pure state machine.

One compilation runs at a time. A change asks for one after a quiet moment; changes during a compilation ask for another after it. A
compilation that dies (deadline, memory, a plugin that crashes the interpreter) had a file in hand: that file is left out, with the
reason, until its content changes, and the rest is compiled at once. So each death costs one version of one file.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lighthouse.settings import Compilation as Rules

PATIENCE = 10  # settling times
MAX_POISON = 8  # versions of one file that are remembered as deadly


@dataclass(slots=True)
class Compilation:
    """The state of reading the configuration. Times are CLOCK_MONOTONIC seconds.

    ``completed`` counts finished compilations, so that somebody who asked for one can wait for it; ``fingerprint`` is that of
    the directory as last compiled; ``memory`` is what a compilation may use, MiB.
    """

    due: float | None = 0.0
    forced: bool = True
    running: bool = False
    started: float = 0.0
    generation: int = 0
    completed: int = 0
    error: str | None = None
    fingerprint: str = ""
    memory: int = Rules().memory
    in_hand: tuple[str, str] | None = None
    poisoned: dict[str, dict[str, str]] = field(default_factory=dict)
    _answered: bool = False
    _asked: float | None = None
    _forced_now: bool = False

    def request(self, now: float, rules: Rules, *, force: bool = False) -> int:
        """Ask for a compilation after the settling time; returns the value of ``completed`` that will include it.

        A forced one does not skip a directory whose fingerprint is unchanged.
        """
        self._asked = now if self._asked is None else self._asked
        # Each change starts the quiet time anew, but a directory that never rests is read all the same.
        self.due = now if force else min(now + rules.settle, self._asked + PATIENCE * rules.settle)
        self.forced = self.forced or force
        return self.completed + (2 if self.running else 1)

    def may_start(self, now: float) -> bool:
        """Whether one should start now."""
        return not self.running and self.due is not None and now >= self.due

    def start(self, now: float) -> bool:
        """One starts; returns whether it must not be skipped."""
        self._forced_now, self.forced = self.forced, False
        self.running, self.started, self.due, self.in_hand = True, now, None, None
        self.generation += 1
        self._answered, self._asked = False, None
        return self._forced_now

    def progress(self, path: str, digest: str, now: float) -> None:
        """The worker takes a file in hand, or, with an empty path, has none any more. The deadline is for each file anew."""
        self.in_hand = (path, digest) if path else None
        self.started = now

    def failed(self, reason: str) -> None:
        """The worker says that the directory as a whole cannot be read."""
        self.error, self.forced = reason, True

    def answered(self, fingerprint: str) -> None:
        """The plan has arrived, of a directory with this fingerprint."""
        self._answered, self.in_hand, self.error, self.fingerprint = True, None, None, fingerprint

    def overdue(self, now: float, rules: Rules) -> bool:
        """Whether the running one is past its deadline."""
        return self.running and now > self.started + rules.deadline

    def ended(self, now: float, rules: Rules, death: str | None) -> str | None:
        """The worker has ended, by itself or (`death` says how) not. Returns what to tell people, if anything."""
        self.running = False
        self.completed += 1
        if self.due is None:
            self.due = now + rules.resync
        if death is None or self._answered:
            return None
        if self.in_hand is None:
            self.error = f"reading the configuration failed: {death}"
            self.forced = True
            return self.error
        path, digest = self.in_hand
        reason = f"reading it ended the configuration worker ({death}); it is left out until its content changes"
        # The current text and the last good one may both be deadly, so each is remembered; the oldest are forgotten.
        known = {**self.poisoned.get(path, {}), digest: reason}
        self.poisoned[path] = dict(list(known.items())[-MAX_POISON:])
        self.due, self.forced = now, True
        return f"{path}: {reason}"

    def next_deadline(self, rules: Rules) -> float | None:
        """When it must be looked at next."""
        return self.started + rules.deadline if self.running else self.due
