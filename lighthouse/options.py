"""How a plugin declares its options, so that validation and documentation come for free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


class _Required:
    """Marks an option without a default."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required()


@dataclass(frozen=True, slots=True)
class Option:
    """One key of a plugin's configuration.

    ``type`` is an annotation such as ``int``, ``str``, ``list[str]`` or ``Literal["a", "b"]``; ``help`` is one sentence with units;
    ``minimum`` and ``maximum`` bound a number, both ends included.
    """

    type: Any
    help: str
    default: Any = REQUIRED
    minimum: float | None = None
    maximum: float | None = None
