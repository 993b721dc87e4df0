"""The HTTP check in full: TLS with a private CA, headers, bodies, statuses and redirects, against real servers."""

import functools
import gzip
import http.server
import logging
import socket
import ssl
import threading

import pytest

from lighthouse.checks.http import HTTPCheck
from lighthouse.checks.tcp import TCPCheck
from lighthouse.errors import ResourceError
from support.pki import Authority
from support.ports import free_port
from support.talk import OK, answer, drip, server

PATIENT = 20.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def context(authority):
    return authority.server("web", names="IP:127.0.0.1,DNS:web.test")


def check_of(kind, port, config, timeout=PATIENT):
    check = kind()
    check.host, check.port, check.timeout = "127.0.0.1", port, timeout
    full = {name: option.default for name, option in kind.options.items()} | config
    kind.validate_config(full)
    check.apply_config(full)
    return check


def http_check(port, timeout=PATIENT, **config):
    return check_of(HTTPCheck, port, {"uri": "/health", **config}, timeout)


class Pages(http.server.BaseHTTPRequestHandler):
    """Python's own server; `pages` maps a path to (status, headers, body), `seen` takes what was asked."""

    protocol_version = "HTTP/1.1"

    def __init__(self, pages, seen, *args):
        self.pages, self.seen = pages, seen
        super().__init__(*args)

    def handle_any(self):
        self.seen.append((self.command, self.path, dict(self.headers)))
        status, headers, body = self.pages[self.path]
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = handle_any

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    """Starts servers: `site(pages, context)` gives a port and the list of what it is asked."""
    running = []

    class Six(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6

    def start(pages, context=None, host="127.0.0.1"):
        seen = []
        kind = Six if ":" in host else http.server.ThreadingHTTPServer
        httpd = kind((host, 0), functools.partial(Pages, pages, seen))
        httpd.handle_error = lambda *_: None  # a client that distrusts us is no news
        if context:
            httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        running.append((httpd, thread))
        return httpd.server_address[1], seen

    yield start
    for httpd, thread in running:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def well(body=b"ok"):
    return {"/health": (200, {}, body)}


# TLS -----------------------------------------------------------------------------------------------------------------


def test_a_private_ca_is_verified_by_its_file(site, context, authority):
    port, _ = site(well(), context)
    check = http_check(port, https=True, ca_file=str(authority.ca_file))
    assert check.perform(), check.reason
    named = http_check(port, https=True, ca_file=str(authority.ca_file), server_name="web.test")
    assert named.perform(), named.reason


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"verify": True}, "unable to get local issuer certificate"),
        ({"ca_file": "CA", "server_name": "other.test"}, "not valid for 'other.test'"),
    ],
)
def test_a_certificate_that_cannot_be_trusted_fails(site, context, authority, config, reason):
    port, _ = site(well(), context)
    config = {key: str(authority.ca_file) if value == "CA" else value for key, value in config.items()}
    check = http_check(port, https=True, **config)
    assert check.perform() is False
    assert reason in check.reason


def test_the_certificate_of_another_authority_fails(site, context, tmp_path):
    port, _ = site(well(), context)
    check = http_check(port, https=True, ca_file=str(Authority(tmp_path).ca_file))
    assert check.perform() is False
    assert "certificate" in check.reason


def test_ipv6_with_a_certificate_for_the_address_and_a_redirect(site, authority):
    pages = {"/health": (302, {"Location": "/there"}, b""), "/there": (200, {}, b"ok")}
    port, seen = site(pages, authority.server("six", names="IP:::1"), host="::1")
    check = http_check(port, https=True, ca_file=str(authority.ca_file), redirects="follow")
    check.host = "::1"
    assert check.perform() is True, check.reason
    assert [(path, headers["Host"]) for _, path, headers in seen] == [
        ("/health", f"[::1]:{port}"),
        ("/there", f"[::1]:{port}"),
    ]


def test_without_verification_any_certificate_passes(site, context):
    port, _ = site(well(), context)
    assert http_check(port, https=True).perform()


