"""Which names were heard: (epoch, seq) per author and topic, within fixed memory.

Names are what stops a replay, so whatever is forgotten here is forgotten towards refusing: a
window that gives up its slots counts everything up to its mark as seen.
"""

from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from protocols.ids import Topic
from protocols.limits import NAME_WINDOW
from protocols.messages import Name

AUTHORS_MAX = 20_000  # forget one that may be forgotten, else refuse the new one, and count it
WINDOWS_MAX = 1_000  # of 8 KiB each; demote the least recently heard, and count it
# Longer than the last message of an author can pass for fresh (10 s ahead and 60 s behind):
# after that a replay is refused for its time, without its name.
FORGET_AFTER_NS = 120 * 10**9


class Standing(Enum):
    """What is known of a name before its message is judged."""

    NEW = auto()
    KNOWN = auto()  # with the same body
    CONFLICT = auto()  # with another body
    TOO_OLD = auto()


class NameWindow:
    """One author's names on one topic: its epoch, its mark, and what was seen behind the mark.

    `width` is how far behind the mark an unseen seq is still new: 0 where order is strict.
    The slots (8 bytes of body digest each) exist from the first `mark()` on, where width > 0.
    """

    __slots__ = ("_digests", "_floor", "_width", "epoch", "seq")

    def __init__(self, width: int) -> None:
        self.epoch = 0
        self.seq = 0  # the highest accepted in this epoch: with it the mark is (epoch, seq)
        self._width = width
        self._floor = 0  # everything up to here counts as seen, its body unknown
        self._digests: array[int] | None = None

    def classify(self, epoch: int, seq: int, digest: int) -> Standing:
        """Where (epoch, seq) stands; `digest` is 64 bits of the body's hash. Changes nothing."""
        if epoch < self.epoch or seq < 1:
            return Standing.TOO_OLD
        if epoch > self.epoch or seq > self.seq:
            return Standing.NEW
        if seq <= max(self._floor, self.seq - self._width):
            return Standing.TOO_OLD
        assert self._digests is not None, "only mark() parts the mark from the floor"
        seen = self._digests[seq % self._width]
        if seen == 0:
            return Standing.NEW
        return Standing.KNOWN if seen == _nonzero(digest) else Standing.CONFLICT

    def mark(self, epoch: int, seq: int, digest: int) -> None:
        """Take (epoch, seq), which must be NEW, as seen; the mark never goes down."""
        assert self.classify(epoch, seq, digest) is Standing.NEW, "only a new name is marked"
        if epoch > self.epoch:
            self._begin(epoch)
        if self._width:
            if self._digests is None or seq - self.seq >= self._width:
                self._digests = array("Q", bytes(8 * self._width))
            else:
                for skipped in range(self.seq + 1, seq):
                    self._digests[skipped % self._width] = 0
            self._digests[seq % self._width] = _nonzero(digest)
        self.seq = max(self.seq, seq)

    def restore(self, epoch: int, seq: int) -> None:
        """Count everything up to a stored mark as seen; a lower one than ours changes nothing."""
        if (epoch, seq) <= (self.epoch, self.seq):
            return
        if epoch > self.epoch:
            self._begin(epoch)
        self.seq = seq
        self.demote()

    def demote(self) -> None:
        """Give up the slots: everything up to the mark counts as seen from now on."""
        self._floor = self.seq
        self._digests = None

    def _begin(self, epoch: int) -> None:
        self.epoch, self.seq, self._floor, self._digests = epoch, 0, 0, None


def _nonzero(digest: int) -> int:
    return digest or 1  # 0 is an empty slot


class _Author:
    """An author's windows, each from its first name on: most authors never say a price.

    `fresh_ns`: when it was last heard, or last found to be kept.
    """

    __slots__ = ("fresh_ns", "presence", "prices")

    def __init__(self) -> None:
        self.fresh_ns = 0
        self.prices: NameWindow | None = None
        self.presence: NameWindow | None = None

    def window(self, topic: Topic) -> NameWindow | None:
        return self.prices if topic is Topic.PRICES else self.presence

    def begun_window(self, topic: Topic) -> NameWindow:
        if topic is Topic.PRICES:
            if self.prices is None:
                self.prices = NameWindow(NAME_WINDOW)
            return self.prices
        if self.presence is None:
            self.presence = NameWindow(0)
        return self.presence


@dataclass(frozen=True, slots=True)
class NamesStatistics:
    """Sizes now, and counts since the start."""

    authors: int
    windows: int
    forgotten: int
    demoted: int
    refused: int


