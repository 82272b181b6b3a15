"""What every Store keeps to."""

import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st

from meshnode.adapters.storage.memory import MemoryStore
from meshnode.adapters.storage.retention import HISTORY_KEPT_NS
from meshnode.ports import (
    Batch,
    EnvelopeKey,
    KnownAddr,
    KnownNode,
    Mark,
    Restored,
    Said,
    Store,
    StoredQuote,
)
from protocols.ids import Topic
from protocols.limits import CONFIDENCE_MAX, MANTISSA_MAX, UINT64_MAX
from protocols.quotes import Quote
from simulations.stores import FaultyStore
from tests.adapters.storage.story import ALICE, BOB, EPOCH, START_NS, open_store, quote_at, update

Shelf: TypeAlias = Callable[[], AbstractAsyncContextManager[Store]]
ShelfIn: TypeAlias = Callable[[Path], Shelf]


def memory_shelf(_: Path) -> Shelf:
    store = MemoryStore()

    @asynccontextmanager
    async def open_again() -> AsyncIterator[Store]:
        yield store

    return open_again


def faulty_shelf(_: Path) -> Shelf:
    store = FaultyStore()

    @asynccontextmanager
    async def open_again() -> AsyncIterator[Store]:
        yield store

    return open_again


def sqlite_shelf(directory: Path) -> Shelf:
    return lambda: open_store(directory / "store.db")


SHELVES = (memory_shelf, faulty_shelf, sqlite_shelf)


@pytest.fixture(params=SHELVES)
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    """Opens a store; opened again, it holds what it held."""
    shelf_in: ShelfIn = request.param
    return shelf_in(tmp_path)


async def committed(shelf: Shelf, *batches: Batch) -> Restored:
    """What is found after reopening."""
    async with shelf() as store:
        for batch in batches:
            await store.commit(batch)
    async with shelf() as store:
        return await store.load()


def by_place(quotes: Sequence[StoredQuote]) -> dict[tuple[str, bytes], StoredQuote]:
    return {(stored.quote.asset, stored.author): stored for stored in quotes}


async def test_a_new_store_is_empty(shelf: Shelf) -> None:
    assert await committed(shelf) == Restored()
    assert await committed(shelf, Batch()) == Restored()


EXTREMES = [
    quote_at(1),
    quote_at(1, author=BOB),
    StoredQuote(Said(ALICE, 0, 0, 0, 0), Quote("A", 1, -18, 0, 0, 0, None)),
    StoredQuote(
        Said(BOB, UINT64_MAX, UINT64_MAX, UINT64_MAX, 2**63 - 1),
        Quote(
            "Z._/-" + "9" * 27,
            MANTISSA_MAX,
            18,
            UINT64_MAX,
            CONFIDENCE_MAX,
            255,
            {f"k={n}" + "~" * 28: " ,:\"'\\" + "v" * 26 for n in range(8)},
        ),
    ),
    StoredQuote(
        Said(ALICE, 2**63, 2**63 - 1, 1, 1), Quote("B", 2**62, 0, 2**63, 1, 1, {"empty": ""})
    ),
]


async def test_everything_comes_back_as_it_was(shelf: Shelf) -> None:
    marks = [
        Mark(ALICE, Topic.PRICES, UINT64_MAX, UINT64_MAX),
        Mark(ALICE, Topic.PRESENCE, 2**63, 0),
        Mark(BOB, Topic.PRICES, 2**63 - 1, 1),
    ]
    envelopes = [
        (EnvelopeKey(ALICE, EPOCH, 1), b"\0" * 128 * 1024),
        (EnvelopeKey(BOB, UINT64_MAX, UINT64_MAX), b"\xff"),
    ]
    batch = Batch(latest=EXTREMES, ticks=EXTREMES, envelopes=envelopes, marks=marks)
    found = await committed(shelf, batch)
    assert by_place(found.latest) == by_place(EXTREMES)
    assert len(found.latest) == len(EXTREMES)
    assert found.envelopes == dict(envelopes)
    assert set(found.marks) == set(marks)
    assert found.damaged == 0
    async with shelf() as store:
        for stored in EXTREMES:
            assert stored in await store.history(stored.quote.asset, 10)


