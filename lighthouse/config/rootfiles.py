"""The compilers of the two files at the root: ``lighthouse.yaml`` and ``logging.yaml``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, Literal, get_type_hints

from lighthouse.config.document import KeyPath
from lighthouse.config.problems import Problems
from lighthouse.config.schema import Schema
from lighthouse.config.text import listed
from lighthouse.config.unit import Product, Unit
from lighthouse.identity import suggestion
from lighthouse.options import Option
from lighthouse.settings import SECTIONS, Settings, contradictions


def declared(kind: type) -> dict[str, Option]:
    """The options that a dataclass of `lighthouse.settings` declares; a section is a mapping, judged by a schema of its own."""
    hints = get_type_hints(kind)
    found = {}
    for item in fields(kind):
        if item.default is MISSING:
            found[item.name] = Option(dict[str, Any], "a section", default={})
            continue
        declared = item.metadata
        found[item.name] = Option(
            hints[item.name], declared["help"], item.default, minimum=declared["minimum"], maximum=declared["maximum"]
        )
    return found


_SETTINGS = Schema(declared(Settings))
_SECTIONS = {name: Schema(declared(hint)) for name, hint in get_type_hints(Settings).items() if hint in SECTIONS}


def settings_file(unit: Unit) -> Product | None:
    """The mapping of `lighthouse.settings.Settings`, whole."""
    data, problems = unit.document.data, unit.problems
    values = _SETTINGS.read(data, problems) or {}
    for name, schema in _SECTIONS.items():
        if isinstance(data.get(name), dict):
            values[name] = schema.read(data[name], problems, (name,))
    if problems:
        return None
    settings = Settings.from_mapping(values)
    for path, text in contradictions(settings):
        value: Any = settings.to_mapping()  # it may be a default that another value contradicts
        for key in path:
            value = value[key]
        problems.value(path, value, text)
    return None if problems else Product("lighthouse", settings.to_mapping())


_Parts = dict[str, dict[str, Any]]
_TABLES = ("formatters", "filters", "handlers", "loggers")
_LOGGING = Schema(
    {
        "version": Option(Literal[1], "write 'version: 1'"),
        **{table: Option(_Parts, "parts by name", default={}) for table in _TABLES},
        "root": Option(dict[str, Any], "the root logger", default={}),
        "disable_existing_loggers": Option(bool, "see logging.config", default=False),
        "incremental": Option(bool, "see logging.config", default=False),
        "propagate": Option(bool, "has no effect; the documentation of lighthouse 1.0 had it here", default=None),
    }
)
_LOGGER = Schema(
    {
        "level": Option(str | int, "a level", default=None),
        "handlers": Option(list[str], "names of handlers", default=[]),
        "filters": Option(list[str], "names of filters", default=[]),
        "propagate": Option(bool, "whether it passes records on", default=True),
    }
)
_HANDLER = Schema(
    {
        "level": Option(str | int, "a level", default=None),
        "formatter": Option(str, "name of a formatter", default=None),
        "filters": Option(list[str], "names of filters", default=[]),
    },
    open_ended=True,
)


def logging_file(unit: Unit) -> Product | None:
    """The file as it stands, for `logging.config.dictConfig`. Its structure is judged; nothing is opened."""
    data, problems = unit.document.data, unit.problems
    if _LOGGING.read(data, problems) is None:
        return None
    for name, handler in data.get("handlers", {}).items():
        path: KeyPath = ("handlers", name)
        if not ({"class", "()"} & set(handler) or data.get("incremental")):
            problems.add(path, f"key 'handlers.{name}.class' is missing: name the handler's class")
        _judge(_HANDLER, handler, data, problems, path)
    for name, logger in data.get("loggers", {}).items():
        _judge(_LOGGER, logger, data, problems, ("loggers", name))
    _judge(_LOGGER, data.get("root", {}), data, problems, ("root",))
    return None if problems else Product("logging", data)


def _judge(schema: Schema, part: dict[str, Any], data: dict[str, Any], problems: Problems, path: KeyPath) -> None:
    if schema.read(part, problems, path) is None:
        return
    level = part.get("level")
    if isinstance(level, str) and level not in logging.getLevelNamesMapping():
        close = suggestion(level.upper(), logging.getLevelNamesMapping())
        problems.value((*path, "level"), level, f"not a level{close or ': write for example INFO'}")
    for key, table in (("formatter", "formatters"), ("filters", "filters"), ("handlers", "handlers")):
        if key in part:
            _check_names(part[key], table, data.get(table, {}), problems, (*path, key))


def _check_names(names: Any, table: str, known: Mapping[str, Any], problems: Problems, path: KeyPath) -> None:
    for index, name in enumerate(names if isinstance(names, list) else [names]):
        if isinstance(name, str) and name not in known:
            where = (*path, index) if isinstance(names, list) else path
            text = f"not among {table}{suggestion(name, known)} (known: {listed(known)}): define it there"
            problems.value(where, name, text)
