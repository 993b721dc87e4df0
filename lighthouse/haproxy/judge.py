"""Asking the installed HAProxy whether it knows single lines, while a configuration is judged.

A line is refused here only for a reason that lies in the line alone: an unknown keyword, a directive that HAProxy has dropped, a
wrong number of arguments. Whatever depends on something else (files, users, host names, Lua, environment variables, other
sections) passes, and the whole file is judged before it comes into force. So does everything when there is no HAProxy to ask, or
it does not answer in time.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lighthouse.errors import ConfigError
from lighthouse.haproxy.stanzas.lines import user_lines
from lighthouse.identity import shown
from lighthouse.options import Key
from lighthouse.preview import masked

CALL_TIMEOUT = 1.0  # seconds for one question; HAProxy takes 5 ms
TOTAL_TIMEOUT = 3.0  # seconds for all questions of a process; what is left over passes

_FILE = "/dev/stdin"
_HEAD = (
    *("defaults", "\tmode http", "\ttimeout connect 5s", "\ttimeout client 5s", "\ttimeout server 5s"),
    "\tdefault-server init-addr none",  # else host names would be looked up
)
_ALERT = re.compile(rf"^\[ALERT\].*?\[{_FILE}:(\d+)\]\s*:\s*(?:[Pp]arsing \[{_FILE}:\d+\]\s*:\s*)?(.*)$")
_OWN_FAULT = re.compile(
    r"^unknown keyword '.*' in '.*' section"
    r"|^'(?:server|default-server|bind|stats socket)\b.*unknown keyword '"
    r"|^'stats socket' : .*missing or invalid mode"
    r"|^unknown option '"
    r"|not supported any ?more since"
    r"|' not allowed in (?:anonymous )?'\w+' section"
    r"|' not allowed because "
    r"| only supports '"
    r"|^'timeout' supports '"
    r"|^unexpected character '.*' in 'timeout "
    r"|^unknown proxy mode '"
    r"|unknown fetch method '"
    r"|' expects "
    r"|: expects exactly "
)
_ELSEWHERE = re.compile(r"\blua\b|\$|^\.", re.IGNORECASE)  # Lua, environment variables, conditional blocks

_verdicts: dict[tuple[str, str, str], str | None] = {}
_spent = 0.0
_binary = "haproxy"


def check(section: str, lines: Sequence[str], key: Key) -> None:
    """Raise `ConfigError` for the first of these lines of a configuration that HAProxy does not know in such a section."""
    user_lines(lines, key)
    for index, reason in sorted(complaints(section, lines).items()):
        raise ConfigError(
            f"HAProxy refuses {masked(shown(lines[index].strip(), 200))} in `{section}`: {reason}", (*key, index)
        )


def check_settings(config: Mapping[str, Any]) -> None:
    """Judge the lines of ``balancers/haproxy.yaml``, by the HAProxy that it names. Raises `ConfigError`."""
    global _binary  # noqa: PLW0603  a cluster's file does not say which HAProxy it is for; there is one per process
    _binary = config.get("binary") or "haproxy"
    for section, key, lines in _settings(config):
        check(section, lines, key)
    options = config.get("socket_options", "")
    if options and (reason := complaints("global", [f"stats socket /judged {options} level admin"]).get(0)):
        raise ConfigError(f"HAProxy refuses {masked(shown(options, 200))}: {reason}", ("socket_options",))


def check_cluster(config: Mapping[str, Any]) -> None:
    """Judge the lines of a cluster's ``haproxy`` key. Raises `ConfigError`."""
    check("frontend", config.get("frontend", ()), ("frontend",))
    check("backend", config.get("backend", ()), ("backend",))
    for section, name, line in (
        ("backend", "server_options", "server judged 127.0.0.1:1 {}"),
        ("frontend", "acl", "acl judged {}"),
    ):
        text = config.get(name, "").strip()
        if text and (reason := complaints(section, [line.format(text)]).get(0)):
            raise ConfigError(f"HAProxy refuses {masked(shown(text, 200))}: {reason}", (name,))


def complaints(section: str, lines: Sequence[str], *, total: float = TOTAL_TIMEOUT) -> dict[int, str]:
    """Why HAProxy refuses lines of such a section, by their index. Blocks for `CALL_TIMEOUT` at most.

    Nothing is asked any more once this process has asked for `total` seconds.
    """
    keys = [(_binary, section, line.strip()) for line in lines]
    if any(key not in _verdicts for key in keys):
        found = _ask(section, [line for _, _, line in keys]) if _spent < total else None
        if found is None:
            return {}
        _verdicts.update({key: found.get(index) for index, key in enumerate(keys)})
    return {index: reason for index, key in enumerate(keys) if (reason := _verdicts[key])}


def _settings(config: Mapping[str, Any]) -> Iterator[tuple[str, Key, Sequence[str]]]:
    yield "global", ("global",), config.get("global", ())
    yield "defaults", ("defaults",), config.get("defaults", ())
    for name, meta in (config.get("meta_clusters") or {}).items():
        yield "frontend", ("meta_clusters", name, "frontend"), (meta or {}).get("frontend", ())
    for name, proxy in (config.get("proxies") or {}).items():
        yield "listen", ("proxies", name, "options"), proxy.get("options", ())


def _ask(section: str, lines: Sequence[str]) -> dict[int, str] | None:
    """One run of ``haproxy -c``; None if it gave no answer."""
    global _spent  # noqa: PLW0603  the budget is the process's
    if not all(line.isprintable() for line in lines):
        return None
    header = section if section in ("global", "defaults") else f"{section} judged"
    begin = time.monotonic()
    output = _run("\n".join((*_HEAD, header, *(f"\t{line}" for line in lines), "")))
    _spent += time.monotonic() - begin
    return None if output is None else dict(_reasons(output, lines))


def _reasons(output: str, lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    seen = set()
    for text in output.splitlines():
        match = _ALERT.match(text)
        index = int(match[1]) - len(_HEAD) - 2 if match else -1
        if not match or not 0 <= index < len(lines) or index in seen:
            continue
        reason = match[2].strip().rstrip(".")
        if _OWN_FAULT.search(reason) and not _ELSEWHERE.search(lines[index]):
            seen.add(index)
            yield index, masked(shown(reason, 300)[1:-1])


def _run(text: str) -> str | None:
    """What HAProxy says of a file; None if it cannot be run or takes too long."""
    import subprocess  # only the judging of lines needs it

    try:
        done = subprocess.run(
            [_binary, "-c", "-f", _FILE],
            input=text.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=CALL_TIMEOUT,
            cwd="/",
            check=False,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stderr.decode(errors="replace")
