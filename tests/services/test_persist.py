"""Persist: commits in groups, and nothing is lost by a store that fails."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from meshnode.core.book import Applied, Book
from meshnode.core.facts import StoreFailed, StoreLeftBehind, StoreRecovered
from meshnode.core.links import LinkState
from meshnode.core.outbox import Outbox
from meshnode.core.records import EnvelopeKey, Mark, Said, StoredQuote
from meshnode.errors import StoreUnavailable
from meshnode.services.beat import QUIET_BEAT_S, Beat
from meshnode.services.persist import (
    PRUNE_EVERY_S,
    PRUNE_FIRST_AFTER_S,
    PUT_ASIDE_S,
    RETRY,
    Persist,
)
from protocols.ids import Topic
from simulations.clock import START_NS, VirtualClock
from tests.cast import ALICE, BOB, EPOCH, Witness, key_of, quote, said
from tests.services.bench import FailingStore

FLUSH_S = 0.2


class Alice:
    """A persist loop, what it reads and writes, and what it tells."""

    def __init__(self, flush_interval_s: float = FLUSH_S) -> None:
        self.store = FailingStore()
        self.outbox = Outbox()
        self.book = Book(authors_max=10)
        self.witness = Witness()
        self.persist = Persist(
            self.store,
            self.outbox,
            self.book,
            self.witness,
            VirtualClock(),
            random.Random(1),
            flush_interval_s=flush_interval_s,
        )
        self._seq = 0

    def hears(self) -> None:
        """The next update: a quote, its envelope, its mark; the envelope before is released."""
        self._seq += 1
        author = key_of(ALICE)
        stored = StoredQuote(
            Said(author, EPOCH, self._seq, START_NS, START_NS + self._seq), quote()
        )
        key = EnvelopeKey(author, EPOCH, self._seq)
        released = (EnvelopeKey(author, EPOCH, self._seq - 1),)
        applied = Applied((stored,), (stored,), (key, b"%d" % self._seq), released)
        self.outbox.put(applied, Mark(author, Topic.PRICES, EPOCH, self._seq))

    async def written(self) -> tuple[list[int], list[int], list[bytes], list[int]]:
        """The seqs of the latest quotes, of the history, the envelopes, the marks' seqs."""
        held = await self.store.load()
        history = await self.store.history("BTC-USD", 100)
        return (
            [stored.seq for stored in held.latest],
            [stored.seq for stored in reversed(history)],
            list(held.envelopes.values()),
            [mark.seq for mark in held.marks],
        )


def state_of(alice: Alice) -> LinkState:
    return alice.persist.link.state


@asynccontextmanager
async def running(alice: Alice) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(alice.persist.run)
        beat = Beat([alice.persist.look], lambda _: None, random.Random(1))
        await nursery.start(beat.run)
        yield
        nursery.cancel_scope.cancel()


async def test_what_gathers_within_the_interval_is_one_commit(autojump_clock: MockClock) -> None:
    alice = Alice()
    async with running(alice):
        for _ in range(5):
            alice.hears()
            await trio.sleep(FLUSH_S / 10)
        assert alice.persist.commits == 0
        await trio.sleep(FLUSH_S)
        assert alice.persist.commits == 1
        assert await alice.written() == ([5], [1, 2, 3, 4, 5], [b"5"], [5])
        await trio.sleep(10)
    assert alice.store.attempts == 1  # nothing to write, nothing written
    assert alice.persist.works


async def test_a_mark_put_aside_goes_with_what_is_written_next(autojump_clock: MockClock) -> None:
    alice = Alice()
    async with running(alice):
        await trio.sleep(FLUSH_S)
        alice.outbox.raise_mark(Mark(key_of(BOB), Topic.PRESENCE, EPOCH, 7))
        await trio.sleep(PUT_ASIDE_S / 2)
        assert alice.persist.commits == 0
        alice.hears()
        await trio.sleep(2 * FLUSH_S)
        assert alice.persist.commits == 1
        assert (await alice.written())[3] == [7, 1]
        await trio.sleep(2 * PUT_ASIDE_S)
    assert alice.store.attempts == 1


async def test_marks_put_aside_do_not_wait_for_ever(autojump_clock: MockClock) -> None:
    alice = Alice()
    async with running(alice):
        for seq in range(1, 61):
            alice.outbox.raise_mark(Mark(key_of(BOB), Topic.PRESENCE, EPOCH, seq))
            await trio.sleep(1)
        await trio.sleep(PUT_ASIDE_S + QUIET_BEAT_S + 2 * FLUSH_S)
        assert (await alice.written())[3] == [60]
    commits = alice.persist.commits
    assert 60 / (PUT_ASIDE_S + QUIET_BEAT_S) <= commits <= 60 / PUT_ASIDE_S + 2


