"""The configurations of lighthouse 1.0, after the edits that docs/migrating.md lists and no others, under a real HAProxy."""

import os
import pwd
import re
import resource
import shutil
import socket
from pathlib import Path

import pytest

from lighthouse.cluster import Cluster
from lighthouse.config.compiler import compile_directory
from lighthouse.config.lastgood import LastGood
from lighthouse.errors import BalancerError
from lighthouse.haproxy.balancer import HAProxy
from lighthouse.node import Node
from lighthouse.plan import FileState
from lighthouse.role import Role
from support.haproxy import backends, haproxy
from support.ports import free_port
from support.stack import Stack
from support.wait import until

TESTS = Path(__file__).parents[1]
ORIGINAL = TESTS / "fixtures" / "original"
MIGRATING = (TESTS.parent / "docs" / "migrating.md").read_text()
IMAGES = sorted(path.name for path in ORIGINAL.iterdir() if path.is_dir())

# The edits, as docs/migrating.md words them: file, what stands there, what must stand there.
EDITS = [
    *((f"{name}/balancers/haproxy.yaml", "maxconn 40000", "maxconn 4000") for name in IMAGES),
    ("client/balancers/haproxy.yaml", "global:\n", 'bind_address: "*"\nglobal:\n'),
    ("proxy/balancers/haproxy.yaml", "    port: 7777\n", '    port: 7777\n    bind_address: "*"\n'),
]


def may_change_user():
    try:
        return os.getuid() == 0 and bool(pwd.getpwnam("haproxy"))
    except KeyError:
        return False


class Image:
    """One image's configuration, with free ports and paths of the test in the place of those of a machine of its own."""

    def __init__(self, name, paths, *, edits=EDITS, ports=None):
        self.paths = paths
        self.ports = dict(ports or {})
        self.root = root = paths.root / f"conf-{name}"
        shutil.copytree(ORIGINAL / name, root)
        for file, old, new in edits:
            if file.startswith(f"{name}/"):
                text = (root / file.removeprefix(f"{name}/")).read_text()
                assert text.count(old) == 1, file
                (root / file.removeprefix(f"{name}/")).write_text(text.replace(old, new))
        # The registry is not the subject here: the directory stands in for ZooKeeper.
        (root / "discovery" / "zookeeper.yaml").write_text(f"plugin: directory\npath: {paths.root}/registry\n")
        self._fit(root / "balancers" / "haproxy.yaml")
        for folder in ("clusters", "services"):
            (root / folder).mkdir(exist_ok=True)  # 1.0 demanded all of them, and git keeps no empty ones
        for file in (root / "clusters").iterdir():
            self._fit(file)
        self.compiled = compile_directory(
            root, Role.ALL, good=LastGood(), poisoned={}, progress=lambda path, digest: None
        )

    def _fit(self, file):
        text = file.read_text()
        for key in ("config_file", "socket_file", "pid_file"):
            text = re.sub(rf"(?m)^{key}: .*$", f"{key}: {self.paths.config[key]}", text)
        text = re.sub(r"\bport: (\d+)", lambda match: f"port: {self.port(int(match[1]))}", text)
        text = text.replace('"partnerapi"', '"127.0.0.1"')
        if not may_change_user():
            text = text.replace('  - "user haproxy"\n', "")
        file.write_text(text)

    def port(self, original):
        """The port that stands for one of the original's."""
        return self.ports.setdefault(original, free_port())

    @property
    def refused(self):
        return {path: file.error for path, file in self.compiled.plan.files.items() if file.state is not FileState.OK}

    def run(self, **nodes):
        """Bring it into force, with these members."""
        assert self.refused == {}
        blob = self.compiled.blobs["balancer/haproxy"]
        balancer = HAProxy()
        balancer.apply_config(blob["config"])
        return balancer.sync(
            [
                Cluster(
                    item["name"],
                    item["discovery"],
                    [getattr(found, "node", found) for found in nodes.get(item["name"], ())],
                    item["options"],
                    item.get("meta_cluster"),
                )
                for item in blob["clusters"]
            ]
        )


