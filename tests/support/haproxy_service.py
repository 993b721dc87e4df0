"""An HAProxy of somebody else, as Debian's ``haproxy.service`` runs it: master-worker, its own file first, then ours."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from lighthouse.haproxy.balancer import HAProxy
from support.haproxy import DEFAULTS, Paths, ask
from support.ports import free_port
from support.wait import until


class Service(Paths):
    """`base` is the owner's file, with a frontend of its own at `port`."""

    def __init__(self, root):
        super().__init__(root)
        for key in ("pid_file", "defaults"):
            del self.config[key]
        self.base, self.port, self.process = root / "base.cfg", free_port(), None
        self.config |= {
            "owner": "service",
            "master_socket_file": self.config["socket_file"] + ".master",
            "base_files": [str(self.base)],
            "defaults": list(DEFAULTS),
        }
        self.write_base()
        self.file.touch()  # as the documentation tells: HAProxy does not start without it

    def write_base(self, *lines):
        text = (
            *("global", f"\tstats socket {self.root}/own mode 600 level operator", "\tstats timeout 7s"),
            *("\thard-stop-after 9s", "defaults", "\tmode http", "\ttimeout connect 1s", "\ttimeout client 3s"),
            *("\ttimeout server 3s", "frontend entry", f"\tbind 127.0.0.1:{self.port}", "\tdefault_backend own"),
            *("backend own", "\thttp-request return status 200 content-type text/plain string owner", *lines, ""),
        )
        self.base.write_text("\n".join(text))

    def start(self, files=None):
        """Start it with the owner's file and `files`, ours unless told otherwise."""
        return self.run(self.arguments(files))

    def arguments(self, files=None):
        given = [
            part for file in (self.base, *(files if files is not None else (self.file,))) for part in ("-f", str(file))
        ]
        return ["-W", "-S", self.config["socket_file"] + ".master", "-p", str(self.root / "pid"), *given]

    def run(self, arguments):
        self.begin(arguments)
        until(self._serves, what="start of HAProxy")
        return self

    def begin(self, arguments):
        """Have it begin to load."""
        with (self.root / "log").open("ab") as log:
            self.process = subprocess.Popen(["haproxy", *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _serves(self):
        assert self.process.poll() is None, (self.root / "log").read_text()
        return "worker" in self.try_master("show proc") and self.pid() == self.process.pid

    def try_master(self, command):
        try:
            return self.master(command)
        except OSError:
            return ""

    def master(self, command):
        path = self.config.get("master_socket_file") or self.config["socket_file"] + ".master"
        return ask(path, command + "\nquit\n")

    def end(self):
        """The owner stops it."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
        self.stop()

    def balancer(self, **more):
        made = HAProxy()
        config = self.config | more
        made.apply_config({key: value for key, value in config.items() if value is not None})
        return made

    def script(self, text):
        """An executable script in the directory of the test; its path."""
        path = self.root / f"script{len(list(self.root.glob('script*')))}"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o700)
        return str(path)


def as_ordinary_user(config, *clusters):
    """One sync by a process that permissions bind, even if root runs the tests: ``(report, error)``."""
    program = """
import json, sys
from lighthouse.errors import BalancerError
from support.haproxy import cluster
from support.haproxy_service import HAProxy
from lighthouse.node import Node
config, clusters = json.load(sys.stdin)
made = HAProxy()
made.apply_config(config)
try:
    report = made.sync([cluster(name, [Node(*node) for node in nodes], **options) for name, nodes, options in clusters])
    print(json.dumps([report, None]))
except BalancerError as error:
    print(json.dumps([None, str(error)]))
"""
    plain = [(item.name, [(node.host, node.ip, node.port) for node in item.nodes], item.options) for item in clusters]
    binding = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*binding, sys.executable, "-c", program],
        input=json.dumps([config, plain]),
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        text=True,
        check=True,
    )
    return json.loads(done.stdout)
