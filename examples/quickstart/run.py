"""The quickstart: three instances of a web service, and Lighthouse keeping one HAProxy in front of them right.

`make run` starts it in the project's virtual environment. Everything it writes is in one private directory, everything listens
on 127.0.0.1 only, and Ctrl-C ends all that it started. The ports are 8001 to 8003 and 8080; QUICKSTART_PORT, 8000 by default,
moves them all.
"""

from __future__ import annotations

import fcntl
import http.client
import os
import shutil
import signal
import socket
import stat
import string
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

import processes

HERE = Path(__file__).resolve().parent
LIGHTHOUSE = Path(sys.executable).with_name("lighthouse")
PATIENCE = 60.0  # seconds until every instance must have answered by way of HAProxy


class QuickstartError(Exception):
    """What keeps the quickstart from running, in words for the one who started it."""


@dataclass(frozen=True)
class Place:
    """The ports and the private directory of one quickstart."""

    base: int

    @property
    def home(self) -> Path:
        """The directory that holds everything that is written."""
        parent = os.environ.get("XDG_RUNTIME_DIR") or "/tmp"
        return Path(parent) / f"lighthouse-quickstart-{os.getuid()}-{self.base}"

    @property
    def instances(self) -> list[int]:
        """The ports of the web service."""
        return [self.base + number for number in (1, 2, 3)]

    @property
    def proxy(self) -> int:
        """The port of HAProxy."""
        return self.base + 80

    @property
    def socket(self) -> Path:
        """The supervisor's control socket."""
        return self.home / "run" / "control.sock"

    @property
    def pids(self) -> Path:
        """What is remembered of the processes that were started."""
        return self.home / "pids"


def main() -> int:
    """Run until Ctrl-C or SIGTERM."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts jobs in the background with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    try:
        place = Place(base_port())
        with locked(place):
            clean_up(place)
            try:
                return run(place)
            finally:
                for number in (signal.SIGINT, signal.SIGTERM):  # the rest takes a moment and must be done
                    signal.signal(number, signal.SIG_IGN)
                clean_up(place)
                say("Everything that this quickstart started has ended.")
    except QuickstartError as error:
        sys.stderr.write(f"quickstart: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 0


def run(place: Place) -> int:
    """Start everything, show it, and wait."""
    for port in [*place.instances, place.proxy]:
        require_free(port)
    prepare(place)
    instances = {
        port: start(place, f"web-{port}", [sys.executable, str(HERE / "web.py"), str(port)]) for port in place.instances
    }
    directories = ["--runtime-dir", str(place.socket.parent), "--log-dir", str(place.home / "logs")]
    supervisor = start(place, "supervisor", [str(LIGHTHOUSE), "run", str(place.home / "config"), *directories])
    wait_until_answered(place, supervisor)
    explain(place, instances, supervisor)
    while supervisor.poll() is None:
        for process in instances.values():
            process.poll()  # so that an instance that was killed does not stay a zombie
        time.sleep(0.2)
    raise QuickstartError(
        f"the supervisor ended with code {supervisor.returncode}; its output is {place.home / 'supervisor.out'}"
    )


def base_port() -> int:
    """The number that all ports are counted from."""
    text = os.environ.get("QUICKSTART_PORT", "8000")
    if not text.isdigit() or not 0 < int(text) <= 65535 - 80:
        raise QuickstartError(f"QUICKSTART_PORT is {text!r}; give a number from 1 to {65535 - 80}")
    return int(text)


def locked(place: Place) -> IO[str]:
    """Make the private directory, and make sure that no second quickstart uses it. The lock ends with this process."""
    try:
        place.home.mkdir(mode=0o700)
    except FileExistsError:
        found = place.home.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise QuickstartError(
                f"{place.home} is not a private directory of this user: remove it, or set XDG_RUNTIME_DIR"
            ) from None
    lock = (place.home / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise QuickstartError("it runs already; set QUICKSTART_PORT to another number to run a second one") from None
    return lock


def clean_up(place: Place) -> None:
    """End what this quickstart, or an earlier one that was killed, has started: the supervisor first, then HAProxy."""
    for pattern, patience in (("supervisor", 20.0), ("web-*", 2.0)):
        found = [processes.remembered(file) for file in place.pids.glob(pattern)]
        processes.end([pid for pid in found if pid is not None], patience=patience)
        if pattern == "supervisor":
            end_haproxy(place)
    shutil.rmtree(place.pids, ignore_errors=True)


def end_haproxy(place: Place) -> None:
    """HAProxy is built to outlive Lighthouse; here it must not."""
    processes.end(processes.named_by(place.home / "haproxy.pid", place.home / "haproxy.cfg"), patience=5.0)


def require_free(port: int) -> None:
    """Fail early and clearly if something else listens on a port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise QuickstartError(
                f"port {port} cannot be used ({error.strerror}; it is held by {processes.holder(port)}): end that, "
                "or set QUICKSTART_PORT, e.g. QUICKSTART_PORT=18000 make run"
            ) from None


