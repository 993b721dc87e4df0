"""The frame codec: what goes in comes out, however it is cut, and nothing hostile gets past it."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighthouse.ipc.errors import ProtocolError
from lighthouse.ipc.frames import MAX_CONTROL, MAX_SNAPSHOT, MAX_TOPIC, VERSION, Decoder, Frame, Kind, encode, limit

TOPICS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=MAX_TOPIC)
FRAMES = st.builds(
    Frame,
    kind=st.sampled_from(Kind),
    payload=st.binary(max_size=3000),
    topic=TOPICS,
    generation=st.integers(0, 2**32 - 1),
    sequence=st.integers(0, 2**64 - 1),
)


def header(length, version=VERSION, kind=Kind.SNAPSHOT, topic=0):
    return struct.pack("!IBBHIQ", length, version, kind, topic, 1, 1)


@given(st.lists(FRAMES, max_size=5), st.data())
def test_frames_survive_any_cut_of_the_stream(frames, data):
    stream = b"".join(encode(frame) for frame in frames)
    decoder, seen, position = Decoder(), [], 0
    while position < len(stream):
        size = data.draw(st.integers(1, len(stream) - position))
        seen += decoder.feed(stream[position : position + size])
        position += size
    assert seen == frames
    assert decoder.pending == 0


@given(FRAMES, st.data())
def test_a_truncated_frame_is_not_a_frame(frame, data):
    stream = encode(frame)
    decoder = Decoder()
    assert list(decoder.feed(stream[: data.draw(st.integers(0, len(stream) - 1))])) == []


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_random_bytes_give_frames_or_a_protocol_error_and_never_grow_the_buffer(chunks):
    decoder = Decoder()
    fed = 0
    for chunk in chunks:
        fed += len(chunk)
        try:
            list(decoder.feed(chunk))
        except ProtocolError:
            assert decoder.pending == 0
            with pytest.raises(ProtocolError):
                list(decoder.feed(b""))
            return
        assert decoder.pending <= fed


@given(FRAMES, st.integers(0, 19), st.integers(0, 255))
def test_a_flipped_header_byte_never_raises_anything_else(frame, position, value):
    stream = bytearray(encode(frame))
    stream[position] = value
    with suppress(ProtocolError):
        list(Decoder().feed(bytes(stream)))


@pytest.mark.parametrize("kind", Kind)
def test_the_size_limit_of_each_kind_is_judged_before_the_payload_arrives(kind):
    exact = encode(Frame(kind, b"x" * limit(kind)))
    assert [len(frame.payload) for frame in Decoder().feed(exact)] == [limit(kind)]
    with pytest.raises(ProtocolError, match="larger than"):
        list(Decoder().feed(header(16 + limit(kind) + 1, kind=kind)))
    with pytest.raises(ProtocolError, match="larger than"):
        encode(Frame(kind, b"x" * (limit(kind) + 1)))


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (header(16, version=VERSION + 1), "protocol version"),
        (header(16, kind=99), "unknown kind"),
        (header(3), "shorter than its own header"),
        (header(20, topic=300), "topic of 300 bytes"),
        (header(20, topic=4) + b"a\nb\x1b", "printable ASCII"),
        (b"\xff" * 20, "protocol version"),
    ],
)
def test_illegal_headers_are_refused(stream, why):
    with pytest.raises(ProtocolError, match=why):
        list(Decoder().feed(stream))


def test_frames_before_an_illegal_one_are_still_heard():
    good = Frame(Kind.CONDITION, b"last words")
    seen = []
    with pytest.raises(ProtocolError):
        for frame in Decoder().feed(encode(good) + b"\xff" * 20):
            seen.append(frame)
    assert seen == [good]


@pytest.mark.parametrize("topic", ["with space", "new\nline", "ünicode", "x" * (MAX_TOPIC + 1)])
def test_a_topic_that_could_not_be_read_back_is_not_written(topic):
    with pytest.raises(ProtocolError, match="topic"):
        encode(Frame(Kind.SNAPSHOT, b"", topic))


def test_limits_leave_room_for_a_large_cluster_and_bound_a_flood():
    assert MAX_CONTROL < MAX_SNAPSHOT <= 16 * 1024 * 1024
