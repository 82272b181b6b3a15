"""Who may be gone: silence, connections that break, and what those who are asked say."""

import pytest

from meshnode.core.facts import (
    ProviderCleared,
    ProviderLost,
    ProviderSuspected,
)
from meshnode.core.suspicion import Verdict
from tests.cast import ALICE, BOB, id_of, key_of, presence
from tests.core.bobs_view import (
    ACTIVE,
    CONSUMES,
    OFFLINE,
    SUSPECT,
    Bob,
)


@pytest.fixture
def bob() -> Bob:
    return Bob()


# --- silence --------------------------------------------------------------------------------


def test_silence_suspects_after_three_intervals_and_its_prices_stay_live(bob: Bob) -> None:
    bob.hears(100)
    assert bob.sweeps(114.9) == []
    assert bob.sweeps(115) == [ProviderSuspected(id_of(ALICE), "silence", 15)]
    assert bob.sweeps(116) == []
    assert bob.state is SUSPECT
    assert bob.providers.active() == {key_of(ALICE)}
    assert [record.key for record in bob.providers.doubts.suspects()] == [key_of(ALICE)]


def test_a_newer_message_refutes(bob: Bob) -> None:
    bob.hears(100)
    bob.sweeps(115)
    assert bob.hears(117) == [ProviderCleared(id_of(ALICE), "suspect", 17)]
    assert bob.state is ACTIVE
    assert bob.providers.doubts.suspects() == []


def test_age_counts_from_issue_a_late_word_does_not_keep_the_dead_alive(bob: Bob) -> None:
    bob.hears(100)
    bob.sweeps(115)
    assert bob.hears(120, late_s=16) == []  # older than three intervals already
    assert bob.state is SUSPECT
    bob.hears(130, late_s=20)
    assert bob.sweeps(169.9) == []
    assert bob.sweeps(170) == [ProviderLost(id_of(ALICE), "silence", 60)]


def test_a_peer_that_agrees_confirms_at_six_intervals(bob: Bob) -> None:
    bob.hears(100)
    bob.sweeps(115)
    assert bob.is_told(120, Verdict.GONE) == []
    assert bob.sweeps(129.9) == []
    assert bob.sweeps(130) == [ProviderLost(id_of(ALICE), "silence", 30)]
    assert bob.state is OFFLINE
    assert not bob.providers.active()


@pytest.mark.parametrize("verdict", [Verdict.ALIVE, Verdict.HEARD, Verdict.UNKNOWN, None])
def test_without_one_that_agrees_it_takes_twelve_intervals(
    bob: Bob, verdict: Verdict | None
) -> None:
    bob.hears(100)
    bob.sweeps(115)
    if verdict:
        bob.is_told(120, verdict)
    assert bob.sweeps(159.9) == []
    assert bob.sweeps(160) == [ProviderLost(id_of(ALICE), "silence", 60)]


def test_a_peer_s_newest_word_counts(bob: Bob) -> None:
    bob.hears(100)
    bob.sweeps(115)
    bob.is_told(120, Verdict.GONE)
    bob.is_told(125, Verdict.ALIVE)
    assert bob.sweeps(131) == []
    assert bob.is_told(132, Verdict.GONE) == [ProviderLost(id_of(ALICE), "silence", 32)]


def test_who_speaks_seldom_is_given_its_own_intervals(bob: Bob) -> None:
    bob.hears(100, presence(interval_s=10))
    assert bob.sweeps(129.9) == []
    assert bob.sweeps(130) == [ProviderSuspected(id_of(ALICE), "silence", 30)]


def test_a_short_interval_makes_nobody_easier_to_accuse(bob: Bob) -> None:
    bob.hears(100, presence(interval_s=1))
    assert bob.sweeps(114.9) == []


def test_accusations_of_one_who_is_not_suspect_change_nothing(bob: Bob) -> None:
    bob.hears(100)
    for number in range(1000):
        assert bob.is_told(101, Verdict.GONE, by=f"stranger {number}") == []
    assert bob.is_refused(101) == []
    assert bob.providers.doubts.nobody_to_ask(id_of(ALICE), 101) == []
    assert bob.state is ACTIVE
    bob.sweeps(115)
    assert bob.sweeps(130) == []  # nor are they remembered


# --- a connection that breaks ---------------------------------------------------------------


def test_a_connection_that_breaks_suspects_at_once_and_no_more(bob: Bob) -> None:
    bob.hears(100)
    assert bob.loses_connection(101) == [ProviderSuspected(id_of(ALICE), "connection", 1)]
    bob.is_told(102, Verdict.GONE)
    assert bob.sweeps(129) == []
    assert bob.state is SUSPECT


