"""The first and the last moments of a node, in virtual time."""

from contextlib import aclosing

import pytest
import trio
from nacl.signing import SigningKey
from trio.testing import MockClock

from meshnode.core import facts
from meshnode.services import ask
from protocols.ids import PRICES_PROTOCOL, STATUS_PROTOCOL, WATCH_PROTOCOL
from protocols.queries import WatchRequest
from protocols.timestamps import rfc3339
from simulations.model_mesh import ModelMesh, open_model_mesh
from simulations.world import open_world
from tests.cast import BOB, id_of
from tests.node.seeing import value_of


async def test_everything_is_served_before_anybody_is_let_in(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[set[str]] = []
    listen = ModelMesh.listen

    async def note_and_listen(mesh: ModelMesh) -> None:
        served.append(set(mesh._handlers))
        await listen(mesh)

    monkeypatch.setattr(ModelMesh, "listen", note_and_listen)
    async with open_world() as world:
        await world.start("bob")
    assert served == [{STATUS_PROTOCOL, PRICES_PROTOCOL, WATCH_PROTOCOL}]


async def test_who_says_that_it_is_ready_listens(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob = await world.start("bob")
        assert bob.observed(facts.NodeReady) == [facts.NodeReady(bob.peer_id, (bob.addr,))]


async def test_a_provider_with_an_allowlist_admits_itself(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start(
            "alice", role="provider", prices={"BTC-USD": "7"}, allow=[id_of(BOB)]
        )
        await trio.sleep(1)
        async with open_model_mesh(
            world.network, key_seed=bytes(SigningKey.generate()), judge=None, observer=alice
        ) as mesh:
            prices = await ask.prices(mesh, await mesh.connect(alice.addr))
        assert prices["BTC-USD"].provider_id == alice.peer_id


async def test_what_was_heard_last_is_on_disk_after_leaving(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "7"})
        bob = await world.start("bob", connect=[alice])
        await trio.sleep(3)
        alice.source.set({"BTC-USD": "8"})
        async with open_model_mesh(
            world.network, key_seed=bytes(SigningKey.generate()), judge=None, observer=bob
        ) as mesh:
            peer = await mesh.connect(bob.addr)
            async with aclosing(ask.watch(mesh, peer, WatchRequest(events=("price",)))) as events:
                async for event in events:
                    if event.to_map()["prices"]["BTC-USD"]["price"] == "8":
                        break
        await world.stop(bob)
        (stored,) = (await bob.store.load()).latest
        assert str(stored.quote.price) == "8"


async def test_who_provided_is_on_disk_with_its_last_word_after_leaving(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "7"})
        bob = await world.start("bob", connect=[alice])
        await trio.sleep(20)  # alice speaks every five seconds, and is noted every thirty
        await world.kill(alice)
        (seen,) = await value_of(world, bob, "known_providers")
        await world.stop(bob)
        (known,) = (await bob.store.load()).nodes
        assert (known.author, rfc3339(known.last_seen_ns)) == (alice.key, seen.last_seen)
