"""When Bob takes himself for cut off, and when he does so no more."""

import math

from meshnode.core.isolation import ISOLATED_AFTER_S, Isolation, Relief

BEGAN_AT = 100.0


def test_without_an_answer_it_begins_once_and_an_answer_ends_it() -> None:
    bob = Isolation(BEGAN_AT)
    due_at = BEGAN_AT + ISOLATED_AFTER_S
    assert bob.begins_at == due_at
    assert not bob.check(due_at - 0.1)
    assert bob.check(due_at)
    assert (bob.is_isolated, bob.begins_at) == (True, math.inf)
    assert not bob.check(due_at + 60)
    assert bob.silent_s(due_at + 60) == ISOLATED_AFTER_S + 60
    # It is of the silence from its beginning on, not from when it was noticed.
    assert bob.answered(due_at + 60) == Relief(ISOLATED_AFTER_S + 60)
    assert (bob.is_isolated, bob.begins_at) == (False, due_at + 60 + ISOLATED_AFTER_S)


def test_answers_put_it_off() -> None:
    bob = Isolation(BEGAN_AT)
    for seconds in range(10, 100, 10):
        assert bob.answered(BEGAN_AT + seconds) is None
        assert not bob.check(BEGAN_AT + seconds + ISOLATED_AFTER_S - 1)


def test_a_long_silence_is_one_though_nobody_looked() -> None:
    bob = Isolation(BEGAN_AT)
    assert bob.answered(BEGAN_AT + ISOLATED_AFTER_S) == Relief(None)
    assert bob.answered(BEGAN_AT + 2 * ISOLATED_AFTER_S - 1) is None


def test_after_a_pause_of_our_own_an_answer_is_waited_for() -> None:
    bob = Isolation(BEGAN_AT)
    bob.paused(BEGAN_AT + 60, spare_s=10)
    assert bob.begins_at == BEGAN_AT + 70
    assert not bob.check(BEGAN_AT + 69)
    assert bob.check(BEGAN_AT + 70)


def test_a_pause_ends_no_isolation() -> None:
    bob = Isolation(BEGAN_AT)
    bob.check(BEGAN_AT + ISOLATED_AFTER_S)
    bob.paused(BEGAN_AT + 60, spare_s=10)
    assert (bob.is_isolated, bob.begins_at) == (True, math.inf)
    assert bob.answered(BEGAN_AT + 61) == Relief(61)
