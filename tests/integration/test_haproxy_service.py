"""An HAProxy that belongs to a service: two files, one of them ours; it is asked to reload and never started, replaced or ended."""

import grp
import os
import pwd
import re
import shlex
import signal
import stat
from pathlib import Path

import pytest
import yaml

from lighthouse.cli.document import document
from lighthouse.errors import BalancerError
from lighthouse.haproxy.deadline import CALL
from lighthouse.haproxy.document import parse
from lighthouse.haproxy.process import HAProxyProcess
from lighthouse.node import Node
from support.haproxy import Load, backends, balancer, cluster, get
from support.haproxy_service import Service, as_ordinary_user
from support.ports import free_port
from support.stack import Stack
from support.wait import until

NODE = Node("a", "127.0.0.1", 9)


@pytest.fixture
def service(tmp_path):
    made = Service(tmp_path)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def impatient(monkeypatch):
    """For tests in which the awaited never comes."""
    monkeypatch.setattr("lighthouse.haproxy.lifecycle.READY", 0.3 / CALL)
    monkeypatch.setattr("lighthouse.haproxy.lifecycle.RELOAD", 0.3 / CALL)
    monkeypatch.setattr("lighthouse.haproxy.service.COMMAND", 0.5 / CALL)
    monkeypatch.setattr("lighthouse.haproxy.reader.APPEAR", 0.1 / CALL)


def by_command(service):
    """The owner's way to reload, and no master socket that we know."""
    return {"master_socket_file": None, "reload_command": f"{service.script('kill -USR2 $1')} {service.process.pid}"}


@pytest.mark.versions
@pytest.mark.parametrize("way", ["master", "command"])
def test_members_at_run_time_and_the_rest_by_a_reload(service, tmp_path, way):
    service.start()
    made = service.balancer(**by_command(service) if way == "command" else {})
    master, port = service.pid(), free_port()
    with backends("a", "b", "c") as (a, b, c):
        report = made.sync([cluster("web", [a], port=port)])  # from an empty file
        assert report["degraded"] is None
        assert report["last"]["reload"] == "HAProxy had not read our file"
        with Load(port) as load, Load(service.port) as owners:
            load.wait_for(10)
            for members in ([a, b], [b], [b, c]):
                report = made.sync([cluster("web", members, port=port)])
                assert report["degraded"] is None
                assert service.servers("web") == {item.node.name: f"127.0.0.1:{item.port}" for item in members}
            assert service.reloads() == 1
            report = made.sync([cluster("web", [b, c], port=port), cluster("db", [a])])
            assert (report["degraded"], report["last"]["reload"]) == (None, "backend db is new")
            assert report["servers"]["db"] == {a.node.name: "up"}
            load.wait_for(10)
            owners.wait_for(10)
        assert load.failed == owners.failed == []
        assert owners.ok.keys() == {"owner"}
    assert service.reloads() == 2
    assert service.pid() == master == service.process.pid
    assert {path.name for path in tmp_path.glob("haproxy.cfg?*")} == {"haproxy.cfg.good"}


def test_the_owner_keeps_its_own_settings(service):
    """`global` is merged line by line, so ours must not say what the owner may have said."""
    service.start()
    service.balancer().sync([cluster("web", [NODE])])
    section = parse(service.file.read_text()).section("global")
    assert [line.split()[0] for line in section.lines] == ["stats"]
    assert "mode 600 level admin expose-fd listeners" in section.lines[0]


@pytest.mark.versions
def test_it_waits_for_an_owner_that_has_not_started_it(service, impatient):
    port = free_port()
    with backends("a") as (a,):
        made, clusters = service.balancer(), [cluster("web", [a], port=port)]
        report = made.sync(clusters)
        assert f"no HAProxy listens at {service.config['socket_file']}: start its service" in report["degraded"]
        assert report["servers"] == {"web": {a.node.name: "pending"}}
        assert made.sync(clusters)["degraded"] == report["degraded"]
        service.start()  # the file is there already
        report = made.sync(clusters)
        assert (report["degraded"], report["servers"]) == (None, {"web": {a.node.name: "up"}})
        assert service.reloads() == 0
        assert get(port) == (200, "a")


