"""Whoever answers Bob's pings shows that he is not cut off, if it is a node."""

from trio.testing import MockClock

from meshnode.core.facts import IsolationEnded, IsolationStarted
from meshnode.core.isolation import ISOLATED_AFTER_S
from meshnode.services.pings import PING_EVERY_S
from protocols.messages import Role
from tests.cast import ALICE, presence, said
from tests.services.bench import client, open_bench
from tests.services.test_connections import connecting, node
from tests.services.test_topology import looking, neighbour
from tests.services.test_tracker import sweep_for


async def test_a_node_that_was_never_heard_shows_that_we_are_in_touch(
    autojump_clock: MockClock,
) -> None:
    """Where a thousand consumers share their turns, most neighbours have yet to speak."""
    async with open_bench() as bob, connecting(bob), looking(bob), neighbour(bob, ALICE):
        await sweep_for(bob, 60)
        assert bob.witness.of(IsolationStarted) == []


async def test_a_node_that_was_heard_shows_it_before_it_is_asked(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob, connecting(bob), node(bob, ALICE) as alice:
        heard = presence(Role.CONSUMER, interval_s=3600)
        bob.hears(said(by=ALICE, issued_ns=bob.clock.now_ns(), payload=heard))
        await sweep_for(bob, int(ISOLATED_AFTER_S) + 1)
        assert len(bob.witness.of(IsolationStarted)) == 1
        await alice.connect(bob.mesh.addrs()[0])
        await sweep_for(bob, int(PING_EVERY_S))
        assert len(bob.witness.of(IsolationEnded)) == 1


async def test_who_only_asks_does_not_show_that_we_are_in_touch(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob, connecting(bob), looking(bob), client(bob):
        await sweep_for(bob, int(ISOLATED_AFTER_S) + 1)
        assert len(bob.witness.of(IsolationStarted)) == 1
        await sweep_for(bob, 60)
        assert bob.witness.of(IsolationEnded) == []
