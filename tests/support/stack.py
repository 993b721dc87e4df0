"""A whole Lighthouse under test: a configuration directory, a supervisor in its own process, and the way to ask it."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import yaml

from support.wait import until

QUICK = {
    "heartbeat": {"interval": 0.1, "deadline": 1.5},
    "deadlines": {"hello": 4.0, "call": 2.0, "grace": 0.2, "dump": 0.3, "stop": 4.0, "hurry": 1.0},
    "restart": {"base": 0.01, "cap": 0.05, "stable": 5.0, "burst": 100000, "window": 600.0, "failing": 1.0},
    "config": {"settle": 0.05, "resync": 2.0, "deadline": 10.0},
}
"""Settings for tests: every deadline is short, but none so short that a loaded machine meets it by accident."""


class Stack:
    """Starts and stops a supervisor, and nothing that it did not start."""

    def __init__(self, root, *, role="all", settings=None, path=()):
        self.root = Path(root)
        self.config = self.root / "config"
        self.runtime = self.root / "run"
        self.role = role
        self.process = None
        self.environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "PYTHONFAULTHANDLER": "1"}
        self.settings = {**QUICK, "advertise": "127.0.0.1", "hostname": "testhost", **(settings or {})}
        for name in ("balancers", "discovery", "clusters", "services"):
            (self.config / name).mkdir(parents=True, exist_ok=True)
        self.write("lighthouse.yaml", self.settings)

    def write(self, name, content):
        """Save a file of the configuration the way an editor does."""
        path = self.config / name
        new = path.with_name("." + path.name + ".new")
        new.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
        new.replace(path)

    def remove(self, name):
        (self.config / name).unlink()

    @property
    def socket_path(self):
        return self.runtime / "control.sock"

    def start(self, *, wait=True, env=None, prefix=()):
        """Start it; `prefix` is a command that ends by executing the one given to it."""
        script = Path(sys.executable).with_name("lighthouse")
        command = [
            *prefix,
            str(script),
            "run",
            str(self.config),
            "--role",
            self.role,
            "--runtime-dir",
            str(self.runtime),
        ]
        with (self.root / "supervisor.out").open("ab") as out:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**self.environment, **(env or {})},
                start_new_session=True,
            )
        if wait:
            until(self.compiled, what=lambda: f"start: {self.output()}", within=60)
        return self

    def compiled(self):
        assert self.process.poll() is None, self.output()
        return self.answers() and self.status()["config"]["compilations"] > 0

    def answers(self):
        try:
            self.status()
        except (OSError, ValueError):
            return False
        return True

    def output(self):
        path = self.root / "supervisor.out"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    def ask(self, command, **arguments):
        """One request to the control socket; returns the whole reply."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.socket_path))
            sock.settimeout(30)
            sock.sendall(json.dumps({"version": 1, "command": command, "args": arguments}).encode() + b"\n")
            with sock.makefile("rb") as file:
                return json.loads(file.readline())

    def status(self):
        return self.ask("status")["result"]

    def worker(self, name):
        return next((worker for worker in self.status()["workers"] if worker["id"] == name), None)

    def state(self, name):
        worker = self.worker(name)
        return worker and worker["state"]

    def wait_up(self, *names, within=60):
        for name in names:
            until(
                lambda name=name: self.state(name) == "up",
                within=within,
                what=lambda name=name: f"{name} up; {self.tail(name)}",
            )
        return self

    def log(self, name):
        path = self.runtime / "logs" / f"{name.replace('/', '-')}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def tail(self, name):
        return f"state {self.worker(name)}; log {self.log(name)[-2000:]}; supervisor {self.output()}"

    def port_state(self, service, port):
        ports = self.status()["services"].get(service, {}).get("ports", {})
        return ports.get(str(port), {}).get("state")

    def workers_of(self):
        """The processes that the supervisor forked and that still live."""
        try:
            return [
                child
                for child in psutil.Process(self.process.pid).children()
                if child.name() and "lighthouse" in " ".join(child.cmdline())
            ]
        except psutil.NoSuchProcess:
            return []

    def kill(self):
        """SIGKILL, and wait for the end."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def stop(self, within=40):
        """SIGTERM, and wait for the end; returns the exit code."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(within)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
                raise
        return self.process.returncode