async def test_a_store_that_fails_loses_nothing_and_recovers(autojump_clock: MockClock) -> None:
    alice = Alice()
    async with running(alice):
        alice.hears()
        await trio.sleep(1)
        alice.store.error = "disk full"
        for _ in range(20):
            alice.hears()
            await trio.sleep(3)
        assert not alice.persist.works
        assert alice.persist.link.last_error == "disk full"
        assert state_of(alice) is LinkState.ERROR
        assert alice.persist.link.attempts > 5
        assert await alice.written() == ([1], [1], [b"1"], [1])
        failures = alice.witness.of(StoreFailed)
        assert isinstance(failures[0], StoreFailed)
        assert (failures[0].store, failures[0].error) == ("sqlite", "disk full")
        assert failures[0].waiting == 2  # a quote, and its place in the history
        alice.store.error = None
        await trio.sleep(RETRY.cap_s + FLUSH_S)
        assert await alice.written() == ([21], list(range(1, 22)), [b"21"], [21])
        assert state_of(alice) is LinkState.CONNECTED
        assert alice.persist.link.attempts == 0
        (recovered,) = alice.witness.of(StoreRecovered)
        assert isinstance(recovered, StoreRecovered)
        assert recovered.down_s == pytest.approx(60, abs=RETRY.cap_s + 3)
        assert alice.persist.works is True


async def test_retries_grow_apart_and_stay_within_their_bound(autojump_clock: MockClock) -> None:
    alice = Alice()
    alice.store.error = "disk full"
    alice.hears()
    async with running(alice):
        await trio.sleep(60)
        early = alice.store.attempts
        await trio.sleep(60)
        late = alice.store.attempts - early
    assert 60 / (RETRY.cap_s + FLUSH_S) - 1 <= late <= early < 30


async def test_a_commit_that_is_cancelled_loses_nothing(autojump_clock: MockClock) -> None:
    alice = Alice()
    alice.store.takes_s = 10
    async with running(alice):
        alice.hears()
        await trio.sleep(1)
        assert alice.store.attempts == 1  # it is under way
        assert not len(alice.outbox)
        alice.hears()
    alice.store.takes_s = 0
    assert await alice.written() == ([], [], [], [])
    await alice.persist.drain()
    assert await alice.written() == ([2], [1, 2], [b"2"], [2])


async def test_a_drain_writes_what_waits_and_tells_what_it_could_not(
    autojump_clock: MockClock,
) -> None:
    alice = Alice()
    await alice.persist.drain()
    alice.hears()
    left = len(alice.outbox)
    alice.store.error = "disk full"
    await alice.persist.drain()
    assert alice.witness.of(StoreLeftBehind) == [StoreLeftBehind("sqlite", left)]
    alice.store.error, alice.store.takes_s = None, 60
    with trio.move_on_after(4):
        await alice.persist.drain()
    assert alice.witness.of(StoreLeftBehind) == [StoreLeftBehind("sqlite", left)] * 2
    alice.store.takes_s = 0
    await alice.persist.drain()
    assert not len(alice.outbox)
    assert len(alice.witness.of(StoreLeftBehind)) == 2
    assert await alice.written() == ([1], [1], [b"1"], [1])


async def test_a_store_that_was_begun_anew_is_filled_from_memory(
    autojump_clock: MockClock,
) -> None:
    alice = Alice()
    old, new = said(quote("OLD-USD"), seq=1), said(quote("BTC-USD"), seq=2)
    async with running(alice):
        alice.outbox.put(alice.book.apply(old, START_NS))
        await trio.sleep(1)
        alice.store.begin_anew()
        alice.outbox.put(alice.book.apply(new, START_NS))
        await trio.sleep(1)
    held = await alice.store.load()
    assert {stored.quote.asset for stored in held.latest} == {"OLD-USD", "BTC-USD"}
    assert set(held.envelopes.values()) == {old.raw, new.raw}


async def test_a_store_is_pruned_for_ever_whatever_happens(autojump_clock: MockClock) -> None:
    alice = Alice(flush_interval_s=60)
    pruned: list[float] = []

    async def prune(now_ns: int) -> int:
        pruned.append(trio.current_time())
        raise StoreUnavailable("locked")

    alice.store.prune = prune  # type: ignore[method-assign]
    async with running(alice):
        await trio.sleep(PRUNE_FIRST_AFTER_S + 2 * PRUNE_EVERY_S + 1)
    assert pruned == [PRUNE_FIRST_AFTER_S + hour * PRUNE_EVERY_S for hour in range(3)]
    assert [fact.error for fact in alice.witness.of(StoreFailed)] == ["pruning: locked"] * 3  # type: ignore[union-attr]
