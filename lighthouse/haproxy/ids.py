"""The ``id`` of each server in its backend: made from its name, so that it is the same on every host, and after every reload. Pure.

By these numbers HAProxy places servers on the ring of ``balance random`` and ``hash-type consistent``. Those that it gives itself
go by the order of lines and of joins, so each reload, and each host, would map requests otherwise; and before 3.0 all servers
without one that join at run time stand on the same places (measured on 2.6.12).

A ring uses the lowest 20 bits only (2.6 and 3.2: the id times 4096 is hashed in 32 bits), so there are no more ids. Those below
`_FIRST` are left to HAProxy, which counts from 1, and to the operator.

``balance first`` fills servers in the order of their ids. There these follow the order of names, with room between them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Container, Mapping, Sequence
from functools import lru_cache
from itertools import count

_FIRST = 1 << 16
_END = 1 << 20
_STEP = 1 << 16
_MOST = (1 << 31) - 1  # HAProxy keeps it in an `int`


@lru_cache(maxsize=65536)
def id_of(name: str) -> int:
    """The id of a server, unless another one has it."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    return _FIRST + number % (_END - _FIRST)


def free_id(number: int, used: Container[int]) -> int:
    """The first from `number` on that is not used."""
    while number in used:
        number = number + 1 if _FIRST <= number < _END - 1 else _FIRST
    return number


def ranks(amount: int, taken: Container[int]) -> list[int]:
    """So many ids in ascending order, with room between them."""
    step = min(_STEP, _MOST // (amount + 1))
    return [_next(number, taken) for number in range(step, step * (amount + 1), step)]


def rank_of(name: str, others: Mapping[str, int], used: Container[int]) -> int:
    """An id between those of the neighbours by name; behind all `others` if there is none left until the next reload."""
    below = max((number for other, number in others.items() if other < name), default=0)
    last = max(others.values(), default=0) + 2 * _STEP
    above = min((number for other, number in others.items() if other > name), default=last)
    middle = (below + above) // 2
    if below < middle < above and middle not in used:
        return middle
    return _next(last, used)


def _next(number: int, used: Container[int]) -> int:
    return next(other for other in count(number) if other not in used)


def clashing(ids: Sequence[int], taken: Collection[int]) -> Collection[int]:
    """Those that several have, or that are taken."""
    if len({*ids, *taken}) == len(ids) + len(taken):
        return ()
    return {number for number, times in Counter((*ids, *taken)).items() if times > 1}


def others(sharing: Mapping[str, int], ids: Collection[int], taken: Collection[int]) -> dict[str, int]:
    """Other ids for those who share one of the `ids`: a function of all names, whatever their order.

    The first by name keeps it, unless it is taken. So whose id nobody else has keeps it, whoever joins.
    """
    result: dict[str, int] = {}
    kept, used = set(taken), {*ids, *taken}
    for name, number in sorted(sharing.items()):
        if number in kept:
            result[name] = free_id(number, used)
            used.add(result[name])
        kept.add(number)
    return result
