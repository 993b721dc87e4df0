"""Waiting for a condition, never for a time."""

import time


def until(condition, *, within=30.0, what="condition", every=0.01):
    """Poll `condition` until it returns something true, and return that; fail after a generous `within` seconds.

    `what` says what is waited for. A function that returns it is called at the failure, and can tell how things are by then.
    """
    deadline = time.monotonic() + within
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            told = what() if callable(what) else what
            raise AssertionError(f"{told} did not come true within {within} s; last value: {result!r}")
        time.sleep(every)