async def test_who_was_known_and_where_comes_back(shelf: Shelf) -> None:
    nodes = [KnownNode(ALICE, START_NS), KnownNode(BOB, UINT64_MAX)]
    addrs = [
        KnownAddr(ALICE, "/ip4/198.51.100.7/tcp/4201", START_NS, 0),
        KnownAddr(ALICE, "/memory/3", None, 4),
        KnownAddr(BOB, "/memory/3", UINT64_MAX, 99),
    ]
    batch = Batch(nodes=nodes, addrs=addrs, last_sign_ns=START_NS)
    found = await committed(shelf, batch)
    assert sorted(found.nodes) == sorted(nodes)
    assert set(found.addrs) == set(addrs)
    assert (found.last_sign_ns, found.damaged) == (START_NS, 0)

    newer = Batch(
        nodes=[KnownNode(ALICE, START_NS + 1)],
        nodes_gone=[BOB, b"?" * 32],
        addrs=[KnownAddr(ALICE, "/memory/3", START_NS, 0)],
        addrs_gone=[(BOB, "/memory/3"), (BOB, "/nowhere/1")],
        last_sign_ns=START_NS - 1,
    )
    found = await committed(shelf, newer, Batch())
    assert found.nodes == tuple(newer.nodes)
    assert set(found.addrs) == {addrs[0], *newer.addrs}
    assert found.last_sign_ns == START_NS - 1  # what is told, not the highest


async def test_who_is_written_and_gone_at_once_is_gone(shelf: Shelf) -> None:
    batch = Batch(
        nodes=[KnownNode(ALICE, 1)],
        nodes_gone=[ALICE],
        addrs=[KnownAddr(ALICE, "/memory/3", None, 0)],
        addrs_gone=[(ALICE, "/memory/3")],
    )
    assert await committed(shelf, batch) == Restored()


async def test_a_newer_quote_replaces_the_one_of_its_author_only(shelf: Shelf) -> None:
    before = [quote_at(1), quote_at(1, author=BOB), quote_at(1, "ETH-USD")]
    found = await committed(shelf, Batch(latest=before), Batch(latest=[quote_at(2)]))
    assert by_place(found.latest) == by_place([*before[1:], quote_at(2)])


async def test_a_released_envelope_is_gone(shelf: Shelf) -> None:
    unknown = EnvelopeKey(b"?" * 32, 1, 1)
    found = await committed(shelf, update(1), update(2), Batch(released=[unknown]))
    assert list(found.envelopes) == [EnvelopeKey(ALICE, EPOCH, 2)]


async def test_an_envelope_stored_and_released_at_once_is_gone(shelf: Shelf) -> None:
    key = EnvelopeKey(ALICE, EPOCH, 1)
    assert (await committed(shelf, Batch(envelopes=[(key, b"x")], released=[key]))).envelopes == {}


@pytest.mark.parametrize("high", [(EPOCH, 9), (UINT64_MAX, 0), (2**63, 2**63)])
async def test_marks_never_go_back(shelf: Shelf, high: tuple[int, int]) -> None:
    mark = Mark(ALICE, Topic.PRICES, *high)
    low = Mark(ALICE, Topic.PRICES, EPOCH, 8)
    assert (await committed(shelf, Batch(marks=[low, mark, low]))).marks == (mark,)
    assert (await committed(shelf, Batch(marks=[low]))).marks == (mark,)


async def test_a_forgotten_author_s_marks_go_unless_its_quotes_are_stored(shelf: Shelf) -> None:
    marks = [Mark(author, topic, EPOCH, 9) for author in (ALICE, BOB) for topic in Topic]
    found = await committed(
        shelf,
        Batch(latest=[quote_at(1)], marks=marks),
        Batch(forgotten=[ALICE, BOB, b"?" * 32]),
    )
    assert {mark.author for mark in found.marks} == {ALICE}
    back = Mark(BOB, Topic.PRICES, EPOCH, 2)
    found = await committed(shelf, Batch(marks=[back], forgotten=[BOB]))
    assert [mark for mark in found.marks if mark.author == BOB] == [back]
    assert found.latest == (quote_at(1),)


