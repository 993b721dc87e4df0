"""What systemd is told, see sd_notify(3). Without NOTIFY_SOCKET in the environment nothing is."""

from __future__ import annotations

import os
import socket
import time


class Notifier:
    """The notification socket of the service manager. Sending never blocks and never fails: a deaf manager is not our fault."""

    def __init__(self, address: str | None = None, watchdog: float | None = None) -> None:
        self._address = address
        self.watchdog = watchdog
        self._status = ""
        self._fed = 0.0
        # One socket for life: when descriptors are short the watchdog must still be fed.
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) if address else None

    @classmethod
    def from_environment(cls) -> Notifier:
        """The socket and the watchdog interval (seconds) that the manager passed to this very process."""
        address = os.environ.get("NOTIFY_SOCKET")
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog = int(microseconds) / 1_000_000 if microseconds.isdigit() and ours else None
        return cls(address, watchdog)

    def ready(self) -> None:
        """The start, or a reload, is complete."""
        self._send("READY=1")

    def reloading(self) -> None:
        """The configuration is being read anew."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """The loop turns. Told at a third of the interval, so that two may be lost."""
        now = time.monotonic()
        if self.watchdog and now - self._fed >= self.watchdog / 3:
            self._fed = now
            self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for ``systemctl status``; sent when it changes."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def close(self) -> None:
        """Give the descriptor back."""
        if self._sock:
            self._sock.close()

    def _send(self, state: str) -> None:
        if not self._address or not self._sock:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            self._sock.sendto(state.encode("utf-8", "backslashreplace"), address)
        except OSError:
            return
