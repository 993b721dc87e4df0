"""A real checker: calls that hang, a process that is held up, ports that flap, a service without a check."""

import contextlib
import os
import signal
import socket
import threading
import time

import pytest

from support.ports import free_port
from support.site import ZOO, Web
from support.stack import Stack
from support.wait import until


@pytest.fixture
def web():
    web = Web(free_port()).start()
    yield web
    web.stop()


@pytest.fixture
def stack(tmp_path):
    settings = {
        "heartbeat": {"interval": 0.1, "deadline": 60.0},  # what is stopped here is not to be replaced
        "restart": {"base": 0.01, "cap": 0.05, "stable": 3600.0, "burst": 100000, "window": 600.0, "failing": 1.0},
    }
    stack = Stack(tmp_path, role="reporter", path=[ZOO], settings=settings)
    stack.write("discovery/dir.yaml", {"plugin": "directory", "path": str(tmp_path / "registry")})
    yield stack
    if stack.process and stack.process.poll() is None:
        stack.process.kill()
        stack.process.wait(30)


def service(stack, *ports, more=None, **checks):
    stack.write("services/web.yaml", {"ports": list(ports), "discovery": "dir", "checks": checks, **(more or {})})


def port(stack, number):
    return stack.status()["services"]["web"]["ports"][str(number)]


def state(stack, number):
    return port(stack, number)["state"]


def results(stack, number, check):
    return port(stack, number)["checks"][check]["results"]


def test_a_call_that_hangs_fails_at_its_deadline_and_delays_no_other(stack, web, tmp_path):
    control = tmp_path / "checker.control"
    other = Web(free_port()).start()
    try:
        zoo = {"uri": "/", "rise": 1, "fall": 1, "timeout": 0.3, "control": str(control)}
        service(stack, web.port, other.port, interval=0.1, zoo_http=zoo)
        stack.start().wait_up("checker/web")
        ports = (web.port, other.port)
        until(lambda: all(state(stack, number) == "up" for number in ports), what="both ports up")
        pid, log = stack.worker("checker/web")["pid"], len(stack.log("checker/web"))
        control.write_text("syscall")
        until(lambda: "hangs" in stack.log("checker/web")[log:], what="the hang to be seen")
        (hung,) = [number for number in ports if f"of port {number} hangs" in stack.log("checker/web")]
        (well,) = set(ports) - {hung}
        until(lambda: f"port {hung} of web is down" in stack.log("checker/web"), what="the failure to count")
        until(lambda: state(stack, hung) == "up", what="the next call, of a new object, to pass")
        assert f"port {well} of web is down" not in stack.log("checker/web")
        assert stack.worker("checker/web")["pid"] == pid
        assert f"check zoo_http of port {hung} is down no result within 0.3 s" in stack.log("checker/web")
    finally:
        other.stop()


def test_a_check_that_always_hangs_is_down_and_costs_a_few_threads(stack, tmp_path):
    service(stack, 1, interval=0.05, zoo_hang={"rise": 1, "fall": 8, "timeout": 0.05})
    stack.start().wait_up("checker/web")
    until(lambda: state(stack, 1) == "down", what="the port to be down, after more failures than calls")
    threads = len(os.listdir(f"/proc/{stack.worker('checker/web')['pid']}/task"))
    assert stack.log("checker/web").count("of port 1 hangs") == 3
    assert threads <= 5  # the main loop, three that hang, and one that ends


def test_a_checker_that_is_held_up_in_the_middle_of_a_call_blames_nobody(stack):
    """The answer would come in time; the process is stopped until long after its deadline."""
    asked, go_on = threading.Event(), threading.Event()

    def serve(listener):
        while True:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                if connection.recv(65536) == b"end":
                    return
                asked.set()
                go_on.wait(60)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        go_on.set()
        service(stack, number, interval=0.2, http={"uri": "/", "rise": 1, "fall": 1, "timeout": 2.0})
        stack.start().wait_up("checker/web")
        until(lambda: state(stack, number) == "up", what="the port up")
        pid = stack.worker("checker/web")["pid"]
        go_on.clear()
        asked.clear()
        assert asked.wait(60)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(3.5)  # the timeout passes, and more: this is the fault, not a wait
        go_on.set()  # an answer that is there when the process goes on, and too late by the clock
        os.kill(pid, signal.SIGCONT)
        until(
            lambda: any(result["passed"] is None for result in results(stack, number, "http")),
            what="a result that counts for nothing",
        )
        until(lambda: results(stack, number, "http")[-1]["passed"], what="results that count again")
        until(lambda: stack.state("checker/web") == "up", what="the end of the warning")
        assert state(stack, number) == "up"
        log = stack.log("checker/web")
        assert f"port {number} of web is down" not in log
        assert "starved: this process was late itself" in log
        stack.stop()
        with socket.create_connection(("127.0.0.1", number)) as last:
            last.sendall(b"end")
            thread.join(60)


def test_a_port_that_flaps_is_held_down_over_a_replacement_until_it_is_calm(stack, web):
    flap = {"changes": 3, "window": 600, "calm": 3}
    service(stack, web.port, more={"flap": flap}, interval=0.05, http={"uri": "/", "rise": 1, "fall": 1})
    stack.start().wait_up("checker/web")
    number = web.port
    until(lambda: state(stack, number) == "up", what="the port up")
    web.stop()
    until(lambda: state(stack, number) == "down", what="the port down")
    web.start()
    until(lambda: state(stack, number) == "up", what="the port up again: two changes")
    web.stop()
    until(lambda: port(stack, number)["flap"]["held"], what="the third change to be too much")
    assert port(stack, number)["flap"]["changes"] == 3
    web.start()
    until(lambda: port(stack, number)["verdict"] == "up", what="the checks to pass")
    held = port(stack, number)
    assert (held["state"], held["flap"]["held"]) == ("down", True)
    os.kill(stack.worker("checker/web")["pid"], signal.SIGKILL)
    stack.wait_up("checker/web")
    seen = stack.log("checker/web").count("is calm again")
    until(lambda: state(stack, number) == "up", what="the port to be let go")
    assert stack.log("checker/web").count("is calm again") == seen + 1
    assert port(stack, number)["flap"] == {"held": False, "changes": 0, "times": []}


def test_a_service_without_a_check_is_up_and_warned_of(stack, web, tmp_path):
    service(stack, web.port, interval=1)
    stack.start().wait_up("checker/web")
    until(lambda: state(stack, web.port) == "up", what="the port up")
    until((tmp_path / "registry" / "web" / f"testhost:{web.port}").exists, what="the announcement")
    assert "no check is configured" in stack.log("checker/web")


def test_a_check_that_cannot_be_made_changes_nothing_and_is_told(stack, web, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("once")
    service(stack, web.port, interval=0.1, zoo_secret={"rise": 1, "fall": 1, "password_file": str(secret)})
    stack.start().wait_up("checker/web")
    until(lambda: state(stack, web.port) == "up", what="the port up")
    secret.unlink()
    until(lambda: stack.state("checker/web") == "degraded", what="the complaint")
    assert str(secret) in stack.worker("checker/web")["reason"]
    assert state(stack, web.port) == "up"
    secret.write_text("again")
    until(lambda: stack.state("checker/web") == "up", what="the end of it")
