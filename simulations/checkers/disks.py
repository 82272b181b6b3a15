"""Invariant 6: what a node accepts reaches its disk exactly once, and soon."""

from collections import deque
from dataclasses import dataclass, replace

import trio

from meshnode.core.facts import CaughtUp, Fact
from meshnode.ports import Batch
from protocols.envelope import Envelope
from protocols.ids import Topic
from protocols.messages import PriceUpdate
from simulations.checkers.court import Checker, Court
from simulations.faults import Faults, Kind
from simulations.world import Network, World
from simulations.world_node import WorldNode

WRITTEN_WITHIN_S = 10.0  # of its acceptance, or of the disk's recovery, or of the thaw
# After a start, or after a peer was asked for what it holds: what the peer told may come by gossip
# as well, as long as that takes it (a minute), and then has to be written.
CATCHING_UP_S = 70.0
QUEUED_MAX = 4_096  # gossip's queue to the intake


@dataclass(frozen=True, slots=True)
class _Due:
    """An update that a node accepted in one of its lives; `since` it is due on disk."""

    since: float
    accepted_at: float
    node: WorldNode
    life: int
    author: bytes
    name: tuple[int, int]
    assets: tuple[str, ...]


class Disks(Checker):
    """Follows each accepted price update until it is written, with every quote of it.

    What is accepted while the disk fails is due as well, once it works again: only a kill may lose
    it, with what memory held.
    """

    rule = "what is accepted is written once"
    hears_consumers = False

    def __init__(self, world: World[Network], faults: Faults, court: Court) -> None:
        super().__init__(world, faults, court)
        self._waiting: deque[_Due] = deque()
        self._caught_up_at: dict[WorldNode, float] = {}
        self._written: set[tuple[WorldNode, bytes, int, int, str]] = set()

    def accepted(self, node: WorldNode, envelope: Envelope) -> None:
        """From now on it is due on disk."""
        message = envelope.message
        if isinstance(message.payload, PriceUpdate):
            now, name = trio.current_time(), (message.epoch, message.seq)
            assets = tuple([row[0] for row in message.payload.rows])
            self._waiting.append(_Due(now, now, node, node.starts, message.author, name, assets))

    def committed(self, node: WorldNode, batch: Batch) -> None:
        """A tick is new to the disk, unless the file is."""
        for tick in batch.ticks:
            author, epoch, seq, *_ = tick.said
            key = (node, author, epoch, seq, tick.row[0])
            # Out of a peer's memory and heard late: then the history has it of both.
            if key in self._written and not self._catches_up(node):
                self.violated(node.name, f"wrote tick {key[2:]} twice")
            self._written.add(key)

    def observed(self, node: WorldNode, fact: Fact) -> None:
        """Who catches up is told by a peer what it may hear as well."""
        if isinstance(fact, CaughtUp):
            self._caught_up_at[node] = trio.current_time()

    def _catches_up(self, node: WorldNode) -> bool:
        now = trio.current_time()
        started_at = now if node.started_at is None else node.started_at
        return now - max(started_at, self._caught_up_at.get(node, 0.0)) < CATCHING_UP_S

    def tick(self) -> None:
        """What was due ten seconds ago is written, its mark and its quotes."""
        now = trio.current_time()
        while self._waiting and now - self._waiting[0].since >= WRITTEN_WITHIN_S:
            due = self._waiting.popleft()
            node, (epoch, seq) = due.node, due.name
            if node.starts != due.life or not node.is_running:
                continue  # a kill loses what was accepted within the commit's interval
            if self._is_held_up(node):
                self._waiting.append(replace(due, since=now))
                continue
            missing = [
                asset
                for asset in due.assets
                if (node, due.author, epoch, seq, asset) not in self._written
            ]
            if missing or node.store.mark_of(due.author, Topic.PRICES) < due.name:
                told = f"accepted ({epoch}, {seq}) at {due.accepted_at:.1f} s"
                what = f"its {', '.join(missing)}" if missing else "its mark"
                self.violated(node.name, f"{told}, and {what} is not on disk yet")

    def _is_held_up(self, node: WorldNode) -> bool:
        faults, kinds = self.faults, (Kind.DISK, Kind.FROZEN)
        return faults.is_hampered(node, *kinds) or faults.calm_s(node, *kinds) < WRITTEN_WITHIN_S

    def finish(self) -> None:
        """Nothing waits any more, and queues are short."""
        self.tick()
        for node in self.world.running():
            assert node.mesh is not None, "a node that runs has a mesh"
            queued = node.mesh.gossip.statistics().queued
            if queued > QUEUED_MAX:
                self.violated(node.name, f"{queued} accepted messages wait, {QUEUED_MAX} may")
