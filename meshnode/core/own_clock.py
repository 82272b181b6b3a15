"""Is our own clock right? Told by the clocks of our peers, and by whose messages come in time."""

from collections.abc import Iterable, Sequence
from statistics import median

PEERS_MIN = 3  # of fewer, one wrong clock would be half of the truth
DIFFERS_MAX_NS = 2 * 10**9
STEP_MIN_S = 1.0
TOLD_MAX_AGE_S = 90.0  # a round and a half of few neighbours; of more, four have told by then
TOLD_MAX = 64  # peers, and authors; the one that told first makes room
# After our clock was set: where a machine slept, what was heard before says nothing.
KEPT_OVER_A_STEP = 2


class OwnClock:
    """What we judge by: our clock, corrected where most of those who tell the time differ from it.

    Peers tell it when they are asked. Authors whose messages come in time tell that what we judge
    by is right: so they can keep it as it is, and never move it. Nothing is ever issued by the
    corrected time.
    """

    def __init__(self) -> None:
        self._ahead_ns = 0
        self._off_s: float | None = None  # our clock less the steady one, when it was read last
        self._was_set = False
        # When each said so, and by how much we are ahead then.
        self._told: dict[str, tuple[float, int]] = {}
        self._in_time: dict[bytes, tuple[float, int]] = {}
        self.peers = 0

    @property
    def ahead_ns(self) -> int:
        """By how much our clock is ahead (below zero: behind); 0 where it agrees well enough."""
        return self._ahead_ns

    def corrected_ns(self, now_ns: int) -> int:
        """The time to judge by, given that of our own clock."""
        return now_ns - self._ahead_ns

    # --- what is told -----------------------------------------------------------------------

    def told(self, peer: str, ahead_ns: int, now: float) -> None:
        """A peer told its time: by so much are we ahead of it."""
        self._told.pop(peer, None)
        self._told[peer] = now, ahead_ns
        if len(self._told) > TOLD_MAX:
            del self._told[next(iter(self._told))]

    def heard(self, author: bytes, age_ns: int, now: float) -> None:
        """A message of another author was accepted, of this age by what we judge by."""
        if abs(age_ns) > DIFFERS_MAX_NS:
            return  # it was long under way, or its author's clock is a little wrong
        self._in_time.pop(author, None)
        self._in_time[author] = now, self._ahead_ns
        if len(self._in_time) > TOLD_MAX:
            del self._in_time[next(iter(self._in_time))]

    def recent(
        self, peers: Iterable[str], now: float, max_age_s: float = TOLD_MAX_AGE_S
    ) -> list[int]:
        """By how much we are ahead of those of these peers that told their time lately."""
        told = (self._told[peer] for peer in peers if peer in self._told)
        return [ahead_ns for told_at, ahead_ns in told if now - told_at <= max_age_s]

    # --- what is made of it -----------------------------------------------------------------

    def confirm(self, aheads_ns: Sequence[int], now: float) -> bool:
        """As `measured`, where these peers agree with what we judge by; else nothing is learned.

        What was told a minute ago may have been set right since: before more is changed, peers are
        to be asked anew.
        """
        agreed_ns = self._agreed(aheads_ns, now)
        if agreed_ns is None or abs(agreed_ns - self._ahead_ns) > DIFFERS_MAX_NS:
            return False
        self._believe(agreed_ns, aheads_ns)
        return True

    def measured(self, aheads_ns: Sequence[int], now: float) -> bool:
        """How much we are ahead of each peer that was asked; whether anything was learned.

        Of fewer than PEERS_MIN nothing is, nor where no camp is the largest, or it is too small.
        """
        agreed_ns = self._agreed(aheads_ns, now)
        if agreed_ns is None:
            return False
        self._believe(agreed_ns, aheads_ns)
        return True

    def _agreed(self, aheads_ns: Sequence[int], now: float) -> int | None:
        """What the largest camp agrees on: the median of several is a time that nobody has."""
        if len(aheads_ns) < PEERS_MIN:
            return None
        heard = [one for at, one in self._in_time.values() if now - at <= TOLD_MAX_AGE_S]
        told = sorted((*aheads_ns, *heard))
        first, last = _largest_camp(told)
        others = told[:first] + told[last:]
        others_first, others_last = _largest_camp(others)
        size = last - first
        is_large = size >= PEERS_MIN or 2 * size > len(told)
        if not is_large or size <= others_last - others_first:
            return None
        return round(median(told[first:last]))

    # --- our clock itself -------------------------------------------------------------------

    def read(self, now: float, now_ns: int) -> int:
        """The time to judge by, our clock having been read at `now_ns`.

        If it went otherwise than the steady one, it was set.
        Then what peers told before is forgotten. A correction stays as right as it was if it takes
        part in the step: most often the clock is set right. A clock that was right is believed
        until others tell, as it goes on after a machine slept.
        """
        off_s = now_ns / 1e9 - now  # exact to a microsecond
        before_s, self._off_s = self._off_s, off_s
        if before_s is None or -STEP_MIN_S <= off_s - before_s <= STEP_MIN_S:
            return now_ns - self._ahead_ns
        step_s = off_s - before_s
        step_ns = round(step_s * 1e9)
        self._was_set = True
        self._told.clear()
        kept = list(self._in_time.items())[-KEPT_OVER_A_STEP:]
        self._in_time = {author: (at, ahead_ns + step_ns) for author, (at, ahead_ns) in kept}
        if self._ahead_ns:
            self._correct(self._ahead_ns + step_ns)
        return now_ns - self._ahead_ns

    def was_set(self) -> bool:
        """Whether our clock was set since the last call."""
        was_set, self._was_set = self._was_set, False
        return was_set

    def _believe(self, ahead_ns: int, told_ns: Sequence[int]) -> None:
        self._correct(ahead_ns)
        self.peers = sum(abs(one - ahead_ns) <= DIFFERS_MAX_NS for one in told_ns)

    def _correct(self, ahead_ns: int) -> None:
        self._ahead_ns = ahead_ns if abs(ahead_ns) > DIFFERS_MAX_NS else 0


def ahead_ns(sent_ns: int, received_ns: int, peer_ns: int) -> int:
    """How much we are ahead of a peer that said `peer_ns` between our sending and receiving."""
    return (sent_ns + received_ns) // 2 - peer_ns


def _largest_camp(told: Sequence[int]) -> tuple[int, int]:
    """The first and one behind the last of the most that are within DIFFERS_MAX_NS of a middle.

    `told` ascends; of several as large, the first.
    """
    if told and told[-1] - told[0] <= 2 * DIFFERS_MAX_NS:
        return 0, len(told)  # as nearly always: all of them agree
    best, first = (0, 0), 0
    for last, ahead in enumerate(told, start=1):
        while ahead - told[first] > 2 * DIFFERS_MAX_NS:
            first += 1
        if last - first > best[1] - best[0]:
            best = first, last
    return best
