"""A service's state as its checker tells it: its shape is judged here, once."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from lighthouse.health import State
from lighthouse.ipc.errors import ProtocolError
from lighthouse.ipc.messages import unpack

MAX_SERVICE = 1024 * 1024  # bytes; a port with a check takes some 400
MAX_RESULTS = 5  # of each check
MAX_TIMES = 100  # changes of a port

UNTOLD: Mapping[str, Any] = {
    "state": State.UNKNOWN.value,
    "since": None,
    "verdict": State.UNKNOWN.value,
    "flap": None,
    "checks": {},
}
"""A port of which nobody has told yet."""


def read_service(payload: bytes) -> dict[str, Any]:
    """A service's state in exactly the documented shape. Raises `ProtocolError`."""
    if len(payload) > MAX_SERVICE:
        raise ProtocolError(f"service state of {len(payload)} bytes is larger than {MAX_SERVICE}")
    data = unpack(payload)
    try:
        return {str(int(port)): _port(document) for port, document in data.items()}
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise ProtocolError(f"not a service state: {type(error).__name__}: {error}") from None


def _port(document: Any) -> dict[str, Any]:
    since = float(document["since"])
    if not isfinite(since):
        raise ValueError("'since' is no time")
    flap = document.get("flap")
    return {
        "state": State(document["state"]).value,
        "since": since,
        "verdict": State(document.get("verdict", document["state"])).value,
        "flap": flap and {"held": bool(flap["held"]), "changes": int(flap["changes"]), "times": _times(flap["times"])},
        "checks": {
            str(name)[:200]: {
                "state": State(check["state"]).value,
                "streak": int(check["streak"]),
                "reason": str(check["reason"])[:200],
                "results": [_result(result) for result in check.get("results", ())[-MAX_RESULTS:]],
            }
            for name, check in document["checks"].items()
        },
    }


def _times(values: Any) -> list[float]:
    return [float(value) for value in values][-MAX_TIMES:]


def _result(document: Any) -> dict[str, Any]:
    passed = document["passed"]
    return {
        "at": float(document["at"]),
        "passed": None if passed is None else bool(passed),
        "duration": float(document["duration"]),
        "late": float(document["late"]),
        "text": str(document["text"])[:200],
    }
