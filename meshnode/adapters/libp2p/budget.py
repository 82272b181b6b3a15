"""How much work each peer may cause us: token buckets, pure; times are seconds of trio's clock.

Figures are generous to an honest relay of a busy mesh, and a flood reaches them within seconds.
What is useful costs least; what is over the budget waits, so that TCP holds its sender back; who
goes over it with what nobody needs is to blame.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

PEERS_TRACKED_MAX = 1000  # the one that was heard longest ago makes room

# A byte costs next to nothing; what it holds is judged at about 25 MB/s.
RPC_BYTES_PER_S = 32 * 1024 * 1024
RPC_BYTES_BURST = 64 * 1024 * 1024

# A thousand new messages a second, with some for copies, and two seconds of them at once.
WORK_PER_S = 5_000.0
WORK_BURST = 10_000.0
MESSAGE_COST = 1.0
COPY_COST = 2.0  # in a dense mesh most honest messages are copies
IGNORED_COST = 10.0  # judged for nothing: the relay would have ignored it as well
SUBSCRIPTION_COST = 20.0
CONTROL_COST = 5.0  # a GRAFT or PRUNE, each answered
MESSAGE_ID_COST = 0.1

# What we send again on request: IWANT, and the last seconds for a new subscriber.
SERVED_BYTES_PER_S = 4 * 1024 * 1024
SERVED_BYTES_BURST = 16 * 1024 * 1024

# Blame is forgiven at one bad message a second, so that a bug elsewhere does not add up to a ban.
BLAME_PER_S = 100.0
BLAME_MAX = 2_000.0
REJECTED_BLAME = 100.0  # an honest relay has none at all: twenty end it
ERROR_BLAME = 100.0  # an exception in a handler that the peer's bytes caused
REFUSED_STREAM_BLAME = 20.0
REPEATED_BLAME = 1.0  # the same message twice over one connection
USELESS_BLAME = 1.0  # ignored, and beyond the budget


class TokenBucket:
    """So many tokens a second, at most `burst` of them saved up; it may go into debt."""

    def __init__(self, rate_per_s: float, burst: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._tokens = burst
        self._at: float | None = None

    def spend(self, cost: float, now: float) -> float:
        """Take `cost` tokens; returns in how many seconds the debt is paid, 0 without one."""
        self._refill(now)
        self._tokens -= cost
        return max(0.0, -self._tokens / self._rate_per_s)

    def try_spend(self, cost: float, now: float) -> bool:
        """Take `cost` tokens where they are there; else none."""
        self._refill(now)
        if self._tokens < cost:
            return False
        self._tokens -= cost
        return True

    def in_debt(self, now: float) -> bool:
        """Whether more was taken than there was."""
        self._refill(now)
        return self._tokens < 0

    def _refill(self, now: float) -> None:
        if self._at is not None:
            earned = (now - self._at) * self._rate_per_s
            self._tokens = min(self._burst, self._tokens + earned)
        self._at = now


def _bytes() -> TokenBucket:
    return TokenBucket(RPC_BYTES_PER_S, RPC_BYTES_BURST)


def _work() -> TokenBucket:
    return TokenBucket(WORK_PER_S, WORK_BURST)


def _served() -> TokenBucket:
    return TokenBucket(SERVED_BYTES_PER_S, SERVED_BYTES_BURST)


def _blame() -> TokenBucket:
    return TokenBucket(BLAME_PER_S, BLAME_MAX)


@dataclass(slots=True)
class PeerBudget:
    """One peer's buckets, and how many messages it was the first to bring."""

    rpc_bytes: TokenBucket = field(default_factory=_bytes)
    work: TokenBucket = field(default_factory=_work)
    served_bytes: TokenBucket = field(default_factory=_served)
    blame: TokenBucket = field(default_factory=_blame)
    useful: int = 0


class Budgets:
    """The budget of each peer; it outlives a connection, or reconnecting would renew it."""

    def __init__(self, peers_max: int = PEERS_TRACKED_MAX) -> None:
        self._peers_max = peers_max
        self._budgets: OrderedDict[Hashable, PeerBudget] = OrderedDict()

    def of(self, peer: Hashable) -> PeerBudget:
        """A peer's budget, full where it is new."""
        budget = self._budgets.get(peer)
        if budget is None:
            budget = self._budgets[peer] = PeerBudget()
        self._budgets.move_to_end(peer)
        if len(self._budgets) > self._peers_max:
            self._budgets.popitem(last=False)
        return budget
