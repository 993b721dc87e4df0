"""The very first one-shot worker: what ``lighthouse.yaml`` says of where the supervisor lives.

It needs directories and log sizes before it can read the configuration properly, and must not parse anything itself. A file that
cannot be read means the defaults here; what is wrong with it is told once the directory is compiled.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from lighthouse.errors import LighthouseError
from lighthouse.ipc.boot import Boot
from lighthouse.ipc.messages import pack, unpack
from lighthouse.settings import Settings, contradictions

KEYS = ("runtime_dir", "log_dir", "state_dir", "logs", "hold")


def run(boot: Boot, sock: socket.socket) -> int:
    """Answer with a packed mapping of settings; returns the exit code."""
    sock.sendall(pack(first_settings(Path(unpack(boot.config)["directory"])).to_mapping()))
    return 0


def first_settings(config_dir: Path) -> Settings:
    """The settings, of which only those of `KEYS` are taken from the file, and only if they are usable."""
    from lighthouse.config.document import parse

    for name in ("lighthouse.yaml", "lighthouse.yml"):
        try:
            data: Any = parse((config_dir / name).read_text(encoding="utf-8")).data
        except (OSError, ValueError, LighthouseError):
            continue
        try:
            settings = Settings.from_mapping({key: data[key] for key in KEYS if key in data})
        except TypeError:
            continue
        if not list(contradictions(settings)):
            return settings
    return Settings()
