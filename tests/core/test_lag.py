"""How old a message is, where clocks differ."""

import pytest

from meshnode.core.lag import LAG_MAX_S, LEARNABLE_S, age_s, learned


def after(arrivals: int, arrival_s: float, lag_s: float = 0.0) -> float:
    for _ in range(arrivals):
        lag_s = learned(lag_s, arrival_s)
    return lag_s


@pytest.mark.parametrize("lag_s", [-4.0, 0.5, 4.0])
def test_a_lag_is_learned_slowly(lag_s: float) -> None:
    assert abs(after(1, lag_s)) <= abs(lag_s) / 10
    assert after(100, lag_s) == pytest.approx(lag_s, rel=0.01)


def test_a_lag_is_clamped() -> None:
    assert after(1000, LEARNABLE_S) == LAG_MAX_S
    assert after(1000, -LEARNABLE_S) == -LAG_MAX_S


def test_what_was_held_up_teaches_nothing() -> None:
    assert learned(1.0, LEARNABLE_S + 0.1) == 1.0
    assert learned(1.0, -LEARNABLE_S - 0.1) == 1.0


def test_age_is_what_is_left_of_the_arrival_and_never_below_zero() -> None:
    assert age_s(10, 4) == 6
    assert age_s(3, 4) == 0
    assert age_s(1, -4) == 5
