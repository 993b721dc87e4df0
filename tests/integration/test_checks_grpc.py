"""The gRPC check against a real health server, in a process of its own."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lighthouse.checks.grpc import GRPCCheck
from lighthouse.errors import ConfigError, ResourceError
from support.pki import Authority
from support.ports import free_port
from support.stack import Stack
from support.talk import answer, drip, server, silent
from support.wait import until

SERVER = """
import json, sys
from concurrent import futures
import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
config = json.loads(sys.argv[1])
server = grpc.server(futures.ThreadPoolExecutor(4))
if config["health"]:
    servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    for name, status in config["statuses"].items():
        servicer.set(name, health_pb2.HealthCheckResponse.ServingStatus.Value(status))
address = f"127.0.0.1:{config['port']}"
if config["tls"]:
    key, certificate, ca = (open(path, "rb").read() for path in config["tls"])
    credentials = grpc.ssl_server_credentials([(key, certificate)], ca, config["clients"])
    server.add_secure_port(address, credentials)
else:
    server.add_insecure_port(address)
server.start()
print("listening", flush=True)
for line in sys.stdin:
    name, status = line.split()
    servicer.set(name, health_pb2.HealthCheckResponse.ServingStatus.Value(status))
    print("done", flush=True)
"""


@contextlib.contextmanager
def health_server(*, statuses=None, health=True, tls=None, clients=False):
    """Gives the port and a function that sets the status of a service."""
    port = free_port()
    config = {"port": port, "statuses": statuses or {}, "health": health, "tls": tls, "clients": clients}
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, json.dumps(config)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout.readline() == "listening\n"

            def tell(name, status):
                process.stdin.write(f"{name} {status}\n")
                process.stdin.flush()
                assert process.stdout.readline() == "done\n"

            yield port, tell
        finally:
            process.kill()


def grpc_check(port, timeout=20.0, **config):
    check = GRPCCheck()
    check.host, check.port, check.timeout = "127.0.0.1", port, timeout
    full = {name: option.default for name, option in GRPCCheck.options.items()} | config
    GRPCCheck.validate_config(full)
    check.apply_config(full)
    return check


@pytest.fixture(scope="module")
def healthy():
    with health_server(statuses={"shop.Cart": "SERVING", "shop.Till": "NOT_SERVING"}) as (port, tell):
        yield port, tell


def test_the_server_as_a_whole_and_one_service(healthy):
    port, _ = healthy
    for config in ({}, {"service": "shop.Cart"}):
        check = grpc_check(port, **config)
        assert check.perform(), check.reason
        assert check.reason == ""


@pytest.mark.parametrize(
    ("service", "reason"),
    [("shop.Till", "status NOT_SERVING"), ("shop.Bank", "the server knows no service 'shop.Bank'")],
)
def test_what_does_not_serve_fails(healthy, service, reason):
    check = grpc_check(healthy[0], service=service)
    assert check.perform() is False
    assert check.reason == reason


def test_a_change_is_seen_at_once(healthy):
    port, tell = healthy
    check = grpc_check(port, service="shop.Door")
    for status, passes in (("SERVING", True), ("NOT_SERVING", False), ("UNKNOWN", False), ("SERVING", True)):
        tell("shop.Door", status)
        assert check.perform() is passes


def test_a_server_without_the_protocol_fails():
    with health_server(health=False) as (port, _):
        check = grpc_check(port)
        assert check.perform() is False
        assert check.reason == "the server does not speak the health protocol"


def test_a_server_that_is_gone_is_found_again_at_once(healthy):
    check = grpc_check(free_port())
    for _ in range(3):
        assert check.perform() is False
        assert "Connection refused" in check.reason
        assert check.reason.isprintable()
    check.port = healthy[0]
    assert check.perform(), check.reason


@pytest.mark.parametrize("talk", [silent, drip(b"", b"\x00"), answer(b"HTTP/1.1 200 OK\r\n\r\n\x1b[2J")])
def test_what_is_no_grpc_fails_by_the_deadline(talk):
    with server(talk) as port:
        check = grpc_check(port, timeout=0.5)
        assert check.perform() is False
        assert check.reason
        assert check.reason.isprintable()


def test_tls_with_a_private_ca_a_name_and_a_client_certificate(tmp_path):
    authority = Authority(tmp_path)
    certificate = authority.certificate("server", names="IP:127.0.0.1,DNS:grpc.test")
    files = [str(authority.key_file("server")), str(certificate), str(authority.ca_file)]
    mine = {"certificate_file": str(authority.certificate("probe")), "key_file": str(authority.key_file("probe"))}
    trusted = {"tls": True, "ca_file": str(authority.ca_file)}
    with health_server(tls=files) as (port, _):
        for config in (trusted, {**trusted, "server_name": "grpc.test"}):
            check = grpc_check(port, **config)
            assert check.perform(), check.reason
        for config in ({**trusted, "server_name": "other.test"}, {"tls": True}, {}):
            check = grpc_check(port, timeout=2.0, **config)
            assert check.perform() is False
            assert check.reason
    with health_server(tls=files, clients=True) as (port, _):
        check = grpc_check(port, **trusted, **mine)
        assert check.perform(), check.reason
        assert grpc_check(port, timeout=2.0, **trusted).perform() is False


def test_an_own_file_that_is_missing_says_nothing_about_the_service(tmp_path):
    check = grpc_check(1, tls=True, ca_file=str(tmp_path / "absent"))
    with pytest.raises(ResourceError, match=r"^ca_file: "):
        check.perform()


def test_verification_cannot_be_turned_off():
    with pytest.raises(ConfigError) as refused:
        grpc_check(1, tls=True, verify=False)
    assert refused.value.key == ("verify",)


def test_no_descriptor_is_left_open(healthy):
    checks = [grpc_check(healthy[0]), grpc_check(free_port()), grpc_check(healthy[0], tls=True, timeout=1.0)]
    for check in checks:
        check.perform()
    before = len(os.listdir("/proc/self/fd"))
    for check in checks * 5:
        check.perform()
    until(lambda: len(os.listdir("/proc/self/fd")) <= before, what="all descriptors to be closed")


def test_a_real_worker_and_its_replacement(tmp_path, healthy):
    """grpcio does not survive a fork: so no process that forks may have it."""
    port, tell = healthy
    tell("shop.Desk", "SERVING")
    stack = Stack(tmp_path, role="reporter")
    stack.write("discovery/dir.yaml", {"plugin": "directory", "path": str(tmp_path / "registry")})
    check = {"service": "shop.Desk", "rise": 1, "fall": 2}
    stack.write("services/shop.yaml", {"port": port, "discovery": "dir", "checks": {"interval": 0.2, "grpc": check}})
    stack.start()
    try:
        until(lambda: stack.port_state("shop", port) == "up", what="up")
        before = stack.worker("checker/shop")["generation"]
        stack.ask("restart", worker="checker/shop")
        until(lambda: stack.worker("checker/shop")["generation"] > before, what="the replacement")
        tell("shop.Desk", "NOT_SERVING")
        until(lambda: stack.port_state("shop", port) == "down", what="down")
        assert "cygrpc" not in Path(f"/proc/{stack.process.pid}/maps").read_text()
        assert "cygrpc" in Path(f"/proc/{stack.worker('checker/shop')['pid']}/maps").read_text()
    finally:
        stack.stop()
