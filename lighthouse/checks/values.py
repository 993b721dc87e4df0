"""Values that are text in the configuration, or secrets from elsewhere: of headers, and of variables of a command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lighthouse.errors import ConfigError
from lighthouse.identity import shown
from lighthouse.secrets import SecretSource, check_secret

Given = str | dict[str, str]
"""How a value is declared: text, or a mapping with ``file`` or ``env``, and with a ``prefix`` if wanted."""


@dataclass(frozen=True, slots=True)
class Value:
    """A text, or where its secret part comes from."""

    text: str
    source: SecretSource | None = None

    def read(self) -> str:
        """The value as it is now. Raises `lighthouse.errors.ResourceError`."""
        return self.text + self.source.read().reveal() if self.source else self.text


def check_value(given: Given, key: tuple[str, ...]) -> None:
    """Judge one value. Raises `ConfigError`, which repeats nothing of it: it may be a secret in the wrong place."""
    if isinstance(given, str):
        return
    unknown = sorted(given.keys() - {"file", "env", "prefix"})
    if unknown:
        raise ConfigError(f"unknown key {shown(unknown[0])}: known are 'file', 'env' and 'prefix'", key)
    if ("file" in given) == ("env" in given):
        raise ConfigError("give text, or one of 'file' and 'env'", key)
    try:
        check_secret({f"_{name}": given.get(name) for name in ("file", "env")}, "")
    except ConfigError as error:
        raise ConfigError(str(error), (*key, str(error.key[0]).removeprefix("_"))) from None


def value_of(given: Given, key: str) -> Value:
    """A judged value."""
    if isinstance(given, str):
        return Value(given)
    if "file" in given:
        return Value(given.get("prefix", ""), SecretSource(f"{key}.file", given["file"]))
    return Value(given.get("prefix", ""), SecretSource(f"{key}.env", variable=given["env"]))


def values_of(given: Mapping[str, Any] | None, key: str) -> dict[str, Value]:
    """Judged values by name."""
    return {name: value_of(value, f"{key}.{name}") for name, value in (given or {}).items()}