def test_a_server_that_wants_a_certificate_gets_one(site, authority):
    port, _ = site(well(), authority.server("strict", clients=True))
    mine = {"certificate_file": str(authority.certificate("client")), "key_file": str(authority.key_file("client"))}
    check = http_check(port, https=True, ca_file=str(authority.ca_file), **mine)
    assert check.perform(), check.reason
    assert http_check(port, https=True).perform() is False


def test_a_ca_file_that_is_renewed_counts_at_once(site, context, authority, tmp_path):
    port, _ = site(well(), context)
    ca_file = tmp_path / "trusted.pem"
    ca_file.write_bytes(Authority(tmp_path).ca_file.read_bytes())
    check = http_check(port, https=True, ca_file=str(ca_file))
    assert check.perform() is False
    new = tmp_path / "new.pem"
    new.write_bytes(authority.ca_file.read_bytes())
    new.replace(ca_file)
    assert check.perform(), check.reason


@pytest.mark.parametrize("content", [None, b"nonsense"])
@pytest.mark.parametrize("key", ["ca_file", "certificate_file"])
def test_an_own_file_that_is_unusable_says_nothing_about_the_service(site, context, tmp_path, key, content):
    port, seen = site(well(), context)
    path = tmp_path / "own.pem"
    if content is not None:
        path.write_bytes(content)
    check = http_check(port, https=True, **{key: str(path)})
    with pytest.raises(ResourceError, match=f"^{key}: '{path}': "):
        check.perform()
    assert seen == []


def test_an_encrypted_key_is_refused_without_a_question(authority, tmp_path):
    import subprocess

    certificate, key = authority.certificate("locked"), tmp_path / "locked.key"
    command = ["openssl", "ec", "-in", authority.key_file("locked"), "-aes256", "-passout", "pass:x", "-out", key]
    subprocess.run(command, check=True, capture_output=True)
    with server(answer(OK)) as port:
        check = http_check(port, https=True, certificate_file=str(certificate), key_file=str(key))
        with pytest.raises(ResourceError, match="encrypted"):
            check.perform()


def test_tcp_speaks_tls_too(context, authority):
    def talk(connection, stop):
        assert connection.recv(100) == b"PING"
        connection.sendall(b"+PONG")
        stop.wait(60)

    with server(talk, context=context) as port:
        trusted = {"tls": True, "ca_file": str(authority.ca_file)}
        check = check_of(TCPCheck, port, {**trusted, "query": "PING", "response": "+PONG"})
        assert check.perform(), check.reason
        check = check_of(TCPCheck, port, {"tls": True, "verify": True})
        assert check.perform() is False
        assert "certificate" in check.reason
    with server(answer(b"plain")) as port:
        assert check_of(TCPCheck, port, {"tls": True}, timeout=0.5).perform() is False


# requests ------------------------------------------------------------------------------------------------------------


def test_headers_are_sent_and_secrets_come_from_elsewhere(site, tmp_path, monkeypatch, caplog):
    port, seen = site(well())
    token = tmp_path / "token"
    token.write_text("abc123\n")
    token.chmod(0o600)
    monkeypatch.setenv("LH_TEST_KEY", "k-9")
    headers = {
        "Host": "web.example.net",
        "User-Agent": "me",
        "Authorization": {"file": str(token), "prefix": "Bearer "},
        "X-Key": {"env": "LH_TEST_KEY"},
    }
    check = http_check(port, method="POST", headers=headers)
    with caplog.at_level(logging.DEBUG):
        assert check.perform(), check.reason
    ((method, _, sent),) = seen
    assert method == "POST"
    assert {name: sent[name] for name in headers} == {
        "Host": "web.example.net", "User-Agent": "me", "Authorization": "Bearer abc123", "X-Key": "k-9",
    }  # fmt: skip
    assert sent["Connection"] == "close"
    assert "abc123" not in f"{check.headers!r} {caplog.text}"


