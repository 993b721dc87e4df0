"""The channel: never blocks, finishes what it began, keeps the newest, and has a bound for everything else."""

import socket

import pytest

from lighthouse.ipc.channel import LAST_WORDS, MAX_WAITING, Channel
from lighthouse.ipc.errors import Overflow, ProtocolError
from lighthouse.ipc.frames import Frame, Kind


@pytest.fixture
def ends():
    left, right = socket.socketpair()
    with left, right:
        yield Channel(left, 7), Channel(right, 7)


def drain(channel):
    frames = []
    while True:
        got = list(channel.receive())
        if not got:
            return frames
        frames += got


def exchange(sender, receiver):
    frames = []
    while sender.wants_write:
        sender.flush()
        frames += drain(receiver)
    return frames


def test_frames_are_stamped_in_order(ends):
    sender, receiver = ends
    for kind in (Kind.HELLO, Kind.READY):
        sender.send(Frame(kind))
    assert [(frame.kind, frame.generation, frame.sequence) for frame in exchange(sender, receiver)] == [
        (Kind.HELLO, 7, 1),
        (Kind.READY, 7, 2),
    ]


def test_only_the_newest_snapshot_of_a_topic_waits(ends):
    sender, receiver = ends
    for number in range(100):
        sender.send(Frame(Kind.SNAPSHOT, b"%d" % number, "members/web"))
        sender.send(Frame(Kind.SNAPSHOT, b"%d" % number, "members/db"))
    assert {(frame.topic, frame.payload) for frame in exchange(sender, receiver)} == {
        ("members/web", b"99"),
        ("members/db", b"99"),
    }
    assert sender.coalesced == 198


def test_control_frames_go_before_snapshots(ends):
    sender, receiver = ends
    sender.send(Frame(Kind.SNAPSHOT, b"", "members/web"))
    sender.send(Frame(Kind.HEARTBEAT))
    assert [frame.kind for frame in exchange(sender, receiver)] == [Kind.HEARTBEAT, Kind.SNAPSHOT]


def test_a_stop_overtakes_nothing_that_is_to_be_done_before_it(ends):
    sender, receiver = ends
    sender.send(Frame(Kind.SNAPSHOT, b"withdrawn", "announce"))
    sender.send(Frame(Kind.STOP))
    sender.send(Frame(Kind.HEARTBEAT))
    assert [frame.kind for frame in exchange(sender, receiver)] == [Kind.HEARTBEAT, Kind.SNAPSHOT, Kind.STOP]


def test_a_peer_that_does_not_read_costs_a_bounded_amount(ends):
    sender, _ = ends
    big = b"x" * 1_000_000
    for _ in range(50):
        sender.send(Frame(Kind.SNAPSHOT, big, "members/web"))
        sender.flush()
    with pytest.raises(Overflow):
        for _ in range(MAX_WAITING + 1):
            sender.send(Frame(Kind.HEARTBEAT))
            sender.flush()


def test_a_frame_that_was_begun_is_finished(ends):
    sender, receiver = ends
    big = b"x" * 4_000_000
    sender.send(Frame(Kind.SNAPSHOT, big, "members/web"))
    sender.flush()  # the socket takes a part of it
    sender.send(Frame(Kind.SNAPSHOT, b"newer", "members/web"))
    assert [frame.payload for frame in exchange(sender, receiver)] == [big, b"newer"]


def test_the_end_of_the_stream_is_an_eof(ends):
    sender, receiver = ends
    sender.send(Frame(Kind.READY))
    sender.flush()
    sender.close()
    assert [frame.kind for frame in receiver.receive()] == [Kind.READY]
    with pytest.raises(EOFError):
        list(receiver.receive())


def test_garbage_is_a_protocol_error(ends):
    sender, receiver = ends
    sender.sock.send(b"\xff" * 64)
    with pytest.raises(ProtocolError):
        list(receiver.receive())


def test_last_words_are_heard_and_then_it_is_quiet(ends):
    sender, receiver = ends
    sender.send(Frame(Kind.CONDITION, b"why"))
    sender.flush()
    heard = []
    for _ in receiver.last_words():
        heard += receiver.receive()
    assert [frame.payload for frame in heard] == [b"why"]  # although the sender's end is still open


def test_last_words_that_never_end_are_cut(ends):
    sender, receiver = ends
    sender.sock.send(b"\x00")
    assert sum(1 for _ in receiver.last_words()) == LAST_WORDS  # nobody takes the byte
