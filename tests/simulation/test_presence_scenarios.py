"""Scenarios in which nodes lose and find each other, each large and long enough to tell.

The mutations of what is known of providers run against these: without a rule one of them fails.
"""

from simulations.runner import Outcome, Setup, simulate
from simulations.scenario import load


def held(name: str, *, nodes: int, minutes: float, seed: int = 1) -> Outcome:
    outcome = simulate(Setup(load(name), nodes, seed, minutes))
    assert [str(violation) for violation in outcome.violations] == []
    return outcome


def test_losses_are_noticed_and_nobody_else_is_accused() -> None:
    outcome = held("provider-loss", nodes=8, minutes=4)
    assert outcome.facts["ProviderLost"] > 7
    assert outcome.facts["ProviderReturned"] > 7


def test_farewells_are_known_at_once_and_never_suspicious() -> None:
    outcome = held("leave", nodes=6, minutes=3)
    assert outcome.facts["ProviderLost"] > 10


def test_who_stands_still_is_judged_by_how_long() -> None:
    outcome = held("freeze", nodes=6, minutes=6)
    assert outcome.facts["ProviderLost"] >= 4
    assert outcome.facts["ProcessPaused"] >= 6


def test_a_split_is_known_as_one_and_heals() -> None:
    outcome = held("partition", nodes=12, minutes=5, seed=7)
    assert outcome.facts["IsolationStarted"] == outcome.facts["IsolationEnded"] >= 1
    assert outcome.facts["OutageExplained"] > 0


def test_wrong_clocks_are_told_from_losses() -> None:
    outcome = held("skew", nodes=12, minutes=3, seed=3)
    assert outcome.facts["ClockDiffers"] > 0
    assert outcome.facts["ProviderSkewed"] > 0
    held("skew", nodes=12, minutes=3, seed=5)  # here a small difference is not outvoted


def test_who_starts_has_prices_and_is_known() -> None:
    # Of these seeds prices are said again only after a minute.
    held("cold-start", nodes=8, minutes=1, seed=3)
    held("newcomers", nodes=6, minutes=2, seed=3)


def test_links_that_stall_and_break_make_nobody_lost() -> None:
    outcome = held("bad-links", nodes=10, minutes=4)
    assert outcome.facts.get("ProviderLost", 0) == 0


def test_a_long_split_is_an_outage_on_the_far_side_only() -> None:
    outcome = held("long-partition", nodes=6, minutes=13)
    assert 1 <= outcome.facts["OutageExtended"] < 6
    assert outcome.samples[-1].in_outage == 0
