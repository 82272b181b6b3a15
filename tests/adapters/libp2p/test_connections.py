"""Connection events, coalesced and bounded."""

from types import SimpleNamespace

from meshnode.adapters.libp2p.connections import ConnectionEvents
from meshnode.ports import PeerConnected, PeerDisconnected


class Network:
    """How many connections each peer has."""

    def __init__(self) -> None:
        self.open: dict[str, int] = {}

    def get_connections(self, peer: str) -> range:
        return range(self.open.get(peer, 0))


def connection(peer: str) -> SimpleNamespace:
    return SimpleNamespace(muxed_conn=SimpleNamespace(peer_id=peer))


async def test_only_the_first_and_the_last_connection_count() -> None:
    events, network = ConnectionEvents(), Network()
    for count in (1, 2):
        network.open["bob"] = count
        await events.connected(network, connection("bob"))
    assert await events.next() == PeerConnected("bob")
    network.open["bob"] = 1
    await events.disconnected(network, connection("bob"))
    network.open["bob"] = 0
    await events.disconnected(network, connection("bob"))
    assert await events.next() == PeerDisconnected("bob")


async def test_unread_a_peer_has_one_event_its_latest() -> None:
    events, network = ConnectionEvents(), Network()
    for peer in ("bob", "carol", "bob"):
        await events.connected(network, connection(peer))
    await events.disconnected(network, connection("bob"))
    assert [await events.next(), await events.next()] == [
        PeerDisconnected("bob"),
        PeerConnected("carol"),
    ]


async def test_beyond_the_bound_the_oldest_goes_and_is_counted() -> None:
    events, network = ConnectionEvents(events_max=2), Network()
    for peer in ("alice", "bob", "carol"):
        await events.connected(network, connection(peer))
    assert [await events.next(), await events.next()] == [
        PeerConnected("bob"),
        PeerConnected("carol"),
    ]
    assert events.dropped == 1
