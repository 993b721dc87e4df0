"""Operators take services out of service and back, through real processes and a registry."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lighthouse.cli.document import document
from support.ports import free_port
from support.site import Web
from support.stack import Stack
from support.wait import until


class Host:
    """A host with one service in a registry."""

    def __init__(self, root, web, **settings):
        self.web = web
        self.stack = Stack(root, role="reporter", settings=settings)
        self.registry = root / "registry"
        self.record = self.registry / "web" / f"testhost:{web.port}"
        self.stack.write("discovery/dir.yaml", {"plugin": "directory", "path": str(self.registry), "ttl": 3600.0})
        self.stack.write("services/web.yaml", self.service())

    def service(self, **check):
        checks = {"interval": 0.1, "http": {"uri": "/", "rise": 1, "fall": 2, **check}}
        return {"port": self.web.port, "discovery": "dir", "checks": checks}

    def start(self):
        self.stack.start().wait_up("discovery/dir")
        return self

    def wait_announced(self):
        until(self.record.exists, what=lambda: f"the announcement; {self.stack.tail('discovery/dir')}")
        return self

    def ctl(self, *arguments):
        script = Path(sys.executable).with_name("lighthouse")
        command = [str(script), "ctl", "--socket", str(self.stack.socket_path), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, done.stdout + done.stderr

    def service_status(self):
        return document(self.stack.status())["services"]["web"]

    def port(self):
        return self.service_status()["ports"][str(self.web.port)]

    def reboot(self):
        assert self.stack.stop() == 0
        shutil.rmtree(self.stack.runtime)
        self.start()


@pytest.fixture(scope="module")
def web():
    web = Web(free_port()).start()
    yield web
    web.stop()


@pytest.fixture
def make(tmp_path, web):
    made = []

    def make(**settings):
        made.append(Host(tmp_path, web, **settings))
        return made[-1]

    yield make
    for host in made:
        assert host.stack.stop() == 0


def test_maintenance_withdraws_at_once_over_restarts_and_reboots_until_it_is_over(make, tmp_path):
    host = make(state_dir=str(tmp_path / "disk"), registration={"farewell": 0.1}).start().wait_announced()
    assert host.port()["state"] == "up"
    assert host.port()["reason"] == "its checks pass"
    assert host.ctl("maintenance", "web", "on", "--reason", "a new disk") == (0, "web: in maintenance\n")
    until(lambda: not host.record.exists(), what="the withdrawal")
    port = host.port()
    assert (port["state"], port["reason"], port["verdict"]) == ("maintenance", "a new disk", "up")
    code, text = host.ctl("status")
    assert code == 1
    assert f"(uid {os.getuid()}): a new disk" in " ".join(text.split())

    host.stack.kill()
    host.start()
    assert not host.record.exists()
    assert host.port()["state"] == "maintenance"
    host.reboot()
    until(lambda: host.port()["verdict"] == "up", what="the checks to go on")
    until(lambda: host.port()["announced"] == "withdrawn", what="the discovery to say that it is withdrawn")
    assert not host.record.exists()

    assert host.ctl("maintenance", "web", "off") == (0, "web: no longer in maintenance\n")
    host.wait_announced()
    until(lambda: host.port()["announced"] == "up", what="the discovery to say so")
    assert host.ctl("maintenance", "web", "on", "--for", "1s")[0] == 0
    until(lambda: not host.record.exists(), what="the second withdrawal")
    host.wait_announced()
    assert host.service_status()["orders"] == {}


def test_drain_waits_for_the_registry_and_tells_of_sessions(make, web):
    host = make().start().wait_announced()
    with socket.create_connection(("127.0.0.1", web.port)):
        code, text = host.ctl("drain", "web", "--wait")
        assert host.ctl("drain", "web", "--wait", "--wait-sessions", "1s")[0] == 1, "that one does not end"
    assert host.ctl("drain", "web", "--wait", "--wait-sessions", "1m") == (
        0,
        "web: withdrawn; sessions that remain: none\n",
    )
    assert not host.record.exists(), "the command waited for it"
    assert (code, text.startswith("web: withdrawn; sessions that remain: ")) == (0, True)
    assert f" on port {web.port}" in text
    port = host.port()
    assert (port["state"], port["reason"]) == ("draining", f"ordered by uid {os.getuid()}, who gave no reason")
    assert host.ctl("maintenance", "web", "on")[0] == 0
    assert host.ctl("drain", "web", "--off") == (0, "web: no longer draining\n")
    assert host.port()["state"] == "maintenance", "the one does not end the other"
    assert host.ctl("maintenance", "web", "off")[0] == 0
    host.wait_announced()

    host.stack.ask("stop", worker="discovery/dir")
    until(lambda: host.stack.state("discovery/dir") == "stopped", what="the discovery to stop")
    code, text = host.ctl("drain", "--all", "--wait", "--timeout", "1s")
    assert (code, "web: not withdrawn yet" in text) == (1, True), "nobody has told the registry"
    host.stack.ask("start", worker="discovery/dir")
    assert host.ctl("drain", "--all", "--wait")[0] == 0
    assert not host.record.exists()
    code, text = host.ctl("drain", "wep")
    assert (code, text) == (2, "lighthouse ctl: there is no service 'wep'; known are web\n")


def test_a_drain_until_boot_outlives_a_restart(make):
    host = make().start().wait_announced()
    assert host.ctl("drain", "--all", "--wait", "--until-boot")[0] == 0
    assert host.stack.stop() == 0
    host.start()
    assert host.port()["state"] == "draining", "a restart is no boot"
    assert json.loads(host.ctl("status", "--json")[1])["services"]["web"]["orders"]["drain"]["until_boot"] is True


@pytest.mark.parametrize(("on_stop", "stays"), [("keep", True), ("withdraw", False)])
def test_what_a_stop_leaves(make, on_stop, stays):
    host = make(on_stop=on_stop).start().wait_announced()
    assert host.stack.stop() == 0
    assert host.record.exists() is stays


@pytest.mark.parametrize("dead", [False, True])
def test_of_a_discovery_that_leaves_only_goes_what_did_not_move(make, dead):
    """Also of one that has died and waits just then: it comes back for that."""
    rules = {"base": 600.0, "cap": 600.0, "discovery": 600.0}
    host = make(
        registration={"farewell": 0.1}, restart=rules, config={"settle": 1.0}
    )  # so that all of the change is one
    host.stack.write("services/db.yaml", {**host.service(), "checks": {"interval": 0.1}})
    host.start().wait_announced()
    other = host.registry / "db" / host.record.name
    until(other.exists, what="the other announcement")
    while dead and host.stack.state("discovery/dir") != "backoff":
        if pid := host.stack.worker("discovery/dir")["pid"]:
            os.kill(pid, signal.SIGKILL)
            until(lambda: host.stack.worker("discovery/dir")["pid"] != pid, what="its death to be seen")
    host.stack.write("discovery/two.yaml", {"plugin": "directory", "path": str(host.registry), "ttl": 3600.0})
    host.stack.write("services/web.yaml", {**host.service(), "discovery": "two"})
    host.stack.remove("services/db.yaml")
    host.stack.remove("discovery/dir.yaml")
    until(lambda: host.stack.state("discovery/dir") is None, what="the end of the discovery")
    assert (host.record.exists(), other.exists()) == (True, False)


def test_a_service_without_a_verdict_is_starting(make):
    host = make()
    host.stack.write("services/web.yaml", host.service(rise=1000))
    host.start().stack.wait_up("checker/web")
    port = host.port()
    assert (port["state"], port["reason"]) == ("starting", "its checks have come to no verdict yet")
    until(lambda: host.port()["announced"] == "hold", what="the discovery to say so")
    assert not host.record.exists()
    since = port["since"]
    host.stack.kill()
    host.start().stack.wait_up("checker/web")
    assert host.port()["since"] == since, "it has been so since before"


def test_a_service_whose_checker_is_away_for_too_long_is_unknown_and_stays_announced(make):
    host = make(hold=0.5).start().wait_announced()
    host.stack.ask("stop", worker="checker/web")
    until(lambda: host.port()["state"] == "unknown", what="the state to be unknown")
    port = host.port()
    assert port["reason"] == "its checker has been away for longer than 0.5 s"
    assert (port["verdict"], port["announced"], host.service_status()["held"]) == ("up", "up", True)
    supervisor = host.stack.status()["supervisor"]
    assert supervisor["started"] < port["since"] <= supervisor["started"] + supervisor["uptime"]
    assert "port " + str(host.web.port) + ", is unknown (its checker has been away" in " ".join(
        host.ctl("status")[1].split()
    )
    assert host.record.exists()
    host.stack.ask("start", worker="checker/web")
    until(lambda: host.port()["state"] == "up", what="the state to be known again")
