"""Finding and loading plugins by their entry points, with everything that can go wrong told in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from lighthouse.balancer import Balancer
from lighthouse.check import Check
from lighthouse.config.text import failure, listed
from lighthouse.discovery import Discovery
from lighthouse.errors import ConfigError, PluginError
from lighthouse.identity import shown, suggestion
from lighthouse.pluggable import Pluggable

BALANCERS = Balancer.entry_point
DISCOVERY = Discovery.entry_point
CHECKS = Check.entry_point

_BASES: Mapping[str, type[Pluggable]] = {BALANCERS: Balancer, DISCOVERY: Discovery, CHECKS: Check}


@dataclass(frozen=True, slots=True)
class Plugin:
    """A loaded plugin; ``reference`` is ``module:Class``, by which a worker imports it."""

    group: str
    name: str
    cls: Any
    reference: str


class Plugins:
    """The installed plugins. Each is loaded at most once, and a failure is remembered too.

    `progress` is called right before plugin code is imported, with ``plugin:<group>/<name>`` and a digest of the installed
    version; what of `poisoned` equals that pair has killed an earlier compilation and is not tried again.
    """

    def __init__(self, progress: Callable[[str, str], None], poisoned: Mapping[str, Mapping[str, str]]) -> None:
        self._progress = progress
        self._poisoned = poisoned
        self._entries: dict[str, dict[str, list[EntryPoint]]] = {}
        self._loaded: dict[tuple[str, str], Plugin | PluginError] = {}

    def names(self, group: str) -> set[str]:
        """The names registered in a group. Raises `PluginError` when the installation cannot be read."""
        return set(self._group(group))

    def resolve(self, group: str, name: str) -> Plugin:
        """The plugin of that name.

        Raises `ConfigError` when none is installed, and `PluginError` when it is there and cannot be used.
        """
        known = self._group(group)
        if name not in known:
            raise ConfigError(
                f"no plugin {shown(name)} is installed in {group}{suggestion(name, known)}"
                f" (installed: {listed(known)}): correct the name, or install the plugin"
            )
        if (group, name) not in self._loaded:
            self._loaded[group, name] = self._attempt(group, name, known[name])
        loaded = self._loaded[group, name]
        if isinstance(loaded, PluginError):
            raise loaded
        return loaded

    def _group(self, group: str) -> dict[str, list[EntryPoint]]:
        if group not in self._entries:
            try:
                found = sorted(entry_points(group=group), key=lambda entry: (entry.name, entry.value))
            except Exception as error:  # noqa: BLE001 - any distribution on the path can be damaged; other files go on
                raise PluginError(f"the installed plugins cannot be listed: {failure(error)}") from None
            entries: dict[str, list[EntryPoint]] = {}
            for entry in found:
                entries.setdefault(entry.name, []).append(entry)
            self._entries[group] = entries
        return self._entries[group]

    def _attempt(self, group: str, name: str, entries: list[EntryPoint]) -> Plugin | PluginError:
        try:
            return self._load(group, name, entries)
        except PluginError as error:
            return error

    def _load(self, group: str, name: str, entries: list[EntryPoint]) -> Plugin:
        values = sorted({entry.value for entry in entries})
        if len(values) > 1:
            raise PluginError(f"plugin {shown(name)} is registered twice, as {listed(values)}: uninstall one")
        entry = entries[0]
        try:
            reference = f"{entry.module}:{entry.attr}"
        except AttributeError:  # importlib.metadata parses the value only now, and stumbles over a malformed one
            text = f"plugin {shown(name)} is registered as {shown(entry.value)}, which is not 'module:Class'"
            raise PluginError(f"{text}: repair or uninstall it") from None
        self._announce(group, name, entry)
        try:
            cls = entry.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - importing runs foreign code, which may raise anything, SystemExit included
            remedy = "install what it needs" if isinstance(error, ImportError) else "repair or uninstall it"
            raise PluginError(f"plugin {shown(name)} ({reference}) does not load: {failure(error)}: {remedy}") from None
        base = _BASES[group]
        if not (isinstance(cls, type) and issubclass(cls, base)):
            raise PluginError(
                f"plugin {shown(name)} ({reference}) is not a subclass of {base.__module__}.{base.__name__}"
            )
        _check_dependencies(cls, name, reference)
        return Plugin(group, name, cls, reference)

    def _announce(self, group: str, name: str, entry: EntryPoint) -> None:
        key = f"plugin:{group}/{name}"
        version = entry.dist.version if entry.dist else ""
        digest = sha256(f"{entry.value}\n{version}".encode()).hexdigest()
        if poison := self._poisoned.get(key, {}).get(digest):
            raise PluginError(f"plugin {shown(name)} is not loaded again: {poison}")
        self._progress(key, digest)


def _check_dependencies(cls: type[Pluggable], name: str, reference: str) -> None:
    try:
        usable = cls.validate_dependencies()
    except KeyboardInterrupt:
        raise
    except PluginError as error:
        raise PluginError(f"plugin {shown(name)} ({reference}) {error}") from None
    except BaseException as error:  # noqa: BLE001 - foreign code, as above
        raise PluginError(
            f"plugin {shown(name)} ({reference}) failed in validate_dependencies: {failure(error)}"
        ) from None
    if not usable:
        raise PluginError(f"plugin {shown(name)} ({reference}) lacks something it depends on: see its documentation")
