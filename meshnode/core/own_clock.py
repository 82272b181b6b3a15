"""Is our own clock right? Told by the median of our peers' clocks."""

from collections.abc import Sequence
from statistics import median

PEERS_MIN = 3  # of fewer, one wrong clock would be half of the truth
DIFFERS_MAX_NS = 2 * 10**9
STEP_MIN_S = 1.0


class OwnClock:
    """What we judge by: our clock, corrected where most of our peers differ from it.

    Nothing is ever issued by the corrected time.
    """

    def __init__(self) -> None:
        self._ahead_ns = 0
        self._last: tuple[float, int] | None = None
        self.peers = 0

    @property
    def ahead_ns(self) -> int:
        """By how much our clock is ahead (below zero: behind); 0 where it agrees well enough."""
        return self._ahead_ns

    def corrected_ns(self, now_ns: int) -> int:
        """The time to judge by, given that of our own clock."""
        return now_ns - self._ahead_ns

    def measured(self, aheads_ns: Sequence[int]) -> bool:
        """How much we are ahead of each peer that was asked; whether the correction changed.

        Of fewer than PEERS_MIN nothing is learned.
        """
        if len(aheads_ns) < PEERS_MIN:
            return False
        ahead_ns = round(median(aheads_ns))
        before_ns = self._ahead_ns
        self._ahead_ns = ahead_ns if abs(ahead_ns) > DIFFERS_MAX_NS else 0
        self.peers = len(aheads_ns)
        return self._ahead_ns != before_ns

    def has_stepped(self, now: float, now_ns: int) -> bool:
        """Whether our clock was set since the last call: it went otherwise than the steady one."""
        last, self._last = self._last, (now, now_ns)
        if last is None:
            return False
        return abs((now_ns - last[1]) / 1e9 - (now - last[0])) > STEP_MIN_S


def ahead_ns(sent_ns: int, received_ns: int, peer_ns: int) -> int:
    """How much we are ahead of a peer that said `peer_ns` between our sending and receiving."""
    return (sent_ns + received_ns) // 2 - peer_ns
