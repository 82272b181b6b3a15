"""Who accuses whom: the checker of accusations hears what would be wrong, and says so."""

import pytest
from trio.testing import MockClock

from meshnode.core.facts import OutageStarted, ProviderLost, ProviderSuspected
from protocols.messages import Presence
from simulations.checkers.accusations import Accusations
from simulations.world_node import WorldNode
from tests.simulation.trial import open_trial, presence_by

LONG_S = 70  # nothing has been wrong for so long that nothing explains anything any more


def suspected(provider: WorldNode) -> ProviderSuspected:
    return ProviderSuspected(provider.peer_id, "silence", 15.0)


def lost(provider: WorldNode) -> ProviderLost:
    return ProviderLost(provider.peer_id, "silence", 30.0)


async def test_a_provider_that_is_there_is_not_lost(autojump_clock: MockClock) -> None:
    async with open_trial(Accusations, "alice", "bob") as (trial, (alice, bob)):
        await trial.wait(LONG_S)
        trial.tell(bob, suspected(alice))  # that alone does no harm
        assert trial.saw == []
        trial.tell(bob, lost(alice))
        assert trial.saw == ["declared lost by silence alice, which was there"]


async def test_a_link_that_is_cut_is_no_excuse(autojump_clock: MockClock) -> None:
    async with open_trial(Accusations, "alice", "bob", "carol") as (trial, (alice, bob, _)):
        await trial.wait(LONG_S)
        trial.stage.cut(alice, bob)
        await trial.wait(60)
        trial.tell(bob, lost(alice))
        assert trial.saw == ["declared lost by silence alice, which was there"]


async def test_across_a_split_nobody_knows_better(autojump_clock: MockClock) -> None:
    names = "alice", "bob", "carol"
    async with open_trial(Accusations, *names) as (trial, (alice, bob, carol)):
        await trial.wait(LONG_S)
        trial.stage.split([[alice], [bob, carol]])
        await trial.wait(40)
        trial.tell(bob, suspected(alice), lost(alice), OutageStarted(0))
        assert trial.saw == []


async def test_who_is_alone_accuses_nobody(autojump_clock: MockClock) -> None:
    async with open_trial(Accusations, "alice", "bob") as (trial, (alice, bob)):
        await trial.wait(LONG_S)
        trial.stage.split([[alice], [bob]])
        await trial.wait(16)
        trial.tell(bob, suspected(alice))
        assert trial.saw == []
        await trial.wait(4)
        trial.tell(bob, suspected(alice))
        assert trial.saw == ["suspected alice, alone for 19.0 s itself"]


async def test_a_stranger_that_answers_is_company(autojump_clock: MockClock) -> None:
    async with open_trial(Accusations, "alice", "bob") as (trial, (alice, bob)):
        await trial.wait(LONG_S)
        trial.stage.faults.strangers += 1
        trial.stage.split([[alice], [bob]])
        await trial.wait(60)
        trial.tell(bob, suspected(alice), lost(alice))
        assert trial.saw == []
        trial.stage.faults.strangers -= 1
        await trial.wait(18)
        trial.tell(bob, suspected(alice))
        assert ["alone for" in saw for saw in trial.saw] == [True]


async def test_who_leaves_is_not_suspected(autojump_clock: MockClock) -> None:
    async with open_trial(Accusations, "alice", "bob") as (trial, (alice, bob)):
        await trial.wait(LONG_S)
        farewell = presence_by(alice, Presence.LEAVING)
        trial.checker.accepted(bob, farewell)
        await trial.stage.leave([alice])
        await trial.wait(1)
        trial.tell(bob, suspected(alice))
        assert trial.saw == ["suspected alice, which had said that it leaves"]
        trial.checker.accepted(bob, presence_by(alice, Presence.ACTIVE, later_life=True))
        trial.tell(bob, suspected(alice))
        assert len(trial.saw) == 1


