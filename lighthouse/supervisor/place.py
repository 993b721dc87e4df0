"""Where everything of one supervisor is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """The configuration, the runtime directory, the log directory, and the role's name."""

    config_dir: Path
    runtime_dir: Path
    log_dir: Path
    role: str

    def log_path(self, worker: str) -> Path:
        """The log file of a worker, or of the ``supervisor``."""
        return self.log_dir / f"{worker.replace('/', '-')}.log"
