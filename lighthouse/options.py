"""How a plugin declares its options, so that validation and documentation come for free."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lighthouse.errors import ConfigError
from lighthouse.identity import shown, suggestion

Key = tuple[str | int, ...]


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


def mapping(value: Any, key: Key, known: Collection[str], required: Sequence[str] = ()) -> Mapping[str, Any]:
    """A mapping with none but `known` keys and all of `required`. Raises `ConfigError`."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"expected a mapping of keys ({', '.join(known)})", key)
    for name in value:
        if name not in known:
            close = suggestion(str(name), known)
            text = f"unknown key {shown(name)}{close}{' ' if close else '; '}known keys: {', '.join(known)}"
            raise ConfigError(text, (*key, name))
    for name in required:
        if name not in value:
            raise ConfigError(f"{name} is missing: give it", (*key, name))
    return value