async def test_who_was_frozen_accuses_nobody_at_once(autojump_clock: MockClock) -> None:
    async with open_trial(Accusations, "alice", "bob", "carol") as (trial, (alice, bob, carol)):
        await trial.wait(LONG_S)
        trial.stage.freeze([bob])
        await trial.wait(120)
        trial.stage.thaw([bob])
        await trial.stage.kill([alice])
        await trial.wait(9)
        trial.tell(carol, suspected(alice))
        assert trial.saw == []
        trial.tell(bob, suspected(alice))
        assert trial.saw == ["suspected alice 9.0 s after it was frozen for 120.0 s"]
        await trial.wait(2)
        trial.tell(bob, suspected(alice))
        assert len(trial.saw) == 1


@pytest.mark.parametrize(("died_first", "seen"), [(True, 0), (False, 1)])
async def test_who_saw_it_die_before_a_pause_may_give_it_up_at_once(
    autojump_clock: MockClock, *, died_first: bool, seen: int
) -> None:
    async with open_trial(Accusations, "alice", "bob", "carol") as (trial, (alice, bob, _)):
        await trial.wait(LONG_S)
        if died_first:
            await trial.stage.kill([alice])
        trial.stage.freeze([bob])
        await trial.wait(12)
        trial.stage.thaw([bob])
        if not died_first:
            await trial.stage.kill([alice])
        await trial.wait(2)
        trial.tell(bob, ProviderLost(alice.peer_id, "connection", 30.0))
        assert len(trial.saw) == seen
        trial.tell(bob, lost(alice))  # for these, silence would have to count
        trial.tell(bob, suspected(alice))
        assert len(trial.saw) == seen + 2


@pytest.mark.parametrize(
    ("frozen_s", "seen"),
    [
        (5, ["suspected alice, which was frozen for 5.0 s only"]),
        (20, []),
        (90, []),
    ],
)
async def test_who_was_frozen_for_a_moment_is_not_suspected(
    autojump_clock: MockClock, frozen_s: int, seen: list[str]
) -> None:
    async with open_trial(Accusations, "alice", "bob", "carol") as (trial, (alice, bob, _)):
        await trial.wait(LONG_S)
        trial.stage.freeze([alice])
        await trial.wait(frozen_s)
        trial.tell(bob, suspected(alice))
        assert trial.saw == seen


@pytest.mark.parametrize(("frozen_s", "seen"), [(20, 1), (90, 0)])
async def test_who_was_frozen_for_twenty_seconds_is_not_lost(
    autojump_clock: MockClock, frozen_s: int, seen: int
) -> None:
    async with open_trial(Accusations, "alice", "bob", "carol") as (trial, (alice, bob, _)):
        await trial.wait(LONG_S)
        trial.stage.freeze([alice])
        await trial.wait(frozen_s)
        trial.tell(bob, lost(alice))
        assert len(trial.saw) == seen


async def test_while_one_provides_there_is_no_outage(autojump_clock: MockClock) -> None:
    async with open_trial(Accusations, "alice", "bob") as (trial, (alice, bob)):
        await trial.wait(LONG_S)
        trial.tell(bob, OutageStarted(0))
        assert trial.saw == ["says that nobody provides; alice did"]
        await trial.stage.kill([alice])
        trial.tell(bob, OutageStarted(0))
        assert len(trial.saw) == 1


@pytest.mark.parametrize(("names", "seen"), [("bc", 0), ("bcde", 1)])
async def test_whose_clock_is_wrong_hears_providers_if_it_has_peers_enough(
    autojump_clock: MockClock, names: str, seen: int
) -> None:
    async with open_trial(Accusations, "alice", *names) as (trial, (_, bob, *_)):
        await trial.wait(LONG_S)
        trial.stage.set_clock(bob, 280.0)
        await trial.wait(15)
        trial.tell(bob, OutageStarted(0))
        assert len(trial.saw) == seen
