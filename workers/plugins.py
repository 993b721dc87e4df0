"""Loading the plugin that the configuration worker resolved."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from lighthouse.errors import LighthouseError, PluginError


def load(reference: str) -> Any:
    """The class behind ``module:Class``. Runs the plugin's import, so call it on a lane. Raises `PluginError`."""
    module, _, name = reference.partition(":")
    try:
        return getattr(import_module(module), name)
    except BaseException as error:
        # Import runs any code at all; SystemExit from it must not look like an orderly end of the worker.
        raise PluginError(f"plugin {reference} does not load: {type(error).__name__}: {error}") from error


def why(error: BaseException | None) -> str:
    """What an operator is told of an exception: the text of one that was raised on purpose, else its kind and its first line.

    It may be a plugin's, so even its text may fail.
    """
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - see above
        text = "its text cannot be had"
    if isinstance(error, LighthouseError):
        return text
    return f"{type(error).__name__}: {text}".splitlines()[0][:500]
