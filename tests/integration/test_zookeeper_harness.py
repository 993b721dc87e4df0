"""What the tests of ZooKeeper stand on: the servers and the proxy do what they are said to do."""

import contextlib
import socket
import threading
import time

import pytest
from kazoo.exceptions import KazooException, OperationTimeoutError
from kazoo.handlers.threading import KazooTimeoutError

from support.faultproxy import FaultProxy, Way
from support.wait import until


@pytest.fixture
def echo():
    """A server that answers what it is told, on each connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection):
        with connection, contextlib.suppress(ConnectionResetError):
            while data := connection.recv(4096):
                connection.sendall(data)

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=serve, args=(connection,), daemon=True)
            thread.start()

    thread = threading.Thread(target=accept)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.fixture
def proxy(echo):
    with FaultProxy(echo) as proxy:
        yield proxy


def connected(proxy):
    sock = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
    sock.settimeout(10)
    return sock


def test_what_passes_is_whole_and_counted(proxy):
    with connected(proxy) as sock:
        sock.sendall(b"hello")
        assert sock.recv(10) == b"hello"
        assert proxy.bytes == {Way.TO_SERVER: 5, Way.TO_CLIENT: 5}
        assert proxy.connections == 1
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(10) == b""  # the end goes through too


def test_a_held_direction_delivers_later(proxy):
    with connected(proxy) as sock:
        sock.sendall(b"a")
        assert sock.recv(1) == b"a"
        proxy.hold(Way.TO_CLIENT)
        sock.sendall(b"b")
        until(lambda: proxy.bytes[Way.TO_SERVER] == 2)
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        with connected(proxy) as other:  # a new one is accepted, and as silent
            other.settimeout(0.2)
            other.sendall(b"c")
            with pytest.raises(TimeoutError):
                other.recv(1)
        proxy.pass_on()
        sock.settimeout(10)
        assert sock.recv(1) == b"b"


def test_a_cut_resets_and_lets_new_connections_through(proxy):
    with connected(proxy) as sock:
        sock.sendall(b"a")
        assert sock.recv(1) == b"a"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    with connected(proxy) as sock:
        sock.sendall(b"b")
        assert sock.recv(1) == b"b"


def test_refusing_and_accepting_again(proxy):
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        connected(proxy)
    proxy.accept()
    with connected(proxy) as sock:
        sock.sendall(b"b")
        assert sock.recv(1) == b"b"


def test_a_delay_is_at_least_what_was_asked_for(proxy):
    with connected(proxy) as sock:
        proxy.delay(0.2, Way.TO_SERVER)
        before = time.monotonic()
        sock.sendall(b"late")
        assert sock.recv(10) == b"late"
        assert time.monotonic() - before >= 0.2


def test_a_client_behind_the_proxy(zookeeper):
    with FaultProxy(zookeeper.ensemble.servers[0].port) as proxy:
        client = zookeeper.client(hosts=[proxy.address])
        client.create(zookeeper.path, b"1", makepath=True)
        session = client.client_id
        proxy.hold()
        with pytest.raises((KazooTimeoutError, OperationTimeoutError, KazooException)):
            client.get_async(zookeeper.path).get(timeout=0.3)
        proxy.cut()
        proxy.pass_on()
        assert client.retry(client.get, zookeeper.path)[0] == b"1"
        assert client.client_id == session
        assert proxy.connections > 1


def test_each_test_has_a_path_of_its_own(zookeeper):
    assert zookeeper.client().exists(zookeeper.path) is None
