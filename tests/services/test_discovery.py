"""Bob dials whom he heard of, under rules that nobody can talk him out of."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
import trio
from nacl.signing import SigningKey
from trio.testing import MockClock

from meshnode.core.address_book import (
    RETRY_WHILE_BLIND_S,
    RETRY_WHILE_FEW_S,
    Address,
    Origin,
    retry_while_missing_s,
)
from meshnode.core.facts import PeerLost, ProviderSuspected
from meshnode.errors import DialRefused, PeerUnreachable
from meshnode.services.beat import QUIET_BEAT_S
from meshnode.services.connections import (
    GLANCE_S,
    LOOK_BACK_S,
    PEERS_AIM,
    PLACES_FOR_FRIENDS,
    TRIM_EVERY_S,
    VISIT_S,
    Connections,
)
from meshnode.services.discovery import DIAL_EVERY_S
from protocols.ids import key_from_peer_id
from protocols.messages import PresenceUpdate, Role
from simulations.clock import START_NS
from simulations.model_mesh import ModelMesh
from tests.cast import ALICE, CAROL, MALLORY, id_of, presence, said
from tests.services.bench import Bench, client, open_bench
from tests.services.test_connections import connected, connecting, lose, node

POISON = (
    "/ip4/0.0.0.0/tcp/22",
    "/ip4/169.254.169.254/tcp/80",
    "/ip4/224.0.0.251/tcp/5353",
    "/dns4/victim.example/tcp/443",
    "/ip4/192.168.1.1/tcp/80",
    "/ip6/fe80::1/tcp/22",
    "/unix/var/run/docker.sock",
)


def someone(number: int) -> str:
    return id_of(SigningKey(number.to_bytes(32, "big")))


@asynccontextmanager
async def every_dial(bench: Bench) -> AsyncIterator[list[tuple[float, str]]]:
    """What the mesh is asked to dial, and when."""
    dials: list[tuple[float, str]] = []
    connect = bench.mesh.connect

    async def noted(addr: str) -> str:
        dials.append((trio.current_time(), addr))
        return await connect(addr)

    bench.mesh.connect = noted  # type: ignore[method-assign]
    yield dials


async def test_nodes_that_were_heard_of_are_dialled_until_there_are_enough(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob, trio.open_nursery() as nursery:
        for number in range(PEERS_AIM + 3):
            nursery.start_soon(listen_and_tell, bob, number + 10)
        await trio.sleep(0.1)
        async with connecting(bob), every_dial(bob) as dials:
            await trio.sleep(PEERS_AIM * DIAL_EVERY_S + 1)
            assert len(connected(bob)) == PEERS_AIM
            await trio.sleep(60)
            assert len(dials) == PEERS_AIM
        nursery.cancel_scope.cancel()


async def listen_and_tell(bench: Bench, number: int) -> None:
    async with node(bench, SigningKey(number.to_bytes(32, "big"))) as mesh:
        bench.addresses.told(mesh.peer_id, mesh.addrs(), Origin.AUTHOR)
        bench.presence.heard(key_from_peer_id(mesh.peer_id), presence(), START_NS)
        await trio.sleep_forever()


async def test_who_misses_a_provider_looks_for_nodes_that_it_does_not_hear(
    autojump_clock: MockClock,
) -> None:
    async with (
        open_bench() as bob,
        node(bob, ALICE),
        node(bob, CAROL) as carol,
        trio.open_nursery() as nursery,
    ):
        for number in range(PEERS_AIM + 2):
            nursery.start_soon(listen_and_tell, bob, number + 10)
        bob.addresses.told(carol.peer_id, carol.addrs(), Origin.AUTHOR)
        await trio.sleep(0.1)
        async with connecting(bob), every_dial(bob) as dials:
            bob.network.cut_link(bob.mesh.peer_id, carol.peer_id)
            await trio.sleep(30)
            before = len(dials)
            # Alice provides, and is lost: she may be with carol, where we cannot hear them.
            lose(bob, ALICE)
            assert bob.providers.misses_any(trio.current_time())
            bob.network.mend_link(bob.mesh.peer_id, carol.peer_id)
            await trio.sleep(RETRY_WHILE_BLIND_S + DIAL_EVERY_S + 1)
            assert carol.peer_id in connected(bob)
            assert {addr.rpartition("/")[2] for _, addr in dials[before:]} == {carol.peer_id}
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("heard", "wait_s"), [(4, RETRY_WHILE_FEW_S), (60, 45.0)])
async def test_who_misses_a_provider_soon_tries_again_whom_it_knew_and_many_take_turns(
    autojump_clock: MockClock, heard: int, wait_s: float
) -> None:
    assert retry_while_missing_s(heard) == wait_s
    async with (
        open_bench() as bob,
        node(bob, ALICE),
        node(bob, CAROL) as carol,
        trio.open_nursery() as nursery,
    ):
        for number in range(min(heard, PEERS_AIM + 2)):
            nursery.start_soon(listen_and_tell, bob, number + 10)
        for number in range(PEERS_AIM + 2, heard):
            bob.presence.heard(
                bytes(SigningKey((number + 10).to_bytes(32, "big")).verify_key),
                presence(Role.CONSUMER),
                bob.clock.now_ns(),
            )
        await trio.sleep(0.1)
        async with connecting(bob) as connections, every_dial(bob) as dials:
            bob.addresses.told(carol.peer_id, carol.addrs(), Origin.AUTHOR)
            await connections.redial(carol.peer_id)
            await trio.sleep(1)
            bob.network.cut_link(bob.mesh.peer_id, carol.peer_id)
            lose(bob, ALICE)
            await trio.sleep(300)
            of_carol = [at for at, addr in dials if addr.endswith(carol.peer_id)][-3:]
            assert [later - earlier for earlier, later in pairwise(of_carol)] == pytest.approx(
                [wait_s] * 2, abs=QUIET_BEAT_S
            )
        nursery.cancel_scope.cancel()


async def test_a_lost_peer_is_replaced(autojump_clock: MockClock) -> None:
    async with (
        open_bench() as bob,
        node(bob, ALICE) as alice,
        node(bob, CAROL) as carol,
        connecting(bob),
    ):
        bob.addresses.told(alice.peer_id, alice.addrs(), Origin.AUTHOR)
        await trio.sleep(3)
        alice.close()
        bob.addresses.told(carol.peer_id, carol.addrs(), Origin.AUTHOR)
        await trio.sleep(3)
        assert connected(bob) == {carol.peer_id}


async def test_poisoned_addresses_are_never_dialled_and_no_place_more_than_once_a_second(
    autojump_clock: MockClock,
) -> None:
    victims = [f"/ip4/127.0.0.1/tcp/{number}" for number in (9001, 9002)]
    async with open_bench() as bob, connecting(bob), every_dial(bob) as dials:
        for second in range(600):
            for one in range(3):
                liar = SigningKey((3 * second + one + 1).to_bytes(32, "big"))
                addrs = (POISON[second % len(POISON)], victims[second % 2], bob.mesh.addrs()[0])
                update = PresenceUpdate(
                    Role.CONSUMER, presence().state, 60_000, 60_000, addrs, "liar/1", 0
                )
                bob.remember.heard(bytes(liar.verify_key), update, START_NS)
                # The same as another node's hearsay.
                bob.addresses.told(id_of(ALICE), [*POISON, *victims], Origin.HEARSAY)
            await trio.sleep(1)
    assert {addr.rpartition("/p2p/")[0] for _, addr in dials} <= set(victims)
    times = [at for at, _ in dials]
    assert len(times) >= 500
    assert min(later - earlier for earlier, later in pairwise(times)) >= DIAL_EVERY_S - 1e-6
    by_place: dict[str, list[float]] = {}
    for at, addr in dials:
        by_place.setdefault(addr.rpartition("/p2p/")[0], []).append(at)
    gaps = [b - a for at in by_place.values() for a, b in pairwise(at)]
    assert min(gaps) >= 1.0 - 1e-6
    assert bob.status.reply(["refused"])["refused"]["addr_name"] > 0


async def test_a_seed_s_place_under_other_names_is_not_dialled_more_often(
    autojump_clock: MockClock,
) -> None:
    place = "/ip4/127.0.0.1/tcp/9001"
    async with open_bench() as bob, every_dial(bob) as dials:
        for number in range(20):
            bob.addresses.told(someone(number + 10), [place], Origin.AUTHOR)
        async with connecting(bob, f"{place}/p2p/{id_of(ALICE)}", f"{place}/p2p/{id_of(CAROL)}"):
            await trio.sleep(120)
    assert len({addr for _, addr in dials}) > 3
    assert min(b - a for (a, _), (b, _) in pairwise(dials)) >= 1.0 - 1e-6


async def test_an_address_that_never_answers_is_forgotten_once_others_do(
    autojump_clock: MockClock,
) -> None:
    dead = Address(id_of(MALLORY), "/ip4/127.0.0.1/tcp/9001")
    async with open_bench() as bob, node(bob, ALICE) as alice, connecting(bob):
        bob.addresses.told(dead.peer_id, [dead.place], Origin.AUTHOR)
        await trio.sleep(600)
        assert dead in bob.addresses  # alone, it may be our own fault
        bob.addresses.told(alice.peer_id, alice.addrs(), Origin.AUTHOR)
        await trio.sleep(10 * RETRY_WHILE_FEW_S)
        assert connected(bob) == {alice.peer_id}
        assert dead not in bob.addresses


async def test_a_suspect_is_dialled_where_it_said_it_is_and_hearsay_proves_nothing(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob, connecting(bob) as connections:
        with pytest.raises(PeerUnreachable, match="no address"):
            await connections.redial(id_of(ALICE))
        bob.addresses.told(id_of(ALICE), ["/ip4/127.0.0.1/tcp/9001"], Origin.HEARSAY)
        with pytest.raises(PeerUnreachable, match="no address"):
            await connections.redial(id_of(ALICE))
        bob.addresses.told(id_of(ALICE), ["/ip4/127.0.0.1/tcp/9002"], Origin.AUTHOR)
        with pytest.raises(DialRefused):
            await connections.redial(id_of(ALICE))


@asynccontextmanager
async def after_a_look() -> AsyncIterator[tuple[Bench, ModelMesh]]:
    """Bob, who has peers enough, has heard alice, and dialled her to see whether she is there."""
    async with (
        open_bench() as bob,
        node(bob, ALICE) as alice,
        connecting(bob) as connections,
        trio.open_nursery() as nursery,
    ):
        for number in range(PEERS_AIM):
            nursery.start_soon(visit, bob, number + 10)
        await trio.sleep(1)
        bob.hears(said(payload=presence()))
        bob.addresses.told(alice.peer_id, alice.addrs(), Origin.AUTHOR)
        await connections.redial(alice.peer_id)
        yield bob, alice
        nursery.cancel_scope.cancel()


async def test_with_peers_enough_a_suspect_that_answers_is_let_be(
    autojump_clock: MockClock,
) -> None:
    async with after_a_look() as (bob, alice):
        await trio.sleep(1)
        assert alice.peer_id not in connected(bob)
        assert PeerLost(alice.peer_id) in bob.witness.facts
        assert bob.witness.of(ProviderSuspected) == []


@pytest.mark.parametrize(
    ("later_s", "lasts_s", "answers", "suspected"),
    [
        (0.5, 0.0, True, 0),
        (0.5, GLANCE_S / 2, False, 0),  # far away
        (0.5, GLANCE_S / 2, True, 1),
        (0.5, GLANCE_S + 0.1, False, 1),
        (LOOK_BACK_S - 1, 0.0, True, 0),
        (LOOK_BACK_S, 0.0, True, 1),
    ],
)
async def test_who_looks_back_at_once_is_not_suspected_for_going(
    autojump_clock: MockClock, later_s: float, lasts_s: float, *, answers: bool, suspected: int
) -> None:
    async with after_a_look() as (bob, alice):
        await trio.sleep(later_s)
        bob.hears(said(seq=2, payload=presence()))
        await alice.connect(bob.mesh.addrs()[0])
        if not answers:
            bob.network.frozen.add(alice.peer_id)
        await trio.sleep(lasts_s)
        await alice.disconnect(bob.mesh.peer_id)
        await trio.sleep(0.1)
        assert alice.peer_id not in connected(bob)
        assert len(bob.witness.of(ProviderSuspected)) == suspected


async def visit(bench: Bench, number: int) -> None:
    async with client(bench, number) as (mesh, _):
        bench.presence.heard(key_from_peer_id(mesh.peer_id), presence(), START_NS)
        await trio.sleep_forever()


async def test_too_many_nodes_are_trimmed_after_a_visit_and_none_is_a_loss(
    autojump_clock: MockClock,
) -> None:
    peers_max = 20
    friends = int(PLACES_FOR_FRIENDS * peers_max)
    async with open_bench() as bob, trio.open_nursery() as nursery:
        async with few_places(bob, peers_max):
            for number in range(friends + 3):
                nursery.start_soon(visit, bob, number + 10)
            for number in range(3):
                nursery.start_soon(ask_only, bob, number + 100)
            await trio.sleep(VISIT_S - 0.5)
            assert len(connected(bob)) == friends + 6
            await trio.sleep(2 * TRIM_EVERY_S)
            assert len(connected(bob)) == friends + 3  # who only asks is no node, and stays
            assert bob.witness.of(ProviderSuspected) == []
        nursery.cancel_scope.cancel()


async def ask_only(bench: Bench, number: int) -> None:
    async with client(bench, number):
        await trio.sleep_forever()


@asynccontextmanager
async def few_places(bench: Bench, peers_max: int) -> AsyncIterator[None]:
    connections = Connections(
        bench.mesh,
        (),
        bench.addresses,
        bench.presence,
        bench.topology,
        bench.catch_up,
        bench.witness,
        bench.clock,
        random.Random(1),
        peers_max=peers_max,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(connections.run)
        yield
        nursery.cancel_scope.cancel()


async def test_the_same_chance_dials_in_the_same_order(autojump_clock: MockClock) -> None:
    orders = []
    for _ in range(2):
        async with open_bench() as bob, connecting(bob), every_dial(bob) as dials:
            for number in range(30):
                addr = f"/ip4/127.0.0.1/tcp/{9000 + number}"
                bob.addresses.told(someone(number + 10), [addr], Origin.AUTHOR)
            await trio.sleep(60)
            orders.append([addr for _, addr in dials])
    assert orders[0] == orders[1]
    assert len(Counter(orders[0])) == 30
