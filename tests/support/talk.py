"""Servers that say what a test has them say, on loopback, ended with their block."""

import contextlib
import socket
import threading

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@contextlib.contextmanager
def server(talk, *, host="127.0.0.1", context=None):
    """A server on a free port that gives each connection to `talk(connection, stop)`; all ends with the block."""
    stop = threading.Event()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET

    def serve(connection):
        with connection, contextlib.suppress(OSError):
            connection.settimeout(60)
            if context:
                connection = context.wrap_socket(connection, server_side=True)
            with connection:
                talk(connection, stop)

    def accept(listener):
        talks = []
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                talks.append(threading.Thread(target=serve, args=listener.accept()[:1]))
                talks[-1].start()
        for thread in talks:
            thread.join()

    with socket.create_server((host, 0), family=family) as listener:
        listener.settimeout(0.05)
        accepting = threading.Thread(target=accept, args=(listener,))
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            accepting.join()


def answer(data, *, linger=True):
    """Read a request, then send `data` at once."""

    def talk(connection, stop):
        connection.recv(65536)
        connection.sendall(data)
        if linger:
            stop.wait(60)

    return talk


def drip(head, byte):
    """Read a request, send `head`, and then a byte every now and then for ever."""

    def talk(connection, stop):
        connection.recv(65536)
        connection.sendall(head)
        while not stop.wait(0.02):
            connection.sendall(byte)

    return talk


def silent(connection, stop):
    stop.wait(120)
