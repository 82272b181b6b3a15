"""The dial rules, whatever strangers say: where nobody knocks, and how often at most elsewhere."""

import ipaddress

import trio

from simulations.checkers.court import Checker, Court
from simulations.faults import Faults
from simulations.virtual_time import SLOT_MAX_S
from simulations.world import Network, World
from simulations.world_node import WorldNode

# Of one node and one place; each timer of a simulated node may be a slot late.
PAUSE_S = 1.0 - SLOT_MAX_S
# Of what is no node's address: one a second that was heard of, and one to prove somebody lost.
MADE_UP_IN_TEN_S = 22
TEN_S = 10.0
# Where the nodes of a world live, and what is set aside for examples and stands for the internet.
ALLOWED = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "203.0.113.0/24", "2001:db8::/32")))


class Dials(Checker):
    """Keeps its own account of who dials where, and its own idea of where nobody may."""

    rule = "only what may be dialled is, and no place twice in a second"

    def __init__(self, world: World[Network], faults: Faults, court: Court) -> None:
        super().__init__(world, faults, court)
        self._last: dict[tuple[WorldNode, str], float] = {}
        self._made_up: dict[WorldNode, list[float]] = {}
        self._addrs: set[str] = set()

    def started(self, node: WorldNode) -> None:
        """Another life knows nothing of the dials of the one before."""
        self._forget(node)

    def ended(self, node: WorldNode) -> None:
        """Nor does it matter any more."""
        self._forget(node)

    def dialled(self, node: WorldNode, addr: str) -> None:
        """Every dial is judged when it is made."""
        place, _, peer = addr.partition("/p2p/")
        if addr in node.part.connect:
            return  # the operator's word, which is not judged
        if place == node.place or peer == node.peer_id:
            self.violated(node.name, f"dialled itself, {addr}")
        if not _may_be_dialled(place):
            self.violated(node.name, f"dialled {addr}")
        self._count(node, place)
        if self._is_made_up(addr):
            self._count_made_up(node)

    def tick(self) -> None:
        """What is over is forgotten."""
        over = trio.current_time() - PAUSE_S
        self._last = {of: at for of, at in self._last.items() if at > over}

    def _count(self, node: WorldNode, place: str) -> None:
        now = trio.current_time()
        before = self._last.get((node, place))
        if before is not None and now - before < PAUSE_S:
            self.violated(node.name, f"dialled {place} again after {now - before:.2f} s")
        self._last[node, place] = now

    def _is_made_up(self, addr: str) -> bool:
        if len(self._addrs) != len(self.world.by_name):  # a node keeps its address
            self._addrs = {node.addr for node in self.world.by_name.values()}
        return addr not in self._addrs

    def _count_made_up(self, node: WorldNode) -> None:
        now = trio.current_time()
        recent = [at for at in self._made_up.get(node, ()) if at > now - TEN_S]
        self._made_up[node] = recent = [*recent, now]
        if len(recent) > MADE_UP_IN_TEN_S:
            self.violated(node.name, f"dialled {len(recent)} made-up addresses in 10 s")

    def _forget(self, node: WorldNode) -> None:
        self._last = {of: at for of, at in self._last.items() if of[0] is not node}
        self._made_up.pop(node, None)


def _may_be_dialled(place: str) -> bool:
    """Plain TCP at the site where the nodes are, or on the internet."""
    match place.split("/"):
        case ["", "ip4" | "ip6", host, "tcp", port] if port.isdecimal() and 0 < int(port) < 1 << 16:
            return any(ipaddress.ip_address(host) in network for network in ALLOWED)
        case _:
            return False