async def test_marks_take_no_more_room_however_many_authors_come_and_go(shelf: Shelf) -> None:
    async with shelf() as store:
        for number in range(200):
            newcomer, oldest = (n.to_bytes(32, "big") for n in (number, max(0, number - 10)))
            mark = Mark(newcomer, Topic.PRESENCE, EPOCH, 1)
            await store.commit(Batch(marks=[mark], forgotten=[oldest] if number >= 10 else []))
        found = await store.load()
    assert (len(found.marks), found.damaged) == (10, 0)


async def test_to_repeat_a_batch_is_harmless(shelf: Shelf) -> None:
    once = await committed(shelf, update(1), update(2))
    again = await committed(shelf, update(2), update(2))
    assert by_place(again.latest) == by_place(once.latest)
    assert again.envelopes == once.envelopes
    assert set(again.marks) == set(once.marks)
    async with shelf() as store:
        assert len(await store.history("ASSET0", 10)) == 2


async def test_epochs_only_grow_whatever_the_clock_says(shelf: Shelf) -> None:
    async with shelf() as store:
        assert await store.begin_epoch(EPOCH) == EPOCH
        assert await store.begin_epoch(EPOCH) == EPOCH + 1
        assert await store.begin_epoch(EPOCH - 1_000) == EPOCH + 2
    async with shelf() as store:
        assert await store.begin_epoch(0) == EPOCH + 3
        assert await store.begin_epoch(EPOCH + 100) == EPOCH + 100


async def test_history_is_newest_first_of_one_asset_and_bounded(shelf: Shelf) -> None:
    batches = [
        Batch(ticks=[quote_at(seq), quote_at(seq, "ETH-USD"), quote_at(seq, author=BOB)])
        for seq in (3, 1, 2)
    ]
    await committed(shelf, *batches)
    async with shelf() as store:
        found = await store.history("BTC-USD", 5)
        assert [stored.seq for stored in found] == [3, 3, 2, 2, 1]
        assert {stored.quote.asset for stored in found} == {"BTC-USD"}
        assert await store.history("NONE", 5) == []


async def test_history_ends_after_seven_days(shelf: Shelf) -> None:
    async with shelf() as store:
        await store.commit(Batch(ticks=[quote_at(seq) for seq in range(10)]))
        assert await store.prune(START_NS + 10 * 10**9) == 0
        assert await store.prune(quote_at(3).received_ns + HISTORY_KEPT_NS) == 4
        assert [stored.seq for stored in await store.history("BTC-USD", 99)] == [9, 8, 7, 6, 5, 4]
        assert await store.prune(quote_at(3).received_ns + HISTORY_KEPT_NS) == 0


async def test_a_commit_cancelled_before_it_begins_writes_nothing(shelf: Shelf) -> None:
    async with shelf() as store:
        with trio.CancelScope() as scope:
            scope.cancel()
            await store.commit(update(1))
        assert scope.cancelled_caught
    assert await committed(shelf) == Restored()


# --- against a model --------------------------------------------------------------------------

authors = st.sampled_from([ALICE, BOB])
places = st.tuples(st.sampled_from([0, EPOCH, 2**63, UINT64_MAX]), st.integers(0, UINT64_MAX))
quotes = st.builds(
    Quote,
    st.sampled_from(["BTC-USD", "ETH-USD", "A"]),
    st.integers(1, MANTISSA_MAX),
    st.integers(-18, 18),
    st.integers(0, UINT64_MAX),
    st.integers(0, CONFIDENCE_MAX),
    st.integers(0, 255),
    st.none()
    | st.dictionaries(
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=32),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=32),
        min_size=1,
        max_size=8,
    ),
)


@st.composite
def stored_quotes(draw: st.DrawFn, authors: st.SearchStrategy[bytes]) -> StoredQuote:
    epoch, seq = draw(places)
    issued_ns, received_ns = draw(st.integers(0, UINT64_MAX)), draw(st.integers(0, 2**63 - 1))
    return StoredQuote(Said(draw(authors), epoch, seq, issued_ns, received_ns), draw(quotes))