def prepare(place: Place) -> None:
    """Write the configuration with its absolute paths, and begin with an empty registry."""
    for name in ("config", "registry", "run", "logs"):
        shutil.rmtree(place.home / name, ignore_errors=True)
    for name in ("haproxy.cfg", "haproxy.sock", "haproxy.pid"):
        (place.home / name).unlink(missing_ok=True)
    for name in ("registry", "run", "logs", "pids"):
        (place.home / name).mkdir(mode=0o700)
    first, second, third = place.instances
    values = {
        "home": place.home,
        "proxy_port": place.proxy,
        "first_port": first,
        "second_port": second,
        "third_port": third,
    }
    for source in (HERE / "config").rglob("*.yaml"):
        target = place.home / source.relative_to(HERE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(string.Template(source.read_text()).substitute(values))


def start(place: Place, name: str, command: list[str]) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, so that Ctrl-C reaches this one only, which then ends them in order."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"  # where Debian puts haproxy, and users do not look
    with (place.home / f"{name}.out").open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PATH": path},
        )
    processes.remember(process.pid, place.pids / name)
    return process


def wait_until_answered(place: Place, supervisor: subprocess.Popen[bytes]) -> None:
    """Ask HAProxy until each instance has answered once."""
    missing = set(place.instances)
    deadline = time.monotonic() + PATIENCE
    while missing:
        if supervisor.poll() is not None or time.monotonic() > deadline:
            give_up(place, missing, supervisor.returncode)
        answer = ask(place.proxy)
        missing -= {port for port in missing if f"port {port}," in answer}
        if not answer:
            time.sleep(0.05)


def give_up(place: Place, missing: set[int], code: int | None) -> NoReturn:
    """Say as much as is known about why nothing came."""
    output = (place.home / "supervisor.out").read_text(errors="replace")[-2000:]
    what = (
        f"did not answer through port {place.proxy} within {PATIENCE:g} s"
        if code is None
        else f"cannot: lighthouse ended with {code}"
    )
    raise QuickstartError(
        f"instances {sorted(missing)} {what}; the logs are in {place.home / 'logs'}\n{output}".rstrip()
    )


def ask(port: int) -> str:
    """One request; "" if it was not answered well."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        return response.read().decode() if response.status == http.HTTPStatus.OK else ""
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


def explain(place: Place, instances: dict[int, subprocess.Popen[bytes]], supervisor: subprocess.Popen[bytes]) -> None:
    """What runs, and what to try."""
    ctl = f"{LIGHTHOUSE} ctl --socket {place.socket}"
    port, victim = next(iter(instances.items()))
    say(f"""
HAProxy answers on http://127.0.0.1:{place.proxy}/ for the web service on ports {", ".join(map(str, instances))}.
The supervisor is process {supervisor.pid}; configuration, registry and logs are in {place.home}.

Try, in another terminal:
  curl http://127.0.0.1:{place.proxy}/     again and again: each instance answers in turn
  {ctl} status
  kill {victim.pid}     the instance on port {port} ends, and a moment later it is out of HAProxy
  {ctl} stop checker/web     nobody checks any more, and the traffic goes on

Ctrl-C ends all of it.""")


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
