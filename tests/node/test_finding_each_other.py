"""Whole nodes find each other, and the mesh again, in virtual time."""

import trio
from nacl.signing import SigningKey
from trio.testing import MockClock

from meshnode.core import facts
from meshnode.core.address_book import UNPROVEN_MAX
from meshnode.core.records import KnownAddr
from meshnode.core.rounds import ROUND_S
from meshnode.ports import Batch
from meshnode.services import ask
from meshnode.services.connections import PEERS_AIM, PEERS_MAX, PEERS_MIN, PLACES_FOR_FRIENDS
from protocols.status import StatusReply
from simulations.model_mesh import open_model_mesh
from simulations.world import World, open_world
from simulations.world_node import WorldNode

PRICES = {"BTC-USD": "100"}


def peers(node: WorldNode) -> set[str]:
    assert node.mesh is not None
    return {peer.peer_id for peer in node.mesh.peers()}


async def status(world: World, node: WorldNode) -> StatusReply:
    async with open_model_mesh(
        world.network, key_seed=bytes(31) + b"\1", judge=None, observer=node
    ) as mesh:
        return await ask.status(mesh, await mesh.connect(node.addr))


async def star(world: World, count: int, **hub: object) -> tuple[WorldNode, list[WorldNode]]:
    """Alice, and so many others that know nobody but her."""
    alice = await world.start("alice", **hub)  # type: ignore[arg-type]
    others = [await world.start(f"node{number}", connect=[alice]) for number in range(count)]
    return alice, others


