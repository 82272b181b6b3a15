"""The book against a model of it: whatever the order, the newest stands, with its proof."""

import random
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from nacl.signing import SigningKey

from meshnode.core.book import (
    ASSETS_PER_AUTHOR_MAX,
    AUTHOR_SILENT_NS,
    Applied,
    Book,
)
from meshnode.core.records import EnvelopeKey, Restored, Said, StoredQuote
from protocols.envelope import Envelope, seal
from protocols.limits import AUTHOR_ENVELOPE_BYTES_MAX, QUOTES_MAX
from protocols.messages import Message, PriceUpdate
from protocols.quotes import Quote
from simulations.clock import START_NS

AUTHORS = [bytes([number]) * 32 for number in range(1, 5)]
ALICE, BOB, CAROL, MALLORY = AUTHORS
ASSETS = [f"{name}-USD" for name in "ABCDE"]


def update(
    assets: list[str],
    seq: int,
    *,
    by: bytes = ALICE,
    epoch: int = 1,
    issued_ns: int = START_NS,
    raw_bytes: int = 0,
) -> Envelope:
    """A price update, as far as the book looks at it: nobody verifies here."""
    price = 1000 * epoch + seq
    quotes = tuple(Quote(asset, price, 0, issued_ns, 0, 1, None) for asset in assets)
    message = Message("main", by, epoch, seq, issued_ns, PriceUpdate(quotes))
    raw = by[:1] + b"%d/%d" % (epoch, seq)
    return Envelope(raw.ljust(raw_bytes, b"."), b"", b"", message)


def key_of(envelope: Envelope) -> EnvelopeKey:
    return EnvelopeKey(envelope.message.author, envelope.message.epoch, envelope.message.seq)


def place_of(stored: StoredQuote) -> EnvelopeKey:
    return EnvelopeKey(stored.author, stored.epoch, stored.seq)


def assets_of(envelope: Envelope) -> set[str]:
    assert isinstance(envelope.message.payload, PriceUpdate)
    return {one.asset for one in envelope.message.payload.quotes}


def standing(book: Book) -> dict[tuple[str, bytes], EnvelopeKey]:
    return {
        (asset, stored.author): place_of(stored)
        for asset in book.assets()
        for stored in book.quotes_of(asset)
    }


def held(book: Book) -> Restored:
    """What a store would hold that wrote down everything."""
    latest = [stored for asset in book.assets() for stored in book.quotes_of(asset)]
    return Restored(tuple(latest), dict(book.proofs(None)))


@dataclass
class Model:
    """The newest envelope of every (asset, author)."""

    newest: dict[tuple[str, bytes], Envelope]

    def apply(self, envelope: Envelope) -> set[str]:
        changed = set()
        for asset in assets_of(envelope):
            stands = self.newest.get((asset, envelope.message.author))
            if stands is None or key_of(stands) < key_of(envelope):
                self.newest[asset, envelope.message.author] = envelope
                changed.add(asset)
        return changed

    def standing(self, envelope: Envelope) -> set[str]:
        """The assets for which this very envelope stands."""
        return {asset for (asset, _), stands in self.newest.items() if stands == envelope}

    def proofs(self) -> dict[EnvelopeKey, bytes]:
        return {key_of(envelope): envelope.raw for envelope in self.newest.values()}


