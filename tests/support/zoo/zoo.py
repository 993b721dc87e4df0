"""Plugins that do their real work and misbehave on request.

Each has an option ``control``, the path of a file. When the file exists, the next call takes it away and does what it says.
"""

import ctypes
import gc
import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from lighthouse.check import Check
from lighthouse.checks.http import HTTPCheck
from lighthouse.directory.discovery import DirectoryDiscovery
from lighthouse.errors import RegistryError
from lighthouse.haproxy.balancer import HAProxy
from lighthouse.ipc.channel import Channel
from lighthouse.options import Option
from lighthouse.secrets import secret_options, secret_source
from lighthouse.workers.lanes import Lanes
from lighthouse.zookeeper import ZookeeperDiscovery

# The worker's own: what was inherited is out of the collector's lists, and a worker may put its own things there later.
CHANNEL = next((item for item in gc.get_objects() if isinstance(item, Channel)), None)
CONTROL = {"control": Option(str, "the file that says what to do", default="")}


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def segv():
    ctypes.string_at(0)


def abort():
    os.abort()


def leave():
    os._exit(3)


def refuse():
    raise RuntimeError("the plugin has a bug \x1b[31m and colours its message")


def exit_quietly():
    raise SystemExit(0)


def syscall():
    left, _right = socket.socketpair()
    left.recv(1)


def loop():
    while True:
        pass


def gil():
    re.match(r"(a+)+$", "a" * 64 + "b")


def main_loop():
    Lanes.deliver = lambda self: time.sleep(1e6)


def stop():
    os.kill(os.getpid(), signal.SIGSTOP)


def children():
    for _ in range(3):
        subprocess.Popen(["sleep", "1000"])
    threading.Event().wait()


def flood():
    line = "x" * 100
    for number in range(6000):
        print(f"flood {number:06d} {line}", flush=number % 1000 == 0)


def garbage():
    CHANNEL.sock.send(b"\xff" * 1000)


def oversized():
    CHANNEL.sock.send(b"\xff\xff\xff\xff\x01\x06" + b"\x00" * 64)


FAULTS = {
    function.__name__: function
    for function in (
        kill,
        segv,
        abort,
        leave,
        refuse,
        exit_quietly,
        syscall,
        loop,
        gil,
        main_loop,
        stop,
        children,
        flood,
        garbage,
        oversized,
    )
}


def misbehave(control):
    if not control:
        return
    path = Path(control)
    try:
        wanted = path.read_text()
        path.unlink()
    except FileNotFoundError:
        return
    print(f"zoo: {wanted}")
    FAULTS[wanted]()


class Zoo:
    """Mixed into a real plugin: takes the option out, and misbehaves first when asked."""

    def apply_config(self, config):
        self.control = config.pop("control", "")
        super().apply_config(config)


class ZooCheck(Zoo, HTTPCheck):
    options = {**HTTPCheck.options, **CONTROL}

    def perform(self):
        misbehave(self.control)
        return super().perform()


class ZooDiscovery(Zoo, DirectoryDiscovery):
    options = {**DirectoryDiscovery.options, **CONTROL}

    def maintain(self):
        misbehave(self.control)
        return super().maintain()

    def announce(self, announcements):
        if self.control and Path(self.control + ".refuse-announcements").exists():
            raise RegistryError("the registry takes no announcements")
        super().announce(announcements)


class ZooZookeeper(Zoo, ZookeeperDiscovery):
    options = {**ZookeeperDiscovery.options, **CONTROL}

    def maintain(self):
        misbehave(self.control)
        return super().maintain()


class ZooBalancer(Zoo, HAProxy):
    options = {**HAProxy.options, **CONTROL}

    def sync(self, clusters):
        misbehave(self.control)
        return super().sync(clusters)


class ZooJudge(HTTPCheck):
    """Misbehaves while its configuration is judged."""

    options = {"how": Option(str, "what to do")}

    @classmethod
    def validate_check_config(cls, config):
        if config["how"] == "memory":
            hoard = []
            while True:
                hoard.append(b"x" * 10_000_000)
        if config["how"] == "fork":
            subprocess.Popen(
                ["sleep", "20"],
                close_fds=False,
                pass_fds=[int(fd) for fd in os.listdir("/proc/self/fd") if int(fd) > 2],
            )
            return
        {"hang": syscall, "segv": segv}[config["how"]]()

    def apply_check_config(self, config):
        pass


class ZooLate(HTTPCheck):
    """Is well when judged, and fails where it is to work."""

    options = {}

    @classmethod
    def validate_check_config(cls, config):
        pass

    def apply_check_config(self, config):
        raise OSError("this only works elsewhere")


class ZooHang(Check):
    """Never comes back."""

    def perform(self):
        syscall()


class ZooSecret(Check):
    """Passes while it can read its secret."""

    options = secret_options("password", "the password")

    def apply_check_config(self, config):
        self.source = secret_source(config, "password")

    def perform(self):
        return bool(self.source.read().reveal())
