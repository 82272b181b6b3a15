"""Whole nodes against a mallory who can sign for herself, and repeat what others signed."""

import tracemalloc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest
import trio
from nacl.signing import SigningKey
from trio.testing import MockClock

from meshnode.core import facts
from meshnode.core.book import AUTHORS_OPEN_MAX
from meshnode.core.names import Names
from meshnode.core.verdicts import Accepted, Verdict
from meshnode.ports import Mesh, Stream
from meshnode.services import ask
from meshnode.services.frames import Frames
from meshnode.services.persist import PUT_ASIDE_S
from protocols.envelope import Envelope, open_envelope
from protocols.ids import PRICES_PROTOCOL, Topic, peer_id
from protocols.limits import REQUEST_BYTES_MAX
from protocols.queries import ProofsHeader
from simulations.model_gossip import GossipMessage
from simulations.model_mesh import ModelMesh, open_model_mesh
from simulations.world import World, open_world
from simulations.world_node import WorldNode
from tests.cast import MALLORY, id_of, presence, quote, said

NS = 10**9


class WitnessOfNothing:
    def observe(self, fact: facts.Fact) -> None:
        """What befalls mallory is of no interest."""


@dataclass
class Eavesdropper:
    """A peer that takes everything, and can say all of it again, and more, as anybody."""

    world: World
    mesh: ModelMesh
    heard: list[tuple[Topic, bytes, bytes]] = field(default_factory=list)

    def judge(self, topic: Topic, sender: bytes, data: bytes) -> Verdict:
        self.heard.append((topic, sender, data))
        return Accepted(open_envelope(data))

    def send(self, victim: WorldNode, topic: Topic, sender: bytes, data: bytes) -> str | None:
        """Put a message into the victim's gossip as one that is new; why it was refused."""
        gossip = self.world.network.nodes[victim.peer_id].gossip
        return gossip.hear(GossipMessage(sender, topic, data), self.mesh.peer_id)

    def say(self, victim: WorldNode, envelope: Envelope) -> str | None:
        message = envelope.message
        return self.send(victim, message.topic, message.author, envelope.raw)

    def forget_all_but(self, node: WorldNode) -> None:
        key = bytes(SigningKey(node.seed).verify_key)
        self.heard = [message for message in self.heard if message[1] == key]

    def replay(self, victim: WorldNode) -> list[str | None]:
        return [self.send(victim, *message) for message in tuple(self.heard)]


@asynccontextmanager
async def eavesdropper(world: World, near: WorldNode) -> AsyncIterator[Eavesdropper]:
    """Mallory, connected to a node."""
    found: list[Eavesdropper] = []
    async with open_model_mesh(
        world.network,
        key_seed=bytes(MALLORY),
        judge=lambda *message: found[0].judge(*message),
        observer=WitnessOfNothing(),
    ) as mesh:
        mallory = Eavesdropper(world, mesh)
        found.append(mallory)
        await mesh.listen()
        await mesh.connect(near.addr)
        yield mallory


@asynccontextmanager
async def asker(world: World, node: WorldNode) -> AsyncIterator[tuple[Mesh, str]]:
    async with open_model_mesh(
        world.network, key_seed=bytes(31) + b"\1", judge=None, observer=node
    ) as mesh:
        yield mesh, await mesh.connect(node.addr)


async def prices_of(world: World, node: WorldNode) -> dict[str, str]:
    async with asker(world, node) as (mesh, peer):
        return {asset: answer.price for asset, answer in (await ask.prices(mesh, peer)).items()}


def accepted_by(node: WorldNode) -> int:
    assert node.mesh is not None
    return node.mesh.gossip.statistics().accepted


# --- replays --------------------------------------------------------------------------------


@pytest.mark.parametrize("after_s", [1, 121, 3600])
async def test_a_replay_is_neither_accepted_nor_relayed(
    autojump_clock: MockClock, after_s: int
) -> None:
    """Alice says something and is gone; mallory repeats it to bob, behind whom carol listens."""
    async with open_world() as world:
        bob = await world.start("bob")
        carol = await world.start("carol", connect=[bob])
        async with eavesdropper(world, bob) as mallory:
            alice = await world.start(
                "alice", role="provider", prices={"BTC-USD": "7"}, connect=[bob]
            )
            await trio.sleep(3)
            alice.source.set({"BTC-USD": "8"})
            await trio.sleep(3)
            await world.kill(alice)
            await trio.sleep(after_s)
            mallory.forget_all_but(alice)
            assert len(mallory.heard) >= 3
            before = accepted_by(bob), accepted_by(carol)
            assert set(mallory.replay(bob)) <= {"known", "too_old"}
            await trio.sleep(1)
            assert (accepted_by(bob), accepted_by(carol)) == before
        assert await prices_of(world, bob) == {"BTC-USD": "8"}
        assert len(bob.observed(facts.ProviderReturned)) == 0