def test_a_dial_refused_and_one_that_agrees_confirm_at_once(bob: Bob) -> None:
    bob.hears(100)
    bob.loses_connection(101)
    assert bob.is_refused(101.5) == []
    assert bob.is_told(102, Verdict.GONE) == [ProviderLost(id_of(ALICE), "connection", 2)]


def test_a_dial_refused_and_nobody_to_ask_confirm_at_once(bob: Bob) -> None:
    bob.hears(100)
    bob.loses_connection(101)
    assert bob.providers.doubts.nobody_to_ask(id_of(ALICE), 101.5) == []
    assert bob.is_refused(102) == [ProviderLost(id_of(ALICE), "connection", 2)]


def test_a_dial_refused_and_none_that_knows_confirm_when_it_should_have_spoken(bob: Bob) -> None:
    bob.hears(100)
    bob.loses_connection(101)
    bob.is_refused(101.5)
    assert bob.is_told(102, Verdict.UNKNOWN) == []
    assert bob.sweeps(105.4) == []
    assert bob.sweeps(105.5) == [ProviderLost(id_of(ALICE), "connection", 5.5)]


def test_one_that_heard_a_later_word_keeps_it_until_the_next_is_due(bob: Bob) -> None:
    bob.hears(100)
    bob.loses_connection(103)
    bob.is_refused(103.5)
    assert bob.is_told(104, Verdict.HEARD, seen=102.5) == []
    assert bob.sweeps(107.9) == []
    assert bob.sweeps(108) == [ProviderLost(id_of(ALICE), "connection", 8)]


def test_who_lies_of_later_words_keeps_it_for_twelve_intervals_and_no_longer(bob: Bob) -> None:
    bob.hears(100)
    bob.loses_connection(101)
    bob.is_refused(101.5)
    for second in range(102, 160):
        assert bob.is_told(second, Verdict.HEARD, seen=second + 1000) == []
    assert bob.sweeps(160) == [ProviderLost(id_of(ALICE), "connection", 60)]


def test_one_that_agrees_but_heard_it_later_counts_from_then(bob: Bob) -> None:
    bob.hears(100)
    bob.sweeps(115)
    assert bob.is_told(131, Verdict.GONE, seen=110) == []
    assert bob.sweeps(139.9) == []
    assert bob.sweeps(140) == [ProviderLost(id_of(ALICE), "silence", 40)]


def test_one_that_reaches_it_keeps_it_from_being_lost(bob: Bob) -> None:
    bob.hears(100)
    bob.loses_connection(101)
    bob.is_refused(101.5)
    bob.is_told(102, Verdict.ALIVE)
    assert bob.sweeps(110) == []


def test_what_was_said_before_the_connection_broke_refutes_nothing(bob: Bob) -> None:
    bob.hears(100)
    bob.loses_connection(103)
    assert bob.hears(103.2, late_s=0.5) == []
    assert bob.state is SUSPECT
    (cleared,) = bob.hears(104)
    assert isinstance(cleared, ProviderCleared)


def test_a_usual_way_of_a_second_does_not_make_a_word_later_than_the_break(bob: Bob) -> None:
    for number in range(100):  # so the second is taken for her clock's
        bob.hears(5 * number, late_s=1)
    bob.loses_connection(500)
    assert bob.hears(500.8, late_s=1) == []
    assert bob.state is SUSPECT
    (cleared,) = bob.hears(505, late_s=1)
    assert isinstance(cleared, ProviderCleared)


def test_what_was_found_before_the_last_break_is_no_word_on_it(bob: Bob) -> None:
    bob.hears(0)
    bob.loses_connection(1)
    assert bob.is_refused(1.1) == []
    bob.loses_connection(2)  # it was connected between
    assert bob.is_told(2.1, Verdict.GONE) == []
    bob.loses_connection(3)
    assert bob.is_refused(3.1) == []
    (lost,) = bob.is_told(3.2, Verdict.GONE)
    assert isinstance(lost, ProviderLost)


def test_when_others_heard_it_last_is_known_however_often_its_connection_breaks(bob: Bob) -> None:
    bob.hears(0)
    bob.loses_connection(1)
    bob.is_told(6, Verdict.HEARD, seen=5)
    bob.loses_connection(7)
    assert bob.is_refused(7.1) == []
    assert bob.is_told(7.2, Verdict.UNKNOWN) == []
    (lost,) = bob.is_told(11, Verdict.UNKNOWN)
    assert isinstance(lost, ProviderLost)


def test_a_connection_to_who_is_no_provider_tells_nothing(bob: Bob) -> None:
    bob.hears(0, CONSUMES)
    assert bob.loses_connection(1) == []
    assert bob.providers.doubts.connection_lost(id_of(BOB), 1) == []
    assert bob.providers.present() == {id_of(ALICE)}
