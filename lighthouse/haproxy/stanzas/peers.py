"""``peers``: the HAProxys of a cluster's hosts, which then share their stick tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from lighthouse.cluster import Cluster
from lighthouse.errors import NodeError
from lighthouse.haproxy.stanzas.section import Section
from lighthouse.haproxy.stanzas.stanza import Stanza
from lighthouse.identity import valid_host, valid_ip, valid_port
from lighthouse.node import Node
from lighthouse.peer import DEFAULT_PORT, Peer

LOOPBACK = "127.0.0.1"


class PeersStanza(Stanza):
    """One line per peer of the cluster's nodes, and the local one among them, without which HAProxy would drop the section.

    Where the local one listens is for this host to say, and nothing of it is taken from the registry: on `address`, or on the
    loopback if this host is none of the cluster's. Then only a reload makes use of it: the new process gets the tables from the old
    one. With `port` all peers use that port, whatever they announce.
    """

    def __init__(
        self, cluster: Cluster, local_peer: str = "localhost", port: int | None = None, address: str = LOOPBACK
    ) -> None:
        found = _peers(cluster.nodes or (), port)
        self.is_shared = local_peer in found and len(found) > 1
        ip = address if local_peer in found else LOOPBACK
        self.local = found[local_peer] = Peer(local_peer, ip, port or DEFAULT_PORT)
        super().__init__("peers", cluster.name, [_line(found[name]) for name in sorted(found)])


def moved(section: Section, local: str) -> Section:
    """The same with the `local` peer on the loopback, where it serves reloads only."""

    def move(line: str) -> str:
        if line.split()[:2] != ["peer", local]:
            return line
        return _line(Peer(local, LOOPBACK, int(line.rpartition(":")[2])))

    return replace(section, lines=tuple(map(move, section.lines)))


def disabled(header: str) -> Section:
    """Peers that do not listen and share nothing, and that ``stick-table`` lines may name all the same."""
    return Section(header, ("disabled",))


def _peers(nodes: Iterable[Node], port: int | None) -> dict[str, Peer]:
    """By name; of several with one name the first in order of address, so that every host picks the same."""
    found: dict[str, Peer] = {}
    for node in nodes:
        try:
            peer = _checked(node.peer or Peer(node.host, node.ip), port)
        except NodeError:
            continue  # such a node is refused as a member too, or its peer is of no use; either way there is none to share with
        known = found.get(peer.name)
        if known is None or (peer.ip, peer.port) < (known.ip, known.port):
            found[peer.name] = peer
    return found


def _checked(peer: Peer, port: int | None) -> Peer:
    return Peer(valid_host(peer.name), valid_ip(peer.ip), valid_port(port or peer.port))


def _line(peer: Peer) -> str:
    return f"peer {peer.name} [{peer.ip}]:{peer.port}" if ":" in peer.ip else f"peer {peer.name} {peer.ip}:{peer.port}"
