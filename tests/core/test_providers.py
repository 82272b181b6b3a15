"""Who provides, and is it there: every transition of a provider, and the bounds of memory."""

from collections.abc import Callable

import pytest

from meshnode.core import providers as providers_module
from meshnode.core.facts import Fact, ProviderDiscovered, ProviderLost, ProviderReturned
from meshnode.core.providers import (
    CONSUMER_INTERVALS,
    SILENCE_S,
    Providers,
    ProviderState,
)
from protocols.messages import Presence, PresenceUpdate, PriceUpdate, Role
from simulations.clock import START_NS
from tests.cast import ALICE, BOB, CAROL, NS_PER_S, id_of, key_of, presence, quote

PRICES = PriceUpdate((quote(),))
HERE = presence(assets=7)
LEAVING = presence(state=Presence.LEAVING)
CONSUMES = presence(Role.CONSUMER, interval_s=60)
GOES = presence(Role.CONSUMER, Presence.LEAVING, interval_s=60)


def wall(now: float) -> int:
    return START_NS + round(now * NS_PER_S)


def hear(
    providers: Providers,
    payload: PriceUpdate | PresenceUpdate,
    now: float,
    *,
    by: bytes = key_of(ALICE),
    late_s: float = 0,
) -> list[Fact]:
    return providers.heard(by, payload, wall(now - late_s), now, wall(now))


def state_of(providers: Providers, author: bytes = key_of(ALICE)) -> ProviderState:
    return providers.records()[author].state


# --- discovered -----------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [PRICES, HERE])
def test_whoever_provides_is_discovered_once(payload: PriceUpdate | PresenceUpdate) -> None:
    providers = Providers()
    assert hear(providers, payload, 10) == [ProviderDiscovered(id_of(ALICE))]
    assert hear(providers, payload, 15) == []
    assert providers.active() == {key_of(ALICE)}
    assert providers.present() == {id_of(ALICE)}


def test_a_provider_says_of_how_many_assets_prices_alone_do_not() -> None:
    providers = Providers()
    hear(providers, PRICES, 1)
    assert providers.records()[key_of(ALICE)].assets_said is None
    hear(providers, HERE, 2)
    hear(providers, PRICES, 3)
    assert providers.records()[key_of(ALICE)].assets_said == 7


def test_a_stranger_that_leaves_was_never_there() -> None:
    providers = Providers()
    assert hear(providers, LEAVING, 1) == []
    assert hear(providers, GOES, 1, by=key_of(BOB)) == []
    assert not providers.records()
    assert not providers.present()


# --- lost and returned ----------------------------------------------------------------------

Loss = Callable[[Providers, float], list[Fact]]

LOSSES: dict[str, Loss] = {
    "silence": lambda providers, now: providers.sweep(now),
    "connection": lambda providers, now: providers.connection_lost(id_of(ALICE), now),
    "leaving": lambda providers, now: hear(providers, LEAVING, now),
    "consuming": lambda providers, now: hear(providers, CONSUMES, now),
}


@pytest.mark.parametrize(
    ("loss", "cause", "state", "silent_s"),
    [
        ("silence", "silence", ProviderState.OFFLINE, 60),
        ("connection", "connection", ProviderState.OFFLINE, 60),
        ("leaving", "leaving", ProviderState.LEFT, 0),  # its last word is a sign of life
        ("consuming", "leaving", ProviderState.LEFT, 0),
    ],
)
def test_a_provider_is_lost_once_and_returns_with_how_long_it_was_gone(
    loss: str, cause: str, state: ProviderState, silent_s: float
) -> None:
    providers = Providers()
    hear(providers, HERE, 100)
    assert LOSSES[loss](providers, 160) == [ProviderLost(id_of(ALICE), cause, silent_s)]
    assert LOSSES[loss](providers, 161) == []
    assert state_of(providers) is state
    assert not providers.active()
    assert hear(providers, PRICES, 200) == [ProviderReturned(id_of(ALICE), 40)]
    assert hear(providers, PRICES, 201) == []
    assert state_of(providers) is ProviderState.ACTIVE


def test_silence_counts_from_sixty_seconds_and_from_the_last_message() -> None:
    providers = Providers()
    hear(providers, HERE, 0)
    hear(providers, PRICES, 30)
    assert providers.sweep(30 + SILENCE_S - 0.001) == []
    assert providers.sweep(30 + SILENCE_S) == [ProviderLost(id_of(ALICE), "silence", SILENCE_S)]


def test_only_the_silent_one_is_lost() -> None:
    providers = Providers()
    hear(providers, HERE, 0)
    hear(providers, HERE, 50, by=key_of(BOB))
    (lost,) = providers.sweep(60)
    assert isinstance(lost, ProviderLost)
    assert lost.provider_id == id_of(ALICE)
    assert providers.active() == {key_of(BOB)}


def test_a_connection_to_who_is_no_provider_tells_nothing() -> None:
    providers = Providers()
    hear(providers, CONSUMES, 0)
    assert providers.connection_lost(id_of(ALICE), 1) == []
    assert providers.connection_lost(id_of(BOB), 1) == []
    assert providers.present() == {id_of(ALICE)}


