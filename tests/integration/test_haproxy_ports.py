"""Ports against a real HAProxy: which listeners it takes side by side."""

import itertools
import re
import subprocess

import pytest

from lighthouse.haproxy.binds import places_of
from lighthouse.haproxy.document import Document
from lighthouse.haproxy.stanzas.section import Section
from support.haproxy import backends, balancer, cluster, get
from support.ports import free_port

FORMS = (
    *("127.0.0.1:{}", "127.0.0.2:{}", "*:{}", ":{}", "0.0.0.0:{} v6only", "ipv4@:{}", "[::ffff:127.0.0.1]:{}"),
    *("[::1]:{}", ":::{}", "[::]:{} v4v6", "[::]:{} v6only", "ipv6@:{} v4v6 v6only", "[0::0]:{} v6only"),
)


@pytest.mark.versions
def test_listeners_clash_where_haproxy_finds_that_they_do(tmp_path):
    """With ``noreuseport`` it says at a start which it cannot bind; it accepts all of them otherwise, and shares connections."""
    pairs = [
        tuple(form.format(port) for form in pair) for pair in itertools.combinations(FORMS, 2) for port in [free_port()]
    ]
    lines = ["global", "noreuseport", "defaults", "timeout client 1s", "timeout server 1s", "timeout connect 1s"]
    for number, pair in enumerate(pairs):
        lines += [
            line
            for side, place in zip("ab", pair, strict=True)
            for line in (f"frontend {number}{side}", f"bind {place}")
        ]
    file = tmp_path / "haproxy.cfg"
    file.write_text("\n".join(lines) + "\n")
    done = subprocess.run(["haproxy", "-db", "-f", file], capture_output=True, text=True, check=False, timeout=60)
    refused = {int(number) for number in re.findall(r"frontend (\d+)[ab]: cannot bind", done.stderr)}
    assert refused, done.stderr
    for number, pair in enumerate(pairs):
        document = Document((), tuple(Section("frontend x", (f"bind {place}",)) for place in pair))
        (_, one), (_, other) = places_of(document)
        assert (number in refused) == one.meets(other) == other.meets(one), pair


def test_one_has_all_of_ipv4_and_another_all_of_ipv6(paths):
    made, port = balancer(paths), free_port()
    with backends("a", "b") as (a, b):
        web = cluster("web", [a], port=port, frontend=[f"bind *:{port}"])
        clusters = [web, cluster("six", [b], port=free_port(), frontend=[f"bind [::]:{port} v6only"])]
        assert made.sync(clusters)["degraded"] is None
        assert get(port, host="127.0.0.2") == (200, "a")
        assert get(port, host="::1") == (200, "b")
        clusters[1] = cluster("six", [b], port=free_port(), frontend=[f"bind [::]:{port} v4v6"])
        report = made.sync(clusters)
        assert f"port {port} belongs to cluster web, which listens there already" in report["quarantined"]["six"]
        assert paths.reloads() == 0
        assert get(port, host="::1") == (200, "b"), "until then it stays where it listens"
