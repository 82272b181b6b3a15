"""What who is cut off says of it: alone it is isolated, with peers and no provider a partition."""

import trio

from meshnode.core.facts import (
    Fact,
    IsolationEnded,
    IsolationStarted,
    OutageEnded,
    OutageExplained,
    OutageExtended,
    OutageStarted,
    PeerJoined,
    PeerLost,
)
from simulations.checkers.court import Checker, Court
from simulations.checkers.reach import Reach
from simulations.faults import Faults
from simulations.world import Network, World
from simulations.world_node import WorldNode

ISOLATED_WITHIN_S = 18.0  # fifteen without an answer, a sweep, and what was under way
PARTITION_WITHIN_S = 105.0  # consumers speak once a minute: after one and a half it is sure
IN_TOUCH_S = 30.0  # who is connected for so long has answered two pings and more
KNOWN_FOR_S = 45.0  # before the split: by then a node has heard of most others
# A side so small knows that most went silent; a larger one may say either.
SMALL_PART, SIDE_MIN = 0.3, 2


class Splits(Checker):
    """Compares what nodes say of their own situation with who can be reached."""

    rule = "a node that is cut off says so, and why there is no provider"

    def __init__(self, world: World[Network], faults: Faults, court: Court, reach: Reach) -> None:
        super().__init__(world, faults, court)
        self._reach = reach
        self._cause: dict[WorldNode, str] = {}
        self._isolated: set[WorldNode] = set()
        self._joined_at: dict[WorldNode, dict[str, float]] = {}  # its peers, by their ids
        self._accused: set[tuple[WorldNode, str]] = set()

    def ended(self, node: WorldNode) -> None:
        """Who has ended says nothing any more."""
        self._cause.pop(node, None)
        self._isolated.discard(node)
        self._joined_at.pop(node, None)

    def observed(self, node: WorldNode, fact: Fact) -> None:
        """Keep what it says of itself."""
        match fact:
            case OutageStarted() | OutageExplained() | OutageExtended():
                self._cause[node] = fact.cause
            case OutageEnded():
                self._cause.pop(node, None)
            case IsolationStarted():
                self._isolated.add(node)
                self._look_at_one_isolated(node)
            case PeerJoined():
                self._joined_at.setdefault(node, {})[fact.peer_id] = trio.current_time()
            case PeerLost():
                self._joined_at.get(node, {}).pop(fact.peer_id, None)
            case IsolationEnded():
                self._isolated.discard(node)
            case _:
                pass

    def tick(self) -> None:
        """Look at every node that is alone, and at every small side without a provider."""
        if self._reach.any_alone:
            self._look_at_the_alone()
        else:
            self._accused = {one for one in self._accused if one[1] != "alone"}
        if self.faults.sides:
            self._look_at_sides()

    def _look_at_the_alone(self) -> None:
        for node in self.world.running():
            alone_s = self._reach.without_company_s(node)
            if alone_s == 0:
                self._accused.discard((node, "alone"))
            elif alone_s > ISOLATED_WITHIN_S and self._reach.untouched_s(node) > alone_s:
                self._look_at_one_alone(node, alone_s)

    def _look_at_one_alone(self, node: WorldNode, alone_s: float) -> None:
        told = f"is alone for {alone_s:.1f} s"
        if node not in self._isolated:
            self._violated_once(node, "alone", f"{told}, and does not say so")
        elif not node.is_provider and self._was_split_off(node, alone_s):
            cause = self._cause.get(node)
            if cause != "local_isolation":
                self._violated_once(node, "alone", f"{told}, and gives {cause} as the cause")

    def _look_at_one_isolated(self, node: WorldNode) -> None:
        for peer_id, joined_at in self._joined_at.get(node, {}).items():
            joined_s = trio.current_time() - joined_at
            peer = self._reach.node(peer_id)
            if joined_s > IN_TOUCH_S and peer is not None and self._answers(peer, node):
                what = f"says that it is alone, and {peer.name} answers it for {joined_s:.0f} s"
                self.violated(node.name, what)
                return

    def _answers(self, one: WorldNode, other: WorldNode) -> bool:
        """Whether nothing has been wrong with two nodes, or is between them."""
        links = self.world.network.links
        calm_s = min(self._reach.untouched_s(node) for node in (one, other))
        return (
            min(calm_s, self._reach.together_s(one, other)) > IN_TOUCH_S
            and links.is_open(one.peer_id, other.peer_id)
            and links.is_open(other.peer_id, one.peer_id)
        )

    def _look_at_sides(self) -> None:
        split_s = trio.current_time() - (self.faults.split_at_s or 0.0)
        if split_s < PARTITION_WITHIN_S:
            return
        members: dict[int, list[WorldNode]] = {}
        for node in self.world.running():
            members.setdefault(self.faults.sides.get(node, 0), []).append(node)
        everybody = sum(len(side) for side in members.values())
        for side in members.values():
            if not SIDE_MIN <= len(side) <= SMALL_PART * everybody:
                continue
            if any(node.is_provider for node in side):
                continue
            for node in side:
                cause = self._cause.get(node)
                if self._was_split_off(node, split_s) and cause != "partition":
                    what = f"gives {cause} as the cause, {split_s:.0f} s after the split"
                    self._violated_once(node, "side", what)

    def _was_split_off(self, node: WorldNode, since_s: float) -> bool:
        """Whether it knew providers that are on another side since then, and that were well."""
        faults = self.faults
        if not faults.sides or trio.current_time() - (faults.split_at_s or 0.0) > since_s + 1.5:
            return False
        return self._reach.untouched_s(node) > since_s + KNOWN_FOR_S and any(
            faults.are_apart(node, other)
            and other.is_provider
            and self._reach.untouched_s(other) > since_s + KNOWN_FOR_S
            for other in self.world.running()
        )

    def _violated_once(self, node: WorldNode, place: str, saw: str) -> None:
        if (node, place) not in self._accused:
            self._accused.add((node, place))
            self.violated(node.name, saw)