def test_a_reload_command_that_fails_is_not_run_again_for_other_members(service, impatient):
    """Nor is it sooner than reloads may follow one another."""
    runs = service.root / "runs"
    made = service.balancer(reload_command=service.script(f"echo x >>{runs}; exit 1"))

    def tried(*clusters):
        assert "does not serve the clusters" in made.sync(clusters)["degraded"]
        return runs.read_text().count("x")

    members = [Node("a", "127.0.0.1", number) for number in range(1, 4)]
    assert [tried(cluster("web", [member])) for member in members] == [1, 1, 1]
    assert "127.0.0.1:3" in service.file.read_text()
    made._tools.refusals.hasten(0)  # as after a minute
    assert tried(cluster("web", members)) == 2
    made._tools.pace._interval = 3600
    for step in (lambda: made._tools.refusals.hasten(0), lambda: None):
        step()
        assert tried(cluster("web", members), cluster("db", members)) == 2
    assert made.sync([cluster("web", members)])["pending"] == "HAProxy had not read our file"


def test_one_that_starts_with_an_empty_file_is_reloaded_at_once(service, impatient):
    """Nobody was asked before, so there is no distance to keep."""
    made, clusters = service.balancer(restart_interval=3600), [cluster("web", [NODE])]
    for _ in range(2):
        assert "no HAProxy listens at" in made.sync(clusters)["degraded"]
    service.file.write_text("")
    service.start()
    report = made.sync(clusters)
    assert (report["degraded"], report["last"]["reload"]) == (None, "HAProxy had not read our file")


def slow(service, then=""):
    """Lines that let HAProxy load for a while, and do something `then`, unless it only judges."""
    script = service.root / "slow.lua"
    script.write_text(f"if os.getenv('HAPROXY_MWORKER') then os.execute('sleep 0.7') {then} end\n")
    return ["global", f"\tlua-load {script}"]


@pytest.mark.versions
def test_one_that_still_loads_is_waited_for_and_not_reloaded(service):
    """Since 3.1 its master answers before its worker has read our file."""
    made = service.balancer()
    made.sync([cluster("web", [NODE])])
    service.write_base(*slow(service))
    service.begin(service.arguments())
    seen = []
    until(lambda: seen.append(made.sync([cluster("web", [NODE])])) or seen[-1]["degraded"] is None, what="its end")
    assert service.reloads() == 0, [(report["degraded"], report["last"]) for report in seen]


def test_one_that_comes_up_while_it_is_looked_for_is_not_reloaded(service, monkeypatch):
    made = service.balancer()
    made.sync([cluster("web", [NODE])])
    real = HAProxyProcess.version

    def slowly(*args):
        service.start()
        return real(*args)

    monkeypatch.setattr(HAProxyProcess, "version", slowly)
    report = made.sync([cluster("web", [NODE])])
    assert (report["degraded"], report["servers"]) == (None, {"web": {NODE.name: "up"}})
    assert service.reloads() == 0


@pytest.mark.versions
def test_a_slow_reload_by_a_command_that_fails_is_told_as_that(service):
    """The command returns while HAProxy still loads."""
    service.start()
    kill = service.script("kill -USR2 $1")
    made = service.balancer(reload_command=f"{kill} {service.process.pid}")
    made.sync([cluster("web", [NODE])])
    service.write_base(*slow(service, "error('no')"))
    report = made.sync([cluster("web", [NODE]), cluster("db", [NODE])])
    assert "HAProxy cannot start with it and goes on with the old one" in report["degraded"]
    assert report["servers"]["web"] == {NODE.name: "up"}


