"""The directory registry on a real file system with real inotify; only the clocks are the tests' own where age matters."""

import gc
import json
import os
import select
import stat
import tempfile
import time
from pathlib import Path

import pytest

from lighthouse.cluster import Cluster
from lighthouse.directory.discovery import DirectoryDiscovery
from lighthouse.discovery import Announcement, Wanted
from lighthouse.errors import AnnounceError, ConfigError, RegistryError
from lighthouse.node import MAX_RECORD, Node
from lighthouse.service import Service
from support.wait import until


class Clock:
    """Both clocks of a reader. The wall clock starts at the real time, because the file system stamps with it."""

    def __init__(self):
        self.now = 1000.0
        self.offset = 0.0

    def monotonic(self):
        return self.now

    def wall(self):
        return time.time() + self.offset


class Host:
    """One host's discovery, and how often each of its clusters was told."""

    def __init__(self, root, name="host-a", ttl=15.0, clock=None):
        self.name = name
        self.clock = clock or Clock()
        self.discovery = DirectoryDiscovery(monotonic=self.clock.monotonic, wall=self.clock.wall)
        self.discovery.apply_config({"path": str(root), "ttl": ttl})
        self.discovery.connect()
        self.told = {}

    def watch(self, name):
        cluster = Cluster(name)
        self.told[name] = 0

        def should_update():
            self.told[name] += 1

        self.discovery.start_watching(cluster, should_update)
        return cluster

    def node(self, port=80, **metadata):
        return Node(self.name, "10.0.0.1", port, metadata)

    def item(self, service="web", port=80, wanted=Wanted.UP, **metadata):
        return Announcement(Service(service, (port,)), port, wanted, self.node(port, **metadata))

    def announce(self, *items):
        self.discovery.announce(items)

    def maintain(self, after=0.0):
        self.clock.now += after
        return self.discovery.maintain()

    def period(self, count=1):
        """Let whole periods pass, one reading each."""
        for _ in range(count):
            report = self.maintain(self.discovery.period)
        return report


@pytest.fixture
def root(tmp_path):
    return tmp_path / "registry"


@pytest.fixture
def hosts(root):
    made = []

    def make(name="host-a", **options):
        made.append(Host(root, name, **options))
        return made[-1]

    yield make
    for host in made:
        host.discovery.disconnect()


def names(cluster):
    return None if cluster.nodes is None else [node.name for node in cluster.nodes]


def put(root, service, file, content, *, age=0.0):
    """Another host's file, put in place as the record's rules ask: whole."""
    folder = root / service
    folder.mkdir(exist_ok=True)
    temporary = folder / f".{file}.x"
    temporary.write_bytes(content if isinstance(content, bytes) else content.encode())
    moment = time.time() - age
    os.utime(temporary, (moment, moment))
    temporary.rename(folder / file)
    return folder / file


def record(host="other", port=80, **metadata):
    return Node(host, "10.0.0.9", port, metadata).serialize()


# Options


@pytest.mark.parametrize("path", ["registry", "./x", "", "/a\0b"])
def test_a_relative_path_is_refused(path):
    with pytest.raises(ConfigError) as refused:
        DirectoryDiscovery.validate_config({"path": path, "ttl": 15.0})
    assert refused.value.key == ("path",)


def test_the_period_follows_the_ttl(hosts):
    assert hosts(ttl=0.6).discovery.period == pytest.approx(0.2)
    assert hosts(ttl=60.0).discovery.period == 5.0


# Announcing


def test_an_announcement_is_one_readable_file_with_the_record(hosts, root):
    host = hosts()
    host.announce(host.item(zone="b"))
    file = root / "web" / "host-a:80"
    assert file.read_text() == host.node(zone="b").serialize()
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert os.listdir(file.parent) == ["host-a:80"]


def test_what_is_announced_is_seen_by_others_and_by_itself(hosts):
    one, two = hosts("host-a"), hosts("host-b")
    clusters = [host.watch("web") for host in (one, two)]
    one.announce(one.item())
    two.announce(two.item(port=81))
    assert one.maintain().complete
    assert two.maintain().complete
    assert [names(cluster) for cluster in clusters] == [["host-a:80", "host-b:81"]] * 2
    assert clusters[0].nodes[0] == Node.deserialize(one.node().serialize())


