"""What a scenario plays on: a world, chance, and the faults it may cause."""

import random
from collections.abc import Collection, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import trio

from meshnode.adapters.sources.walk import Walk
from meshnode.errors import ConfigError
from meshnode.ports import Source
from simulations.faults import CLOCK_A_LITTLE_MAX_S, Faults, Kind
from simulations.ground import Ground
from simulations.links import Links
from simulations.upstreams import Recorded, Troubled
from simulations.world import Network, World
from simulations.world_node import UPDATE_EVERY_S, Part, WorldNode

ASSETS = ("BTC-USD", "ETH-USD", "EUR-USD")
CONTACTS = 3  # earlier nodes whose address a node is told: with those that dial it, about six peers
NS_PER_S = 10**9
DISK_TROUBLES = ("full", "gone", "slow")


class Contact(Protocol):
    """Somebody whose address a node may be told."""

    @property
    def addr(self) -> str:
        """Where it is reached."""
        ...


class Stage:
    """Everything that a scenario may do; whatever it draws, it draws from `rng`.

    `minutes` is how long the scenario is to last, `size` how many nodes it is to have.
    """

    def __init__(
        self,
        ground: Ground,
        faults: Faults,
        rng: random.Random,
        *,
        size: int,
        minutes: float,
    ) -> None:
        self.faults = faults
        self.rng = rng
        self.size = size
        self.minutes = minutes
        self.nodes: list[WorldNode] = []
        self._ground = ground
        self._loading_s = 0.0
        self._are_dials_refused = False

    @property
    def world(self) -> World[Network]:
        """The simulated world itself. Raises ConfigError where the nodes are processes."""
        return self._ground.simulated("simulated world")

    # --- who is there -----------------------------------------------------------------------

    @property
    def providers(self) -> list[WorldNode]:
        """The nodes with prices, running or not."""
        return [node for node in self.nodes if node.is_provider]

    @property
    def consumers(self) -> list[WorldNode]:
        """The others."""
        return [node for node in self.nodes if not node.is_provider]

    def node(self, name: str) -> WorldNode:
        """A node by its name."""
        return self._ground.node(name)

    def some(self, nodes: Iterable[WorldNode], share: float) -> list[WorldNode]:
        """So many of these, at least one, by chance."""
        among = list(nodes)
        return self.rng.sample(among, max(1, round(len(among) * share))) if among else []

    async def grow(
        self,
        *,
        providers: int = 3,
        over_s: float = 10.0,
        update_every_s: float = UPDATE_EVERY_S,
        recording: Path | None = None,
        wary: Collection[int] = (),
    ) -> None:
        """Start `size` nodes, n0, n1, …, each told of a few before it; the first ones provide.

        What they provide are walks, or of a `recording` what was traded last. The `wary` ones, by
        their numbers, have an allowlist: these providers. Raises ConfigError where no consumer is
        left.
        """
        if self.size <= providers:
            raise ConfigError(f"--nodes {self.size}: this one needs {providers + 1} and more")
        trusted = [self.node(f"n{number}").peer_id for number in range(providers if wary else 0)]
        for number in range(self.size):
            contacts = self.rng.sample(self.nodes, min(CONTACTS, len(self.nodes)))
            role = "provider" if number < providers else "consumer"
            await self.add(
                f"n{number}",
                contacts,
                role=role,
                update_every_s=update_every_s,
                recording=recording,
                allow=trusted if number in wary else (),
            )
            await trio.sleep(over_s / self.size)
        self.faults.tell(f"{self.size} nodes are there, {providers} of them provide")

    async def add(
        self,
        name: str,
        contacts: Iterable[Contact] = (),
        *,
        role: str = "consumer",
        update_every_s: float = UPDATE_EVERY_S,
        allow: Iterable[str] = (),
        recording: Path | None = None,
    ) -> WorldNode:
        """Start one node more. `recording`: a CSV file as `replay:` takes it."""
        seed, every_s = self.rng.getrandbits(32), update_every_s
        if recording is not None:
            self._ground.simulated("recordings")

        def make_source(node: WorldNode) -> Source:
            source: Source = (
                Walk("walk", ASSETS, node.clock, random.Random(seed), interval_s=every_s)
                if recording is None
                else Recorded(recording, node.clock, interval_s=every_s)
            )
            return Troubled(source, node.trouble)

        node = self._ground.node(name)
        self.nodes.append(node)
        self.faults.touch([node])
        addrs = tuple(contact.addr for contact in contacts)
        part = Part(role, {}, addrs, tuple(allow), make_source, update_every_s)
        return await self._ground.start_as(node, part)

    # --- time -------------------------------------------------------------------------------

    @property
    def elapsed_s(self) -> float:
        """How long the scenario has been played, in seconds of trio's clock.

        The time in which processes load does not count: a simulated node is there at once.
        """
        return trio.current_time() - self._loading_s

    async def wait(self, seconds: float) -> None:
        """Let time pass, virtual or real, from when everybody who was started is ready."""
        await self._settle()
        await trio.sleep(seconds)

    async def wait_until(self, minute: float) -> None:
        """Let it pass until so many minutes after the beginning; not at all if that is over."""
        await self._settle()
        await trio.sleep_until(max(trio.current_time(), minute * 60 + self._loading_s))

    async def play_out(self) -> None:
        """Let the scenario's time pass to its end."""
        await self.wait_until(self.minutes)

    async def _settle(self) -> None:
        began_at = trio.current_time()
        await self._ground.settle()
        self._loading_s += trio.current_time() - began_at

    # --- processes --------------------------------------------------------------------------

    async def kill(self, nodes: Iterable[WorldNode]) -> None:
        """Kill -9."""
        killed = [node for node in nodes if node.is_running]
        self.faults.tell("killed", killed)
        self.faults.touch(killed)
        for node in killed:
            self.faults.died(node, self._connected_to(node))
            await self._ground.kill(node)

    async def leave(self, nodes: Iterable[WorldNode]) -> None:
        """SIGTERM, and wait for the end; all at once."""
        left = [node for node in nodes if node.is_running]
        self.faults.tell("left in order", left)
        self.faults.touch(left)
        async with trio.open_nursery() as nursery:
            for node in left:
                nursery.start_soon(self._ground.stop, node)

    async def start(self, nodes: Iterable[WorldNode]) -> None:
        """Start again what does not run, with its disk."""
        started = [node for node in nodes if not node.is_running]
        self.faults.tell("started", started)
        for node in started:
            await self._ground.start_as(node)
        self.faults.touch(started)

    def freeze(self, nodes: Iterable[WorldNode]) -> None:
        """SIGSTOP: the process stands still, its connections stay."""
        frozen = [node for node in nodes if node.is_running]
        self.faults.tell("frozen", frozen)
        self.faults.begin(Kind.FROZEN, frozen)
        for node in frozen:
            self._ground.freeze(node)

    def thaw(self, nodes: Iterable[WorldNode]) -> None:
        """SIGCONT."""
        thawed = list(nodes)
        self.faults.tell("thawed", thawed)
        self.faults.end(Kind.FROZEN, thawed)
        for node in thawed:
            self._ground.thaw(node)

    def _connected_to(self, node: WorldNode) -> list[WorldNode]:
        """Who can know at once when a node is killed."""
        return [
            other
            for other in self.nodes
            if other.is_running and other.mesh is not None and node.peer_id in other.mesh.peer_ids()
        ]

    # --- links ------------------------------------------------------------------------------

    def cut(self, one: WorldNode, other: WorldNode, *, one_way: bool = False) -> None:
        """Let nothing pass between two nodes, or nothing from the first to the second."""
        self.faults.tell("cut one way" if one_way else "cut", (one, other))
        self.faults.begin(Kind.CUT, (one, other))
        self._links().cut(one.peer_id, other.peer_id, one_way=one_way)

    def mend(self, one: WorldNode, other: WorldNode) -> None:
        """Open the link between two nodes."""
        links = self._links()
        links.mend(one.peer_id, other.peer_id)
        self.faults.tell("mended", (one, other))
        whole = [node for node in (one, other) if not links.is_cut(node.peer_id)]
        self.faults.touch((one, other), Kind.CUT)
        self.faults.end(Kind.CUT, whole)

    def split(self, sides: Iterable[Iterable[WorldNode]]) -> None:
        """Partition the network."""
        parts = [list(side) for side in sides]
        self.faults.tell(f"split into {' and '.join(str(len(part)) for part in parts)} nodes")
        self.faults.touch(self.nodes, Kind.SPLIT)
        self.faults.split(parts)
        self._links().split([[node.peer_id for node in part] for part in parts])

    def heal(self) -> None:
        """End the partition."""
        self.faults.tell("healed")
        self.faults.touch(self.nodes, Kind.SPLIT)
        self.faults.heal()
        self._links().heal()

    def _links(self) -> Links:
        return self._ground.simulated("links that are cut").network.links

    def lengthen_ways(self, from_s: float, to_s: float) -> None:
        """Have every message take a time between these, whatever the way."""
        self.faults.tell(f"every way takes {from_s:g} to {to_s:g} s")
        chance = random.Random(self.rng.getrandbits(32))
        self._links().lengthen(lambda _one, _other: chance.uniform(from_s, to_s))

    async def stall(self, one: WorldNode, other: WorldNode, seconds: float) -> None:
        """Hold what two nodes send each other for a while; that explains nothing to checkers."""
        self._links().stall(one.peer_id, other.peer_id)
        await self.wait(seconds)
        self._links().resume(one.peer_id, other.peer_id)

    def reset(self, one: WorldNode, other: WorldNode) -> None:
        """Break the connection between two nodes; that explains nothing either."""
        self.world.network.reset(one.peer_id, other.peer_id)

    def refuse_dials(self, one: WorldNode, other: WorldNode) -> None:
        """Have each refuse the other's dials; connections stay, and it explains nothing either."""
        self.faults.tell("refuse each other's dials", (one, other))
        self._links().refuse(one.peer_id, other.peer_id)
        self._are_dials_refused = True

    def accept_dials(self, one: WorldNode, other: WorldNode) -> None:
        """Let them be dialled by each other again."""
        self.faults.tell("accept each other's dials", (one, other))
        self._links().accept(one.peer_id, other.peer_id)

    # --- clocks, disks, upstreams -----------------------------------------------------------

    def set_clock(self, node: WorldNode, off_s: float) -> None:
        """Have a node's wall clock be off by so much; 0 sets it right."""
        self.faults.tell(f"clock off by {off_s:+.1f} s" if off_s else "clock right", (node,))
        self._ground.simulated("clocks that are wrong")
        for kind in (Kind.CLOCK, Kind.CLOCK_A_LITTLE):
            if self.faults.is_hampered(node, kind):
                self.faults.end(kind, (node,))
        if off_s:
            is_little = abs(off_s) <= CLOCK_A_LITTLE_MAX_S
            self.faults.begin(Kind.CLOCK_A_LITTLE if is_little else Kind.CLOCK, (node,))
        node.clock.step_ns = round(off_s * NS_PER_S)

    def break_disk(self, node: WorldNode, trouble: str = "full") -> None:
        """Make a node's store `full`, `gone` or `slow`. Raises ValueError for another word."""
        if trouble not in DISK_TROUBLES:
            raise ValueError(f"a disk is {', '.join(DISK_TROUBLES)}, not {trouble!r}")
        self.faults.tell(f"disk {trouble}", (node,))
        self._ground.simulated("disks that fail")
        self.faults.begin(Kind.DISK, (node,))
        if trouble == "slow":
            node.store.takes_s = 2.0
        elif trouble == "gone":
            node.store.vanish()
        else:
            node.store.fill_up()

    def mend_disk(self, node: WorldNode, *, empty: bool = False) -> None:
        """Let a node's store work again, perhaps as a new and empty file."""
        self.faults.tell("disk works again, empty" if empty else "disk works again", (node,))
        self._ground.simulated("disks that fail")
        self.faults.end(Kind.DISK, (node,))
        if empty:
            node.store.come_back_empty()
        else:
            node.store.recover()

    def lie(self, node: WorldNode, factor: Decimal) -> None:
        """Have a provider tell prices times a factor, from now on.

        Raises TypeError for a float: prices are decimal.
        """
        _check_decimal(factor)
        self.faults.tell(f"prices times {factor}", (node,))
        node.trouble.factor = factor
        self._ground.source_changed(node)

    def outlier(self, node: WorldNode, factor: Decimal) -> None:
        """Have a provider tell its next prices, once, times a factor. TypeError for a float."""
        _check_decimal(factor)
        self.faults.tell(f"an outlier, times {factor}", (node,))
        self._ground.simulated("outliers")
        node.trouble.outlier = factor

    def trouble_source(self, node: WorldNode, *, down: bool = False, frozen: bool = False) -> None:
        """Have a provider's upstream fail, or tell the same for ever; neither ends both."""
        told = "down" if down else "frozen" if frozen else "well again"
        self.faults.tell(f"upstream {told}", (node,))
        node.trouble.is_down, node.trouble.is_frozen = down, frozen
        self._ground.source_changed(node)

    def calm_down(self) -> None:
        """End every fault but the dead and the lying."""
        if self.faults.sides:
            self._links().heal()
            self.faults.heal()
        for kind, nodes in self.faults.hampered.items():
            for node in sorted(nodes, key=lambda n: n.name):
                match kind:
                    case Kind.FROZEN:
                        self.thaw([node])
                    case Kind.CLOCK | Kind.CLOCK_A_LITTLE:
                        self.set_clock(node, 0)
                    case Kind.DISK:
                        self.mend_disk(node)
                    case _:
                        for other in self.nodes:
                            self._links().mend(node.peer_id, other.peer_id)
            self.faults.end(kind, list(nodes))
        if self._are_dials_refused:
            self._links().accept_all()
        for node in self.providers:
            if node.trouble.is_down or node.trouble.is_frozen:
                node.trouble.is_down = node.trouble.is_frozen = False
                self._ground.source_changed(node)
        self.faults.touch(self.nodes, Kind.SPLIT)
        self.faults.tell("every fault ends; the network settles")


def _check_decimal(factor: Decimal) -> None:
    if not isinstance(factor, Decimal):
        raise TypeError(f"write Decimal('{factor}'): prices are decimal")
