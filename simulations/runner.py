"""One run: a scenario on a world, checkers and metrics looking on, and what came of it."""

import random
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import TypeAlias

import trio

from simulations import determinism
from simulations.checkers.convergence import Convergence
from simulations.checkers.court import Checker, Court, Violation
from simulations.checkers.delivery import Delivery
from simulations.checkers.disks import Disks
from simulations.checkers.names import Names
from simulations.checkers.outages import Outages
from simulations.checkers.proofs import Proofs
from simulations.checkers.said import Said
from simulations.faults import Faults, Happening
from simulations.links import Links
from simulations.metrics import Metrics, Sample, quantile
from simulations.model_mesh import ModelNetwork
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
    """What is to be run. `minutes` are virtual."""

    scenario: Scenario
    nodes: int
    seed: int
    minutes: float
    stack: str = "model"

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
    duplicates_per_node: float | None
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


def simulate(setup: Setup, tell: Tell = lambda _progress: None) -> Outcome:
    """Run it in virtual time; raises what the nodes raise: a node that fails ends the run."""
    open_network = STACKS[setup.stack]()
    return determinism.run(_simulate, open_network, setup, tell, seed=setup.seed)


async def _simulate(open_network: OpenNetwork, setup: Setup, tell: Tell) -> Outcome:
    run = _Run(setup, tell)
    links = Links(run.map.delay_s)
    async with open_network(links, setup.seed) as network, trio.open_nursery() as nursery:
        world = World(network, nursery, seed=setup.seed, witnesses=run.witnesses)
        try:
            await run.play(world)
        finally:
            world.thaw_all()
            nursery.cancel_scope.cancel()
    return run.outcome()


class _Run:
    def __init__(self, setup: Setup, tell: Tell) -> None:
        self.setup = setup
        self.map = WorldMap(setup.seed)
        self.court = Court()
        self.faults = Faults()
        self.said = Said()
        self.metrics = Metrics()
        self.trace = TraceWitness()
        self.witnesses: list[Witness] = [self.said, self.metrics, self.trace]
        self.checkers: list[Checker] = []
        self._tell = tell
        self._real_at, self._cpu_at = perf_counter(), process_time()
        self._world: World[Network] | None = None
        self._delivery: Delivery | None = None

    async def play(self, world: World[Network]) -> None:
        self._world = world
        self._appoint(world)
        self.metrics.watch(world, self.map.base_delay_s)
        rng = random.Random(f"scenario {self.setup.seed}")
        stage = Stage(world, self.faults, rng, size=self.setup.nodes, minutes=self.setup.minutes)
        async with trio.open_nursery() as looking_on:
            looking_on.start_soon(self._look_on, world)
            with trio.move_on_after(self.setup.minutes * 60 * DEADLINE_PART + 60) as deadline:
                await self.setup.scenario.play(stage)
            if deadline.cancelled_caught:
                self.court.hear("scenarios end", "all nodes", "this one went on and on")
            stage.calm_down()
            await trio.sleep(SETTLE_S)
            looking_on.cancel_scope.cancel()
        for checker in self.checkers:
            checker.finish()

    def _appoint(self, world: World[Network]) -> None:
        self._delivery = Delivery(world, self.faults, self.court, self.said)
        self.checkers = [
            Proofs(world, self.faults, self.court),
            Names(world, self.faults, self.court),
            Disks(world, self.faults, self.court),
            Outages(world, self.faults, self.court),
            self._delivery,
            Convergence(world, self.faults, self.court, self.said),
        ]
        self.witnesses.extend(self.checkers)
        world.add_witnesses(self.witnesses)

    async def _look_on(self, world: World[Network]) -> None:
        seconds = 0
        while True:
            await trio.sleep(1)
            for checker in self.checkers:
                checker.tick()
            if seconds % 5 == 0:
                self.metrics.sample(world)
            seconds += 1
            self._tell(self._progress())

    def _progress(self) -> Progress:
        return Progress(
            trio.current_time(),
            self.setup.minutes * 60 + SETTLE_S,
            perf_counter() - self._real_at,
            self.metrics.accepted_count,
            sum(self.court.counts.values()),
        )

    def outcome(self) -> Outcome:
        metrics, delivery, world = self.metrics, self._delivery, self._world
        assert delivery is not None, "it was played"
        assert world is not None, "it was played"
        latencies = metrics.latencies_s
        return Outcome(
            self.setup,
            tuple(self.court.violations),
            dict(self.court.counts),
            metrics.said_count,
            metrics.accepted_count,
            delivery.expected,
            delivery.delivered,
            _duplicates_per_node(world),
            quantile(latencies, 0.5),
            quantile(latencies, 0.99),
            max(latencies, default=None),
            quantile(metrics.ratios, 0.5),
            list(latencies),
            tuple(metrics.samples),
            tuple(self.faults.story),
            dict(metrics.facts),
            self.trace.hexdigest(),
            trio.current_time(),
            perf_counter() - self._real_at,
            process_time() - self._cpu_at,
        )


def _duplicates_per_node(world: World[Network]) -> float | None:
    """How many copies a node got of what it had; real hosts drop them uncounted."""
    if not isinstance(world.network, ModelNetwork) or not world.by_name:
        return None
    return world.network.duplicates / len(world.by_name)
