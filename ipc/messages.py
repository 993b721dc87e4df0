"""The control messages that travel in frames, as frozen values with checked fields.

A payload is a msgpack map. Unknown keys are ignored so that a newer peer may say more; a missing or mistyped one is a
`ProtocolError`. Snapshots are not decoded here: `pack` and `unpack` serve whoever owns their meaning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import inf
from types import NoneType, UnionType
from typing import Any, ClassVar, Self, get_args, get_origin, get_type_hints

import msgpack

from lighthouse.ipc.errors import ProtocolError
from lighthouse.ipc.frames import Frame, Kind


def pack(value: Any) -> bytes:
    """Plain data as msgpack. Text from the operating system may hold surrogates, which survive."""
    packed: bytes = msgpack.packb(value, unicode_errors="surrogateescape")
    return packed


def pack_list(items: Sequence[bytes]) -> bytes:
    """A list of values that are packed already."""
    head: bytes = msgpack.Packer().pack_array_header(len(items))
    return head + b"".join(items)


def pack_map(values: Mapping[str, bytes]) -> bytes:
    """A map whose values are packed already."""
    head: bytes = msgpack.Packer().pack_map_header(len(values))
    return head + b"".join(pack(key) + value for key, value in values.items())


def unpack(payload: bytes) -> Any:
    """Plain data from msgpack. Raises `ProtocolError` for anything but exactly one well-formed value."""
    try:
        return msgpack.unpackb(
            payload, raw=False, strict_map_key=True, max_ext_len=0, ext_hook=_refuse, unicode_errors="surrogateescape"
        )
    except (ValueError, TypeError, RecursionError, MemoryError, msgpack.UnpackException) as error:
        raise ProtocolError(f"payload is not msgpack: {type(error).__name__}: {error}") from None


def elements(payload: bytes, key: str) -> list[bytes]:
    """The elements of the list under `key` of a map, each still packed, so that known ones need not be unpacked again.

    Raises `ProtocolError` for anything but one map with such a list. What the elements hold is judged by whoever unpacks them.
    """
    reader = msgpack.Unpacker(None, max_buffer_size=max(1, len(payload)), strict_map_key=True, raw=False, max_ext_len=0)
    try:
        reader.feed(payload)
        found = None
        for _ in range(reader.read_map_header()):
            if reader.unpack() == key:
                found = _slices(reader, payload)
            else:
                reader.skip()
        whole = reader.tell() == len(payload)
    except (ValueError, TypeError, RecursionError, MemoryError, msgpack.UnpackException) as error:
        raise ProtocolError(f"payload is not a map in msgpack: {type(error).__name__}: {error}") from None
    if found is None or not whole:
        raise ProtocolError(f"payload lacks {key!r}" if whole else "payload holds more than one value")
    return found


def _slices(reader: msgpack.Unpacker, payload: bytes) -> list[bytes]:
    found = []
    count = reader.read_array_header()
    start = reader.tell()
    for _ in range(count):
        reader.skip()
        end = reader.tell()
        found.append(payload[start:end])
        start = end
    return found


def _refuse(code: int, _data: bytes) -> Any:
    raise ProtocolError(f"extension type {code} is not part of the protocol")


@dataclass(frozen=True, slots=True)
class Message:
    """Base of the messages: how each becomes a frame and is read back."""

    kind: ClassVar[Kind]

    def frame(self) -> Frame:
        """The frame that carries this message; the channel stamps generation and sequence."""
        return Frame(self.kind, pack({name: getattr(self, name) for name in _schema(type(self))}))

    @classmethod
    def read(cls, frame: Frame) -> Self:
        """The message in a frame of its kind. Raises `ProtocolError`."""
        data = unpack(frame.payload)
        if not isinstance(data, dict):
            raise ProtocolError(f"{cls.kind.name} is not a map")
        return cls(**{name: _checked(cls, name, kinds, data) for name, kinds in _schema(cls).items()})


@dataclass(frozen=True, slots=True)
class Hello(Message):
    """A worker's first words: its main loop is about to turn."""

    kind: ClassVar[Kind] = Kind.HELLO
    pid: int


@dataclass(frozen=True, slots=True)
class Ready(Message):
    """The worker is configured and has caught up with the state that it was given."""

    kind: ClassVar[Kind] = Kind.READY


@dataclass(frozen=True, slots=True)
class Heartbeat(Message):
    """The main loop turns.

    ``call`` is the plugin call that is nearest to its deadline, with its start and deadline on CLOCK_MONOTONIC (which all
    processes of a host share); ``fresh`` is when the worker last had a complete answer from its source; ``uss`` and ``pss`` are
    bytes, 0 when not measured.
    """

    kind: ClassVar[Kind] = Kind.HEARTBEAT
    call: str | None = None
    started: float = 0.0
    deadline: float = 0.0
    fresh: float = 0.0
    uss: int = 0
    pss: int = 0


@dataclass(frozen=True, slots=True)
class Condition(Message):
    """What keeps the worker from doing its job although it lives; None once it does it again.

    ``fatal`` says that only a changed configuration can help, as when a plugin fails to import. ``whole`` says that its source
    answers in full all the same, so that what the worker tells is not stale.
    """

    kind: ClassVar[Kind] = Kind.CONDITION
    degraded: str | None = None
    fatal: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Progress(Message):
    """The configuration worker takes this file in hand; if it dies, this file is to blame."""

    kind: ClassVar[Kind] = Kind.PROGRESS
    path: str
    digest: str


@dataclass(frozen=True, slots=True)
class Stop(Message):
    """The supervisor asks the worker to finish what it must not leave half done, and to exit.

    ``withdraw`` asks a discovery to see through what it was told to withdraw; ``within`` is after how many seconds it is killed.
    """

    kind: ClassVar[Kind] = Kind.STOP
    withdraw: bool = False
    within: float = inf


_schemas: dict[type[Message], dict[str, tuple[type, ...]]] = {}


def _schema(cls: type[Message]) -> dict[str, tuple[type, ...]]:
    if cls not in _schemas:
        hints = get_type_hints(cls)
        _schemas[cls] = {item.name: _kinds(hints[item.name]) for item in fields(cls)}
    return _schemas[cls]


def _kinds(hint: Any) -> tuple[type, ...]:
    kinds = get_args(hint) if get_origin(hint) is UnionType else (hint,)
    return (*kinds, int) if float in kinds else kinds


def _checked(cls: type[Message], name: str, kinds: tuple[type, ...], data: dict[str, Any]) -> Any:
    if name not in data:
        raise ProtocolError(f"{cls.kind.name} lacks {name!r}")
    value = data[name]
    if (isinstance(value, bool) and bool not in kinds) or not isinstance(value, kinds):
        wanted = " or ".join("nothing" if kind is NoneType else kind.__name__ for kind in kinds)
        raise ProtocolError(f"{cls.kind.name}.{name} is {type(value).__name__}, not {wanted}")
    return value
