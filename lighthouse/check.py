"""The base class of health checks."""

from __future__ import annotations

from typing import Any, ClassVar

from lighthouse.pluggable import Pluggable


class Check(Pluggable):
    """One health check of one port.

    A subclass implements `perform`. The worker sets ``service`` (its name), ``host``, ``port`` and ``timeout`` after construction.
    From the results it decides, by ``rise`` and ``fall``, whether the service is up.
    """

    entry_point: ClassVar[str] = "lighthouse.checks"

    service: str = ""
    host: str = "127.0.0.1"
    port: int = 0
    timeout: float = 2.0

    @classmethod
    def validate_config(cls, config: dict[str, Any]) -> None:
        """Judge the check's own keys; ``rise``, ``fall`` and ``timeout`` are judged before and are not in `config`."""
        cls.validate_check_config(config)

    def apply_config(self, config: dict[str, Any]) -> None:
        """Take over the check's own keys."""
        self.apply_check_config(config)

    @classmethod
    def validate_check_config(cls, config: dict[str, Any]) -> None:
        """The name that plugins of lighthouse 1.0 override instead of `validate_config`."""

    def apply_check_config(self, config: dict[str, Any]) -> None:
        """The name that plugins of lighthouse 1.0 override instead of `apply_config`."""

    def perform(self) -> bool:
        """Check once, within ``timeout`` seconds for the whole exchange, and tell whether the service is well.

        An exception is a bad result, and so is a call that is not back soon after ``timeout``. `lighthouse.errors.ResourceError`
        alone is none: it tells that the check could not be made, which says nothing about the service.
        """
        raise NotImplementedError