@st.composite
def keys(draw: st.DrawFn) -> EnvelopeKey:
    epoch, seq = draw(places)
    return EnvelopeKey(draw(authors), epoch, seq % 3)


@st.composite
def marks(draw: st.DrawFn) -> Mark:
    return Mark(draw(authors), draw(st.sampled_from(Topic)), *draw(places))


batches = st.builds(
    Batch,
    latest=st.lists(stored_quotes(authors), max_size=4),
    ticks=st.lists(stored_quotes(st.just(ALICE)), max_size=4),
    envelopes=st.lists(st.tuples(keys(), st.binary(max_size=64)), max_size=3),
    released=st.lists(keys(), max_size=3),
    marks=st.lists(marks(), max_size=3),
    forgotten=st.lists(st.just(BOB), max_size=1),
    # What is remembered of others has stories of its own.
    nodes=st.just(()),
    nodes_gone=st.just(()),
    addrs=st.just(()),
    addrs_gone=st.just(()),
    last_sign_ns=st.none(),
)


class Model:
    """The contract, said with dictionaries."""

    def __init__(self) -> None:
        self.latest: dict[tuple[str, bytes], StoredQuote] = {}
        self.ticks: dict[tuple[str, int, bytes, int, int], StoredQuote] = {}
        self.envelopes: dict[EnvelopeKey, bytes] = {}
        self.marks: dict[tuple[bytes, Topic], Mark] = {}

    def commit(self, batch: Batch) -> None:
        quoted = {author for _, author in self.latest} | {key.author for key in self.envelopes}
        gone = set(batch.forgotten) - quoted
        self.marks = {place: mark for place, mark in self.marks.items() if place[0] not in gone}
        self.latest |= by_place(batch.latest)
        for tick in batch.ticks:
            place = tick.quote.asset, tick.received_ns, tick.author, tick.epoch, tick.seq
            self.ticks[place] = tick
        self.envelopes |= dict(batch.envelopes)
        for key in batch.released:
            self.envelopes.pop(key, None)
        for mark in batch.marks:
            before = self.marks.get((mark.author, mark.topic), mark)
            self.marks[mark.author, mark.topic] = max(
                before, mark, key=lambda mark: (mark.epoch, mark.seq)
            )

    async def check(self, store: Store) -> None:
        found = await store.load()
        assert by_place(found.latest) == self.latest
        assert len(found.latest) == len(self.latest)
        assert found.envelopes == self.envelopes
        assert {(mark.author, mark.topic): mark for mark in found.marks} == self.marks
        assert found.damaged == 0
        for asset in ("BTC-USD", "ETH-USD", "A"):
            history = await store.history(asset, 1_000)
            expected = [tick for tick in self.ticks.values() if tick.quote.asset == asset]
            assert len(history) == len(expected)
            assert all(tick in expected for tick in history)
            times = [tick.received_ns for tick in history]
            assert times == sorted(times, reverse=True)


# One life of a store after the other, each a few batches long.
lives = st.lists(st.lists(batches, max_size=4), min_size=1, max_size=3)


@pytest.mark.parametrize("shelf_in", SHELVES)
@settings(max_examples=15, deadline=None)
@given(lives=lives)
@example(  # an author's last envelope went before the author did
    lives=[
        [
            Batch(envelopes=[(EnvelopeKey(BOB, 0, 2), b"")], forgotten=[BOB]),
            Batch(released=[EnvelopeKey(BOB, 0, 2)], marks=[Mark(BOB, Topic.PRICES, 0, 0)]),
            Batch(forgotten=[BOB]),
        ]
    ]
)
def test_it_does_what_the_model_does(shelf_in: ShelfIn, lives: list[list[Batch]]) -> None:
    async def live(shelf: Shelf) -> None:
        model = Model()
        for life in lives:
            async with shelf() as store:
                for batch in life:
                    await store.commit(batch)
                    model.commit(batch)
                await model.check(store)
        async with shelf() as store:
            await model.check(store)

    with tempfile.TemporaryDirectory() as directory:
        trio.run(live, shelf_in(Path(directory)))
