"""Real processes: what a forked worker inherits, and how it ends."""

import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from lighthouse.ipc.boot import Boot
from lighthouse.supervisor import process
from support.wait import until

BOOT = Boot("checker/web", "checker", 1, b"")


@pytest.fixture
def forked():
    children = []

    def fork(main, owner=None):
        child = process.fork(main, BOOT, owner)
        children.append(child)
        return child

    yield fork
    for child in children:
        child.sock.close()
        try:
            process.kill(child)
            process.reap(child)
        except (OSError, ChildProcessError):
            pass  # the test reaped it


def says(child):
    child.sock.settimeout(30)
    with child.sock.makefile("rb") as file:
        return file.read().decode()


def wait_ended(child):
    until(lambda: process.ended(child), what="the end of the child")


def test_a_child_has_no_descriptor_but_the_standard_ones_and_its_socket(forked, tmp_path):
    spare = [(tmp_path / str(number)).open("w") for number in range(20)]
    listener = socket.socket()

    def main(_boot, sock):
        fds = sorted(int(name) for name in os.listdir("/proc/self/fd"))
        alive = [fd for fd in fds if fd > 2 and fd != sock.fileno() and os.path.exists(f"/proc/self/fd/{fd}")]
        sock.sendall(repr(alive).encode())
        return 0

    with listener:
        child = forked(main, (spare, listener))
        assert says(child) == "[]"
    for file in spare:
        file.close()


def test_inherited_objects_never_close_a_descriptor_of_the_child(forked, tmp_path):
    class Owner:
        def __init__(self):
            self.files = [(tmp_path / str(number)).open("w") for number in range(20)]
            self.me = self  # a cycle, which only the collector could take apart

    owner = Owner()

    def main(_boot, sock):
        import gc

        mine = [os.open(os.devnull, os.O_RDONLY) for _ in range(20)]
        gc.collect()
        sock.sendall(b"open" if all(os.fstat(fd) for fd in mine) else b"closed")
        return 0

    child = forked(main, owner)
    assert says(child) == "open"
    for file in owner.files:
        file.close()


def test_a_child_leads_a_session_and_hears_no_signal_handler_of_the_parent(forked, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:

        def main(_boot, sock):
            default = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
            sock.sendall(
                f"{os.getsid(0) == os.getpid()} {default} {len(blocked)} {'NOTIFY_SOCKET' in os.environ}".encode()
            )
            return 0

        assert says(forked(main)) == "True True 0 False"
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("main", "how", "code"),
    [
        (lambda _boot, _sock: 0, "exit code 0", 0),
        (lambda _boot, _sock: 78, "exit code 78", 78),
        (lambda _boot, _sock: os.kill(os.getpid(), signal.SIGSEGV), "killed by SIGSEGV", None),
        (lambda _boot, _sock: sys.exit(5), "exit code 70", 70),
    ],
)
def test_the_end_is_told_in_words(forked, main, how, code):
    child = forked(main)
    wait_ended(child)
    assert process.reap(child) == process.Ended(how, code)


def test_children_of_a_worker_end_with_it_even_when_it_is_stopped(forked):
    def main(_boot, sock):
        inner = subprocess.Popen(["sleep", "1000"])
        sock.sendall(str(inner.pid).encode() + b"\n")
        os.kill(os.getpid(), signal.SIGSTOP)
        return 0

    child = forked(main)
    child.sock.settimeout(30)
    grandchild = psutil.Process(int(child.sock.recv(100)))
    process.kill(child)
    wait_ended(child)
    assert process.reap(child).how == "killed by SIGKILL"
    until(
        lambda: not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE, what="end of the grandchild"
    )


def test_children_of_a_worker_that_died_by_itself_end_too(forked):
    def main(_boot, sock):
        inner = subprocess.Popen(["sleep", "1000"])
        sock.sendall(str(inner.pid).encode() + b"\n")
        os.kill(os.getpid(), signal.SIGSEGV)

    child = forked(main)
    child.sock.settimeout(30)
    grandchild = psutil.Process(int(child.sock.recv(100)))
    wait_ended(child)
    process.reap(child)
    until(
        lambda: not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE, what="end of the grandchild"
    )


def test_a_worker_ends_with_its_supervisor():
    script = (
        "import os, time\n"
        "from lighthouse.ipc.boot import Boot\n"
        "from lighthouse.supervisor import process\n"
        "child = process.fork(lambda boot, sock: time.sleep(1000), Boot('checker/web', 'checker', 1, b''), None)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(1000)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        worker = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        parent.wait(30)
        until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, what="end of the worker")


def test_a_signal_to_a_process_that_has_ended_hits_nobody(forked):
    child = forked(lambda _boot, _sock: 0)
    wait_ended(child)
    process.send_signal(child, signal.SIGUSR1)
    process.kill(child)


def test_it_refuses_to_fork_with_threads(forked):
    import threading

    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    try:
        with pytest.raises(RuntimeError, match="threads"):
            forked(lambda _boot, _sock: 0)
    finally:
        release.set()
        thread.join()


def test_no_descriptor_and_no_zombie_is_left_by_two_hundred_lives(forked):
    mine = psutil.Process()
    before = mine.num_fds()
    for _ in range(200):
        child = forked(lambda _boot, _sock: 0)
        wait_ended(child)
        process.reap(child)
        child.sock.close()
    assert mine.num_fds() == before
    assert [one for one in mine.children() if one.status() == psutil.STATUS_ZOMBIE] == []


def test_strangers_are_reaped_and_known_children_are_left(forked):
    known = forked(lambda _boot, _sock: 0)
    wait_ended(known)
    stranger = os.fork()
    if stranger == 0:
        os._exit(7)
    deadline = time.monotonic() + 30
    while (
        time.monotonic() < deadline
        and psutil.pid_exists(stranger)
        and psutil.Process(stranger).status() != psutil.STATUS_ZOMBIE
    ):
        time.sleep(0.01)
    assert process.reap(known).code == 0
    assert process.reap_strangers(frozenset()) == 1
    assert process.reap_strangers(frozenset()) == 0
