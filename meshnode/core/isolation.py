"""Are we cut off ourselves? Told by who answers our pings."""

import math

ISOLATED_AFTER_S = 15.0


class Isolation:
    """Isolated is who has had no answer to a ping for ISOLATED_AFTER_S.

    Times are seconds of the node's clock. A node that starts has that long to find a peer.
    """

    def __init__(self, now: float) -> None:
        self._answered_at = now
        self._since: float | None = None

    @property
    def is_isolated(self) -> bool:
        """As of the last `check`."""
        return self._since is not None

    @property
    def begins_at(self) -> float:
        """When it begins if nobody answers; infinite while it lasts."""
        return self._answered_at + ISOLATED_AFTER_S if self._since is None else math.inf

    def silent_s(self, now: float) -> float:
        """How long nobody has answered."""
        return now - self._answered_at

    def answered(self, now: float) -> float | None:
        """A peer answered a ping; how long the isolation lasted that this ends, if any."""
        lasted_s = None if self._since is None else now - self._since
        self._answered_at, self._since = now, None
        return lasted_s

    def check(self, now: float) -> bool:
        """Let time count; whether an isolation begins with it."""
        if self._since is not None or now - self._answered_at < ISOLATED_AFTER_S:
            return False
        self._since = self._answered_at
        return True

    def paused(self, now: float, spare_s: float) -> None:
        """We were not running, so no answer could come: wait for one for `spare_s` at least."""
        self._answered_at = max(self._answered_at, now + spare_s - ISOLATED_AFTER_S)
