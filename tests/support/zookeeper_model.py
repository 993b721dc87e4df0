"""A model of ZooKeeper for tests of decisions: znodes, sessions and watches, with its order of events and answers, and no I/O."""

from dataclasses import dataclass

from lighthouse.zookeeper.messages import READS, Answer, Changed, Failure, Found, Kind

OURS, OTHERS = 1, 2  # sessions


@dataclass
class Znode:
    data: bytes
    owner: int
    version: int
    changed: int


class Model:
    """One server, and one client whose messages gather in ``out`` in the order in which they would be sent."""

    def __init__(self, *existing):
        self.znodes = {"": Znode(b"", 0, 0, 0)}
        self.session = OURS
        self.out = []
        self.asked = []
        self.clock = 0
        self.lossy = False
        self._content = set()
        self._children = set()
        for path in existing:
            self.create(path, b"", 0)

    # What others do

    def create(self, path, data=b"", owner=OTHERS):
        above = path.rpartition("/")[0]
        if path in self.znodes:
            return Failure.EXISTS
        if above not in self.znodes:
            return Failure.NO_NODE
        self.clock += 1
        self.znodes[path] = Znode(data, owner, 0, self.clock)
        self._fire(self._content, path)
        self._fire(self._children, above)
        return None

    def delete(self, path, version=-1):
        found = self.znodes.get(path)
        if found is None:
            return Failure.NO_NODE
        if version not in (-1, found.version):
            return Failure.VERSION
        self.clock += 1
        del self.znodes[path]
        if path in self._content | self._children:
            self._content.discard(path)
            self._children.discard(path)
            self._send(Changed(path, gone=True))
        self._fire(self._children, path.rpartition("/")[0])
        return None

    def set(self, path, data, version=-1):
        found = self.znodes.get(path)
        if found is None:
            return Failure.NO_NODE
        if version not in (-1, found.version):
            return Failure.VERSION
        self.clock += 1
        self.znodes[path] = Znode(data, found.owner, found.version + 1, self.clock)
        self._fire(self._content, path)
        return None

    def expire(self, session):
        """A session ends, and its znodes with it."""
        for path in [path for path, found in self.znodes.items() if found.owner == session]:
            self.delete(path)

    def names(self, path):
        return sorted(other.rpartition("/")[2] for other in self.znodes if other.rpartition("/")[0] == path and other)

    # What our client asks

    def drop(self):
        """The connection breaks: watches, and what was under way, are gone."""
        self._content.clear()
        self._children.clear()
        self.out.clear()

    def ask(self, request):
        """Carry a request out now; its answer goes out after the events so far."""
        self.asked.append(request)
        self.out.append(self._answer(request))

    def reads(self):
        return sum(1 for request in self.asked if request.kind in READS)

    def _answer(self, request):
        path, found = request.path, self.znodes.get(request.path)
        match request.kind:
            case Kind.EXISTS:
                self._content.add(path)
                return Answer(request, exists=found is not None)
            case Kind.GET if found is not None:
                self._content.add(path)
                return Answer(request, found=Found(found.data, found.owner, found.version, found.changed))
            case Kind.CHILDREN if found is not None:
                self._children.add(path)
                return Answer(request, names=tuple(self.names(path)))
            case Kind.GET | Kind.CHILDREN:
                return Answer(request, Failure.NO_NODE)
            case Kind.CREATE:
                return Answer(request, self.create(path, request.data, self.session))
            case Kind.PARENT:
                return Answer(request, self.create(path, b"", 0))
            case Kind.SET:
                return Answer(request, self.set(path, request.data, request.version))
            case Kind.DELETE:
                return Answer(request, self.delete(path, request.version))
            case Kind.REPLACE:
                failure = self.delete(path, request.version)
                return Answer(request, failure or self.create(path, request.data, self.session))

    def _fire(self, watches, path):
        if path in watches:
            watches.discard(path)
            self._send(Changed(path))

    def _send(self, event):
        if not self.lossy:
            self.out.append(event)
