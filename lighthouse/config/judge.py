"""Has plugins judge the parts of files that are addressed to them.

A plugin's classmethods are foreign code: whatever they raise is told at the line in question and goes no further.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from lighthouse.config.document import KeyPath
from lighthouse.config.plugins import Plugin, Plugins
from lighthouse.config.problems import Problems
from lighthouse.config.schema import Schema
from lighthouse.config.text import failure, foreign
from lighthouse.errors import ConfigError, PluginError
from lighthouse.identity import shown
from lighthouse.options import Option

Part = tuple[dict[str, Any], dict[str, Any]]


class Judge:
    """Reads a plugin's part of a file: first by the options that it declares, then by its own validation."""

    def __init__(self, plugins: Plugins) -> None:
        self.plugins = plugins
        self._schemas: dict[tuple[str, str], Schema] = {}

    def find(self, group: str, name: str, problems: Problems, path: KeyPath) -> Plugin | None:
        """The plugin of that name; None when something was added to `problems`."""
        try:
            return self.plugins.resolve(group, name)
        except ConfigError as error:
            problems.key(path, str(error))
        except PluginError as error:
            problems.key(path, str(error), broken=True)
        return None

    def read(
        self,
        plugin: Plugin,
        data: Any,
        problems: Problems,
        path: KeyPath,
        *,
        common: Mapping[str, Option],
        options: str = "options",
        validate: str = "validate_config",
    ) -> Part | None:
        """The `common` keys, which are ours, and the plugin's own, both with defaults; None when something was added to `problems`.

        `options` and `validate` name the plugin's attribute and classmethod. The latter gets a copy, so that it can change nothing.
        """
        try:
            schema = self._schema(plugin, options, common)
            values = schema.read(data, problems, path)
            sound = schema.sound(data) if values is None else values
        except Exception as error:  # noqa: BLE001 - pydantic may fail in any way at a foreign declaration; others go on
            text = f"plugin {shown(plugin.name)} ({plugin.reference}) declares unusable {options}: {failure(error)}"
            problems.key(path, f"{text}: repair the plugin", broken=True)
            return None
        own = {key: value for key, value in sound.items() if key not in common}
        if not isinstance(data, dict) or schema.options.keys() - common.keys() - own.keys():
            return None  # its part is not whole
        accepted = _accepts(plugin, lambda: getattr(plugin.cls, validate)(copy.deepcopy(own)), validate, problems, path)
        if values is None or not accepted:
            return None
        return {key: value for key, value in values.items() if key in common}, own

    def _schema(self, plugin: Plugin, options: str, common: Mapping[str, Option]) -> Schema:
        key = (plugin.reference, options)
        if key not in self._schemas:
            declared = getattr(plugin.cls, options, None)
            self._schemas[key] = Schema({**(declared or {}), **common}, open_ended=declared is None)
        return self._schemas[key]


def _accepts(plugin: Plugin, call: Callable[[], Any], what: str, problems: Problems, path: KeyPath) -> bool:
    try:
        call()
    except KeyboardInterrupt:
        raise
    except ConfigError as error:
        problems.key((*path, *error.key), foreign(error))
    except ValueError as error:
        problems.key(path, foreign(error) or f"refused by {plugin.reference} without a reason")
    except BaseException as error:  # noqa: BLE001 - foreign code may raise anything, SystemExit included; it costs this file only
        text = f"plugin {shown(plugin.name)} ({plugin.reference}) failed in {what}: {failure(error)}"
        problems.key(path, f"{text}: repair the plugin, or the value it stumbles over", broken=True)
    else:
        return True
    return False
