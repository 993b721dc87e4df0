"""Start, stop, titles, logs, and what the service manager sees, of a real supervisor."""

import os
import re
import signal
import socket
import subprocess

import psutil
import pytest

from support.ports import free_port
from support.site import ZOO, Web, alive
from support.stack import Stack
from support.wait import until


@pytest.fixture
def web():
    web = Web(free_port()).start()
    yield web
    web.stop()


@pytest.fixture
def stack(tmp_path, web):
    stack = Stack(tmp_path, role="reporter", path=[ZOO], settings={"logs": {"max_bytes": 100_000, "backups": 40}})
    stack.write("discovery/dir.yaml", {"plugin": "directory", "path": str(tmp_path / "registry")})
    stack.write(
        "services/web.yaml",
        {
            "port": web.port,
            "discovery": "dir",
            "checks": {
                "interval": 0.2,
                "zoo_http": {"uri": "/", "rise": 1, "fall": 2, "control": str(tmp_path / "checker.control")},
            },
        },
    )
    yield stack
    if stack.process and stack.process.poll() is None:
        stack.process.kill()
        stack.process.wait(30)


def misbehave(stack, what):
    new = stack.root / "checker.new"
    new.write_text(what)
    new.replace(stack.root / "checker.control")


def test_processes_are_named_for_what_they_do(stack):
    stack.start().wait_up("checker/web", "discovery/dir")
    wanted = {"lighthouse: checker/web", "lighthouse: discovery/dir"}
    # Now and then a configuration worker runs beside them, which is named for what it does too.
    until(lambda: {" ".join(one.cmdline()).strip() for one in stack.workers_of()} == wanted, what=f"{wanted}")
    assert " ".join(psutil.Process(stack.process.pid).cmdline()).strip() == "lighthouse: supervisor"


def test_sigterm_stops_in_order_and_withdraws_nothing(stack, tmp_path, web):
    stack.start().wait_up("checker/web", "discovery/dir")
    node = tmp_path / "registry" / "web" / f"testhost:{web.port}"
    until(node.exists, what="the announcement")
    workers = stack.workers_of()
    assert stack.stop() == 0
    assert not any(alive(worker) for worker in workers)
    assert node.exists()
    assert not stack.socket_path.exists()


def test_ctrl_c_does_the_same(stack):
    stack.start().wait_up("checker/web")
    os.kill(stack.process.pid, signal.SIGINT)
    assert stack.process.wait(30) == 0


@pytest.mark.parametrize("fault", ["gil", "stop"])
def test_a_hung_worker_cannot_hold_up_the_stop(stack, fault):
    stack.settings["deadlines"] = {"hello": 60, "call": 60, "stop": 2.0, "hurry": 0.5}
    stack.settings["heartbeat"] = {"interval": 0.1, "deadline": 60}
    stack.write("lighthouse.yaml", stack.settings)
    stack.start().wait_up("checker/web")
    misbehave(stack, fault)
    until(lambda: not (stack.root / "checker.control").exists(), what="the hang to begin")
    os.kill(stack.process.pid, signal.SIGTERM)
    assert stack.process.wait(60) == 0
    assert "did not stop in time" in stack.log("supervisor")


def test_a_second_sigterm_hurries(stack):
    stack.settings["deadlines"] = {"hello": 60, "call": 60, "stop": 300.0, "hurry": 0.3}
    stack.settings["heartbeat"] = {"interval": 0.1, "deadline": 60}
    stack.write("lighthouse.yaml", stack.settings)
    stack.start().wait_up("checker/web")
    misbehave(stack, "stop")
    until(lambda: not (stack.root / "checker.control").exists(), what="the hang to begin")
    os.kill(stack.process.pid, signal.SIGTERM)
    until(lambda: stack.status()["supervisor"]["stopping"], what="the stop to begin")
    os.kill(stack.process.pid, signal.SIGTERM)
    assert stack.process.wait(100) == 0  # far less than the 300 s that it would have waited


def test_operators_stop_start_restart_and_look_into_a_worker(stack):
    stack.start().wait_up("checker/web")
    first = stack.worker("checker/web")
    stack.ask("restart", worker="checker/web")
    until(lambda: stack.worker("checker/web")["generation"] == first["generation"] + 1, what="the restart")
    stack.wait_up("checker/web")
    stack.ask("stop", worker="checker/web")
    until(lambda: stack.state("checker/web") == "stopped", what="the stop")
    assert stack.status()["services"]["web"]["held"]
    stack.ask("start", worker="checker/web")
    stack.wait_up("checker/web")
    answer = stack.ask("dump", worker="checker/web")["result"]
    until(lambda: "most recent call first" in stack.log("checker/web")[answer["offset"] :], what="the stacks")
    assert stack.state("checker/web") == "up"