def test_a_changed_record_is_rewritten_and_an_equal_one_is_not(hosts, root):
    host = hosts()
    host.announce(host.item(weight=1))
    first = (root / "web" / "host-a:80").stat().st_ino
    host.announce(host.item(weight=1))
    assert (root / "web" / "host-a:80").stat().st_ino == first
    host.announce(host.item(weight=2))
    assert json.loads((root / "web" / "host-a:80").read_text())["metadata"] == '{"weight": 2}'


@pytest.mark.parametrize("how", ["down", "absent"])
def test_what_is_down_or_no_longer_wanted_is_withdrawn(hosts, root, how):
    host = hosts()
    host.announce(host.item(), host.item(port=81))
    host.announce(host.item(wanted=Wanted.DOWN), host.item(port=81)) if how == "down" else host.announce(
        host.item(port=81)
    )
    assert os.listdir(root / "web") == ["host-a:81"]
    assert host.maintain().details["announced"] == 1


def test_another_hosts_file_is_never_touched(hosts, root):
    root.mkdir()
    theirs = put(root, "web", "host-b:80", record("host-b"))
    before = theirs.stat()
    host = hosts("host-a")
    host.announce(host.item())
    host.announce(host.item(wanted=Wanted.DOWN))
    host.announce()
    host.period(2)
    assert theirs.stat() == before


def test_hold_keeps_what_stands_and_makes_nothing(hosts, root):
    host = hosts()
    host.announce(host.item(wanted=Wanted.HOLD))
    assert not (root / "web").exists()
    host.announce(host.item(old=True))
    file = root / "web" / "host-a:80"
    os.utime(file, (1, 1))
    host.announce(host.item(wanted=Wanted.HOLD, new=True))
    host.period()
    assert "old" in file.read_text()
    assert file.stat().st_mtime > 1


def test_an_announcement_is_renewed_in_time(hosts, root):
    host = hosts()
    host.announce(host.item())
    file = root / "web" / "host-a:80"
    inode = file.stat().st_ino
    for _ in range(3):
        os.utime(file, (1, 1))
        host.period()
        assert file.stat().st_mtime > 1
    assert file.stat().st_ino == inode


def test_a_renewal_is_not_news(hosts):
    one, two = hosts("host-a"), hosts("host-b")
    two.watch("web")
    one.announce(one.item())
    two.maintain()
    for _ in range(5):
        one.period()
        two.period()
    assert two.told["web"] == 1


@pytest.mark.parametrize("how", ["deleted", "altered", "folder deleted", "a pipe"])
def test_an_own_file_that_somebody_spoilt_is_made_good_at_the_next_event(hosts, root, how):
    host = hosts()
    host.announce(host.item())
    host.maintain()
    file = root / "web" / "host-a:80"
    if how == "altered":
        file.write_text("altered")
    else:
        file.unlink()
    if how == "folder deleted":
        file.parent.rmdir()
    if how == "a pipe":
        os.mkfifo(file)
    assert select.select([host.discovery.watch_fd()], [], [], 30)[0]
    host.maintain()
    assert file.read_text() == host.node().serialize()


def test_the_next_generation_withdraws_what_is_no_longer_configured(hosts, root):
    first = hosts()
    first.announce(first.item(), first.item("api", 90))
    handover = first.discovery.handover()
    first.discovery.disconnect()
    assert (root / "api" / "host-a:90").exists()

    second = Host(root)
    second.discovery.resume(handover)
    os.utime(root / "api" / "host-a:90", (1, 1))
    second.maintain()
    assert (root / "api" / "host-a:90").stat().st_mtime > 1, "kept alive until it is known what is wanted"
    second.announce(second.item())
    assert not (root / "api" / "host-a:90").exists()
    assert (root / "web" / "host-a:80").exists()
    second.discovery.disconnect()


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"{}",
        b"[]",
        b'{"path": "%s", "own": [["..", "x:1"]]}',
        b'{"path": "%s", "own": [["web", "../x:1"], 3]}',
        b"\xff",
    ],
)
def test_a_handover_that_makes_no_sense_is_ignored(hosts, root, hostile):
    host = hosts()
    host.discovery.resume(hostile.replace(b"%s", str(root).encode()))
    host.announce(host.item())
    assert host.maintain().details["announced"] == 1


