"""Real Redis servers on loopback, ended with their block."""

import contextlib
import subprocess

from support.ports import free_port
from support.wait import until


@contextlib.contextmanager
def redis_server(folder, *options):
    """A server that keeps nothing, in a folder of its own; gives its port. `options` are those of its command line."""
    port = free_port()
    log = folder / f"redis-{port}.log"
    command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", folder, "--logfile", log]
    process = subprocess.Popen([str(word) for word in (*command, *options)], stdin=subprocess.DEVNULL)
    try:
        until(lambda: log.exists() and "eady to accept connections" in log.read_text(), what=f"redis on {port}")
        yield port
    finally:
        process.kill()
        process.wait(30)
