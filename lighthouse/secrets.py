"""Secrets: read from a file or from the environment, never from the configuration, and never shown.

A plugin that needs one adds `secret_options` to its options, calls `check_secret` when it judges its configuration, and keeps the
`SecretSource` that `secret_source` gives. Read it anew for each connection, so that a changed secret counts from the next one on.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lighthouse.errors import ConfigError, ResourceError
from lighthouse.identity import shown
from lighthouse.options import Option

MAX_SECRET = 64 * 1024  # bytes
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

log = logging.getLogger(__name__)
_warned: set[str] = set()


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret's text, which neither `repr` nor `str` shows."""

    _text: str = field(repr=False)

    def reveal(self) -> str:
        """The text, for the one place that needs it."""
        return self._text


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where a secret comes from: a ``file``, or else a variable of the environment. ``key`` is the key that says so."""

    key: str
    file: str = ""
    variable: str = ""

    def read(self) -> Secret:
        """The secret as it is now. Raises `ResourceError`, which names the key and the place and never the secret."""
        if self.file:
            return _from_file(self.key, self.file)
        text = os.environ.get(self.variable)
        if not text:
            raise ResourceError(f"{self.key}: the environment has no variable {self.variable}, or an empty one: set it")
        return Secret(text)


def secret_options(key: str, what: str) -> dict[str, Option]:
    """The options ``<key>_file`` and ``<key>_env``; `what` names the secret in their help."""
    return {
        f"{key}_file": Option(str | None, f"absolute path of a file that holds {what}", default=None),
        f"{key}_env": Option(str | None, f"name of an environment variable that holds {what}", default=None),
    }


def check_secret(config: Mapping[str, Any], key: str) -> None:
    """Judge what `config` says of a secret. Raises `ConfigError`.

    No value is repeated: it may be the secret itself, put in the wrong place. Whether the file is there shows when it is read.
    """
    file, variable = config.get(f"{key}_file"), config.get(f"{key}_env")
    if file is not None and variable is not None:
        raise ConfigError("is given beside one from the environment: keep one of them", (f"{key}_file",))
    if file is not None and (not file.startswith("/") or "\0" in file):
        raise ConfigError("must be the absolute path of a file that holds the secret", (f"{key}_file",))
    if variable is not None and not _VARIABLE.fullmatch(variable):
        raise ConfigError("must be the name of an environment variable that holds the secret", (f"{key}_env",))


def secret_source(config: Mapping[str, Any], key: str) -> SecretSource | None:
    """Where the secret of a judged `config` comes from; None when it names none."""
    file, variable = config.get(f"{key}_file"), config.get(f"{key}_env")
    if file:
        return SecretSource(f"{key}_file", file)
    return SecretSource(f"{key}_env", variable=variable) if variable else None


def _from_file(key: str, path: str) -> Secret:
    try:
        # Without O_NONBLOCK a named pipe in the place of the file would hold us for ever.
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123 - a descriptor
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(MAX_SECRET + 1) if stat.S_ISREG(mode) else b""
    except OSError as error:
        raise ResourceError(
            f"{key}: {shown(path, 200)}: {error.strerror}: create it, readable for uid {os.getuid()}"
        ) from None
    if not stat.S_ISREG(mode):
        raise ResourceError(f"{key}: {shown(path, 200)} is not a regular file")
    if mode & stat.S_IROTH and path not in _warned:
        _warned.add(path)
        log.warning("%s: %s can be read by every user of this host: chmod o-r", key, shown(path, 200))
    return Secret(_text(key, path, content))


def _text(key: str, path: str, content: bytes) -> str:
    """The content without the one line end that editors add."""
    where = f"{key}: {shown(path, 200)}"
    if len(content) > MAX_SECRET:
        raise ResourceError(
            f"{where} is longer than {MAX_SECRET} bytes: name the file that holds nothing but the secret"
        )
    content = content.removesuffix(b"\n").removesuffix(b"\r")
    if not content:
        raise ResourceError(f"{where} is empty: write the secret into it")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ResourceError(f"{where} is not UTF-8 text") from None
