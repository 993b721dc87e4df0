"""A Lighthouse that consumes one cluster from a folder of records, with the HAProxy that it keeps."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from lighthouse.cli.document import document
from lighthouse.node import Node
from support.ports import free_port
from support.stack import Stack
from support.wait import until


class Consumer:
    """One cluster, ``web``. Its members exist in the registry only: nobody has to answer for them."""

    def __init__(self, root, paths, *, cluster=None, settings=None):
        self.paths = paths
        self.registry = Path(root) / "registry"
        self.folder = self.registry / "web"
        self.folder.mkdir(parents=True)
        self.stack = Stack(root, role="writer", settings=settings)
        self.stack.write("balancers/haproxy.yaml", paths.config)
        self.discovery = {"path": str(self.registry), "ttl": 3600.0}
        self.stack.write("discovery/directory.yaml", self.discovery)
        self.cluster_file = {"discovery": "directory", "haproxy": {"port": free_port()}, **(cluster or {})}
        self.stack.write("clusters/web.yaml", self.cluster_file)

    def start(self):
        self.stack.start().wait_up("discovery/directory", "balancer/haproxy")
        return self

    def record(self, name, *, leaving=False, **metadata):
        """Announce a member the way another host does."""
        self.raw(f"{name}:80", Node(name, "127.0.0.1", 80, metadata, leaving=leaving).serialize())

    def raw(self, file, text):
        """Put any record at all."""
        new = self.folder / f".{file}"
        new.write_text(text)
        new.replace(self.folder / file)

    def remove(self, *names):
        for name in names:
            (self.folder / f"{name}:80").unlink()

    def keep_only(self, *names):
        """Remove all other members at once: no reading of the folder sees fewer than these or more of the others in between."""
        new = self.registry / ".new"
        new.mkdir()
        for name in names:
            shutil.copy2(self.folder / f"{name}:80", new)
        old = self.folder.rename(self.registry / ".old")
        new.rename(self.folder)
        shutil.rmtree(old)

    def wipe(self):
        """Remove the whole folder, at once."""
        shutil.rmtree(self.folder.rename(self.registry / ".old"))

    def servers(self):
        """The names of the members that HAProxy has; None while it does not answer."""
        try:
            return {name.removesuffix(":80") for name in self.paths.servers("web")}
        except OSError:
            return None

    def wait_servers(self, *names):
        until(
            lambda: self.servers() == set(names),
            what=lambda: f"servers {names}; {self.stack.log('discovery/directory')[-2000:]}",
        )

    def status(self):
        return document(self.stack.status())

    def cluster(self):
        return self.status()["clusters"]["web"]

    def held(self):
        """How many members are held."""
        held = self.cluster()["held"]
        return held["count"] if held else 0

    def ctl(self, *arguments):
        """The exit code and the output of `lighthouse ctl`."""
        script = Path(sys.executable).with_name("lighthouse")
        command = [str(script), "ctl", "--socket", str(self.stack.socket_path), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, done.stdout + done.stderr

    def ask(self, *arguments):
        """The document that `lighthouse ctl ... --json` prints."""
        return json.loads(self.ctl(*arguments, "--json")[1])
