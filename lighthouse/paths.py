"""Where the supervisor and `lighthouse ctl` meet when nobody says otherwise.

Standard library only: `lighthouse ctl` imports it on each start.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from lighthouse.errors import LighthouseError
from lighthouse.role import Role

SYSTEM = Path("/run/lighthouse")
SYSTEM_USERS = ("root", "lighthouse")
SOCKET = "control.sock"


class PathError(LighthouseError):
    """No safe default directory exists for this user; the text says what to set."""


def runtime_dir(role: Role = Role.ALL) -> Path:
    """The default runtime directory of this user's supervisor, see `runtime_dir_for`. It may not exist yet."""
    return runtime_dir_for(role, _user(), os.environ.get("XDG_RUNTIME_DIR"))


def runtime_dir_for(role: Role, user: str, xdg: str | None) -> Path:
    """The rule: the system's directory for root and the user `lighthouse`, else a folder in `$XDG_RUNTIME_DIR`.

    A writer and a reporter on one host get subdirectories, so that they do not collide. There is no fallback to ``/tmp``, where
    another user could be there first. Raises `PathError`.
    """
    if user in SYSTEM_USERS:
        base = SYSTEM
    elif xdg and xdg.startswith("/"):
        base = Path(xdg) / "lighthouse"
    else:
        raise PathError(
            f"user {user} has no default runtime directory, because XDG_RUNTIME_DIR is not set: give the directory of "
            "the supervisor with --runtime-dir, and its socket to `ctl` with --socket or LIGHTHOUSE_SOCKET"
        )
    return base if role is Role.ALL else base / role.value


def default_state_dir(role: Role = Role.ALL) -> Path | None:
    """The directory that the service manager made for what survives a reboot (StateDirectory= of systemd), if it did.

    A writer and a reporter get subdirectories, as of the runtime directory.
    """
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if not given.startswith("/"):
        return None
    return Path(given) if role is Role.ALL else Path(given) / role.value


def _user() -> str:
    """The name of the effective user; its number where it has no name, as in many containers."""
    uid = os.geteuid()
    try:
        return "root" if uid == 0 else pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
