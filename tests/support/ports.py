"""Free loopback ports, handed out below the ephemeral range so that no outgoing connection takes one before its server binds."""

import itertools
import random
import socket

_FIRST, _LAST = 10000, 32000
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
