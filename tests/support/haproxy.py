"""A real HAProxy under a balancer, servers that answer with their own name, and a load that counts what fails."""

import contextlib
import http.server
import os
import signal
import socket
import socketserver
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lighthouse.cluster import Cluster
from lighthouse.haproxy.balancer import HAProxy
from lighthouse.node import Node
from support.ports import free_port
from support.wait import until

DEFAULTS = ["mode http", "timeout connect 2s", "timeout client 10s", "timeout server 10s"]


@dataclass
class Paths:
    """Where one HAProxy of a test keeps its things, and the configuration that says so."""

    root: Path
    config: dict = field(init=False)

    def __post_init__(self):
        self.config = {
            "config_file": str(self.root / "haproxy.cfg"),
            "socket_file": str(self.root / "s"),
            "pid_file": str(self.root / "pid"),
            "defaults": list(DEFAULTS),
            "restart_interval": 0,  # tests of reloads make many; those of the distance between them set it
        }

    @property
    def file(self):
        return Path(self.config["config_file"])

    def pid(self):
        """The master's process id, or None."""
        try:
            return int((self.root / "pid").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def pids(self):
        """Every process that runs on this configuration file, found by its command line."""
        return [pid for pid in _processes() if self.config["config_file"].encode() in _command_line(pid)]

    def ask(self, command):
        """One raw command on the stats socket."""
        return ask(self.config["socket_file"], command + "\n")

    def master(self, command):
        """One raw command on the master's socket."""
        return ask(self.config["socket_file"] + ".master", command + "\nquit\n")

    def servers(self, backend):
        """``{server name: "ip:port"}`` of all servers that take connections, straight from HAProxy."""
        result = {}
        for line in self.ask(f"show servers state {backend}").splitlines()[2:]:
            fields = line.split()
            if len(fields) > 18 and not int(fields[6]) & 0x21:
                result[fields[3]] = f"{fields[4]}:{fields[18]}"
        return result

    def reloads(self):
        """How often the running HAProxy was reloaded."""
        header, master, *_ = self.master("show proc").splitlines()
        return int(master.split()[3 if "<relative PID>" in header else 2])

    def stop(self):
        """End every process on this configuration, and wait until they are gone."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not self.pids(), what="end of HAProxy")


@contextmanager
def haproxy(tmp_path):
    """Paths for one HAProxy; whatever was started on them ends with the block."""
    paths = Paths(tmp_path)
    try:
        yield paths
    finally:
        paths.stop()


def state(paths, backend, column):
    """One column of ``show servers state``, by server."""
    lines = paths.ask(f"show servers state {backend}").splitlines()
    index = lines[1].removeprefix("# ").split().index(column)
    return {line.split()[3]: line.split()[index] for line in lines[2:] if line}


def of_stat(paths, backend, column):
    """One column of ``show stat``, by server."""
    return {server: value for server, (value,) in rows_of_stat(paths, backend, column).items()}


def rows_of_stat(paths, backend, *columns):
    """Some columns of ``show stat``, by server."""
    lines = paths.ask(f"show stat {backend} 4 -1").splitlines()
    header = lines[0].removeprefix("# ").split(",")
    rows = (dict(zip(header, line.split(","), strict=False)) for line in lines[1:] if line)
    return {row["svname"]: tuple(row[column] for column in columns) for row in rows}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = self.server.label.encode()
        self.server.requests += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class _Threaded(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # a client that goes away in the middle is no news


class _Proxied(_Handler):
    def setup(self):
        super().setup()
        if not self.rfile.readline().startswith(b"PROXY "):
            raise ConnectionError("there is no PROXY header")


class Backend:
    """An HTTP server on a loopback port that answers every GET with its own name.

    With a `context` it talks TLS, and one that is `proxied` answers only behind a PROXY header.
    """

    def __init__(self, name, port=None, host="127.0.0.1", *, context=None, proxied=False):
        self.name = name
        self._server = _Threaded((host, port or free_port()), _Proxied if proxied else _Handler)
        if context:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._server.label = name
        self._server.requests = 0
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self):
        return self._server.server_address[1]

    @property
    def requests(self):
        """How many requests it answered."""
        return self._server.requests

    @property
    def node(self):
        """The node that announces it."""
        return Node(self.name, "127.0.0.1", self.port)

    def stop(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()


@contextmanager
def backends(*names):
    """Several `Backend`s at once."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Backend(name)) for name in names]


def balancer(paths, **more):
    """A balancer on these paths, with more of its configuration."""
    made = HAProxy()
    made.apply_config(paths.config | more)
    return made


def cluster(name, nodes, **options):
    """A cluster for the HAProxy balancer; `nodes` holds `Node`s or `Backend`s, or is None."""
    if nodes is not None:
        nodes = [item.node if isinstance(item, Backend) else item for item in nodes]
    return Cluster(name, nodes=nodes, options=options)


def get(port, timeout=10.0, host="127.0.0.1"):
    """``(status, body)`` of one GET on a connection of its own. Raises `OSError` for anything but a whole answer."""
    with socket.create_connection((host, port), timeout) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        raise ConnectionError(f"cut off after {data!r}")
    return int(head.split()[1]), body.decode()


class Load:
    """Background threads that open a new connection per request and count the answers.

    ``ok`` counts answers of 200 by body; ``failed`` lists ``(seconds since start, what)`` for all else.
    """

    def __init__(self, port, *, threads=2, rate=200.0):
        self.ok = Counter()
        self.failed = []
        self._port = port
        self._pause = threads / rate
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._begin = time.monotonic()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    @property
    def total(self):
        return sum(self.ok.values()) + len(self.failed)

    def wait_for(self, more=20):
        """Wait until that many further requests have ended."""
        goal = self.total + more
        until(lambda: self.total >= goal, what=f"{more} more requests")

    def _run(self):
        while not self._stopping.wait(self._pause):
            try:
                status, body = get(self._port)
            except OSError as error:
                self._note(None, repr(error))
            else:
                self._note(body, None if status == 200 else f"status {status}")

    def _note(self, body, failure):
        with self._lock:
            if failure:
                self.failed.append((round(time.monotonic() - self._begin, 3), failure))
            else:
                self.ok[body] += 1

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc):
        self._stopping.set()
        for thread in self._threads:
            thread.join()


def ask(path, request):
    """What comes back for a raw request, up to the end of the connection."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(path)
        connection.sendall(request.encode())
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
    return data.decode()


def _processes():
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []
