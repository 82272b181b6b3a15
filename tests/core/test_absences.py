"""What is no loss: isolation, a pause of our own, flapping, a wrong clock."""

import pytest

from meshnode.core.facts import (
    Fact,
    ProviderCleared,
    ProviderDiscovered,
    ProviderFlapping,
    ProviderLost,
    ProviderReturned,
    ProviderSkewed,
    ProviderSuspected,
    ProviderUnreachable,
)
from meshnode.core.skew import Refusals
from meshnode.core.suspicion import Verdict
from tests.cast import ALICE, CAROL, id_of, key_of
from tests.core.bobs_view import (
    ACTIVE,
    FLAPPING,
    LEAVING,
    LEFT,
    OFFLINE,
    PRICES,
    SKEWED,
    SUSPECT,
    UNREACHABLE,
    Bob,
    by_connection,
    wall,
)


@pytest.fixture
def bob() -> Bob:
    return Bob()


# --- isolation, pauses, restarts ------------------------------------------------------------


def test_an_isolated_node_accuses_nobody(bob: Bob) -> None:
    bob.hears(100)
    bob.hears(100, by=key_of(CAROL))
    bob.providers.doubts.connection_lost(id_of(CAROL), 101)
    assert bob.sweeps(114, isolated=True) == []
    facts = bob.sweeps(115, isolated=True)
    assert set(facts) == {
        ProviderUnreachable(id_of(ALICE), 15),
        ProviderUnreachable(id_of(CAROL), 15),
    }
    assert bob.state is UNREACHABLE
    assert not bob.providers.active()
    assert bob.providers.doubts.suspects() == []
    assert bob.is_refused(120) == bob.is_told(121, Verdict.GONE) == []
    assert bob.sweeps(1000, isolated=True) == []
    assert bob.hears(1001) == [ProviderReturned(id_of(ALICE), 901)]  # one message is enough


def test_who_was_out_of_hearing_is_lost_only_after_we_listened_in_vain(bob: Bob) -> None:
    bob.hears(100)
    bob.sweeps(115, isolated=True)
    bob.providers.doubts.rearm(300)
    assert bob.sweeps(301) == []
    assert [record.key for record in bob.providers.doubts.suspects()] == [key_of(ALICE)]
    bob.is_told(302, Verdict.GONE)
    assert bob.sweeps(324.9) == []
    assert bob.sweeps(325) == [ProviderLost(id_of(ALICE), "silence", 225)]


def test_who_did_not_run_itself_accuses_nobody_before_two_fresh_intervals(bob: Bob) -> None:
    bob.hears(100)
    bob.providers.doubts.rearm(220)
    assert bob.sweeps(229.9) == []
    assert bob.sweeps(230) == [ProviderSuspected(id_of(ALICE), "silence", 130)]


def test_a_pause_also_spares_those_already_suspect(bob: Bob) -> None:
    bob.hears(100)
    bob.sweeps(115)
    bob.is_told(116, Verdict.GONE)
    bob.providers.doubts.rearm(236)
    assert bob.sweeps(237) == []
    assert bob.sweeps(236 + 25) == []  # what was said before the pause counts no more


def test_connections_that_broke_while_we_stood_still_accuse_nobody(bob: Bob) -> None:
    bob.hears(100)
    bob.providers.doubts.rearm(220)
    assert bob.loses_connection(220.1) == bob.loses_connection(229.9) == []
    assert bob.loses_connection(230) == [ProviderSuspected(id_of(ALICE), "connection", 130)]


def test_what_broke_before_a_pause_is_still_broken(bob: Bob) -> None:
    bob.hears(100)
    bob.loses_connection(101)
    bob.providers.doubts.rearm(104)
    bob.is_refused(104.5)
    assert bob.is_told(105, Verdict.GONE) == [ProviderLost(id_of(ALICE), "connection", 5)]


def test_a_provider_from_before_a_restart_is_known_and_returns(bob: Bob) -> None:
    bob.providers.remember(key_of(ALICE), wall(-90), now=10, now_ns=wall(10))
    assert bob.state is UNREACHABLE
    assert bob.providers.last_sign_ns() == wall(-90)
    assert bob.sweeps(69.9) == []
    assert bob.hears(69.9, PRICES) == [ProviderReturned(id_of(ALICE), 159.9)]


def test_one_from_before_a_restart_that_stays_silent_is_lost(bob: Bob) -> None:
    bob.providers.remember(key_of(ALICE), wall(-90), now=10, now_ns=wall(10))
    assert bob.sweeps(70) == [ProviderLost(id_of(ALICE), "silence", 160)]


def test_one_remembered_from_the_future_was_there_just_now(bob: Bob) -> None:
    bob.providers.remember(key_of(ALICE), wall(500), now=10, now_ns=wall(10))
    assert bob.hears(20, PRICES) == [ProviderReturned(id_of(ALICE), 10)]


# --- flapping -------------------------------------------------------------------------------


def flap(bob: Bob, now: float) -> list[Fact]:
    """Lost at `now`, returned at `now + 3`."""
    return [*by_connection(bob, now), *bob.hears(now + 2), *bob.hears(now + 3)]


def test_three_changes_in_a_minute_are_flapping_held_for_a_minute(bob: Bob) -> None:
    bob.hears(100)
    flap(bob, 101)
    assert by_connection(bob, 110)[-1] == ProviderFlapping(id_of(ALICE), 60)
    for now in range(112, 170, 5):
        assert bob.hears(now) == []
        assert bob.sweeps(now) == []
    assert bob.state is FLAPPING
    assert not bob.providers.active()
    assert bob.sweeps(170) == [ProviderReturned(id_of(ALICE), 66)]
    assert bob.state is ACTIVE


