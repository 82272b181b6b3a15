"""The records of the providers remembered, within their bound.

Whoever has prices in our book is worth more than whoever only says that it provides: strangers
that come in thousands push out each other.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from meshnode.core.flapping import Flaps
from meshnode.core.lifecycle import GONE, ProviderState
from meshnode.core.suspicion import INTERVAL_S, Suspicion
from protocols.ids import peer_id

PROVIDERS_MAX = 1_000  # full records; beyond it see `ProviderTable._make_room`


@dataclass(slots=True)
class ProviderRecord:
    """What is known of one provider.

    `said_at` is when its newest message was said, in seconds of the node's clock, and
    `last_seen_ns` the same in Unix time; `gone_since` is its `said_at` when it was lost, and
    `lost_at` when that was found. `lag_s` is what its clock lags behind ours.
    """

    key: bytes
    peer_id: str
    state: ProviderState
    said_at: float
    last_seen_ns: int
    is_discovered: bool = True
    interval_s: float = INTERVAL_S
    issued_ns: int = 0
    lag_s: float = 0.0
    lost_at: float | None = None
    gone_since: float | None = None
    skewed_at: float | None = None  # when it was last refused for its time, …
    is_hearsay: bool = False  # … by others, which is why it does not reach us
    began_at: float | None = None  # when we heard the first prices of its process
    returns: int = 0  # messages since it was gone
    assets_said: int | None = None
    suspicion: Suspicion | None = None
    flaps: Flaps = field(default_factory=Flaps)

    @property
    def is_broken_off(self) -> bool:
        """Whether it is suspect because a connection to it broke."""
        return self.suspicion is not None and self.suspicion.broken


class ProviderTable:
    """Records by key and by peer id, in two groups, each with the one heard last standing last.

    `has_prices(author)` says whether the book holds something of an author, `is_kept(author)`
    whether the operator wants it remembered in any case; `on_dropped` is told who made room.
    """

    def __init__(
        self,
        *,
        has_prices: Callable[[bytes], bool],
        is_kept: Callable[[bytes], bool],
        on_dropped: Callable[[ProviderRecord], None],
    ) -> None:
        self._has_prices = has_prices
        self._is_kept = is_kept
        self._on_dropped = on_dropped
        self._priced: OrderedDict[bytes, ProviderRecord] = OrderedDict()
        self._others: OrderedDict[bytes, ProviderRecord] = OrderedDict()
        self._by_peer: dict[str, bytes] = {}
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._by_peer)

    def __iter__(self) -> Iterator[ProviderRecord]:
        return chain(self._priced.values(), self._others.values())

    def get(self, author: bytes) -> ProviderRecord | None:
        """The record of an author."""
        return self._priced.get(author) or self._others.get(author)

    def find(self, peer: str) -> ProviderRecord | None:
        """The record of a peer id."""
        author = self._by_peer.get(peer)
        return None if author is None else self.get(author)

    def new(
        self, author: bytes, state: ProviderState, said_at: float, last_seen_ns: int
    ) -> ProviderRecord:
        """A record for an author that has none."""
        if len(self._by_peer) >= PROVIDERS_MAX:
            self._make_room()
        record = ProviderRecord(author, peer_id(author), state, said_at, last_seen_ns)
        self._others[author] = record
        self._by_peer[record.peer_id] = author
        self.heard(record)
        return record

    def heard(self, record: ProviderRecord) -> None:
        """A record's provider said something."""
        if record.key in self._priced:
            self._priced.move_to_end(record.key)
        elif self._has_prices(record.key) or self._is_kept(record.key):
            self._priced[record.key] = self._others.pop(record.key)
        else:
            self._others.move_to_end(record.key)

    def _make_room(self) -> None:
        """Whoever is without prices and was heard longest ago goes; else one gone; else anyone."""
        if self._others:
            _, victim = self._others.popitem(last=False)
        else:
            gone = (record for record in self._priced.values() if record.state in GONE)
            victim = next(gone, next(iter(self._priced.values())))
            del self._priced[victim.key]
        del self._by_peer[victim.peer_id]
        self.dropped += 1
        self._on_dropped(victim)