@pytest.mark.versions
@pytest.mark.parametrize("way", ["master", "command"])
def test_it_runs_without_our_file(service, impatient, way):
    """The owner forgot the second `-f`: no reload would help, and none is made where that can be seen."""
    service.start([])
    made = service.balancer(**by_command(service) if way == "command" else {})
    report = made.sync([cluster("web", [NODE])])
    if way == "master":
        assert f"HAProxy runs without {service.file}" in report["degraded"]
        assert service.reloads() == 0
    assert f"-f {service.file}" in report["degraded"]
    assert report["servers"] == {"web": {NODE.name: "pending"}}
    assert get(service.port) == (200, "owner")
    service.end()
    service.start()
    assert made.sync([cluster("web", [NODE])])["degraded"] is None


def test_the_directory_of_our_file_may_be_on_its_command_line(service):
    """HAProxy reads all files of a directory that end in .cfg; the candidate does not."""
    folder = service.root / "conf"
    folder.mkdir()
    service.config["config_file"] = str(folder / "haproxy.cfg")
    service.start([folder])
    assert service.balancer().sync([cluster("web", [NODE])])["degraded"] is None


BAD_COMMANDS = {
    "absent": ("/nonexistent/reload now", "cannot be run: No such file or directory"),
    "failing": ("sh -c 'echo the unit is masked; exit 3'", "failed with exit code 3: 'the unit is masked'"),
    "idle": ("true", "ended without an error, but HAProxy was not reloaded"),
}


@pytest.mark.parametrize("bad", BAD_COMMANDS)
def test_a_reload_command_that_does_not_work(service, impatient, bad):
    command, why = BAD_COMMANDS[bad]
    service.start()
    with backends("a", "b") as (a, b):
        service.balancer().sync([cluster("web", [a])])
        made = service.balancer(reload_command=command)
        report = made.sync([cluster("web", [a, b]), cluster("db", [a])])
        assert why in report["degraded"]
        assert report["servers"] == {"web": {a.node.name: "up", b.node.name: "up"}, "db": {a.node.name: "pending"}}
        assert parse(service.file.read_text()).backends().keys() == {"web"}
        assert service.reloads() == 1
        assert made.sync([cluster("web", [b]), cluster("db", [a])])["servers"]["web"] == {b.node.name: "up"}
        report = service.balancer(**by_command(service)).sync([cluster("web", [b]), cluster("db", [a])])
        assert (report["degraded"], report["servers"]["db"]) == (None, {a.node.name: "up"})


def test_a_reload_command_that_hangs_is_killed_with_all_that_it_started(service, impatient):
    service.start()
    service.balancer().sync([cluster("web", [NODE])])
    script = service.script(f"sleep 600 &\necho $! > {service.root}/child\nwait")
    report = service.balancer(reload_command=[script]).sync([cluster("web", [NODE]), cluster("db", [NODE])])
    assert re.search(
        r"did not end within \S+ s of the 8 s that `deadlines.call` allows and was killed", report["degraded"]
    )
    child = int((service.root / "child").read_text())
    until(
        lambda: not Path(f"/proc/{child}").exists() or ") Z " in Path(f"/proc/{child}/stat").read_text(), what="its end"
    )


def test_an_owner_that_restarts_it_finds_the_right_members_in_the_file(service):
    port = free_port()
    with backends("a", "b") as (a, b):
        made = service.start().balancer()
        made.sync([cluster("web", [a], port=port)])
        made.sync([cluster("web", [a, b], port=port)])
        service.end()
        service.start()
        assert service.servers("web").keys() == {a.node.name, b.node.name}
        report = made.sync([cluster("web", [a, b], port=port)])
        assert (report["degraded"], report["drift"]["healed"]) == (None, 1)
        service.ask(f"set server web/{a.node.name} state maint")
        report = made.sync([cluster("web", [a, b], port=port)])
        assert (report["drift"]["healed"], report["servers"]["web"][a.node.name]) == (2, "up")
        right = service.file.read_text()
        service.file.write_text(right.replace("\nbackend web\n", "\nbackend web\n\tfullconn 77\n"))
        service.end()
        service.start()
        report = made.sync([cluster("web", [a, b], port=port)])
        assert "loaded with a file that somebody had changed" in report["last"]["reload"]
        assert (report["degraded"], report["drift"]["healed"], service.file.read_text()) == (None, 4, right)
        assert made.sync([cluster("web", [a, b], port=port)])["last"] == {"commands": 0, "start": None, "reload": None}


