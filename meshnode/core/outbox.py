"""What still has to reach the disk: the newest of everything, and the history in order."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TypeVar

from meshnode.core.book import Applied
from meshnode.core.records import Batch, EnvelopeKey, KnownAddr, KnownNode, Mark, StoredQuote
from protocols.ids import Topic

# About 200 bytes each. While the store is away the history's oldest go first; everything else
# is bounded by the number of keys in the book.
TICKS_WAITING_MAX = 200_000
# Beyond it the newest stay on disk, and are counted: the next start finds no room for them, and
# lets them go.
FORGOTTEN_WAITING_MAX = 20_000
# What is remembered of others, each table. The oldest change goes, and is counted: the disk then
# knows a little less, or somebody whom the next start has no room for.
OTHERS_WAITING_MAX = 40_000

NameT = TypeVar("NameT")
T = TypeVar("T")


class Outbox:
    """Collects changes between commits; a batch that failed is given back."""

    def __init__(self, *, ticks_max: int = TICKS_WAITING_MAX) -> None:
        self._latest: dict[tuple[str, bytes], StoredQuote] = {}
        self._ticks: deque[StoredQuote] = deque()
        self._ticks_max = ticks_max
        self._envelopes: dict[EnvelopeKey, bytes] = {}
        self._released: dict[EnvelopeKey, None] = {}
        self._marks: dict[tuple[bytes, Topic], Mark] = {}
        self._forgotten: dict[bytes, None] = {}
        self._is_filled = False
        # Called once until all is taken, when something is put that waits for nothing else.
        self.on_filled: Callable[[], None] = lambda: None
        # Called before all is taken, for what can wait to be put.
        self.before_taken: Callable[[], None] = lambda: None
        # None: to be deleted.
        self._nodes: dict[bytes, KnownNode | None] = {}
        self._addrs: dict[tuple[bytes, str], KnownAddr | None] = {}
        self._last_sign_ns: int | None = None
        self.ticks_dropped = 0
        self.others_dropped = 0
        self.forgotten_dropped = 0

    def __len__(self) -> int:
        """How many rows wait."""
        return (
            len(self._latest)
            + len(self._ticks)
            + len(self._envelopes)
            + len(self._released)
            + len(self._marks)
            + len(self._forgotten)
            + len(self._nodes)
            + len(self._addrs)
            + (self._last_sign_ns is not None)
        )

    def put(self, applied: Applied, mark: Mark | None = None) -> None:
        """Add what an update changed, and the mark that goes with it in one transaction."""
        if applied.changed:
            # Fields by their place: a thousand quotes pass here for every update.
            self._latest.update({(said[1][0], said[0][0]): said for said in applied.changed})
        if applied.ticks:
            self._ticks.extend(applied.ticks)
            self._drop_oldest_ticks()
        if applied.envelope is not None:
            key, raw = applied.envelope
            self._envelopes[key] = raw
            # Its author was forgotten and is back: what is kept again must not be released.
            self._released.pop(key, None)
        for key in applied.released:
            # It may be on disk from an earlier commit, so it is released there as well.
            self._envelopes.pop(key, None)
            self._released[key] = None
        if mark is not None:
            self.raise_mark(mark)
        self._tell_filled()

    def raise_mark(self, mark: Mark) -> None:
        """Add a mark; the highest counts. Alone it waits for whatever else is to be written."""
        standing = self._marks.get((mark.author, mark.topic))
        if standing is None or (standing.epoch, standing.seq) < (mark.epoch, mark.seq):
            self._marks[mark.author, mark.topic] = mark

    def forget(self, author: bytes) -> None:
        """Let an author's marks go; what is said of it later is kept again."""
        for topic in Topic:
            self._marks.pop((author, topic), None)
        self._forget((author,))
        self._tell_filled()

    def put_others(
        self,
        nodes: Sequence[KnownNode] = (),
        nodes_gone: Sequence[bytes] = (),
        addrs: Sequence[KnownAddr] = (),
        addrs_gone: Sequence[tuple[bytes, str]] = (),
        last_sign_ns: int | None = None,
    ) -> None:
        """Add what is remembered of others, and who no more: all of it can wait, too."""
        if nodes or nodes_gone:
            self._nodes |= {node.author: node for node in nodes} | dict.fromkeys(nodes_gone)
        if addrs or addrs_gone:
            self._addrs |= {(a.author, a.addr): a for a in addrs} | dict.fromkeys(addrs_gone)
        if last_sign_ns is not None:
            self._last_sign_ns = last_sign_ns
        self._drop_oldest_others()

    def put_everything(
        self,
        latest: Iterable[StoredQuote],
        envelopes: Iterable[tuple[EnvelopeKey, bytes]],
    ) -> None:
        """Add all that stands, for a store that lost it."""
        for stored in latest:
            self._latest[stored.asset, stored.author] = stored
        self._envelopes.update(envelopes)
        self._tell_filled()

    def take(self) -> Batch:
        """All that waits, as one batch; the outbox is empty then."""
        self.before_taken()
        nodes, nodes_gone = _split(self._nodes)
        addrs, addrs_gone = _split(self._addrs)
        batch = Batch(
            tuple(self._latest.values()),
            tuple(self._ticks),
            tuple(self._envelopes.items()),
            tuple(self._released),
            tuple(self._marks.values()),
            tuple(self._forgotten),
            nodes=nodes,
            nodes_gone=nodes_gone,
            addrs=addrs,
            addrs_gone=addrs_gone,
            last_sign_ns=self._last_sign_ns,
        )
        self._latest.clear()
        self._ticks.clear()
        self._envelopes.clear()
        self._released.clear()
        self._marks.clear()
        self._forgotten.clear()
        self._is_filled = False
        self._nodes.clear()
        self._addrs.clear()
        self._last_sign_ns = None
        return batch

    def give_back(self, batch: Batch) -> None:
        """A batch was not committed: put it back behind whatever has come since."""
        for stored in batch.latest:
            self._latest.setdefault((stored.asset, stored.author), stored)
        self._ticks.extendleft(reversed(batch.ticks))
        self._drop_oldest_ticks()
        for key in batch.released:
            if key not in self._envelopes:
                self._released[key] = None
        for key, raw in batch.envelopes:
            if key not in self._released:
                self._envelopes.setdefault(key, raw)
        for mark in batch.marks:
            if mark.author not in self._forgotten:
                self.raise_mark(mark)
        # An author that was heard again meanwhile may lose its older marks all the same.
        self._forget(batch.forgotten)
        newer_nodes, newer_addrs, newer_sign_ns = self._nodes, self._addrs, self._last_sign_ns
        self._nodes, self._addrs = {}, {}
        self.put_others(
            batch.nodes, batch.nodes_gone, batch.addrs, batch.addrs_gone, batch.last_sign_ns
        )
        self._nodes |= newer_nodes
        self._addrs |= newer_addrs
        if newer_sign_ns is not None:
            self._last_sign_ns = newer_sign_ns
        self._drop_oldest_others()
        self._tell_filled()

    def _tell_filled(self) -> None:
        if not self._is_filled and len(self):
            self._is_filled = True
            self.on_filled()

    def _drop_oldest_others(self) -> None:
        self.others_dropped += _shorten(self._nodes) + _shorten(self._addrs)

    def _forget(self, authors: Iterable[bytes]) -> None:
        for author in authors:
            if author in self._forgotten or len(self._forgotten) < FORGOTTEN_WAITING_MAX:
                self._forgotten[author] = None
            else:
                self.forgotten_dropped += 1

    def _drop_oldest_ticks(self) -> None:
        while len(self._ticks) > self._ticks_max:
            self._ticks.popleft()
            self.ticks_dropped += 1


def _split(changes: dict[NameT, T | None]) -> tuple[tuple[T, ...], tuple[NameT, ...]]:
    """What is to be kept, and the names of what is to be deleted."""
    if not changes:
        return (), ()  # as mostly
    kept = tuple(change for change in changes.values() if change is not None)
    return kept, tuple(name for name, change in changes.items() if change is None)


def _shorten(changes: dict[NameT, T]) -> int:
    """Drop the oldest beyond the limit; returns how many."""
    excess = max(0, len(changes) - OTHERS_WAITING_MAX)
    for name in list(islice(changes, excess)):
        del changes[name]
    return excess
