"""Who gets a place among our connections, who keeps it, and who is kept out."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
import trio
from libp2p.custom_types import TProtocol
from libp2p.pubsub.pb import rpc_pb2
from multiaddr import Multiaddr
from nacl.signing import SigningKey
from trio.testing import wait_all_tasks_blocked

from meshnode.adapters.libp2p import swarm
from meshnode.adapters.libp2p.budget import BLAME_MAX, REPEATED_BLAME, SERVED_BYTES_BURST
from meshnode.adapters.libp2p.host import open_client
from meshnode.adapters.libp2p.settings import CONNECTIONS_PER_PEER_MAX, MeshSettings
from meshnode.errors import PeerUnreachable
from meshnode.ports import Mesh, PeerDisconnected
from protocols.ids import Topic
from tests.adapters.libp2p.attacker import PRICES, Attacker, attacking, framed, message
from tests.adapters.libp2p.world import Facts, LibP2PWorld, seed_of
from tests.hostile.hostile_peer import (
    BROKEN,
    GO_AWAY,
    MULTISTREAM,
    Target,
    header,
    line,
    muxed,
    secured,
)
from tests.pinging import ping

LIFETIME_CONNECTIONS = 300
PEERS_MAX = 50


async def ask(alice: Mesh) -> None:
    """Join as a stranger, and be answered."""
    async with open_client(Facts()) as client:
        await client.connect(alice.addrs()[0])
        assert await ping(client, alice.peer_id) is not None


async def is_let_in(alice: Mesh, name: str) -> bool:
    """Whether somebody who shakes hands well may stay."""
    try:
        async with muxed(Target.at(alice.addrs()[0]), SigningKey(seed_of(name))):
            return True
    except BROKEN:
        return False


async def gone(alice: Mesh, peer_id: str) -> None:
    with trio.fail_after(5):
        while await alice.next_connection_event() != PeerDisconnected(peer_id):
            pass


async def heard(mesh: Mesh) -> bytes:
    with trio.fail_after(5):
        return (await mesh.gossip.receive()).envelope.raw


# --- places ---------------------------------------------------------------------------------


async def test_places_come_back_for_a_lifetime() -> None:
    """In the library each connection takes one for good."""
    settings = MeshSettings(peers_max=PEERS_MAX)
    async with LibP2PWorld().node("alice", settings=settings) as alice:
        target = Target.at(alice.addrs()[0])
        for _ in range(LIFETIME_CONNECTIONS // 10):
            async with AsyncExitStack() as connections:
                for _ in range(10):
                    await connections.enter_async_context(muxed(target))
        await ask(alice)
        assert alice.refused().get("connections", 0) == 0


async def test_who_leaves_while_it_is_let_in_leaves_no_trace() -> None:
    """The library keeps such connections in its table, closed, for good."""
    async with LibP2PWorld().node("alice", settings=MeshSettings(peers_max=5)) as alice:
        target = Target.at(alice.addrs()[0])
        goodbye = line(MULTISTREAM) + line("/yamux/1.0.0") + header(GO_AWAY, 0, 0, 0)
        for _ in range(20):
            async with secured(target) as session:
                await session.write(goodbye)
        with trio.fail_after(5):
            network = alice._swarm  # type: ignore[attr-defined]
            while network.get_connections():  # noqa: ASYNC110 - the library tells nobody
                await trio.sleep(0.05)
        await ask(alice)


async def displaced(mesh: Mesh) -> list[bool]:
    """Of the first peer that went, whether it did because we needed its place."""
    with trio.fail_after(5):
        while True:
            match await mesh.next_connection_event():
                case PeerDisconnected(displaced=displaced):
                    return [displaced]


async def test_who_brings_nothing_makes_room_for_a_newcomer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(swarm, "UNPROVEN_GRACE_S", 0.0)
    world = LibP2PWorld()
    async with (
        world.node("alice", settings=MeshSettings(peers_max=2)) as alice,
        world.node("bob") as bob,
        attacking(alice),
    ):
        await bob.connect(alice.addrs()[0])
        await bob.gossip.publish(Topic.PRICES, b"useful")
        assert await heard(alice) == b"useful"
        await ask(alice)
        assert alice.refused()["displaced"] == 1
        assert await displaced(alice) == [True]  # nobody takes it for a loss
        assert bob.peer_id in {peer.peer_id for peer in alice.peers()}


async def test_a_newcomer_is_refused_where_everybody_is_new() -> None:
    async with LibP2PWorld().node("alice", settings=MeshSettings(peers_max=1)) as alice:
        async with attacking(alice):
            with pytest.raises(PeerUnreachable):
                await ask(alice)
        assert alice.refused()["connections"] == 1


async def test_a_peer_has_few_connections() -> None:
    async with LibP2PWorld().node("alice") as alice:
        async with AsyncExitStack() as connections:
            for _ in range(CONNECTIONS_PER_PEER_MAX):
                await connections.enter_async_context(attacking(alice))
            assert not await is_let_in(alice, "mallory")
            assert await is_let_in(alice, "trudy")
            assert alice.refused()["connections"] == 1
        await ask(alice)


# --- kept out -------------------------------------------------------------------------------


async def test_who_misbehaved_is_not_let_in_again() -> None:
    world = LibP2PWorld()
    async with world.node("alice") as alice:
        async with attacking(alice) as mallory:
            peer_id = str(mallory.host.get_id())
            await mallory.write(framed(b"\xff" * 50))
            await gone(alice, peer_id)
        assert not await is_let_in(alice, "mallory")
        assert alice.refused()["banned"] == 1
        assert await is_let_in(alice, "trudy")


async def test_who_misbehaved_is_not_dialled() -> None:
    world = LibP2PWorld()
    async with world.node("alice") as alice, world.node("mallory") as mallory:
        await alice.connect(mallory.addrs()[0])
        conduct = alice._conduct  # type: ignore[attr-defined]
        conduct.condemn(*(mallory_ids(alice)), "gossip", ValueError("rubbish"))
        await alice.disconnect(mallory.peer_id)
        with pytest.raises(PeerUnreachable, match="misbehaved"):
            await alice.connect(mallory.addrs()[0])


def mallory_ids(alice: Mesh) -> list[object]:
    return list(alice._swarm.get_connections_map())  # type: ignore[attr-defined]


async def test_an_honest_relay_is_not_blamed_for_copies() -> None:
    """What others brought before is how a mesh works; the same thing twice is not."""
    world = LibP2PWorld()
    copies = int(BLAME_MAX / REPEATED_BLAME) + 100
    async with world.node("alice") as alice:
        async with attacking(alice, "bob") as bob, attacking(alice, "carol") as carol:
            said = [message("dave", b"%d" % number, number) for number in range(copies)]
            for peer in (bob, carol):
                for first in range(0, copies, 500):
                    await peer.gossip(*said[first : first + 500])
            for _ in range(copies):
                await heard(alice)
            await carol.gossip(message("carol", b"last"))
            assert await heard(alice) == b"last"
        assert not world.facts.misbehaved


async def test_who_says_the_same_for_ever_is_disconnected() -> None:
    world = LibP2PWorld()
    async with world.node("alice") as alice, attacking(alice) as mallory:
        for _ in range(int(BLAME_MAX / REPEATED_BLAME) // 500 + 2):
            await mallory.gossip(*[message()] * 500)
        await gone(alice, str(mallory.host.get_id()))
        assert world.facts.misbehaved


# --- who is served, and who is believed -----------------------------------------------------


async def test_recent_messages_are_sent_again_within_a_budget() -> None:
    """Sixty bytes must not make us send megabytes for ever."""
    async with LibP2PWorld().node("alice") as alice, attacking(alice) as mallory:
        body = bytes(100_000)
        wanted = [message(data=body, number=number) for number in range(20)]
        for made in wanted:
            await mallory.gossip(made)
            await heard(alice)
        ids = [made.from_id + made.seqno for made in wanted]
        want = rpc_pb2.ControlMessage(iwant=[rpc_pb2.ControlIWant(messageIDs=ids)])
        for _ in range(SERVED_BYTES_BURST // (len(ids) * len(body)) + 3):
            await mallory.write(framed(rpc_pb2.RPC(control=want)))
        await mallory.gossip(message(data=b"done", number=99))
        assert await heard(alice) == b"done"
        await wait_all_tasks_blocked(0.01)
        assert alice.refused()["served"] >= 1


@asynccontextmanager
async def trap() -> AsyncIterator[tuple[str, list[object]]]:
    """An address, and who dialled it."""
    dialled: list[object] = []

    async def note(stream: trio.SocketStream) -> None:
        dialled.append(stream)

    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, note, [listener])
        yield f"/ip4/127.0.0.1/tcp/{listener.socket.getsockname()[1]}", dialled
        nursery.cancel_scope.cancel()


async def test_nobody_is_dialled_on_anybodys_word() -> None:
    """Neither from identify, nor a signed record, nor a PRUNE's recommendation."""
    async with LibP2PWorld().node("alice") as alice, trap() as (addr, dialled):
        settings = MeshSettings(announce=(addr,))
        async with LibP2PWorld().node("mallory", settings=settings) as mallory:
            await mallory.connect(alice.addrs()[0])
            await mallory.gossip.publish(Topic.PRICES, b"here I am")
            assert await heard(alice) == b"here I am"
            with trio.fail_after(5):
                while addr not in {a for peer in alice.peers() for a in peer.addrs}:  # noqa: ASYNC110
                    await trio.sleep(0.05)
        await gone(alice, mallory.peer_id)
        async with attacking(alice, "trudy") as trudy:
            await recommend(trudy, addr)
            assert await heard(alice) == b"try them"
        alice._swarm._schedule_auto_connect()  # type: ignore[attr-defined]
        with pytest.raises(PeerUnreachable):
            await alice.open_stream(mallory.peer_id, str(TProtocol("/any/1.0.0")))
        await wait_all_tasks_blocked(0.05)
        assert not dialled


async def recommend(trudy: Attacker, addr: str) -> None:
    stranger = message("mallory").from_id
    record = rpc_pb2.PeerInfo(peerID=stranger, signedPeerRecord=Multiaddr(addr).to_bytes())
    prune = rpc_pb2.ControlPrune(topicID=PRICES, peers=[record], backoff=1)
    await trudy.write(framed(rpc_pb2.RPC(control=rpc_pb2.ControlMessage(prune=[prune]))))
    await trudy.gossip(message("trudy", b"try them"))


async def test_places_are_not_given_twice() -> None:
    """Many at once must not all find the last place free."""
    async with LibP2PWorld().node("alice", settings=MeshSettings(peers_max=5)) as alice:
        let_in = 0

        async def join() -> None:
            nonlocal let_in
            with suppress(*BROKEN, BaseExceptionGroup):
                async with muxed(Target.at(alice.addrs()[0])) as peer:
                    let_in += 1
                    with trio.move_on_after(1):
                        await peer.wait_ended()

        async with trio.open_nursery() as nursery:
            for _ in range(30):
                nursery.start_soon(join)
        assert 1 <= let_in <= 5
