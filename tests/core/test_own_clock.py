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
    assert clock.peers == 2
    assert clock.measured([300 * S] * 3)


def test_two_peers_teach_nothing() -> None:
    clock = OwnClock()
    assert not clock.measured([300 * S, 300 * S])
    assert clock.corrected_ns(NOW) == NOW
    clock.measured([300 * S] * 3)
    assert not clock.measured([0, 0])
    assert clock.ahead_ns == 300 * S


@pytest.mark.parametrize("others_s", [[-300, -300, -300], [-600, -300, 300]])
def test_as_many_as_agree_against_as_many_teach_nothing(others_s: list[int]) -> None:
    clock = OwnClock()
    aheads = [0, 0, 0, *(seconds * S for seconds in others_s)]
    assert not clock.measured(aheads)
    assert clock.corrected_ns(NOW) == NOW
    assert clock.measured([*aheads, 0])
    assert clock.corrected_ns(NOW) == NOW


@pytest.mark.parametrize("ahead", [-2 * S, 2 * S])
def test_two_seconds_are_no_matter(ahead: int) -> None:
    clock = OwnClock()
    clock.measured([ahead] * 3)
    assert clock.ahead_ns == 0
    clock.measured([2 * ahead] * 3)
    assert clock.ahead_ns == 2 * ahead
    clock.measured([ahead] * 3)  # set right again
    assert clock.ahead_ns == 0


def test_half_the_round_trip_is_allowed_for() -> None:
    assert ahead_ns(NOW, NOW + 2 * S, NOW - 9 * S) == 10 * S


def test_a_clock_that_is_set_is_noticed() -> None:
    clock = OwnClock()
    for now, now_ns, was_set in (
        (10, NOW, False),
        (11, NOW + S, False),
        (12, NOW + 3 * S, False),  # a second more is no matter
        (13, NOW + 6 * S, True),
        (14, NOW, True),
    ):
        clock.read(now, now_ns)
        assert clock.was_set() == was_set
    assert not clock.was_set()  # it is told once


@pytest.mark.parametrize("step_s", [-300, -298.5, -200, 50])
def test_a_correction_takes_part_when_the_clock_is_set(step_s: float) -> None:
    clock = OwnClock()
    clock.read(10, NOW + 300 * S)
    clock.measured([300 * S] * 3)
    set_ns = NOW + round((300 + step_s) * S)
    clock.read(10.5, set_ns + S // 2)
    assert abs(clock.corrected_ns(set_ns + S // 2) - (NOW + S // 2)) < 2 * S


def test_a_clock_that_was_right_is_believed_until_peers_tell() -> None:
    clock = OwnClock()
    clock.read(10, NOW)
    clock.measured([0] * 3)
    clock.read(10.5, NOW + 3600 * S)  # the machine slept for an hour
    assert clock.corrected_ns(NOW + 3600 * S) == NOW + 3600 * S
