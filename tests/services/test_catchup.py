"""Bob joins: he asks for everything, judges every envelope, and believes nobody."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
from nacl.signing import SigningKey
from trio.testing import MockClock

from meshnode.core.facts import CatchUpFailed, CaughtUp, Fact
from meshnode.core.verdicts import Accepted, Reason
from meshnode.ports import Stream
from meshnode.services.catchup import OFFERS_MAX, PEERS_ASKED, RETRY_DELAYS_S, RETURN_DELAYS_S
from meshnode.services.feed import PricesChanged
from meshnode.services.frames import Frames
from meshnode.services.presence import MISSED_AFTER_S
from protocols.codec import pack_envelope
from protocols.envelope import Envelope
from protocols.ids import PRICES_PROTOCOL
from protocols.limits import REQUEST_BYTES_MAX
from protocols.messages import Role
from protocols.queries import PricesRequest, ProofsHeader
from simulations.clock import START_NS
from simulations.model_mesh import ModelMesh, open_model_mesh
from tests.cast import ALICE, CAROL, EPOCH, MALLORY, NS_PER_S, presence, quote, said
from tests.services.bench import Bench, open_bench

HOURS_AGO_NS = START_NS - 5 * 3600 * NS_PER_S


def forged(envelope: Envelope) -> bytes:
    return pack_envelope(envelope.body, MALLORY.sign(envelope.body).signature)


class Peer:
    """A peer that hands out pages of envelopes, whatever they are."""

    def __init__(self, *pages: Sequence[bytes], breaks_off_after: int | None = None) -> None:
        self._pages = pages
        self._breaks_off_after = breaks_off_after
        self.asked: list[PricesRequest] = []

    def recover(self) -> None:
        """Break off no more."""
        self._breaks_off_after = None

    def learns(self, *pages: Sequence[bytes]) -> None:
        """Hand out these from now on."""
        self._pages = pages

    async def serve(self, stream: Stream) -> None:
        frames = Frames(stream, REQUEST_BYTES_MAX)
        raw = await frames.receive()
        assert raw is not None
        request = PricesRequest.from_bytes(raw)
        self.asked.append(request)
        number = int(request.cursor or 0)
        more = str(number + 1) if number + 1 < len(self._pages) else None
        await frames.send(ProofsHeader(len(self._pages[number]), more).to_bytes())
        for raw in self._pages[number][: self._breaks_off_after if more is None else None]:
            await frames.send(raw)
        if more is None and self._breaks_off_after is not None:
            await stream.reset()


@asynccontextmanager
async def peer_of(bench: Bench, peer: Peer, number: int = 50) -> AsyncIterator[ModelMesh]:
    seed = number.to_bytes(32, "big")
    async with open_model_mesh(
        bench.network, key_seed=seed, judge=None, observer=bench.witness
    ) as mesh:
        mesh.serve(PRICES_PROTOCOL, peer.serve)
        await mesh.connect(bench.mesh.addrs()[0])
        yield mesh


async def caught_up(bench: Bench, *peers: Peer, kind: type[Fact] = CaughtUp) -> list[Fact]:
    """Let Bob ask these peers, one after the other."""
    async with trio.open_nursery() as nursery:
        await nursery.start(bench.catch_up.run)
        for number, peer in enumerate(peers, 50):
            async with peer_of(bench, peer, number) as mesh:
                bench.catch_up.offer(mesh.peer_id)
                await trio.sleep(10)
        nursery.cancel_scope.cancel()
    return bench.witness.of(kind)


async def test_everything_a_peer_holds_is_judged_and_applied(autojump_clock: MockClock) -> None:
    old = said(quote("BTC-USD", "7"), seq=3, issued_ns=HOURS_AGO_NS, epoch=EPOCH - 5 * 3600)
    other = said(quote("ETH-USD", "8"), by=CAROL)
    peer = Peer([old.raw], [other.raw])
    async with open_bench() as bob:
        with bob.feed.subscribe() as subscription:
            (fact,) = await caught_up(bob, peer)
            events, _ = await subscription.wait_events()
        assert bob.prices() == {"BTC-USD": "7", "ETH-USD": "8"}
        assert {raw for _, raw in bob.book.proofs(None)} == {old.raw, other.raw}
        assert isinstance(fact, CaughtUp)
        assert (fact.applied, fact.refused) == (2, 0)
        assert [type(event) for event in events] == [PricesChanged] * 2
        assert not bob.providers.records()  # it is no sign of life
        await bob.persist.drain()
        assert len((await bob.store.load()).envelopes) == 2
        assert (await bob.store.load()).marks == ()
    assert [request.proofs for request in peer.asked] == [True, True]
    assert peer.asked[0].assets is None


@pytest.mark.parametrize("begins", [False, True])
async def test_what_a_provider_said_while_it_was_away_is_asked_for_when_it_is_back(
    autojump_clock: MockClock, begins: bool
) -> None:
    """Who hears it start again has missed nothing."""
    first, missed = said(quote("BTC-USD", "7")), said(quote("BTC-USD", "9"), seq=2)
    peer = Peer([first.raw])
    async with open_bench() as bob, trio.open_nursery() as nursery:
        await nursery.start(bob.catch_up.run)
        async with peer_of(bob, peer) as mesh:
            bob.catch_up.offer(mesh.peer_id)
            await trio.sleep(10)
            peer.learns([missed.raw])
            for silent_s in (0, MISSED_AFTER_S):
                assert bob.prices() == {"BTC-USD": "7"}
                hears_of(bob, ALICE)
                for _ in range(round(silent_s)):
                    await trio.sleep(5)
                    bob.presence.sweep()
            hears_of(bob, ALICE, begins=begins)
            await trio.sleep(3)
            hears_of(bob, ALICE)
            await trio.sleep(RETURN_DELAYS_S[0] + 1)
            assert bob.prices() == {"BTC-USD": "7" if begins else "9"}
        nursery.cancel_scope.cancel()


def hears_of(bench: Bench, who: SigningKey, *, begins: bool = False) -> None:
    """A provider says that it is there."""
    here = presence(Role.PROVIDER)
    bench.presence.heard(bytes(who.verify_key), here, bench.clock.now_ns(), begins=begins)


REFUSED = {
    "forged": (forged(said(quote("EVIL"))), Reason.BAD_SIGNATURE),
    "altered": (
        pack_envelope(said(quote("EVIL", "9")).body, said(quote("EVIL", "1")).signature),
        Reason.BAD_SIGNATURE,
    ),
    "of another network": (said(quote("EVIL"), network="test").raw, Reason.WRONG_NETWORK),
    "from the future": (
        said(quote("EVIL"), issued_ns=START_NS + 3600 * NS_PER_S).raw,
        Reason.FUTURE,
    ),
    "of a future epoch": (said(quote("EVIL"), epoch=EPOCH + 10**6).raw, Reason.FUTURE_EPOCH),
    "by a stranger": (said(quote("EVIL"), by=MALLORY).raw, Reason.NOT_ALLOWED),
    "no prices": (said(payload=presence()).raw, Reason.WRONG_TOPIC),
    "rubbish": (b"\xc1rubbish", Reason.MALFORMED),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_must_not_be_believed_is_counted_and_never_served(
    autojump_clock: MockClock, what: str
) -> None:
    raw, reason = REFUSED[what]
    async with open_bench(allow=[ALICE]) as bob:
        good = [said(quote("BTC-USD", "7"), seq=2).raw, said(quote("ETH-USD", "8"), seq=3).raw]
        (fact,) = await caught_up(bob, Peer([good[0], raw, good[1]]))
        assert bob.prices() == {"BTC-USD": "7", "ETH-USD": "8"}
        assert {raw for _, raw in bob.book.proofs(None)} == set(good)
        assert isinstance(fact, CaughtUp)
        assert (fact.applied, fact.refused) == (2, 1)
        assert bob.admission.statistics().refused == {reason: 1}
        await bob.persist.drain()
        assert {one.quote.asset for one in (await bob.store.load()).latest} == {
            "BTC-USD",
            "ETH-USD",
        }


async def test_what_bob_has_is_neither_applied_nor_refused(autojump_clock: MockClock) -> None:
    heard = said(quote("BTC-USD", "7"))
    async with open_bench() as bob:
        bob.hears(heard)
        (fact,) = await caught_up(bob, Peer([heard.raw]))
        assert isinstance(fact, CaughtUp)
        assert (fact.applied, fact.refused) == (0, 0)


async def test_a_peer_s_memory_does_not_overrule_what_is_newer(autojump_clock: MockClock) -> None:
    async with open_bench() as bob:
        bob.hears(said(quote("BTC-USD", "9"), seq=5))
        old = said(quote("BTC-USD", "7"), quote("ETH-USD", "8"), seq=4)
        await caught_up(bob, Peer([old.raw]))
        assert bob.prices() == {"BTC-USD": "9", "ETH-USD": "8"}


async def test_it_raises_no_mark_what_is_live_and_older_is_still_accepted(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob:
        await caught_up(bob, Peer([said(quote("BTC-USD", "7"), seq=5000).raw]))
        now_ns = bob.clock.now_ns()
        live = said(quote("ETH-USD", "8"), seq=3, issued_ns=now_ns)
        assert isinstance(bob.hears(live), Accepted)
        # And the very message, when gossip brings it after all.
        again = said(quote("BTC-USD", "7"), seq=5000, issued_ns=START_NS)
        assert isinstance(bob.hears(again), Accepted)
        assert bob.prices() == {"BTC-USD": "7", "ETH-USD": "8"}


async def test_a_peer_that_breaks_off_loses_nothing_of_what_was_judged(
    autojump_clock: MockClock,
) -> None:
    pages = [
        [said(quote(f"P{page}N{number}"), seq=10 * page + number).raw for number in range(1, 4)]
        for page in range(2)
    ]
    async with open_bench() as bob:
        failures = await caught_up(bob, Peer(*pages, breaks_off_after=2), kind=CatchUpFailed)
        assert failures
        assert bob.prices().keys() == {"P0N1", "P0N2", "P0N3"}
        assert not bob.witness.of(CaughtUp)
        # The next peer is asked instead.
        (fact,) = await caught_up(bob, Peer(*pages))
        assert isinstance(fact, CaughtUp)
        assert fact.applied == 3
        assert len(bob.prices()) == 6


async def test_a_peer_that_failed_is_asked_again_while_it_stays(autojump_clock: MockClock) -> None:
    peer = Peer(
        [said(quote(f"A{number}"), seq=number).raw for number in (1, 2)], breaks_off_after=1
    )
    async with open_bench() as bob, trio.open_nursery() as nursery:
        await nursery.start(bob.catch_up.run)
        async with peer_of(bob, peer) as mesh:
            bob.catch_up.offer(mesh.peer_id)
            await trio.sleep(1)
            assert bob.prices().keys() == set()  # a page counts when it is whole
            peer.recover()
            await trio.sleep(RETRY_DELAYS_S[0] + 1)
            assert bob.prices().keys() == {"A1", "A2"}
            await trio.sleep(2 * sum(RETRY_DELAYS_S))
            assert len(peer.asked) == 2
        nursery.cancel_scope.cancel()


async def test_a_peer_that_knows_nothing_yet_is_asked_again(autojump_clock: MockClock) -> None:
    peer = Peer([])
    async with open_bench() as bob, trio.open_nursery() as nursery:
        await nursery.start(bob.catch_up.run)
        async with peer_of(bob, peer) as mesh:
            bob.catch_up.offer(mesh.peer_id)
            await trio.sleep(1)
            peer.learns([said().raw])
            await trio.sleep(RETRY_DELAYS_S[0] + 1)
            assert len(bob.prices()) == 1
            await trio.sleep(2 * sum(RETRY_DELAYS_S))
            assert len(peer.asked) == 2
        nursery.cancel_scope.cancel()


async def test_so_many_peers_are_asked_and_again_after_bob_was_alone(
    autojump_clock: MockClock,
) -> None:
    peers = [Peer([said(seq=number).raw]) for number in range(1, PEERS_ASKED + 2)]
    async with open_bench() as bob:
        await caught_up(bob, *peers)
        assert [len(peer.asked) for peer in peers] == [1] * PEERS_ASKED + [0]
        bob.catch_up.missed()
        await caught_up(bob, peers[-1])
        assert len(peers[-1].asked) == 1


async def test_more_offers_than_are_needed_are_dropped(autojump_clock: MockClock) -> None:
    async with open_bench() as bob:
        for _ in range(OFFERS_MAX + 10):
            bob.catch_up.offer("nobody")
        await caught_up(bob)
        assert len(bob.witness.of(CatchUpFailed)) <= OFFERS_MAX


async def test_a_peer_that_answers_rubbish_is_a_failure_not_an_exception(
    autojump_clock: MockClock,
) -> None:
    async def rubbish(stream: Stream) -> None:
        await stream.write(b"\x05rubbish, and more of it")

    async with open_bench() as bob, trio.open_nursery() as nursery:
        await nursery.start(bob.catch_up.run)
        async with peer_of(bob, Peer()) as mesh:
            mesh.serve(PRICES_PROTOCOL, rubbish)
            bob.catch_up.offer(mesh.peer_id)
            await trio.sleep(1)
        assert len(bob.witness.of(CatchUpFailed)) == 1
        nursery.cancel_scope.cancel()
