"""HAProxy as a process: it outlives its starter, starts once only, and is taken over from whoever started it."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from lighthouse.errors import BalancerError
from lighthouse.haproxy.options import HAProxySettings
from lighthouse.haproxy.process import HAProxyProcess
from lighthouse.node import Node
from support.haproxy import backends, balancer, cluster, get
from support.ports import free_port
from support.wait import until

pytestmark = pytest.mark.versions

NODE = Node("a", "127.0.0.1", 9)


def test_it_survives_the_process_group_of_its_starter(paths):
    program = textwrap.dedent(f"""
        import os, time
        from lighthouse.cluster import Cluster
        from lighthouse.haproxy.balancer import HAProxy
        os.setsid()
        kept, _ = os.pipe()
        os.set_inheritable(kept, True)
        balancer = HAProxy()
        balancer.apply_config({paths.config!r})
        balancer.sync([Cluster("web", nodes=[])])
        print("done", flush=True)
        time.sleep(60)
    """)
    starter = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    try:
        assert starter.stdout.readline() == b"done\n"
        pid = paths.pid()
        os.killpg(starter.pid, signal.SIGKILL)
    finally:
        starter.kill()
        starter.wait()
        starter.stdout.close()
    assert paths.pid() == pid
    assert os.getsid(pid) != starter.pid
    assert paths.ask("show info").startswith("Name: HAProxy")
    assert balancer(paths).sync([cluster("web", [])])["haproxy"]["pid"] == pid
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    for name in "012":
        assert os.readlink(f"/proc/{pid}/fd/{name}") == "/dev/null"


def test_sockets_and_files_are_private(paths):
    balancer(paths).sync([cluster("web", [])])
    for name in os.listdir(paths.root):
        assert os.stat(paths.root / name).st_mode & 0o077 == 0, name


def test_a_missing_directory(paths):
    made = balancer(paths, config_file="/nonexistent/dir/haproxy.cfg")
    with pytest.raises(BalancerError, match="make the directory /nonexistent/dir"):
        made.sync([])


def test_a_process_that_executes_a_program_has_not_ended(paths, tmp_path):
    """As HAProxy's master does at each reload. It has no command line for a moment, which is long on a busy host."""
    program = tmp_path / "again"
    program.write_text('#!/bin/sh\nexec "$0"\n')
    program.chmod(0o700)
    process = HAProxyProcess(HAProxySettings.from_mapping(paths.config))
    busy = subprocess.Popen([program])
    try:
        gone = process.gone([busy.pid])
        assert not any(gone() for _ in range(3000))
        assert not process.gone([])()
    finally:
        busy.kill()
        until(gone, what="its end, whether its parent has taken note or not")
        busy.wait()
    assert gone()


def test_a_haproxy_that_was_started_otherwise_is_taken_over(paths):
    """As lighthouse 1.0 did: without a master, on the same files."""
    port = free_port()
    with backends("a", "b") as (a, b):
        paths.file.write_text(
            f"global\n\tdaemon\n\tstats socket {paths.config['socket_file']} mode 600 level admin\n"
            f"defaults\n\tmode http\n\ttimeout connect 1s\n\ttimeout client 9s\n\ttimeout server 9s\n"
            f"frontend entry\n\tbind 127.0.0.1:{port}\n\tdefault_backend web\n"
            f"backend web\n\tserver {a.node.name} 127.0.0.1:{a.port}\n"
        )
        subprocess.run(["haproxy", "-f", paths.file, "-p", paths.config["pid_file"]], check=True)
        until(lambda: get(port) == (200, "a"), what="the old HAProxy")
        old = paths.pids()
        report = balancer(paths).sync([cluster("web", None, port=port), cluster("db", [b])])
        assert report["degraded"] is None
        assert report["servers"]["web"] == {a.node.name: "up"}
        assert report["last"]["reload"].startswith("HAProxy runs a configuration that is not ours")
        until(lambda: not set(old) & set(paths.pids()), what="the end of the old HAProxy")
        assert get(port) == (200, "a")
        assert balancer(paths).sync([cluster("web", [a, b], port=port), cluster("db", [b])])["last"]["reload"] is None


def test_other_paths_need_another_process(paths):
    """A reload would read the old file again."""
    balancer(paths).sync([cluster("web", [NODE])])
    old = paths.pids()
    other = str(paths.root / "other.cfg")
    try:
        report = balancer(paths, config_file=other).sync([cluster("web", [NODE])])
        assert report["degraded"] is None
        until(lambda: not set(old) & set(paths.pids()), what="the end of the old HAProxy")
        assert report["servers"] == {"web": {NODE.name: "up"}}
        assert paths.ask("show info").startswith("Name")
    finally:
        paths.config["config_file"] = other
        paths.stop()
