"""`lighthouse plan` beside a running host: what it says, and that it leaves no trace."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lighthouse.node import Node
from support.plugin_site import write_distribution
from support.ports import free_port
from support.stack import Stack
from support.wait import until

LIGHTHOUSE = str(Path(sys.executable).with_name("lighthouse"))


def run(*arguments, path="", binding=False):
    """The exit code and the lines; `binding`: permissions bind, even if root runs the tests."""
    prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if binding and os.geteuid() == 0 else []
    done = subprocess.run(
        [*prefix, LIGHTHOUSE, "plan", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(path)},
        timeout=100,
    )
    return done.returncode, done.stdout.splitlines() + done.stderr.splitlines()


@pytest.fixture
def host(tmp_path, paths):
    stack = Stack(tmp_path / "host", settings={"initial_wait": 0.5})
    stack.registry = tmp_path / "registry"
    stack.write("discovery/directory.yaml", {"path": str(stack.registry), "ttl": 600})
    stack.write("balancers/haproxy.yaml", paths.config)
    for name in ("web", "db"):
        stack.write(f"clusters/{name}.yaml", {"discovery": "directory", "haproxy": {"port": free_port()}})
        (stack.registry / name).mkdir(parents=True)
    yield stack
    stack.stop()


def announce(host, service, node):
    (host.registry / service / node.name).write_text(node.serialize())


def files_below(root):
    """Every file that somebody keeps: inode, times and content. The supervisor keeps the time in two, and logs what it is asked."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.name not in (".alive", "fresh") and "logs" not in path.parts and path.name != "supervisor.out":
            seen = path.lstat()
            times = () if path.is_dir() else (seen.st_mtime_ns, seen.st_ctime_ns)
            found[str(path)] = (seen.st_ino, seen.st_mode, *times, path.read_bytes() if path.is_file() else b"")
    return found


def trace(host, paths):
    status = host.status()
    workers = [(item["id"], item["pid"], item["generation"], item["restarts"]) for item in status["workers"]]
    config = {key: status["config"][key] for key in ("epoch", "files")}
    servers = [line.split()[:9] + line.split()[10:] for line in paths.ask("show servers state").splitlines()]
    processes = [line.split()[:3] for line in paths.master("show proc").splitlines()]
    return files_below(paths.root), workers, config, status["clusters"].keys(), servers, processes


def test_it_tells_what_would_change_and_changes_nothing(host, paths, tmp_path):
    announce(host, "web", Node("a", "127.0.0.1", 9))
    announce(host, "db", Node("d", "127.0.0.1", 9))
    host.start().wait_up("balancer/haproxy")
    until(lambda: paths.file.exists() and paths.servers("web") and paths.servers("db"), what="the members")
    host.ask("stop", worker="balancer/haproxy")  # or it would do at once what is to be told here
    until(lambda: host.state("balancer/haproxy") == "stopped", what="the balancer to stop")
    plan = ("--socket", host.socket_path)
    assert run(*plan, host.config) == (0, ["plan: nothing would change"])

    before = host.status()["clusters"]["web"]["members"]
    announce(host, "web", Node("b", "127.0.0.1", 9))
    until(lambda: host.status()["clusters"]["web"]["members"] != before, what="the new member")
    assert run(*plan, host.config) == (
        3,
        ["runtime  backend web  add server b:9 127.0.0.1:9", "plan: 1 at run time"],
    )

    other = tmp_path / "candidate"
    shutil.copytree(host.config, other)
    (other / "clusters/new.yaml").write_text("discovery: directory\nhaproxy:\n  backend: [stats auth admin:hunter2]\n")
    left = trace(host, paths)
    code, told = run(*plan, other)
    assert trace(host, paths) == left
    assert code == 4
    assert told == [
        "reload   backend new  is new, with 0 servers",
        "runtime  backend web  add server b:9 127.0.0.1:9",
        "note     the members of new are not known: servers stay as they are",
        "plan: 1 by a reload, 1 at run time",
    ]

    (other / "clusters/new.yaml").write_text("discovery: nowhere\nhaproxy: {}\n")
    (other / "clusters/db.yaml").write_text(
        "discovery: directory\nhaproxy:\n  backend: ['stats auth admin:hunter2 x', nonsense]\n"
    )
    left = trace(host, paths)
    code, told = run(*plan, other)
    assert trace(host, paths) == left
    assert code == 1
    assert any(
        line.startswith("refused  clusters/db.yaml:3: ") and line.endswith("(its last good version stays)")
        for line in told
    )
    assert any(
        line.startswith("refused  clusters/new.yaml:1: ") and line.endswith("(nothing of it is in force)")
        for line in told
    )
    assert not [line for line in told if "hunter2" in line or "backend db" in line]

    Path(paths.config["socket_file"]).chmod(0)
    code, told = run(*plan, host.config, binding=True)
    assert code == 1
    assert "is closed to the user of Lighthouse" in told[0]
    host.socket_path.chmod(0)
    code, told = run(*plan, host.config, binding=True)
    assert code == 1
    assert told == [
        f"lighthouse plan: no permission to use {host.socket_path}: run ctl as root or as the user of the supervisor"
    ]


