"""The health check that runs a command."""

from __future__ import annotations

import errno
import os
import selectors
import shlex
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar

from lighthouse.check import Check
from lighthouse.checks.deadline import Deadline
from lighthouse.checks.shortage import shortage
from lighthouse.checks.values import Given, Value, check_value, values_of
from lighthouse.errors import ConfigError, ResourceError
from lighthouse.identity import escaped, shown
from lighthouse.options import Option

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
KEPT = 4096  # bytes of output, the last ones
READ_SIZE = 64 * 1024
SHOWN = 150  # characters of its last line


class ExecCheck(Check):
    """Passes when the command ends with exit code 0 in time.

    It runs in a process group of its own, all of which is killed at the deadline, and once the command itself has ended: what it
    left behind would be left behind again with every check. A shell takes part only where it is asked for.
    """

    options: ClassVar[Mapping[str, Option] | None] = {
        "command": Option(
            list[str] | str, "the command with its arguments; text is split as a shell would, without one"
        ),
        "shell": Option(bool, "hand the command, which must be text, to /bin/sh", default=False),
        "environment": Option(
            dict[str, Given] | None,
            "variables for the command; a secret one as {file: PATH} or {env: NAME}",
            default=None,
        ),
        "user": Option(str | None, "run as this user; needs root", default=None),
        "directory": Option(str, "the directory in which it runs", default="/"),
    }

    reason: str = ""
    user: str | None = None
    directory: str = "/"

    @classmethod
    def validate_check_config(cls, config: dict[str, Any]) -> None:
        """Refuse a command that cannot be one; whether it is there shows when it is run."""
        command, shell = config["command"], config["shell"]
        if shell and not isinstance(command, str):
            raise ConfigError("is a list, and `shell` needs text: remove one or change the other", ("command",))
        try:
            words = _words(command, shell=shell)
        except ValueError as error:
            raise ConfigError(
                f"cannot be split into words: {error}: correct it, or write a list", ("command",)
            ) from None
        if not words or not words[0].strip() or any("\0" in word for word in words):
            raise ConfigError("names no command", ("command",))
        for name, given in (config["environment"] or {}).items():
            key = ("environment", name)
            if not name or "=" in name or "\0" in name:
                raise ConfigError("is not the name of a variable", key)
            if name.startswith("LIGHTHOUSE_"):
                raise ConfigError("is set by the check itself: choose another name", key)
            check_value(given, key)
            if isinstance(given, str) and "\0" in given:
                raise ConfigError("holds a zero byte", key)
        if not config["directory"].startswith("/") or "\0" in config["directory"]:
            raise ConfigError("must be an absolute path", ("directory",))

    def apply_check_config(self, config: dict[str, Any]) -> None:
        """Take over the command."""
        self.words = _words(config["command"], shell=config.get("shell", False))
        self.variables: Mapping[str, Value] = values_of(config.get("environment"), "environment")
        self.user = config.get("user")
        self.directory = config.get("directory", "/")

    def perform(self) -> bool:
        """Run it once. Blocks for at most ``timeout`` seconds, and for the kernel to end what is killed.

        Raises `ResourceError` when this host has not what that takes.
        """
        try:
            return self._run(Deadline(self.timeout), self.environment())
        except OSError as error:
            raise shortage(error) or error from None

    def _run(self, deadline: Deadline, environment: Mapping[str, str]) -> bool:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        try:
            try:
                process = self._start(environment, writing)
            except OSError as error:
                if lack := shortage(error, errno.EAGAIN):  # no more processes for this user or this unit, see fork(2)
                    raise lack from None
                self.reason = f"cannot be started: {error.strerror}"
                return False
            finally:
                os.close(writing)
            try:
                output = _collected(process, reading, deadline)
            except TimeoutError:
                self.reason = f"did not end within {self.timeout:g} s, and was killed"
                return False
            finally:
                _end(process)
        finally:
            os.close(reading)
        self.reason = ": ".join(filter(None, [_verdict(process.returncode), _last_line(output)]))
        return process.returncode == 0

    def environment(self) -> dict[str, str]:
        """Nothing of Lighthouse's own environment. Raises `ResourceError` when a secret cannot be had."""
        return {
            "PATH": PATH,
            "LANG": "C.UTF-8",
            **{name: value.read() for name, value in self.variables.items()},
            "LIGHTHOUSE_SERVICE": self.service,
            "LIGHTHOUSE_HOST": self.host,
            "LIGHTHOUSE_PORT": str(self.port),
            "LIGHTHOUSE_TIMEOUT": f"{self.timeout:g}",
        }

    def _start(self, environment: Mapping[str, str], output: int) -> subprocess.Popen[bytes]:
        """Raises `OSError`, and `ResourceError` for a user that there is not or that one may not become."""
        group = _group(self.user) if self.user else None
        try:
            return subprocess.Popen(
                self.words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                cwd=self.directory,
                process_group=0,
                user=self.user,
                group=group,
                extra_groups=[] if self.user else None,
            )
        except PermissionError:
            if self.user and os.getuid() != 0:
                raise ResourceError(
                    f"user: only root can run a command as {shown(self.user)}: remove the key"
                ) from None
            raise
        except ValueError as error:  # a zero byte in a secret
            raise ResourceError(f"environment: {error}") from None


def _words(command: list[str] | str, *, shell: bool) -> list[str]:
    if shell:
        return ["/bin/sh", "-c", str(command)] if str(command).strip() else []
    return shlex.split(command) if isinstance(command, str) else list(command)


def _group(user: str) -> int:
    """The user's own group."""
    import pwd

    try:
        return pwd.getpwnam(user).pw_gid
    except KeyError:
        raise ResourceError(f"user: there is no user {shown(user)} on this host: create it") from None


def _collected(process: subprocess.Popen[bytes], output: int, deadline: Deadline) -> bytes:
    """The end of what it wrote, once it has ended; descendants may keep the pipe open for ever. Raises `TimeoutError`."""
    kept = b""
    pidfd = os.pidfd_open(process.pid)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            selector.register(pidfd, selectors.EVENT_READ)
            ended = closed = False
            while not ended:
                ended = any(key.fd == pidfd for key, _ in selector.select(deadline.remaining()))
                data = b"" if closed else _read(output)
                if data == b"" and not closed:
                    closed = True
                    selector.unregister(output)
                kept = (kept + (data or b""))[-KEPT:]
    finally:
        os.close(pidfd)
    return kept


def _read(output: int) -> bytes | None:
    """What a pipe holds at most, so that whoever writes without end does not keep us from the clock; None where nothing waits."""
    try:
        return os.read(output, READ_SIZE)
    except BlockingIOError:
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the group. The command is not waited for before: its zombie keeps the group's number from others."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _verdict(code: int) -> str:
    if code >= 0:
        return f"exit code {code}" if code else ""
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _last_line(output: bytes) -> str:
    """The last line that says something, without anything that could steer a terminal."""
    lines = output.decode(errors="replace").strip().splitlines()
    return escaped(lines[-1], SHOWN) if lines else ""
