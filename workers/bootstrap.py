"""The very first one-shot worker: which directories ``lighthouse.yaml`` asks for.

The supervisor needs them before it can read the configuration properly, and must not parse anything itself. A file that cannot be
read means the defaults here; what is wrong with it is told once the directory is compiled.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from lighthouse.errors import LighthouseError
from lighthouse.ipc.boot import Boot
from lighthouse.ipc.messages import pack, unpack

KEYS = ("runtime_dir", "log_dir")


def run(boot: Boot, sock: socket.socket) -> int:
    """Answer with a packed map of the directories that are set; returns the exit code."""
    sock.sendall(pack(directories(Path(unpack(boot.config)["directory"]))))
    return 0


def directories(config_dir: Path) -> dict[str, str]:
    """The absolute directories that the file names."""
    from lighthouse.config.document import parse

    for name in ("lighthouse.yaml", "lighthouse.yml"):
        try:
            data: Any = parse((config_dir / name).read_text(encoding="utf-8")).data
        except (OSError, ValueError, LighthouseError):
            continue
        values = {key: data.get(key) for key in KEYS} if isinstance(data, dict) else {}
        return {key: value for key, value in values.items() if isinstance(value, str) and value.startswith("/")}
    return {}
