"""Validation by declared options: one mapping of `Option`s is one level of a file.

Pydantic judges types and bounds, strictly as for JSON: no text where a number is expected and no number where text is expected, but
a whole number where any number will do. What it finds is told in our words, with the place in the file and the remedy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from lighthouse.config.document import KeyPath
from lighthouse.config.problems import Problems
from lighthouse.config.scalars import resolve
from lighthouse.config.text import dotted, foreign, listed
from lighthouse.identity import shown, suggestion
from lighthouse.options import REQUIRED, Option

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping of keys",
    "model_type": "a mapping of keys",
    "dataclass_type": "a mapping of keys",
}
_BOUNDS = {
    "greater_than": ("gt", "must be more than"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be less than"),
    "less_than_equal": ("le", "must be at most"),
}


class Schema:
    """One level of a file. Raises whatever pydantic raises when an option is declared with a type it cannot handle."""

    def __init__(self, options: Mapping[str, Option], *, open_ended: bool = False) -> None:
        """With `open_ended`, keys that are not declared pass as they are."""
        self.options = dict(options)
        # Names are aliases, since an option may be called like an attribute of pydantic's base class.
        fields: dict[str, Any] = {
            f"f{index}": (option.type, _field(name, option)) for index, (name, option) in enumerate(options.items())
        }
        config = ConfigDict(extra="allow" if open_ended else "forbid", strict=True)
        self._model: type[BaseModel] = create_model("Options", __config__=config, **fields)

    def read(self, data: Any, problems: Problems, path: KeyPath = ()) -> dict[str, Any] | None:
        """The data with defaults filled in, as plain data; None when something was added to `problems`."""
        if not isinstance(data, dict):
            problems.value(path, data, f"expected a mapping of keys{_remedy(['a mapping of keys'], data)}")
            return None
        try:
            model = self._model.model_validate_json(json.dumps(data))
        except ValidationError as error:
            self._explain(error, data, problems, path)
            return None
        return model.model_dump(mode="json", by_alias=True, warnings=False)

    def sound(self, data: Any) -> dict[str, Any]:
        """Of data that `read` refused the keys that are right, as they stand there, and the defaults of those that are absent.

        So that a mistake in one key does not hide those that only a further look at another one finds.
        """
        if not isinstance(data, dict):
            return {}
        wrong: set[str | int] = set()
        try:
            self._model.model_validate_json(json.dumps(data))
        except ValidationError as error:
            places = [detail["loc"] for detail in error.errors()]
            if not all(places):
                return {}  # it cannot be read at all
            wrong = {place[0] for place in places}
        absent = {
            key: option.default
            for key, option in self.options.items()
            if key not in data and option.default is not REQUIRED
        }
        return {**absent, **{key: value for key, value in data.items() if key not in wrong}}

    def _explain(self, error: ValidationError, data: dict[str, Any], problems: Problems, path: KeyPath) -> None:
        expected: dict[KeyPath, list[str]] = {}
        values: dict[KeyPath, Any] = {}
        for detail in error.errors(include_url=False, include_context=True):
            where = _present(detail["loc"], data)
            kind, context = detail["type"], detail.get("ctx", {})
            if kind == "missing":
                self._missing((*where, detail["loc"][-1]), problems, path)
            elif kind == "extra_forbidden":
                self._unknown(where, problems, path)
            elif kind in _BOUNDS:
                bound, words = _BOUNDS[kind]
                problems.value((*path, *where), detail["input"], f"{words} {context[bound]:g}")
            elif kind in _EXPECTED or kind in {"literal_error", "enum"}:
                noun = _EXPECTED.get(kind) or foreign(context.get("expected", "another value"))
                values[where] = detail["input"]
                expected.setdefault(where, []).append(noun)
            else:
                problems.value((*path, *where), detail["input"], foreign(detail["msg"]))
        for where, nouns in expected.items():
            known = list(dict.fromkeys(nouns))
            text = f"expected {' or '.join(known)}{_remedy(known, values[where])}"
            problems.value((*path, *where), values[where], text)

    def _missing(self, where: KeyPath, problems: Problems, path: KeyPath) -> None:
        option = self.options.get(str(where[0])) if len(where) == 1 else None
        hint = f": {option.help}" if option else ""
        problems.add((*path, *where), f"key {shown(dotted((*path, *where)), 120)} is missing{hint}")

    def _unknown(self, where: KeyPath, problems: Problems, path: KeyPath) -> None:
        key = shown(dotted((*path, *where)), 120)
        if len(where) == 1:
            unknown_key(problems, (*path, *where), self.options)
        else:
            problems.add((*path, *where), f"unknown key {key}: remove it")


def unknown_key(problems: Problems, path: KeyPath, known: Mapping[str, Any] | set[str]) -> None:
    """Note that the last part of `path` is none of the known keys."""
    close = suggestion(str(path[-1]), known)
    separator = " " if close else "; "
    problems.add(path, f"unknown key {shown(dotted(path), 120)}{close}{separator}known keys: {listed(known)}")


def _field(name: str, option: Option) -> Any:
    bounds: dict[str, Any] = {}
    if option.minimum is not None:
        bounds["ge"] = option.minimum
    if option.maximum is not None:
        bounds["le"] = option.maximum
    return Field(... if option.default is REQUIRED else option.default, alias=name, **bounds)


def _present(loc: tuple[str | int, ...], data: Any) -> KeyPath:
    """The part of pydantic's location that is in the file: unions add elements that are not."""
    path: KeyPath = ()
    for part in loc:
        if isinstance(data, dict) and part in data:
            data = data[str(part)]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            continue
        path = (*path, part)
    return path


def _remedy(expected: list[str], value: Any) -> str:
    if value is None:
        return ": give it a value, or remove the key"
    if "text" in expected and isinstance(value, bool | int | float):
        return ": put it in quotes"
    if isinstance(value, str):
        if {"a whole number", "a number"} & set(expected):
            return _number_remedy(expected, value)
        if "true or false" in expected and isinstance(resolve(value), bool):
            return ": remove the quotes"
    if "a list" in expected and not isinstance(value, dict):
        return ": write it as [first, second]"
    if "a mapping of keys" in expected:
        return ": write 'key: value' lines below it, or {} for none"
    return ""


def _number_remedy(expected: list[str], value: str) -> str:
    """A text that reads as a number was quoted, has leading zeros, or carries a unit."""
    number = resolve(value)
    if isinstance(number, int) or ("a number" in expected and isinstance(number, float)):
        return ": remove the quotes"
    if value.isascii() and value.isdigit() and value.startswith("0"):
        return ": remove the leading zeros"
    return ": write the number alone, without a unit" if value[:1].isdigit() else ""
