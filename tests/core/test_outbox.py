"""The outbox against a disk whose commits fail: nothing is lost, nothing comes back."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from meshnode.core.book import AUTHOR_SILENT_NS, Applied, Book
from meshnode.core.outbox import OTHERS_WAITING_MAX, Outbox
from meshnode.core.records import Batch, EnvelopeKey, KnownAddr, KnownNode, Mark, Said, StoredQuote
from protocols.envelope import Envelope
from protocols.ids import Topic
from protocols.messages import Message, PriceUpdate
from protocols.quotes import Quote
from simulations.clock import START_NS

AUTHORS = [bytes([number]) * 32 for number in range(1, 5)]
ALICE, BOB = AUTHORS[:2]
ASSETS = [f"{name}-USD" for name in "ABC"]


def update(assets: list[str], seq: int, by: bytes = ALICE, epoch: int = 1) -> Envelope:
    quotes = tuple(Quote(asset, epoch * 100 + seq, 0, 0, 0, 1, None) for asset in assets)
    message = Message("main", by, epoch, seq, START_NS, PriceUpdate(quotes))
    return Envelope(by[:1] + b"%d/%d" % (epoch, seq), b"", b"", message)


def stored(seq: int, asset: str = "A-USD", received_ns: int = START_NS) -> StoredQuote:
    return StoredQuote(
        Said(ALICE, 1, seq, START_NS, received_ns), Quote(asset, seq, 0, 0, 0, 1, None)
    )


class Disk:
    """What every Store does with a batch, without the waiting."""

    def __init__(self) -> None:
        self.latest: dict[tuple[str, bytes], StoredQuote] = {}
        self.ticks: dict[StoredQuote, None] = {}
        self.envelopes: dict[EnvelopeKey, bytes] = {}
        self.marks: dict[tuple[bytes, Topic], Mark] = {}

    def commit(self, batch: Batch) -> None:
        self.latest.update({(one.quote.asset, one.author): one for one in batch.latest})
        self.ticks.update(dict.fromkeys(batch.ticks))
        self.envelopes.update(batch.envelopes)
        for key in batch.released:
            self.envelopes.pop(key, None)
        for mark in batch.marks:
            standing = self.marks.get((mark.author, mark.topic), mark)
            if (mark.epoch, mark.seq) >= (standing.epoch, standing.seq):
                self.marks[mark.author, mark.topic] = mark


class OutboxMachine(RuleBasedStateMachine):
    """A real book with too little room feeds it, so authors are evicted and come back."""

    @initialize()
    def start(self) -> None:
        self.book = Book(authors_max=2)
        self.outbox = Outbox()
        self.disk = Disk()
        self.taken: Batch | None = None
        self.said: dict[tuple[bytes, int, int], Envelope] = {}
        self.marks: dict[tuple[bytes, Topic], Mark] = {}
        self.ticks: list[StoredQuote] = []
        self.now_ns = START_NS

    @rule(
        by=st.sampled_from(AUTHORS),
        epoch=st.integers(1, 2),
        seq=st.integers(1, 6),
        assets=st.lists(st.sampled_from(ASSETS), min_size=1, unique=True),
        live=st.booleans(),
        silence=st.booleans(),
    )
    def put(
        self, by: bytes, epoch: int, seq: int, assets: list[str], live: bool, silence: bool
    ) -> None:
        envelope = self.said.setdefault((by, epoch, seq), update(assets, seq, by, epoch))
        self.now_ns += AUTHOR_SILENT_NS if silence else 1
        applied = self.book.apply(envelope, self.now_ns, live=live)
        self.ticks += applied.ticks
        mark = None
        if live:
            mark = Mark(by, Topic.PRICES, epoch, seq)
            place = (by, Topic.PRICES)
            self.marks[place] = max(
                self.marks.get(place, mark), mark, key=lambda m: (m.epoch, m.seq)
            )
        self.outbox.put(applied, mark)

    @precondition(lambda self: self.taken is None)
    @rule()
    def take(self) -> None:
        self.taken = self.outbox.take()
        assert not set(self.taken.released) & dict(self.taken.envelopes).keys()
        assert len(self.outbox) == 0

    @precondition(lambda self: self.taken is not None)
    @rule()
    def commit(self) -> None:
        assert self.taken is not None
        self.disk.commit(self.taken)
        self.taken = None

    @precondition(lambda self: self.taken is not None)
    @rule(was_written=st.booleans())
    def fail(self, was_written: bool) -> None:
        assert self.taken is not None
        if was_written:  # cancelled while the disk worked: nobody heard that it succeeded
            self.disk.commit(self.taken)
        self.outbox.give_back(self.taken)
        self.taken = None

    @rule()
    def drain(self) -> None:
        if self.taken is not None:
            self.fail(was_written=False)
        self.disk.commit(self.outbox.take())
        assert len(self.outbox) == 0
        assert not self.outbox.take()
        for asset in self.book.assets():
            for standing in self.book.quotes_of(asset):
                assert self.disk.latest[asset, standing.author] == standing
        assert self.disk.envelopes == dict(self.book.proofs(None))
        assert self.disk.marks == self.marks
        assert list(self.disk.ticks) == self.ticks
        assert self.outbox.ticks_dropped == 0


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)


def test_while_nothing_can_be_written_the_newest_of_everything_waits() -> None:
    outbox = Outbox(ticks_max=4)
    for seq in range(1, 4):
        failed = outbox.take()
        outbox.put(Applied(changed=(stored(seq),)), Mark(ALICE, Topic.PRICES, 1, seq))
        outbox.give_back(failed)  # what has come meanwhile is newer
    batch = outbox.take()
    assert batch.latest == (stored(3),)
    assert batch.marks == (Mark(ALICE, Topic.PRICES, 1, 3),)


def test_the_oldest_ticks_go_first_and_are_counted() -> None:
    outbox = Outbox(ticks_max=3)
    outbox.put(Applied(ticks=(stored(1), stored(2))))
    failed = outbox.take()
    outbox.put(Applied(ticks=(stored(3), stored(4))))
    outbox.give_back(failed)
    assert outbox.ticks_dropped == 1
    assert len(outbox) == 3
    assert outbox.take().ticks == (stored(2), stored(3), stored(4))
    outbox.put(Applied(ticks=tuple(map(stored, range(5, 10)))))
    assert outbox.ticks_dropped == 3
    assert outbox.take().ticks == tuple(map(stored, range(7, 10)))


def test_an_envelope_released_while_its_batch_failed_is_not_written() -> None:
    outbox, key = Outbox(), EnvelopeKey(ALICE, 1, 1)
    outbox.put(Applied(envelope=(key, b"raw")))
    failed = outbox.take()
    outbox.put(Applied(released=(key,)))
    outbox.give_back(failed)
    batch = outbox.take()
    assert batch.envelopes == ()
    assert batch.released == (key,)  # the failed commit may have written it after all


def test_an_envelope_kept_again_is_not_released() -> None:
    outbox, key = Outbox(), EnvelopeKey(ALICE, 1, 1)
    outbox.put(Applied(released=(key,)))  # its author was evicted
    outbox.put(Applied(envelope=(key, b"raw")))  # and is back, out of a peer's memory
    batch = outbox.take()
    assert (batch.envelopes, batch.released) == (((key, b"raw"),), ())
    outbox.put(Applied(released=(key,)))
    failed = outbox.take()
    outbox.put(Applied(envelope=(key, b"raw")))
    outbox.give_back(failed)
    batch = outbox.take()
    assert (batch.envelopes, batch.released) == (((key, b"raw"),), ())


def test_a_forgotten_author_s_marks_go_and_what_it_says_later_is_kept() -> None:
    outbox = Outbox()
    outbox.put(Applied(), Mark(ALICE, Topic.PRICES, 1, 5))
    outbox.put(Applied(), Mark(BOB, Topic.PRICES, 1, 5))
    outbox.forget(ALICE)
    outbox.put(Applied(), Mark(ALICE, Topic.PRESENCE, 2, 1))
    assert len(outbox) == 3
    batch = outbox.take()
    assert batch.forgotten == (ALICE,)
    assert batch.marks == (Mark(BOB, Topic.PRICES, 1, 5), Mark(ALICE, Topic.PRESENCE, 2, 1))
    assert not outbox.take()


def test_forgetting_waits_for_a_store_that_failed() -> None:
    outbox = Outbox()
    outbox.put(Applied(), Mark(ALICE, Topic.PRICES, 1, 5))
    outbox.forget(BOB)
    failed = outbox.take()
    outbox.forget(ALICE)
    outbox.give_back(failed)
    batch = outbox.take()
    assert set(batch.forgotten) == {ALICE, BOB}
    assert batch.marks == ()


def test_the_forgotten_that_wait_are_bounded_and_the_rest_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("meshnode.core.outbox.FORGOTTEN_WAITING_MAX", 2)
    outbox = Outbox()
    for author in (ALICE, BOB, b"c" * 32, ALICE):
        outbox.forget(author)
    assert outbox.take().forgotten == (ALICE, BOB)
    assert outbox.forgotten_dropped == 1


def test_what_is_remembered_of_others_is_taken_once_the_newest_of_each() -> None:
    outbox = Outbox()
    outbox.put_others([KnownNode(b"alice", 1)], [b"bob"], last_sign_ns=5)
    outbox.put_others([KnownNode(b"alice", 2), KnownNode(b"bob", 3)], last_sign_ns=4)
    outbox.put_others(addrs=[KnownAddr(b"alice", "/a", None, 0)])
    outbox.put_others(addrs_gone=[(b"alice", "/a")])
    assert len(outbox) == 4
    batch = outbox.take()
    assert batch.nodes == (KnownNode(b"alice", 2), KnownNode(b"bob", 3))
    assert (batch.nodes_gone, batch.addrs) == ((), ())
    assert batch.addrs_gone == ((b"alice", "/a"),)
    assert batch.last_sign_ns == 4
    assert not outbox.take()


def test_others_that_were_not_committed_are_put_behind_what_came_since() -> None:
    outbox = Outbox()
    outbox.put_others(
        [KnownNode(b"alice", 1), KnownNode(b"bob", 1)],
        addrs=[KnownAddr(b"alice", "/a", None, 0), KnownAddr(b"alice", "/b", None, 0)],
        last_sign_ns=5,
    )
    failed = outbox.take()
    outbox.put_others([KnownNode(b"alice", 2)], addrs_gone=[(b"alice", "/a")])
    outbox.give_back(failed)
    batch = outbox.take()
    assert set(batch.nodes) == {KnownNode(b"alice", 2), KnownNode(b"bob", 1)}
    assert batch.addrs == (KnownAddr(b"alice", "/b", None, 0),)
    assert (batch.addrs_gone, batch.last_sign_ns) == (((b"alice", "/a"),), 5)
    outbox.put_others(last_sign_ns=7)
    outbox.give_back(failed)
    assert outbox.take().last_sign_ns == 7


def test_others_wait_within_bounds() -> None:
    outbox = Outbox()
    outbox.put_others([KnownNode(str(n).encode(), n) for n in range(OTHERS_WAITING_MAX + 3)])
    assert outbox.others_dropped == 3
    assert outbox.take().nodes[0].last_seen_ns == 3
