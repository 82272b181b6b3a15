"""Recorded prices, told again as if they happened now, and tagged as what they are."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from fractions import Fraction
from pathlib import Path

import trio

from meshnode.adapters.sources.recording import Columns, Row, RowError
from meshnode.errors import SourceUnavailable
from meshnode.ports import Observation, WallClock
from protocols.quotes import RECORDED_TAG

CHUNK_BYTES = 64 * 1024
HEADER_CHARS_MAX = 4096
# Rows that fall due this close together come as one batch: a message costs more than a quote.
BATCH_WINDOW_NS = 50 * 10**6
BATCH_ROWS_MAX = 1000
# Between the last row and the first of the next round; without it one row would loop hotly.
LOOP_PAUSE_NS = 10**9
# Our two clocks drift a little, and part when the machine sleeps or its time is set.
DRIFT_MAX_NS = 10**9


class Replay:
    """A source: the rows of a CSV file, in their own rhythm divided by `speed`.

    The first row is observed now and the others as much later as they were recorded, so
    `observed_ns` is never ahead of the wall clock. The file is streamed, and not held in memory.

    The first bad row ends the stream with SourceUnavailable, which names the file and the line;
    opened again it goes on after that line, and further bad rows are skipped and counted.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        wall_clock: WallClock,
        *,
        speed: Fraction = Fraction(1),
        loop: bool = False,
    ) -> None:
        self._name = name
        self._path = path
        self._wall_clock = wall_clock
        self._speed = speed
        self._loop = loop
        self._bad_rows = 0
        self._resume_after_line = 0

    @property
    def name(self) -> str:
        """What the operator called it."""
        return self._name

    @property
    def bad_rows(self) -> int:
        """How many rows could not be read, of all rounds."""
        return self._bad_rows

    def open(self) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Observation]]]:
        """Rows as they fall due, those within 50 ms together."""
        return aclosing(self._batches())

    async def _batches(self) -> AsyncGenerator[Sequence[Observation], None]:
        timeline = _Timeline(self._wall_clock)
        round_starts_ns = _trio_ns()
        while True:
            batch: list[tuple[int, Row]] = []
            first_ns: int | None = None
            due_ns = round_starts_ns
            resumes = self._resume_after_line > 0
            async with aclosing(self._rows()) as rows:
                async for line_number, row in rows:
                    if isinstance(row, RowError):
                        if batch:
                            yield await _when_due(batch, timeline)
                            batch = []
                        self._skip(line_number, row)
                        continue
                    if first_ns is None:
                        first_ns = row.recorded_ns
                    due_ns = round_starts_ns + int((row.recorded_ns - first_ns) / self._speed)
                    if batch and (
                        due_ns > batch[0][0] + BATCH_WINDOW_NS or len(batch) == BATCH_ROWS_MAX
                    ):
                        yield await _when_due(batch, timeline)
                        batch = []
                    batch.append((due_ns, row))
            self._resume_after_line = 0
            if batch:
                yield await _when_due(batch, timeline)
            elif first_ns is None and not resumes:
                raise SourceUnavailable(f"{self._path}: no row to replay; add some")
            if not self._loop:
                return
            round_starts_ns = due_ns + LOOP_PAUSE_NS

    async def _rows(self) -> AsyncGenerator[tuple[int, Row | RowError], None]:
        try:
            file = await trio.open_file(self._path, encoding="utf-8-sig", errors="replace")
            async with file:
                columns = self._columns(await file.readline(HEADER_CHARS_MAX))
                line_number, latest_ns = 1, None
                while lines := await file.readlines(CHUNK_BYTES):
                    for line in lines:
                        line_number += 1
                        if line_number <= self._resume_after_line or line.isspace():
                            continue
                        try:
                            row = columns.row(line)
                        except RowError as error:
                            yield line_number, error
                            continue
                        if latest_ns is not None and row.recorded_ns < latest_ns:
                            yield line_number, RowError("earlier than the row before it")
                            continue
                        latest_ns = row.recorded_ns
                        yield line_number, row
        except OSError as error:
            raise SourceUnavailable(f"{self._path}: {error.strerror or error}") from error

    def _columns(self, header: str) -> Columns:
        try:
            return Columns(header)
        except RowError as error:
            raise SourceUnavailable(f"{self._path}, line 1: {error}") from error

    def _skip(self, line_number: int, problem: RowError) -> None:
        self._bad_rows += 1
        if self._bad_rows == 1:
            self._resume_after_line = line_number
            raise SourceUnavailable(
                f"{self._path}, line {line_number}: {problem}; correct or delete the row"
            ) from problem


class _Timeline:
    """Unix time of moments on trio's clock, in step with the order of those moments."""

    def __init__(self, wall_clock: WallClock) -> None:
        self._wall_clock = wall_clock
        self._ahead_ns = self._measured_ns()

    def unix_ns(self, trio_ns: int) -> int:
        # Measured anew only when it must be: each measurement would shift rows by a little, and
        # some of them to before their predecessors.
        measured_ns = self._measured_ns()
        if abs(measured_ns - self._ahead_ns) > DRIFT_MAX_NS:
            self._ahead_ns = measured_ns
        return trio_ns + self._ahead_ns

    def _measured_ns(self) -> int:
        return self._wall_clock.now_ns() - _trio_ns()


async def _when_due(batch: Sequence[tuple[int, Row]], timeline: _Timeline) -> Sequence[Observation]:
    """Wait for the last row of a batch, so that none is observed before it happened."""
    last_due_ns, _ = batch[-1]
    await trio.sleep_until(last_due_ns / 10**9)
    return [
        Observation(
            row.asset,
            row.price,
            timeline.unix_ns(due_ns),
            row.half_width,
            tags=((RECORDED_TAG, row.date),),
        )
        for due_ns, row in batch
    ]


def _trio_ns() -> int:
    return int(trio.current_time() * 10**9)