@pytest.mark.parametrize("content", ["two\nlines", "tab\there", "ünicode"])
def test_a_secret_that_would_begin_another_header_is_not_sent_and_not_shown(site, tmp_path, content):
    port, seen = site(well())
    (tmp_path / "token").write_text(content)
    check = http_check(port, headers={"Authorization": {"file": str(tmp_path / "token")}})
    with pytest.raises(ResourceError) as refused:
        check.perform()
    assert seen == []
    assert content not in str(refused.value)


@pytest.mark.parametrize(
    ("expected", "status", "passes"),
    [
        ([204], 204, True),
        ([204], 200, False),
        (["2xx", 404], 404, True),
        (["400-499"], 451, True),
        (["5xx"], 499, False),
    ],
)
def test_the_statuses_that_pass_are_those_that_are_named(site, expected, status, passes):
    port, _ = site({"/health": (status, {}, b"")})
    check = http_check(port, status=expected)
    assert check.perform() is passes
    assert check.reason == ("" if passes else f"status {status}")


@pytest.mark.parametrize(
    ("config", "body", "reason"),
    [
        ({"body": "all is well"}, b"so far all is well.", ""),
        ({"body": "wéll"}, "wéll".encode(), ""),
        ({"body": "well"}, b"sick \x1b[2J", "the body does not contain 'well'"),
        ({"body_regex": r"queue: \d\b"}, b"queue: 5", ""),
        ({"body_regex": r"queue: \d\b"}, b"queue: 51", "the body has no match of 'queue: \\\\d\\\\b'"),
        ({"body": "a", "body_regex": "b"}, b"a", "the body has no match of 'b'"),
    ],
)
def test_the_body_must_hold_what_is_expected(site, config, body, reason):
    port, _ = site(well(body))
    check = http_check(port, **config)
    assert check.perform() is (not reason)
    assert check.reason == reason


def test_a_body_in_chunks_is_put_together(site):
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (b"all is", b" w", b"ell" + b"." * 40_000, b""))
    port, _ = site({"/health": (200, {"Transfer-Encoding": "chunked"}, chunks)})
    check = http_check(port, body="all is well", body_regex=r"\.{40000}$")
    assert check.perform() is True, check.reason
    assert http_check(port, body="6\r\nall").perform() is False, "it sees no frames"


def test_a_body_that_comes_compressed_unasked_is_told_of(site):
    port, seen = site({"/health": (200, {"Content-Encoding": "gzip"}, gzip.compress(b"all is well"))})
    check = http_check(port, body="all is well")
    assert check.perform() is False
    assert check.reason == "the body does not contain 'all is well'; it is encoded as 'gzip'"
    assert seen[0][2]["Accept-Encoding"] == "identity"


def test_a_body_of_ten_gibibytes_is_searched_in_its_beginning_only():
    sent = []

    def talk(first):
        def talk(connection, stop):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n" + first)
            while not stop.is_set():
                connection.sendall(bytes(65536))
                sent.append(65536)

        return talk

    for first, passes in ((b"x" * 40_000 + b"needle", True), (b"", False)):
        with server(talk(first)) as port:
            check = http_check(port, body="needle")
            assert check.perform() is passes
    assert check.reason == "the body does not contain 'needle' in its first 64 KiB"
    assert sum(sent) < 64 * 1024 * 1024


# redirects -----------------------------------------------------------------------------------------------------------


def leading(location, status=302, **more):
    return {"/health": (status, {"Location": location}, b"moved"), **more}


def test_a_redirect_fails_unless_asked_otherwise(site):
    port, _ = site(leading("/other"))
    check = http_check(port)
    assert check.perform() is False
    assert check.reason == "status 302"
    assert http_check(port, redirects="accept").perform()
    assert http_check(port, status=[302]).perform()
    assert http_check(port, status=[302], redirects="follow").perform()


