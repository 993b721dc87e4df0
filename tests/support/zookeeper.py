"""Real ZooKeeper servers on loopback: one, or an ensemble that loses leaders, quorum, time and data when a test says so.

The servers run out of Debian's jars, without its start script, with ticks short enough for tests. They die with the process that
started them.
"""

import shutil
import signal
import socket
import subprocess
import uuid
from contextlib import suppress
from pathlib import Path

from kazoo.client import KazooClient

from support.ports import free_port
from support.wait import until

JARS = ("/usr/share/java/zookeeper.jar", "/usr/share/java/slf4j-simple.jar")
TLS_JARS = ("/usr/share/java/netty-codec.jar", "/usr/share/java/netty-resolver.jar")
TICK = 200  # ms; a session is expired within this of its timeout
SHORTEST_SESSION = 2 * TICK / 1000  # seconds
JAVA = (
    "setpriv", "--pdeathsig", "KILL",
    "java", "-Xms16m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
    "-Djava.net.preferIPv4Stack=true", "-Dzookeeper.jmx.log4j.disable=true", "-Dorg.slf4j.simpleLogger.showDateTime=true",
)  # fmt: skip


class Server:
    """One server, alone or a member of an ensemble. Its data outlives its process."""

    def __init__(self, root, *, myid=None, heap=64, extra="", java=()):
        self.root = Path(root)
        self.extra = extra
        self.java = java
        self.myid = myid
        self.heap = heap
        self.port = free_port()
        self.quorum_ports = (free_port(), free_port())
        self.process = None
        self.data.mkdir(parents=True)
        if myid is not None:
            (self.data / "myid").write_text(str(myid))

    @property
    def data(self):
        return self.root / "data"

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def peer(self):
        """Its line in the configuration of an ensemble."""
        return f"server.{self.myid}=127.0.0.1:{self.quorum_ports[0]}:{self.quorum_ports[1]}\n"

    def configure(self, peers=()):
        (self.root / "zoo.cfg").write_text(
            f"tickTime={TICK}\ninitLimit=50\nsyncLimit=10\nmaxSessionTimeout=120000\n"
            f"dataDir={self.data}\nclientPortAddress=127.0.0.1\nclientPort={self.port}\nmaxClientCnxns=0\n"
            "admin.enableServer=false\n4lw.commands.whitelist=*\nforceSync=no\n" + "".join(peers) + self.extra
        )

    def start(self):
        """Start it; it serves only some time later, and in an ensemble not before there is a quorum."""
        assert not self.running
        main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        jars = ":".join([*JARS, *TLS_JARS])
        command = [*JAVA, *self.java, f"-Xmx{self.heap}m", "-cp", jars, main, str(self.root / "zoo.cfg")]
        with (self.root / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.root, start_new_session=True
            )

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        """In good order, as far as a ZooKeeper knows one."""
        self._end(signal.SIGTERM)

    def kill(self):
        self._end(signal.SIGKILL)

    def pause(self):
        """It keeps its connections and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def wipe(self):
        """Lose all data. In an ensemble all members have to, or the others bring it back."""
        assert not self.running
        shutil.rmtree(self.data / "version-2", ignore_errors=True)

    def ask(self, word, timeout=1.0):
        """The answer to a four-letter word; empty when there is none: one that starts or stands still takes the question only."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as sock:
            sock.settimeout(timeout)
            sock.sendall(word.encode())
            with sock.makefile("rb") as answer:
                return answer.read().decode(errors="replace")
        return ""

    def mode(self):
        """``standalone``, ``leader`` or ``follower``; None while it serves nobody."""
        lines = dict(line.split(": ", 1) for line in self.ask("srvr").splitlines() if ": " in line)
        return lines.get("Mode")

    def figures(self):
        """The server's own counters."""
        rows = (line.split("\t", 1) for line in self.ask("mntr").splitlines() if "\t" in line)
        return {name.removeprefix("zk_"): value for name, value in rows}

    def tail(self):
        path = self.root / "log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def _end(self, number):
        if self.running:
            self.process.send_signal(number)
            self.process.send_signal(signal.SIGCONT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(20)
        self.process = None


class Ensemble:
    """One server, or several that elect a leader. `extra` are lines of their configuration, `java` options of Java."""

    def __init__(self, root, size=1, *, heap=64, extra="", java=()):
        self.root = Path(root)
        ids = [None] if size == 1 else range(1, size + 1)
        self.servers = [
            Server(self.root / f"server{myid or ''}", myid=myid, heap=heap, extra=extra, java=java) for myid in ids
        ]
        peers = [] if size == 1 else [server.peer for server in self.servers]
        for server in self.servers:
            server.configure(peers)

    @property
    def hosts(self):
        return [server.address for server in self.servers]

    def start(self):
        """Start what does not run, and wait until all serve."""
        for server in self.servers:
            if not server.running:
                server.start()
        return self.wait_serving()

    def wait_serving(self, servers=None):
        for server in servers or self.servers:
            until(
                server.mode,
                within=60,
                every=0.02,
                what=lambda server=server: f"ZooKeeper on {server.address} serving: {server.tail()}",
            )
        return self

    def leader(self):
        """The server that leads now, or None."""
        return next((server for server in self.servers if server.running and server.mode() == "leader"), None)

    def wait_leader(self):
        return until(self.leader, within=60, every=0.02, what="a leader")

    def followers(self):
        leader = self.wait_leader()
        return [server for server in self.servers if server is not leader]

    def stop(self):
        for server in self.servers:
            server.kill()

    def wipe(self):
        """Stop all and lose all data."""
        self.stop()
        for server in self.servers:
            server.wipe()


class Realm:
    """A part of a registry that one test has for itself: servers, a path of its own, and clients that end with the test."""

    def __init__(self, ensemble, path=None):
        self.ensemble = ensemble
        self.path = path or f"/test-{uuid.uuid4().hex[:12]}"
        self._clients = []

    @property
    def hosts(self):
        return self.ensemble.hosts

    def client(self, *, hosts=None, timeout=10.0, **options):
        """A connected client of our own, beside whatever is under test."""
        client = KazooClient(hosts=",".join(hosts or self.hosts), timeout=timeout, **options)
        self._clients.append(client)
        client.start(timeout=30)
        return client

    def close(self):
        for client in self._clients:
            with suppress(Exception):  # its server may be gone for good
                client.stop()
            client.close()
        self._clients.clear()
