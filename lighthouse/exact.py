"""Whether two values that came from JSON or YAML say the same.

``==`` does not tell: to Python ``True``, ``1`` and ``1.0`` are equal, and so are ``0.0`` and ``-0.0``, while a ``NaN`` is not even
equal to itself. To whom a value is told, ``true`` and ``1`` are two things. So whatever asks if such a value changed asks `same`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from operator import attrgetter
from types import NoneType
from typing import Any, TypeVar

T = TypeVar("T")

_LEAVES = frozenset((str, int, bool, NoneType, bytes))
_MAPPINGS = (dict, Mapping)  # the first is told at once, and is what there is but for a plugin's own


def same(one: Any, other: Any) -> bool:
    """Whether both would be the same bytes on the wire, whatever the order of their keys. Keys are text, as there."""
    if one is other:
        return True
    kind = type(one)
    if kind in _LEAVES:
        return kind is type(other) and bool(one == other)
    if isinstance(one, float):
        return isinstance(other, float) and one.hex() == other.hex()
    if isinstance(one, _MAPPINGS):
        if not isinstance(other, _MAPPINGS) or len(one) != len(other):
            return False
        for key, value in one.items():  # noqa: SIM110  twice as fast as `all`, for thousands of nodes
            if key not in other or not same(value, other[key]):
                return False
        return True
    if isinstance(one, list | tuple):
        return isinstance(other, list | tuple) and len(one) == len(other) and all(map(same, one, other))
    return kind is type(other) and bool(one == other)


def equal_if_same(exact: str) -> Callable[[type[T]], type[T]]:
    """Let objects of a dataclass be equal if all fields are, and if that called `exact`, of JSON or YAML, says the same.

    The class is made with ``eq=False``, and has a ``__hash__`` of its own.
    """

    def decorated(made: Any) -> Any:
        others = attrgetter(*(item.name for item in fields(made) if item.name != exact))

        def equal(self: Any, other: object) -> Any:
            if self is other:
                return True
            if not isinstance(other, made):
                return NotImplemented
            return others(self) == others(other) and same(getattr(self, exact), getattr(other, exact))

        made.__eq__ = equal
        return made

    return decorated
