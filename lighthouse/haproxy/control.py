"""A running HAProxy in the hands of a script or a plugin, by the names of lighthouse 1.0. The balancer itself uses `Sockets`."""

from __future__ import annotations

import csv

from lighthouse.errors import BalancerError
from lighthouse.haproxy.deadline import CALL, Deadline
from lighthouse.haproxy.errors import (
    HAProxyControlError,
    NotRunningError,
    PermissionError,  # noqa: A004  the name of lighthouse 1.0
    UnknownCommandError,
    UnknownServerError,
)
from lighthouse.haproxy.files import ConfigFile
from lighthouse.haproxy.lifecycle import Lifecycle
from lighthouse.haproxy.options import HAProxySettings
from lighthouse.haproxy.process import HAProxyProcess
from lighthouse.haproxy.running import parse_info
from lighthouse.haproxy.sockets import Sockets
from lighthouse.haproxy.versions import parsed
from lighthouse.identity import shown

TIMEOUT = 2.0  # seconds

__all__ = [
    "HAProxyControl",
    "HAProxyControlError",
    "PermissionError",
    "UnknownCommandError",
    "UnknownServerError",
]


class HAProxyControl:
    """The HAProxy that Lighthouse runs on these files.

    Every method blocks for 2 s at most, `restart` and `get_version` for 8 s. They raise `NotRunningError` where nothing listens at
    the socket, `HAProxyControlError` by its kind where HAProxy refuses a command, or another `lighthouse.errors.BalancerError`.
    """

    def __init__(self, config_file_path: str, socket_file_path: str, pid_file_path: str) -> None:
        settings = HAProxySettings.from_mapping(
            {"config_file": config_file_path, "socket_file": socket_file_path, "pid_file": pid_file_path}
        )
        self._sockets = Sockets(settings.socket_file, settings.master_socket_file)
        self._process = HAProxyProcess(settings)
        self._lifecycle = Lifecycle(self._sockets, self._process)
        self._file = ConfigFile(settings.config_file)

    def get_version(self) -> tuple[int, ...]:
        """The version of the installed program, ``(2, 6, 12)`` for instance; empty if it does not tell."""
        return parsed(self._process.version(Deadline(CALL)))

    def get_info(self) -> dict[str, str]:
        """What ``show info`` tells."""
        return parse_info(self.send_command("show info"))

    def get_active_nodes(self) -> dict[str, list[dict[str, str]]]:
        """The servers of each backend: of each, the columns of ``show stat`` by their names, such as ``svname`` and ``status``."""
        table = csv.reader(self.send_command("show stat -1 4 -1").removeprefix("# ").splitlines())
        columns = next(table, [])
        found: dict[str, list[dict[str, str]]] = {}
        for row in table:
            node = dict(zip(columns, row, strict=False))
            if name := node.pop("pxname", ""):
                found.setdefault(name, []).append(node)
        return found

    def enable_node(self, service_name: str, node_name: str) -> str:
        """Have HAProxy send connections to a server again. Lighthouse decides anew within seconds."""
        return self.send_command(f"enable server {_word(service_name)}/{_word(node_name)}")

    def disable_node(self, service_name: str, node_name: str) -> str:
        """Put a server into maintenance, until Lighthouse finds it so: within seconds, if it is a member."""
        return self.send_command(f"disable server {_word(service_name)}/{_word(node_name)}")

    def send_command(self, command: str) -> str:
        """The answer to one command of the stats socket."""
        return self._sockets.command(command.strip(), Deadline(TIMEOUT))

    def restart(self) -> None:
        """Have it run what is in the file, after ``haproxy -c`` has accepted that: by a reload, or by a start if it does not run.

        Raises `lighthouse.haproxy.errors.RejectedError` if HAProxy refuses the file.
        """
        deadline, document = Deadline(CALL), self._file.document()
        if document is None:
            raise BalancerError(f"there is no {self._file.path} that Lighthouse has written")
        self._process.check(self._file.path, document, deadline)
        try:
            self._lifecycle.reload(document, self._sockets.running(deadline), deadline)
        except NotRunningError:
            self._lifecycle.start(document, deadline, self._process.find())


def _word(name: str) -> str:
    """A name that is one word of one command. Raises `UnknownServerError` for any other: no server can be called so."""
    if not name or not name.isprintable() or not {" ", ";", "/"}.isdisjoint(name):
        raise UnknownServerError(f"there is no server {shown(name, 100)}")
    return name
