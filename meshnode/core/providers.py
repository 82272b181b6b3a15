"""Who provides, and is it there: what is heard of providers and consumers, and what is known.

What speaks against a provider stands in `doubts`, what follows from what in `lifecycle`.
"""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from operator import attrgetter

from meshnode.core.consumers import Consumers
from meshnode.core.doubts import Doubts
from meshnode.core.facts import Fact
from meshnode.core.lag import age_s, learned
from meshnode.core.lifecycle import GONE, ProviderState
from meshnode.core.lives import Lives
from meshnode.core.provider_table import ProviderRecord, ProviderTable
from meshnode.core.suspicion import (
    INTERVAL_S,
    SUSPECT_AFTER_INTERVALS,
    Suspicion,
    interval_s,
)
from protocols.messages import Presence, PresenceUpdate, PriceUpdate, Role

RETURN_MESSAGES = 2  # one may have been under way for long
HEARD_WITHIN_S = 60.0
MISSED_S = 3_600.0  # one that is gone for longer is looked for no more
_STATE_OF = attrgetter("state")
_MISSED = frozenset({ProviderState.OFFLINE, ProviderState.UNREACHABLE})


class Providers:
    """Every provider we remember, and every other node we hear.

    Times: seconds of the node's clock, Unix ns. `has_prices(author)` says whether the book holds
    prices of an author, `is_kept(author)` whether the operator named it: they are forgotten last.
    """

    def __init__(
        self,
        *,
        has_prices: Callable[[bytes], bool] = lambda _author: False,
        is_kept: Callable[[bytes], bool] = lambda _author: False,
    ) -> None:
        self._lives = Lives()
        self._table = ProviderTable(
            has_prices=has_prices, is_kept=is_kept, on_dropped=self._lives.forget
        )
        self._consumers = Consumers()
        self.doubts = Doubts(self._table, self._lives)
        self._last_sign: tuple[float, int] | None = None

    # --- what is heard ----------------------------------------------------------------------

    def remember(self, author: bytes, last_seen_ns: int, now: float, now_ns: int) -> None:
        """A provider from before a restart: known, not active until it is heard."""
        said_at = now - max(0.0, (now_ns - last_seen_ns) / 1e9)
        record = self._table.new(author, ProviderState.UNREACHABLE, said_at, last_seen_ns)
        record.gone_since, record.suspicion = said_at, Suspicion(now)
        self._sign(record, said_at, last_seen_ns)
        self.doubts.listen_from(now)
        self.doubts.attend(record)

    def heard(
        self,
        author: bytes,
        payload: PriceUpdate | PresenceUpdate,
        issued_ns: int,
        now: float,
        now_ns: int,
        *,
        begins: bool = False,
    ) -> list[Fact]:
        """An accepted message; returns what it makes known.

        `begins`: it has the first prices of its author's process.
        """
        record = self._table.get(author)
        if isinstance(payload, PresenceUpdate) and payload.role is Role.CONSUMER:
            return self._consumer(author, record, payload, now)
        if begins and record is not None:
            record.began_at = now
        arrival_s = (now_ns - issued_ns) / 1e9
        age = age_s(arrival_s, record.lag_s if record else 0.0)
        said_ns = min(issued_ns, now_ns)
        if isinstance(payload, PresenceUpdate) and payload.state is Presence.LEAVING:
            return self._leaves(record, issued_ns, now - age, said_ns, now)
        if record is None or not record.is_discovered:
            if age >= SUSPECT_AFTER_INTERVALS * INTERVAL_S:
                return []  # the word of one who may be long gone
            record = record or self._table.new(author, ProviderState.ACTIVE, now - age, said_ns)
            facts = self._lives.discover(record)
            self._consumers.gone(author)
        else:
            facts = self._heard_again(record, issued_ns, now - age, said_ns, now)
        if issued_ns > record.issued_ns:
            record.issued_ns = issued_ns
            record.lag_s = learned(record.lag_s, arrival_s)
            if isinstance(payload, PresenceUpdate):
                record.assets_said = payload.assets
                record.interval_s = interval_s(payload.interval_ms)
        if record.state not in GONE:
            self._sign(record, now - age, said_ns)
            self._table.heard(record)
            self.doubts.attend(record)
        return facts

    def expire(self, now: float) -> None:
        """Forget the consumers whose next word is overdue."""
        self._consumers.expire(now)

    @property
    def expires_at(self) -> float:
        """When that may be so of one next; infinite where there are none."""
        return self._consumers.expires_at

    # --- what is known ----------------------------------------------------------------------

    def active(self) -> frozenset[bytes]:
        """The keys of the providers that are there, suspects included: their prices are live."""
        return self._lives.live

    @property
    def any_active(self) -> bool:
        """Whether any provider is there."""
        return bool(self._lives)

    def records(self) -> Mapping[bytes, ProviderRecord]:
        """Every provider remembered, by key."""
        return {record.key: record for record in self._table}

    def remembers(self, author: bytes) -> bool:
        """Whether a provider is one of these."""
        return self._table.get(author) is not None

    def find(self, peer: str) -> ProviderRecord | None:
        """The record of a provider by its peer id."""
        return self._table.find(peer)

    def misses_any(self, now: float) -> bool:
        """Whether one was lost within the hour without a farewell: we may be cut off from it."""
        return any(
            record.state in _MISSED and now - record.said_at < MISSED_S for record in self._table
        )

    def states(self) -> frozenset[ProviderState]:
        """The states in which any provider is."""
        return frozenset(map(_STATE_OF, self._table))

    def skewed(self) -> frozenset[str]:
        """The peer ids of the providers whose clock is wrong."""
        return frozenset(r.peer_id for r in self._table if r.state is ProviderState.SKEWED)

    def present(self) -> AbstractSet[str]:
        """The peer ids of all nodes heard and not lost."""
        live = (r.peer_id for r in self._table if r.key in self._lives)
        return self._consumers.peers() | frozenset(live)

    @property
    def present_count(self) -> int:
        """How many these are."""
        return len(self._lives) + len(self._consumers)

    def is_present(self, peer: str) -> bool:
        """Whether a node is one of these."""
        record = self._table.find(peer)
        is_live = record is not None and record.key in self._lives
        return is_live or peer in self._consumers.peers()

    def knows(self, peer: str) -> bool:
        """Whether a peer ever said, and is not forgotten to have said, that it is a node."""
        return self._table.find(peer) is not None or peer in self._consumers.peers()

    def unknown_of(self, peers: Iterable[str]) -> int:
        """How many of these peers never said so, or are forgotten to have."""
        consumers, find = self._consumers.peers(), self._table.find
        return sum(1 for peer in peers if peer not in consumers and find(peer) is None)

    def counts(self) -> Mapping[str, int]:
        """How many providers were discovered, returned, and were lost since the start."""
        return self._lives.counts()

    def consumers_heard_since(self, at: float) -> int:
        """How many consumers have spoken after a moment."""
        return self._consumers.heard_since(at)

    def consumers_heard_again(self, at: float) -> int:
        """How many of the consumers that had been heard by a moment have spoken after it."""
        return self._consumers.heard_again(at)

    def consumers_known_at(self, at: float) -> int:
        """How many of the consumers present had been heard by a moment."""
        return self._consumers.known_at(at)

    def heard_until(self, at: float) -> int:
        """How many providers were heard in the minute up to a moment, and did not leave since."""
        return sum(
            record.said_at > at - HEARD_WITHIN_S and record.state is not ProviderState.LEFT
            for record in self._table
        )

    def last_sign_ns(self) -> int | None:
        """The newest sign of life of any provider, Unix time; None where none is known."""
        return None if self._last_sign is None else self._last_sign[1]

    def last_sign_at(self) -> float | None:
        """The same in seconds of the node's clock, which a wall clock that jumps leaves alone."""
        return None if self._last_sign is None else self._last_sign[0]

    # --- inside -----------------------------------------------------------------------------

    def _heard_again(
        self, record: ProviderRecord, issued_ns: int, said_at: float, said_ns: int, now: float
    ) -> list[Fact]:
        is_fresh = now - said_at < SUSPECT_AFTER_INTERVALS * record.interval_s
        if record.state in GONE:
            return self._heard_of_one_gone(
                record, issued_ns, said_at, said_ns, now, is_fresh=is_fresh
            )
        if record.state is ProviderState.ACTIVE or record.state is ProviderState.FLAPPING:
            return []
        if said_at <= record.said_at or not is_fresh:
            return []
        # What it said before its connection broke may come by another way just after that. It
        # may have been said sooner than its age tells, as its lag holds the usual way here.
        suspicion, earliest_at = record.suspicion, said_at - max(0.0, record.lag_s)
        if suspicion is not None and suspicion.broken and earliest_at <= suspicion.since:
            return []
        return self._lives.clear(record, now - record.said_at, now)

    def _heard_of_one_gone(
        self,
        record: ProviderRecord,
        issued_ns: int,
        said_at: float,
        said_ns: int,
        now: float,
        *,
        is_fresh: bool,
    ) -> list[Fact]:
        # Relayed late: what it said before it went does not bring it back.
        is_late = record.lost_at is not None and said_at <= record.lost_at
        if is_late or not is_fresh or issued_ns <= record.issued_ns:
            return []
        follows = said_at - record.said_at < SUSPECT_AFTER_INTERVALS * record.interval_s
        record.returns = record.returns + 1 if record.returns and follows else 1
        record.said_at, record.last_seen_ns = said_at, said_ns
        if record.returns < RETURN_MESSAGES:
            return []
        self._consumers.gone(record.key)
        return self._lives.bring_back(record, now)

    def _leaves(
        self,
        record: ProviderRecord | None,
        issued_ns: int,
        said_at: float,
        said_ns: int,
        now: float,
    ) -> list[Fact]:
        if record is None:
            return []  # a stranger that leaves was never there
        record.issued_ns = max(record.issued_ns, issued_ns)
        if record.state not in GONE:
            self._sign(record, said_at, said_ns)
        return self._lives.leave(record, now)

    def _consumer(
        self, author: bytes, record: ProviderRecord | None, payload: PresenceUpdate, now: float
    ) -> list[Fact]:
        if payload.state is Presence.ACTIVE:
            self._consumers.heard(author, payload.interval_ms / 1000, now)
        else:
            self._consumers.gone(author)
        # A node that provided and says that it consumes provides no more.
        return [] if record is None else self._lives.leave(record, now)

    def _sign(self, record: ProviderRecord, said_at: float, said_ns: int) -> None:
        record.said_at = max(record.said_at, said_at)
        record.last_seen_ns = max(record.last_seen_ns, said_ns)
        if self._last_sign is None or said_at > self._last_sign[0]:
            self._last_sign = (said_at, said_ns)
