"""What a host believes of what peers say of themselves, and how it answers pings."""

from typing import Any

import pytest
import trio
from libp2p.host.ping import PING_LENGTH
from libp2p.network.stream.exceptions import StreamEOF
from libp2p.peer.id import ID
from multiaddr import Multiaddr
from trio.testing import MockClock

from meshnode.adapters.libp2p import identify
from meshnode.adapters.libp2p.identify import (
    PING_IDLE_S,
    PINGS_BURST,
    PINGS_PER_S,
    answer_pings,
)
from meshnode.adapters.libp2p.settings import MeshSettings
from protocols.limits import ADDRS_MAX
from tests.adapters.libp2p.attacker import attacking
from tests.adapters.libp2p.world import LibP2PWorld
from tests.hostile.hostile_peer import Target, muxed


class Pinging:
    """A stream with so many pings on it, and then its end or silence."""

    def __init__(self, pings: int, *, ends: bool = True) -> None:
        self._left = bytearray(pings * PING_LENGTH)
        self._ends = ends
        self.answered = 0
        self.closed = False

    async def read(self, n: int) -> bytes:
        if not self._left and not self._ends:
            await trio.sleep_forever()
        if not self._left:
            raise StreamEOF
        data = bytes(self._left[:n])
        del self._left[:n]
        return data

    async def write(self, data: bytes) -> None:
        assert len(data) == PING_LENGTH
        self.answered += 1

    async def close(self) -> None:
        self.closed = True


async def test_pings_are_answered_at_a_pace(autojump_clock: MockClock) -> None:
    stream = Pinging(100)
    await answer_pings(stream)
    assert (stream.answered, stream.closed) == (100, True)
    assert trio.current_time() == pytest.approx((100 - PINGS_BURST) / PINGS_PER_S)


async def test_nobody_waits_for_a_ping_that_does_not_come(autojump_clock: MockClock) -> None:
    with trio.fail_after(2 * PING_IDLE_S), pytest.raises(trio.TooSlowError):
        await answer_pings(Pinging(1, ends=False))
    assert trio.current_time() == PING_IDLE_S


async def test_who_does_not_say_what_it_is_is_disconnected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(identify, "IDENTIFY_TIMEOUT_S", 0.3)
    async with LibP2PWorld().node("alice") as alice:
        async with muxed(Target.at(alice.addrs()[0])) as peer:
            await peer.wait_ended()
        assert alice.refused()["identify"] == 1


async def test_few_addresses_are_believed() -> None:
    many = tuple(f"/ip4/192.0.2.1/tcp/{port}" for port in range(1, 3 * ADDRS_MAX))
    world = LibP2PWorld()
    async with (
        world.node("alice") as alice,
        world.node("mallory", settings=MeshSettings(announce=many)) as mallory,
    ):
        await mallory.connect(alice.addrs()[0])
        with trio.fail_after(5):
            while not [addr for peer in alice.peers() for addr in peer.addrs]:  # noqa: ASYNC110
                await trio.sleep(0.02)  # the library tells nobody
        [peer] = alice.peers()
        book = alice._host.get_peerstore()  # type: ignore[attr-defined]
        known = book.addrs(ID.from_string(peer.peer_id))
        assert len(known) <= ADDRS_MAX


async def test_nobody_pushes_its_identity_again_and_again() -> None:
    async with LibP2PWorld().node("alice") as alice, muxed(Target.at(alice.addrs()[0])) as peer:
        with pytest.raises(OSError, match="does not serve"):
            await peer.open("/ipfs/id/push/1.0.0")


async def test_streams_that_a_peer_never_closes_do_not_pile_up() -> None:
    async with LibP2PWorld().node("alice") as alice, attacking(alice) as mallory:
        [connection] = mallory.host.get_network().get_connections()
        for _ in range(20):
            await opened(connection)
        [inbound] = alice._swarm.get_connections()  # type: ignore[attr-defined]
        with trio.fail_after(5):
            while len(inbound.muxed_conn.streams) > 5:  # noqa: ASYNC110
                await trio.sleep(0.05)  # the library tells nobody


async def opened(connection: Any) -> None:
    """An identify stream that is read and never closed."""
    stream = await connection.new_stream()
    await stream.write(b"\x13/multistream/1.0.0\n\x0f/ipfs/id/1.0.0\n")
    while Multiaddr("/ip4/127.0.0.1").to_bytes() not in await stream.read(1000):
        pass
