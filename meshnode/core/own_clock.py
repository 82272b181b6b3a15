"""Is our own clock right? Told by the clocks of most of our peers."""

from collections.abc import Iterable, Sequence
from statistics import median

PEERS_MIN = 3  # of fewer, one wrong clock would be half of the truth
DIFFERS_MAX_NS = 2 * 10**9
STEP_MIN_S = 1.0
TOLD_MAX_AGE_S = 90.0  # a round of asking our neighbours, and half of one
TOLD_MAX = 64  # peers; the one that told first makes room


class OwnClock:
    """What we judge by: our clock, corrected where most of our peers differ from it.

    Nothing is ever issued by the corrected time.
    """

    def __init__(self) -> None:
        self._ahead_ns = 0
        self._last: tuple[float, int] | None = None
        self._was_set = False
        self._told: dict[str, tuple[float, int]] = {}
        self.peers = 0

    @property
    def ahead_ns(self) -> int:
        """By how much our clock is ahead (below zero: behind); 0 where it agrees well enough."""
        return self._ahead_ns

    def corrected_ns(self, now_ns: int) -> int:
        """The time to judge by, given that of our own clock."""
        return now_ns - self._ahead_ns

    def told(self, peer: str, ahead_ns: int, now: float) -> None:
        """A peer told its time: by so much are we ahead of it."""
        self._told.pop(peer, None)
        self._told[peer] = now, ahead_ns
        if len(self._told) > TOLD_MAX:
            del self._told[next(iter(self._told))]

    def recent(
        self, peers: Iterable[str], now: float, max_age_s: float = TOLD_MAX_AGE_S
    ) -> list[int]:
        """By how much we are ahead of those of these peers that told their time lately."""
        told = (self._told[peer] for peer in peers if peer in self._told)
        return [ahead_ns for told_at, ahead_ns in told if now - told_at <= max_age_s]

    def is_confirmed(self, aheads_ns: Sequence[int]) -> bool:
        """Whether what we judge by agrees with so many peers; False also where these tell nothing.

        What was told a minute ago may have been set right since: before anything is changed, peers
        are to be asked anew.
        """
        ahead_ns = _agreed(aheads_ns)
        return ahead_ns is not None and abs(ahead_ns - self._ahead_ns) <= DIFFERS_MAX_NS

    def measured(self, aheads_ns: Sequence[int]) -> bool:
        """How much we are ahead of each peer that was asked; whether anything was learned.

        Of fewer than PEERS_MIN nothing is, nor where no more than half of them agree.
        """
        ahead_ns = _agreed(aheads_ns)
        if ahead_ns is None:
            return False
        self._correct(ahead_ns)
        self.peers = _agreeing(aheads_ns, ahead_ns)
        return True

    def read(self, now: float, now_ns: int) -> None:
        """Our clock was read: if it went otherwise than the steady one, it was set.

        Then what peers told before says nothing about it any more, and is forgotten. A correction
        stays as right as it was if it takes part in the step: most often the clock is set right.
        A clock that was right is believed until peers tell, as it goes on after a machine slept.
        """
        last, self._last = self._last, (now, now_ns)
        if last is None:
            return
        step_s = (now_ns - last[1]) / 1e9 - (now - last[0])
        if abs(step_s) <= STEP_MIN_S:
            return
        self._was_set = True
        self._told.clear()
        if self._ahead_ns:
            self._correct(self._ahead_ns + round(step_s * 1e9))

    def was_set(self) -> bool:
        """Whether our clock was set since the last call."""
        was_set, self._was_set = self._was_set, False
        return was_set

    def _correct(self, ahead_ns: int) -> None:
        self._ahead_ns = ahead_ns if abs(ahead_ns) > DIFFERS_MAX_NS else 0


def ahead_ns(sent_ns: int, received_ns: int, peer_ns: int) -> int:
    """How much we are ahead of a peer that said `peer_ns` between our sending and receiving."""
    return (sent_ns + received_ns) // 2 - peer_ns


def _agreed(aheads_ns: Sequence[int]) -> int | None:
    """What most agree on. The median of two camps of the same size is a time that nobody has."""
    if len(aheads_ns) < PEERS_MIN:
        return None
    ahead_ns = round(median(aheads_ns))
    return ahead_ns if 2 * _agreeing(aheads_ns, ahead_ns) > len(aheads_ns) else None


def _agreeing(aheads_ns: Sequence[int], ahead_ns: int) -> int:
    return sum(abs(one - ahead_ns) <= DIFFERS_MAX_NS for one in aheads_ns)