def test_a_handover_of_another_directory_touches_nothing_here(hosts, root, tmp_path):
    other = Host(tmp_path / "elsewhere")
    other.announce(other.item())
    host = hosts()
    host.announce(host.item())
    fresh = hosts()
    fresh.discovery.resume(other.discovery.handover())
    fresh.announce()
    assert (root / "web" / "host-a:80").exists()
    other.discovery.disconnect()


def test_another_directory_in_the_configuration_withdraws_in_the_first(hosts, root, tmp_path):
    host = hosts()
    host.announce(host.item())
    host.discovery.disconnect()
    host.discovery.apply_config({"path": str(tmp_path / "second"), "ttl": 15.0})
    host.discovery.connect()
    host.announce(host.item())
    assert os.listdir(root / "web") == []
    assert (tmp_path / "second" / "web" / "host-a:80").exists()


@pytest.mark.parametrize(("service", "name"), [("..", "host-a"), ("a/b", "host-a"), ("web", "../x"), ("", "host-a")])
def test_no_name_leads_out_of_the_directory(hosts, root, service, name):
    host = hosts(name)
    good = Announcement(Service("good", (1,)), 1, Wanted.UP, Node("host-a", "10.0.0.1", 1))
    with pytest.raises(AnnounceError, match="cannot be announced") as found:
        host.announce(host.item(service), good)
    assert found.value.failed == {(service, 80)}
    assert os.listdir(root) == ["good"], "the others are announced"
    assert sorted(os.listdir(root.parent)) == ["registry"]


def test_a_record_that_no_reader_takes_is_not_announced(hosts, root):
    host = hosts()
    with pytest.raises(RegistryError, match="shorten its metadata"):
        host.announce(host.item(blob="x" * MAX_RECORD))
    assert os.listdir(root) == []


def test_what_cannot_be_written_is_told_and_the_rest_is_done(hosts, root):
    host = hosts()
    (root / "blocked").write_text("a file where a directory belongs")
    with pytest.raises(AnnounceError, match="blocked/host-a:80 cannot be kept up: Not a directory") as found:
        host.announce(host.item("blocked"), host.item("web"))
    assert found.value.failed == {("blocked", 80)}
    assert (root / "web" / "host-a:80").exists()
    assert "blocked" in host.maintain().degraded
    (root / "blocked").unlink()
    report = host.period()
    assert report.degraded is None
    assert (root / "blocked" / "host-a:80").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
def test_a_write_that_fails_leaves_what_is_there(hosts, root, monkeypatch):
    host = hosts()
    host.announce(host.item(weight=1))
    write = os.write
    with open("/dev/full", "wb", buffering=0) as full:
        monkeypatch.setattr(os, "write", lambda fd, data: write(full.fileno(), data))
        with pytest.raises(RegistryError, match="No space left on device"):
            host.announce(host.item(weight=2))
        monkeypatch.undo()
    assert os.listdir(root / "web") == ["host-a:80"]
    assert "1" in json.loads((root / "web" / "host-a:80").read_text())["metadata"]
    host.maintain(5)
    assert "2" in json.loads((root / "web" / "host-a:80").read_text())["metadata"]


@pytest.fixture
def nobody():
    """A directory for everybody, outside of pytest's private ones, and the rights of nobody."""
    if os.geteuid() != 0:
        pytest.skip("only root can become nobody")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        (Path(folder) / "web").mkdir()
        os.chmod(Path(folder) / "web", 0o777)
        os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(0)


def test_an_own_file_written_under_another_user_is_replaced(nobody):
    host = Host(nobody)
    os.seteuid(0)
    host.announce(host.item())
    os.seteuid(65534)
    file = nobody / "web" / "host-a:80"
    host.period()
    assert file.stat().st_uid == 65534
    assert file.read_text() == host.node().serialize()
    host.discovery.disconnect()


def test_missing_rights_cost_the_file_the_cluster_or_the_whole_answer(nobody):
    host = Host(nobody)
    cluster = host.watch("web")
    put(nobody, "web", "b:80", record("b"))
    put(nobody, "web", "c:80", record("c")).chmod(0)
    report = host.maintain()
    assert names(cluster) == ["b:80"]
    assert report.details["refused"] == {"web/c:80": "permission denied"}
    os.seteuid(0)
    (nobody / "web").chmod(0)
    os.seteuid(65534)
    report = host.period()
    assert not report.complete
    assert "web cannot be read: Permission denied" in report.degraded
    os.seteuid(0)
    nobody.chmod(0o711)
    os.seteuid(65534)
    with pytest.raises(RegistryError, match="cannot be read: Permission denied"):
        host.period()
    assert (names(cluster), host.told["web"]) == (["b:80"], 1)
    host.discovery.disconnect()