async def test_a_replay_is_refused_after_the_receiver_s_restart(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        bob = await world.start("bob")
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "7"}, connect=[bob])
        async with eavesdropper(world, bob) as mallory:
            alice.source.set({"BTC-USD": "8"})
            await trio.sleep(3)
            await world.kill(alice)
            await world.stop(bob)
            bob = await world.start("bob")
            carol = await world.start("carol", connect=[bob])
            await trio.sleep(1)
            mallory.forget_all_but(alice)
            before = accepted_by(bob), accepted_by(carol)
            assert set(mallory.replay(bob)) == {"too_old"}
            await trio.sleep(1)
            assert (accepted_by(bob), accepted_by(carol)) == before
        assert await prices_of(world, bob) == {"BTC-USD": "8"}


async def test_what_was_said_before_a_kill_may_be_replayed_only_if_it_was_not_written(
    autojump_clock: MockClock,
) -> None:
    """Killed between hearing and writing, bob hears it as new: he has nothing of it."""
    async with open_world() as world:
        bob = await world.start("bob")
        async with eavesdropper(world, bob) as mallory:
            update = said(issued_ns=world.clock.now_ns())
            assert mallory.say(bob, update) is None
            await world.kill(bob)
            bob = await world.start("bob")
            assert await prices_of(world, bob) == {}
            assert mallory.say(bob, update) is None
            assert mallory.say(bob, update) == "known"
            assert await prices_of(world, bob) == {"BTC-USD": "100"}


# --- times out of bounds --------------------------------------------------------------------


def out_of_time(now_ns: int) -> dict[str, Envelope]:
    """By the reason for which each must be refused; numbers as high as can be."""
    say = partial(said, quote(price="666"), by=MALLORY, seq=2**64 - 1)
    epoch = now_ns // NS
    return {
        "future_epoch": say(epoch=epoch + 61, issued_ns=now_ns),
        "future": say(epoch=epoch, issued_ns=now_ns + 11 * NS),
        "expired": say(epoch=epoch, issued_ns=now_ns - 61 * NS),
    }


