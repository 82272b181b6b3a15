"""One run: a scenario on a world, checkers and metrics looking on, and what came of it."""

import math
import random
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter, process_time
from typing import TypeAlias

import trio

from simulations import determinism
from simulations.checkers.court import Violation
from simulations.checkers.jury import Jury
from simulations.faults import Faults, Happening
from simulations.links import Links
from simulations.metrics import SAMPLE_EVERY_S, Metrics, Sample, quantile
from simulations.regions import WorldMap
from simulations.scenario import Scenario
from simulations.stacks import STACKS, OpenNetwork
from simulations.stage import Stage
from simulations.trace_witness import TraceWitness
from simulations.witness import Witness
from simulations.world import Network, World

SETTLE_S = 45.0  # from the end of the last fault to the checks: 30 s, and what is under way then
DEADLINE_PART = 1.5  # a scenario that plays longer than its minutes, by so much, hangs


@dataclass(frozen=True, slots=True)
class Setup:
    """What is to be run. `minutes` are virtual.

    Raises ConfigError where the scenario cannot be played so.
    """

    scenario: Scenario
    nodes: int
    seed: int
    minutes: float
    stack: str = "model"

    def __post_init__(self) -> None:
        self.scenario.check(self.nodes, self.minutes)

    def command(self) -> str:
        """The command that runs exactly this again."""
        return (
            f"meshnode simulate {shlex.quote(self.scenario.name)} --nodes {self.nodes}"
            f" --seed {self.seed} --minutes {self.minutes:g} --stack {self.stack}"
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: virtual and real seconds, and how many messages were accepted."""

    virtual_s: float
    total_s: float
    real_s: float
    accepted: int
    violations: int


Tell: TypeAlias = Callable[[Progress], None]


@dataclass(frozen=True)
class Outcome:
    """What came of a run; latencies in seconds, None where nothing was measured."""

    setup: Setup
    violations: tuple[Violation, ...]
    violation_counts: dict[str, int]
    said: int
    accepted: int
    expected: int
    delivered: int
    duplicates_per_node: float
    p50_s: float | None
    p99_s: float | None
    max_s: float | None
    path_ratio: float | None
    latencies_s: list[float]
    samples: tuple[Sample, ...]
    story: tuple[Happening, ...]
    facts: dict[str, int]
    trace: str
    virtual_s: float
    real_s: float
    cpu_s: float

    @property
    def holds(self) -> bool:
        """Whether no rule was broken."""
        return not self.violations


def simulate(
    setup: Setup,
    tell: Tell = lambda _progress: None,
    *,
    witnesses: Sequence[Witness] = (),
    make_world: type[World[Network]] = World,
) -> Outcome:
    """Run it in virtual time; raises what the nodes raise: a node that fails ends the run.

    `witnesses` look on besides those of every run.
    """
    run = partial(_simulate, witnesses=witnesses, make_world=make_world)
    return determinism.run(run, STACKS[setup.stack](), setup, tell, seed=setup.seed)


async def _simulate(
    open_network: OpenNetwork,
    setup: Setup,
    tell: Tell,
    *,
    witnesses: Sequence[Witness],
    make_world: type[World[Network]],
) -> Outcome:
    places = WorldMap(setup.seed)
    links = Links(places.delay_s)
    async with open_network(links, setup.seed) as network, trio.open_nursery() as nursery:
        world = make_world(network, nursery, seed=setup.seed)
        try:
            outcome = await _Run(setup, tell, world, places, witnesses).play()
        finally:
            world.thaw_all()
            nursery.cancel_scope.cancel()
    return outcome


class _Run:
    def __init__(
        self,
        setup: Setup,
        tell: Tell,
        world: World[Network],
        places: WorldMap,
        witnesses: Sequence[Witness],
    ) -> None:
        self._setup = setup
        self._tell = tell
        self._world = world
        self._faults = Faults()
        self._jury = Jury(world, self._faults)
        self._metrics = Metrics()
        self._metrics.watch(world, places.base_delay_s)
        self._trace = TraceWitness()
        self._real_at, self._cpu_at = perf_counter(), process_time()
        world.add_witnesses((self._metrics, self._trace, *self._jury.witnesses(), *witnesses))

    async def play(self) -> Outcome:
        setup, court = self._setup, self._jury.court
        rng = random.Random(f"scenario {setup.seed}")
        stage = Stage(self._world, self._faults, rng, size=setup.nodes, minutes=setup.minutes)
        async with trio.open_nursery() as looking_on:
            looking_on.start_soon(self._jury.watch)
            looking_on.start_soon(self._measure)
            with trio.move_on_after(setup.minutes * 60 * DEADLINE_PART + 60) as deadline:
                await setup.scenario.play(stage)
            if deadline.cancelled_caught:
                court.hear("scenarios end", "all nodes", "this one went on and on")
            stage.calm_down()
            await trio.sleep(SETTLE_S)
            looking_on.cancel_scope.cancel()
        self._jury.finish()
        return self._outcome()

    async def _measure(self) -> None:
        """Sample the world every few seconds, and within a second of what the scenario does."""
        sampled_s, happened = -math.inf, 0
        while True:
            now, story = trio.current_time(), len(self._faults.story)
            if now - sampled_s >= SAMPLE_EVERY_S or story > happened:
                self._metrics.sample(self._world)
                sampled_s, happened = now, story
            await trio.sleep(1)
            self._tell(self._progress())

    def _progress(self) -> Progress:
        return Progress(
            trio.current_time(),
            self._setup.minutes * 60 + SETTLE_S,
            perf_counter() - self._real_at,
            self._metrics.accepted_count,
            sum(self._jury.court.counts.values()),
        )

    def _outcome(self) -> Outcome:
        metrics, jury = self._metrics, self._jury
        latencies = metrics.latencies_s
        return Outcome(
            self._setup,
            tuple(jury.court.violations),
            dict(jury.court.counts),
            metrics.said_count,
            metrics.accepted_count,
            jury.delivery.expected,
            jury.delivery.delivered,
            self._world.network.duplicates() / max(1, len(self._world.by_name)),
            quantile(latencies, 0.5),
            quantile(latencies, 0.99),
            max(latencies, default=None),
            quantile(metrics.ratios, 0.5),
            list(latencies),
            tuple(metrics.samples),
            tuple(self._faults.story),
            dict(metrics.facts),
            self._trace.hexdigest(),
            trio.current_time(),
            perf_counter() - self._real_at,
            process_time() - self._cpu_at,
        )
