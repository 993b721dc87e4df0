"""Free loopback ports, handed out below the ephemeral range so that no outgoing connection takes one before its server binds."""

import itertools
import os
import socket

_candidates = itertools.cycle(range(10000 + (os.getpid() * 37) % 15000, 32000))


def free_port(host="127.0.0.1"):
    for port in itertools.islice(_candidates, 5000):
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")
