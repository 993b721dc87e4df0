"""Lighthouse keeps each host's HAProxy right."""

from lighthouse.version import __version__

__all__ = ["__version__"]
