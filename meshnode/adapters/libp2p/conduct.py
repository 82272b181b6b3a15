"""How peers behave: what they did wrong, who is kept out for it, and what was counted."""

from collections import Counter, OrderedDict
from typing import Any

import trio

from meshnode.adapters.libp2p.bans import BanList
from meshnode.adapters.libp2p.budget import Budgets, PeerBudget
from meshnode.core.facts import PeerMisbehaved
from meshnode.core.safe_text import one_line
from meshnode.core.verdicts import Reason
from meshnode.ports import Observer

ERROR_CHARS_MAX = 200
TELL_EVERY_S = 10.0  # a fact a peer; whoever floods us must not flood our log
TOLD_MAX = 1000  # the one told of longest ago may be told of again

# What is ignored for our own settings: another node's may differ, and its relaying be honest.
OWN_POLICY = frozenset({Reason.NOT_ALLOWED, Reason.TOO_MANY_AUTHORS, Reason.OVER_BUDGET})
# What is ignored by our clock, which may be wrong; it is not while others' messages are in time.
OUR_CLOCK = frozenset({Reason.FUTURE_EPOCH, Reason.FUTURE, Reason.EXPIRED})
CLOCKS_AGREE_S = 2.0


def is_blameworthy(reason: Reason, *, is_own: bool, clocks_agree: bool) -> bool:
    """Whether who floods us with messages ignored for a reason is to blame for it.

    `is_own`: it is their author as well. `clocks_agree`: another message was in time just now.
    """
    if reason in OUR_CLOCK:
        return clocks_agree
    return is_own or reason not in OWN_POLICY


class Conduct:
    """Everybody's budget, the ban list, and the counters of what was refused."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._bans = BanList()
        self._budgets = Budgets()
        self._told: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self.refused: Counter[str] = Counter()  # by the guard's name

    def budget(self, peer: Any) -> PeerBudget:
        """A peer's budget."""
        return self._budgets.of(peer)

    def kept_out_s(self, peer: Any) -> float:
        """For how many seconds a peer is kept out; 0 where it is welcome."""
        return self._bans.remaining_s(str(peer), trio.current_time())

    def misbehaved(self, peer: Any, where: str, error: BaseException) -> None:
        """Count what a peer did, and tell of it at most once in TELL_EVERY_S."""
        self.refused[where] += 1
        name, now = str(peer), trio.current_time()
        told_at, untold = self._told.get(name, (float("-inf"), 0))
        if now - told_at < TELL_EVERY_S:
            self._told[name] = (told_at, untold + 1)
            return
        self._told.pop(name, None)
        self._told[name] = (now, 0)
        if len(self._told) > TOLD_MAX:
            self._told.popitem(last=False)
        text = one_line(f"{type(error).__name__}: {error}")[:ERROR_CHARS_MAX]
        self._observer.observe(PeerMisbehaved(name, where, text, untold + 1))

    def blame(self, peer: Any, points: float) -> bool:
        """Hold something against a peer; True where it is one thing too many."""
        return not self.budget(peer).blame.try_spend(points, trio.current_time())

    def condemn(self, peer: Any, where: str, error: BaseException) -> None:
        """Keep a peer out for a while; whoever calls this closes its connections."""
        self._bans.ban(str(peer), trio.current_time())
        self.misbehaved(peer, where, error)
