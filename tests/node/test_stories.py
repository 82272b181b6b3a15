"""Whole nodes over a model of the network, in virtual time: what users rely on, as stories."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from meshnode.core import facts
from meshnode.errors import QueryRefused
from meshnode.ports import Mesh
from meshnode.services import ask
from protocols.envelope import open_envelope
from protocols.messages import PriceUpdate
from protocols.queries import WatchRequest
from simulations.model_mesh import open_model_mesh
from simulations.world import World, open_world
from simulations.world_node import WorldNode


@asynccontextmanager
async def asker(world: World, node: WorldNode) -> AsyncIterator[tuple[Mesh, str]]:
    """A client connected to a node."""
    async with open_model_mesh(
        world.network, key_seed=bytes(31) + b"\1", judge=None, observer=node
    ) as mesh:
        yield mesh, await mesh.connect(node.addr)


async def test_prices_travel_from_a_provider_through_a_relay_to_a_consumer(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        bob = await world.start("bob")
        alice = await world.start(
            "alice", role="provider", prices={"BTC-USD": "100.5"}, connect=[bob]
        )
        carol = await world.start("carol", connect=[bob])
        await trio.sleep(2)
        async with asker(world, carol) as (mesh, peer):
            prices = await ask.prices(mesh, peer)
        assert prices["BTC-USD"].price == "100.5"
        assert prices["BTC-USD"].provider_id == alice.peer_id
        assert prices["BTC-USD"].state == "fresh"


async def test_a_consumer_goes_on_serving_when_its_provider_is_killed_and_says_so(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "7"})
        bob = await world.start("bob", connect=[alice])
        await trio.sleep(3)
        await world.kill(alice)
        await trio.sleep(2)
        async with asker(world, bob) as (mesh, peer):
            prices = await ask.prices(mesh, peer, ["BTC-USD", "ETH-USD"])
            status = await ask.status(mesh, peer)
        assert set(prices) == {"BTC-USD"}
        assert prices["BTC-USD"].state == "cached"
        assert (prices["BTC-USD"].age_s or 0) >= 4
        warnings = {warning.code: warning.message for warning in status["warnings"]}
        assert warnings["NO_PROVIDERS"] == "No live data sources - serving cached data"
        assert status["active_providers"] == ()
        assert status["known_providers"][0].state == "offline"
        assert [fact.cause for fact in bob.observed(facts.ProviderLost)] == ["connection"]


async def test_a_provider_that_returns_is_recognised_and_its_new_prices_count(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        bob = await world.start("bob")
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "7"}, connect=[bob])
        await trio.sleep(3)
        await world.kill(alice)
        await trio.sleep(30)
        await world.start("alice", role="provider", prices={"BTC-USD": "8"}, connect=[bob])
        await trio.sleep(3)
        async with asker(world, bob) as (mesh, peer):
            prices = await ask.prices(mesh, peer)
        assert (prices["BTC-USD"].price, prices["BTC-USD"].state) == ("8", "fresh")
        assert len(bob.observed(facts.ProviderDiscovered)) == 1
        (returned,) = bob.observed(facts.ProviderReturned)
        assert 30 <= returned.gone_s <= 36  # since its last sign of life
        assert len(bob.observed(facts.OutageEnded)) == 1


@pytest.mark.parametrize(
    ("restarts", "says", "is_asked"), [(True, "8", False), (True, None, True), (False, "8", True)]
)
async def test_of_a_provider_that_starts_again_nobody_asks_what_it_said(
    autojump_clock: MockClock, restarts: bool, says: str | None, is_asked: bool
) -> None:
    """Behind a cut it said something that we did not hear; as it starts we hear its prices."""
    async with open_world() as world:
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "7"})
        bob = await world.start("bob", connect=[alice])
        carol = await world.start("carol", connect=[bob])
        await trio.sleep(30)
        if restarts:
            await world.kill(alice)
        else:
            for other in (bob, carol):
                world.network.cut_link(alice.peer_id, other.peer_id)
        await trio.sleep(40)
        prices = {"BTC-USD": says} if says else {}
        alice.source.set(prices)
        await trio.sleep(1)
        marks = {node: len(node.facts) for node in (bob, carol)}
        if restarts:
            await world.start("alice", role="provider", prices=prices, connect=[bob])
        else:
            for other in (bob, carol):
                world.network.mend_link(alice.peer_id, other.peer_id)
        await trio.sleep(30)
        for node in (bob, carol):
            told = node.facts[marks[node] :]
            assert any(isinstance(fact, facts.ProviderReturned) for fact in told)
            assert any(isinstance(fact, facts.CaughtUp) for fact in told) is is_asked
            assert [str(stored.quote.price) for stored in node.store.latest()] == [says or "7"]


async def test_a_provider_that_leaves_in_order_is_known_to_have_left(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        bob = await world.start("bob")
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "7"}, connect=[bob])
        await trio.sleep(3)
        await world.stop(alice)
        await trio.sleep(1)
        async with asker(world, bob) as (mesh, peer):
            status = await ask.status(mesh, peer, ["known_providers"])
        assert [p.state for p in status["known_providers"]] == ["left"]


async def test_a_silent_provider_is_lost_after_a_minute_though_its_connection_stands(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        bob = await world.start("bob")
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "7"}, connect=[bob])
        await trio.sleep(3)
        world.network.muted.add(alice.peer_id)
        await trio.sleep(70)
        lost = bob.observed(facts.ProviderLost)
        assert [(f.provider_id, f.cause) for f in lost] == [(alice.peer_id, "silence")]


async def test_ten_minutes_without_a_provider_are_flagged_and_cleared(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        bob = await world.start("bob")
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "7"}, connect=[bob])
        await trio.sleep(3)
        await world.kill(alice)
        await trio.sleep(594)
        assert not bob.observed(facts.OutageExtended)
        await trio.sleep(10)
        assert len(bob.observed(facts.OutageExtended)) == 1
        async with asker(world, bob) as (mesh, peer):
            status = await ask.status(mesh, peer)
        assert status["extended_offline"] is True
        assert status["offline_duration_minutes"] == 10
        await world.start("alice", role="provider", prices={"BTC-USD": "8"}, connect=[bob])
        await trio.sleep(5)
        async with asker(world, bob) as (mesh, peer):
            status = await ask.status(mesh, peer)
        assert status["extended_offline"] is False
        assert status["offline_duration_minutes"] is None
        assert status["outage"] is None


async def test_a_node_that_joins_has_every_price_at_once_each_with_its_proof(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        prices = {f"A{number}-USD": str(number + 1) for number in range(2500)}
        alice = await world.start("alice", role="provider", prices=prices)
        await trio.sleep(30)
        carol = await world.start("carol", connect=[alice])
        await trio.sleep(1)
        async with asker(world, carol) as (mesh, peer):
            assert set(await ask.prices(mesh, peer)) == set(prices)
            raws = [raw async for raw in ask.envelopes(mesh, peer)]
        proven = [open_envelope(raw) for raw in raws]
        assert all(envelope.is_authentic() for envelope in proven)
        payloads = [envelope.message.payload for envelope in proven]
        quotes = [q for p in payloads if isinstance(p, PriceUpdate) for q in p.quotes]
        assert {quote.asset for quote in quotes} == set(prices)


async def test_what_a_node_kept_is_served_after_its_restart_without_any_peer(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "7"})
        bob = await world.start("bob", connect=[alice])
        await trio.sleep(3)
        await world.stop(bob)
        await world.kill(alice)
        await trio.sleep(7200)
        bob = await world.start("bob")
        async with asker(world, bob) as (mesh, peer):
            prices = await ask.prices(mesh, peer)
            status = await ask.status(mesh, peer)
        assert prices["BTC-USD"].state == "cached"
        assert 7200 <= (prices["BTC-USD"].age_s or 0) < 7210
        assert status["data_freshness"].text == "2 hours ago"
        assert [p.state for p in status["known_providers"]] == ["unreachable"]  # nobody to tell


async def test_an_allowlist_keeps_strangers_prices_out(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "7"})
        mallory = await world.start("mallory", role="provider", prices={"BTC-USD": "9000"})
        bob = await world.start("bob", connect=[alice, mallory], allow=[alice.peer_id])
        await trio.sleep(3)
        async with asker(world, bob) as (mesh, peer):
            prices = await ask.prices(mesh, peer)
            status = await ask.status(mesh, peer, ["warnings"])
        assert prices["BTC-USD"].price == "7"
        assert "OPEN_NETWORK" not in {warning.code for warning in status["warnings"]}


async def test_a_watcher_hears_the_present_state_and_then_every_change(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        bob = await world.start("bob")
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "7"}, connect=[bob])
        await trio.sleep(3)
        heard: list[tuple[str, object]] = []
        async with asker(world, bob) as (mesh, peer), trio.open_nursery() as nursery:

            async def follow() -> None:
                request = WatchRequest(assets=("BTC-USD",), events=("price", "provider"))
                async for event in ask.watch(mesh, peer, request):
                    fields = event.to_map()
                    heard.append((event.event, fields.get("prices") or fields.get("change")))

            nursery.start_soon(follow)
            await trio.sleep(1)
            alice.source.set({"BTC-USD": "8", "ETH-USD": "1"})
            await trio.sleep(1)
            await world.kill(alice)
            await trio.sleep(1)
            nursery.cancel_scope.cancel()
        assert [what for what, _ in heard] == ["provider", "price", "price", *["provider"] * 2]
        assert heard[0][1] == "present"
        changed = heard[2][1]
        assert isinstance(changed, dict)
        assert {asset: answer["price"] for asset, answer in changed.items()} == {"BTC-USD": "8"}
        assert [change for _, change in heard[3:]] == ["suspected", "lost"]


async def test_who_asks_too_often_is_told_so(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob = await world.start("bob")
        async with asker(world, bob) as (mesh, peer):
            for _ in range(5):
                await ask.status(mesh, peer, ["time"])
            with pytest.raises(QueryRefused) as refused:
                await ask.status(mesh, peer, ["time"])
        assert refused.value.code == "rate_limited"


async def test_a_source_that_fails_is_opened_again_and_the_node_lives(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        bob = await world.start("bob")
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "7"}, connect=[bob])
        await trio.sleep(3)
        alice.source.fail()
        await trio.sleep(5)
        alice.source.set({"BTC-USD": "8"})
        await trio.sleep(5)
        async with asker(world, bob) as (mesh, peer):
            prices = await ask.prices(mesh, peer)
        assert prices["BTC-USD"].price == "8"
        assert len(alice.observed(facts.SourceFailed)) == 1
        assert len(alice.observed(facts.SourceRecovered)) == 1


async def test_the_network_s_size_counts_each_node_once_and_no_asker(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        bob = await world.start("bob")
        await world.start("alice", role="provider", prices={"BTC-USD": "7"}, connect=[bob])
        await world.start("carol", connect=[bob])
        await trio.sleep(15)
        async with asker(world, bob) as (mesh, peer):
            status = await ask.status(mesh, peer)
        assert status["total_network_size"] == 3
        assert status["connected_peers"] == 2
