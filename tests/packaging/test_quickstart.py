"""The quickstart as a newcomer runs it: real instances, a real supervisor, a real HAProxy."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

import psutil
import pytest

from support.ports import free_port
from support.wait import until

RUN = Path(__file__).parents[2] / "examples" / "quickstart" / "run.py"

pytestmark = pytest.mark.skipif(
    shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin") is None, reason="needs haproxy"
)


@pytest.fixture
def home():
    """Short, because the path of a UNIX socket may have 107 bytes only."""
    with tempfile.TemporaryDirectory(prefix="lh", dir="/tmp") as directory:
        yield Path(directory)


class Quickstart:
    def __init__(self, home, base):
        self.base, self.lines = base, []
        self.process = subprocess.Popen(
            [sys.executable, str(RUN)],
            env={**os.environ, "XDG_RUNTIME_DIR": str(home), "QUICKSTART_PORT": str(base)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.reader = threading.Thread(target=lambda: self.lines.extend(iter(self.process.stdout.readline, "")))
        self.reader.start()

    def running(self):
        until(lambda: "Ctrl-C ends" in self.output or self.process.poll() is not None, within=120, what="the start")
        assert self.process.poll() is None, self.output
        return self

    @property
    def output(self):
        return "".join(self.lines)

    def end(self, number):
        self.process.send_signal(number)
        self.process.wait(60)
        self.reader.join()
        self.process.stdout.close()
        return self.process.returncode


@pytest.fixture
def quickstart(home):
    base = free_port()
    started = []

    def start():
        started.append(Quickstart(home, base))
        return started[-1]

    yield start
    for item in started:
        if item.process.poll() is None:
            item.end(signal.SIGTERM)
    until(lambda: not ours(home), what="the end of everything that was started")


def ours(home):
    """What runs with the quickstart's directory on its command line, zombies aside."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        if process.info["status"] != psutil.STATUS_ZOMBIE and str(home) in " ".join(process.info["cmdline"] or []):
            found.append(process)
    return found


def get(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        return answer.read().decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_and_ends_with_all_that_it_started(quickstart, home, number):
    running = quickstart().running()
    answers = {get(running.base + 80).partition(",")[0] for _ in range(6)}
    assert answers == {f"web on port {running.base + offset}" for offset in (1, 2, 3)}
    assert ours(home)
    assert running.end(number) == 0
    assert not ours(home)
    for offset in (1, 2, 3, 80):
        with pytest.raises(OSError, match="refused"):
            get(running.base + offset)


def test_a_start_after_a_kill_cleans_up_first(quickstart):
    first = quickstart().running()
    first.end(signal.SIGKILL)
    assert get(first.base + 80)  # HAProxy and the instances have survived
    second = quickstart().running()
    assert get(second.base + 80)


def test_a_second_one_is_refused(quickstart):
    quickstart().running()
    second = quickstart()
    assert second.process.wait(60) == 1
    second.reader.join()
    assert "runs already" in second.output
    second.process.stdout.close()


def test_a_port_that_is_taken_is_told_with_who_has_it(home):
    base = free_port()
    holder = subprocess.Popen(
        [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(base + 2)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: psutil.Process(holder.pid).net_connections(), what="the holder of the port")
        result = subprocess.run(
            [sys.executable, str(RUN)],
            env={**os.environ, "XDG_RUNTIME_DIR": str(home), "QUICKSTART_PORT": str(base)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        holder.kill()
        holder.wait()
    assert result.returncode == 1
    assert f"port {base + 2} cannot be used" in result.stderr
    assert f"pid {holder.pid}" in result.stderr
    assert "QUICKSTART_PORT" in result.stderr


def test_a_directory_of_someone_else_is_refused(home):
    (home / f"lighthouse-quickstart-{os.getuid()}-19000").mkdir(mode=0o755)
    result = subprocess.run(
        [sys.executable, str(RUN)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(home), "QUICKSTART_PORT": "19000"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert "not a private directory" in result.stderr