# Watching


def test_the_first_complete_answer_is_told_even_when_it_is_empty(hosts):
    host = hosts()
    cluster = host.watch("web")
    assert cluster.nodes is None
    host.maintain()
    assert (cluster.nodes, host.told["web"]) == ([], 1)
    host.period(3)
    assert host.told["web"] == 1


def test_changes_wake_the_descriptor_and_are_read_at_once(hosts, root):
    host = hosts()
    cluster = host.watch("web")
    host.maintain()

    def woken():
        assert select.select([host.discovery.watch_fd()], [], [], 30)[0]
        return host.maintain()

    put(root, "web", "b:80", record("b"))
    until(lambda: woken() and names(cluster) == ["b:80"])
    put(root, "web", "c:80", record("c"))
    until(lambda: woken() and names(cluster) == ["b:80", "c:80"])
    (root / "web" / "b:80").unlink()
    until(lambda: woken() and names(cluster) == ["c:80"])
    (root / "web" / "c:80").write_text(record("d"))
    until(lambda: woken() and names(cluster) == ["d:80"])
    (root / "web").rename(root / "away")
    until(lambda: woken() and names(cluster) == [])
    (root / "away").rename(root / "web")
    until(lambda: woken() and names(cluster) == ["d:80"])
    assert host.maintain().details["missed"] == 0
    assert host.maintain().details["full_reads"] == 1


def test_only_the_watched_clusters_are_told(hosts, root):
    host = hosts()
    web, api = host.watch("web"), host.watch("api")
    host.maintain()
    put(root, "web", "b:80", record("b"))
    put(root, "other", "b:80", record("b"))
    host.maintain()
    assert host.told == {"web": 2, "api": 1}
    host.discovery.stop_watching(web)
    put(root, "web", "c:80", record("c"))
    put(root, "api", "c:80", record("c"))
    host.period()
    assert names(web) == ["b:80"]
    assert names(api) == ["c:80"]


def test_a_full_reading_corrects_and_counts_what_inotify_did_not_tell(hosts, root):
    host = hosts()
    cluster = host.watch("web")
    put(root, "web", "a:80", record("a"))
    host.maintain()
    put(root, "web", "b:80", record("b"))
    (root / "web" / "a:80").unlink()
    assert host.discovery._watch.drain() == {"web"}  # the events are lost
    host.maintain()
    assert names(cluster) == ["a:80"]
    report = host.period()
    assert names(cluster) == ["b:80"]
    assert (report.details["missed"], report.details["full_reads"]) == (2, 2)


def test_renewals_and_told_changes_are_not_counted_as_missed(hosts, root):
    host, other = hosts("host-a"), hosts("host-b")
    host.watch("web")
    host.period()
    for port in range(81, 91):
        other.announce(other.item(port=port))
        other.period()
        report = host.period()
    assert report.details["missed"] == 0
    assert report.details["full_reads"] == 11


