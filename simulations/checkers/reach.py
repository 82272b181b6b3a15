"""Who is there and whom it can reach: an account from processes and links alone."""

import trio

from simulations.faults import GRAVE, Faults, Kind
from simulations.witness import Witness
from simulations.world import Network, World
from simulations.world_node import WorldNode

# What takes a node out of the others' hearing. A cut link does not, nor a broken disk.
UNHEARD = (Kind.PROCESS, Kind.FROZEN, Kind.CLOCK)
TOUCHING = (Kind.PROCESS, *GRAVE)  # a split lies between nodes, and touches none


class Reach(Witness):
    """Told by nobody's messages: what is open, what runs, and since when. Checkers rely on it."""

    def __init__(self, world: World[Network], faults: Faults) -> None:
        self.world = world
        self.faults = faults
        self._by_id: dict[str, WorldNode] = {}
        self._alone_since: dict[WorldNode, float] = {}
        self._strangers_at_s = 0.0  # when one was there last

    def node(self, peer_id: str) -> WorldNode | None:
        """Whose an id is; None of one who is no node of this world."""
        if len(self._by_id) != len(self.world.by_name):
            self._by_id = {node.peer_id: node for node in self.world.by_name.values()}
        return self._by_id.get(peer_id)

    def up_s(self, node: WorldNode) -> float:
        """For how long it has run; 0 where it does not."""
        return 0.0 if node.started_at is None else trio.current_time() - node.started_at

    def well_s(self, node: WorldNode) -> float:
        """For how long it has run, not frozen, its clock about right; 0 where it is not so."""
        if self.faults.is_hampered(node, Kind.FROZEN, Kind.CLOCK):
            return 0.0
        return min(self.up_s(node), self.faults.calm_s(node, *UNHEARD))

    def untouched_s(self, node: WorldNode) -> float:
        """For how long nothing at all has been wrong with it, its links and its disk included."""
        if self.faults.is_hampered(node, *GRAVE):
            return 0.0
        return min(self.up_s(node), self.faults.calm_s(node, *TOUCHING))

    def together_s(self, one: WorldNode, other: WorldNode) -> float:
        """For how long no split has been between two nodes; 0 while there is one."""
        if self.faults.are_apart(one, other):
            return 0.0
        healed_at_s = self.faults.healed_at_s
        return trio.current_time() - (0.0 if healed_at_s is None else healed_at_s)

    @property
    def any_alone(self) -> bool:
        """Whether any node may be alone, as of the last second."""
        return bool(self._alone_since)

    def alone_s(self, node: WorldNode) -> float:
        """For how long nothing that runs could be reached from it, both ways; to the second."""
        since = self._alone_since.get(node)
        if since is None or not self._is_alone(node):
            return 0.0
        return trio.current_time() - since

    def without_company_s(self, node: WorldNode) -> float:
        """For how long it has been alone, and no stranger was there: he answers like a node."""
        return min(self.alone_s(node), trio.current_time() - self._strangers_at_s)

    def tick(self) -> None:
        """A virtual second has passed: note who is alone."""
        now, running = trio.current_time(), self.world.running()
        if self.faults.strangers:
            self._strangers_at_s = now
        if self.world.network.links.is_whole and len(running) > 1:
            self._alone_since.clear()
            return
        for node in running:
            if self._is_alone(node):
                self._alone_since.setdefault(node, now)
            else:
                self._alone_since.pop(node, None)

    def ended(self, node: WorldNode) -> None:
        """Who does not run is not alone."""
        self._alone_since.pop(node, None)

    def _is_alone(self, node: WorldNode) -> bool:
        links, here = self.world.network.links, node.peer_id
        return not any(
            links.is_open(here, other.peer_id) and links.is_open(other.peer_id, here)
            for other in self.world.by_name.values()
            if other is not node and other.is_running
        )
