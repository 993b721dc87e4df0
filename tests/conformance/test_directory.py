"""The directory keeps what a discovery owes. As an example of how the suite is used, see docs/plugins.md."""

import threading
from contextlib import suppress

import pytest
from inotify_simple import INotify, flags

from lighthouse.testing.registry import Change, Event, Feature
from lighthouse.testing.suite import DiscoverySuite

TTL = 2.0  # seconds


class FolderObserver:
    """Everything that inotify tells of one folder; the kernel forgets nothing of it."""

    MASK = flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO | flags.MODIFY

    def __init__(self, folder):
        self._inotify = INotify()
        self._inotify.add_watch(folder, self.MASK)
        self._known = {path.name for path in folder.iterdir()}
        self._events = []

    def events(self):
        for event in self._inotify.read(timeout=0):
            assert not event.mask & flags.Q_OVERFLOW
            if not event.name.startswith("."):
                self._take(event.name, gone=bool(event.mask & (flags.DELETE | flags.MOVED_FROM)))
        return self._events

    def _take(self, name, *, gone):
        change = Change.GONE if gone else Change.CHANGED if name in self._known else Change.CAME
        (self._known.discard if gone else self._known.add)(name)
        self._events.append(Event(change, name))

    def close(self):
        self._inotify.close()


class DirectoryRegistry:
    """A folder; a thread renews what was written as another host would."""

    plugin = "lighthouse.directory.discovery:DirectoryDiscovery"
    features = Feature.ALL & ~Feature.OWNERSHIP  # a file has no owner but its name
    outages = ("gone", "a-file")
    secrets = ()

    def __init__(self, root):
        self._path = root / "registry"
        self._away = root / "away"
        self._path.mkdir()
        self.config = {"path": str(self._path), "ttl": TTL}
        self._written = set()
        self._end = threading.Event()
        self._renewer = threading.Thread(target=self._renew)
        self._renewer.start()

    def close(self):
        self._end.set()
        self._renewer.join()

    @property
    def _root(self):
        return self._away if self._away.exists() else self._path

    def _folder(self, service):
        folder = self._root / service
        folder.mkdir(exist_ok=True)
        return folder

    def _renew(self):
        while not self._end.wait(TTL / 5):
            for service, name in list(self._written):
                with suppress(OSError):
                    (self._root / service / name).touch()

    def write(self, service, name, record):
        new = self._folder(service) / f".{name}.new"
        new.write_bytes(record)
        new.rename(new.with_name(name))
        self._written.add((service, name))

    def remove(self, service, name):
        self._written.discard((service, name))
        (self._root / service / name).unlink()

    def read(self, service):
        found = {}
        with suppress(FileNotFoundError):
            for path in (self._root / service).iterdir():
                if not path.name.startswith("."):
                    with suppress(FileNotFoundError):
                        found[path.name] = path.read_bytes()
        return found

    def observe(self, service):
        return FolderObserver(self._folder(service))

    def cut(self, how):
        self._path.rename(self._away)
        if how == "a-file":
            self._path.write_text("no directory")

    def mend(self):
        self._path.unlink(missing_ok=True)
        self._away.rename(self._path)


class TestDirectory(DiscoverySuite):
    @pytest.fixture
    def registry(self, tmp_path):
        registry = DirectoryRegistry(tmp_path)
        yield registry
        registry.close()
