"""What is wrong in a world now, and since when nothing has been."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

import trio

from simulations.world_node import WorldNode

HAPPENINGS_MAX = 10_000  # beyond it the story is not told any further
CLOCK_A_LITTLE_MAX_S = 5.0


class Kind(StrEnum):
    """What can be wrong with a node; the first two befall it at an instant, the others last."""

    PROCESS = "process"  # it was killed, or started
    SPLIT = "split"
    FROZEN = "frozen"
    CUT = "cut"
    CLOCK = "clock"
    CLOCK_A_LITTLE = "clock a little"  # hampers nobody: prices have to flow
    DISK = "disk"


GRAVE = (Kind.FROZEN, Kind.CUT, Kind.CLOCK, Kind.DISK)


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that the scenario did, for the report. `at_s` is virtual time."""

    at_s: float
    what: str
    nodes: tuple[str, ...] = ()


@dataclass(slots=True)
class Episode:
    """A fault of one kind on one node, in virtual seconds; `ended_at_s` is None while it lasts."""

    began_at_s: float
    ended_at_s: float | None = None

    def lasted_s(self) -> float:
        """For how long, until now or until it ended."""
        until = trio.current_time() if self.ended_at_s is None else self.ended_at_s
        return until - self.began_at_s


@dataclass(frozen=True, slots=True)
class Death:
    """How a node was killed: when, in which of its lives, and who was connected to it then."""

    at_s: float
    life: int
    neighbours: frozenset[WorldNode]


@dataclass
class Faults:
    """The ledger that checkers read: they excuse what a fault explains, and nothing else.

    `hampered` are nodes that cannot be asked for anything now (frozen, cut off, clock wrong, disk
    broken), by the kind of fault. A node that is down is simply not running.
    `strangers` is how many take part that are no nodes of this world.
    """

    hampered: dict[Kind, set[WorldNode]] = field(default_factory=dict)
    strangers: int = 0
    last_at_s: float = 0.0  # when a fault last began or ended
    sides: dict[WorldNode, int] = field(default_factory=dict)  # of a split, while there is one
    split_at_s: float | None = None  # when one last began
    healed_at_s: float | None = None  # when one last ended
    deaths: dict[WorldNode, Death] = field(default_factory=dict)  # the last of each
    story: list[Happening] = field(default_factory=list)
    _last_of: dict[WorldNode, dict[Kind, float]] = field(default_factory=dict)
    _episodes: dict[tuple[Kind, WorldNode], Episode] = field(default_factory=dict)

    def begin(self, kind: Kind, nodes: Iterable[WorldNode]) -> None:
        """Something is wrong with these nodes from now on."""
        self.touch(nodes := tuple(nodes), kind)
        self.hampered.setdefault(kind, set()).update(nodes)
        for node in nodes:
            self._episodes[kind, node] = Episode(trio.current_time())

    def end(self, kind: Kind, nodes: Iterable[WorldNode]) -> None:
        """It is not any more."""
        self.touch(nodes := tuple(nodes), kind)
        for node in nodes:
            if node in self.hampered.get(kind, ()):
                self._episodes[kind, node].ended_at_s = trio.current_time()
        self.hampered.get(kind, set()).difference_update(nodes)

    def touch(self, nodes: Iterable[WorldNode], kind: Kind = Kind.PROCESS) -> None:
        """Something befell these nodes at this instant: a start, a crash."""
        self.last_at_s = trio.current_time()
        for node in nodes:
            self._last_of.setdefault(node, {})[kind] = self.last_at_s

    def died(self, node: WorldNode, neighbours: Iterable[WorldNode]) -> None:
        """A node is killed, while these are connected to it."""
        self.deaths[node] = Death(trio.current_time(), node.starts, frozenset(neighbours))

    def split(self, sides: Iterable[Iterable[WorldNode]]) -> None:
        """The network is in parts from now on."""
        self.sides = {node: number for number, side in enumerate(sides) for node in side}
        self.split_at_s = trio.current_time()

    def heal(self) -> None:
        """It is one again."""
        if self.sides:
            self.sides, self.healed_at_s = {}, trio.current_time()

    def tell(self, what: str, nodes: Iterable[WorldNode] = ()) -> None:
        """Write it into the story."""
        if len(self.story) < HAPPENINGS_MAX:
            names = tuple(node.name for node in nodes)
            self.story.append(Happening(trio.current_time(), what, names))

    def is_hampered(self, node: WorldNode, *kinds: Kind) -> bool:
        """Whether anything is wrong with a node now, or anything of these kinds."""
        wrong = self.hampered.items()
        return any(node in nodes for kind, nodes in wrong if not kinds or kind in kinds)

    def calm_s(self, node: WorldNode, *kinds: Kind) -> float:
        """For how long nothing has befallen a node, or nothing of these kinds."""
        befell = self._last_of.get(node, {})
        last = [at_s for kind, at_s in befell.items() if not kinds or kind in kinds]
        return trio.current_time() - max(last, default=0.0)

    def last_episode(self, kind: Kind, node: WorldNode) -> Episode | None:
        """The last fault of a kind on a node, over or not."""
        return self._episodes.get((kind, node))

    def episodes(self, kind: Kind) -> list[tuple[WorldNode, Episode]]:
        """The last fault of a kind on each node that had one, over or not."""
        return [(node, one) for (of, node), one in self._episodes.items() if of is kind]

    def are_apart(self, one: WorldNode, other: WorldNode) -> bool:
        """Whether a split is between two nodes."""
        return self.sides.get(one, 0) != self.sides.get(other, 0)
