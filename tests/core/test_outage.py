"""The outage clock: since when, for how long, and who is told."""

import pytest

from meshnode.core.facts import Fact, OutageEnded, OutageExtended, OutageStarted
from meshnode.core.outage import EXTENDED_AFTER_S, OutageClock
from simulations.clock import START_NS
from tests.cast import NS_PER_S


def wall(now: float) -> int:
    return START_NS + round(now * NS_PER_S)


def clock() -> OutageClock:
    return OutageClock(wall(0), 0.0, wall(0))


def there(outage: OutageClock, now: float) -> list[Fact]:
    return outage.update(provider_active=True, last_sign_at=now, now=now, now_ns=wall(now))


def gone(
    outage: OutageClock, now: float, last_sign_at: float | None, step_s: int = 0
) -> list[Fact]:
    now_ns = wall(now + step_s)
    return outage.update(provider_active=False, last_sign_at=last_sign_at, now=now, now_ns=now_ns)


def is_extended(outage: OutageClock) -> bool:
    return outage.is_extended


def test_an_outage_dates_from_the_last_sign_of_life() -> None:
    outage = clock()
    there(outage, 100)
    assert gone(outage, 160, 103.5) == [OutageStarted(wall(103.5))]
    assert outage.since_ns == wall(103.5)
    assert outage.offline_s(160) == 56.5
    assert gone(outage, 161, 103.5) == []
    assert not is_extended(outage)


def test_ten_minutes_to_the_second_are_extended_and_told_once() -> None:
    outage = clock()
    there(outage, 100)
    gone(outage, 130, 100)
    assert outage.extends_in_s(130) == EXTENDED_AFTER_S - 30
    assert gone(outage, 100 + EXTENDED_AFTER_S - 0.001, 100) == []
    assert not is_extended(outage)
    assert gone(outage, 100 + EXTENDED_AFTER_S, 100) == [OutageExtended(wall(100), 600)]
    assert is_extended(outage)
    assert outage.extends_in_s(701) is None
    assert gone(outage, 900, 100) == []


def test_a_return_ends_it_and_tells_how_long_it_was() -> None:
    outage = clock()
    there(outage, 100)
    gone(outage, 130, 100)
    gone(outage, 720, 100)
    assert there(outage, 750) == [OutageEnded(650)]
    assert outage.since_ns is None
    assert not is_extended(outage)
    assert outage.offline_s(800) == 0
    assert outage.extends_in_s(800) is None
    assert there(outage, 751) == []
    assert gone(outage, 800, 790) == [OutageStarted(wall(790))]  # the next one counts anew
    assert outage.offline_s(800) == 10


def test_a_start_is_not_announced_as_an_outage_unless_it_lasts() -> None:
    short = clock()
    assert gone(short, 1, None) == []
    assert short.since_ns == wall(0)
    assert there(short, 30) == []  # nobody was told of a beginning
    long = clock()
    assert gone(long, 600, None) == [OutageExtended(wall(0), 600)]
    assert there(long, 660) == [OutageEnded(660)]


def test_whoever_was_told_of_it_at_the_start_is_told_that_it_ended() -> None:
    outage = clock()
    gone(outage, 1, None)
    outage.told()
    assert there(outage, 5) == [OutageEnded(5.0)]
    outage.told()
    assert there(outage, 6) == []


def test_since_survives_a_restart() -> None:
    outage = OutageClock(wall(-500), 0.0, wall(0))
    assert outage.offline_s(0) == 500
    assert outage.extends_in_s(0) == 100
    assert gone(outage, 99, None) == []
    assert gone(outage, 100, None) == [OutageExtended(wall(-500), 600)]


def test_a_sign_of_life_from_the_future_is_one_of_now() -> None:
    restarted = OutageClock(wall(50), 0.0, wall(0))
    assert restarted.offline_s(0) == 0
    outage = clock()
    there(outage, 10)
    assert gone(outage, 20, 25) == [OutageStarted(wall(20))]
    assert outage.offline_s(20) == 0


def test_without_any_sign_it_begins_now() -> None:
    outage = clock()
    there(outage, 10)
    assert gone(outage, 20, None) == [OutageStarted(wall(20))]


@pytest.mark.parametrize("step_s", [-7200, 7200])
def test_a_wall_clock_that_jumps_changes_no_duration(step_s: int) -> None:
    outage = clock()
    there(outage, 100)
    # It jumps while the silence is not noticed yet.
    (started,) = gone(outage, 160, 100, step_s)
    assert outage.offline_s(160) == 60
    assert started == OutageStarted(wall(100 + step_s))  # in its new time
    # And once more while the outage lasts.
    assert gone(outage, 699.9, 100, -step_s) == []
    assert gone(outage, 700, 100, -step_s) == [OutageExtended(wall(100 + step_s), 600)]
    assert there(outage, 705) == [OutageEnded(605)]
