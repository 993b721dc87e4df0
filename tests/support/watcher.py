"""Looking all along at what must never be missing."""

import socket
import threading


class Watcher:
    """Looks all along, in a thread of its own, and remembers what was missing; ``looks`` counts how often it looked."""

    every: float

    def __init__(self, site, wanted=frozenset()):
        self.wanted = {f"testhost:{web.port}" for web in site.webs} | wanted
        self.missing = []
        self.looks = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def there(self):
        raise NotImplementedError

    def _watch(self):
        while not self._end.wait(self.every):
            missing = self.wanted - self.there()
            self.looks += 1
            if missing:
                self.missing.append(missing)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()


class Servers(Watcher):
    """No healthy member may ever leave HAProxy."""

    every = 0.02

    def __init__(self, site, wanted=frozenset()):
        super().__init__(site, wanted)
        self.path = str(site.root / "haproxy.sock")

    def there(self):
        return serving(self.path)


def serving(path):
    """The servers of the backend that are ready and running, by HAProxy's own word."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(30)
        sock.connect(path)
        sock.sendall(b"show servers state web\n")
        text = b""
        while data := sock.recv(65536):
            text += data
    rows = [line.split() for line in text.decode().splitlines() if line and line[0].isdigit()]
    return {row[3] for row in rows if len(row) > 6 and row[5] == "2" and row[6] == "0"}
