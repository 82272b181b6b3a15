"""What happens to one provider: its record moved along the table, and the facts that makes."""

from collections import Counter
from collections.abc import Mapping
from typing import Literal

from meshnode.core.facts import (
    Fact,
    ProviderCleared,
    ProviderDiscovered,
    ProviderFlapping,
    ProviderLost,
    ProviderReturned,
    ProviderSkewed,
    ProviderSuspected,
    ProviderUnreachable,
)
from meshnode.core.lifecycle import GONE, LIVE, TRANSITIONS, LifeEvent, ProviderState
from meshnode.core.provider_table import ProviderRecord
from meshnode.core.suspicion import Suspicion, SuspicionCause

ASKED_ABOUT = frozenset({ProviderState.SUSPECT, ProviderState.UNREACHABLE})

LossCause = Literal["connection", "silence", "flapping"]


class Lives:
    """Who is live, and how many came and went. `now` is seconds of the node's clock."""

    def __init__(self) -> None:
        self._live: set[bytes] = set()
        self._counts: Counter[str] = Counter(discovered=0, returned=0, lost=0)

    @property
    def live(self) -> frozenset[bytes]:
        """The keys of those that are there, suspects included."""
        return frozenset(self._live)

    def __contains__(self, key: bytes) -> bool:
        return key in self._live

    def __len__(self) -> int:
        return len(self._live)

    def counts(self) -> Mapping[str, int]:
        """How many were discovered, returned, and were lost since the start."""
        return dict(self._counts)

    def forget(self, record: ProviderRecord) -> None:
        """A record made room for another."""
        self._live.discard(record.key)

    # --- coming -----------------------------------------------------------------------------

    def discover(self, record: ProviderRecord) -> list[Fact]:
        """It was never accepted before."""
        record.is_discovered = True
        self._move(record, LifeEvent.RETURNED)
        self._live.add(record.key)
        self._counts["discovered"] += 1
        return [ProviderDiscovered(record.peer_id)]

    def clear(self, record: ProviderRecord, silent_s: float, now: float) -> list[Fact]:
        """One message is enough of who was not known to be gone."""
        was = record.state
        self._move(record, LifeEvent.HEARD)
        if record.gone_since is not None:
            return self._returned(record, now)
        return [ProviderCleared(record.peer_id, was.value, silent_s)]

    def bring_back(self, record: ProviderRecord, now: float) -> list[Fact]:
        """It said enough since it was gone; that may have been once too often."""
        self._move(record, LifeEvent.RETURNED)
        return self._flapped(record, now) or self._returned(record, now)

    def release(
        self, record: ProviderRecord, now: float, *, silent: bool, isolated: bool
    ) -> list[Fact]:
        """What a flapping one is once it has been held long enough."""
        held_until = record.flaps.held_until
        if held_until is not None and now < held_until:
            return []
        record.flaps.released(now)
        if not silent:
            self._move(record, LifeEvent.RETURNED)
            return self._returned(record, now)
        if isolated:
            return self.cut_off(record, now)
        return self.lose(record, "flapping", now)

    # --- going ------------------------------------------------------------------------------

    def suspect(self, record: ProviderRecord, cause: SuspicionCause, now: float) -> list[Fact]:
        """It may be gone."""
        if not self._move(record, LifeEvent.SUSPECTED):
            return []
        record.suspicion = Suspicion(now)
        return [ProviderSuspected(record.peer_id, cause, now - record.said_at)]

    def cut_off(self, record: ProviderRecord, now: float) -> list[Fact]:
        """It is silent, and so is everybody else."""
        if not self._move(record, LifeEvent.CUT_OFF):
            return []
        record.suspicion = Suspicion(now)
        if record.gone_since is None:
            record.gone_since = record.said_at
        return [ProviderUnreachable(record.peer_id, now - record.said_at)]

    def skew(self, record: ProviderRecord) -> list[Fact]:
        """It is refused for its time."""
        return [ProviderSkewed(record.peer_id)] if self._move(record, LifeEvent.SKEWED) else []

    def lose(self, record: ProviderRecord, cause: LossCause, now: float) -> list[Fact]:
        """It is gone."""
        was_live = record.state in LIVE
        self._move(record, LifeEvent.CONFIRMED)
        self._gone(record, now)
        if not record.is_discovered:
            return []  # it was never there
        self._counts["lost"] += 1
        facts: list[Fact] = [ProviderLost(record.peer_id, cause, now - record.said_at)]
        return [*facts, *self._flapped(record, now)] if was_live else facts

    def leave(self, record: ProviderRecord, now: float) -> list[Fact]:
        """It said so."""
        was = record.state
        self._move(record, LifeEvent.LEAVES)
        if was in GONE:  # its word of leaving came behind its connection's end
            return []
        self._gone(record, now)
        record.flaps.left(now)
        self._counts["lost"] += 1
        return [ProviderLost(record.peer_id, "leaving", now - record.said_at)]

    # --- inside -----------------------------------------------------------------------------

    def _gone(self, record: ProviderRecord, now: float) -> None:
        record.lost_at, record.returns = now, 0
        if record.gone_since is None:
            record.gone_since = record.said_at

    def _returned(self, record: ProviderRecord, now: float) -> list[Fact]:
        since = record.said_at if record.gone_since is None else record.gone_since
        record.lost_at = record.gone_since = None
        self._counts["returned"] += 1
        return [ProviderReturned(record.peer_id, now - since)]

    def _flapped(self, record: ProviderRecord, now: float) -> list[Fact]:
        held_s = record.flaps.changed(now)
        if held_s is None:
            return []
        self._move(record, LifeEvent.FLAPPED)
        return [ProviderFlapping(record.peer_id, held_s)]

    def _move(self, record: ProviderRecord, event: LifeEvent) -> bool:
        """Whether the event changes the state."""
        before, record.state = record.state, TRANSITIONS[record.state][event]
        if record.state is before:
            return False
        if record.state in LIVE:
            self._live.add(record.key)
        else:
            self._live.discard(record.key)
        if record.state not in ASKED_ABOUT:
            record.suspicion = None
        if record.state is not ProviderState.SKEWED:
            record.is_hearsay = False
        return True
