"""The limits of a whole HAProxy and of its sections that listen: what the file demands, against what runs. Pure.

HAProxy remembers how many connections its file demanded, or it has computed itself (``Hard_maxconn``), and a section without a
``maxconn`` of its own begins with just as many (2.6 to 3.4). So nobody else need remember how it began.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from lighthouse.haproxy.arrange import defaults_of
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.running import Running
from lighthouse.haproxy.stanzas.lines import has, uncommented

# By the name in ``set rate-limit``: what ``show info`` calls it, the keyword in ``global``, and its unit.
_RATES = {
    "connections": ("ConnRateLimit", "maxconnrate", 1),
    "sessions": ("SessRateLimit", "maxsessrate", 1),
    "ssl-sessions": ("SslRateLimit", "maxsslrate", 1),
    "http-compression": ("CompressBpsRateLim", "maxcomprate", 1024),
}


def rates_of(facts: Mapping[str, str]) -> tuple[int | None, ...]:
    """The limits of rates in ``show info``, in their own order; None for one that this HAProxy does not tell."""
    return tuple(int(facts[field]) if field in facts else None for field, _, _ in _RATES.values())


def changed_limits(document: Document, running: Running, *, shared: bool) -> Iterator[tuple[str, str]]:
    """What has another limit than `document`, which runs, demands: in words, and the command that puts it right.

    One whose number cannot be read, because it is a variable, is left alone; so are rates where ``global`` is `shared` with
    HAProxy's owner.
    """
    if running.stopping:
        return
    if running.hard and running.limit != running.hard:
        yield "HAProxy has another limit of connections", f"set maxconn global {running.hard}"
    if not shared:
        yield from _changed_rates(document, running)
    defaults = defaults_of(document)
    for name, lines in document.listening():
        found, wanted = running.frontends.get(name), _maxconn(lines, defaults, running.hard)
        if found is not None and wanted is not None and found.limit != wanted:
            yield f"{name} has another limit", f"set maxconn frontend {name} {wanted}"


def _changed_rates(document: Document, running: Running) -> Iterator[tuple[str, str]]:
    section = document.section("global")
    lines = section.lines if section else ()
    for found, (what, (_, keyword, unit)) in zip(running.rates, _RATES.items(), strict=False):
        wanted = _number(lines, keyword)
        if found is not None and wanted is not None and found != wanted * unit:
            yield f"HAProxy has another limit of the rate of {what}", f"set rate-limit {what} global {wanted}"


def _maxconn(lines: Sequence[str], defaults: Sequence[str], hard: int) -> int | None:
    own = _number(tuple(lines) if has(lines, "maxconn") else tuple(defaults), "maxconn")
    return own if own is None else own or hard or None


@lru_cache(maxsize=8192)  # asked for every section at every whole reconciliation, and the lines hardly change
def _number(lines: tuple[str, ...], keyword: str) -> int | None:
    """The number in the last line that begins with `keyword`: 0 if there is none, None if it is no plain number."""
    found = [uncommented(line) for line in lines if has((line,), keyword)]
    if not found:
        return 0
    try:
        value = shlex.split(found[-1])[1]
    except (ValueError, IndexError):
        return None
    return int(value) if value.isdecimal() and value.isascii() else None
