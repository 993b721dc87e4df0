"""Free loopback ports, handed out below the ephemeral range so that no outgoing connection takes one before its server binds.

Runs side by side get a range each (``TEST_PORTS=10000-20999``): a port that one of them has handed out, and on which nothing is to
answer, must not be another's.
"""

import itertools
import os
import random
import socket

_FIRST, _LAST = map(int, os.environ.get("TEST_PORTS", "10000-32000").split("-"))
_start = random.SystemRandom().randrange(_FIRST, _LAST)  # so that test runs side by side hardly meet
_candidates = itertools.cycle([*range(_start, _LAST), *range(_FIRST, _start)])


def free_port(host="127.0.0.1"):
    for port in itertools.islice(_candidates, 5000):
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


def is_free(port):
    """Whether somebody could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