class BookMachine(RuleBasedStateMachine):
    """Updates of several authors, in any order, again, late, and over restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.book = Book(authors_max=len(AUTHORS))
        self.model = Model({})
        self.said: dict[EnvelopeKey, Envelope] = {}
        self.now_ns = START_NS

    @rule(
        by=st.sampled_from(AUTHORS),
        epoch=st.integers(1, 3),
        seq=st.integers(1, 8),
        assets=st.lists(st.sampled_from(ASSETS), min_size=1, unique=True),
        live=st.booleans(),
    )
    def hear(self, by: bytes, epoch: int, seq: int, assets: list[str], live: bool) -> None:
        fresh = update(assets, seq, by=by, epoch=epoch)
        envelope = self.said.setdefault(key_of(fresh), fresh)  # a name is one message
        self.now_ns += 1
        before = self.model.proofs()
        applied = self.book.apply(envelope, self.now_ns, live=live)
        standing = self.model.standing(envelope)
        changed = self.model.apply(envelope)
        after = self.model.proofs()
        assert {stored.quote.asset for stored in applied.changed} == changed
        # What stood already, out of a peer's memory, is not recorded again when it is heard.
        ticks = assets_of(envelope) - standing if live else changed
        assert {stored.quote.asset for stored in applied.ticks} == ticks
        assert {place_of(stored) for stored in applied.ticks} <= {key_of(envelope)}
        assert applied.envelope == ((key_of(envelope), envelope.raw) if changed else None)
        assert sorted(applied.released) == sorted(before.keys() - after.keys())
        assert applied.refused == 0

    @rule()
    def restart(self) -> None:
        again = Book(authors_max=len(AUTHORS))
        again.restore(held(self.book))
        assert again.newest_ns == self.book.newest_ns
        assert sorted(held(again).latest, key=repr) == sorted(held(self.book).latest, key=repr)
        self.book = again

    @precondition(lambda self: len(self.said) > 1)
    @rule(order=st.randoms(use_true_random=False))
    def another_order_gives_the_same(self, order: random.Random) -> None:
        heard = list(self.said.values())
        order.shuffle(heard)
        other = Book(authors_max=len(AUTHORS))
        for envelope in heard:
            other.apply(envelope, START_NS)
        assert standing(other) == standing(self.book)
        assert dict(other.proofs(None)) == dict(self.book.proofs(None))

    @invariant()
    def the_newest_stands(self) -> None:
        expected = {place: key_of(envelope) for place, envelope in self.model.newest.items()}
        assert standing(self.book) == expected
        assert set(self.book.assets()) == {asset for asset, _ in expected}

    @invariant()
    def everything_that_stands_is_proven(self) -> None:
        assert dict(self.book.proofs(None)) == self.model.proofs()
        for asset in self.book.assets():
            for stored in self.book.quotes_of(asset):
                proof = self.model.newest[asset, stored.author].raw
                assert self.book.proof_of(stored) == proof
        wanted = {
            key_of(envelope): envelope.raw
            for (asset, _), envelope in self.model.newest.items()
            if asset in ASSETS[:2]
        }
        assert dict(self.book.proofs([*ASSETS[:2], "NONE-USD"])) == wanted


TestBook = BookMachine.TestCase
TestBook.settings = settings(max_examples=50, stateful_step_count=25, deadline=None)


# --- bounds ---------------------------------------------------------------------------------


def test_an_author_has_so_many_assets_and_the_rest_is_refused_and_counted() -> None:
    book = Book(authors_max=2)
    names = [f"A{number}" for number in range(ASSETS_PER_AUTHOR_MAX + 5)]
    refused = 0
    for seq, start in enumerate(range(0, len(names), QUOTES_MAX), 1):
        refused += book.apply(update(names[start : start + QUOTES_MAX], seq), START_NS).refused
    assert refused == book.refused == 5
    assert book.assets_of(ALICE) == ASSETS_PER_AUTHOR_MAX
    again = book.apply(update(names[:1] + names[-1:], 99), START_NS)
    assert [stored.quote.asset for stored in again.changed] == names[:1]  # what stands may change
    assert book.apply(update(names[-1:], 1, by=BOB), START_NS).refused == 0  # each has its own


def test_a_new_author_is_refused_while_nobody_has_been_silent_for_an_hour() -> None:
    book = Book(authors_max=2)
    book.apply(update(["A"], 1, by=ALICE), START_NS)
    book.apply(update(["A"], 1, by=BOB), START_NS + 1)
    late_ns = START_NS + AUTHOR_SILENT_NS - 1
    assert book.apply(update(["A", "B"], 1, by=CAROL), late_ns) == Applied(refused=2)
    assert book.refused == 2
    assert not book.holds(CAROL)


def test_the_author_silent_longest_makes_room_and_takes_everything_along() -> None:
    book = Book(authors_max=2)
    book.apply(update(["A", "OLD"], 1, by=ALICE), START_NS)
    book.apply(update(["A"], 1, by=BOB), START_NS + 1)
    applied = book.apply(update(["A"], 1, by=CAROL), START_NS + AUTHOR_SILENT_NS)
    assert applied.released == (EnvelopeKey(ALICE, 1, 1),)
    assert set(standing(book)) == {("A", BOB), ("A", CAROL)}
    assert set(book.assets()) == {"A"}
    assert not book.holds(ALICE)
    assert book.assets_of(ALICE) is None
    assert book.find_proof(EnvelopeKey(ALICE, 1, 1)) is None
    assert book.best("OLD", ()) is None


def test_whoever_speaks_is_not_silent_though_nothing_changes() -> None:
    book = Book(authors_max=1)
    book.apply(update(["A"], 2), START_NS)
    book.apply(update(["A"], 1), START_NS + AUTHOR_SILENT_NS)  # late: it changes nothing
    assert book.apply(update(["A"], 1, by=BOB), START_NS + AUTHOR_SILENT_NS + 1).refused == 1


def test_over_its_bytes_an_author_loses_the_proofs_that_prove_least() -> None:
    book = Book(authors_max=2)
    size = 128 * 1024
    fits = AUTHOR_ENVELOPE_BYTES_MAX // size
    strong = update(["S1", "S2"], 1, raw_bytes=size)
    book.apply(strong, START_NS)
    for seq in range(2, fits + 1):
        assert not book.apply(update([f"W{seq}"], seq, raw_bytes=size), START_NS).released
    applied = book.apply(update(["LAST"], fits + 1, raw_bytes=size), START_NS)
    kept = dict(book.proofs(None))
    assert sum(map(len, kept.values())) <= AUTHOR_ENVELOPE_BYTES_MAX
    assert key_of(strong) in kept  # the oldest, but it proves most
    assert applied.envelope is not None  # of those that prove one, the newest stay
    dropped = sorted(key.seq for key in applied.released)
    assert dropped == list(range(2, 2 + len(dropped)))
    weak = book.best("W2", ())
    assert weak is not None  # the price stands, without its proof
    assert book.proof_of(weak) is None
    assert book.assets_of(ALICE) == fits + 2


def test_a_shelf_that_is_full_is_not_sorted_for_every_update() -> None:
    book = Book(authors_max=1)
    size = 128 * 1024
    sweeps = [
        bool(book.apply(update([f"A{seq}"], seq, raw_bytes=size), START_NS).released)
        for seq in range(1, 130)
    ]
    assert 1 <= sum(sweeps) <= 130 * size * 8 // AUTHOR_ENVELOPE_BYTES_MAX


def test_a_store_that_holds_more_than_the_book_may_does_not_fill_it_beyond() -> None:
    latest = [
        StoredQuote(
            Said(author, 1, 1, START_NS, START_NS + number), Quote("A", 1, 0, 0, 0, 1, None)
        )
        for number, author in enumerate(AUTHORS)
    ]
    book = Book(authors_max=2)
    book.restore(Restored(tuple(latest)))
    assert {author for _, author in standing(book)} == {CAROL, MALLORY}  # those heard last
    assert book.refused == 2


def restored(raw: bytes, key: EnvelopeKey) -> Book:
    quote = Quote("A", 1, 0, 0, 0, 1, None)
    stored = StoredQuote(Said(*key, START_NS, START_NS), quote)
    book = Book(authors_max=1)
    book.restore(Restored((stored,), {key: raw}))
    return book


def test_a_proof_out_of_a_store_is_checked_before_it_is_served() -> None:
    signer = SigningKey(bytes(32))
    author = bytes(signer.verify_key)
    message = Message(
        "main", author, 1, 1, START_NS, PriceUpdate((Quote("A", 1, 0, 0, 0, 1, None),))
    )
    genuine = seal(message, signer).raw
    forged = seal(message, SigningKey(bytes(31) + b"1")).raw
    key = EnvelopeKey(author, 1, 1)
    assert restored(genuine, key).verify_proof(key) == genuine
    elsewhere = key._replace(seq=2)
    for raw, at in ((forged, key), (genuine[:-1], key), (genuine, elsewhere)):
        book = restored(raw, at)
        assert book.verify_proof(at) is None
        assert book.unproven == 1
        assert list(book.proofs(None)) == []  # dropped: it is not looked at again
        assert book.best("A", ()) is not None


# --- what is served -------------------------------------------------------------------------


def best_of(book: Book, *active: bytes) -> bytes:
    best = book.best("A", active)
    assert best is not None
    return best.author


def test_an_active_provider_s_price_is_served_though_another_s_is_newer() -> None:
    book = Book(authors_max=4)
    book.apply(update(["A"], 1, by=ALICE, issued_ns=START_NS), START_NS)
    book.apply(update(["A"], 1, by=BOB, issued_ns=START_NS + 5), START_NS + 5)
    assert best_of(book) == BOB
    assert best_of(book, ALICE) == ALICE
    assert best_of(book, ALICE, BOB) == BOB


def test_nobody_wins_by_a_clock_that_is_ahead() -> None:
    book = Book(authors_max=4)
    ahead_ns = START_NS + 9 * 10**9
    book.apply(update(["A"], 1, by=MALLORY, issued_ns=ahead_ns), START_NS)
    book.apply(update(["A"], 1, by=ALICE, issued_ns=START_NS + 10**9), START_NS + 10**9)
    assert best_of(book, ALICE, MALLORY) == ALICE
    assert book.newest_ns == START_NS + 10**9


def test_an_empty_book_knows_nothing() -> None:
    book = Book(authors_max=1)
    assert book.newest_ns is None
    assert book.best("A", ()) is None
    assert list(book.proofs(["A"])) == []
    assert list(book.quotes_of("A")) == []
