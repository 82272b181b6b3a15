"""One scenario both ways: simulated first, then with real processes, and do they agree?"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import NoReturn

import trio

from meshnode.adapters.signals import SIGNALLED, until_signalled
from meshnode.errors import ConfigError, MeshnodeError
from simulations.account import Account, AccountWitness
from simulations.agreement import Agreement, compare
from simulations.faults import Faults, Happening
from simulations.processes.world import ProcessWorld, not_with_processes, open_process_world
from simulations.runner import DEADLINE_PART, SETTLE_S, Outcome, Setup, simulate
from simulations.stage import Stage
from simulations.world import Network, World

NODES_MAX = 30  # each takes some 80 MB and seconds to load
NODES_DEFAULT = 6
LOADING_S_MAX = 600.0  # of all nodes of a run, restarts included
LOOK_EVERY_S = 0.5
STILL_THERE_S = 20.0  # a line at least so often, that nobody thinks it hangs

TellLine = Callable[[float, str], None]


class Interrupted(MeshnodeError):
    """A signal ended the run; no process of it is left."""

    def __init__(self, number: int) -> None:
        super().__init__("stopped by a signal; every node has ended")
        self.exit_code = SIGNALLED + number


@dataclass(frozen=True)
class BothWays:
    """What came of it; `real_s` is how long the processes took, loading and leaving included."""

    setup: Setup
    simulated: Outcome
    simulated_account: Account
    real_account: Account
    agreement: Agreement
    real_s: float

    @property
    def holds(self) -> bool:
        """Whether both agree, and no rule was broken in the simulated run."""
        return self.agreement.holds and self.simulated.holds


class ClockFromZero(trio.abc.Clock):
    """Real time that begins with the run, as virtual time does."""

    def __init__(self) -> None:
        self._zero_s = 0.0

    def start_clock(self) -> None:
        """See `trio.abc.Clock`."""
        self._zero_s = perf_counter()

    def current_time(self) -> float:
        """See `trio.abc.Clock`."""
        return perf_counter() - self._zero_s

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """See `trio.abc.Clock`."""
        return deadline - self.current_time()


class BareWorld(World[Network]):
    """A simulated world that offers no more than processes can: it finds out before they start."""

    def simulated(self, what: str) -> NoReturn:
        """It is as if there was no simulation. Raises ConfigError."""
        raise ConfigError(not_with_processes(what))


def run_both_ways(
    setup: Setup, tell: TellLine = lambda _at_s, _line: None, *, settle_s: float = SETTLE_S
) -> BothWays:
    """Run a scenario on simulated nodes, then on processes, and compare.

    `tell` gets lines with the real seconds since the beginning. Raises ConfigError for a scenario
    that wants what processes do not have, before any starts; Interrupted; and MeshnodeError for a
    node that fails.
    """
    if setup.nodes > NODES_MAX:
        raise ConfigError(f"--nodes {setup.nodes}: write {NODES_MAX} at most, each is a process")
    simulated_account, real_account = Account(), Account()
    outcome = simulate(
        replace(setup, stack="model"),
        witnesses=[AccountWitness(simulated_account)],
        make_world=BareWorld,
    )
    simulated_account.end(outcome.story, outcome.virtual_s)
    tell(0.0, f"simulated: {outcome.virtual_s / 60:.1f} minutes in {outcome.real_s:.1f} s")
    began_at = perf_counter()
    run_on_processes(setup, real_account, tell, settle_s=settle_s)
    real_s = perf_counter() - began_at
    agreement = compare(simulated_account, real_account)
    return BothWays(setup, outcome, simulated_account, real_account, agreement, real_s)


def run_on_processes(
    setup: Setup, account: Account, tell: TellLine, *, settle_s: float = SETTLE_S
) -> None:
    """Run a scenario on processes, in real time; what they say goes into `account`."""

    async def perform(stop: trio.CancelScope) -> None:
        with stop:
            await _Run(setup, account, tell, settle_s).play()

    signalled = trio.run(until_signalled, perform, clock=ClockFromZero())
    if signalled is not None:
        raise Interrupted(signalled)


class _Run:
    def __init__(self, setup: Setup, account: Account, tell: TellLine, settle_s: float) -> None:
        self._setup = setup
        self._account = account
        self._tell_at = tell
        self._settle_s = settle_s
        self._faults = Faults()
        self._happenings_told = 0
        self._sightings_told = 0
        self._told_at_s = 0.0

    async def play(self) -> None:
        setup = self._setup
        rng = random.Random(f"scenario {setup.seed}")
        async with open_process_world(self._account, seed=setup.seed, tell=self._tell) as world:
            stage = Stage(world, self._faults, rng, size=setup.nodes, minutes=setup.minutes)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._look)
                with trio.move_on_after(self._deadline_s()) as deadline:
                    await setup.scenario.play(stage)
                if deadline.cancelled_caught:
                    raise MeshnodeError(f"{setup.scenario.name} went on and on: it must end")
                stage.calm_down()
                await stage.wait(self._settle_s)
                nursery.cancel_scope.cancel()
            self._tell_news()
            self._account.end(self._faults.story, trio.current_time())
            await self._leave(world)

    def _deadline_s(self) -> float:
        return self._setup.minutes * 60 * DEADLINE_PART + LOADING_S_MAX

    async def _look(self) -> None:
        """Tell what happens as it does, for ever."""
        while True:
            await trio.sleep(LOOK_EVERY_S)
            self._tell_news()

    def _tell_news(self) -> None:
        happenings: list[Happening] = self._faults.story[self._happenings_told :]
        self._happenings_told += len(happenings)
        for happening in happenings:
            names = ", ".join(happening.nodes)
            self._tell_at(happening.at_s, f"{happening.what} {names}".rstrip())
        sightings = self._account.sightings[self._sightings_told :]
        self._sightings_told += len(sightings)
        others = [s for s in sightings if s.node != s.provider]
        for provider, state in dict.fromkeys((s.provider, s.state) for s in others):
            who = [s for s in others if (s.provider, s.state) == (provider, state)]
            names = ", ".join(dict.fromkeys(s.node for s in who))
            self._tell_at(min(s.at_s for s in who), f"{provider} is {state}, says {names}")
        now = trio.current_time()
        if happenings or sightings:
            self._told_at_s = now
        elif now - self._told_at_s >= STILL_THERE_S:
            self._told_at_s = now
            minutes = self._setup.minutes + self._settle_s / 60
            self._tell_at(now, f"{now / 60:.1f} of about {minutes:.1f} minutes; all is quiet")

    def _tell(self, line: str) -> None:
        self._tell_at(trio.current_time(), line)

    async def _leave(self, world: ProcessWorld) -> None:
        async with trio.open_nursery() as nursery:
            for node in world.by_name.values():
                if node.is_running:
                    nursery.start_soon(world.stop, node)
