"""Where everything of one supervisor is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """The configuration, the runtime directory, that of the logs, that of what survives a reboot, and the role's name."""

    config_dir: Path
    runtime_dir: Path
    log_dir: Path
    state_dir: Path
    role: str

    @property
    def archive(self) -> Path | None:
        """Where what must survive a reboot is copied to; None where it is kept there anyway."""
        return None if self.state_dir == self.runtime_dir else self.state_dir / "state"

    def log_path(self, worker: str) -> Path:
        """The log file of a worker, or of the ``supervisor``."""
        return self.log_dir / f"{worker.replace('/', '-')}.log"
