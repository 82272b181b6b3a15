"""Bob keeps his connections: seeds for ever, peers as long as they answer."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
import trio
from nacl.signing import SigningKey
from trio.testing import MockClock

from meshnode.core.address_book import RETRY, RETRY_WHILE_FEW_S, Origin
from meshnode.core.facts import DialFailed, PeerJoined, PeerLost, ProviderSuspected
from meshnode.core.link_table import LINKS_MAX
from meshnode.core.links import LinkState
from meshnode.ports import PING_TIMEOUT_S
from meshnode.services.beat import Beat
from meshnode.services.connections import PEERS_MIN, Connections
from meshnode.services.pings import PING_EVERY_S, PINGS_MISSED_MAX
from meshnode.services.presence import MET_EVERY_S
from protocols.ids import key_from_peer_id
from simulations.clock import START_NS
from simulations.model_mesh import ModelMesh, open_model_mesh
from tests.cast import ALICE, CAROL, id_of, presence, said
from tests.services.bench import DELAY_S, Bench, client, open_bench

NOWHERE = "/ip4/192.0.2.1/tcp/4001/p2p/"


def make_connections(bench: Bench, *seeds: str) -> Connections:
    return Connections(
        bench.mesh,
        seeds,
        bench.addresses,
        bench.presence,
        bench.topology,
        bench.catch_up,
        bench.witness,
        bench.clock,
        random.Random(1),
    )


@asynccontextmanager
async def connecting(bench: Bench, *seeds: str) -> AsyncIterator[Connections]:
    connections = make_connections(bench, *seeds)
    beat = Beat([connections.look], bench.presence.paused, random.Random(1))
    async with trio.open_nursery() as nursery:
        await nursery.start(beat.run)
        await nursery.start(connections.run)
        yield connections
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def node(bench: Bench, who: SigningKey) -> AsyncIterator[ModelMesh]:
    """Somebody who listens."""
    async with open_model_mesh(
        bench.network, key_seed=bytes(who), judge=None, observer=bench.witness
    ) as mesh:
        await mesh.listen()
        yield mesh


def connected(bench: Bench) -> set[str]:
    return {peer.peer_id for peer in bench.mesh.peers()}


def failures(bench: Bench) -> list[DialFailed]:
    return [fact for fact in bench.witness.facts if isinstance(fact, DialFailed)]


async def test_a_seed_is_dialled_and_joins(autojump_clock: MockClock) -> None:
    async with (
        open_bench() as bob,
        node(bob, ALICE) as alice,
        connecting(bob, *alice.addrs()) as connections,
    ):
        await trio.sleep(1)
        assert connected(bob) == {alice.peer_id}
        assert bob.witness.of(PeerJoined) == [PeerJoined(alice.peer_id)]
        (link,) = connections.links()
        assert (link.kind, link.name, link.state) == ("peer", alice.peer_id, LinkState.CONNECTED)
        assert link.attempts == 0
        assert link.last_success_ns is not None


async def test_a_seed_that_is_not_there_is_dialled_for_ever_every_five_seconds_at_most(
    autojump_clock: MockClock,
) -> None:
    addr = NOWHERE + id_of(ALICE)
    async with open_bench() as bob, connecting(bob, addr) as connections:
        await trio.sleep(3600)
        found = failures(bob)
        assert [fact.attempt for fact in found] == list(range(1, len(found) + 1))
        assert len(found) > 3600 / (RETRY_WHILE_FEW_S + 1)
        assert max(fact.retry_in_s for fact in found) <= RETRY_WHILE_FEW_S
        assert len({fact.retry_in_s for fact in found}) > 1
        assert {fact.addr for fact in found} == {addr}
        (link,) = connections.links()
        assert link.state is LinkState.ERROR
        assert link.attempts == len(found)
        assert link.last_error is not None
        assert "refuses connections" in link.last_error


async def test_with_peers_enough_a_lost_seed_is_dialled_more_and_more_seldom(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob, trio.open_nursery() as nursery:
        for number in range(PEERS_MIN):
            nursery.start_soon(stay, bob, number + 1)
        await trio.sleep(1)
        async with connecting(bob, NOWHERE + id_of(ALICE)):
            await trio.sleep(1200)
        delays = [fact.retry_in_s for fact in failures(bob)]
        assert delays[:3] == pytest.approx([2, 4, 8], rel=RETRY.jitter)
        assert RETRY.cap_s * (1 - RETRY.jitter) <= min(delays[6:])
        assert max(delays) <= RETRY.cap_s
        nursery.cancel_scope.cancel()


async def test_who_misses_a_provider_soon_dials_a_lost_seed_again(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob, trio.open_nursery() as nursery:
        for number in range(PEERS_MIN):
            nursery.start_soon(stay, bob, number + 1)
        await trio.sleep(1)
        lose(bob, CAROL)
        async with connecting(bob, NOWHERE + id_of(ALICE)):
            await trio.sleep(1200)
        delays = [fact.retry_in_s for fact in failures(bob)]
        assert len(delays) > 100
        assert max(delays) <= RETRY_WHILE_FEW_S
        nursery.cancel_scope.cancel()


async def test_who_comes_while_a_provider_is_missed_is_told(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, node(bob, ALICE) as alice, connecting(bob):
        told = 0

        async def hear() -> None:
            nonlocal told
            while True:
                await bob.presence.wait_back_in_touch()
                told += 1

        async def come(*places: str) -> int:
            bob.addresses.told(alice.peer_id, places, Origin.AUTHOR)
            await alice.connect(bob.mesh.addrs()[0])
            await trio.sleep(1)
            await alice.disconnect(bob.mesh.peer_id)
            await trio.sleep(1)
            return told

        async with trio.open_nursery() as nursery:
            nursery.start_soon(hear)
            place = NOWHERE.removesuffix("/p2p/")
            assert await come(place) == 0  # nobody is missed
            lose(bob, CAROL)
            assert await come(place) == 1
            assert await come(place) == 1
            await trio.sleep(MET_EVERY_S)
            assert await come(place) == 2
            await trio.sleep(MET_EVERY_S)
            bob.addresses.forget(alice.peer_id)
            assert await come() == 2  # one who only asks
            nursery.cancel_scope.cancel()


def lose(bench: Bench, who: SigningKey) -> None:
    """A provider is heard, and gone without a farewell."""
    bench.hears(said(by=who, issued_ns=bench.clock.now_ns(), payload=presence()))
    bench.presence.connection_lost(id_of(who))
    bench.presence.dial_refused(id_of(who))
    bench.presence.nobody_to_ask(id_of(who))


async def stay(bench: Bench, number: int) -> None:
    async with client(bench, number) as (mesh, _):
        bench.presence.heard(key_from_peer_id(mesh.peer_id), presence(), START_NS)
        await trio.sleep_forever()


async def test_one_s_own_address_among_the_seeds_is_skipped(autojump_clock: MockClock) -> None:
    async with (
        open_bench() as bob,
        node(bob, ALICE) as alice,
        connecting(bob, *bob.mesh.addrs(), *alice.addrs()) as connections,
    ):
        await trio.sleep(60)
        assert connected(bob) == {alice.peer_id}
        assert not failures(bob)
        assert [link.name for link in connections.links()] == [alice.peer_id]


async def test_a_seed_that_went_is_dialled_again(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, node(bob, ALICE) as alice:
        bob.hears(said(payload=presence()))
        async with connecting(bob, *alice.addrs()):
            await trio.sleep(100)
            bob.network.cut_link(bob.mesh.peer_id, alice.peer_id)
            await trio.sleep(30)
            assert connected(bob) == set()
            assert bob.witness.of(PeerLost) == [PeerLost(alice.peer_id)]
            assert len(bob.witness.of(ProviderSuspected)) == 1  # presence was told
            bob.network.mend_link(bob.mesh.peer_id, alice.peer_id)
            await trio.sleep(RETRY_WHILE_FEW_S + 0.1)
            assert connected(bob) == {alice.peer_id}
            assert len(bob.witness.of(PeerJoined)) == 2


@pytest.mark.parametrize("lasts_s", [0.0, 0.1])
async def test_who_comes_and_breaks_off_is_suspected_however_soon(
    autojump_clock: MockClock, lasts_s: float
) -> None:
    async with open_bench() as bob, node(bob, ALICE) as alice, connecting(bob):
        bob.hears(said(payload=presence()))
        await alice.connect(bob.mesh.addrs()[0])
        await trio.sleep(lasts_s)
        await alice.disconnect(bob.mesh.peer_id)
        await trio.sleep(1)
        assert connected(bob) == set()
        assert len(bob.witness.of(ProviderSuspected)) == 1


async def test_a_seed_that_hangs_up_at_once_is_not_dialled_without_a_pause(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob, node(bob, ALICE) as alice, trio.open_nursery() as nursery:
        joined: list[float] = []

        async def hang_up() -> None:
            while True:
                await alice.next_connection_event()
                joined.append(trio.current_time())
                alice.drop(bob.mesh.peer_id)
                await alice.next_connection_event()

        nursery.start_soon(hang_up)
        async with connecting(bob, *alice.addrs()):
            await trio.sleep(60)
        nursery.cancel_scope.cancel()
    assert 10 <= len(joined) <= 30
    # The seed's keeper and the discovery of peers dial each on its own, one a second in all.
    assert min(later - earlier for earlier, later in pairwise(joined)) >= 0.9


async def test_a_peer_is_pinged_and_one_that_does_not_answer_is_dropped(
    autojump_clock: MockClock,
) -> None:
    async with (
        open_bench() as bob,
        client(bob, 1) as (alice, _),
        client(bob, 2) as (carol, _),
        connecting(bob),
    ):
        await trio.sleep(1)
        assert {peer.rtt_ms for peer in bob.mesh.peers()} == {round(2000 * DELAY_S)}  # at once
        await trio.sleep(60)
        assert connected(bob) == {alice.peer_id, carol.peer_id}
        bob.network.frozen.add(carol.peer_id)
        await trio.sleep(PINGS_MISSED_MAX * PING_TIMEOUT_S - 1)
        assert carol.peer_id in connected(bob)
        await trio.sleep(PING_EVERY_S + 2)
        assert connected(bob) == {alice.peer_id}
        assert bob.witness.of(PeerLost) == [PeerLost(carol.peer_id)]


async def test_a_dropped_peer_that_thaws_is_pinged_anew(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, node(bob, ALICE) as alice, connecting(bob, *alice.addrs()):
        await trio.sleep(5)
        for _ in range(2):
            bob.network.frozen.add(alice.peer_id)
            bob.network.cut.add(frozenset((bob.mesh.peer_id, alice.peer_id)))
            await trio.sleep(PING_EVERY_S + PINGS_MISSED_MAX * PING_TIMEOUT_S + 1)
            assert connected(bob) == set()
            bob.network.frozen.clear()
            bob.network.cut.clear()
            await trio.sleep(RETRY_WHILE_FEW_S + 1)
            assert connected(bob) == {alice.peer_id}
        await trio.sleep(100)
        assert connected(bob) == {alice.peer_id}


async def test_whoever_still_looks_while_the_tasks_end_begins_none(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob, node(bob, ALICE) as alice, trio.open_nursery() as tasks:
        for number in range(20):
            bob.addresses.told(
                id_of(SigningKey(bytes([100 + number]) * 32)),
                ["/ip4/10.0.0.9/tcp/4201"],
                Origin.AUTHOR,
            )
        connections = make_connections(bob)
        await tasks.start(connections.run)
        await tasks.start(bob.topology.run)
        await alice.connect(bob.mesh.addrs()[0])
        await trio.sleep(1)
        bob.network.frozen.add(alice.peer_id)
        tasks.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            for _ in range(20):
                connections.look()
                bob.topology.look()
                await trio.lowlevel.checkpoint()
            await trio.sleep(PINGS_MISSED_MAX * PING_TIMEOUT_S + PING_EVERY_S)
    assert not bob.witness.of(PeerLost)


async def test_who_connects_is_asked_for_what_it_holds(autojump_clock: MockClock) -> None:
    offered: list[str] = []
    missed: list[float] = []
    async with open_bench() as bob:
        bob.catch_up.offer = offered.append  # type: ignore[method-assign,assignment]
        bob.catch_up.missed = lambda: missed.append(trio.current_time())  # type: ignore[method-assign]
        async with connecting(bob):
            async with client(bob, 1) as (alice, _), client(bob, 2) as (carol, _):
                await trio.sleep(1)
                assert offered == [alice.peer_id, carol.peer_id]
                await carol.disconnect(bob.mesh.peer_id)
                await trio.sleep(1)
                assert missed == []  # one is left
            await trio.sleep(1)
            assert len(missed) == 1


async def test_askers_are_no_links_and_records_are_bounded(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, connecting(bob, NOWHERE + id_of(CAROL)) as connections:
        for number in range(LINKS_MAX + 10):
            async with client(bob, number + 1) as (mesh, _):
                key, now_ns = key_from_peer_id(mesh.peer_id), bob.clock.now_ns()
                bob.presence.heard(key, presence(), now_ns)
                await trio.sleep(0.01)
        async with client(bob, 1000):
            await trio.sleep(10)
            names = {link.name for link in connections.links()}
            assert len(names) == LINKS_MAX - 1  # all but the asker's
            assert id_of(CAROL) in names