def test_an_overflow_of_events_leads_to_a_full_reading(hosts, root):
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 100_000:
        pytest.skip("the event queue is too long to fill")
    host = hosts()
    cluster = host.watch("web")
    put(root, "web", "a:80", record("a"))
    host.maintain()
    for _ in range(limit // 2 + 10):
        (root / "web" / "x").touch()
        (root / "web" / "x").unlink()
    put(root, "web", "b:80", record("b"))
    report = host.maintain()
    assert names(cluster) == ["a:80", "b:80"]
    assert report.details["full_reads"] == 2


def test_without_inotify_everything_works_later_and_is_told_until_it_is_there_again(hosts, root, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as short:
        short.setattr("lighthouse.directory.watch.INotify", refuse)
        host = hosts()
        assert host.discovery.watch_fd() is None
        cluster = host.watch("web")
        assert "Too many open files" in host.maintain().degraded
        put(root, "web", "b:80", record("b"))
        report = host.period()
        assert names(cluster) == ["b:80"]
        assert report.complete
        assert report.details["missed"] == 0
    assert host.period().degraded is None
    put(root, "web", "c:80", record("c"))
    host.maintain()
    assert names(cluster) == ["b:80", "c:80"], "seen at once"


# Unknown is not empty


def test_a_root_that_vanished_is_unknown_and_is_not_made_again(hosts, root):
    host = hosts()
    cluster = host.watch("web")
    put(root, "web", "b:80", record("b"))
    host.announce(host.item("api"))
    host.maintain()
    root.rename(root.with_name("unmounted"))
    for _ in range(2):
        with pytest.raises(RegistryError, match="is not there"):
            host.maintain(5)
    with pytest.raises(RegistryError, match="is not there"):
        host.announce(host.item("api"), host.item("new"))
    with pytest.raises(RegistryError, match="is not there"):
        host.discovery.connect()
    assert not root.exists()
    assert (names(cluster), host.told["web"]) == (["b:80"], 1)


def test_after_an_outage_the_members_are_not_taken_for_dead(hosts, root):
    host = hosts()
    cluster = host.watch("web")
    put(root, "web", "b:80", record("b"))
    host.maintain()
    away = root.with_name("unmounted")
    root.rename(away)
    for _ in range(10):
        with pytest.raises(RegistryError):
            host.maintain(5)
    away.rename(root)
    host.clock.offset += 50
    report = host.maintain(5)
    assert report.complete
    assert (names(cluster), host.told["web"]) == (["b:80"], 1)
    put(root, "web", "c:80", record("c"), age=-50)
    host.maintain()
    assert names(cluster) == ["b:80", "c:80"], "the watches are in place again"


def test_a_root_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    discovery = DirectoryDiscovery()
    discovery.apply_config({"path": str(tmp_path / "file" / "registry")})
    with pytest.raises(RegistryError, match="cannot be made: Not a directory"):
        discovery.connect()
    with pytest.raises(RegistryError, match="not connected"):
        discovery.maintain()


def test_a_cluster_that_cannot_be_read_stays_and_the_others_go_on(hosts, root):
    host = hosts()
    web, api = host.watch("web"), host.watch("api")
    put(root, "web", "b:80", record("b"))
    host.maintain()
    (root / "web").rename(root / "away")
    (root / "web").symlink_to(root / "away")
    put(root, "api", "c:80", record("c"))
    report = host.maintain()
    assert (names(web), names(api)) == (["b:80"], ["c:80"])
    assert not report.complete
    assert "web cannot be read" in report.degraded
    (root / "web").unlink()
    (root / "away").rename(root / "web")
    report = host.maintain()
    assert (report.complete, report.degraded) == (True, None)
    assert host.told == {"web": 1, "api": 2}


# Age


def test_old_files_are_ignored_and_swept_only_after_a_ttl_of_watching(hosts, root):
    root.mkdir()
    old = put(root, "web", "b:80", record("b"), age=1000)
    host = hosts()
    cluster = host.watch("web")
    report = host.maintain()
    assert (names(cluster), report.details["expired"], report.details["swept"]) == ([], 1, 0)
    assert old.exists()
    report = host.period(4)
    assert report.details["swept"] == 1
    assert not old.exists()
    assert host.period().details["missed"] == 0


def test_a_member_whose_owner_died_is_lost_after_the_ttl(hosts, root):
    host = hosts()
    cluster = host.watch("web")
    put(root, "web", "b:80", record("b"))
    host.maintain()
    host.period(2)
    assert names(cluster) == ["b:80"]
    report = host.period(2)
    assert (names(cluster), report.details["expired"]) == ([], 1)
    assert host.told["web"] == 2


@pytest.mark.parametrize("step", [-86400 * 365, -60, 60, 86400 * 365])
def test_a_step_of_the_wall_clock_changes_nothing(hosts, root, step):
    host = hosts()
    cluster = host.watch("web")
    file = put(root, "web", "b:80", record("b"))
    host.maintain()
    host.clock.offset = step
    for moment in range(20):
        os.utime(file, (1000 + moment, 1000 + moment))
        host.period()
    assert (names(cluster), host.told["web"]) == (["b:80"], 1)


def test_a_reader_that_slept_forgives(hosts, root):
    host = hosts()
    cluster = host.watch("web")
    put(root, "web", "b:80", record("b"))
    host.maintain()
    host.maintain(1000)
    assert names(cluster) == ["b:80"]
    host.period(4)
    assert names(cluster) == []


def test_own_files_are_never_swept(hosts, root):
    host = hosts()
    host.watch("web")
    host.announce(host.item())
    host.maintain()
    for _ in range(8):
        host.clock.now += 5
        os.utime(root / "web" / "host-a:80", (1, 1))
        host.maintain()
    assert (root / "web" / "host-a:80").exists()


def test_with_real_clocks_a_member_lives_as_long_as_its_owner(root):
    owner, reader = (Host(root, name, ttl=1.5) for name in ("host-a", "host-b"))
    for host in (owner, reader):
        host.discovery._monotonic, host.discovery._wall = time.monotonic, time.time
    cluster = reader.watch("web")
    owner.announce(owner.item())
    end = time.monotonic() + 4
    until(lambda: owner.maintain() and reader.maintain() and names(cluster) == ["host-a:80"] and time.monotonic() > end)
    until(lambda: reader.maintain() and names(cluster) == [])
    report = until(lambda: (report := reader.maintain()).details["swept"] and report)
    assert report.details["missed"] == 0
    assert os.listdir(root / "web") == []
    owner.maintain()
    assert os.listdir(root / "web") == ["host-a:80"], "the owner was away only, and takes its place again"
    for host in (owner, reader):
        host.discovery.disconnect()


# Hostile files


def test_bad_files_cost_themselves_only_and_are_told(hosts, root):
    host = hosts()
    cluster = host.watch("web")
    host.announce(host.item())
    web = root / "web"
    put(root, "web", "1-garbage", "garbage")
    put(root, "web", "2-large", " " * MAX_RECORD + record())
    put(root, "web", "3-hostile", json.dumps({"ip": "10.0.0.1\n", "port": 80, "host": "x"}))
    put(root, "web", "4\x1b[2J\n", "[]")
    put(root, "web", "5-deep", "[" * 30000)
    put(root, "web", "6-empty", "")
    (web / "7-link").symlink_to("/etc/passwd")
    os.mkfifo(web / "8-pipe")
    (web / "9-folder").mkdir()
    put(root, "web", "host-b:80", record("host-a"))
    (web / ".hidden").write_text(record("hidden"))
    os.close(os.open(os.fsencode(web) + b"/99-\xff\xfe", os.O_CREAT | os.O_WRONLY))
    report = host.maintain()
    assert names(cluster) == ["host-a:80"]
    assert report.complete
    refused = report.details["refused"]
    assert report.details["refused_total"] == len(refused) == 11
    assert refused["web/4\\x1b[2J\\n"] == "record is not an object"
    assert refused["web/7-link"] == refused["web/8-pipe"] == refused["web/9-folder"] == "not a regular file"
    assert refused["web/host-b:80"] == "host-a:80 is announced by 'host-a:80' already"
    assert "web/99-\\udcff\\udcfe" in refused
    assert all(text.isprintable() for pair in refused.items() for text in pair)
    host.period(5)
    assert (web / "1-garbage").exists(), "only announcements are swept"


def test_the_list_of_refused_files_is_bounded(hosts, root):
    host = hosts()
    host.watch("web")
    for number in range(50):
        put(root, "web", f"bad{number}", "x")
    report = host.maintain()
    assert (len(report.details["refused"]), report.details["refused_total"]) == (20, 50)


def test_a_good_file_that_became_garbage_is_no_member(hosts, root):
    host = hosts()
    cluster = host.watch("web")
    put(root, "web", "b:80", record("b"))
    put(root, "web", "c:80", record("c"))
    host.maintain()
    put(root, "web", "b:80", "garbage")
    host.maintain()
    assert names(cluster) == ["c:80"]


def test_a_flood_of_files_leaves_the_cluster_as_it_was(hosts, root, monkeypatch):
    monkeypatch.setattr("lighthouse.directory.store.MAX_FILES", 10)
    host = hosts()
    cluster = host.watch("web")
    put(root, "web", "b:80", record("b"))
    host.maintain()
    for number in range(20):
        put(root, "web", f"flood{number}", "x")
    report = host.maintain()
    assert names(cluster) == ["b:80"]
    assert "more than 10 files" in report.degraded


def test_nothing_stays_open_and_announcements_stay_after_disconnect(root):
    gc.collect()
    before = sorted(os.listdir("/proc/self/fd"))
    host = Host(root)
    host.watch("web")
    host.announce(host.item())
    host.period(3)
    put(root, "web", "bad", "x")
    host.period()
    host.discovery.disconnect()
    assert host.discovery.watch_fd() is None
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert (root / "web" / "host-a:80").exists()
