"""What is found by an entry point."""

from __future__ import annotations

from typing import ClassVar

from lighthouse.configurable import Configurable


class Pluggable(Configurable):
    """Base of the three kinds of plugin. ``entry_point`` is the group in which implementations are registered."""

    entry_point: ClassVar[str] = ""

    @classmethod
    def validate_dependencies(cls) -> bool:
        """Tell whether everything that the plugin needs from outside is there; False makes it unavailable."""
        return True
