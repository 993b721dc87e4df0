"""A non-blocking channel of frames over a UNIX stream socket.

Writing never blocks. A frame that was begun is always finished; control frames wait in a bounded queue and go first; snapshots wait
in one slot per topic, where a newer one replaces an older one, so a peer that does not read costs a bounded amount of memory. STOP
goes last: what was told before it is to be done before it.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterator

from lighthouse.ipc.errors import Overflow
from lighthouse.ipc.frames import Decoder, Frame, Kind, encode

READ_SIZE = 256 * 1024  # bytes taken from the socket per call, so that one chatty peer cannot starve the others
LAST_WORDS = 64  # reads from the socket of a process that has ended
MAX_WAITING = 256  # control frames that may wait


class Channel:
    """One end of the channel between the supervisor and a worker.

    Every frame sent is stamped with ``generation`` and a rising sequence number. ``coalesced`` counts snapshots that were replaced
    before they left.
    """

    def __init__(self, sock: socket.socket, generation: int) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.generation = generation
        self.coalesced = 0
        self._sequence = 0
        self._decoder = Decoder()
        self._current = memoryview(b"")
        self._control: deque[Frame] = deque()
        self._snapshots: dict[str, Frame] = {}
        self._stop: Frame | None = None

    def fileno(self) -> int:
        """The socket's descriptor, for a selector."""
        return self.sock.fileno()

    @property
    def wants_write(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._current or self._control or self._snapshots or self._stop)

    def send(self, frame: Frame) -> None:
        """Queue a frame. Raises `Overflow` when the peer left too many control frames unread."""
        if frame.kind is Kind.SNAPSHOT:
            self.coalesced += frame.topic in self._snapshots
            self._snapshots[frame.topic] = frame
            return
        if frame.kind is Kind.STOP:
            self._stop = frame
            return
        if len(self._control) >= MAX_WAITING:
            raise Overflow(f"{MAX_WAITING} control frames wait for a peer that does not read")
        self._control.append(frame)

    def flush(self) -> None:
        """Send what the socket takes. Raises `OSError` when the peer is gone."""
        while self._refill():
            try:
                sent = self.sock.send(self._current)
            except BlockingIOError:
                return
            self._current = self._current[sent:]

    def receive(self) -> Iterator[Frame]:
        """Yield what one read completes; raises `EOFError` at the end of the stream, `ProtocolError` for an illegal one."""
        try:
            data = self.sock.recv(READ_SIZE)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            raise EOFError
        yield from self._decoder.feed(data)

    def last_words(self) -> Iterator[None]:
        """Yield while there is something to receive from a process that has ended: its last frame often is the reason.

        A grandchild may keep the socket open, so silence ends it too, and one that goes on talking is not heard for ever.
        """
        for _ in range(LAST_WORDS):
            try:
                if not self.sock.recv(1, socket.MSG_PEEK):
                    return
            except OSError:
                return
            yield

    def close(self) -> None:
        """Close the socket; what waits is dropped."""
        self.sock.close()

    def _refill(self) -> bool:
        if not self._current:
            if self._control:
                frame = self._control.popleft()
            elif self._snapshots:
                frame = self._snapshots.pop(next(iter(self._snapshots)))
            elif self._stop:
                frame, self._stop = self._stop, None
            else:
                return False
            self._sequence += 1
            stamped = Frame(frame.kind, frame.payload, frame.topic, self.generation, self._sequence)
            self._current = memoryview(encode(stamped))
        return True
