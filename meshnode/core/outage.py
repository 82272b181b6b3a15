"""The outage clock: how long the network has been without a provider, and why.

It runs on the node's own clock, so a wall clock that jumps changes what `since` reads, not how
long the outage has lasted.
"""

from collections.abc import Set
from enum import Enum

from meshnode.core.facts import (
    Fact,
    OutageEnded,
    OutageExplained,
    OutageExtended,
    OutageStarted,
)
from meshnode.core.lifecycle import GONE, ProviderState

EXTENDED_AFTER_S = 600.0


class OutageCause(Enum):
    """Why there is no provider; the values are those of the status reply."""

    PROVIDERS_DOWN = "providers_down"
    LOCAL_ISOLATION = "local_isolation"
    PARTITION = "partition"
    UNKNOWN = "unknown"


def cause_of(states: Set[ProviderState], *, isolated: bool, split: bool) -> OutageCause:
    """The cause, from the states of the providers known, whether we are cut off ourselves, and
    whether most of the network fell silent together.
    """
    if states == {ProviderState.LEFT}:
        return OutageCause.PROVIDERS_DOWN
    # Isolation explains nothing where each of them was seen to go before it.
    if isolated and not (states and states <= GONE):
        return OutageCause.LOCAL_ISOLATION
    if split:
        return OutageCause.PARTITION
    if states and states <= GONE:
        return OutageCause.PROVIDERS_DOWN
    return OutageCause.UNKNOWN


class OutageClock:
    """Told what is so, it says what that changes. Times: seconds of the node's clock, Unix ns.

    A node starts without a provider, since `since_ns`, which it may have kept over a restart;
    nobody is told of that unless it lasts, or somebody asks.
    """

    def __init__(self, since_ns: int, now: float, now_ns: int) -> None:
        self._since: float | None = now - max(0.0, (now_ns - since_ns) / 1e9)
        self._since_ns = since_ns
        self._announced = self._asked = self._extended = False
        self._cause = OutageCause.UNKNOWN

    def update(
        self,
        *,
        provider_active: bool,
        last_sign_at: float | None,
        now: float,
        now_ns: int,
        cause: OutageCause = OutageCause.UNKNOWN,
    ) -> list[Fact]:
        """Compare with what was; `last_sign_at` is the last provider's last sign of life."""
        if provider_active:
            return self._end(now)
        explained, self._cause = cause is not self._cause, cause
        if self._since is None:
            self._since = now if last_sign_at is None else min(last_sign_at, now)
            self._since_ns = now_ns - round((now - self._since) * 1e9)
            self._announced = True
            facts: list[Fact] = [OutageStarted(self._since_ns, cause.value)]
        elif explained and self._announced:
            facts = [OutageExplained(self._since_ns, cause.value)]
        else:
            facts = []
        if not self._extended and self.offline_s(now) >= EXTENDED_AFTER_S:
            self._extended = self._announced = True
            facts.append(OutageExtended(self._since_ns, self.offline_s(now), cause.value))
        return facts

    def told(self) -> None:
        """Somebody who asked was told of it, so its end is to be told as well."""
        self._asked = self._since is not None

    @property
    def since_ns(self) -> int | None:
        """The last sign of life of the last provider, or None while one is there."""
        return None if self._since is None else self._since_ns

    @property
    def since(self) -> float | None:
        """The same in seconds of the node's clock."""
        return self._since

    @property
    def cause(self) -> OutageCause:
        """Why there is no provider, as far as is known."""
        return self._cause

    @property
    def is_extended(self) -> bool:
        """Whether the outage has lasted ten minutes."""
        return self._extended

    def offline_s(self, now: float) -> float:
        """How long there has been no provider; 0 while one is there."""
        return 0.0 if self._since is None else max(0.0, now - self._since)

    def extends_in_s(self, now: float) -> float | None:
        """How long until the outage counts as extended, or None where it does not approach."""
        if self._since is None or self._extended:
            return None
        return max(0.0, EXTENDED_AFTER_S - self.offline_s(now))

    def _end(self, now: float) -> list[Fact]:
        is_known = self._announced or self._asked
        facts: list[Fact] = [OutageEnded(self.offline_s(now))] if is_known else []
        self._since = None
        self._announced = self._asked = self._extended = False
        self._cause = OutageCause.UNKNOWN
        return facts
