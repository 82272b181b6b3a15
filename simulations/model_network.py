"""The model's network: who is there, and what lies between them."""

import random
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from meshnode.config import NodeConfig
from meshnode.ports import Judge, Observer
from simulations.links import Links
from simulations.model_gossip import HISTORY_HEARTBEATS, GossipMessage
from simulations.model_mesh import ModelMesh, open_model_mesh
from simulations.model_stream import ModelStream
from simulations.timeline import Timeline

HEARTBEAT_S = 1.0


class ModelNetwork:
    """Who is there and who is connected to whom; what lies between them is the `links`' matter.

    `hop_s` is what a node takes to pass a message on. Each node has an address of its own, or,
    `on_one_machine`, a port on loopback.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        links: Links,
        rng: random.Random,
        *,
        hop_s: float = 0.0,
        on_one_machine: bool = False,
    ) -> None:
        self.nursery = nursery
        self.links = links
        self.rng = rng
        self.hop_s = hop_s
        self._on_one_machine = on_one_machine
        self.timeline = Timeline()
        self.nodes: dict[str, ModelMesh] = {}
        # How many copies of what it had came to each that gossips, in the order in which they came;
        # who has ended keeps its place.
        self.copies: list[int] = []
        self.cut: set[frozenset[str]] = set()  # whose dials go unanswered
        self.muted: set[str] = set()  # whose gossip goes nowhere
        self.frozen: set[str] = set()  # who answers nothing, its connections open
        self.heartbeats = 0
        # What anybody heard between the last heartbeats; where nobody misses any of it, nobody has
        # anything to tell.
        self.recent: deque[dict[GossipMessage, None]] = deque([{}], maxlen=HISTORY_HEARTBEATS)
        self.off_degree: dict[str, None] = {}  # whose mesh is too small or too large
        self.dialled: Callable[[str, str], None] = _untold
        self._addrs: dict[str, str] = {}
        self._places: set[str] = set()
        # What waits for its peer to close since the last heartbeat, and since the one before.
        self._lingering: list[ModelStream] = []
        self._lingering_long: list[ModelStream] = []

    def addr_of(self, node: str) -> str:
        """Where a node (by its peer id) listens, now or once it runs; without `/p2p`."""
        number = len(self._addrs) + 1
        high, low = divmod(number, 250)
        place = (
            f"/ip4/127.0.0.1/tcp/{number}"
            if self._on_one_machine
            else f"/ip4/10.0.{high}.{low + 1}/tcp/4201"
        )
        place = self._addrs.setdefault(node, place)
        self._places.add(place)
        return place

    def enrol(self) -> int:
        """The number of one more that gossips."""
        self.copies.append(0)
        return len(self.copies) - 1

    def duplicates(self) -> int:
        """See `Network.duplicates`."""
        return sum(self.copies)

    def watch_dials(self, tell: Callable[[str, str], None]) -> None:
        """See `Network.watch_dials`."""
        self.dialled = tell

    def is_inhabited(self, place: str) -> bool:
        """Whether a machine is there, so that a dial is answered, be it by a refusal."""
        return self._on_one_machine or place in self._places

    @asynccontextmanager
    async def open_mesh(
        self, config: NodeConfig, *, key_seed: bytes, judge: Judge, observer: Observer
    ) -> AsyncIterator[ModelMesh]:
        """See `OpenMesh`; a node listens on its own address here, whatever is configured."""
        del config  # one network in one world: whoever is connected hears everybody
        async with open_model_mesh(self, key_seed=key_seed, judge=judge, observer=observer) as mesh:
            yield mesh

    def crash(self, peer_id: str) -> None:
        """A node's process ends at once: its connections are reset."""
        if peer_id in self.nodes:
            self.nodes[peer_id].close()

    def reset(self, one: str, other: str) -> None:
        """The connection of two peers breaks, if there is one."""
        if one in self.nodes:
            self.nodes[one].drop(other)

    def cut_link(self, one: str, other: str) -> None:
        """Break the connection of two peers, and let dials go unanswered until it is mended."""
        self.cut.add(frozenset((one, other)))
        self.reset(one, other)

    def is_cut(self, one: str, other: str) -> bool:
        """Whether a dial goes unanswered between two peers."""
        return frozenset((one, other)) in self.cut

    def mend_link(self, one: str, other: str) -> None:
        """Let two peers dial each other again."""
        self.cut.discard(frozenset((one, other)))

    def linger(self, stream: ModelStream) -> None:
        """An answered stream waits for its peer to close; after a heartbeat or two it is reset."""
        self._lingering.append(stream)

    async def keep_heartbeats(self) -> None:
        """Gossip's heartbeats, of all nodes that have something to do at one."""
        while True:
            await trio.sleep(HEARTBEAT_S)
            for stream in self._lingering_long:
                stream.break_off()
            self._lingering_long, self._lingering = self._lingering, []
            self._heartbeat()

    def _heartbeat(self) -> None:
        off_degree, self.off_degree = self.off_degree, {}
        for peer in off_degree:
            if self.links.is_frozen(peer):
                self.off_degree[peer] = None
            elif peer in self.nodes:
                self.nodes[peer].gossip.keep_degree()
        gossips = [gossip for mesh in self.nodes.values() if (gossip := mesh.gossip).judges]
        everybody = {gossip.number for gossip in gossips}
        recent = {message for heard in self.recent for message in heard}
        missed = {message for message in recent if not everybody <= message.heard_by}
        if missed:
            for gossip in gossips:
                if not self.links.is_frozen(gossip.peer_id):
                    gossip.tell(missed)
        self.heartbeats += 1
        self.recent.append({})


def _untold(_peer_id: str, _addr: str) -> None:
    """Nobody looks on."""


@asynccontextmanager
async def open_network(
    *,
    delay_s: float = 0.01,
    links: Links | None = None,
    seed: int = 0,
    hop_s: float = 0.0,
    on_one_machine: bool = False,
) -> AsyncIterator[ModelNetwork]:
    """A network for nodes to join; whatever is under way in it ends with it.

    Without `links`, all are alike and take `delay_s`.
    """
    async with trio.open_nursery() as nursery:
        rng = random.Random(f"network {seed}")
        network = ModelNetwork(
            nursery,
            links or Links(lambda _a, _b: delay_s),
            rng,
            hop_s=hop_s,
            on_one_machine=on_one_machine,
        )
        await nursery.start(network.timeline.run)
        nursery.start_soon(network.keep_heartbeats)
        yield network
        nursery.cancel_scope.cancel()
