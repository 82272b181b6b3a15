"""Bob asks his neighbours what they know of the network."""

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import trio
from nacl.signing import SigningKey
from trio.testing import MockClock

from meshnode.core.facts import WrongNetwork
from meshnode.core.rounds import EXPIRY_ROUNDS, ROUND_S
from meshnode.ports import Stream
from meshnode.services.beat import Beat
from meshnode.services.frames import Frames
from meshnode.services.topology import (
    PEERS_EXPIRY_ROUNDS,
    PEERS_READ_MAX,
    SILENT_AGAIN_S,
    Topology,
)
from protocols.ids import STATUS_PROTOCOL
from protocols.limits import REQUEST_BYTES_MAX
from protocols.packing import pack
from protocols.status import status_request
from simulations.model_mesh import ModelMesh
from tests.cast import ALICE, BOB, CAROL, MALLORY, id_of
from tests.services.bench import Bench, asking, client, map_in, open_bench
from tests.services.test_connections import connected, node

FAR = id_of(MALLORY)


def provider(name: str, hops: int | None) -> dict[str, Any]:
    return {
        "provider_id": name,
        "state": "active",
        "last_seen": None,
        "hop_count": hops,
        "assets": 1,
    }


def peer(name: str, *addrs: str) -> dict[str, Any]:
    return {"node_id": name, "addrs": list(addrs), "rtt_ms": None}


@asynccontextmanager
async def neighbour(
    bench: Bench, who: SigningKey, **answer: Any
) -> AsyncIterator[tuple[ModelMesh, list[float]]]:
    """A node that answers every status query alike; when it was asked."""
    asked: list[float] = []
    said: Mapping[str, Any] = {"node_id": id_of(who), "network": "main", **answer}

    async def reply(stream: Stream) -> None:
        frames = Frames(stream, REQUEST_BYTES_MAX)
        if await frames.receive() is not None:
            asked.append(trio.current_time())
            await frames.send(pack(dict(said)))

    async with node(bench, who) as mesh:
        mesh.serve(STATUS_PROTOCOL, reply)
        await mesh.connect(bench.mesh.addrs()[0])
        yield mesh, asked


@asynccontextmanager
async def looking(bench: Bench) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(bench.topology.run)
        await nursery.start(
            Beat([bench.topology.look], bench.presence.paused, random.Random(1)).run
        )
        yield
        nursery.cancel_scope.cancel()


async def test_distances_sizes_and_addresses_come_of_one_answer(autojump_clock: MockClock) -> None:
    told = [peer(FAR, "/ip4/127.0.0.1/tcp/9", "/dns4/x.org/tcp/1"), peer(id_of(BOB))]
    async with (
        open_bench() as bob,
        neighbour(
            bob,
            ALICE,
            active_providers=[provider(FAR, 2)],
            peers=told,
            total_network_size=1_000,
        ) as (alice, _),
        looking(bob),
    ):
        assert bob.topology.size_told() == 0
        await trio.sleep(2)
        assert bob.topology.size_told() == 1_000
        assert bob.topology.answered(alice.peer_id)
        assert bob.topology.hops(FAR) == 3
        assert bob.topology.hops(FAR, asker=alice.peer_id) is None
        assert bob.topology.hops(alice.peer_id) == 1
        assert bob.topology.hops(bob.mesh.peer_id) == 0
        assert bob.topology.size() == 3
        assert bob.topology.degree(alice.peer_id) == 2
        assert [str(address) for address in bob.addresses.of(FAR)] == [
            f"/ip4/127.0.0.1/tcp/9/p2p/{FAR}"
        ]


async def test_each_neighbour_is_asked_about_once_a_minute_not_in_step(
    autojump_clock: MockClock,
) -> None:
    async with (
        open_bench() as bob,
        neighbour(bob, ALICE) as (_, alice),
        neighbour(bob, CAROL) as (_, carol),
        looking(bob),
    ):
        await trio.sleep(20 * ROUND_S)
    for asked in (alice, carol):
        assert 20 <= len(asked) <= 21
    assert not set(alice[1:]) & set(carol[1:])


