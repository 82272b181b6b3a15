"""When each of Bob's neighbours is asked again."""

from heapq import heapify, heapreplace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshnode.core.rounds import ASKED_A_ROUND, ROUND_MAX_S, ROUND_S, Turns, round_s


def test_who_has_many_neighbours_asks_each_less_often() -> None:
    assert [round_s(count) for count in (0, 1, ASKED_A_ROUND)] == [ROUND_S] * 3
    assert round_s(3 * ASKED_A_ROUND) == 3 * ROUND_S
    assert round_s(30) == round_s(1_000) == ROUND_MAX_S


@pytest.mark.parametrize("count", [1, 2, 4, 12, 50])
def test_neighbours_met_together_are_asked_one_by_one(count: int) -> None:
    turns = Turns()
    due = [(turns.next_at(count, 1_000.0), number) for number in range(count)]
    heapify(due)
    asked: list[tuple[float, int]] = []
    while due[0][0] < 1_000.0 + 5 * round_s(count):
        at, number = due[0]
        asked.append((at, number))
        heapreplace(due, (turns.next_at(count, at), number))
    times = [at for at, _ in asked]
    apart = {round(later - at, 6) for at, later in pairwise(times)}
    assert apart == {round(round_s(count) / count, 6)}
    assert [number for _, number in asked[:count]] == list(range(count))
    for at, number in asked[: 3 * count]:
        again = next(later for later, other in asked if other == number and later > at)
        assert again - at == pytest.approx(round_s(count))
    assert times[0] - 1_000.0 <= (ROUND_S if count <= ASKED_A_ROUND else round_s(count) / 2)


@given(st.lists(st.tuples(st.integers(0, 100), st.floats(0, 100)), min_size=1, max_size=200))
def test_whoever_comes_and_goes_nobody_waits_for_long(story: list[tuple[int, float]]) -> None:
    turns, now = Turns(), 0.0
    for neighbours, passes_s in story:
        now += passes_s
        assert now < turns.next_at(neighbours, now) <= now + 1.25 * round_s(neighbours)