def test_three_changes_in_more_than_a_minute_are_not(bob: Bob) -> None:
    bob.hears(100)
    flap(bob, 101)
    (lost,) = by_connection(bob, 161.1)
    assert isinstance(lost, ProviderLost)
    assert bob.state is OFFLINE


def test_who_flaps_and_is_silent_then_is_lost(bob: Bob) -> None:
    bob.hears(100)
    flap(bob, 101)
    by_connection(bob, 110)
    assert bob.sweeps(170) == [ProviderLost(id_of(ALICE), "flapping", 66)]
    assert bob.state is OFFLINE


def test_who_flaps_again_is_held_twice_as_long_up_to_ten_minutes(bob: Bob) -> None:
    now, held = 100.0, []
    bob.hears(now)
    for _ in range(6):
        flap(bob, now + 1)
        (_, flapping) = by_connection(bob, now + 10)
        assert isinstance(flapping, ProviderFlapping)
        held.append(flapping.held_s)
        now += 10 + flapping.held_s
        bob.hears(now)
        bob.sweeps(now)
    assert held == [60, 120, 240, 480, 600, 600]


def test_suspicions_refuted_are_no_changes(bob: Bob) -> None:
    for now in range(100, 160, 2):
        bob.hears(now)
        bob.loses_connection(now + 1)
    assert bob.state is SUSPECT


def test_who_flaps_and_leaves_has_left(bob: Bob) -> None:
    bob.hears(100)
    flap(bob, 101)
    by_connection(bob, 110)
    assert bob.hears(115, LEAVING) == [ProviderLost(id_of(ALICE), "leaving", 0)]
    assert bob.state is LEFT


# --- skewed ---------------------------------------------------------------------------------


def skews(bob: Bob, now: float, *, since: float, last: float, provides: bool = True) -> list[Fact]:
    refused = {key_of(ALICE): Refusals(wall(since), wall(last), provides)}
    return bob.providers.doubts.sweep(now, wall(now), refused=refused)


def test_who_is_refused_for_its_time_is_skewed_and_not_gone(bob: Bob) -> None:
    bob.hears(100)
    assert skews(bob, 115, since=105, last=105) == []  # it speaks
    assert skews(bob, 116, since=105, last=115) == [ProviderSkewed(id_of(ALICE))]
    assert skews(bob, 200, since=105, last=195) == []
    assert bob.state is SKEWED
    assert not bob.providers.active()
    assert bob.providers.skewed() == {id_of(ALICE)}
    assert bob.providers.doubts.suspects() == []
    assert bob.hears(205) == [ProviderCleared(id_of(ALICE), "skewed", 105)]


def test_who_is_not_even_refused_any_more_is_lost(bob: Bob) -> None:
    bob.hears(100)
    skews(bob, 116, since=105, last=115)
    assert skews(bob, 174.9, since=105, last=115) == []
    assert skews(bob, 175, since=105, last=115) == [ProviderLost(id_of(ALICE), "silence", 75)]
    assert skews(bob, 176, since=105, last=115) == []


def test_an_isolated_node_loses_no_skewed_one_either(bob: Bob) -> None:
    bob.hears(100)
    skews(bob, 116, since=105, last=115)
    assert bob.sweeps(200, isolated=True) == [ProviderUnreachable(id_of(ALICE), 100)]


def test_a_provider_whose_clock_was_never_right_is_shown(bob: Bob) -> None:
    assert skews(bob, 116, since=105, last=115) == [ProviderSkewed(id_of(ALICE))]
    assert bob.hears(120) == [ProviderDiscovered(id_of(ALICE))]
    assert bob.state is ACTIVE


def test_a_skewed_stranger_that_is_never_right_was_never_there(bob: Bob) -> None:
    skews(bob, 116, since=105, last=115)
    assert bob.sweeps(236) == []
    assert bob.hears(240) == [ProviderDiscovered(id_of(ALICE))]
    assert bob.providers.active() == {key_of(ALICE)}


def elsewhere(bob: Bob, now: float, seen_at: float) -> list[Fact]:
    """Another peer said that it refused alice, the last time at `seen_at`."""
    return bob.providers.doubts.refused_elsewhere(id_of(ALICE), seen_at, wall(seen_at), now)


def test_whom_others_refuse_for_its_time_does_not_reach_us_and_is_skewed_too(bob: Bob) -> None:
    bob.hears(100)
    assert elsewhere(bob, 110, 109) == []  # we hear it well enough
    bob.sweeps(115)
    assert elsewhere(bob, 116, 112) == [ProviderSkewed(id_of(ALICE))]
    assert [record.peer_id for record in bob.providers.doubts.suspects()] == [id_of(ALICE)]
    assert bob.sweeps(171.9) == []
    assert elsewhere(bob, 171.9, 170) == []
    assert bob.sweeps(229.9) == []
    assert bob.sweeps(230) == [ProviderLost(id_of(ALICE), "silence", 130)]


def test_hearsay_does_not_grow_younger_by_going_round(bob: Bob) -> None:
    bob.hears(100)
    bob.sweeps(115)
    assert elsewhere(bob, 116, 56) == []  # that was long ago
    elsewhere(bob, 116, 112)
    assert bob.providers.records()[key_of(ALICE)].last_seen_ns == wall(112)
    for now in range(120, 172, 5):  # those who heard it from us say it back
        assert elsewhere(bob, now, 112) == []
    assert bob.sweeps(172) == [ProviderLost(id_of(ALICE), "silence", 72)]
    assert elsewhere(bob, 173, 112) == []


def test_a_consumer_with_a_wrong_clock_is_no_provider(bob: Bob) -> None:
    assert skews(bob, 116, since=105, last=115, provides=False) == []
    assert not bob.providers.records()
