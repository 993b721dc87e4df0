"""The frame codec: bytes in, frames out, and no socket anywhere.

A frame is ``length`` (the bytes that follow it), a fixed header, a topic and a payload::

    u32 length | u8 version | u8 kind | u16 topic length | u32 generation | u64 sequence | topic | payload

The header is binary so that whoever routes a frame need not look into its payload. Two rules keep a hostile stream harmless:
the length is judged before anything is buffered for it, and after the first violation the decoder accepts nothing more.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from lighthouse.ipc.errors import ProtocolError

VERSION = 1
MAX_CONTROL = 64 * 1024  # bytes of payload of a control frame
MAX_SNAPSHOT = 8 * 1024 * 1024  # bytes of payload of a snapshot
MAX_TOPIC = 255

_LENGTH = struct.Struct("!I")
_HEADER = struct.Struct("!IBBHIQ")  # with the length
_TOPIC = re.compile(rb"[\x21-\x7e]*")


class Kind(IntEnum):
    """What a frame is. Only SNAPSHOT is bulk; it has a topic, and a newer one replaces an older one of the same topic."""

    HELLO = 1
    READY = 2
    HEARTBEAT = 3
    CONDITION = 4
    PROGRESS = 5
    SNAPSHOT = 6
    STOP = 7


_KINDS = {kind.value: kind for kind in Kind}


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. ``generation`` names the life of the worker that it belongs to, ``sequence`` orders a sender's frames."""

    kind: Kind
    payload: bytes = b""
    topic: str = ""
    generation: int = 0
    sequence: int = 0


def limit(kind: Kind) -> int:
    """The largest payload of a kind, in bytes."""
    return MAX_SNAPSHOT if kind is Kind.SNAPSHOT else MAX_CONTROL


def encode(frame: Frame) -> bytes:
    """The bytes of a frame. Raises `ProtocolError` when it is larger than its kind may be, or its topic is not plain ASCII."""
    topic = frame.topic.encode("ascii", "replace") if frame.topic.isascii() else b"\x00"
    if len(topic) > MAX_TOPIC or not _TOPIC.fullmatch(topic):
        raise ProtocolError(f"topic {frame.topic!r} is not printable ASCII of {MAX_TOPIC} bytes at most")
    if len(frame.payload) > limit(frame.kind):
        raise ProtocolError(f"{frame.kind.name} of {len(frame.payload)} bytes is larger than {limit(frame.kind)}")
    length = _HEADER.size - _LENGTH.size + len(topic) + len(frame.payload)
    header = _HEADER.pack(length, VERSION, frame.kind, len(topic), frame.generation, frame.sequence)
    return b"".join((header, topic, frame.payload))


class Decoder:
    """Turns a stream of bytes into frames.

    It never holds more than one unfinished frame besides the bytes just fed, and its cost is linear in them however they are cut.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._broken: str | None = None

    @property
    def pending(self) -> int:
        """Bytes of an unfinished frame that wait for the rest."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that `data` completes. Raises `ProtocolError` at the first illegal one and ever after."""
        if self._broken is not None:
            raise ProtocolError(self._broken)
        self._buffer += data
        offset = 0
        try:
            while (frame := self._next(offset)) is not None:
                size, value = frame
                offset += size
                yield value
        except ProtocolError as error:
            self._broken = str(error)
            self._buffer.clear()
            raise
        finally:
            del self._buffer[:offset]

    def _next(self, offset: int) -> tuple[int, Frame] | None:
        if len(self._buffer) - offset < _HEADER.size:
            return None
        length, version, number, topic_length, generation, sequence = _HEADER.unpack_from(self._buffer, offset)
        kind = _judge(length, version, number, topic_length)
        start, end = offset + _HEADER.size, offset + _LENGTH.size + length
        if len(self._buffer) < end:
            return None
        topic = _topic(bytes(self._buffer[start : start + topic_length]))
        return end - offset, Frame(kind, bytes(self._buffer[start + topic_length : end]), topic, generation, sequence)


@lru_cache(maxsize=64)  # few topics come often
def _topic(raw: bytes) -> str:
    if not _TOPIC.fullmatch(raw):
        raise ProtocolError("topic is not printable ASCII")
    return raw.decode("ascii")


def _judge(length: int, version: int, number: int, topic_length: int) -> Kind:
    """Refuse a header before anything is buffered for its frame."""
    if version != VERSION:
        raise ProtocolError(f"protocol version {version}, not {VERSION}")
    kind = _KINDS.get(number)
    if kind is None:
        raise ProtocolError(f"unknown kind of frame {number}")
    if topic_length > MAX_TOPIC:
        raise ProtocolError(f"topic of {topic_length} bytes")
    payload = length - (_HEADER.size - _LENGTH.size) - topic_length
    if payload < 0:
        raise ProtocolError(f"length {length} is shorter than its own header")
    if payload > limit(kind):
        raise ProtocolError(f"{kind.name} of {payload} bytes is larger than {limit(kind)}")
    return kind