async def test_of_many_neighbours_three_a_minute_are_asked_and_believed_until_then(
    autojump_clock: MockClock,
) -> None:
    signing_keys = [SigningKey(bytes([100 + number]) * 32) for number in range(15)]
    async with AsyncExitStack() as stack:
        bob = await stack.enter_async_context(open_bench())
        neighbours = [
            await stack.enter_async_context(
                neighbour(bob, key, active_providers=[provider(FAR, 1)], peers=[peer(FAR)])
            )
            for key in signing_keys
        ]
        await stack.enter_async_context(looking(bob))
        await trio.sleep(5)
        assert [len(asked) for _, asked in neighbours] == [1] * 15
        for _ in range(10):
            await trio.sleep(ROUND_S)
            assert (bob.topology.hops(FAR), bob.topology.size()) == (2, 17)
        for _, asked in neighbours:
            assert 1 <= len(asked) - 1 <= 2
        for first in range(2, 10):
            at = [at for _, asked in neighbours for at in asked[1:]]
            within = [one for one in at if first * ROUND_S <= one < (first + 1) * ROUND_S]
            assert 2 <= len(within) <= 4


async def test_what_a_neighbour_said_ends_with_its_connection(autojump_clock: MockClock) -> None:
    async with (
        open_bench() as bob,
        neighbour(bob, ALICE, active_providers=[provider(FAR, 1)], peers=[peer(FAR)]) as (alice, _),
        looking(bob),
    ):
        await trio.sleep(2)
        bob.topology.lost(alice.peer_id)
        assert bob.topology.hops(FAR) is None
        assert bob.topology.size() == 1
        assert not bob.topology.answered(alice.peer_id)


async def test_who_was_gone_and_is_back_between_two_looks_is_asked(
    autojump_clock: MockClock,
) -> None:
    async with (
        open_bench() as bob,
        neighbour(bob, ALICE) as (alice, asked),
        looking(bob),
    ):
        await trio.sleep(2)
        assert len(asked) == 1
        bob.topology.lost(alice.peer_id)
        await trio.sleep(2)
        assert bob.topology.answered(alice.peer_id)
        assert len(asked) == 2


async def test_a_neighbour_that_answers_no_more_is_not_believed_for_long(
    autojump_clock: MockClock,
) -> None:
    async with (
        open_bench() as bob,
        neighbour(bob, ALICE, active_providers=[provider(FAR, 1)], peers=[peer(FAR)]) as (alice, _),
        looking(bob),
    ):
        await trio.sleep(2)
        assert (bob.topology.hops(FAR), bob.topology.size()) == (2, 3)
        alice._handlers.clear()
        await trio.sleep(EXPIRY_ROUNDS * ROUND_S)
        assert (bob.topology.hops(FAR), bob.topology.size()) == (None, 3)
        await trio.sleep((PEERS_EXPIRY_ROUNDS - EXPIRY_ROUNDS) * ROUND_S)
        assert (bob.topology.hops(FAR), bob.topology.size()) == (None, 2)


async def test_who_its_peers_are_a_neighbour_is_asked_every_second_time(
    autojump_clock: MockClock,
) -> None:
    requests: list[Sequence[str]] = []

    async def reply(stream: Stream) -> None:
        frames = Frames(stream, REQUEST_BYTES_MAX)
        request = await frames.receive()
        assert request is not None
        keys = status_request(request).keys
        assert keys is not None
        requests.append(keys)
        # Nobody any more from the third time on; the second, it is not asked.
        listed = [peer(FAR)] if len(requests) == 1 else []
        said: dict[str, Any] = {"node_id": id_of(ALICE), "network": "main", "peers": listed}
        await frames.send(pack({key: said[key] for key in keys if key in said}))

    sizes: list[int] = []
    async with open_bench() as bob, node(bob, ALICE) as alice, looking(bob):
        alice.serve(STATUS_PROTOCOL, reply)
        await alice.connect(bob.mesh.addrs()[0])
        for _ in range(5):
            await trio.sleep(ROUND_S)
            sizes.append(bob.topology.size())
    assert ["peers" in keys for keys in requests] == [True, False, True, False, True]
    assert sizes == [3, 3, 2, 2, 2]


