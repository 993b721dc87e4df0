"""What the service manager is told, heard on a real socket."""

import socket

import pytest

from lighthouse.supervisor.notify import Notifier


@pytest.fixture
def made():
    notifiers = []

    def make(*arguments, **named):
        notifiers.append(Notifier(*arguments, **named))
        return notifiers[-1]

    yield make
    for notifier in notifiers:
        notifier.close()


@pytest.fixture(params=["path", "abstract"])
def heard(request, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        if request.param == "path":
            sock.bind(str(tmp_path / "notify"))
            address = str(tmp_path / "notify")
        else:
            sock.bind("")  # the kernel picks an abstract name
            address = "@" + sock.getsockname()[1:].decode()
        sock.settimeout(10)
        yield address, lambda: sock.recv(4096).decode()


def test_each_state_is_one_datagram(heard, made):
    address, receive = heard
    notifier = made(address, watchdog=30.0)
    notifier.ready()
    assert receive() == "READY=1"
    notifier.reloading()
    assert receive().startswith("RELOADING=1\nMONOTONIC_USEC=")
    notifier.status("3/3 workers up")
    notifier.status("3/3 workers up")
    notifier.alive()
    assert [receive(), receive()] == ["STATUS=3/3 workers up", "WATCHDOG=1"]
    notifier.alive()
    notifier.stopping()
    assert receive() == "STOPPING=1"


def test_nobody_to_tell_is_no_error(tmp_path, made):
    made().ready()
    made(str(tmp_path / "gone")).ready()


def test_the_environment_of_another_process_is_not_ours(monkeypatch):
    monkeypatch.setattr(Notifier, "__init__", lambda self, address, watchdog: setattr(self, "watchdog", watchdog))
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/x")
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    assert Notifier.from_environment().watchdog == 30.0
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert Notifier.from_environment().watchdog is None
