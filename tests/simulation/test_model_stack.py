"""The model stack and the world: what lies between nodes, and what befalls them."""

from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from meshnode.core.verdicts import Accepted
from meshnode.errors import StreamBroken
from meshnode.ports import ConnectedPeer, Judge
from meshnode.services import ask
from protocols.framing import encode_frame
from protocols.ids import STATUS_PROTOCOL, Topic
from protocols.status import StatusRequest
from simulations.links import Links
from simulations.model_gossip import DEGREE, DEGREE_HIGH, DEGREE_LOW, GossipMessage
from simulations.model_mesh import ModelMesh, open_model_mesh
from simulations.model_network import ModelNetwork, open_network
from simulations.regions import REGIONS, RTT_MS, WITHIN_RTT_MS, WorldMap
from simulations.timeline import Timeline
from simulations.virtual_time import SLOT_S
from simulations.world import open_world
from tests.cast import Witness
from tests.contract.worlds import accept


def joined(
    network: ModelNetwork, number: int, judge: Judge | None = None
) -> AbstractAsyncContextManager[ModelMesh]:
    seed = bytes([number]) * 32
    return open_model_mesh(network, key_seed=seed, judge=judge, observer=Witness())


async def test_a_timeline_keeps_time_and_order(autojump_clock: MockClock) -> None:
    called: list[tuple[str, float]] = []
    async with trio.open_nursery() as nursery:
        timeline = Timeline()
        await nursery.start(timeline.run)

        def call(name: str) -> None:
            called.append((name, trio.current_time()))

        for name, at in (("late", 5.0), ("first", 1.0), ("second", 1.0)):
            timeline.call_at(at, call, name)
        await trio.sleep(0.5)
        timeline.call_at(0.7, call, "in between")
        await trio.sleep(6)
        nursery.cancel_scope.cancel()
    assert [name for name, _ in called] == ["in between", "first", "second", "late"]
    for (_, at), due in zip(called, (0.7, 1.0, 1.0, 5.0), strict=True):
        assert due <= at + 1e-9
        assert at <= due + SLOT_S


async def test_a_mesh_keeps_its_degree_and_everybody_hears(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "1"})
        others = [await world.start(f"n{k}", connect=[alice]) for k in range(24)]
        await trio.sleep(30)
        for node in (alice, *others):
            degree = len(world.network.nodes[node.peer_id].gossip.mesh)
            assert DEGREE_LOW <= degree <= DEGREE_HIGH
        alice.source.set({"BTC-USD": "2"})
        await trio.sleep(5)
        for node in others:
            assert [str(stored.quote.price) for stored in node.store.latest()] == ["2"]


async def test_who_is_outside_the_mesh_is_told_and_asks(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "1"})
        others = [await world.start(f"n{k}", connect=[alice]) for k in range(7)]
        await trio.sleep(30)
        outside = others[-1]  # nobody is in its mesh, nor it in anybody's
        meshes = {node: world.network.nodes[node.peer_id].gossip.mesh for node in world.running()}
        for mesh in meshes.values():
            mesh.pop(outside.peer_id, None)
        meshes[outside].clear()
        alice.source.set({"BTC-USD": "2"})
        await trio.sleep(2.5)
        assert meshes[outside] == {}
        for node in others:
            assert [str(stored.quote.price) for stored in node.store.latest()] == ["2"]


async def test_a_mesh_that_lost_a_peer_takes_another_at_the_next_heartbeat(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        others = [await world.start(f"n{k}", connect=[alice]) for k in range(9)]
        await trio.sleep(30)
        gossip = world.network.nodes[alice.peer_id].gossip
        for lost in list(gossip.mesh):
            gossip.left(lost)  # its place in the mesh is lost, the connection stays
        assert len(gossip.mesh) == 0 < DEGREE_HIGH < len(others)
        await trio.sleep(1.1)
        assert DEGREE_LOW <= len(gossip.mesh) <= DEGREE_HIGH


async def test_whose_mesh_is_full_takes_who_grafts_and_prunes_as_it_keeps_its_degree(
    autojump_clock: MockClock,
) -> None:
    async with open_network() as network, AsyncExitStack() as stack:
        meshes = [
            await stack.enter_async_context(joined(network, number, accept))
            for number in range(DEGREE_HIGH + 2)
        ]
        hub, *_, last = meshes
        for mesh in meshes:
            await mesh.listen()
        for mesh in meshes[1:]:
            await mesh.connect(hub.addrs()[0])
        assert list(last.gossip.mesh) == [hub.peer_id]
        assert len(hub.gossip.mesh) == DEGREE_HIGH + 1
        hub.gossip.keep_degree()
        assert len(hub.gossip.mesh) == DEGREE


async def test_who_has_ended_its_delivery_is_handed_nothing_before_its_task_ends(
    autojump_clock: MockClock,
) -> None:
    taken: list[Accepted] = []
    async with open_network() as network, joined(network, 1, accept) as alice:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(alice.gossip.deliver, taken.append)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
            late = GossipMessage(bytes(32), Topic.PRICES, b"late")
            assert alice.gossip.hear(late, forwarder=None) is None
        assert taken == []
        assert (await alice.gossip.receive()).envelope.raw == b"late"


async def test_a_link_that_is_cut_holds_what_is_sent(autojump_clock: MockClock) -> None:
    links = Links(lambda _one, _other: 0.05)
    async with open_world(links=links) as world:
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "1"})
        bob = await world.start("bob", connect=[alice])
        await trio.sleep(30)
        links.cut(alice.peer_id, bob.peer_id, one_way=True)
        for price in ("2", "3"):
            alice.source.set({"BTC-USD": price})
            await trio.sleep(2)
        assert [str(stored.quote.price) for stored in bob.store.latest()] == ["1"]
        links.mend(alice.peer_id, bob.peer_id)
        await trio.sleep(1)
        history = await bob.store.history("BTC-USD", 3)
        assert [str(stored.quote.price) for stored in history] == ["3", "2", "1"]


