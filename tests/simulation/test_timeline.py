"""What is due is called at its time, with the clock of a run and with any other."""

import math

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from simulations.determinism import run
from simulations.timeline import Timeline
from simulations.virtual_time import SLOT_MAX_S, SLOT_PART, SLOT_S, end_of_sleep


async def note_three_calls() -> list[tuple[str, float]]:
    called: list[tuple[str, float]] = []
    timeline = Timeline()

    def note(name: str) -> None:
        called.append((name, trio.current_time()))
        if name == "second":
            timeline.call_at(trio.current_time() + 1, note, "fourth")

    async with trio.open_nursery() as nursery:
        await nursery.start(timeline.run)
        for at, name in ((3.0, "third"), (1.0, "first"), (2.5, "second")):
            timeline.call_at(at, note, name)
        await trio.sleep(2)
        assert [name for name, _ in called] == ["first"]
        await trio.sleep(60)
        nursery.cancel_scope.cancel()
    return called


def expect(called: list[tuple[str, float]]) -> None:
    assert [name for name, _ in called] == ["first", "second", "third", "fourth"]
    assert [at for _, at in called] == pytest.approx([1.0, 2.5, 3.0, 3.5], abs=2 * SLOT_S)


async def test_calls_come_at_their_time(autojump_clock: MockClock) -> None:
    expect(await note_three_calls())


def test_in_a_run_they_come_with_the_clock_s_jumps() -> None:
    expect(run(note_three_calls, seed=1))


def test_what_a_call_raises_ends_whoever_runs_the_timeline() -> None:
    async def main() -> None:
        timeline = Timeline()
        timeline.call_at(1.0, [].__getitem__, 0)
        await timeline.run()

    with pytest.raises(IndexError):
        run(main, seed=1)


def test_who_wakes_at_the_same_time_as_a_call_sees_what_it_did() -> None:
    async def main() -> None:
        seen: list[int] = []
        timeline = Timeline()
        async with trio.open_nursery() as nursery:
            await nursery.start(timeline.run)
            for second in range(1, 100):
                timeline.call_at(second, seen.append, second)
            for second in range(1, 100):
                await trio.sleep_until(second + SLOT_S)
                assert seen[-1] == second
            nursery.cancel_scope.cancel()

    run(main, seed=1)


def test_who_sleeps_for_long_wakes_with_others() -> None:
    for slept_s in (0.01, 0.15, 1.0, 2.7, 3_600.1):
        late_s = end_of_sleep(5.0, 5.0 + slept_s) - (5.0 + slept_s)
        assert 0 <= late_s < max(SLOT_S, min(SLOT_MAX_S, slept_s * SLOT_PART))
    woken = {end_of_sleep(now / 1000, now / 1000 + 1) for now in range(1_000)}
    assert len(woken) <= 1 / SLOT_MAX_S + 1


@given(st.floats(0, 10_000), st.floats(2**-20, 10_000))
def test_a_slot_is_the_widest_that_a_sleep_allows(now: float, slept_s: float) -> None:
    until = now + slept_s
    widths = [SLOT_S * 2**power for power in range(5)]
    assert widths[-1] == SLOT_MAX_S
    allowed = [width for width in widths if width <= (until - now) * SLOT_PART]
    width = max(allowed, default=SLOT_S)
    assert end_of_sleep(now, until) == math.ceil(until / width) * width
