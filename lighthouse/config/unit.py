"""What the compiler of one kind of file is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lighthouse.config.document import Document, KeyPath
from lighthouse.config.judge import Judge
from lighthouse.config.problems import Problems
from lighthouse.config.text import listed
from lighthouse.errors import NodeError
from lighthouse.identity import shown, suggestion, valid_label, valid_name
from lighthouse.options import Option

NAME = {"name": Option(str, "name of the object, if not the base name of the file", default=None)}
DISCOVERY_KEY = {"discovery": Option(str, "name a file of discovery/")}
"""Keys that files of several kinds have."""


@dataclass(slots=True)
class References:
    """What files may refer to, as far as it is known: by name, the plugin in force there, or None where the file is refused."""

    discoveries: dict[str, str | None] = field(default_factory=dict)
    balancers: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unit:
    """One version of one file in hand.

    A `strict` reading checks that what the file refers to is in force; a version that is only held is not read so, because it goes
    on as it was. `validating` is called before plugin code is.
    """

    stem: str
    document: Document
    problems: Problems
    judge: Judge
    references: References
    strict: bool
    validating: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Product:
    """What a version was compiled to: the name of its object, plain data in the shape that its kind documents, the name's line."""

    name: str
    data: dict[str, Any] = field(repr=False)
    line: int = 1


def object_name(unit: Unit) -> str:
    """The name of the object: the key ``name`` where there is one, else the base name of the file."""
    given = unit.document.data.get("name")
    if given is not None and not isinstance(given, str):
        return ""  # the schema tells of the type
    name = unit.stem if given is None else given
    try:
        return valid_name(name)
    except NodeError as error:
        remedy = "correct it" if given is not None else "rename the file, or add the key 'name' where its kind has one"
        unit.problems.key(() if given is None else ("name",), f"{error}: {remedy}")
        return ""


def check_label(unit: Unit, path: KeyPath, text: str) -> None:
    """Judge the key or value of a label, or a zone."""
    try:
        valid_label(text)
    except NodeError as error:
        unit.problems.key(path, f"{error}: correct it")


def check_discovery(unit: Unit) -> None:
    """Note it when the discovery that the file names is not in force."""
    name = unit.document.data.get("discovery")
    known = unit.references.discoveries
    if not unit.strict or not isinstance(name, str) or known.get(name) is not None:
        return
    if name in known:
        unit.problems.value(("discovery",), name, f"discovery/{name}.yaml is refused: correct that file first")
        return
    usable = [key for key, plugin in known.items() if plugin is not None]
    text = f"there is no file discovery/{shown(name)[1:-1]}.yaml{suggestion(name, usable)}"
    unit.problems.value(("discovery",), name, f"{text} (known: {listed(usable)}): create it, or name another")
