"""Are we cut off ourselves? Told by who answers our pings."""

import math
from typing import NamedTuple

ISOLATED_AFTER_S = 15.0


class Relief(NamedTuple):
    """Somebody answers after so long a silence that others may not have heard us either.

    `isolated_s`: how long the isolation lasted that this ends, None where nobody noticed any.
    """

    isolated_s: float | None


class Isolation:
    """Isolated is who has had no answer to a ping for ISOLATED_AFTER_S.

    Times are seconds of the node's clock. A node that starts has that long to find a peer.
    `is_isolated` is as of the last `check`; `begins_at` is when it begins if nobody answers,
    infinite while it lasts. Both are read at every beat.
    """

    def __init__(self, now: float) -> None:
        self._answered_at = now
        self._since: float | None = None
        self.is_isolated = False
        self.begins_at = now + ISOLATED_AFTER_S

    def silent_s(self, now: float) -> float:
        """How long nobody has answered."""
        return now - self._answered_at

    def answered(self, now: float) -> Relief | None:
        """A peer answered a ping; what that ends, if anything."""
        silent_s, since = now - self._answered_at, self._since
        self._answered_at, self._since, self.is_isolated = now, None, False
        self.begins_at = now + ISOLATED_AFTER_S
        if since is None:
            return Relief(None) if silent_s >= ISOLATED_AFTER_S else None
        return Relief(now - since)

    def check(self, now: float) -> bool:
        """Let time count; whether an isolation begins with it."""
        if self.is_isolated or now < self.begins_at:
            return False
        self._since, self.is_isolated, self.begins_at = self._answered_at, True, math.inf
        return True

    def paused(self, now: float, spare_s: float) -> None:
        """We were not running, so no answer could come: wait for one for `spare_s` at least."""
        self._answered_at = max(self._answered_at, now + spare_s - ISOLATED_AFTER_S)
        if not self.is_isolated:
            self.begins_at = self._answered_at + ISOLATED_AFTER_S
