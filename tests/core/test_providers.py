"""Who provides: discovered, lost and back; signs of life; and who consumes."""

import pytest

from meshnode.core.consumers import CONSUMER_INTERVALS
from meshnode.core.facts import (
    ProviderDiscovered,
    ProviderLost,
    ProviderReturned,
)
from meshnode.core.lifecycle import ProviderState
from protocols.messages import PresenceUpdate, PriceUpdate
from tests.cast import ALICE, BOB, CAROL, id_of, key_of
from tests.core.bobs_view import (
    ACTIVE,
    CONSUMES,
    GOES,
    HERE,
    LEAVING,
    LEFT,
    OFFLINE,
    PRICES,
    Bob,
    Loss,
    by_connection,
    by_silence,
    wall,
)


@pytest.fixture
def bob() -> Bob:
    return Bob()


# --- discovered -----------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [PRICES, HERE])
def test_whoever_provides_is_discovered_once(
    bob: Bob, payload: PriceUpdate | PresenceUpdate
) -> None:
    assert bob.hears(10, payload) == [ProviderDiscovered(id_of(ALICE))]
    assert bob.hears(15, payload) == []
    assert bob.providers.active() == {key_of(ALICE)}
    assert bob.providers.present() == {id_of(ALICE)}
    assert bob.providers.counts() == {"discovered": 1, "returned": 0, "lost": 0}


def test_a_provider_says_of_how_many_assets_prices_alone_do_not(bob: Bob) -> None:
    bob.hears(1, PRICES)
    assert bob.providers.records()[key_of(ALICE)].assets_said is None
    bob.hears(2, HERE)
    bob.hears(3, PRICES)
    assert bob.providers.records()[key_of(ALICE)].assets_said == 7


def test_a_stranger_that_leaves_was_never_there(bob: Bob) -> None:
    assert bob.hears(1, LEAVING) == []
    assert bob.hears(1, GOES, by=key_of(BOB)) == []
    assert not bob.providers.records()
    assert not bob.providers.present()


def test_an_old_word_of_a_stranger_discovers_nobody(bob: Bob) -> None:
    assert bob.hears(100, late_s=15) == []
    assert not bob.providers.records()


# --- leaving and returning ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "cause", "state", "last_sign"),
    [
        (by_silence, "silence", OFFLINE, 100),
        (by_connection, "connection", OFFLINE, 100),
        (lambda bob, now: bob.hears(now, LEAVING), "leaving", LEFT, 160),  # its last word counts
        (lambda bob, now: bob.hears(now, CONSUMES), "leaving", LEFT, 100),
    ],
)
def test_a_provider_is_lost_once_and_returns_by_its_second_message(
    bob: Bob, loss: Loss, cause: str, state: ProviderState, last_sign: float
) -> None:
    bob.hears(100)
    assert loss(bob, 160) == [ProviderLost(id_of(ALICE), cause, 160 - last_sign)]
    assert loss(bob, 161) == []
    assert bob.state is state
    assert not bob.providers.active()
    assert bob.hears(200, PRICES) == []
    assert bob.state is state
    assert bob.hears(201, PRICES) == [ProviderReturned(id_of(ALICE), 201 - last_sign)]
    assert bob.hears(202, PRICES) == []
    assert bob.state is ACTIVE
    assert bob.providers.counts() == {"discovered": 1, "returned": 1, "lost": 1}


def test_two_messages_far_apart_bring_nobody_back(bob: Bob) -> None:
    bob.hears(100)
    by_connection(bob, 101)
    assert bob.hears(110) == []
    assert bob.hears(130) == []
    assert bob.hears(135) == [ProviderReturned(id_of(ALICE), 35)]


@pytest.mark.parametrize("payload", [PRICES, HERE])
def test_what_was_said_before_the_loss_and_comes_late_brings_nobody_back(
    bob: Bob, payload: PriceUpdate | PresenceUpdate
) -> None:
    bob.hears(10, PRICES)
    by_connection(bob, 20)
    for late_s in (1.6, 1.5, 1.4):
        assert bob.hears(21, payload, late_s=late_s) == []
    assert not bob.providers.active()
    bob.hears(22, payload, late_s=0.5)
    assert bob.hears(22, payload, late_s=0.4) == [ProviderReturned(id_of(ALICE), 12)]


