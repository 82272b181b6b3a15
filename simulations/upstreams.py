"""Upstreams of simulated providers: prices that are set, and faults around any other source."""

from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import cycle
from pathlib import Path

import trio

from meshnode.adapters.sources.recording import Columns, Row
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


class Recorded:
    """A source that tells what was traded last of a recording, every so often, over and over.

    It is read whole at the beginning, as the product's own `replay:` cannot be in virtual time:
    that one reads its file in threads. Raises SourceUnavailable for one that cannot be read.
    """

    def __init__(self, path: Path, clock: WallClock, *, interval_s: float) -> None:
        self.name = f"recorded:{path.name}"
        self._clock = clock
        self._interval_s = interval_s
        self._batches = _batches(_rows(path), int(interval_s * 10**9))

    def open(self) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Observation]]]:
        """See `Source.open`."""
        return aclosing(self._observations())

    async def _observations(self) -> AsyncGenerator[Sequence[Observation], None]:
        for batch in cycle(self._batches):
            if batch:
                now_ns = self._clock.now_ns()
                yield [Observation(row.asset, row.price, now_ns, row.half_width) for row in batch]
            await trio.sleep(self._interval_s)


def _rows(path: Path) -> list[Row]:
    try:
        header, *lines = path.read_text(encoding="utf-8").splitlines()
        columns = Columns(header)
        rows = [columns.row(line) for line in lines]
    except (OSError, ValueError) as error:  # RowError is one of these
        raise SourceUnavailable(f"{path}: {error}") from error
    if not rows:
        raise SourceUnavailable(f"{path}: no row to replay; add some")
    return rows


def _batches(rows: Sequence[Row], step_ns: int) -> list[tuple[Row, ...]]:
    """Of each step of the recording, the last row of each asset."""
    last: defaultdict[int, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        last[(row.recorded_ns - rows[0].recorded_ns) // step_ns][row.asset] = row
    return [tuple(last[step].values()) for step in range(max(last) + 1)]


@dataclass
class Trouble:
    """What is the matter with an upstream.

    `is_down`: it can't be read. `is_frozen`: it goes on telling what it told before. `factor`
    multiplies every price, which makes a liar of it, and `outlier` those that it tells next.
    """

    is_down: bool = False
    is_frozen: bool = False
    factor: Decimal = Decimal(1)
    outlier: Decimal = Decimal(1)


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
                    factor = self._trouble.factor * self._trouble.outlier
                    self._trouble.outlier = Decimal(1)
                    self._last = [replace(o, price=o.price * factor) for o in batch]
                yield self._last

    def _check(self) -> None:
        if self._trouble.is_down:
            raise SourceUnavailable(f"{self.name}: told to fail")
