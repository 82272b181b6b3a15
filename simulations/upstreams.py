"""Upstreams of simulated providers: prices that are set, and faults around any other source."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

import trio

from meshnode.errors import SourceUnavailable
from meshnode.ports import Observation, Source, WallClock

BATCHES_MAX = 1_000  # set and not read yet; setting more is a mistake of the scenario's


class SetPrices:
    """A source whose prices the scenario sets; it may be made to fail."""

    def __init__(self, prices: Mapping[str, str], clock: WallClock) -> None:
        self.name = "set"
        self._clock = clock
        self._sender, self._receiver = trio.open_memory_channel[Sequence[Observation] | None](
            BATCHES_MAX
        )
        self.set(prices)

    def set(self, prices: Mapping[str, str]) -> None:
        """New prices, from now on."""
        now_ns = self._clock.now_ns()
        self._sender.send_nowait(
            [Observation(asset, Decimal(price), now_ns) for asset, price in prices.items()]
        )

    def fail(self) -> None:
        """Break: whoever reads gets SourceUnavailable, once."""
        self._sender.send_nowait(None)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[Sequence[Observation]]]:
        """See `Source.open`."""
        yield self._observations()

    async def _observations(self) -> AsyncIterator[Sequence[Observation]]:
        while (batch := await self._receiver.receive()) is not None:
            yield batch
        raise SourceUnavailable(f"{self.name}: told to fail")


@dataclass
class Trouble:
    """What is the matter with an upstream.

    `is_down`: it can't be read. `is_frozen`: it goes on telling what it told before. `factor`
    multiplies every price, which makes an outlier or a liar of it.
    """

    is_down: bool = False
    is_frozen: bool = False
    factor: Decimal = Decimal(1)


class Troubled:
    """A source with troubles on command, around another that has none."""

    def __init__(self, source: Source, trouble: Trouble) -> None:
        self._source = source
        self._trouble = trouble
        self._last: Sequence[Observation] = ()

    @property
    def name(self) -> str:
        """What the source within is called."""
        return self._source.name

    def open(self) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Observation]]]:
        """See `Source.open`."""
        return aclosing(self._observations())

    async def _observations(self) -> AsyncGenerator[Sequence[Observation], None]:
        self._check()
        async with self._source.open() as batches:
            async for batch in batches:
                self._check()
                if not self._trouble.is_frozen:
                    factor = self._trouble.factor
                    self._last = [replace(o, price=o.price * factor) for o in batch]
                yield self._last

    def _check(self) -> None:
        if self._trouble.is_down:
            raise SourceUnavailable(f"{self.name}: told to fail")
