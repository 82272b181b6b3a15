"""Who comes and goes is noticed in time: checkers of departures, arrivals and first prices."""

import pytest
from trio.testing import MockClock

from meshnode.core.facts import (
    PeerLost,
    ProviderLost,
    ProviderReturned,
    ProviderSkewed,
    ProviderSuspected,
)
from protocols.messages import Presence
from simulations.checkers.arrivals import UP_S, Arrivals
from simulations.checkers.departures import Departures
from simulations.checkers.first_prices import FirstPrices
from simulations.world_node import WorldNode
from tests.simulation.trial import Trial, open_trial, presence_by, said_by


def lost(provider: WorldNode, cause: str = "silence") -> ProviderLost:
    return ProviderLost(provider.peer_id, cause, 30.0)


async def kill(trial: Trial[Departures], node: WorldNode) -> None:
    await trial.stage.kill([node])
    trial.checker.ended(node)


async def test_a_death_that_nobody_notices_is_seen(autojump_clock: MockClock) -> None:
    async with open_trial(Departures, "alice", "bob") as (trial, (alice, _)):
        await trial.wait(20)
        await kill(trial, alice)
        await trial.wait(70)
        trial.checker.finish()
    assert trial.saw == [
        f"{what}, the slowest never (alice, gone at 20.0 s, by bob)"
        for what in (
            "killed, and noticed by half: 1 of 1 took more than 31 s",
            "killed: 1 of 1 took more than 61 s",
            "killed where it was connected: 1 of 1 took more than 5 s",
        )
    ]


async def test_a_death_is_noticed_at_once_by_neighbours(autojump_clock: MockClock) -> None:
    """Of dave, who is not connected to alice, less is asked."""
    names = "alice", "bob", "carol", "erin", "dave"
    async with open_trial(Departures, *names) as (trial, (alice, bob, carol, erin, dave)):
        trial.world.network.cut_link(alice.peer_id, dave.peer_id)
        await trial.wait(20)
        await kill(trial, alice)
        await trial.wait(4)
        trial.tell(erin, lost(alice))
        await trial.wait(3)
        trial.tell(bob, lost(alice))
        trial.tell(carol, lost(alice))
        await trial.wait(40)
        trial.tell(dave, lost(alice))
        trial.checker.finish()
    assert trial.saw == [
        "killed where it was connected: 2 of 3 took more than 5 s, the slowest 7.0 s"
        " (alice, gone at 20.0 s, by bob)"
    ]


@pytest.mark.parametrize("after_s", [6, 8])
async def test_where_nobody_who_is_asked_can_tell_it_may_take_a_little_longer(
    autojump_clock: MockClock, after_s: int
) -> None:
    names = "alice", "bob", "carol", "dave"
    async with open_trial(Departures, *names) as (trial, (alice, bob, carol, dave)):
        for one, other in ((alice, dave), (bob, carol)):
            trial.world.network.cut_link(one.peer_id, other.peer_id)
        await trial.wait(20)
        await kill(trial, alice)
        await trial.wait(after_s)
        for near in (bob, carol):
            trial.tell(near, lost(alice))
        await trial.wait(20)
        trial.tell(dave, lost(alice))
        trial.checker.finish()
    what = "killed where it was connected, and nobody could tell"
    late = f"{what}: 2 of 2 took more than 7 s, the slowest 8.0 s (alice, gone at 20.0 s, by bob)"
    assert trial.saw == ([late] if after_s > 7 else [])


async def test_who_is_back_before_it_had_to_be_noticed_was_not_missed(
    autojump_clock: MockClock,
) -> None:
    async with open_trial(Departures, "alice", "bob") as (trial, (alice, _)):
        await trial.wait(20)
        await kill(trial, alice)
        await trial.wait(2)
        await trial.stage.start([alice])
        await trial.wait(70)
        trial.checker.finish()
        assert trial.saw == []


@pytest.mark.parametrize(
    ("cause", "after_s", "seen"),
    [
        ("leaving", 1, []),
        ("leaving", 6, ["left in order: 1 of 1 took more than 2 s, the slowest 6"]),
        ("silence", 1, ["left in order: 1 of 1 took more than 2 s, the slowest n"]),
    ],
)
async def test_a_farewell_has_to_come_in_time(
    autojump_clock: MockClock, cause: str, after_s: int, seen: list[str]
) -> None:
    async with open_trial(Departures, "alice", "bob") as (trial, (alice, bob)):
        await trial.wait(20)
        trial.checker.accepted(alice, presence_by(alice, Presence.LEAVING))
        await trial.stage.leave([alice])
        await trial.wait(after_s)
        trial.tell(bob, lost(alice, cause))
        await trial.wait(70)
        trial.checker.finish()
    assert [saw[: len(seen[0])] for saw in trial.saw] == seen


async def test_who_stands_still_for_long_has_to_be_called_lost(autojump_clock: MockClock) -> None:
    async with open_trial(Departures, "alice", "bob") as (trial, (alice, _)):
        await trial.wait(20)
        trial.stage.freeze([alice])
        await trial.wait(70)
        trial.checker.finish()
    assert trial.saw == [
        "frozen: 1 of 1 took more than 61 s, the slowest never (alice, gone at 20.0 s, by bob)"
    ]


def back(provider: WorldNode) -> ProviderReturned:
    return ProviderReturned(provider.peer_id, 40.0)