def get(port, path="/", host="127.0.0.1"):
    with socket.create_connection((host, port), 10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


@pytest.fixture
def paths(tmp_path):
    with haproxy(tmp_path) as found:
        yield found


@pytest.mark.parametrize("image", IMAGES)
def test_each_is_accepted_after_the_edits(paths, image):
    assert Image(image, paths).refused == {}


def test_nothing_is_refused_without_the_edits(paths):
    """No file can tell who connects, or what the limits are."""
    assert not any(Image(name, paths, edits=[]).refused for name in IMAGES)


def test_every_edit_is_documented():
    for file, _, new in EDITS:
        for line in new.splitlines():
            assert line.strip() in MIGRATING, f"{file}: {line}"


def test_maxconn_beyond_the_limit_of_files_is_why_it_is_edited(paths):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    edits = [("webapp/balancers/haproxy.yaml", "maxconn 40000", f"maxconn {hard}")]
    if hard > 1_000_000:
        pytest.skip("this limit is beyond what HAProxy would ask for")
    with pytest.raises(BalancerError, match="Cannot raise FD limit"):
        Image("webapp", paths, edits=edits).run()


def test_webapp_and_cache(paths):
    image = Image("webapp", paths)
    with backends("redis1", "redis2") as caches:
        report = image.run(cache=caches)
        assert report["degraded"] is None
        assert set(report["servers"]["cache"].values()) == {"up"}
        assert len({get(image.port(9999)) for _ in range(4)}) == 1, "`balance source` sends a client to one of them"
    assert get(image.port(9009), "/haproxy")[0] == 200


def test_multiapp_announces_two_ports_of_one_service(paths):
    image = Image("multiapp", paths)
    assert image.compiled.plan.services["webapp"].ports == (8001, 8002)
    assert image.run()["degraded"] is None


def test_client_with_meta_cluster_and_stats(paths):
    image = Image("client", paths)
    with backends("app1", "app2", "widgets", "sprockets") as (app1, app2, widgets, sprockets):
        report = image.run(webapp=[app1, app2], api_widgets=[widgets], api_sprockets=[sprockets])
        assert report["degraded"] is None
        meta = image.port(8080)
        assert get(meta, "/api/widgets") == (200, "widgets")
        assert get(meta, "/api/sprockets?all") == (200, "sprockets")
        assert get(meta, "/else")[0] == 503
        assert {get(image.port(8000)) for _ in range(4)} == {(200, "app1"), (200, "app2")}
        assert get(meta, "/api/widgets", host="127.0.0.2") == (200, "widgets"), "other addresses are served too"
    status, page = get(image.port(9009), "/haproxy")
    assert status == 200
    assert "api_widgets" in page


def test_sprockets_reach_the_partner_through_the_proxy(paths, tmp_path_factory):
    with backends("partner") as (partner,), haproxy(tmp_path_factory.mktemp("proxy")) as other:
        egress = Image("proxy", other, ports={88: partner.port})
        assert egress.run()["degraded"] is None
        assert get(egress.port(7777)) == (200, "partner")
        assert get(egress.port(7777), host="127.0.0.2") == (200, "partner")
        image = Image("sprockets", paths)
        assert image.run(proxy=[Node("proxy01", "127.0.0.1", egress.port(7777))])["degraded"] is None
        assert get(image.port(7777)) == (200, "partner")


def test_the_client_under_a_whole_lighthouse(paths):
    image = Image("client", paths)
    stack = Stack(paths.root / "stack")
    shutil.copytree(image.root, stack.config, dirs_exist_ok=True)
    with backends("widgets", "sprockets") as servers:
        for server in servers:
            announced = paths.root / "registry" / f"api_{server.name}"
            announced.mkdir(parents=True)
            (announced / server.node.name).write_text(server.node.serialize())
        stack.start()
        try:
            meta = image.port(8080)
            until(
                lambda: served(meta, "/api/widgets") == (200, "widgets"),
                what=lambda: f"widgets; {stack.output()}",
                within=60,
            )
            until(lambda: served(meta, "/api/sprockets") == (200, "sprockets"), what="sprockets", within=60)
            assert served(meta, "/else")[0] == 503
        finally:
            stack.stop()
        assert served(meta, "/api/widgets") == (200, "widgets"), "HAProxy goes on without Lighthouse"


def served(port, path):
    try:
        return get(port, path)
    except (OSError, IndexError):
        return None


@pytest.mark.parametrize("image", IMAGES)
def test_the_same_input_gives_the_same_bytes(paths, image):
    made = Image(image, paths)
    made.run()
    text = paths.file.read_text()
    paths.file.unlink()
    made.run()
    assert paths.file.read_text() == text
