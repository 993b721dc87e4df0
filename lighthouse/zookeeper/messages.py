"""What is said between the connection and the rest, so that the rest knows nothing of kazoo and runs in tests without it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    """What is asked of ZooKeeper. Reads leave a watch. CREATE makes an ephemeral znode, PARENT a lasting one without content."""

    CHILDREN = auto()
    EXISTS = auto()
    GET = auto()
    CREATE = auto()
    PARENT = auto()
    SET = auto()
    DELETE = auto()
    REPLACE = auto()  # delete and create in one transaction


READS = frozenset({Kind.CHILDREN, Kind.EXISTS, Kind.GET})


@dataclass(frozen=True, slots=True)
class Request:
    """One request. SET, DELETE and REPLACE take place only while the znode has `version`."""

    kind: Kind
    path: str
    data: bytes = b""
    version: int = -1


class Failure(Enum):
    """Why a request was not carried out."""

    NO_NODE = auto()
    EXISTS = auto()
    VERSION = auto()
    DENIED = auto()
    LOST = auto()  # of the connection: it may have been carried out all the same
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Found:
    """A znode: its content, who made it (0: it is not ephemeral), its version, and the transaction that changed it last."""

    data: bytes
    owner: int
    version: int
    changed: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request. `found` is for GET, `names` for CHILDREN, `exists` for EXISTS; `text` says more of a failure."""

    request: Request
    failure: Failure | None = None
    found: Found | None = None
    names: tuple[str, ...] = ()
    exists: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """A watch fired, and is spent: of a znode's content, existence or children. `gone` says that it was deleted."""

    path: str
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Connected:
    """A session is there: a new one or the one that was. `password` is the session's, and a secret."""

    session: int
    password: bytes
    server: str

    def __repr__(self) -> str:
        return f"Connected(server={self.server!r})"


@dataclass(frozen=True, slots=True)
class Disconnected:
    """There is no connection. ``expired``: the server ended the session; ``dead``: no other connection will be tried."""

    expired: bool = False
    dead: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """An attempt to connect failed, and why."""

    server: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to the request with this number."""

    number: int
    answer: Answer


Message = Reply | Changed | Connected | Disconnected | Refused
