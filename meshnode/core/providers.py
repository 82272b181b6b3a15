"""Who provides, and is it there? Decided from what is heard and from connections that break.

A provider is known by its messages, and lost when its connection breaks or it is silent for a
minute. Whatever is heard of it afterwards brings it back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from meshnode.core.facts import Fact, ProviderDiscovered, ProviderLost, ProviderReturned
from protocols.errors import Malformed
from protocols.ids import key_from_peer_id, peer_id
from protocols.messages import Presence, PresenceUpdate, PriceUpdate, Role

SILENCE_S = 60.0
PROVIDERS_MAX = 1_000  # full records; the one gone longest makes room
CONSUMERS_MAX = 20_000  # compact records; the one silent longest makes room
# A consumer is present for so many of its own announced intervals.
CONSUMER_INTERVALS = 2.5


class ProviderState(Enum):
    """What a provider is to us."""

    ACTIVE = "active"
    OFFLINE = "offline"
    LEFT = "left"


@dataclass(slots=True)
class ProviderRecord:
    """What is known of one provider.

    `heard_at`, `said_at` and `lost_at` are seconds of the node's clock: when its last message
    arrived, when that was issued, and when it was lost.
    """

    key: bytes
    peer_id: str
    state: ProviderState
    heard_at: float
    said_at: float
    last_seen_ns: int
    lost_at: float | None = None
    assets_said: int | None = None


class Providers:
    """Every provider we remember, and every other node we hear."""

    def __init__(self) -> None:
        self._records: dict[bytes, ProviderRecord] = {}
        self._by_peer: dict[str, bytes] = {}
        self._consumers: dict[bytes, float] = {}  # until when each is present

    # --- what happens -----------------------------------------------------------------------

    def remember(self, author: bytes, last_seen_ns: int, now: float, now_ns: int) -> None:
        """A provider from before a restart: known, not active until it is heard."""
        silent_s = max(0.0, (now_ns - last_seen_ns) / 1e9)
        record = self._new(author, ProviderState.OFFLINE, now - silent_s, last_seen_ns)
        record.lost_at = record.said_at

    def heard(
        self,
        author: bytes,
        payload: PriceUpdate | PresenceUpdate,
        issued_ns: int,
        now: float,
        now_ns: int,
    ) -> list[Fact]:
        """An accepted message; returns what it makes known."""
        if isinstance(payload, PresenceUpdate) and payload.role is Role.CONSUMER:
            return self._consumer(author, payload, issued_ns, now, now_ns)
        self._consumers.pop(author, None)
        if isinstance(payload, PresenceUpdate) and payload.state is Presence.LEAVING:
            return self._leave(author, issued_ns, now, now_ns)
        facts: list[Fact] = []
        record = self._records.get(author)
        if record is None:
            said_at, said_ns = _said(issued_ns, now, now_ns)
            record = self._new(author, ProviderState.ACTIVE, said_at, said_ns)
            facts.append(ProviderDiscovered(record.peer_id))
        elif record.state is not ProviderState.ACTIVE:
            lost_at = record.lost_at if record.lost_at is not None else record.heard_at
            if _said(issued_ns, now, now_ns)[0] <= lost_at:
                return []  # relayed late: what it said before it went does not bring it back
            gone_s = now - lost_at
            facts.append(ProviderReturned(record.peer_id, gone_s))
        record.state, record.lost_at = ProviderState.ACTIVE, None
        _note_sign(record, issued_ns, now, now_ns)
        if isinstance(payload, PresenceUpdate):
            record.assets_said = payload.assets
        return facts

    def connection_lost(self, peer: str, now: float) -> list[Fact]:
        """The last connection to a peer broke."""
        author = self._by_peer.get(peer)
        if author is None:
            return []
        return self._lose(author, ProviderState.OFFLINE, "connection", now)

    def sweep(self, now: float) -> list[Fact]:
        """Lose whoever has been silent too long, and forget consumers that are past."""
        facts: list[Fact] = []
        for record in self._records.values():
            if record.state is ProviderState.ACTIVE and now - record.heard_at >= SILENCE_S:
                facts += self._lose(record.key, ProviderState.OFFLINE, "silence", now)
        for key in [key for key, until in self._consumers.items() if until <= now]:
            del self._consumers[key]
        return facts

    # --- what is known ----------------------------------------------------------------------

    def active(self) -> frozenset[bytes]:
        """The keys of the providers that are there."""
        return frozenset(r.key for r in self._records.values() if r.state is ProviderState.ACTIVE)

    def records(self) -> Mapping[bytes, ProviderRecord]:
        """Every provider remembered, by key."""
        return self._records

    def present(self) -> frozenset[str]:
        """The peer ids of all nodes heard and not lost."""
        active = (self._records[key].peer_id for key in self.active())
        return frozenset(active) | frozenset(map(peer_id, self._consumers))

    def knows(self, peer: str) -> bool:
        """Whether a peer ever said, and is not forgotten to have said, that it is a node."""
        try:
            key = key_from_peer_id(peer)
        except Malformed:
            return False  # a node's key is of our kind, an asker's need not be
        return key in self._records or key in self._consumers

    def last_sign_ns(self) -> int | None:
        """The newest sign of life of any provider, Unix time; None where none is known."""
        return max((r.last_seen_ns for r in self._records.values()), default=None)

    def last_sign_at(self) -> float | None:
        """The same in seconds of the node's clock, which a wall clock that jumps leaves alone."""
        return max((r.said_at for r in self._records.values()), default=None)

    # --- inside -----------------------------------------------------------------------------

    def _new(
        self, author: bytes, state: ProviderState, said_at: float, last_seen_ns: int
    ) -> ProviderRecord:
        if len(self._records) >= PROVIDERS_MAX:
            gone = min(
                self._records.values(), key=lambda r: (r.state is ProviderState.ACTIVE, r.heard_at)
            )
            del self._records[gone.key], self._by_peer[gone.peer_id]
        record = ProviderRecord(author, peer_id(author), state, said_at, said_at, last_seen_ns)
        self._records[author] = record
        self._by_peer[record.peer_id] = author
        return record

    def _lose(self, author: bytes, state: ProviderState, cause: str, now: float) -> list[Fact]:
        record = self._records.get(author)
        if record is None:
            return []
        if record.state is not ProviderState.ACTIVE:
            if state is ProviderState.LEFT:  # its word of leaving came behind its connection's end
                record.state = state
            return []
        record.state, record.lost_at = state, now
        return [ProviderLost(record.peer_id, cause, now - record.heard_at)]

    def _leave(self, author: bytes, issued_ns: int, now: float, now_ns: int) -> list[Fact]:
        record = self._records.get(author)
        if record is not None and record.state is ProviderState.ACTIVE:
            _note_sign(record, issued_ns, now, now_ns)
        return self._lose(author, ProviderState.LEFT, "leaving", now)

    def _consumer(
        self, author: bytes, payload: PresenceUpdate, issued_ns: int, now: float, now_ns: int
    ) -> list[Fact]:
        self._consumers.pop(author, None)
        # A node that provided and says that it consumes provides no more.
        facts = self._leave(author, issued_ns, now, now_ns)
        if payload.state is Presence.ACTIVE:
            if len(self._consumers) >= CONSUMERS_MAX:
                del self._consumers[min(self._consumers, key=self._consumers.__getitem__)]
            interval_s = min(payload.interval_ms / 1000, 24 * 3600)
            self._consumers[author] = now + CONSUMER_INTERVALS * interval_s
        return facts


def _said(issued_ns: int, now: float, now_ns: int) -> tuple[float, int]:
    """When a message was issued, by the node's clock and in Unix time; not later than now."""
    said_ns = min(issued_ns, now_ns)
    return now - (now_ns - said_ns) / 1e9, said_ns


def _note_sign(record: ProviderRecord, issued_ns: int, now: float, now_ns: int) -> None:
    said_at, said_ns = _said(issued_ns, now, now_ns)
    record.heard_at = now
    record.said_at = max(record.said_at, said_at)
    record.last_seen_ns = max(record.last_seen_ns, said_ns)
