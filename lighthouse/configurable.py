"""What can be set up from a file of the configuration directory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from lighthouse.options import Option


class Configurable:
    """Base of everything with a configuration file.

    A subclass that declares ``options`` has unknown keys, missing keys and wrong types refused before ``validate_config`` is
    called, and finds each default filled in. One without (every plugin written for lighthouse 1.0) gets the mapping as it stands
    in the file and judges it alone.
    """

    options: ClassVar[Mapping[str, Option] | None] = None

    @classmethod
    def validate_config(cls, config: dict[str, Any]) -> None:
        """Raise `ValueError`, or `lighthouse.errors.ConfigError` to name the key, when `config` cannot be used."""

    def apply_config(self, config: dict[str, Any]) -> None:
        """Take over a validated `config`.

        A changed one is given to a new object, which takes this one's place only once it has accepted it.
        """
