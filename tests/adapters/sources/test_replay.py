"""A recording is told again: in its rhythm, at today's times, whatever is wrong with the file."""

import csv
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from importlib import resources
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from meshnode.adapters.sources.replay import BATCH_ROWS_MAX, CHUNK_BYTES, Replay
from meshnode.errors import SourceUnavailable
from meshnode.ports import Observation
from simulations.clock import START_NS, VirtualClock

HEADER = "timestamp,asset,price,bid,ask,volume"
SHIPPED = Path(str(resources.files("meshnode") / "data" / "btcusdt-trades-2021-01-08.csv"))
MS = 10**6

Heard = list[tuple[float, Sequence[Observation]]]


def row(second: float, price: str = "1", asset: str = "A", bid: str = "", ask: str = "") -> str:
    return f"2021-01-08T00:00:{second:06.3f}Z,{asset},{price},{bid},{ask},"


def recorded(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "rows.csv"
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return path


async def listen(replay: Replay, heard: Heard, batches: int = 10_000) -> Heard:
    async with replay.open() as source:
        async for batch in source:
            heard.append((trio.current_time(), batch))
            if len(heard) == batches:
                break
    return heard


def prices(heard: Heard) -> list[str]:
    return [str(one.price) for _, batch in heard for one in batch]


async def test_rows_come_in_their_rhythm_at_todays_times(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    path = recorded(tmp_path, row(10, "1.10"), row(11.5, "1.20"), row(14, "1.30", bid="1", ask="2"))
    await trio.sleep(100)
    heard = await listen(Replay("r", path, VirtualClock()), [])
    assert [at for at, _ in heard] == [100, 101.5, 104]
    assert prices(heard) == ["1.10", "1.20", "1.30"]
    last = heard[-1][1][0]
    assert last.observed_ns == START_NS + 104 * 10**9
    assert last.half_width == Decimal("0.5")
    assert last.tags == (("recorded", "2021-01-08"),)
    assert heard[0][1][0].half_width is None


async def test_speed_divides_the_waiting(tmp_path: Path, autojump_clock: MockClock) -> None:
    path = recorded(tmp_path, row(0), row(10), row(30))
    heard = await listen(Replay("r", path, VirtualClock(), speed=Fraction(10)), [])
    assert [at for at, _ in heard] == [0, 1, 3]
    assert [batch[0].observed_ns - START_NS for _, batch in heard] == [0, 10**9, 3 * 10**9]


async def test_rows_due_together_come_as_one_batch_when_the_last_has_happened(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    path = recorded(tmp_path, row(0), row(0.02), row(0.05), row(0.051), row(2))
    heard = await listen(Replay("r", path, VirtualClock()), [])
    assert [(at, len(batch)) for at, batch in heard] == [(0.05, 3), (0.051, 1), (2, 1)]
    offsets_ns = [one.observed_ns - START_NS for one in heard[0][1]]
    assert offsets_ns == [0, 20 * MS, 50 * MS], "each keeps its own time"


async def test_a_batch_is_bounded(tmp_path: Path, autojump_clock: MockClock) -> None:
    path = recorded(tmp_path, *[row(0, str(number)) for number in range(BATCH_ROWS_MAX + 5)])
    heard = await listen(Replay("r", path, VirtualClock()), [])
    assert [len(batch) for _, batch in heard] == [BATCH_ROWS_MAX, 5]


async def test_a_loop_begins_again_with_newer_times(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    path = recorded(tmp_path, row(0, "1"), row(2, "2"))
    heard = await listen(Replay("r", path, VirtualClock(), loop=True), [], batches=6)
    assert prices(heard) == ["1", "2"] * 3
    assert [at for at, _ in heard] == [0, 2, 3, 5, 6, 8]
    times_ns = [batch[0].observed_ns for _, batch in heard]
    assert times_ns == [START_NS + second * 10**9 for second in (0, 2, 3, 5, 6, 8)]


async def test_a_loop_over_one_row_does_not_spin(tmp_path: Path, autojump_clock: MockClock) -> None:
    path = recorded(tmp_path, row(0))
    heard = await listen(Replay("r", path, VirtualClock(), loop=True), [], batches=5)
    assert [at for at, _ in heard] == [0, 1, 2, 3, 4]


async def test_times_follow_when_the_wall_clock_is_set(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    path = recorded(tmp_path, row(0), row(10), row(20))
    wall_clock = VirtualClock()
    heard: Heard = []
    async with Replay("r", path, wall_clock).open() as source:
        async for batch in source:
            heard.append((trio.current_time(), batch))
            wall_clock.step_ns = -3600 * 10**9
    offsets_s = [(batch[0].observed_ns - START_NS) / 10**9 for _, batch in heard]
    assert offsets_s == [0, 10 - 3600, 20 - 3600]


async def test_the_shipped_recording_is_told_completely(autojump_clock: MockClock) -> None:
    text = await trio.Path(SHIPPED).read_text(encoding="utf-8")
    expected = [line["price"] for line in csv.DictReader(text.splitlines())]
    heard = await listen(Replay("r", SHIPPED, VirtualClock()), [])
    assert prices(heard) == expected
    assert len(expected) == 2001
    assert len(heard) < 600, "batched"
    times_ns = [one.observed_ns for _, batch in heard for one in batch]
    assert times_ns == sorted(times_ns)
    assert times_ns[-1] - times_ns[0] == 46_077 * MS
    assert all(batch[-1].observed_ns <= START_NS + at * 10**9 + 1000 for at, batch in heard)


async def test_a_file_longer_than_a_chunk_is_read_to_its_end(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    rows = [row(0, str(number)) for number in range(5000)]
    path = recorded(tmp_path, *rows)
    assert path.stat().st_size > 2 * CHUNK_BYTES
    heard = await listen(Replay("r", path, VirtualClock()), [])
    assert prices(heard) == [str(number) for number in range(5000)]


async def test_a_file_that_is_missing_is_named_and_looked_for_again(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    replay = Replay("r", tmp_path / "rows.csv", VirtualClock())
    with pytest.raises(SourceUnavailable, match=r"rows\.csv: No such file"):
        await listen(replay, [])
    recorded(tmp_path, row(0))
    assert prices(await listen(replay, [])) == ["1"]


@pytest.mark.parametrize("header", ["", "time,asset,price", "\x00\xff"])
async def test_a_header_that_cannot_be_read_fails_with_file_and_line(
    tmp_path: Path, autojump_clock: MockClock, header: str
) -> None:
    path = recorded(tmp_path, row(0), header=header)
    for _ in range(2):
        with pytest.raises(SourceUnavailable, match=r"rows\.csv, line 1: the header"):
            await listen(Replay("r", path, VirtualClock()), [])


@pytest.mark.parametrize("loop", [True, False])
async def test_a_file_without_rows_fails_instead_of_spinning(
    tmp_path: Path, autojump_clock: MockClock, loop: bool
) -> None:
    with pytest.raises(SourceUnavailable, match="no row to replay"):
        await listen(Replay("r", recorded(tmp_path), VirtualClock(), loop=loop), [])


async def test_the_first_bad_row_is_named_then_bad_rows_are_skipped_and_counted(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    path = recorded(
        tmp_path, row(0, "1"), row(1, "x"), row(2, "2"), row(3, "y"), "", "rubbish", row(4, "3")
    )
    replay = Replay("r", path, VirtualClock())
    heard: Heard = []
    with pytest.raises(SourceUnavailable, match=r"rows\.csv, line 3: price 'x' .* delete the row"):
        await listen(replay, heard)
    assert prices(heard) == ["1"], "what came before it was told"
    await listen(replay, heard)
    assert prices(heard) == ["1", "2", "3"], "nothing is told twice"
    assert replay.bad_rows == 3


async def test_a_row_out_of_order_is_a_bad_row(tmp_path: Path, autojump_clock: MockClock) -> None:
    path = recorded(tmp_path, row(5), row(4, "2"))
    replay = Replay("r", path, VirtualClock())
    with pytest.raises(SourceUnavailable, match="line 3: earlier than the row before it"):
        await listen(replay, [])
    assert await listen(replay, []) == [], "the bad row was the last: nothing is left"


async def test_a_file_of_bad_rows_alone_does_not_loop_hotly(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    replay = Replay("r", recorded(tmp_path, "rubbish"), VirtualClock(), loop=True)
    with pytest.raises(SourceUnavailable, match="line 2"):
        await listen(replay, [])
    with pytest.raises(SourceUnavailable, match="no row to replay"):
        await listen(replay, [])


async def test_leaving_early_closes_the_file(tmp_path: Path, autojump_clock: MockClock) -> None:
    path = recorded(tmp_path, *[row(second) for second in range(50)])
    replay = Replay("r", path, VirtualClock())
    await listen(replay, [], batches=2)  # a file left open is a ResourceWarning, hence an error
    with trio.move_on_after(3):
        await listen(replay, [])
