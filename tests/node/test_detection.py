"""How the loss and the return of a provider are noticed, told as stories in virtual time."""

import pytest
import trio
from trio.testing import MockClock

from meshnode.core import facts
from meshnode.core.facts import ProviderLost, ProviderReturned, ProviderSuspected
from simulations.world import World, open_world
from simulations.world_node import WorldNode
from tests.node.seeing import freeze, heal, split, state_of, status_of, thaw, value_of

PRICES = {"BTC-USD": "7"}
ACCUSATIONS = ProviderSuspected | ProviderLost


async def network(world: World) -> dict[str, WorldNode]:
    """Alice and zoe provide; bob and carol are connected to both, dave and erin to carol only."""
    bob = await world.start("bob")
    carol = await world.start("carol", connect=[bob])
    alice = await world.start("alice", role="provider", prices=PRICES, connect=[bob, carol])
    zoe = await world.start("zoe", role="provider", prices=PRICES, connect=[bob, carol])
    dave = await world.start("dave", connect=[carol])
    erin = await world.start("erin", connect=[carol])
    await trio.sleep(20)
    return {node.name: node for node in (alice, bob, carol, dave, erin, zoe)}


def accused(node: WorldNode) -> set[str]:
    """Whom a node ever suspected or lost."""
    return {
        fact.provider_id
        for fact in node.facts
        if isinstance(fact, ProviderSuspected | ProviderLost)
    }


