"""The built-in checks against real servers, good and hostile ones."""

import gc
import os
import socket
import ssl
import struct
import subprocess

import pytest

from lighthouse.checks.http import HTTPCheck
from lighthouse.checks.tcp import TCPCheck
from support.ports import free_port
from support.talk import OK, answer, drip, server, silent
from support.wait import until

PATIENT = 20.0  # seconds of timeout where the check should not need it
HASTY = 0.5  # seconds of timeout where the server never comes to an end


def http(port, *, timeout=PATIENT, host="127.0.0.1", **config):
    check = HTTPCheck()
    check.host, check.port, check.timeout = host, port, timeout
    check.apply_config({"uri": "/health", **config})
    return check


def tcp(port, *, timeout=PATIENT, **config):
    check = TCPCheck()
    check.host, check.port, check.timeout = "127.0.0.1", port, timeout
    check.apply_config(config)
    return check


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(
        [*command, "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=nobody.invalid"],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


@pytest.mark.parametrize("status", [200, 204, 299])
def test_success_passes(status):
    with server(answer(b"HTTP/1.1 %d Fine\r\nContent-Length: 0\r\n\r\n" % status)) as port:
        check = http(port)
        assert check.perform() is True
        assert check.reason == ""


@pytest.mark.parametrize("status", [199, 301, 302, 404, 500, 503])
def test_other_statuses_fail_and_say_so(status):
    with server(answer(b"HTTP/1.1 %d No\r\nLocation: /\r\nContent-Length: 0\r\n\r\n" % status)) as port:
        check = http(port)
        assert check.perform() is False
        assert check.reason == f"status {status}"


def test_the_request_names_method_path_and_host():
    seen = []

    def talk(connection, stop):
        seen.append(connection.recv(65536))
        connection.sendall(OK)
        stop.wait(60)

    with server(talk) as port:
        assert http(port, method="HEAD", uri="/up?a=1").perform()
    head = seen[0].decode().splitlines()
    assert head[0] == "HEAD /up?a=1 HTTP/1.1"
    assert f"Host: 127.0.0.1:{port}" in head
    assert "Connection: close" in head


def test_a_check_recovers_and_forgets_its_reason():
    with server(answer(OK)) as port:
        check = http(free_port())
        assert check.perform() is False
        check.port = port
        assert check.perform() is True
        assert check.reason == ""


def test_nobody_listens():
    check = http(free_port())
    assert check.perform() is False
    assert check.reason == "Connection refused"


def test_ipv6():
    with server(answer(OK), host="::1") as port:
        assert http(port, host="::1").perform()


def test_a_name_with_several_addresses_finds_the_one_that_answers():
    with server(answer(OK)) as port:
        assert http(port, host="localhost").perform()


@pytest.mark.parametrize("make", [http, lambda port, **kw: tcp(port, query="", response="hello", **kw)])
def test_a_server_that_never_answers(make):
    with server(silent) as port:
        check = make(port, timeout=HASTY)
        assert check.perform() is False
        assert check.reason.endswith("within 0.5 s")


@pytest.mark.parametrize(
    ("head", "byte"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_a_header_that_never_ends(head, byte):
    with server(drip(head, byte)) as port:
        check = http(port, timeout=HASTY)
        assert check.perform() is False
        assert check.reason


def test_an_endless_stream_of_continues_is_cut_by_size():
    def talk(connection, stop):
        connection.recv(65536)
        while not stop.is_set():
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)

    with server(talk) as port:
        check = http(port, timeout=PATIENT)
        assert check.perform() is False
        assert check.reason == "more than 65536 bytes without an end"


def test_a_body_that_drips_fails_at_the_deadline():
    with server(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x")) as port:
        check = http(port, timeout=HASTY)
        assert check.perform() is False
        assert "no complete answer" in check.reason


def test_a_failing_status_is_the_reason_however_its_body_comes():
    with server(drip(b"HTTP/1.1 503 Busy\r\nContent-Length: 1000000\r\n\r\n", b"x")) as port:
        check = http(port, timeout=HASTY)
        assert check.perform() is False
        assert check.reason == "status 503"


@pytest.mark.parametrize("length", [b"Content-Length: 5\r\n", b"Connection: close\r\n"])
def test_a_body_that_comes_after_its_header_is_waited_for(length):
    def talk(connection, stop):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
        stop.wait(0.2)  # so that the header is read alone
        connection.sendall(b"hello")

    with server(talk) as port:
        check = http(port)
        assert check.perform() is True, check.reason


def test_a_server_sees_an_orderly_end_of_the_exchange():
    """A connection closed with unread data is reset, which servers log as an error."""
    ends = []

    def talk(connection, _stop):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        try:
            ends.append(connection.recv(10))
        except ConnectionError as error:
            ends.append(error)

    with server(talk) as port:
        assert http(port).perform()
        until(lambda: ends, what="the end of the exchange")
    assert ends == [b""]


def test_a_huge_body_is_not_waited_for():
    sent = []

    def talk(connection, stop):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n")
        block = bytes(65536)
        try:
            while not stop.is_set():
                connection.sendall(block)
                sent.append(len(block))
        finally:
            sent.append(0)

    with server(talk) as port:
        assert http(port).perform()
    assert sum(sent) < 64 * 1024 * 1024


@pytest.mark.parametrize(
    "garbage", [b"\x00\xff\x1b[2Jgarbage\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n"]
)
def test_garbage_fails_with_a_harmless_reason(garbage):
    with server(answer(garbage)) as port:
        check = http(port)
        assert check.perform() is False
        assert check.reason.startswith("not an HTTP answer")
        assert check.reason.isprintable()


def test_a_connection_closed_without_an_answer():
    with server(answer(b"", linger=False)) as port:
        check = http(port)
        assert check.perform() is False
        assert check.reason == "the connection was closed without an answer"


def test_a_connection_reset():
    def talk(connection, stop):
        connection.recv(65536)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with server(talk) as port:
        check = http(port)
        assert check.perform() is False
        assert check.reason == "Connection reset by peer"


def test_a_name_that_cannot_be_one():
    check = http(1, host="a" * 70 + ".invalid")
    assert check.perform() is False
    assert check.reason


def test_https_with_a_self_signed_certificate_passes(certificate):
    with server(answer(OK), context=certificate) as port:
        check = http(port, https=True)
        assert check.perform(), check.reason


def test_https_with_a_bad_status_fails(certificate):
    with server(answer(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), context=certificate) as port:
        check = http(port, https=True)
        assert check.perform() is False
        assert check.reason == "status 500"


def test_https_asked_of_a_plain_server():
    with server(answer(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        check = http(port, https=True)
        assert check.perform() is False
        assert check.reason


@pytest.mark.parametrize("head", [b"", b"\x16\x03\x03\x40\x00"])
def test_a_handshake_that_drips(head):
    with server(drip(head, b"\x02" if head else b"\x16")) as port:
        check = http(port, https=True, timeout=HASTY)
        assert check.perform() is False
        assert check.reason


def test_a_header_that_drips_inside_tls(certificate):
    with server(drip(b"HTTP/1.1 200 OK\r\nX: ", b"x"), context=certificate) as port:
        check = http(port, https=True, timeout=2.0)
        assert check.perform() is False
        assert check.reason.endswith("within 2 s")


def test_tcp_without_a_conversation_needs_a_connection_only():
    with server(silent) as port:
        assert tcp(port).perform()
    check = tcp(free_port())
    assert check.perform() is False
    assert check.reason == "Connection refused"


@pytest.mark.parametrize("tail", [b"", b" and more\r\n"])
def test_tcp_answer_starts_as_expected(tail):
    with server(answer(b"+PONG" + tail)) as port:
        assert tcp(port, query="PING\r\n", response="+PONG").perform()


def test_tcp_answer_in_pieces():
    def talk(connection, stop):
        assert connection.recv(100) == b"PING"
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"+PONG":
            connection.sendall(bytes([byte]))
            stop.wait(0.02)
        stop.wait(60)

    with server(talk) as port:
        check = tcp(port, query="PING", response="+PONG")
        assert check.perform(), check.reason


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"-ERR \x1b[2J", "the answer starts with b'-"),
        (b"+PO", "the answer ended after b'+PO'"),
        (b"", "the answer ended"),
    ],
)
def test_tcp_answer_of_another_kind(said, reason):
    with server(answer(said, linger=False)) as port:
        check = tcp(port, query="PING", response="+PONG")
        assert check.perform() is False
        assert check.reason.startswith(reason)
        assert check.reason.isprintable()


def test_tcp_answer_that_drips_too_slowly():
    with server(drip(b"", b"a")) as port:
        check = tcp(port, timeout=HASTY, query="x", response="a" * 60000)
        assert check.perform() is False
        assert check.reason.endswith("within 0.5 s")


def test_no_descriptor_is_left_open(certificate):
    gc.collect()
    before = sorted(os.listdir("/proc/self/fd"))
    with (
        server(silent) as quiet,
        server(answer(b"junk\r\n\r\n")) as junk,
        server(answer(OK), context=certificate) as tls,
    ):
        checks = [
            http(quiet, timeout=0.05),
            http(quiet, timeout=0.05, https=True),
            http(junk),
            http(junk, https=True),
            http(tls, https=True),
            http(free_port()),
        ]
        for check in checks * 3:
            check.perform()
    assert sorted(os.listdir("/proc/self/fd")) == before
