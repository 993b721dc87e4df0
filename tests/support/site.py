"""A small site under test: web instances, a registry in a folder, HAProxy, and the Lighthouse that keeps it right."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import psutil

from support.ports import free_port
from support.stack import Stack
from support.wait import until

ZOO = Path(__file__).parent / "zoo"

WEB = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = sys.argv[1].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True
    def handle_error(self, *_):
        pass  # a peer that hangs up early is no news
Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Web:
    """One instance of a web service in a process of its own; answers its port."""

    def __init__(self, port):
        self.port = port
        self.process = None

    def start(self):
        self.process = subprocess.Popen([sys.executable, "-c", WEB, str(self.port)], stdin=subprocess.DEVNULL)
        until(self.answers, what=f"web on {self.port}")
        return self

    def answers(self):
        return fetch(self.port) == str(self.port)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait(30)
            self.process = None


def fetch(port, timeout=5):
    """The body that the port answers, or None."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=timeout) as response:
            return response.read().decode()
    except OSError:
        return None


class Site:
    """Everything, with plugins from the zoo that misbehave when told to.

    The registry is a folder, unless `discovery` names another file of ``discovery/`` and says what it holds.
    """

    def __init__(self, root, *, instances=3, ttl=4.0, settings=None, discovery=None):
        self.root = Path(root)
        self.port = free_port()
        self.webs = [Web(free_port()) for _ in range(instances)]
        self.stack = Stack(self.root, settings=settings, path=[ZOO])
        self.registry = self.root / "registry"
        self.haproxy_pid_file = self.root / "haproxy.pid"
        self.stack.write(
            "balancers/edge.yaml",
            {
                "plugin": "zoo_haproxy",
                "config_file": str(self.root / "haproxy.cfg"),
                "socket_file": str(self.root / "haproxy.sock"),
                "pid_file": str(self.haproxy_pid_file),
                "bind_address": "127.0.0.1",
                "defaults": ["mode http", "timeout connect 5s", "timeout client 30s", "timeout server 30s"],
                "control": str(self.control("balancer")),
            },
        )
        folder = {"plugin": "zoo_directory", "path": str(self.registry), "ttl": ttl}
        self.discovery, content = discovery or ("dir", folder)
        content = {**content, "control": str(self.control("discovery"))}
        self.stack.write(f"discovery/{self.discovery}.yaml", content)
        self.stack.write("clusters/web.yaml", {"discovery": self.discovery, "edge": {"port": self.port}})
        self.stack.write("services/web.yaml", self.service())

    def control(self, kind):
        return self.root / f"{kind}.control"

    def service(self, **checks):
        return {
            "ports": [web.port for web in self.webs],
            "discovery": self.discovery,
            "checks": {
                "interval": 0.2,
                "zoo_http": {"uri": "/", "rise": 1, "fall": 3, "timeout": 1.0, "control": str(self.control("checker"))},
                **checks,
            },
        }

    @property
    def workers(self):
        return {"balancer": "balancer/edge", "discovery": f"discovery/{self.discovery}", "checker": "checker/web"}

    def start(self):
        for web in self.webs:
            web.start()
        self.stack.start()
        self.wait_serving()
        return self

    def wait_serving(self):
        self.stack.wait_up(*self.workers.values())
        wanted = {str(web.port) for web in self.webs if web.process}
        until(
            lambda: self.answered() == wanted,
            within=60,
            what=lambda: f"all instances in rotation; {self.stack.output()}",
        )

    def answered(self, tries=12):
        """Who answers through HAProxy."""
        return {fetch(self.port) for _ in range(tries)}

    def misbehave(self, kind, what):
        """Have the next call of a worker's plugin do this; returns the pid that will."""
        new = self.control(kind).with_suffix(".new")
        new.write_text(what)
        new.replace(self.control(kind))

    def haproxy(self):
        """HAProxy's master process."""
        return psutil.Process(int(self.haproxy_pid_file.read_text().split()[0]))

    def stop(self):
        try:
            code = self.stack.stop()
        finally:
            self.stop_haproxy()
            for web in self.webs:
                web.stop()
        return code

    def stop_haproxy(self):
        try:
            master = self.haproxy()
            family = [master, *master.children(recursive=True)]
        except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
            return
        if str(self.root) not in " ".join(master.cmdline()):
            return  # not ours
        for process in family:
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while any(alive(process) for process in family) and time.monotonic() < deadline:
            time.sleep(0.01)


def alive(process):
    """Whether it runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