@pytest.mark.parametrize("where", ["/other", "other", "?", "http://127.0.0.1:{port}/other"])
def test_a_redirect_is_followed_to_its_end(site, where):
    pages = {"/other": (200, {}, b"here it is")}
    port, seen = site(pages)
    pages.update(leading(where.format(port=port)))
    pages["/health?"] = pages["/other"]
    if where == "?":
        pages.update({"/health": (302, {"Location": "/health?a=1"}, b""), "/health?a=1": pages["/other"]})
    check = http_check(port, redirects="follow", body="here it is")
    assert check.perform(), check.reason
    assert len(seen) == 2


@pytest.mark.parametrize(("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
def test_the_method_survives_only_where_the_standard_says_so(site, status, method):
    port, seen = site(leading("/other", status, **{"/other": (200, {}, b"")}))
    assert http_check(port, redirects="follow", method="POST").perform()
    assert [entry[:2] for entry in seen] == [("POST", "/health"), (method, "/other")]


def test_a_loop_of_redirects_ends(site):
    port, seen = site(leading("/health"))
    check = http_check(port, redirects="follow", max_redirects=3)
    assert check.perform() is False
    assert check.reason == "more than 3 redirects, the last to '/health'"
    assert len(seen) == 4


def test_redirects_that_drip_end_at_the_one_deadline():
    def talk(connection, stop):
        connection.recv(65536)
        stop.wait(0.2)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")

    with server(talk) as port:
        check = http_check(port, timeout=0.7, redirects="follow", max_redirects=20)
        assert check.perform() is False
        assert "within 0.7 s" in check.reason


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("", "a redirect without a location"),
        ("ftp://127.0.0.1/", "a redirect to 'ftp://127.0.0.1/'"),
        ("http://127.0.0.1:x/", "a redirect to 'http://127.0.0.1:x/'"),
        ("http://:80/", "a redirect to 'http://:80/'"),
        ("/a b", "a redirect to '/a b'"),
        ("/\x1b[2J", "a redirect to '/\\x1b[2J'"),
    ],
)
def test_a_redirect_to_nowhere_fails(location, reason):
    with server(answer(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())) as port:
        check = http_check(port, redirects="follow")
        assert check.perform() is False
        assert check.reason == reason


def test_what_is_meant_for_the_service_goes_nowhere_else(site, context, authority, tmp_path):
    (tmp_path / "token").write_text("abc123")
    other, seen = site({"/other": (200, {}, b"")}, context)
    port, _ = site(leading(f"https://127.0.0.1:{other}/other"), authority.server("first", names="DNS:first.test"))
    check = http_check(
        port, https=True, redirects="follow", ca_file=str(authority.ca_file), server_name="first.test",
        headers={"Authorization": {"file": str(tmp_path / "token")}, "Host": "first.test"},
    )  # fmt: skip
    assert check.perform(), check.reason
    ((_, _, sent),) = seen
    assert "Authorization" not in sent
    assert sent["Host"] == f"127.0.0.1:{other}"


def test_a_redirect_out_of_tls_is_not_followed(site, context):
    plain, seen = site(well())
    port, _ = site(leading(f"http://127.0.0.1:{plain}/health"), context)
    check = http_check(port, https=True, redirects="follow")
    assert check.perform() is False
    assert check.reason.startswith("a redirect from https to ")
    assert seen == []


def test_a_redirect_to_a_closed_port_fails(site):
    port, _ = site(leading(f"http://127.0.0.1:{free_port()}/"))
    check = http_check(port, redirects="follow")
    assert check.perform() is False
    assert check.reason == "Connection refused"


def test_a_drip_inside_a_verified_connection_ends_at_the_deadline(context, authority):
    with server(drip(b"HTTP/1.1 200 OK\r\nX: ", b"x"), context=context) as port:
        check = http_check(port, timeout=1.0, https=True, ca_file=str(authority.ca_file))
        assert check.perform() is False
        assert "within 1 s" in check.reason


def test_a_context_is_made_once(site, context, authority, monkeypatch):
    port, _ = site(well(), context)
    checks = [http_check(port, https=True, ca_file=str(authority.ca_file)) for _ in range(3)]
    assert checks[0].perform()
    monkeypatch.setattr(ssl, "SSLContext", None)
    for check in checks * 2:
        assert check.perform(), check.reason
