"""Who is asked about a suspect, how often, and what no answer means."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise

import trio
from nacl.signing import SigningKey
from trio.testing import MockClock

from meshnode.core.facts import ProviderLost
from meshnode.errors import DialRefused, PeerUnreachable
from meshnode.ports import Stream
from meshnode.services.frames import Frames
from meshnode.services.inquiry import (
    DIALS_MAX,
    PEERS_ASKED,
    PEERS_ASKED_AT_ONCE,
    REQUESTS_MAX,
    REQUESTS_ON_SILENCE_MAX,
    Inquiry,
)
from protocols.ids import STATUS_PROTOCOL
from protocols.limits import REQUEST_BYTES_MAX, REQUESTS_PER_PEER_WINDOW_S
from protocols.messages import Role
from protocols.status import ProviderStatus, StatusReply
from protocols.timestamps import rfc3339
from simulations.clock import START_NS
from simulations.model_mesh import open_model_mesh
from tests.cast import ALICE, CAROL, id_of, key_of, presence
from tests.services.bench import Bench, open_bench

Redial = Callable[[str], Awaitable[None]]


async def unanswered(peer: str) -> None:
    await trio.sleep(1)
    raise PeerUnreachable(peer)


async def refused(peer: str) -> None:
    await trio.sleep(0.1)
    raise DialRefused(peer)


@asynccontextmanager
async def asking(
    bob: Bench, redial: Redial = unanswered, *, near: Sequence[SigningKey] = ()
) -> AsyncIterator[None]:
    """Bob asks about alice, of whom he heard just now; some peers of his say they are near her."""
    near_ids = {id_of(key) for key in near}
    inquiry = Inquiry(
        bob.mesh,
        bob.presence,
        random.Random(1),
        is_node=lambda peer: peer != id_of(CAROL),
        peers_of=lambda peer: frozenset([id_of(ALICE)] if peer in near_ids else ()),
        redial=redial,
    )
    bob.presence.heard(key_of(ALICE), presence(), bob.clock.now_ns())
    async with trio.open_nursery() as nursery:
        await nursery.start(inquiry.run)
        yield
        nursery.cancel_scope.cancel()


class Peer:
    """Says of alice what it is told to, or nothing, and notes when it was asked."""

    def __init__(self, state: str | None) -> None:
        self.state = state
        self.asked_at: list[float] = []

    async def answer(self, stream: Stream) -> None:
        frames = Frames(stream, REQUEST_BYTES_MAX)
        await frames.receive()
        self.asked_at.append(trio.current_time())
        if self.state is None:
            await trio.sleep(60)
        state = self.state or "active"
        seen = ProviderStatus(id_of(ALICE), state, rfc3339(START_NS), 1, None)
        await frames.send(StatusReply({"known_providers": (seen,)}).to_bytes())
        await stream.close()


@asynccontextmanager
async def peer(bob: Bench, key: SigningKey, state: str | None) -> AsyncIterator[Peer]:
    async with open_model_mesh(
        bob.network, key_seed=bytes(key), judge=None, observer=bob.witness
    ) as mesh:
        told = Peer(state)
        mesh.serve(STATUS_PROTOCOL, told.answer)
        await mesh.listen()
        await mesh.connect(bob.mesh.addrs()[0])
        yield told


def a_peer(number: int) -> SigningKey:
    return SigningKey((100 + number).to_bytes(32, "big"))


async def test_nobody_is_asked_while_nobody_is_suspect(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, peer(bob, a_peer(1), "offline") as dave, asking(bob):
        await trio.sleep(60)
        assert dave.asked_at == []


async def test_a_refused_dial_and_a_peer_that_agrees_take_less_than_a_second(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob, peer(bob, a_peer(1), "suspect"), asking(bob, refused):
        bob.presence.connection_lost(id_of(ALICE))
        await trio.sleep(0.9)
        assert len(bob.witness.of(ProviderLost)) == 1


async def test_who_was_connected_to_the_suspect_is_asked_first(autojump_clock: MockClock) -> None:
    """Also when others were asked about somebody else a while ago, and it was not."""
    async with AsyncExitStack() as stack:
        bob = await stack.enter_async_context(open_bench())
        far = [await stack.enter_async_context(peer(bob, a_peer(n), "active")) for n in range(20)]
        near = await stack.enter_async_context(peer(bob, a_peer(20), "suspect"))
        await stack.enter_async_context(asking(bob, refused, near=[a_peer(20)]))
        for _ in range(2):
            asked = len(near.asked_at)
            bob.presence.connection_lost(id_of(ALICE))
            await trio.sleep(0.9)
            assert len(near.asked_at) == asked + 1
            assert len(bob.witness.of(ProviderLost)) == asked + 1
            await trio.sleep(REQUESTS_PER_PEER_WINDOW_S)
            for _ in range(2):
                await trio.sleep(3)
                bob.presence.heard(key_of(ALICE), presence(), bob.clock.now_ns())
    assert sum(len(one.asked_at) for one in far) == 2 * (PEERS_ASKED_AT_ONCE - 1)


async def test_who_says_that_it_was_near_keeps_nobody_from_being_asked(
    autojump_clock: MockClock,
) -> None:
    async with AsyncExitStack() as stack:
        bob = await stack.enter_async_context(open_bench())
        liars = [a_peer(number) for number in range(8)]
        for liar in liars:
            await stack.enter_async_context(peer(bob, liar, "active"))
        honest = await stack.enter_async_context(peer(bob, a_peer(8), "suspect"))
        await stack.enter_async_context(asking(bob, near=liars))
        await trio.sleep(20)
        bob.presence.node_answered()
        bob.presence.sweep()
        await trio.sleep(45)
        assert honest.asked_at


async def test_an_unanswered_dial_is_no_evidence(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, peer(bob, a_peer(1), "suspect"), asking(bob):
        bob.presence.connection_lost(id_of(ALICE))
        await trio.sleep(20)
        assert not bob.witness.of(ProviderLost)


async def test_who_was_found_and_is_lost_again_is_dialled_and_asked_about_again(
    autojump_clock: MockClock,
) -> None:
    """It was full when it hung up on us, say, took us back, and died; nobody said that it lives."""
    is_there = True

    async def look(peer: str) -> None:
        if not is_there:
            raise DialRefused(peer)

    async with open_bench() as bob, peer(bob, a_peer(1), "active") as dave, asking(bob, look):
        bob.presence.connection_lost(id_of(ALICE))
        await trio.sleep(1.7)  # the next round is a second away, and no dial
        asked = len(dave.asked_at)
        is_there, dave.state = False, "suspect"
        bob.presence.connection_lost(id_of(ALICE))
        await trio.sleep(0.9)
        assert len(dave.asked_at) == asked + 1
        assert len(bob.witness.of(ProviderLost)) == 1


async def test_who_comes_and_goes_is_dialled_behind_those_that_were_not(
    autojump_clock: MockClock,
) -> None:
    dialled: list[str] = []

    async def look(peer: str) -> None:
        dialled.append(peer)
        bob.presence.connection_lost(peer)  # as soon as we are connected

    async with open_bench() as bob, peer(bob, a_peer(1), "active"), asking(bob, look):
        bob.presence.heard(key_of(a_peer(2)), presence(), bob.clock.now_ns())
        bob.presence.connection_lost(id_of(ALICE))
        await trio.sleep(0.6)
        assert dialled == [id_of(ALICE)]
        bob.presence.connection_lost(id_of(ALICE))
        bob.presence.connection_lost(id_of(a_peer(2)))
        await trio.sleep(1)
        assert dialled == [id_of(ALICE), id_of(a_peer(2))]
        await trio.sleep(1)
        assert dialled == [id_of(ALICE), id_of(a_peer(2)), id_of(ALICE)]


async def test_many_that_fall_silent_are_dialled_one_a_second_and_each_once(
    autojump_clock: MockClock,
) -> None:
    dialled: dict[str, float] = {}

    async def note(peer: str) -> None:
        assert peer not in dialled
        dialled[peer] = trio.current_time()
        raise DialRefused(peer)

    async with open_bench() as bob, peer(bob, a_peer(1), "active"), asking(bob, note):
        for number in range(40):
            bob.presence.heard(key_of(a_peer(2 + number)), presence(), bob.clock.now_ns())
        for _ in range(70):
            await trio.sleep(1)
            bob.presence.heard(key_of(a_peer(1)), presence(Role.CONSUMER), bob.clock.now_ns())
            bob.presence.sweep()
    at = sorted(dialled.values())
    assert len(at) > 20
    assert all(later - earlier > 0.999 for earlier, later in pairwise(at))


async def test_dials_that_are_not_over_are_bounded(autojump_clock: MockClock) -> None:
    under_way: set[str] = set()

    async def hang(peer: str) -> None:
        under_way.add(peer)
        await trio.sleep_forever()

    async with open_bench() as bob, asking(bob, hang):
        for number in range(20):
            bob.presence.heard(key_of(a_peer(2 + number)), presence(), bob.clock.now_ns())
        for _ in range(40):
            await trio.sleep(1)
            bob.presence.heard(key_of(a_peer(1)), presence(Role.CONSUMER), bob.clock.now_ns())
            bob.presence.sweep()
    assert len(under_way) == DIALS_MAX


async def test_whose_connection_breaks_is_dialled_before_names_that_fall_silent(
    autojump_clock: MockClock,
) -> None:
    dialled: dict[str, float] = {}

    async def note(peer: str) -> None:
        dialled[peer] = trio.current_time()
        raise DialRefused(peer)

    async with open_bench() as bob, asking(bob, note), peer(bob, a_peer(1), "suspect") as dave:
        for second in range(25):
            for number in (2 + 3 * second, 3 + 3 * second, 4 + 3 * second):
                bob.presence.heard(key_of(a_peer(number)), presence(), bob.clock.now_ns())
            bob.presence.heard(key_of(ALICE), presence(), bob.clock.now_ns())
            bob.presence.sweep()
            await trio.sleep(1)
        assert len(dialled) > 3
        assert len(dave.asked_at) >= REQUESTS_ON_SILENCE_MAX
        assert id_of(ALICE) not in dialled
        broke_at = trio.current_time()
        bob.presence.connection_lost(id_of(ALICE))
        await trio.sleep(2)
        assert dialled[id_of(ALICE)] <= broke_at + 1.5
        lost = [one.provider_id for one in bob.witness.facts if isinstance(one, ProviderLost)]
        assert id_of(ALICE) in lost


async def test_who_is_no_node_is_not_asked(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, peer(bob, CAROL, "offline") as carol, asking(bob, refused):
        bob.presence.connection_lost(id_of(ALICE))
        await trio.sleep(0.9)
        assert carol.asked_at == []
        assert len(bob.witness.of(ProviderLost)) == 1  # there is nobody to ask


async def test_peers_that_keep_us_waiting_hold_up_nobody(autojump_clock: MockClock) -> None:
    async with AsyncExitStack() as stack:
        bob = await stack.enter_async_context(open_bench())
        told = [None, "suspect", None, None, None, None]
        peers = [
            await stack.enter_async_context(peer(bob, a_peer(number), state))
            for number, state in enumerate(told)
        ]
        dave = peers[1]
        await stack.enter_async_context(asking(bob, refused))
        bob.presence.connection_lost(id_of(ALICE))
        await trio.sleep(1)
        assert not dave.asked_at  # of those asked first nobody answers
        await trio.sleep(1)
        assert dave.asked_at
        assert len(bob.witness.of(ProviderLost)) == 1
        assert [len(peer.asked_at) for peer in peers] == [1] * 6


async def test_who_has_not_answered_yet_is_not_asked_again(autojump_clock: MockClock) -> None:
    async with open_bench() as bob, peer(bob, a_peer(1), None) as dave, asking(bob, refused):
        bob.presence.connection_lost(id_of(ALICE))
        await trio.sleep(4.5)
        assert len(dave.asked_at) == 1
        await trio.sleep(4.5)
        assert len(dave.asked_at) == 2


async def test_of_silence_three_peers_are_asked_at_a_time(autojump_clock: MockClock) -> None:
    async with AsyncExitStack() as stack:
        bob = await stack.enter_async_context(open_bench())
        peers = [await stack.enter_async_context(peer(bob, a_peer(n), "active")) for n in range(7)]
        await stack.enter_async_context(asking(bob))
        await trio.sleep(20)
        bob.presence.node_answered()
        bob.presence.sweep()
        await trio.sleep(0.9)
        assert sum(len(peer.asked_at) for peer in peers) == PEERS_ASKED


async def test_five_peers_are_asked_each_within_what_it_answers(
    autojump_clock: MockClock,
) -> None:
    async with AsyncExitStack() as stack:
        bob = await stack.enter_async_context(open_bench())
        peers = [await stack.enter_async_context(peer(bob, a_peer(n), "active")) for n in range(7)]
        await stack.enter_async_context(asking(bob, refused))
        bob.presence.connection_lost(id_of(ALICE))
        await trio.sleep(0.9)
        assert sum(len(peer.asked_at) for peer in peers) == PEERS_ASKED_AT_ONCE
        await trio.sleep(58)
        for asked in peers:
            assert asked.asked_at
            for at in asked.asked_at:
                window = [a for a in asked.asked_at if 0 <= a - at < REQUESTS_PER_PEER_WINDOW_S]
                assert len(window) <= REQUESTS_MAX
        assert not bob.witness.of(ProviderLost)  # they reach her
