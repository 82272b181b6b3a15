"""Invented prices that wander: to try a mesh without an upstream, and tagged as what they are."""

import random
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from decimal import Decimal
from types import MappingProxyType

import trio

from meshnode.ports import Observation, WallClock
from protocols.quotes import SYNTHETIC_TAG

# In hundredths. A price the reader recognises is easier to follow; the others start at 100.00.
START_CENTS: Mapping[str, int] = MappingProxyType(
    {"BTC-USD": 60_000_00, "ETH-USD": 3_000_00, "EUR-USD": 1_10}
)
DEFAULT_START_CENTS = 100_00
STEP_PER_MILLE = 1


class Walk:
    """A source: every `interval_s` each asset moves by at most 0.1%, never below 0.01.

    Opened again, it goes on from where it was. It is never exhausted and never fails.
    """

    def __init__(
        self,
        name: str,
        assets: Iterable[str],
        wall_clock: WallClock,
        rng: random.Random,
        *,
        interval_s: float = 1.0,
    ) -> None:
        self._name = name
        self._wall_clock = wall_clock
        self._rng = rng
        self._interval_s = interval_s
        self._cents = {asset: START_CENTS.get(asset, DEFAULT_START_CENTS) for asset in assets}

    @property
    def name(self) -> str:
        """What the operator called it."""
        return self._name

    def open(self) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Observation]]]:
        """One batch of all assets at once, then one every interval."""
        return aclosing(self._steps())

    async def _steps(self) -> AsyncGenerator[Sequence[Observation], None]:
        next_at = trio.current_time()
        while True:
            observed_ns = self._wall_clock.now_ns()
            yield [
                Observation(
                    asset,
                    Decimal(cents).scaleb(-2),
                    observed_ns,
                    tags=((SYNTHETIC_TAG, "walk"),),
                )
                for asset, cents in self._cents.items()
            ]
            # Late by less than a step it catches up, to keep its pace; else it begins anew.
            next_at += self._interval_s
            if trio.current_time() > next_at + self._interval_s:
                next_at = trio.current_time()
            await trio.sleep_until(next_at)
            for asset, cents in self._cents.items():
                # The same range up and down, in integers: a walk without a drift.
                reach = max(1, cents * STEP_PER_MILLE // 1000)
                self._cents[asset] = max(1, cents + self._rng.randint(-reach, reach))