async def test_a_killed_provider_is_lost_everywhere_and_nobody_else_is_accused(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        nodes = await network(world)
        alice = nodes.pop("alice")
        await world.kill(alice)
        await trio.sleep(5)
        for name in ("bob", "carol"):  # where it was connected
            assert await state_of(world, nodes[name], alice) == "offline"
        await trio.sleep(35)
        for node in nodes.values():
            assert await state_of(world, node, alice) == "offline", node.name
            assert accused(node) == {alice.peer_id}


@pytest.mark.parametrize(
    ("frozen_s", "seen"), [(5, {"active"}), (20, {"active", "suspect"}), (90, {"offline"})]
)
async def test_a_frozen_provider_is_lost_only_after_a_while_and_soon_back(
    autojump_clock: MockClock, frozen_s: float, seen: set[str]
) -> None:
    async with open_world() as world:
        nodes = await network(world)
        alice = nodes.pop("alice")
        freeze(world, alice)
        await trio.sleep(frozen_s)
        for node in nodes.values():
            assert await state_of(world, node, alice) in seen, node.name
        thaw(world, alice)
        await trio.sleep(16)  # her connections were closed: a dial, and two presences
        for node in nodes.values():
            assert await state_of(world, node, alice) == "active", node.name


async def test_a_provider_that_one_node_cannot_reach_is_not_lost(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        nodes = await network(world)
        alice, bob = nodes.pop("alice"), nodes["bob"]
        world.network.cut_link(alice.peer_id, bob.peer_id)
        for _ in range(60):
            await trio.sleep(5)
            assert await state_of(world, bob, alice) in ("active", "suspect")
        assert not [node.name for node in nodes.values() if node.observed(ProviderLost)]
        assert [fact.cause for fact in bob.observed(ProviderSuspected)] == ["connection"]
        assert await state_of(world, bob, alice) == "active"


async def test_leaving_is_known_everywhere_within_two_seconds(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        nodes = await network(world)
        alice = nodes.pop("alice")
        alice.stop.set()
        await trio.sleep(2)
        for node in nodes.values():
            assert await state_of(world, node, alice) == "left"
        await trio.sleep(120)
        for node in nodes.values():
            assert not node.observed(ProviderSuspected)
            assert [fact.cause for fact in node.observed(ProviderLost)] == ["leaving"]


async def test_a_new_provider_is_active_everywhere_within_five_seconds(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        nodes = await network(world)
        frank = await world.start("frank", role="provider", prices=PRICES, connect=[nodes["erin"]])
        await trio.sleep(2 + 5)
        for node in nodes.values():
            assert await state_of(world, node, frank) == "active"
            assert len(node.observed(facts.ProviderDiscovered)) >= 2
            assert not node.observed(ProviderReturned)


# --- alone ----------------------------------------------------------------------------------


async def test_a_node_alone_accuses_nobody_says_so_and_counts_the_outage(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        nodes = await network(world)
        dave = nodes["dave"]
        others = [node for node in nodes.values() if node is not dave]
        split(world, [dave], others)
        cut_at = trio.current_time()
        await trio.sleep(100)
        status = await status_of(world, dave)
        assert {p.state for p in status["known_providers"]} == {"unreachable"}
        assert status["active_providers"] == ()
        assert status["outage"].cause == "local_isolation"
        codes = {warning.code for warning in status["warnings"]}
        assert {"ISOLATED", "NO_PROVIDERS"} <= codes
        assert not dave.observed(ProviderLost)
        await trio.sleep_until(cut_at + 594)
        assert not dave.observed(facts.OutageExtended)
        await trio.sleep_until(cut_at + 605)
        (extended,) = dave.observed(facts.OutageExtended)
        assert 600 <= extended.offline_s <= 601
        assert extended.cause == "local_isolation"
        heal(world)
        healed_at = trio.current_time()
        await trio.sleep(10)
        assert await state_of(world, dave, nodes["alice"]) == "active"
        (ended,) = dave.observed(facts.OutageEnded)
        assert ended.offline_s >= healed_at - cut_at - 6
        assert len(dave.observed(facts.IsolationEnded)) >= 1
        assert not dave.observed(ProviderLost)


async def test_a_side_with_peers_says_partition(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        nodes = await network(world)
        near = [nodes["dave"], await world.start("frank", connect=[nodes["dave"]])]
        far = [nodes[name] for name in ("alice", "bob", "carol", "erin", "zoe")]
        await trio.sleep(70)
        split(world, near, far)
        await trio.sleep(120)
        for node in near:
            assert (await value_of(world, node, "outage")).cause == "partition"
            assert not node.observed(facts.IsolationStarted)
        for node in far:
            assert await value_of(world, node, "outage") is None
        await trio.sleep(490)
        for node in near:
            assert await value_of(world, node, "extended_offline") is True
            # After the healing, consumers may be heard a moment before the providers are back.
            assert {fact.cause for fact in node.observed(facts.OutageExplained)} == {"partition"}
        heal(world)
        await trio.sleep(15)
        for node in near:
            assert await value_of(world, node, "outage") is None


# --- the outage clock -----------------------------------------------------------------------


async def test_an_outage_is_flagged_at_ten_minutes_with_no_one_asking(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        bob = await world.start("bob")
        carol = await world.start("carol", connect=[bob])
        alice = await world.start("alice", role="provider", prices=PRICES, connect=[bob, carol])
        await trio.sleep(33)
        await world.kill(alice)
        killed_at = trio.current_time()
        await trio.sleep(594)
        assert not bob.observed(facts.OutageExtended)
        await trio.sleep(11)
        (started,) = bob.observed(facts.OutageStarted)
        (extended,) = bob.observed(facts.OutageExtended)
        assert started.cause == extended.cause == "providers_down"
        assert 600 <= extended.offline_s <= 605
        await world.start("alice", role="provider", prices=PRICES, connect=[bob, carol])
        await trio.sleep(10)
        (ended,) = bob.observed(facts.OutageEnded)
        assert 600 <= ended.offline_s <= trio.current_time() - killed_at + 6
        status = await status_of(world, bob)
        assert status["extended_offline"] is False
        assert status["outage"] is status["offline_duration_minutes"] is None
        assert status["providers_seen"] == {"discovered": 1, "returned": 1, "lost": 1}


async def test_the_outage_lasts_over_a_restart(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice", role="provider", prices=PRICES)
        bob = await world.start("bob", connect=[alice])
        await trio.sleep(20)
        await world.kill(alice)
        await trio.sleep(300)
        await world.kill(bob)
        bob = await world.start("bob")
        await trio.sleep(275)
        assert not bob.observed(facts.OutageExtended)
        await trio.sleep(80)
        assert len(bob.observed(facts.OutageExtended)) == 1


# --- comings and goings ---------------------------------------------------------------------


async def test_a_provider_that_comes_and_goes_is_flapping_and_held(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        bob = await world.start("bob")
        alice = await world.start("alice", role="provider", prices=PRICES, connect=[bob])
        await trio.sleep(20)
        for _ in range(2):
            await world.kill(alice)
            await trio.sleep(6)
            alice = await world.start("alice", role="provider", prices=PRICES, connect=[bob])
            await trio.sleep(6)
        assert await state_of(world, bob, alice) == "flapping"
        assert (await value_of(world, bob, "warnings"))[0].code == "NO_PROVIDERS"
        await trio.sleep(60)
        assert await state_of(world, bob, alice) == "active"
        assert len(bob.observed(facts.ProviderFlapping)) == 1


async def test_a_provider_whose_clock_jumps_is_skewed_and_not_gone(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        nodes = await network(world)
        alice = nodes.pop("alice")
        alice.clock.step_ns = 300 * 10**9
        await trio.sleep(30)
        for node in nodes.values():
            assert await state_of(world, node, alice) == "skewed", node.name
            warnings = {w.code: w.message for w in await value_of(world, node, "warnings")}
            assert alice.peer_id in warnings["CLOCK_SKEW"]
            assert not node.observed(ProviderLost)
            assert await value_of(world, node, "outage") is None  # zoe is there
        alice.clock.step_ns = 0
        await trio.sleep(10)
        for node in nodes.values():
            assert await state_of(world, node, alice) == "active"


@pytest.mark.parametrize("step_s", [-300, 300])
async def test_a_node_whose_own_clock_jumps_warns_and_judges_by_its_peers(
    autojump_clock: MockClock, step_s: int
) -> None:
    async with open_world() as world:
        nodes = await network(world)
        bob = nodes["bob"]
        carol = nodes["carol"]
        await trio.sleep(20)
        carol.clock.step_ns = step_s * 10**9  # she has five peers, bob three
        await trio.sleep(30)
        warnings = {w.code: w.message for w in await value_of(world, carol, "warnings")}
        where = "ahead of" if step_s > 0 else "behind"
        assert f"300 s {where} its peers" in warnings["CLOCK_SKEW"]
        for provider in (nodes["alice"], nodes["zoe"]):
            assert await state_of(world, carol, provider) == "active"
        assert not carol.observed(ProviderLost)
        assert not carol.observed(facts.OutageStarted)
        assert not bob.observed(ProviderLost)
        carol.clock.step_ns = 0
        await trio.sleep(40)
        assert len(carol.observed(facts.ClockAgrees)) == 1
        assert "CLOCK_SKEW" not in {w.code for w in await value_of(world, carol, "warnings")}


async def test_a_node_believes_those_it_hears_more_than_wrong_peers(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        nodes = await network(world)
        carol = nodes["carol"]
        await trio.sleep(100)  # everybody has spoken
        for name in ("bob", "dave", "erin"):  # three of her five peers
            nodes[name].clock.step_ns = 300 * 10**9
        await trio.sleep(200)
        assert not carol.observed(facts.ClockDiffers)
        assert not carol.observed(facts.ProviderSkewed)
        for provider in (nodes["alice"], nodes["zoe"]):
            assert await state_of(world, carol, provider) == "active"


@pytest.mark.parametrize("step_s", [-5, -0.5, 0.5, 5])
async def test_a_clock_a_few_seconds_off_is_no_matter(
    autojump_clock: MockClock, step_s: float
) -> None:
    async with open_world() as world:
        nodes = await network(world)
        nodes["alice"].clock.step_ns = round(step_s * 10**9)
        await trio.sleep(300)
        for node in nodes.values():
            assert not accused(node)
            assert await state_of(world, node, nodes["alice"]) == "active"