def test_what_the_owner_does_to_its_own_servers_is_no_drift(service):
    service.write_base(f"\tserver x 127.0.0.1:{free_port()}")
    made = service.start().balancer()
    made.sync([cluster("web", [NODE])])
    service.ask("set server own/x state maint")
    report = made.sync([cluster("web", [NODE])])
    assert report["drift"]["healed"] == 0
    assert "own" not in service.servers("web")
    assert not service.servers("own")


def test_a_name_that_the_owner_has_already(service):
    service.start()
    report = service.balancer().sync([cluster("own", [NODE], port=free_port()), cluster("web", [NODE])])
    assert "has the same name" in report["quarantined"]["own"]
    assert report["servers"]["web"] == {NODE.name: "up"}
    assert get(service.port) == (200, "owner")


def test_a_backend_that_the_owner_names_stays_when_its_cluster_is_removed(service):
    port, other = free_port(), free_port()
    service.start()
    with backends("a") as (a,):
        service.balancer().sync([cluster("web", [a])])
        service.write_base("frontend theirs", f"\tbind 127.0.0.1:{port}", "\tdefault_backend web")
        made = service.balancer()
        assert any(line.where == "backend web" for line in made.preview([cluster("db", [a], port=other)]).effects)
        report = made.sync([cluster("db", [a], port=other)])
        assert report["degraded"].startswith(
            "backend web is set apart: it is configured no more, but still named: Proxy 'theirs'"
        )
        assert get(port) == get(other) == (200, "a")


@pytest.mark.parametrize("whose", ["owner", "stranger"])
def test_a_port_that_is_taken(service, whose):
    """Also at the first contact: a reload that cannot bind would take the owner's ports away for two seconds."""
    service.start()
    with backends("squatter") as (squatter,):
        port = service.port if whose == "owner" else squatter.port
        report = service.balancer().sync([cluster("web", [NODE], port=port), cluster("db", [NODE])])
        assert f"frontend web:in: cannot listen on 127.0.0.1:{port}" in report["quarantined"]["web"]
        assert report["servers"]["db"] == {NODE.name: "up"}
        assert get(service.port) == (200, "owner")


def test_files_of_the_owner_that_we_may_not_read(service):
    service.start()
    service.balancer().sync([cluster("web", [NODE])])
    other = Node("b", "127.0.0.1", 9)
    service.base.chmod(0)
    report, _ = as_ordinary_user(service.config, cluster("web", [NODE, other]), cluster("db", [NODE]))
    assert f"`haproxy -c` does not get past {service.base}" in report["degraded"]
    assert "Permission denied" in report["degraded"]
    assert report["servers"] == {"web": {NODE.name: "up", other.name: "up"}, "db": {NODE.name: "pending"}}
    assert len(parse(service.file.read_text()).backends()["web"].members) == 2
    report, _ = as_ordinary_user(service.config | {"base_files": []}, cluster("web", [NODE]), cluster("db", [NODE]))
    assert report["servers"]["db"] == {NODE.name: "up"}


