"""Who is cut off, or whose clock is wrong, says so: checkers of splits and of clocks."""

import pytest
from trio.testing import MockClock

from meshnode.core.facts import (
    ClockDiffers,
    IsolationStarted,
    OutageExplained,
    OutageStarted,
    PeerJoined,
    PeerLost,
    ProviderSkewed,
)
from simulations.checkers.clocks import Clocks
from simulations.checkers.splits import Splits
from tests.simulation.trial import open_trial

LONG_S = 60
CAST = ("alice", "bob", "carol", "dave", "erin", "frank", "grace")


async def test_who_is_alone_has_to_say_so(autojump_clock: MockClock) -> None:
    making = open_trial(Splits, *CAST, knows_beliefs=False)
    async with making as (trial, (alice, bob, *others)):
        await trial.wait(LONG_S)
        trial.stage.split([[alice, *others], [bob]])
        await trial.wait(30)
        (saw,) = trial.saw
        assert "is alone for 18.0 s, and does not say so" in saw or "19.0 s" in saw


async def test_who_has_a_stranger_among_its_peers_is_not_alone(autojump_clock: MockClock) -> None:
    making = open_trial(Splits, *CAST, knows_beliefs=False)
    async with making as (trial, (alice, bob, *others)):
        await trial.wait(LONG_S)
        trial.stage.faults.strangers += 1
        trial.stage.split([[alice, *others], [bob]])
        await trial.wait(30)
        trial.stage.faults.strangers -= 1
        await trial.wait(17)
        assert trial.saw == []
        await trial.wait(3)
        assert ["does not say so" in saw for saw in trial.saw] == [True]


@pytest.mark.parametrize("cause", ["providers_down", "local_isolation"])
async def test_who_is_alone_gives_that_as_the_cause(autojump_clock: MockClock, cause: str) -> None:
    making = open_trial(Splits, *CAST, knows_beliefs=False)
    async with making as (trial, (alice, bob, *others)):
        await trial.wait(LONG_S)
        trial.stage.split([[alice, *others], [bob]])
        trial.tell(bob, IsolationStarted(15.0), OutageStarted(0, cause))
        await trial.wait(30)
    assert [f"gives {cause} as the cause" in saw for saw in trial.saw] == (
        [] if cause == "local_isolation" else [True]
    )


@pytest.mark.parametrize(
    ("connected_s", "and_then", "seen"),
    [
        (LONG_S, None, ["says that it is alone, and alice answers it for 60 s"]),
        (5, None, []),  # she has had no time to answer
        (LONG_S, "lost", []),
        (LONG_S, "frozen", []),
        (LONG_S, "cut", []),
    ],
)
async def test_who_has_a_peer_that_answers_is_not_alone(
    autojump_clock: MockClock, connected_s: int, and_then: str | None, seen: list[str]
) -> None:
    making = open_trial(Splits, *CAST, knows_beliefs=False)
    async with making as (trial, (alice, bob, *_)):
        await trial.wait(LONG_S)
        trial.tell(bob, PeerJoined(alice.peer_id))
        await trial.wait(connected_s)
        match and_then:
            case "lost":
                trial.tell(bob, PeerLost(alice.peer_id))
            case "frozen":
                trial.stage.freeze([alice])
            case "cut":
                trial.world.network.links.cut(alice.peer_id, bob.peer_id)
            case _:
                pass
        trial.tell(bob, IsolationStarted(15.0))
        assert trial.saw == seen


@pytest.mark.parametrize("cause", ["unknown", "partition"])
async def test_a_small_side_gives_the_split_as_the_cause(
    autojump_clock: MockClock, cause: str
) -> None:
    making = open_trial(Splits, *CAST, knows_beliefs=False)
    async with making as (trial, (alice, bob, carol, *others)):
        await trial.wait(LONG_S)
        trial.stage.split([[alice, *others], [bob, carol]])
        for node in (bob, carol):
            trial.tell(node, OutageStarted(0, "unknown"), OutageExplained(0, cause))
        await trial.wait(120)
    expected = "gives unknown as the cause, 105 s after the split"
    assert trial.saw == ([] if cause == "partition" else [expected, expected])


async def test_a_right_clock_is_not_called_wrong(autojump_clock: MockClock) -> None:
    async with open_trial(Clocks, *CAST) as (trial, (alice, bob, *_)):
        await trial.wait(LONG_S)
        trial.stage.set_clock(alice, 0.5)
        await trial.wait(LONG_S)
        trial.tell(bob, ClockDiffers(3.0, 3), ProviderSkewed(alice.peer_id))
        assert trial.saw == [
            "calls its clock wrong by 3.0 s: it is right",
            "calls the clock of alice wrong",
        ]


async def test_prices_have_to_flow_from_a_clock_that_is_off_by_seconds(
    autojump_clock: MockClock,
) -> None:
    async with open_trial(Clocks, *CAST) as (trial, (alice, bob, *_)):
        await trial.wait(LONG_S)
        trial.stage.set_clock(alice, -5.0)
        await trial.wait(LONG_S)
        trial.tell(alice, ClockDiffers(-5.0, 3))  # that may well be noticed
        assert trial.saw == []
        trial.tell(bob, ProviderSkewed(alice.peer_id))
        assert trial.saw == ["calls the clock of alice wrong"]


async def test_a_clock_that_is_minutes_off_has_to_be_noticed(autojump_clock: MockClock) -> None:
    async with open_trial(Clocks, *CAST) as (trial, (alice, _, *others)):
        await trial.wait(LONG_S)
        trial.stage.set_clock(alice, 300.0)
        await trial.wait(5)
        for node in others:
            trial.tell(node, ProviderSkewed(alice.peer_id))
        await trial.wait(30)
    assert trial.saw == [
        "does not notice that its clock is +300 s off",
        "30 s after the clock of alice was set +300 s off, it is active here",
    ]
