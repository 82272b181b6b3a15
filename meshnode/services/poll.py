"""Polling: keeps every source open, and passes on what it says once that is checked."""

from collections.abc import Sequence
from typing import Protocol

import trio

from meshnode.core.backoff import Backoff, Rng
from meshnode.core.facts import (
    ObservationRefused,
    SourceExhausted,
    SourceFailed,
    SourceRecovered,
)
from meshnode.core.links import LinkRecord
from meshnode.core.safe_text import one_line
from meshnode.core.sanity import Refused, check
from meshnode.errors import SourceUnavailable
from meshnode.ports import Observation, Observer, Source, TaskStatus, WallClock
from protocols.quotes import Quote

RETRY = Backoff(first_s=2.0, cap_s=300.0)
REFUSAL_FACT_EVERY_S = 10.0
NO_ROOM = "too_many_assets"
_ASSET_CHARS_SHOWN_MAX = 64


class Sink(Protocol):
    """Where checked quotes go; the publisher is one."""

    def newest(self, asset: str) -> Quote | None:
        """The newest quote offered of an asset."""
        ...

    def offer(self, quote: Quote) -> bool:
        """Take a quote; False without room for its asset."""
        ...


class Poll:
    """Runs all sources side by side: what befalls one does not touch the others."""

    def __init__(
        self,
        sources: Sequence[Source],
        sink: Sink,
        observer: Observer,
        wall_clock: WallClock,
        rng: Rng,
    ) -> None:
        self._upstreams = tuple(
            _Upstream(source, sink, observer, wall_clock, rng) for source in sources
        )

    @property
    def refused(self) -> int:
        """How many observations were not published, of all sources."""
        return sum(upstream.refused for upstream in self._upstreams)

    def links(self) -> tuple[LinkRecord, ...]:
        """How each source is doing, in the order in which they were given."""
        return tuple(upstream.link for upstream in self._upstreams)

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Poll until every source is exhausted: for most, that is for ever."""
        async with trio.open_nursery() as nursery:
            for upstream in self._upstreams:
                nursery.start_soon(upstream.run)
            task_status.started()


class _Upstream:
    """One source with its connection's record and its share of refusals."""

    def __init__(
        self, source: Source, sink: Sink, observer: Observer, wall_clock: WallClock, rng: Rng
    ) -> None:
        self._source = source
        self._sink = sink
        self._observer = observer
        self._wall_clock = wall_clock
        self._rng = rng
        self._failed_at: float | None = None
        self._delivers_since: float | None = None
        self._unreported: dict[str, int] = {}  # reasons are few: those of sanity, and NO_ROOM
        self._reported_at: dict[str, float] = {}
        self.refused = 0
        self.link = LinkRecord("upstream", source.name)

    async def run(self) -> None:
        """Open the source, again after each failure, until it is exhausted."""
        try:
            attempt = 0
            while True:
                self.link.dialling(self._wall_clock.now_ns())
                try:
                    await self._drain()
                except SourceUnavailable as error:
                    attempt = RETRY.next_attempt(attempt, self._delivered_s())
                    delay_s = RETRY.delay_s(attempt, self._rng)
                    self._fail(str(error), attempt, delay_s)
                    await trio.sleep(delay_s)
                else:
                    self._observer.observe(SourceExhausted(self._source.name))
                    return
        finally:
            self.link.stopped(self._wall_clock.now_ns())

    async def _drain(self) -> None:
        self._delivers_since = None
        async with self._source.open() as batches:
            async for batch in batches:
                self._delivered()
                for observation in batch:
                    self._take(observation)
                # A source that is always ready must not keep the others from their turn.
                await trio.lowlevel.checkpoint()

    def _take(self, observation: Observation) -> None:
        previous = self._sink.newest(observation.asset)
        match check(observation, self._wall_clock.now_ns(), previous):
            case Refused(reason):
                self._refuse(observation.asset, reason.value)
            case quote:
                if not self._sink.offer(quote):
                    self._refuse(observation.asset, NO_ROOM)

    def _refuse(self, asset: str, reason: str) -> None:
        self.refused += 1
        count = self._unreported[reason] = self._unreported.get(reason, 0) + 1
        now = trio.current_time()
        reported_at = self._reported_at.get(reason)
        if reported_at is None or now - reported_at >= REFUSAL_FACT_EVERY_S:
            self._unreported[reason] = 0
            self._reported_at[reason] = now
            shown = one_line(asset[:_ASSET_CHARS_SHOWN_MAX])
            self._observer.observe(ObservationRefused(self._source.name, shown, reason, count))

    def _delivered(self) -> None:
        now = trio.current_time()
        self.link.opened(self._wall_clock.now_ns())
        if self._delivers_since is None:
            self._delivers_since = now
        if self._failed_at is not None:
            down_s, self._failed_at = now - self._failed_at, None
            self._observer.observe(SourceRecovered(self._source.name, down_s))

    def _delivered_s(self) -> float:
        """For how long the source had worked when it failed just now."""
        return 0.0 if self._delivers_since is None else trio.current_time() - self._delivers_since

    def _fail(self, error: str, attempt: int, delay_s: float) -> None:
        if self._failed_at is None:
            self._failed_at = trio.current_time()
        self.link.failed(error, self._wall_clock.now_ns())
        self._observer.observe(SourceFailed(self._source.name, error, attempt, delay_s))
