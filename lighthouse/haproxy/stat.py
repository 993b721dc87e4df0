"""The tables of ``show stat``, read by the names of their columns. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TypeVar

from lighthouse.errors import BalancerError

T = TypeVar("T")


def rows_of(text: str, names: Sequence[str], read: Callable[..., T]) -> list[T]:
    """What `read` makes of the columns with these names, row by row.

    Raises `BalancerError` if it is not of that format, or `read` raises `ValueError`.
    """
    lines = text.split("\n")
    column = {name: index for index, name in enumerate(lines[0].removeprefix("# ").split(","))}
    try:
        order = [column[name] for name in names]
        chosen, width = itemgetter(*order), max(order) + 1  # what follows may hold commas, in quotes
        return [read(*chosen(line.split(",", width))) for line in lines[1:] if line]
    except (KeyError, ValueError, IndexError) as error:
        raise BalancerError(f"HAProxy's answer to `show stat` cannot be read: {error!r}") from None