def test_prices_overtaken_by_the_word_of_leaving_bring_nobody_back(bob: Bob) -> None:
    # Alice's clock is a little ahead, so what she says seems to be said when it arrives.
    bob.hears(10, late_s=-0.4)
    bob.hears(20, LEAVING, late_s=-0.4)
    for late_s in (-0.3, -0.31):
        assert bob.hears(20.05, PRICES, late_s=late_s + 0.05) == []
    assert bob.state is LEFT


def test_leaving_is_never_suspect(bob: Bob) -> None:
    bob.hears(100)
    bob.hears(101, LEAVING)
    assert bob.loses_connection(101.1) == []
    assert bob.sweeps(500) == []
    assert bob.state is LEFT


def test_the_word_of_leaving_may_come_behind_the_connection_s_end(bob: Bob) -> None:
    bob.hears(100)
    bob.loses_connection(101)
    assert bob.hears(101.1, LEAVING) == [ProviderLost(id_of(ALICE), "leaving", 0)]
    assert bob.state is LEFT


# --- signs of life --------------------------------------------------------------------------


def test_the_last_sign_of_life_is_when_it_was_given_not_when_it_arrived(bob: Bob) -> None:
    providers = bob.providers
    assert providers.last_sign_at() is providers.last_sign_ns() is None
    bob.hears(100, PRICES, late_s=10)
    assert (providers.last_sign_at(), providers.last_sign_ns()) == (90, wall(90))
    bob.hears(101, PRICES, late_s=12)  # a late one takes nothing back
    assert (providers.last_sign_at(), providers.last_sign_ns()) == (90, wall(90))
    bob.hears(102, PRICES, late_s=-9)  # nor does a clock that is ahead gain anything
    assert (providers.last_sign_at(), providers.last_sign_ns()) == (102, wall(102))
    bob.hears(103, LEAVING)
    assert (providers.last_sign_at(), providers.last_sign_ns()) == (103, wall(103))
    bob.hears(163, CONSUMES)  # it lives, but no more as a provider
    assert (providers.last_sign_at(), providers.last_sign_ns()) == (103, wall(103))


@pytest.mark.parametrize("lag_s", [-5, 5])
def test_a_clock_five_seconds_off_is_learned_and_never_suspect(bob: Bob, lag_s: float) -> None:
    for now in range(0, 600, 5):
        assert bob.sweeps(now) == []
        bob.hears(now, late_s=lag_s)
    assert bob.providers.records()[key_of(ALICE)].lag_s == pytest.approx(lag_s, abs=0.1)
    assert bob.sweeps(595 + 14) == []
    assert bob.sweeps(595 + 15.1) != []


# --- consumers ------------------------------------------------------------------------------


def test_a_consumer_is_present_for_so_many_of_its_intervals(bob: Bob) -> None:
    bob.hears(0, CONSUMES)
    until = CONSUMER_INTERVALS * 60
    bob.sweeps(until - 0.1)
    assert bob.providers.present() == {id_of(ALICE)}
    bob.sweeps(until)
    assert bob.providers.present() == frozenset()


def test_a_consumer_that_turns_provider_is_counted_once(bob: Bob) -> None:
    bob.hears(0, CONSUMES)
    assert bob.hears(1, PRICES) == [ProviderDiscovered(id_of(ALICE))]
    assert bob.providers.present() == {id_of(ALICE)}
    assert bob.providers.present_count == 1
    by_connection(bob, 2)
    assert bob.providers.present() == frozenset()


def test_a_provider_that_turns_consumer_is_present_but_provides_no_more(bob: Bob) -> None:
    bob.hears(0, PRICES)
    bob.hears(1, CONSUMES)
    assert not bob.providers.active()
    assert bob.providers.present() == {id_of(ALICE)}
    bob.hears(2, PRICES)
    bob.hears(3, PRICES)
    assert bob.providers.present_count == 1


def test_whoever_ever_spoke_is_known_as_a_node_an_asker_is_not(bob: Bob) -> None:
    bob.hears(0, PRICES)
    bob.hears(0, CONSUMES, by=key_of(BOB))
    by_connection(bob, 1)
    assert bob.providers.knows(id_of(ALICE))
    assert bob.providers.knows(id_of(BOB))
    assert not bob.providers.knows(id_of(CAROL))
    assert not bob.providers.knows("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")  # an RSA key