async def test_the_second_message_makes_a_provider_known(autojump_clock: MockClock) -> None:
    async with open_trial(Arrivals, "alice", "bob") as (trial, (alice, bob)):
        trial.tell(bob, lost(alice))
        trial.checker.accepted(alice, said_by(alice, 1))
        await trial.wait(int(UP_S) - 1)
        for seq in (1, 2):
            trial.checker.accepted(bob, said_by(alice, seq))
        await trial.wait(11)
        assert trial.saw == []  # bob had only just started himself
        for seq in (1, 2, 3):
            trial.checker.accepted(alice, said_by(alice, seq))
        await trial.wait(6)
        assert trial.saw == []  # nobody else has heard of it
        for seq in (2, 2, 3):
            trial.checker.accepted(bob, said_by(alice, seq))
        await trial.wait(6)
        assert trial.saw == ["5.0 s after its second message, alice is gone here"]


def suspected(provider: WorldNode) -> ProviderSuspected:
    return ProviderSuspected(provider.peer_id, "connection", 1.0)


@pytest.mark.parametrize(("before", "breaks_again"), [(False, False), (True, False), (True, True)])
async def test_who_is_suspected_after_it_was_noticed_was_noticed(
    autojump_clock: MockClock, before: bool, breaks_again: bool
) -> None:
    """A connection may break at any time, and again; else who was suspected is to be cleared."""
    async with open_trial(Arrivals, "alice", "bob") as (trial, (alice, bob)):
        await trial.wait(20)
        trial.checker.accepted(alice, said_by(alice, 1))
        if before:
            trial.tell(bob, suspected(alice))
        await trial.wait(1)
        for seq in (1, 2):
            trial.checker.accepted(bob, said_by(alice, seq))
        await trial.wait(4)
        if not before:
            trial.tell(bob, suspected(alice))
        if breaks_again:
            trial.tell(bob, PeerLost(alice.peer_id))
        await trial.wait(2)
        saw = ["5.0 s after its second message, alice is suspect here"]
        assert trial.saw == (saw if before and not breaks_again else [])


@pytest.mark.parametrize("for_s", [9, 11])
async def test_who_is_suspect_for_long_in_the_end_is_not_known(
    autojump_clock: MockClock, for_s: int
) -> None:
    async with open_trial(Arrivals, "alice", "bob") as (trial, (alice, bob)):
        await trial.wait(60)
        trial.tell(bob, suspected(alice))
        await trial.wait(for_s)
        trial.checker.finish()
        saw = ["30.0 s after every fault ended, alice is suspect here"]
        assert trial.saw == (saw if for_s > 10 else [])


@pytest.mark.parametrize("is_told", [False, True])
async def test_who_thaws_is_there_again(autojump_clock: MockClock, is_told: bool) -> None:
    async with open_trial(Arrivals, "alice", "bob") as (trial, (alice, bob)):
        await trial.wait(20)
        trial.stage.freeze([alice])
        trial.tell(bob, lost(alice))
        await trial.wait(90)
        trial.stage.thaw([alice])
        await trial.wait(9)
        if is_told:
            trial.tell(bob, back(alice))
        await trial.wait(2)
    assert trial.saw == ([] if is_told else ["10.0 s after it thawed, alice is gone here"])


async def test_when_a_split_heals_the_sides_know_each_other(autojump_clock: MockClock) -> None:
    async with open_trial(Arrivals, "alice", "bob") as (trial, (alice, bob)):
        await trial.wait(20)
        trial.stage.split([[alice], [bob]])
        trial.tell(bob, lost(alice))
        await trial.wait(60)
        assert trial.saw == []
        trial.stage.heal()
        await trial.wait(11)
        assert trial.saw == ["10.0 s after the split healed, alice is gone here"]
        trial.tell(bob, back(alice))
        trial.checker.finish()
        assert len(trial.saw) == 1


async def test_who_is_split_again_at_once_finds_the_others_later(autojump_clock: MockClock) -> None:
    names = "alice", "bob", "carol"
    async with open_trial(Arrivals, *names) as (trial, (alice, bob, carol)):
        await trial.wait(20)
        trial.stage.split([[alice, carol], [bob]])
        trial.tell(bob, lost(alice))
        await trial.wait(60)
        trial.stage.heal()
        await trial.wait(2)
        trial.stage.split([[alice, bob], [carol]])
        await trial.wait(60)
        assert trial.saw == []
        trial.stage.heal()
        await trial.wait(11)
        assert trial.saw == ["10.0 s after the split healed, alice is gone here"]


async def test_in_the_end_everybody_who_is_there_is_known(autojump_clock: MockClock) -> None:
    async with open_trial(Arrivals, "alice", "bob") as (trial, (alice, bob)):
        await trial.wait(60)
        trial.tell(bob, ProviderSkewed(alice.peer_id))
        trial.checker.finish()
        assert trial.saw == ["30.0 s after every fault ended, alice is skewed here"]


@pytest.mark.parametrize("hears", [False, True])
async def test_who_starts_has_prices_soon(autojump_clock: MockClock, hears: bool) -> None:
    making = open_trial(FirstPrices, "alice", "bob", knows_beliefs=False)
    async with making as (trial, (alice, bob)):
        trial.checker.accepted(alice, said_by(alice, 1))
        await trial.stage.kill([bob])
        await trial.stage.start([bob])
        bob.store.come_back_empty()
        trial.checker.started(bob)
        if hears:
            trial.checker.accepted(bob, said_by(alice, 2))
        await trial.wait(16)
    assert trial.saw == ([] if hears else ["has no price of alice after 15.0 s"])
