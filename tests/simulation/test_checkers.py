"""The checkers, on worlds that break what they watch."""

from dataclasses import replace

import pytest
import trio
from nacl.signing import SigningKey
from trio.testing import MockClock

from meshnode.core.facts import OutageExtended
from meshnode.core.records import Batch
from protocols.envelope import seal
from protocols.ids import Topic
from protocols.messages import Message, Presence, PresenceUpdate, PriceUpdate, Role
from simulations.checkers.court import Court
from simulations.checkers.disks import CATCHING_UP_S
from simulations.checkers.outages import Outages
from simulations.clock import START_NS
from simulations.faults import Faults
from simulations.links import Links
from simulations.world import open_world
from tests.cast import quote
from tests.simulation.trial import NS_PER_S, hear, on_trial, said_by, saw


async def test_a_world_in_order_is_found_in_order(autojump_clock: MockClock) -> None:
    async with on_trial() as (world, jury):
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "7"})
        await world.start("bob", connect=[alice])
        await trio.sleep(60)
        jury.finish()
        assert saw(jury) == []


async def test_a_forged_message_that_is_accepted_is_seen(autojump_clock: MockClock) -> None:
    async with on_trial() as (world, jury), world.nodes("alice", "bob") as (alice, bob):
        forged = said_by(alice, 1)
        forged = replace(forged, raw=forged.raw[:-1] + bytes([forged.raw[-1] ^ 1]))
        hear(jury, bob, forged)
    assert saw(jury) == ["accepted a message without a valid signature"]


async def test_what_nobody_can_read_is_seen(autojump_clock: MockClock) -> None:
    async with on_trial() as (world, jury), world.nodes("alice", "bob") as (alice, bob):
        envelope = said_by(alice, 1)
        assert envelope.raw[0] == 0x92  # a pair, and again one, written with a longer length
        hear(jury, bob, replace(envelope, raw=b"\xdc\x00\x02" + envelope.raw[1:]))
    assert saw(jury) == ["accepted what cannot be read"]


async def test_an_author_who_is_not_on_the_allowlist_is_seen(autojump_clock: MockClock) -> None:
    async with on_trial() as (world, jury), world.nodes("alice", "carol") as (alice, carol):
        bob = await world.start("bob", connect=[alice], allow=[alice.peer_id])
        hear(jury, bob, said_by(alice, 1))
        hear(jury, bob, said_by(carol, 1))
    assert saw(jury) == ["accepted a message of an author not on its allowlist"]


async def test_a_message_that_another_sent_is_seen(autojump_clock: MockClock) -> None:
    """Of its author's own gossip nothing is told."""
    async with on_trial() as (world, jury):
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "7"})
        bob = await world.start("bob", connect=[alice])
        await trio.sleep(10)
        assert saw(jury) == []
        for witness in jury.witnesses():
            witness.misattributed(bob, said_by(alice, 1))
    assert saw(jury) == [
        f"accepted {(START_NS // NS_PER_S, 1)} from a sender who is not its author"
    ]


@pytest.mark.parametrize(("age_s", "seen"), [(-9, 0), (59, 0), (-11, 1), (61, 1)])
async def test_a_message_out_of_time_is_seen(
    autojump_clock: MockClock, age_s: int, seen: int
) -> None:
    async with on_trial() as (world, jury), world.nodes("alice", "bob") as (alice, bob):
        hear(jury, bob, said_by(alice, 1, age_s=age_s))
    assert len(saw(jury)) == seen


async def test_a_name_applied_twice_is_seen_after_a_restart_as_well(
    autojump_clock: MockClock,
) -> None:
    async with on_trial() as (world, jury):
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "7"})
        bob = await world.start("bob", connect=[alice])
        await trio.sleep(5)
        author, (epoch, seq) = alice.key, bob.store.mark_of(alice.key, Topic.PRICES)
        assert seq > 0
        await world.kill(bob)
        await world.start_as(bob)
        now_ns = world.clock.now_ns()
        again = Message("main", author, epoch, seq, now_ns, PriceUpdate((quote(),)))
        hear(jury, bob, seal(again, SigningKey(alice.seed)))
    assert f"accepted price update ({epoch}, {seq}) twice" in saw(jury)


