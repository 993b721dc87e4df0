"""A TCP proxy between a client and its server that does what networks do, changeable while connections are open."""

import asyncio
import contextlib
import socket
import struct
import threading
from enum import Enum

from support.ports import free_port

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST and throws away what is unsent


class Way(Enum):
    """A direction of a connection."""

    TO_SERVER = "to server"
    TO_CLIENT = "to client"


class FaultProxy:
    """Forwards a port of its own to ``target``.

    What is held or delayed is delivered later, in order and whole, as by a network that recovers; nothing is ever dropped out of a
    stream. ``bytes`` counts what was forwarded each way, ``connections`` what was ever accepted.
    """

    def __init__(self, target):
        self.target = ("127.0.0.1", target) if isinstance(target, int) else target
        self.port = free_port()
        self.connections = 0
        self.bytes = dict.fromkeys(Way, 0)
        self._delay = dict.fromkeys(Way, 0.0)
        self._links = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault proxy")
        self._thread.start()
        self._open = {way: asyncio.Event() for way in Way}
        self._server = None
        self.pass_on()
        self.accept()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def pass_on(self, *ways):
        """Forward, without delay; what was held is delivered."""
        self._set(ways, hold=False, delay=0.0)

    def delay(self, seconds, *ways):
        """Forward each piece this much later."""
        self._set(ways, hold=False, delay=seconds)

    def hold(self, *ways):
        """Forward nothing and keep everything open, new connections too: a half-open connection, or a black hole."""
        self._set(ways, hold=True, delay=0.0)

    def cut(self):
        """Reset all connections, on both sides; new ones are accepted."""
        self._run(self._cut())

    def refuse(self):
        """Refuse new connections; those that are open stay."""
        self._run(self._refuse())

    def accept(self):
        """Undo `refuse`."""
        self._run(self._accept())

    def close(self):
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # On the loop's thread

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def _set(self, ways, *, hold, delay):
        async def change():
            for way in ways or Way:
                self._delay[way] = delay
                (self._open[way].clear if hold else self._open[way].set)()

        self._run(change())

    async def _accept(self):
        if self._server is None:
            self._server = await asyncio.start_server(self._link, "127.0.0.1", self.port, backlog=1024)

    async def _refuse(self):
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _cut(self):
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _close(self):
        await self._refuse()
        await self._cut()

    async def _link(self, reader, writer):
        self.connections += 1
        self._links.add(asyncio.current_task())
        writers = [writer]
        try:
            there, back = await asyncio.open_connection(*self.target)
            writers.append(back)
            await asyncio.gather(self._pump(reader, back, Way.TO_SERVER), self._pump(there, writer, Way.TO_CLIENT))
        except (OSError, asyncio.CancelledError):
            for each in writers:
                with contextlib.suppress(OSError):
                    each.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                each.transport.abort()
        finally:
            for each in writers:
                each.close()
            self._links.discard(asyncio.current_task())

    async def _pump(self, reader, writer, way):
        while data := await reader.read(65536):
            if self._delay[way]:
                await asyncio.sleep(self._delay[way])
            await self._open[way].wait()
            self.bytes[way] += len(data)
            writer.write(data)
            await writer.drain()
        await self._open[way].wait()
        writer.write_eof()
