"""Kept state on disk: private, atomic, and honest about damage."""

import stat

from lighthouse.supervisor.core import Core
from lighthouse.supervisor.keeper import Keeper
from lighthouse.supervisor.saving import Saver


def test_what_was_saved_is_loaded(tmp_path):
    keeper = Keeper(tmp_path / "state")
    snapshots = {"members/web": b"nodes", "service/a.b-c": b"", "handover/discovery/zk": b"\x00secret"}
    keeper.save(snapshots, snapshots)
    assert Keeper(tmp_path / "state").load() == (snapshots, [])


def test_it_is_private_from_the_start(tmp_path):
    keeper = Keeper(tmp_path / "state")
    keeper.save(["members/web"], {"members/web": b"x"})
    keeper.touch()
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()} == {0o600}


def test_what_is_no_longer_kept_is_removed(tmp_path):
    keeper = Keeper(tmp_path / "state")
    keeper.save(["members/web"], {"members/web": b"x"})
    keeper.save(["members/web"], {})
    assert keeper.load() == ({}, [])


def test_a_damaged_file_is_set_aside_and_the_others_are_loaded(tmp_path):
    keeper = Keeper(tmp_path / "state")
    snapshots = {"members/web": b"nodes", "members/db": b"more nodes", "members/x": b""}
    keeper.save(snapshots, snapshots)
    broken = tmp_path / "state" / "members%2Fdb"
    broken.write_bytes(broken.read_bytes()[:-1] + b"?")
    (tmp_path / "state" / "members%2Fx").write_bytes(b"")
    loaded, damaged = keeper.load()
    assert loaded == {"members/web": b"nodes"}
    assert len(damaged) == 2
    assert broken.with_name("members%2Fdb.damaged").exists()
    assert keeper.load() == ({"members/web": b"nodes"}, [])


def test_a_file_half_written_by_a_killed_supervisor_is_ignored(tmp_path):
    keeper = Keeper(tmp_path / "state")
    (tmp_path / "state" / "members%2Fweb.new").write_bytes(b"LHS")
    assert keeper.load() == ({}, [])


def test_a_topic_cannot_leave_the_directory(tmp_path):
    keeper = Keeper(tmp_path / "state")
    topic = "members/../../../evil"
    keeper.save([topic], {topic: b"x"})
    assert keeper.load()[0] == {topic: b"x"}
    assert {path.name for path in tmp_path.iterdir()} == {"state"}


def test_it_tells_how_long_nobody_was_there(tmp_path):
    keeper = Keeper(tmp_path / "state")
    assert keeper.downtime(1e9) is None
    keeper.touch()
    touched = (tmp_path / "state" / ".alive").stat().st_mtime
    assert keeper.downtime(touched + 12.0) == 12.0
    assert keeper.downtime(touched - 5.0) == 0.0


def test_what_cannot_be_written_holds_nothing_else_back(tmp_path):
    core, keeper = Core(), Keeper(tmp_path / "state")
    core.store.snapshots.update({f"members/{n}": b"x" for n in range(300)})
    core.store.dirty.update(core.store.snapshots)
    bad = [f"members/{n}" for n in range(250)]
    for topic in bad:
        (tmp_path / "state" / f"{topic.replace('/', '%2F')}.new").mkdir()
    saver = Saver(keeper, core)
    for _ in range(3):
        saver.save()
    assert core.store.dirty == {*bad}
    assert {topic for topic in keeper.load()[0] if topic.startswith("members/")} == {
        f"members/{n}" for n in range(250, 300)
    }
    assert "Is a directory" in saver.problem
    core.store.snapshots["members/new"] = b"y"
    core.store.dirty.add("members/new")
    assert saver.due(1e9) == 1e9, "at once"
    saver.save()
    assert "members/new" in keeper.load()[0]
    assert saver.problem, "the others are still not written"


def test_what_cannot_be_written_is_told_until_it_can(tmp_path):
    core, keeper = Core(), Keeper(tmp_path / "state")
    core.store.note_freshness({"discovery/dir": 1.0})
    saver = Saver(keeper, core)
    blocked = tmp_path / "state" / "fresh.new"
    blocked.mkdir()
    saver.save(everything=True)
    assert "Is a directory" in saver.problem
    assert saver.due(0.0) > 0.0, "it is tried again, but not at once"
    blocked.rmdir()
    saver.save(everything=True)
    assert saver.problem is None
    assert "fresh" in keeper.load()[0]