PLUGINS = """
import os
import sys
import time

from lighthouse.balancer import Balancer
from lighthouse.errors import BalancerError
from lighthouse.preview import Effect, Preview, Way


class Plain(Balancer):
    def apply_config(self, config):
        self.mode = config["mode"]

    def preview(self, clusters):
        print("\\x1b[31mnoise", flush=True)
        if self.mode == "refusing":
            raise BalancerError("the scales are out of reach")
        if self.mode == "raising":
            raise SystemExit(7)
        if self.mode == "dying":
            os._exit(9)
        if self.mode == "hanging":
            time.sleep(600)
        return Preview((Effect(Way.RUNTIME, cluster.name, f"knows {cluster.nodes}") for cluster in clusters), ("by hand",))


class Silent(Balancer):
    pass
"""


@pytest.fixture
def site(tmp_path):
    """A directory with balancers of a plugin, and where the plugin is installed."""
    groups = "[lighthouse.balancers]\nplain = previews:Plain\nsilent = previews:Silent\n"
    write_distribution(tmp_path / "site", "previews", groups, {"previews": PLUGINS})
    config = tmp_path / "config"
    for name in ("balancers", "discovery", "clusters", "services"):
        (config / name).mkdir(parents=True)
    (config / "discovery/directory.yaml").write_text(f"path: {tmp_path}/registry\n")
    (config / "clusters/web.yaml").write_text("discovery: directory\nfine: {}\n")
    (config / "balancers/fine.yaml").write_text("plugin: plain\nmode: fine\n")
    return config


def test_other_balancers_tell_for_themselves(site, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "yaml.py").write_text("raise SystemExit('the working directory is imported from')")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for name in ("refusing", "raising"):
        (site / f"balancers/{name}.yaml").write_text(f"plugin: plain\nmode: {name}\n")
    (site / "balancers/silent.yaml").write_text("{}\n")
    code, told = run(site, path=tmp_path / "site")
    assert code == 1
    assert told[:-2] == [
        "fine:",
        "runtime  web  knows None",
        "raising:",
        "unknown  balancer raising: SystemExit: 7",
        "refusing:",
        "unknown  balancer refusing: the scales are out of reach",
        "silent:",
        "unknown  balancer silent: previews:Silent cannot tell what it would change: it has no `preview`",
        "note     by hand",
    ]
    assert told[-1] == "plan: 1 at run time, unknown for raising, refusing, silent"


@pytest.mark.parametrize(("mode", "why"), [("dying", "ended with code 9"), ("hanging", "did not end within 3 s")])
def test_a_plugin_that_ends_or_hangs_the_process(site, tmp_path, mode, why):
    (site / "balancers/bad.yaml").write_text(f"plugin: plain\nmode: {mode}\n")
    program = f"from lighthouse.cli import plan; plan.WITHIN = 3.0; plan.plan(['{site}'])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site"), "XDG_RUNTIME_DIR": str(tmp_path)},
        timeout=60,
    )
    assert done.returncode == 1
    assert f"lighthouse plan: the process that reads the configuration {why}" in done.stderr.decode()
