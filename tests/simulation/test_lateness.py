"""Times against a share and a limit: of few, one may be late, and none may be very late."""

import math

import pytest

from simulations.checkers.lateness import Lateness


@pytest.mark.parametrize(
    ("times_s", "holds"),
    [
        ([], True),
        ([1.0], True),
        ([3.0], True),  # one alone is no hundredth
        ([1.0] * 20 + [3.0], True),
        ([1.0] * 20 + [3.0, 3.0], False),
        ([1.0] * 198 + [3.0, 3.0], True),
        ([1.0] * 197 + [3.0, 3.0, 3.0], False),
        ([6.0], False),
        ([1.0] * 1000 + [math.inf], False),
    ],
)
def test_a_hundredth_may_be_late_and_nobody_very_late(times_s: list[float], holds: bool) -> None:
    lateness = Lateness("gone", 0.99, 2.0, 5.0, times_s)
    assert (lateness.complaint() is None) == holds


def test_a_complaint_counts_and_names_the_slowest() -> None:
    lateness = Lateness("gone", 0.5, 2.0, 60.0)
    for seconds in (1.0, 3.0, 4.0):
        lateness.took(seconds, f"one of {seconds:g}")
    wanted = "gone: 2 of 3 took more than 2 s, the slowest 4.0 s (one of 4)"
    assert lateness.complaint() == wanted
    lateness.took(math.inf, "the last")
    assert (lateness.complaint() or "").endswith("the slowest never (the last)")
