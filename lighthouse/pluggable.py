"""What is found by an entry point."""

from __future__ import annotations

from importlib.util import find_spec
from typing import ClassVar

from lighthouse.configurable import Configurable
from lighthouse.errors import PluginError


class Pluggable(Configurable):
    """Base of the three kinds of plugin. ``entry_point`` is the group in which implementations are registered."""

    entry_point: ClassVar[str] = ""

    @classmethod
    def validate_dependencies(cls) -> bool:
        """Tell whether everything that the plugin needs from outside is there; False makes it unavailable.

        So does a `lighthouse.errors.PluginError`, whose text goes on after the plugin's name and tells the remedy.
        """
        return True


def extra(module: str, name: str) -> bool:
    """Whether a library of one of Lighthouse's extras is there, without importing it. Raises `PluginError` otherwise."""
    if find_spec(module) is None:
        raise PluginError(f"needs the library {module}: pip install 'lighthouse[{name}]'")
    return True
