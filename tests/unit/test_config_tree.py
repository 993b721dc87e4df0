"""The identity of a directory, and which directories tell of its changes."""

import os

import pytest

from lighthouse.config.tree import fingerprint
from lighthouse.config.watch import directories

FOLDERS = ("discovery", "balancers", "clusters", "services")


@pytest.fixture
def base(tmp_path):
    conf = tmp_path / "conf"
    for folder in FOLDERS:
        (conf / folder).mkdir(parents=True)
    (conf / "clusters" / "web.yaml").write_text("a: 1\n")
    return conf


def touch_later(path):
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 1_000_000_000))


@pytest.mark.parametrize(
    "change",
    [
        lambda base: (base / "clusters" / "web.yaml").write_text("a: 1\nb: 2\n"),
        lambda base: touch_later(base / "clusters" / "web.yaml"),
        lambda base: (base / "clusters" / "web.yaml").unlink(),
        lambda base: (base / "clusters" / "web.yaml").rename(base / "clusters" / "web.yml"),
        lambda base: (base / "clusters" / "web.yaml").rename(base / "services" / "web.yaml"),
        lambda base: (base / "clusters" / "web.yaml").chmod(0o600),
        lambda base: (base / "services" / "new.yml").write_text("a: 1\n"),
        lambda base: (base / "logging.yaml").write_text("version: 1\n"),
        lambda base: (base / "services").rmdir(),
        lambda base: (base / "clusters" / "link.yaml").symlink_to("nowhere"),
        lambda base: base.rename(base.with_name("moved")),
    ],
)
def test_a_change_changes_the_fingerprint(base, change):
    before = fingerprint(base)
    assert fingerprint(base) == before
    change(base)
    assert fingerprint(base) != before


@pytest.mark.parametrize(
    "name", ["clusters/.web.yaml.swp", "clusters/web.yaml~", "README", "clusters/.x.yaml", "other.log"]
)
def test_litter_does_not_change_the_fingerprint(base, name):
    before = fingerprint(base)
    (base / name).write_text("x")
    assert fingerprint(base) == before


def test_a_link_that_leads_elsewhere_changes_the_fingerprint(base, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f.yaml").write_text("a: 1\n")
    (tmp_path / "current").symlink_to("one")
    (base / "clusters" / "f.yaml").symlink_to(tmp_path / "current" / "f.yaml")
    before = fingerprint(base)
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(tmp_path / "current")
    assert fingerprint(base) != before


def watched(base, *files):
    return set(directories(base, FOLDERS, files))


def test_plain_directories(base):
    found = directories(base, FOLDERS, [base / "clusters" / "web.yaml"])
    assert found == tuple(sorted(str(path) for path in (base, *(base / folder for folder in FOLDERS))))


def test_a_missing_folder_is_not_watched_but_its_parent_is(base):
    (base / "services").rmdir()
    assert watched(base) == {str(base), *(str(base / folder) for folder in FOLDERS if folder != "services")}


def test_a_release_directory_that_is_swapped(tmp_path, base):
    releases = tmp_path / "releases"
    releases.mkdir()
    base.rename(releases / "42")
    (tmp_path / "current").symlink_to("releases/42")
    found = watched(tmp_path / "current")
    assert str(tmp_path) in found, "the directory that holds the link"
    assert {str(releases / "42"), str(releases / "42" / "clusters")} <= found
    assert not any("current" in path for path in found)


def test_a_link_above_the_directory(tmp_path, base):
    releases = tmp_path / "releases" / "7"
    releases.mkdir(parents=True)
    base.rename(releases / "conf")
    (tmp_path / "current").symlink_to(releases)
    assert {str(tmp_path), str(releases), str(releases / "conf")} <= watched(tmp_path / "current" / "conf")


def test_the_layout_of_a_config_map(base):
    folder = base / "clusters"
    (folder / "..2024_01").mkdir()
    (folder / "..2024_01" / "map.yaml").write_text("a: 1\n")
    (folder / "..data").symlink_to("..2024_01")
    (folder / "map.yaml").symlink_to("..data/map.yaml")
    assert {str(folder), str(folder / "..2024_01")} <= watched(base, folder / "map.yaml")


def test_a_linked_folder_and_a_linked_file(tmp_path, base):
    outside = tmp_path / "outside"
    (outside / "services").mkdir(parents=True)
    (outside / "file.yaml").write_text("a: 1\n")
    (base / "services").rmdir()
    (base / "services").symlink_to("../outside/services")
    (base / "clusters" / "file.yaml").symlink_to(outside / "file.yaml")
    found = watched(base, base / "clusters" / "file.yaml")
    assert {str(outside), str(outside / "services"), str(base / "clusters")} <= found
    assert str(base / "services") not in found


def test_a_link_that_leads_nowhere_or_around_is_watched_where_it_stands(base):
    (base / "clusters" / "a.yaml").symlink_to("b.yaml")
    (base / "clusters" / "b.yaml").symlink_to("a.yaml")
    (base / "services" / "c.yaml").symlink_to("/nowhere/at/all.yaml")
    found = watched(base, *(base / name for name in ("clusters/a.yaml", "services/c.yaml")))
    assert found == watched(base)


def test_a_relative_directory_gives_absolute_paths(base, monkeypatch):
    monkeypatch.chdir(base.parent)
    assert directories(type(base)("conf"), FOLDERS, []) == directories(base, FOLDERS, [])
    assert directories(type(base)("conf/../conf"), FOLDERS, []) == directories(base, FOLDERS, [])


def test_what_could_not_be_sent_is_not_watched(base):
    odd = base.with_name(os.fsdecode(b"odd\xff"))
    odd.mkdir()
    (odd / "file.yaml").write_text("a: 1\n")
    (base / "clusters" / "file.yaml").symlink_to(odd / "file.yaml")
    assert watched(base, base / "clusters" / "file.yaml") == watched(base)