async def test_presence_out_of_order_is_seen(autojump_clock: MockClock) -> None:
    async with on_trial() as (world, jury), world.nodes("alice", "bob") as (alice, bob):
        told = PresenceUpdate(Role.CONSUMER, Presence.ACTIVE, 60_000, 60_000, (), "x", 0)
        for seq in (102, 101):
            message = Message("main", alice.key, 1 << 31, seq, world.clock.now_ns(), told)
            hear(jury, bob, seal(message, SigningKey(alice.seed)))
    assert saw(jury) == [f"accepted presence ({1 << 31}, 101) again, or out of order"]


async def test_an_update_that_never_comes_is_seen(autojump_clock: MockClock) -> None:
    async with on_trial() as (world, jury):
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "7"})
        await world.start("bob", connect=[alice])
        await trio.sleep(40)
        world.network.muted.add(alice.peer_id)
        alice.source.set({"BTC-USD": "8"})
        await trio.sleep(40)
        jury.finish()
    found = saw(jury)
    assert any("never came" in one for one in found)
    assert any("holds BTC-USD of alice of" in one for one in found)


async def test_an_update_that_comes_late_is_not_lost(autojump_clock: MockClock) -> None:
    """The first one takes the long way, the second overtakes it."""
    slow: set[frozenset[str]] = set()
    links = Links(lambda one, other: 2.0 if frozenset((one, other)) in slow else 0.01)
    async with on_trial(links) as (world, jury):
        bob = await world.start("bob")
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "7"}, connect=[bob])
        carol = world.node("carol")
        world.network.cut_link(alice.peer_id, carol.peer_id)
        await world.start("carol", connect=[bob])
        await trio.sleep(50)
        slow.add(frozenset((bob.peer_id, carol.peer_id)))
        alice.source.set({"BTC-USD": "8"})
        await trio.sleep(0.3)
        world.network.mend_link(alice.peer_id, carol.peer_id)
        assert alice.mesh is not None
        await alice.mesh.connect(carol.addr)
        alice.source.set({"BTC-USD": "9", "ETH-USD": "1"})
        await trio.sleep(60)
        jury.finish()
        assert saw(jury) == []
        assert jury.delivery.delivered == jury.delivery.expected >= 4


async def test_a_price_that_was_never_said_is_seen(autojump_clock: MockClock) -> None:
    async with on_trial() as (world, jury):
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "7"})
        bob = await world.start("bob", connect=[alice])
        await trio.sleep(20)
        (held,) = bob.store.latest()
        await bob.store.commit(Batch(latest=[held._replace(row=quote(price="9000"))]))
        jury.finish()
    assert saw(jury) == ["holds BTC-USD of alice at a price that was never said"]


async def test_what_is_never_written_or_written_twice_is_seen(autojump_clock: MockClock) -> None:
    async with on_trial() as (world, jury):
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "7"})
        bob = await world.start("bob", connect=[alice])
        await trio.sleep(CATCHING_UP_S + 10)  # what bob was told when he joined may come again
        (tick,) = await bob.store.history("BTC-USD", 1)
        await bob.store.commit(Batch(ticks=[tick]))
        bob.store.fill_up()
        alice.source.set({"BTC-USD": "8"})
        await trio.sleep(15)
    found = saw(jury)
    assert any("twice" in one for one in found)
    assert any("is not on disk yet" in one for one in found)


async def test_a_false_alarm_is_seen(autojump_clock: MockClock) -> None:
    async with on_trial() as (world, jury):
        alice = await world.start("alice", role="provider", prices={"BTC-USD": "7"})
        bob = await world.start("bob", connect=[alice])
        await trio.sleep(610)
        bob.observe(OutageExtended(0, 600.0))
    (seen,) = saw(jury)
    assert "raised the flag after" in seen


async def test_a_flag_that_is_missing_or_stays_is_seen(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        court = Court()
        outages = Outages(world, Faults(), court)
        bob = await world.start("bob")
        outages.started(bob)
        await trio.sleep(604)
        outages.tick()
        assert court.violations == []
        await trio.sleep(2)
        outages.tick()
        assert [v.saw for v in court.violations] == ["no flag after 606.0 s of silence"]
        outages.observed(bob, OutageExtended(0, 606.0))
        outages.accepted(bob, said_by(world.node("alice"), 1))
        for _ in range(11):
            await trio.sleep(1)
            outages.tick()
        assert [v.saw for v in court.violations[1:]] == ["the flag is up 11.0 s after a return"]