def test_files_that_the_owner_mends_are_judged_again_at_once(service):
    service.start()
    made, clusters = service.balancer(), [cluster("web", [NODE]), cluster("db", [NODE])]
    made.sync(clusters[:1])
    service.write_base("\tnonsense")
    for _ in range(2):
        report = made.sync(clusters)
        assert f"`haproxy -c` does not get past {service.base}" in report["degraded"]
        assert report["servers"]["db"] == {NODE.name: "pending"}
    service.write_base()
    report = made.sync(clusters)
    assert (report["degraded"], report["servers"]["db"]) == (None, {NODE.name: "up"})


def test_sockets_that_refuse_us(service):
    service.start()
    service.balancer().sync([cluster("web", [NODE])])
    other = Node("b", "127.0.0.1", 9)
    master = Path(service.config["master_socket_file"])
    master.chmod(0)
    report, _ = as_ordinary_user(service.config, cluster("web", [NODE, other]))
    assert f"HAProxy's master process is closed to the user of Lighthouse at {master}" in report["degraded"]
    assert report["servers"]["web"] == {NODE.name: "up", other.name: "up"}
    Path(service.config["socket_file"]).chmod(0)
    _, error = as_ordinary_user(service.config, cluster("web", [NODE]))
    assert f"HAProxy's socket {service.config['socket_file']} is closed to the user of Lighthouse" in error


def test_a_socket_without_the_level_admin(service):
    """Somebody has a copy of our file with a change of his own."""
    service.balancer().sync([cluster("web", [NODE])])
    text = service.file.read_text()
    service.file.write_text(text.replace("level admin", "level operator"))
    service.start()
    service.file.write_text(text)
    with pytest.raises(BalancerError, match="must have `level admin`"):
        service.balancer().sync([cluster("web", [NODE, Node("b", "127.0.0.1", 9)])])


def test_a_haproxy_that_is_too_old(paths, caplog):
    """Only the program's own word counts here; what runs is the real one."""
    old = paths.root / "haproxy"
    old.write_text('#!/bin/sh\n[ "$1" = -v ] && echo "HAProxy version 2.2.9-2 2021/01/01" && exit\nexec haproxy "$@"\n')
    old.chmod(0o700)
    service = Service(paths.root)
    report = service.balancer(binary=str(old)).sync([cluster("web", [NODE])])
    assert "HAProxy 2.2.9 is older than 2.4" in report["degraded"]
    assert report["haproxy"]["limits"][0].startswith("HAProxy 2.2.9 takes no new servers at run time")
    assert [record.levelname for record in caplog.records if "2.2.9" in record.message] == ["WARNING", "WARNING"]
    assert "in 5 slots" in service.file.read_text()


def test_what_haproxy_cannot_do_is_logged_once(paths, caplog):
    caplog.set_level("INFO")
    made = balancer(paths)
    for _ in range(3):
        made.sync([])
    assert len([record for record in caplog.records if "version" in record.message]) == 1


def test_a_broken_reload_leaves_the_owner_alone(service):
    """Nothing in our hands shows that the owner's own file broke: the reload fails, and what runs goes on."""
    service.start()
    made = service.balancer(base_files=[])
    made.sync([cluster("web", [NODE])])
    pids = service.pids()
    service.write_base("\tnonsense")
    report = made.sync([cluster("web", [NODE]), cluster("db", [NODE])])
    assert "goes on with the old one" in report["degraded"]
    assert report["servers"] == {"web": {NODE.name: "up"}, "db": {NODE.name: "pending"}}
    assert set(pids) <= set(service.pids())
    assert get(service.port) == (200, "owner")
    service.write_base()
    os.kill(service.process.pid, signal.SIGUSR2)
    until(lambda: "failed" not in service.try_master("show proc"), what="the owner's reload")
    report = service.balancer(base_files=[]).sync([cluster("web", [NODE]), cluster("db", [NODE])])
    assert report["degraded"] is None


EXAMPLE = Path(__file__).parents[2] / "examples" / "haproxy-service"


