"""Who comes and goes too often is not believed for a while, and longer each time."""

from collections import deque
from dataclasses import dataclass, field

FLAP_CHANGES = 3  # so many losses and returns …
FLAP_WINDOW_S = 60.0  # … within this time
HOLD_MIN_S = 60.0
HOLD_MAX_S = 600.0  # also how long a provider must be steady to begin anew


@dataclass(slots=True)
class Flaps:
    """One provider's losses and returns. Times are seconds of the node's clock."""

    held_until: float | None = None
    _changes: deque[float] = field(default_factory=lambda: deque(maxlen=FLAP_CHANGES))
    _hold_s: float = HOLD_MIN_S
    _released_at: float | None = None

    def changed(self, now: float) -> float | None:
        """It was lost or returned; how long it is held if that was once too often."""
        self._changes.append(now)
        if len(self._changes) < FLAP_CHANGES or now - self._changes[0] > FLAP_WINDOW_S:
            return None
        if self._released_at is not None and now - self._released_at >= HOLD_MAX_S:
            self._hold_s = HOLD_MIN_S
        hold_s = self._hold_s
        self.held_until = now + hold_s
        self._hold_s = min(2 * hold_s, HOLD_MAX_S)
        return hold_s

    def left(self, now: float) -> None:
        """It left: a change like others, but it is not held for it, as it said so itself."""
        self._changes.append(now)
        self.held_until = None

    def released(self, now: float) -> None:
        """It is not held any more. What it did is forgotten, how often it was held is not."""
        self.held_until = None
        self._changes.clear()
        self._released_at = now
