"""Every error that Lighthouse raises on purpose.

    LighthouseError
    ├── ConfigError          ours to explain: a configuration value is wrong; names key, value and remedy
    ├── PluginError          theirs: a plugin could not be loaded or broke its contract
    ├── NodeError            the registry's: a record that cannot be trusted as a member
    ├── BalancerError        the balancer refused, or could not be reached
    │   └── AbsentError      the load balancer does not run
    ├── RegistryError        a registry could not be read or written; what was known stays in force
    │   └── AnnounceError    some announcements could not be made, and the others were
    └── ResourceError        this host's: a secret or a certificate that a plugin needs cannot be had

The wire between our own processes has its own root, `lighthouse.ipc.errors.ProtocolError`: that room imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class LighthouseError(Exception):
    """Root of everything raised here; its text is fit to be shown to an operator."""


class ConfigError(LighthouseError, ValueError):
    """A configuration value is refused.

    `key` is the path to the value inside its file, e.g. ``("checks", "http", "rise")``; empty for the whole file.
    It is a `ValueError` because that is what plugins of lighthouse 1.0 raise from ``validate_config``.
    """

    def __init__(self, message: str, key: Sequence[str | int] = ()) -> None:
        super().__init__(message)
        self.key = tuple(key)


class PluginError(LighthouseError):
    """A plugin cannot be found, imported or used; the text says which, why, and what to do."""


class NodeError(LighthouseError, ValueError):
    """A registry record is refused as a member; nothing of it may be used."""


class BalancerError(LighthouseError):
    """The balancer refused what it was told, or is out of reach."""


class AbsentError(BalancerError):
    """The load balancer certainly does not run, so that it serves nobody."""


class RegistryError(LighthouseError):
    """A registry is out of reach or gave an incomplete answer: the last known members stay in force."""


class AnnounceError(RegistryError):
    """Some announcements could not be made: the `failed` ones, by service and port. The others were."""

    def __init__(self, message: str, failed: Iterable[tuple[str, int]]) -> None:
        super().__init__(message)
        self.failed = frozenset(failed)


class ResourceError(LighthouseError):
    """Something on this host that a plugin needs, such as a secret or a certificate, cannot be had.

    The text names the key, the place and the remedy. It says nothing about the service or the registry that was to be asked.
    """