async def test_who_is_of_another_network_is_sent_away_and_forgotten(
    autojump_clock: MockClock,
) -> None:
    async with (
        open_bench() as bob,
        neighbour(bob, ALICE, network="other", peers=[peer(FAR, "/ip4/127.0.0.1/tcp/9")]) as (
            alice,
            _,
        ),
        looking(bob),
    ):
        bob.addresses.worked(address_of(alice), now_ns=1)
        await trio.sleep(3)
        assert connected(bob) == set()
        assert len(bob.addresses) == 0


async def test_a_seed_of_another_network_is_named_once(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, neighbour(bob, ALICE, network="other") as (alice, asked):
        bob.topology = Topology(
            bob.mesh,
            bob.addresses,
            bob.presence,
            bob.own_clock,
            bob.witness,
            bob.clock,
            network="main",
            seeds=alice.addrs(),
        )
        async with looking(bob):
            await trio.sleep(2 * SILENT_AGAIN_S + 3)
        assert len(asked) > 1
        told = [fact for fact in bob.witness.facts if isinstance(fact, WrongNetwork)]
        assert told == [WrongNetwork(alice.peer_id, "other", "main")]
        assert connected(bob) == {alice.peer_id}  # the operator may set its network right


def address_of(mesh: ModelMesh) -> Any:
    from meshnode.core.address_book import Address

    place, _, name = mesh.addrs()[0].rpartition("/p2p/")
    return Address(name, place)


async def test_who_gives_another_s_name_or_nonsense_is_not_believed(
    autojump_clock: MockClock,
) -> None:
    liars: list[dict[str, Any]] = [
        {"node_id": id_of(CAROL), "active_providers": [provider(FAR, 1)]},
        {"active_providers": [provider(FAR, -1)]},
        {"active_providers": 5},
        {"peers": [peer("nobody")]},
    ]
    for lie in liars:
        answer = {"active_providers": [provider(FAR, 99)], **lie}
        async with open_bench() as bob, neighbour(bob, ALICE, **answer), looking(bob):
            await trio.sleep(3)
            assert bob.topology.hops(FAR) is None
            assert bob.topology.size() <= 2
            assert len(bob.addresses) == 0


async def test_of_a_neighbour_s_peers_a_page_is_read(autojump_clock: MockClock) -> None:
    crowd = [peer(id_of(SigningKey(n.to_bytes(32, "big")))) for n in range(1, 200)]
    async with open_bench() as bob, neighbour(bob, ALICE, peers=crowd), looking(bob):
        await trio.sleep(3)
        assert bob.topology.size() == PEERS_READ_MAX + 2


async def test_who_only_asks_is_asked_seldom_and_is_no_node(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, client(bob) as (mesh, _), looking(bob):
        await trio.sleep(60)
        assert not bob.topology.answered(mesh.peer_id)
        assert bob.topology.size() == 1


async def test_a_neighbour_is_not_told_its_own_distance_as_ours(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, asking(bob, STATUS_PROTOCOL) as (_, frames):
        asker = bob.mesh.peers()[0].peer_id
        bob.hears(far_presence())
        bob.topology._hops.learn(asker, {FAR: 1}, trio.current_time() + ROUND_S)
        assert [p.hop_count for p in bob.status.reply()["known_providers"]] == [2]
        await frames.send(pack({"keys": ["known_providers"]}))
        (known,) = map_in(await frames.receive())["known_providers"]
        assert (known["provider_id"], known["hop_count"]) == (FAR, None)


def far_presence() -> Any:
    from tests.cast import presence, said

    return said(by=MALLORY, payload=presence())
