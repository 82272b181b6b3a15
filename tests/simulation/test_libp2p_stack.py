"""Real hosts in virtual time: the contract of the mesh, and what only a simulator can do to one."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from meshnode.adapters.libp2p.router import MeshRouter
from meshnode.config import NodeConfig
from meshnode.errors import PeerUnreachable
from meshnode.ports import Judge, Mesh, PeerConnected, PeerDisconnected
from protocols.ids import Topic
from simulations.libp2p_stack import Libp2pNetwork, open_libp2p_network
from simulations.links import Links
from simulations.virtual_time import SLOT_S
from tests.adapters.libp2p.world import Facts, accept, seed_of

# Both suites, collected here again, with the fixture below in the place of theirs.
from tests.contract.test_gossip_contract import *  # noqa: F403
from tests.contract.test_mesh_contract import *  # noqa: F403
from tests.contract.worlds import DEADLINE_S, ECHO, echo, heard
from tests.pinging import ping

DELAY_S = 0.02


class VirtualWorld:
    """Nodes whose bytes take DELAY_S."""

    def __init__(self, network: Libp2pNetwork) -> None:
        self.network = network
        self.links = network.links

    @asynccontextmanager
    async def node(self, name: str, judge: Judge = accept) -> AsyncIterator[Mesh]:
        async with self.network.open_mesh(
            NodeConfig(data_dir=Path("/nowhere")),
            key_seed=seed_of(name),
            judge=judge,
            observer=Facts(),
        ) as mesh:
            await mesh.listen()
            yield mesh


pytestmark = pytest.mark.seeded(1)


@pytest.fixture
async def world() -> AsyncIterator[VirtualWorld]:
    async with open_libp2p_network(Links(lambda sender, receiver: DELAY_S)) as network:
        yield VirtualWorld(network)


async def test_a_ping_takes_two_delays(world: VirtualWorld) -> None:
    async with world.node("alice") as alice, world.node("bob") as bob:
        await alice.connect(bob.addrs()[0])
        assert await ping(alice, bob.peer_id) == pytest.approx(2 * DELAY_S, abs=2 * SLOT_S)


async def test_a_dial_over_a_closed_link_is_not_answered(world: VirtualWorld) -> None:
    async with world.node("alice") as alice, world.node("bob") as bob:
        world.links.cut(alice.peer_id, bob.peer_id)
        began_at = trio.current_time()
        with pytest.raises(PeerUnreachable, match="does not answer"):
            await alice.connect(bob.addrs()[0])
        assert trio.current_time() - began_at == pytest.approx(5.0)
        world.links.mend(alice.peer_id, bob.peer_id)
        assert await alice.connect(bob.addrs()[0]) == bob.peer_id


async def test_a_cut_holds_gossip_up_and_loses_nothing(world: VirtualWorld) -> None:
    async with world.node("alice") as alice, world.node("bob") as bob:
        await alice.connect(bob.addrs()[0])
        await alice.gossip.publish(Topic.PRICES, b"before")
        assert await heard(bob) == b"before"
        world.links.cut(alice.peer_id, bob.peer_id)
        await alice.gossip.publish(Topic.PRICES, b"meanwhile")
        with trio.move_on_after(60) as patience:
            await bob.gossip.receive()
        assert patience.cancelled_caught
        world.links.mend(alice.peer_id, bob.peer_id)
        assert await heard(bob) == b"meanwhile"


async def test_a_crash_says_nothing_more_and_is_noticed_at_once(world: VirtualWorld) -> None:
    async with world.node("bob") as bob:
        async with world.node("alice") as alice:
            addr = alice.addrs()[0]
            await alice.connect(bob.addrs()[0])
            assert await bob.next_connection_event() == PeerConnected(alice.peer_id)
            await alice.gossip.publish(Topic.PRICES, b"here")
            await heard(bob)
            world.network.crash(alice.peer_id)
            crashed_at = trio.current_time()
            await alice.gossip.publish(Topic.PRICES, b"never said")
            with trio.fail_after(DEADLINE_S):
                assert await bob.next_connection_event() == PeerDisconnected(alice.peer_id)
            # The library waits a tenth of a second before it tells.
            assert trio.current_time() - crashed_at == pytest.approx(DELAY_S + 0.1, abs=0.01)
            for dialling, place in ((bob, addr), (alice, bob.addrs()[0])):
                with pytest.raises(PeerUnreachable, match="refuses"):
                    await dialling.connect(place)
        async with world.node("alice") as again:
            assert again.addrs() == (addr,)
            await bob.connect(addr)
            await again.gossip.publish(Topic.PRICES, b"back")
            assert await heard(bob) == b"back"


async def test_a_crash_behind_a_cut_is_not_noticed(world: VirtualWorld) -> None:
    async with world.node("alice") as alice, world.node("bob") as bob:
        await alice.connect(bob.addrs()[0])
        assert await bob.next_connection_event() == PeerConnected(alice.peer_id)
        await trio.sleep(5)  # a peer that is cut off while it introduces itself is dropped
        world.links.cut(alice.peer_id, bob.peer_id)
        world.network.crash(alice.peer_id)
        await trio.sleep(60)
        assert [peer.peer_id for peer in bob.peers()] == [alice.peer_id]
        world.links.mend(alice.peer_id, bob.peer_id)
        with trio.fail_after(DEADLINE_S):
            assert await bob.next_connection_event() == PeerDisconnected(alice.peer_id)


async def test_who_was_frozen_answers_when_it_is_thawed(world: VirtualWorld) -> None:
    async with world.node("alice") as alice, world.node("bob") as bob:
        bob.serve(ECHO, echo)
        await alice.connect(bob.addrs()[0])
        stream = await alice.open_stream(bob.peer_id, ECHO)
        world.links.freeze(bob.peer_id)
        await stream.write(b"anybody there")
        with trio.move_on_after(60) as patience:
            await stream.read(100)
        assert patience.cancelled_caught
        world.links.thaw(bob.peer_id)
        assert await stream.read(100) == b"anybody there"
        await stream.reset()


async def test_a_peer_outside_the_mesh_is_told_of_a_message_once(
    world: VirtualWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: Counter[tuple[str, str, bytes]] = Counter()
    handle = MeshRouter.handle_ihave

    async def note_and_handle(router: Any, ihave: Any, sender: Any) -> None:
        told.update((str(router.pubsub.my_id), str(sender), i) for i in ihave.messageIDs)
        await handle(router, ihave, sender)

    monkeypatch.setattr(MeshRouter, "handle_ihave", note_and_handle)
    async with AsyncExitStack() as stack:
        meshes: list[Mesh] = []
        for number in range(14):  # more peers than a mesh may hold
            mesh = await stack.enter_async_context(world.node(f"n{number}"))
            for other in meshes:
                await mesh.connect(other.addrs()[0])
            meshes.append(mesh)
        await trio.sleep(30)
        for number in range(5):
            await meshes[number].gossip.publish(Topic.PRICES, b"%d" % number)
            await trio.sleep(1.5)
        await trio.sleep(10)
        assert all(mesh.gossip.statistics().accepted == 5 for mesh in meshes)
    assert set(told.values()) == {1}