async def test_a_newcomer_that_knows_one_address_finds_peers_and_every_provider(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        _, others = await star(world, 9)
        providers = [
            await world.start(f"p{n}", role="provider", prices={f"P{n}": "1"}, connect=[others[n]])
            for n in range(3)
        ]
        await trio.sleep(15)
        carol = await world.start("carol", connect=[others[8]])
        await trio.sleep(10)
        assert len(peers(carol)) >= PEERS_AIM - 1
        known = (await status(world, carol))["active_providers"]
        assert {p.provider_id for p in known} == {p.peer_id for p in providers}


async def test_a_mesh_survives_the_node_through_which_everybody_joined(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        alice, others = await star(world, 9)
        await trio.sleep(20)
        await world.kill(alice)
        await trio.sleep(20)
        assert min(len(peers(node)) for node in others) >= PEERS_MIN
        dave = await world.start("dave", role="provider", prices=PRICES, connect=[others[0]])
        await trio.sleep(3)
        found = [(await status(world, node))["active_providers"] for node in others]
        assert [[p.provider_id for p in known] for known in found] == [[dave.peer_id]] * 9


async def test_a_node_finds_the_mesh_again_though_all_its_seeds_are_gone_for_good(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        alice, others = await star(world, 5)
        carol = await world.start("carol", connect=[alice])
        await trio.sleep(20)
        await world.kill(carol)
        await world.kill(alice)
        await trio.sleep(600)
        carol = await world.start("carol", connect=[alice])
        await trio.sleep(10)
        assert len(peers(carol)) >= PEERS_MIN
        assert peers(carol) <= {node.peer_id for node in others}


async def test_a_node_whose_uplink_was_away_finds_its_peers_again(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        alice, others = await star(world, 4)
        carol = others[0]
        await trio.sleep(20)
        for node in (alice, *others[1:]):
            world.network.cut_link(carol.peer_id, node.peer_id)
        await world.kill(alice)
        await trio.sleep(900)
        assert peers(carol) == set()
        for node in (alice, *others[1:]):
            world.network.mend_link(carol.peer_id, node.peer_id)
        await trio.sleep(10)
        assert peers(carol) == {node.peer_id for node in others[1:]}


async def test_a_hub_keeps_places_for_newcomers_and_nobody_is_taken_for_lost(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        alice = await world.start("alice")
        providers = [
            await world.start(f"p{n}", role="provider", prices={f"P{n}": "1"}, connect=[alice])
            for n in range(3)
        ]
        others = [await world.start(f"node{n}", connect=[alice]) for n in range(36)]
        await trio.sleep(30)
        assert len(peers(alice)) <= PLACES_FOR_FRIENDS * PEERS_MAX + 5
        assert alice.observed(facts.ProviderLost) == []
        assert min(len(peers(node)) for node in others) >= PEERS_MIN
        known = (await status(world, alice))["active_providers"]
        assert {p.provider_id for p in known} == {p.peer_id for p in providers}


async def test_hops_are_counted_along_the_way_and_forgotten_with_it(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        chain = [await world.start("alice", role="provider", prices=PRICES)]
        for name in ("bob", "carol", "dave", "erin"):
            *others, last = chain
            chain.append(await world.start(name, connect=[last]))
            for other in others:
                world.network.cut_link(chain[-1].peer_id, other.peer_id)
        await trio.sleep(5 * 1.2 * ROUND_S)

        async def hops(node: WorldNode) -> list[int | None]:
            return [p.hop_count for p in (await status(world, node))["known_providers"]]

        assert [await hops(node) for node in chain] == [[0], [1], [2], [3], [4]]
        world.network.cut_link(chain[1].peer_id, chain[2].peer_id)
        await trio.sleep(4 * 2.5 * ROUND_S)
        assert [await hops(node) for node in chain] == [[0], [1], [None], [None], [None]]


async def test_every_node_counts_every_node_once(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        _, others = await star(world, 12)
        await trio.sleep(90)
        sizes = [(await status(world, node))["total_network_size"] for node in others]
        assert sizes == [13] * 12
        carol = await world.start("carol", connect=[others[0]])
        await trio.sleep(10)
        # Long before the others speak again: she has it from her neighbours.
        assert (await status(world, carol))["total_network_size"] == 14


async def test_a_provider_without_prices_is_known_after_a_restart_and_returns(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        alice = await world.start("alice", role="provider", prices={})
        bob = await world.start("bob", connect=[alice])
        await trio.sleep(10)
        assert len(bob.observed(facts.ProviderDiscovered)) == 1
        await world.kill(bob)
        await trio.sleep(100)
        bob = await world.start("bob", connect=[alice])
        bob.facts.clear()
        await trio.sleep(20)
        assert bob.observed(facts.ProviderDiscovered) == []
        (returned,) = bob.observed(facts.ProviderReturned)
        assert returned.provider_id == alice.peer_id
        assert 95 <= returned.gone_s <= 140


async def test_an_outage_s_beginning_survives_a_restart(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice", role="provider", prices={})
        bob = await world.start("bob", connect=[alice])
        carol = await world.start("carol", connect=[bob])
        await trio.sleep(10)
        await world.stop(alice)
        left_at = trio.current_time()
        await trio.sleep(120)
        since = (await status(world, bob))["outage"].since
        await world.kill(bob)
        await trio.sleep(300)
        bob = await world.start("bob", connect=[carol])
        await trio.sleep(2)
        assert (await status(world, bob))["outage"].since == since
        assert not bob.observed(facts.OutageExtended)
        await trio.sleep(left_at + 598 - trio.current_time())
        assert not bob.observed(facts.OutageExtended)
        await trio.sleep(8)
        assert len(bob.observed(facts.OutageExtended)) == 1


async def test_who_knows_too_many_addresses_redials_a_provider_all_the_same(
    autojump_clock: MockClock,
) -> None:
    """Alice dialled them: that she is gone a refused dial shows, at the address of her own word."""
    keys = [SigningKey(number.to_bytes(32, "big")).verify_key for number in range(UNPROVEN_MAX)]
    addrs = tuple(KnownAddr(bytes(key), "/ip4/10.9.9.9/tcp/4201", None, 0) for key in keys)
    async with open_world() as world:
        others: list[WorldNode] = []
        for name in ("bob", "carol", "dave", "erin", "frank"):
            await world.node(name).store.commit(Batch(addrs=addrs))
            others.append(await world.start(name, connect=others))
        alice = await world.start("alice", role="provider", prices=PRICES, connect=others)
        await trio.sleep(12)
        await world.kill(alice)
        await trio.sleep(5)
        for node in others:
            assert [fact.cause for fact in node.observed(facts.ProviderLost)] == ["connection"]
