"""Waiting for a condition, never for a time."""

import time


def until(condition, *, within=30.0, what="condition", every=0.01):
    """Poll `condition` until it returns something true, and return that; fail after a generous `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {within} s; last value: {result!r}")
        time.sleep(every)