class Names:
    """The names of all authors, within bounds: `windows_max` of them with slots.

    An author is forgotten only to make room, and only if it has been unheard for over
    FORGET_AFTER_NS, is not on the allowlist, and `is_kept(author)` says that nothing of it is
    stored. `on_forgotten` is told of each, so that its stored marks can go as well. Every
    operation is O(1), amortised.
    """

    def __init__(
        self,
        *,
        is_kept: Callable[[bytes], bool],
        on_forgotten: Callable[[bytes], None] = lambda _author: None,
        allowlist: frozenset[bytes] = frozenset(),
        authors_max: int = AUTHORS_MAX,
        windows_max: int = WINDOWS_MAX,
    ) -> None:
        self._is_kept = is_kept
        self._on_forgotten = on_forgotten
        self._allowlist = allowlist
        self._authors_max = authors_max
        self._windows_max = windows_max
        self._authors: OrderedDict[bytes, _Author] = OrderedDict()  # by fresh_ns, oldest first
        self._windows: OrderedDict[bytes, NameWindow] = OrderedDict()  # with slots, by last heard
        self._forgotten = self._demoted = self._refused = 0

    def classify(self, name: Name, digest: int) -> Standing:
        """Where a name stands; `digest` is 64 bits of its body's hash. Changes nothing."""
        window = self._window(name)
        if window is None:
            return Standing.NEW if name.seq >= 1 else Standing.TOO_OLD
        return window.classify(name.epoch, name.seq, digest)

    def is_ahead(self, name: Name) -> bool:
        """Whether a name is beyond its author's mark."""
        window = self._window(name)
        return window is None or (name.epoch, name.seq) > (window.epoch, window.seq)

    def make_room(self, author: bytes, now_ns: int) -> bool:
        """Whether the author may be marked; forgets another one where that is what it takes."""
        # The operator's own list is its own bound: strangers must not lock out who stands on it.
        if author in self._authors or author in self._allowlist:
            return True
        if len(self._authors) < self._authors_max or self._forget_one(now_ns):
            return True
        self._refused += 1
        return False

    def mark(self, name: Name, digest: int, now_ns: int) -> None:
        """Take a name, which must be NEW and have room, as seen and its author as heard."""
        window = self._heard(name.author, now_ns).begun_window(name.topic)
        window.mark(name.epoch, name.seq, digest)
        if name.topic is Topic.PRICES:
            self._windows[name.author] = window
            self._windows.move_to_end(name.author)
            if len(self._windows) > self._windows_max:
                _, least_recent = self._windows.popitem(last=False)
                least_recent.demote()
                self._demoted += 1

    def restore(self, mark: Name, now_ns: int) -> bool:
        """Take over a stored mark; False where there is no room for its author.

        A restored author counts as heard now. One that found no room is therefore refused until
        its last messages have expired: a replay gains nothing by the lost mark.
        """
        if not self.make_room(mark.author, now_ns):
            return False
        author = self._heard(mark.author, now_ns)
        author.begun_window(mark.topic).restore(mark.epoch, mark.seq)
        return True

    def marks(self) -> Iterator[Name]:
        """The highest (epoch, seq) of every author and topic."""
        for key, author in self._authors.items():
            for topic in Topic:
                window = author.window(topic)
                if window is not None and window.seq:
                    yield Name(key, topic, window.epoch, window.seq)

    def statistics(self) -> NamesStatistics:
        """How full it is and what it gave up."""
        return NamesStatistics(
            len(self._authors), len(self._windows), self._forgotten, self._demoted, self._refused
        )

    def _window(self, name: Name) -> NameWindow | None:
        author = self._authors.get(name.author)
        return None if author is None else author.window(name.topic)

    def _heard(self, key: bytes, now_ns: int) -> _Author:
        author = self._authors.get(key)
        if author is None:
            author = self._authors[key] = _Author()
        author.fresh_ns = now_ns
        self._authors.move_to_end(key)
        return author

    def _forget_one(self, now_ns: int) -> bool:
        while self._authors:
            key, author = next(iter(self._authors.items()))
            if now_ns - author.fresh_ns <= FORGET_AFTER_NS:
                return False
            if key in self._allowlist or self._is_kept(key):
                # Passed over as if just heard, hence looked at once in FORGET_AFTER_NS at most.
                self._heard(key, now_ns)
                continue
            del self._authors[key]
            self._windows.pop(key, None)
            self._forgotten += 1
            self._on_forgotten(key)
            return True
        return False