def test_the_example_for_debian(service, tmp_path):
    """Its two files, with the paths and the user of the test, and HAProxy's command line as Debian's unit makes it from them."""
    (tmp_path / "run").mkdir()
    user, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    changes = {
        "/var/lib/lighthouse/haproxy.cfg": str(service.file),
        "/run/haproxy/": f"{tmp_path}/run/",
        "/run/haproxy-master.sock": f"{tmp_path}/s.master",
        "/etc/haproxy/haproxy.cfg": str(service.base),
        "user lighthouse": f"user {user}",
        "group,lighthouse": f"group,{group}",
    }
    texts = [(EXAMPLE / name).read_text() for name in ("default-haproxy", "haproxy.yaml")]
    for old, new in changes.items():
        assert any(old in text for text in texts), old
        texts = [text.replace(old, new) for text in texts]
    (options,) = [line for line in texts[0].splitlines() if line.startswith("EXTRAOPTS=")]
    extra = shlex.split(options.partition("=")[2])[0].split()
    service.config = yaml.safe_load(texts[1])
    service.run(["-Ws", "-f", str(service.base), "-p", str(tmp_path / "pid"), *extra])
    with backends("a") as (a,):
        port = free_port()
        report = service.balancer().sync([cluster("web", [a], port=port)])
        assert report["degraded"] is None
        assert get(port) == (200, "a")
    assert stat.S_IMODE(os.stat(service.config["socket_file"]).st_mode) == 0o600


def test_a_reload_that_brought_nothing_is_not_made_again(service, impatient):
    """Its command line names our file, but not as one to read."""
    master = service.config["master_socket_file"]
    service.run(["-W", "-S", master, "-p", str(service.root / "pid"), "-f", str(service.base), "-L", str(service.file)])
    made = service.balancer()
    for _ in range(2):
        report = made.sync([cluster("web", [NODE])])
        assert "HAProxy was reloaded and does not run" in report["degraded"]
        made._tools.refusals.hasten(0)  # as after a minute
    assert service.reloads() == 1


def test_a_reload_that_was_only_not_seen_to_bring_something_is_made_again(service, monkeypatch):
    service.start()
    made, clusters = service.balancer(), [cluster("web", [NODE], port=free_port())]
    with monkeypatch.context() as patch:
        patch.setattr("lighthouse.haproxy.lifecycle.READY", 0)
        assert "HAProxy was reloaded and does not run" in made.sync(clusters)["degraded"]
    assert made.sync(clusters)["degraded"] is None
    service.ask("shutdown frontend web:in")
    made._tools.memory.forget()
    report = made.sync(clusters)
    assert (report["degraded"], service.reloads()) == (None, 2)


def test_the_status_of_a_host_says_what_is_missing(service, tmp_path):
    stack = Stack(tmp_path / "host", settings={"initial_wait": 0.2})
    registry = tmp_path / "registry"
    (registry / "web").mkdir(parents=True)
    (registry / "web" / NODE.name).write_text(NODE.serialize())
    stack.write("discovery/directory.yaml", {"path": str(registry), "ttl": 600})
    stack.write("balancers/haproxy.yaml", service.config)
    stack.write("clusters/web.yaml", {"discovery": "directory", "haproxy": {}, "meta_cluster": "nope"})

    def told():
        found = document(stack.status())
        nodes = found["clusters"].get("web", {}).get("nodes") or []
        return [node["state"] for node in nodes], [line for line in found["problems"] if "haproxy" in line]

    try:
        stack.start().wait_up("discovery/directory")
        until(lambda: told()[0] == ["pending"], what="the member to be known")
        (line,) = until(lambda: told()[1], what="a line about HAProxy")
        assert line.startswith("balancer haproxy: HAProxy does not serve the clusters: no HAProxy listens at ")
        assert "there is no meta cluster nope" in line, "behind what keeps all traffic away"
        stack.write("clusters/web.yaml", {"discovery": "directory", "haproxy": {}})
        service.start()
        until(lambda: told() == (["up"], []), what="the end of the trouble")
    finally:
        stack.stop()