async def test_a_frozen_node_says_nothing_and_goes_on_later(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "1"})
        bob = await world.start("bob", connect=[alice])
        await trio.sleep(30)
        mark = len(bob.facts)
        world.freeze(bob)
        await trio.sleep(120)
        assert len(bob.facts) == mark
        world.thaw(bob)
        await trio.sleep(30)
        alice.source.set({"BTC-USD": "2"})
        await trio.sleep(5)
        assert [str(stored.quote.price) for stored in bob.store.latest()] == ["2"]
        world.freeze(bob)
        await world.kill(bob)
        assert not bob.is_running


async def test_of_streams_that_are_over_nothing_is_kept(autojump_clock: MockClock) -> None:
    async with open_world() as world, world.nodes("alice", "bob") as (alice, bob):
        await trio.sleep(10)
        assert alice.mesh is not None
        for _ in range(10):
            await ask.status(alice.mesh, bob.peer_id)
            await trio.sleep(5)
        for node, other in ((alice, bob), (bob, alice)):
            streams = world.network.nodes[node.peer_id].connections[other.peer_id].streams
            assert 0 < len(streams) < 5
            assert all(stream.is_over for stream in streams)


async def test_a_peer_is_told_anew_where_anything_of_it_changed(
    autojump_clock: MockClock,
) -> None:
    def seen_by(mesh: ModelMesh) -> dict[str, ConnectedPeer]:
        return {peer.peer_id: peer for peer in mesh.peers()}

    async with (
        open_network() as network,
        joined(network, 1) as alice,
        joined(network, 2) as bob,
        joined(network, 3) as carol,
    ):
        for other in (bob, carol):
            await other.listen()
            await alice.connect(other.addrs()[0])
        before = seen_by(alice)
        assert [peer.rtt_ms for peer in before.values()] == [None, None]
        alice.ping(bob.peer_id, lambda _: None)
        await trio.sleep(1)
        pinged = seen_by(alice)
        rtt_ms = pinged[bob.peer_id].rtt_ms
        assert rtt_ms in (20, 21, 22)  # the end of a slot
        assert pinged[bob.peer_id] == replace(before[bob.peer_id], rtt_ms=rtt_ms)
        assert pinged[carol.peer_id] is before[carol.peer_id]
        assert seen_by(carol)[alice.peer_id].addrs == ()
        await alice.listen()
        (place,) = seen_by(carol)[alice.peer_id].addrs
        assert alice.addrs() == (f"{place}/p2p/{alice.peer_id}",)
        assert seen_by(alice) == pinged


async def test_who_does_not_close_is_not_waited_for(autojump_clock: MockClock) -> None:
    async with open_world() as world, world.nodes("alice", "bob") as (alice, bob):
        await trio.sleep(10)
        assert alice.mesh is not None
        stream = await alice.mesh.open_stream(bob.peer_id, STATUS_PROTOCOL)
        await stream.write(encode_frame(StatusRequest(("time",)).to_bytes()))
        assert await stream.read(100)
        await stream.write(b"more, which nobody reads")
        await trio.sleep(3)
        with pytest.raises(StreamBroken):
            await stream.write(b"and more")


async def test_nodes_by_name_have_keys_from_the_seed(autojump_clock: MockClock) -> None:
    ids = []
    for seed in (1, 1, 2):
        async with open_world(seed=seed) as world, world.nodes("alice", "bob") as (alice, bob):
            assert alice.is_running
            assert bob.part.connect == (alice.addr,)
            ids.append((alice.peer_id, bob.peer_id))
        assert not alice.is_running
    assert ids[0] == ids[1]
    assert ids[0][0] != ids[2][0]


def test_the_map_knows_the_way_between_any_two_regions() -> None:
    for one in REGIONS:
        for other in REGIONS:
            if one != other:
                assert RTT_MS[one, other] == RTT_MS[other, one] > WITHIN_RTT_MS
    here = WorldMap(1)
    delays = {here.base_delay_s("a", f"n{number}") for number in range(100)}
    assert len(delays) == len(REGIONS)
    assert WorldMap(1).region_of("a") == here.region_of("a")
