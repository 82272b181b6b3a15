"""What is wrong in a world now, and since when nothing has been."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import trio

from simulations.world_node import WorldNode

HAPPENINGS_MAX = 10_000  # beyond it the story is not told any further


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that the scenario did, for the report. `at_s` is virtual time."""

    at_s: float
    what: str
    nodes: tuple[str, ...] = ()


@dataclass
class Faults:
    """The ledger that checkers read: they excuse what a fault explains, and nothing else.

    `hampered` are nodes that cannot be asked for anything now (frozen, cut off, clock wrong, disk
    broken), by the kind of fault; `liars` never are. A node that is down is simply not running.
    """

    hampered: dict[str, set[WorldNode]] = field(default_factory=dict)
    liars: set[WorldNode] = field(default_factory=set)
    last_at_s: float = 0.0  # when a fault last began or ended
    last_of: dict[WorldNode, float] = field(default_factory=dict)
    split_sides: int = 0
    story: list[Happening] = field(default_factory=list)

    def begin(self, kind: str, nodes: Iterable[WorldNode]) -> None:
        """Something is wrong with these nodes from now on."""
        self._touch(nodes := tuple(nodes))
        self.hampered.setdefault(kind, set()).update(nodes)

    def end(self, kind: str, nodes: Iterable[WorldNode]) -> None:
        """It is not any more."""
        self._touch(nodes := tuple(nodes))
        self.hampered.get(kind, set()).difference_update(nodes)

    def touch(self, nodes: Iterable[WorldNode]) -> None:
        """Something befell these nodes at this instant: a start, a crash."""
        self._touch(nodes)

    def tell(self, what: str, nodes: Iterable[WorldNode] = ()) -> None:
        """Write it into the story."""
        if len(self.story) < HAPPENINGS_MAX:
            names = tuple(node.name for node in nodes)
            self.story.append(Happening(trio.current_time(), what, names))

    def is_hampered(self, node: WorldNode, *kinds: str) -> bool:
        """Whether anything is wrong with a node now, or anything of these kinds."""
        wrong = self.hampered.items()
        return any(node in nodes for kind, nodes in wrong if not kinds or kind in kinds)

    def anything(self) -> bool:
        """Whether anything is wrong anywhere now."""
        return self.split_sides > 0 or any(self.hampered.values())

    def calm_s(self, node: WorldNode) -> float:
        """For how long nothing has befallen a node."""
        return trio.current_time() - self.last_of.get(node, 0.0)

    def _touch(self, nodes: Iterable[WorldNode]) -> None:
        self.last_at_s = trio.current_time()
        for node in nodes:
            self.last_of[node] = self.last_at_s
