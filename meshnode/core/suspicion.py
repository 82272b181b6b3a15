"""When silence is suspicious, and when a suspicion is confirmed. Timing rules, all pure.

Silence is counted in the provider's own intervals.
"""

import math
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
VERDICTS_MAX = 8  # of different peers about one suspect; who knows nothing makes room

SuspicionCause: TypeAlias = Literal["silence", "connection"]


class Verdict(Enum):
    """What one peer's answer says of a suspect."""

    GONE = "gone"
    ALIVE = "alive"  # it is connected to it
    HEARD = "heard"  # it heard something that we did not: so far it was alive
    SKEWED = "skewed"  # it speaks, and is refused for its time: so it does not reach us
    UNKNOWN = "unknown"  # it can no better tell than we


_GONE_WORDS = frozenset({"suspect", "offline", "left"})
_NEIGHBOUR_HOPS = 1
_UNKNOWING = frozenset({Verdict.UNKNOWN, Verdict.HEARD})


def verdict_of(seen: ProviderStatus | None, last_seen_ns: int) -> Verdict:
    """What a peer's entry about a suspect means to us, who last saw it at `last_seen_ns`.

    A peer that is not connected to the suspect and has heard nothing newer only repeats what we
    know ourselves.
    """
    if seen is None:
        return Verdict.UNKNOWN
    if seen.state == "skewed":
        return Verdict.SKEWED
    if seen.state in _GONE_WORDS:
        return Verdict.GONE
    is_neighbour = seen.hop_count is not None and seen.hop_count <= _NEIGHBOUR_HOPS
    if seen.state == "active" and is_neighbour:
        return Verdict.ALIVE
    is_newer = seen.last_seen is not None and ns_from_rfc3339(seen.last_seen) > last_seen_ns
    return Verdict.HEARD if is_newer else Verdict.UNKNOWN


@dataclass(slots=True)
class Suspicion:
    """What speaks for one provider's being gone. `since` is seconds of the node's clock.

    `broken`: a connection to it broke. `refused`: a dial since then was refused, which a machine
    does that is there while the process is not. `unattested`: there was nobody to ask.
    `heard_at`: its last sign of life by the word of those who were asked.
    """

    since: float
    broken: bool = False
    refused: bool = False
    unattested: bool = False
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    heard_at: float = -math.inf

    def note(self, peer: str, verdict: Verdict, heard_at: float = -math.inf) -> None:
        """A peer's newest verdict, and when by its word the suspect last spoke."""
        verdicts = self.verdicts
        if peer not in verdicts and len(verdicts) >= VERDICTS_MAX:
            unknowing = next((one for one, told in verdicts.items() if told in _UNKNOWING), None)
            if unknowing is None or verdict in _UNKNOWING:
                return
            del verdicts[unknowing]
        verdicts[peer] = verdict
        self.heard_at = max(self.heard_at, heard_at)

    def note_refusal(self) -> None:
        """A dial was refused."""
        self.refused = True

    def note_nobody(self) -> None:
        """There was nobody to ask."""
        self.unattested = True

    def is_confirmed(self, silent_intervals: float, unheard_intervals: float) -> bool:
        """Whether the provider counts as gone after so much silence.

        `unheard_intervals` is how long nobody who was asked heard it either: less, or the same.
        """
        agreed = _any(self.verdicts, Verdict.GONE)
        # By our own ears alone: nobody keeps it alive by saying for ever that it hears it.
        if silent_intervals >= OFFLINE_AFTER_INTERVALS:
            return True
        if unheard_intervals >= OFFLINE_IF_AGREED_INTERVALS and agreed:
            return True
        if not (self.broken and self.refused):
            return False
        if agreed or (self.unattested and not self.verdicts):
            return True
        # None of those asked is connected to it: what it should have said meanwhile decides.
        unknowing = bool(self.verdicts) and _UNKNOWING.issuperset(self.verdicts.values())
        return unknowing and unheard_intervals >= SPOKEN_BY_INTERVALS


def interval_s(announced_ms: int) -> float:
    """The interval that a provider is held to, given the one it announced."""
    return min(max(INTERVAL_S, announced_ms / 1000), INTERVAL_MAX_S)


def _any(verdicts: Mapping[str, Verdict], wanted: Verdict) -> bool:
    return any(verdict is wanted for verdict in verdicts.values())
