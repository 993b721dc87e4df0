"""The way of a node, as values: its steps, what each means for traffic, and what follows from all of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class Mark(Enum):
    """What a step means for traffic: fine; worth knowing; here the way ends; nobody can tell."""

    OK = "ok"
    NOTE = "note"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its name, what it means, a sentence, and since when it is so or when it happened (unix time)."""

    step: str
    mark: Mark
    text: str
    at: float | None = None

    def to_mapping(self) -> dict[str, Any]:
        """Plain data, see docs/status.md."""
        return {"step": self.step, "mark": self.mark.value, "text": self.text, "at": self.at}


@dataclass(frozen=True, slots=True)
class Way:
    """The way of one node."""

    node: str
    steps: tuple[Step, ...]

    @property
    def in_rotation(self) -> bool:
        """Whether it gets new connections, as far as anybody knows."""
        return all(step.mark in (Mark.OK, Mark.NOTE) for step in self.steps)

    @property
    def verdict(self) -> str:
        """One line: in rotation or not, or that nobody can tell, and the step that says why."""
        wrong = [step for step in self.steps if step.mark in (Mark.BAD, Mark.UNKNOWN)]
        notes = [step for step in self.steps if step.mark is Mark.NOTE]
        if wrong:
            known = any(step.mark is Mark.BAD for step in wrong)
            first = next((step for step in wrong if step.mark is Mark.BAD), wrong[0])
            return f"{'not in rotation' if known else 'nobody can tell'}; {first.step}: {first.text}"
        return f"in rotation; {notes[0].step}: {notes[0].text}" if notes else "in rotation"

    def to_mapping(self) -> dict[str, Any]:
        """Plain data, see docs/status.md."""
        steps = [step.to_mapping() for step in self.steps]
        return {"node": self.node, "in_rotation": self.in_rotation, "verdict": self.verdict, "steps": steps}
