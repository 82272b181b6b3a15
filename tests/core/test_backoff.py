"""Delays double, spread, stop at the cap, and forgive what was stable."""

import random
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshnode.core.backoff import Backoff


@dataclass(frozen=True)
class Always:
    """A generator that has made up its mind."""

    drawn: float

    def random(self) -> float:
        return self.drawn


def test_delays_double_up_to_the_cap() -> None:
    delays_s = [Backoff(cap_s=60).delay_s(attempt, Always(0.0)) for attempt in range(1, 8)]
    assert delays_s == [2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize(("drawn", "expected_s"), [(0.0, 10.0), (0.5, 9.0), (1.0, 8.0)])
def test_jitter_only_takes_off(drawn: float, expected_s: float) -> None:
    assert Backoff(first_s=10, jitter=0.2).delay_s(1, Always(drawn)) == pytest.approx(expected_s)


@given(st.integers(1, 10**9), st.integers())
def test_a_delay_stays_within_its_bounds_after_any_number_of_failures(
    attempt: int, seed: int
) -> None:
    backoff = Backoff(first_s=2, cap_s=300, jitter=0.2)
    assert 1.6 <= backoff.delay_s(attempt, random.Random(seed)) <= 300


def test_what_was_stable_recovers_fast_and_what_flaps_waits_longer() -> None:
    backoff = Backoff(stable_s=60)
    assert backoff.next_attempt(0, worked_s=0) == 1
    assert backoff.next_attempt(6, worked_s=59) == 7
    assert backoff.next_attempt(6, worked_s=60) == 1
