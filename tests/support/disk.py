"""A disk that can be full: a file system of its own where the tests may mount one, else one whose writing is made to fail."""

import contextlib
import errno
import os
import subprocess
from pathlib import Path

from lighthouse.haproxy import files

FULL = "No space left on device"


class Disk:
    """`path` is its directory; `fill` takes all room, `free` gives it back."""

    def __init__(self, path):
        self.path = path

    def fill(self):
        filler = os.open(self.path / "filler", os.O_WRONLY | os.O_CREAT)
        with contextlib.closing(os.fdopen(filler, "wb", buffering=0)) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(1024))

    def free(self):
        (self.path / "filler").unlink()


class Pretended(Disk):
    """What writes to it fails where the kernel would say so."""

    def __init__(self, path, monkeypatch):
        super().__init__(path)
        self._monkeypatch = monkeypatch

    def fill(self):
        def fsync(descriptor):
            if Path(os.readlink(f"/proc/self/fd/{descriptor}")).is_relative_to(self.path):
                raise OSError(errno.ENOSPC, FULL)

        self._monkeypatch.setattr(files.os, "fsync", fsync)

    def free(self):
        self._monkeypatch.undo()


@contextlib.contextmanager
def disk(path, monkeypatch):
    """A disk of 256 KiB, mounted at `path` if that is allowed."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "none", str(path)]
    with monkeypatch.context() as patch:
        if os.geteuid() != 0 or subprocess.run(mount, check=False, stderr=subprocess.DEVNULL).returncode:
            yield Pretended(path, patch)
            return
        try:
            yield Disk(path)
        finally:
            subprocess.run(["umount", "--lazy", str(path)], check=True)
