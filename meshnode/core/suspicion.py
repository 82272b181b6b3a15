"""When silence is suspicious, and when a suspicion is confirmed. Timing rules, all pure.

Silence is counted in the provider's own intervals.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, TypeAlias

from protocols.status import ProviderStatus
from protocols.timestamps import ns_from_rfc3339

SUSPECT_AFTER_INTERVALS = 3.0
OFFLINE_IF_AGREED_INTERVALS = 6.0
OFFLINE_AFTER_INTERVALS = 12.0
# Whoever is alive has spoken by now (an interval and its jitter), whatever its connection did.
SPOKEN_BY_INTERVALS = 1.1
# After we were not listening: so many more before anybody becomes suspect.
REARMED_INTERVALS = 2.0
INTERVAL_S = 5.0
# A short announced interval must not make a provider easier to accuse.
INTERVAL_MAX_S = 10.0
VERDICTS_MAX = 8  # of different peers about one suspect; later ones are not kept

SuspicionCause: TypeAlias = Literal["silence", "connection"]


class Verdict(Enum):
    """What one peer's answer says of a suspect."""

    GONE = "gone"
    ALIVE = "alive"
    SKEWED = "skewed"  # it speaks, and is refused for its time: so it does not reach us
    UNKNOWN = "unknown"  # it can no better tell than we


_GONE_WORDS = frozenset({"suspect", "offline", "left"})
_NEIGHBOUR_HOPS = 1


def verdict_of(seen: ProviderStatus | None, last_seen_ns: int) -> Verdict:
    """What a peer's entry about a suspect means to us, who last saw it at `last_seen_ns`.

    A peer that is not connected to the suspect and has heard nothing newer only repeats what we
    know ourselves.
    """
    if seen is None:
        return Verdict.UNKNOWN
    if seen.state == "skewed":
        return Verdict.SKEWED
    if seen.last_seen is not None and ns_from_rfc3339(seen.last_seen) > last_seen_ns:
        return Verdict.ALIVE
    if seen.state in _GONE_WORDS:
        return Verdict.GONE
    is_neighbour = seen.hop_count is not None and seen.hop_count <= _NEIGHBOUR_HOPS
    return Verdict.ALIVE if seen.state == "active" and is_neighbour else Verdict.UNKNOWN


@dataclass(slots=True)
class Suspicion:
    """What speaks for one provider's being gone. `since` is seconds of the node's clock.

    `broken`: a connection to it broke. `refused`: a dial since then was refused, which a machine
    does that is there while the process is not. `unattested`: there was nobody to ask.
    """

    since: float
    broken: bool = False
    refused: bool = False
    unattested: bool = False
    verdicts: dict[str, Verdict] = field(default_factory=dict)

    def note(self, peer: str, verdict: Verdict) -> None:
        """A peer's newest verdict."""
        if peer in self.verdicts or len(self.verdicts) < VERDICTS_MAX:
            self.verdicts[peer] = verdict

    def note_refusal(self) -> None:
        """A dial was refused."""
        self.refused = True

    def note_nobody(self) -> None:
        """There was nobody to ask."""
        self.unattested = True

    def is_confirmed(self, silent_intervals: float) -> bool:
        """Whether the provider counts as gone after so much silence."""
        agreed = _any(self.verdicts, Verdict.GONE)
        if silent_intervals >= OFFLINE_AFTER_INTERVALS:
            return True
        if silent_intervals >= OFFLINE_IF_AGREED_INTERVALS and agreed:
            return True
        if not (self.broken and self.refused):
            return False
        if agreed or (self.unattested and not self.verdicts):
            return True
        # Those asked know no better than we: what it should have said meanwhile decides.
        unknowing = set(self.verdicts.values()) == {Verdict.UNKNOWN}
        return unknowing and silent_intervals >= SPOKEN_BY_INTERVALS


def interval_s(announced_ms: int) -> float:
    """The interval that a provider is held to, given the one it announced."""
    return min(max(INTERVAL_S, announced_ms / 1000), INTERVAL_MAX_S)


def _any(verdicts: Mapping[str, Verdict], wanted: Verdict) -> bool:
    return any(verdict is wanted for verdict in verdicts.values())