async def test_nothing_is_pinned_by_what_gossip_brings_from_another_time(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        bob = await world.start("bob")
        async with eavesdropper(world, bob) as mallory:
            now_ns = world.clock.now_ns()
            for reason, envelope in out_of_time(now_ns).items():
                assert mallory.say(bob, envelope) == reason
            assert await prices_of(world, bob) == {}
            # Were a mark raised by any of those, this would be too old.
            assert mallory.say(bob, said(by=MALLORY, epoch=1, issued_ns=now_ns)) is None
            await trio.sleep(1)
        assert await prices_of(world, bob) == {"BTC-USD": "100"}


async def test_nothing_is_pinned_by_what_a_snapshot_brings_from_another_time(
    autojump_clock: MockClock,
) -> None:
    """Mallory answers a joiner with true signatures under impossible times."""
    async with open_world() as world:
        async with open_model_mesh(
            world.network,
            key_seed=bytes(MALLORY),
            judge=lambda _topic, _sender, data: Accepted(open_envelope(data)),
            observer=WitnessOfNothing(),
        ) as mesh:
            now_ns = world.clock.now_ns()
            bad = out_of_time(now_ns)
            served = [bad["future_epoch"], bad["future"]]
            old = said(quote("ETH-USD", "5"), by=MALLORY, epoch=2, issued_ns=now_ns - 3600 * NS)
            mesh.serve(PRICES_PROTOCOL, partial(serve_proofs, [*served, old]))
            await mesh.listen()
            bob = await world.start("bob")
            await mesh.connect(bob.addr)
            await trio.sleep(1)
        (caught_up,) = bob.observed(facts.CaughtUp)
        assert (caught_up.applied, caught_up.refused) == (1, 2)
        async with eavesdropper(world, bob) as mallory:
            # An epoch older than the snapshot's: a snapshot raises no mark, however old or new.
            update = said(by=MALLORY, epoch=1, issued_ns=world.clock.now_ns())
            assert mallory.say(bob, update) is None
            await trio.sleep(1)
        async with asker(world, bob) as (client, peer):
            prices = await ask.prices(client, peer)
        assert {asset: answer.price for asset, answer in prices.items()} == {
            "BTC-USD": "100",
            "ETH-USD": "5",
        }
        assert (prices["ETH-USD"].age_s or 0) >= 3600


async def serve_proofs(envelopes: Sequence[Envelope], stream: Stream) -> None:
    frames = Frames(stream, REQUEST_BYTES_MAX)
    await frames.receive()
    await frames.send(ProofsHeader(len(envelopes), None).to_bytes())
    for envelope in envelopes:
        await frames.send(envelope.raw)


# --- strangers ------------------------------------------------------------------------------

STRANGERS = 1_000
GROWTH_BYTES_MAX = 64 * 1024 * 1024


def strangers() -> list[SigningKey]:
    return [SigningKey(number.to_bytes(32, "big")) for number in range(STRANGERS)]


async def test_a_thousand_strangers_have_no_influence_where_there_is_an_allowlist(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        bob = await world.start("bob", allow=[id_of(SigningKey(b"b" * 32))])
        async with eavesdropper(world, bob) as mallory:
            now_ns = world.clock.now_ns()
            for who in strangers():
                for envelope in (
                    said(by=who, issued_ns=now_ns),
                    said(by=who, payload=presence(), issued_ns=now_ns),
                ):
                    assert mallory.say(bob, envelope) == "not_allowed"
            await trio.sleep(PUT_ASIDE_S)  # he has spoken by now
            async with asker(world, bob) as (mesh, peer):
                status = await ask.status(mesh, peer)
                assert await ask.prices(mesh, peer) == {}
            await trio.sleep(PUT_ASIDE_S)
        assert status["known_providers"] == ()
        assert status["total_network_size"] == 1
        assert {peer_id(mark.author) for mark in (await bob.store.load()).marks} == {bob.peer_id}


async def test_a_thousand_strangers_take_little_room_where_there_is_none(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        bob = await world.start("bob")
        async with eavesdropper(world, bob) as mallory:
            now_ns = world.clock.now_ns()
            quotes = tuple(quote(f"A{number}-USD") for number in range(20))
            tracemalloc.start()
            try:
                for who in strangers():
                    assert mallory.say(bob, said(*quotes, by=who, issued_ns=now_ns)) is None
                    await trio.sleep(0.001)
                await trio.sleep(1)
                grown_bytes, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert grown_bytes <= GROWTH_BYTES_MAX
        held = await bob.store.load()
        assert len({stored.author for stored in held.latest}) == AUTHORS_OPEN_MAX
        async with asker(world, bob) as (mesh, peer):
            status = await ask.status(mesh, peer, ["warnings", "known_providers", "truncated"])
        assert "OPEN_NETWORK" in {warning.code for warning in status["warnings"]}


async def test_who_says_too_much_is_held_to_its_budget_where_anybody_may_speak(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        mallory_id = id_of(MALLORY)
        bob = await world.start("bob")
        carol = await world.start("carol", allow=[mallory_id])
        async with eavesdropper(world, bob) as mallory:
            await mallory.mesh.connect(carol.addr)
            now_ns = world.clock.now_ns()
            quotes = tuple(quote(f"A{number}-USD") for number in range(1000))
            updates = [said(*quotes, by=MALLORY, seq=n, issued_ns=now_ns) for n in range(1, 60)]
            assert {mallory.say(bob, update) for update in updates} == {None, "over_budget"}
            assert {mallory.say(carol, update) for update in updates} == {None}


async def test_the_marks_on_disk_are_those_in_memory(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strangers come and go; a node that is killed on the way begins with what fits."""
    monkeypatch.setattr("meshnode.node.Names", partial(Names, authors_max=10))
    async with open_world() as world:
        bob = await world.start("bob")
        async with eavesdropper(world, bob) as mallory:
            for who in strangers()[:60]:
                now_ns = world.clock.now_ns()
                mallory.say(bob, said(by=who, payload=presence(), issued_ns=now_ns))
                await trio.sleep(20)
            authors = {mark.author for mark in (await bob.store.load()).marks}
            assert len(authors) <= 11  # bob's own is never forgotten
        await world.stop(bob)
        monkeypatch.setattr("meshnode.node.Names", partial(Names, authors_max=4))
        bob = await world.start("bob")
        await trio.sleep(1)
        assert len({mark.author for mark in (await bob.store.load()).marks}) <= 5


# --- equivocation ---------------------------------------------------------------------------


async def test_an_equivocation_is_told_and_shown(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob = await world.start("bob")
        async with eavesdropper(world, bob) as mallory:
            now_ns = world.clock.now_ns()
            assert mallory.say(bob, said(by=MALLORY, issued_ns=now_ns)) is None
            await trio.sleep(1)
            assert not bob.observed(facts.Equivocation)
            other = said(quote(price="9"), by=MALLORY, issued_ns=now_ns)
            assert mallory.say(bob, other) == "equivocation"
            assert mallory.say(bob, other) == "equivocation"
            await trio.sleep(2)
        name = other.message.name
        assert bob.observed(facts.Equivocation) == [
            facts.Equivocation(id_of(MALLORY), "prices", name.epoch, name.seq)
        ]
        async with asker(world, bob) as (mesh, peer):
            status = await ask.status(mesh, peer, ["warnings"])
        warnings = {warning.code: warning.message for warning in status["warnings"]}
        assert id_of(MALLORY) in warnings["EQUIVOCATION"]
        assert await prices_of(world, bob) == {"BTC-USD": "100"}