def test_a_provider_from_before_a_restart_is_known_and_returns() -> None:
    providers = Providers()
    providers.remember(key_of(ALICE), wall(-90), now=10, now_ns=wall(10))
    assert state_of(providers) is ProviderState.OFFLINE
    assert providers.last_sign_ns() == wall(-90)
    assert providers.sweep(1000) == []
    assert hear(providers, PRICES, 20) == [ProviderReturned(id_of(ALICE), 110)]


def test_one_remembered_from_the_future_was_there_just_now() -> None:
    providers = Providers()
    providers.remember(key_of(ALICE), wall(500), now=10, now_ns=wall(10))
    assert hear(providers, PRICES, 20) == [ProviderReturned(id_of(ALICE), 10)]


# --- signs of life --------------------------------------------------------------------------


def test_the_last_sign_of_life_is_when_it_was_given_not_when_it_arrived() -> None:
    providers = Providers()
    assert providers.last_sign_at() is providers.last_sign_ns() is None
    hear(providers, PRICES, 100, late_s=20)
    assert (providers.last_sign_at(), providers.last_sign_ns()) == (80, wall(80))
    hear(providers, PRICES, 101, late_s=30)  # a late one takes nothing back
    assert (providers.last_sign_at(), providers.last_sign_ns()) == (80, wall(80))
    hear(providers, PRICES, 102, late_s=-9)  # nor does a clock that is ahead gain anything
    assert (providers.last_sign_at(), providers.last_sign_ns()) == (102, wall(102))
    hear(providers, LEAVING, 103)
    assert (providers.last_sign_at(), providers.last_sign_ns()) == (103, wall(103))
    hear(providers, CONSUMES, 163)  # it lives, but no more as a provider
    assert (providers.last_sign_at(), providers.last_sign_ns()) == (103, wall(103))


# --- consumers ------------------------------------------------------------------------------


def test_a_consumer_is_present_for_so_many_of_its_intervals() -> None:
    providers = Providers()
    hear(providers, CONSUMES, 0)
    until = CONSUMER_INTERVALS * 60
    providers.sweep(until - 0.1)
    assert providers.present() == {id_of(ALICE)}
    providers.sweep(until)
    assert providers.present() == frozenset()


def test_a_consumer_leaves_and_nobody_is_present_for_ever() -> None:
    providers = Providers()
    hear(providers, CONSUMES, 0)
    hear(providers, GOES, 1)
    assert providers.present() == frozenset()
    hear(providers, presence(Role.CONSUMER, interval_s=10**12), 0)
    providers.sweep(CONSUMER_INTERVALS * 24 * 3600)
    assert providers.present() == frozenset()


def test_a_consumer_that_turns_provider_is_counted_once() -> None:
    providers = Providers()
    hear(providers, CONSUMES, 0)
    assert hear(providers, PRICES, 1) == [ProviderDiscovered(id_of(ALICE))]
    assert providers.present() == {id_of(ALICE)}
    providers.connection_lost(id_of(ALICE), 2)
    assert providers.present() == frozenset()


def test_a_provider_that_turns_consumer_is_present_but_provides_no_more() -> None:
    providers = Providers()
    hear(providers, PRICES, 0)
    hear(providers, CONSUMES, 1)
    assert not providers.active()
    assert providers.present() == {id_of(ALICE)}


def test_whoever_ever_spoke_is_known_as_a_node_an_asker_is_not() -> None:
    providers = Providers()
    hear(providers, PRICES, 0)
    hear(providers, CONSUMES, 0, by=key_of(BOB))
    providers.connection_lost(id_of(ALICE), 1)
    assert providers.knows(id_of(ALICE))
    assert providers.knows(id_of(BOB))
    assert not providers.knows(id_of(CAROL))
    assert not providers.knows("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")  # an RSA key


# --- bounds ---------------------------------------------------------------------------------


def author(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_the_provider_gone_longest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers_module, "PROVIDERS_MAX", 3)
    providers = Providers()
    for number in (1, 2, 3):
        hear(providers, HERE, number, by=author(number))
    providers.connection_lost(providers.records()[author(2)].peer_id, 4)
    hear(providers, HERE, 5, by=author(4))
    assert set(providers.records()) == {author(1), author(3), author(4)}  # 2 was not there
    hear(providers, HERE, 6, by=author(5))
    assert set(providers.records()) == {author(3), author(4), author(5)}  # 1 spoke longest ago
    hear(providers, HERE, 7, by=author(3))
    assert len(providers.records()) == 3


def test_the_consumer_that_is_over_first_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers_module, "CONSUMERS_MAX", 2)
    providers = Providers()
    for now, who in enumerate((ALICE, BOB, ALICE, CAROL)):
        hear(providers, CONSUMES, now, by=key_of(who))
    assert providers.present() == {id_of(ALICE), id_of(CAROL)}


@pytest.mark.parametrize("payload", [PRICES, HERE])
def test_what_was_said_before_the_loss_and_comes_late_brings_nobody_back(
    payload: PriceUpdate | PresenceUpdate,
) -> None:
    providers = Providers()
    hear(providers, PRICES, 10)
    providers.connection_lost(id_of(ALICE), 20)
    assert hear(providers, payload, 21, late_s=1.5) == []
    assert providers.active() == frozenset()
    assert hear(providers, payload, 22, late_s=0.5) == [ProviderReturned(id_of(ALICE), 2)]
