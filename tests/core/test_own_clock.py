"""Our own clock against those of our peers."""

import pytest

from meshnode.core.own_clock import OwnClock, ahead_ns

S = 10**9
NOW = 1_790_000_000 * S


def test_the_median_of_three_corrects_what_is_judged() -> None:
    clock = OwnClock()
    assert clock.measured([300 * S, 301 * S, -500 * S])
    assert clock.ahead_ns == 300 * S
    assert clock.corrected_ns(NOW) == NOW - 300 * S
    assert clock.peers == 3
    assert not clock.measured([300 * S] * 3)


def test_two_peers_teach_nothing() -> None:
    clock = OwnClock()
    assert not clock.measured([300 * S, 300 * S])
    assert clock.corrected_ns(NOW) == NOW
    clock.measured([300 * S] * 3)
    assert not clock.measured([0, 0])
    assert clock.ahead_ns == 300 * S


@pytest.mark.parametrize("ahead", [-2 * S, 2 * S])
def test_two_seconds_are_no_matter(ahead: int) -> None:
    clock = OwnClock()
    clock.measured([ahead] * 3)
    assert clock.ahead_ns == 0
    clock.measured([2 * ahead] * 3)
    assert clock.ahead_ns == 2 * ahead
    assert clock.measured([ahead] * 3)  # set right again
    assert clock.ahead_ns == 0


def test_half_the_round_trip_is_allowed_for() -> None:
    assert ahead_ns(NOW, NOW + 2 * S, NOW - 9 * S) == 10 * S


def test_a_clock_that_is_set_is_noticed() -> None:
    clock = OwnClock()
    assert not clock.has_stepped(10, NOW)
    assert not clock.has_stepped(11, NOW + S)
    assert not clock.has_stepped(12, NOW + 3 * S)  # a second more is no matter
    assert clock.has_stepped(13, NOW + 6 * S)
    assert clock.has_stepped(14, NOW)