def test_logs_of_plugins_are_rotated_without_losing_a_line(stack):
    stack.start().wait_up("checker/web")
    misbehave(stack, "flood")
    folder = stack.runtime / "logs"

    def numbers():
        text = "".join(path.read_text(errors="replace") for path in folder.glob("checker-web.log*"))
        return re.findall(r"^flood (\d{6}) x{100}$", text, re.MULTILINE)

    wanted = [f"{number:06d}" for number in range(6000)]
    # A file that is renamed while the folder is read is seen twice or not at all, so the picture settles after the flood.
    until(lambda: sorted(numbers()) == wanted, within=60, what="every line exactly once")
    until((folder / "checker-web.log.1").exists, what="a rotated file")


def test_prints_and_tracebacks_of_a_plugin_are_in_its_log(stack):
    stack.start().wait_up("checker/web")
    misbehave(stack, "segv")
    until(lambda: "Segmentation fault" in stack.log("checker/web"), what="the traceback of a crash in C")
    assert "zoo: segv" in stack.log("checker/web")


def test_the_service_manager_is_told_and_fed(stack, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        heard = []

        def hear(wanted):
            while not any(wanted in text for text in heard):
                heard.append(manager.recv(4096).decode())
            heard.clear()

        stack.start(wait=False, env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "600000"})
        hear("READY=1")
        assert stack.answers(), "ready means that the control socket answers"
        hear("STATUS=2/2 workers up")
        hear("WATCHDOG=1")
        hear("WATCHDOG=1")
        os.kill(stack.process.pid, signal.SIGHUP)
        hear("RELOADING=1\nMONOTONIC_USEC=")
        hear("READY=1")
        os.kill(stack.process.pid, signal.SIGTERM)
        hear("STOPPING=1")
    assert stack.process.wait(30) == 0


def test_a_hung_worker_does_not_starve_the_watchdog(stack, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        stack.settings["heartbeat"] = {"interval": 0.1, "deadline": 60}
        stack.write("lighthouse.yaml", stack.settings)
        stack.start(env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"})
        stack.wait_up("checker/web")
        misbehave(stack, "stop")
        until(lambda: not (stack.root / "checker.control").exists(), what="the hang to begin")
        fed = 0
        while fed < 5:
            fed += manager.recv(4096) == b"WATCHDOG=1"
    assert stack.state("checker/web") == "up"


def test_a_full_disk_for_the_kept_state_is_told_and_survived(stack):
    if (
        os.getuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", _folder(stack)], check=False).returncode
    ):
        pytest.skip("only root can mount a small file system")
    try:
        stack.start().wait_up("checker/web")
        (stack.runtime / "fill").write_bytes(b"x" * 20_000)
        with (stack.runtime / "fill").open("ab", buffering=0) as fill:
            try:
                while True:
                    fill.write(b"x" * 1024)
            except OSError:
                pass
        stack.ask("restart", worker="checker/web")
        stack.wait_up("checker/web")
        os.kill(stack.worker("discovery/dir")["pid"], signal.SIGKILL)
        until(lambda: stack.worker("discovery/dir")["generation"] > 1, what="a replacement")
        stack.wait_up("discovery/dir")
        assert stack.stop() == 0
    finally:
        subprocess.run(["umount", "-l", str(stack.runtime)], check=True)


def _folder(stack):
    stack.runtime.mkdir()
    return str(stack.runtime)


def test_what_is_preloaded_starts_no_thread_and_opens_nothing():
    script = (
        "import os, threading, signal\n"
        "before = sorted(os.listdir('/proc/self/fd'))\n"
        "handlers = [signal.getsignal(n) for n in signal.valid_signals() if n not in (9, 19)]\n"
        "from lighthouse import preload\n"
        "preload.preload()\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
        "assert sorted(os.listdir('/proc/self/fd')) == before\n"
        "assert handlers == [signal.getsignal(n) for n in signal.valid_signals() if n not in (9, 19)]\n"
        "import sys\n"
        "assert 'pydantic' not in sys.modules and 'yaml' not in sys.modules\n"
    )
    subprocess.run([__import__("sys").executable, "-c", script], check=True, timeout=60)
