"""Our own clock against those of our peers."""

import pytest

from meshnode.core.own_clock import OwnClock, ahead_ns

S = 10**9
NOW = 1_790_000_000 * S


def test_most_of_three_correct_what_is_judged() -> None:
    clock = OwnClock()
    assert clock.measured([299 * S, 301 * S, -500 * S], 0)
    assert clock.ahead_ns == 300 * S
    assert clock.corrected_ns(NOW) == NOW - 300 * S
    assert clock.peers == 2
    assert clock.measured([300 * S] * 3, 0)


def test_two_peers_teach_nothing() -> None:
    clock = OwnClock()
    assert not clock.measured([300 * S, 300 * S], 0)
    assert clock.corrected_ns(NOW) == NOW
    clock.measured([300 * S] * 3, 0)
    assert not clock.measured([0, 0], 0)
    assert clock.ahead_ns == 300 * S


@pytest.mark.parametrize("others_s", [[-300, -300, -300], [-600, -600, -600, -300, 300]])
def test_as_many_as_agree_against_as_many_teach_nothing(others_s: list[int]) -> None:
    clock = OwnClock()
    aheads = [0, 0, 0, *(seconds * S for seconds in others_s)]
    assert not clock.measured(aheads, 0)
    assert not clock.confirm(aheads, 0)
    assert clock.corrected_ns(NOW) == NOW
    assert clock.measured([*aheads, 0], 0)
    assert clock.corrected_ns(NOW) == NOW


def test_two_of_many_are_no_camp() -> None:
    clock = OwnClock()
    assert not clock.measured([300 * S, 300 * S, 0, -5 * S, 5 * S], 0)


def test_the_largest_camp_need_not_be_half_of_all() -> None:
    clock = OwnClock()
    assert clock.measured([-300 * S] * 3 + [-305 * S, -305 * S, -600 * S, 0], 0)
    assert clock.ahead_ns == -300 * S


# --- who is heard in time -------------------------------------------------------------------


def test_those_who_are_heard_in_time_keep_what_we_judge_by() -> None:
    clock = OwnClock()
    for author in range(4):
        clock.heard(bytes([author]), S, now=0)
    assert not clock.measured([300 * S] * 4, 80)
    assert clock.corrected_ns(NOW) == NOW
    assert clock.measured([300 * S] * 4, 91)  # they fell silent
    assert clock.ahead_ns == 300 * S


@pytest.mark.parametrize("age_s", [-9, 3, 59])
def test_who_is_heard_out_of_time_does_not(age_s: int) -> None:
    clock = OwnClock()
    for author in range(4):
        clock.heard(bytes([author]), age_s * S, now=0)
    assert clock.measured([300 * S] * 4, 0)


def test_nobody_s_messages_can_move_our_clock() -> None:
    clock = OwnClock()
    clock.measured([300 * S] * 3, 0)
    for author in range(100):
        clock.heard(author.to_bytes(), 2 * S, now=1)
    assert clock.measured([300 * S] * 3, 1)
    assert clock.ahead_ns == 300 * S
    assert clock.measured([0] * 10, 1)
    assert clock.ahead_ns == 300 * S


def one_that_hears_ten() -> OwnClock:
    clock = OwnClock()
    clock.read(10, NOW)
    for author in range(10):
        clock.heard(bytes([author]), 0, now=10)
    return clock


def test_after_a_step_two_of_them_count_as_if_they_had_spoken_then() -> None:
    clock = one_that_hears_ten()
    clock.read(11, NOW + 6 * S)  # five more than passed
    assert clock.measured([-295 * S, 5 * S, -295 * S, 5 * S, -295 * S], 11)
    assert clock.ahead_ns == 5 * S


def test_after_a_machine_slept_they_do_not_outvote_the_peers() -> None:
    clock = one_that_hears_ten()
    clock.read(11, NOW + 3600 * S)
    assert clock.measured([0, 0, 0], 11)
    assert clock.corrected_ns(NOW) == NOW


@pytest.mark.parametrize("ahead", [-2 * S, 2 * S])
def test_two_seconds_are_no_matter(ahead: int) -> None:
    clock = OwnClock()
    clock.measured([ahead] * 3, 0)
    assert clock.ahead_ns == 0
    clock.measured([2 * ahead] * 3, 0)
    assert clock.ahead_ns == 2 * ahead
    clock.measured([ahead] * 3, 0)  # set right again
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
    clock.measured([300 * S] * 3, 0)
    set_ns = NOW + round((300 + step_s) * S)
    clock.read(10.5, set_ns + S // 2)
    assert abs(clock.corrected_ns(set_ns + S // 2) - (NOW + S // 2)) < 2 * S


def test_a_clock_that_was_right_is_believed_until_peers_tell() -> None:
    clock = OwnClock()
    clock.read(10, NOW)
    clock.measured([0] * 3, 0)
    clock.read(10.5, NOW + 3600 * S)  # the machine slept for an hour
    assert clock.corrected_ns(NOW + 3600 * S) == NOW + 3600 * S
