"""Invariant 6: what a node accepts reaches its disk exactly once, and soon."""

from collections import deque

import trio

from meshnode.core.facts import CaughtUp, Fact
from meshnode.ports import Batch
from protocols.envelope import Envelope
from protocols.ids import Topic
from protocols.messages import PriceUpdate
from simulations.checkers.court import Checker, Court
from simulations.faults import Faults
from simulations.world import Network, World
from simulations.world_node import WorldNode

WRITTEN_WITHIN_S = 10.0  # of its acceptance, or of the disk's recovery
# After a start, or after a peer was asked for what it holds: what the peer told may come by gossip
# as well, as long as that takes it (a minute), and then has to be written.
CATCHING_UP_S = 70.0
QUEUED_MAX = 4_096  # gossip's queue to the intake


class Disks(Checker):
    """Follows each accepted price update until it is written."""

    rule = "what is accepted is written once"
    hears_consumers = False

    def __init__(self, world: World[Network], faults: Faults, court: Court) -> None:
        super().__init__(world, faults, court)
        self._waiting: deque[tuple[float, WorldNode, int, tuple[bytes, int, int]]] = deque()
        self._caught_up_at: dict[WorldNode, float] = {}
        self._written: set[tuple[WorldNode, bytes, int, int, str]] = set()

    def accepted(self, node: WorldNode, envelope: Envelope) -> None:
        """From now on it is due on disk."""
        message = envelope.message
        if isinstance(message.payload, PriceUpdate):
            name = (message.author, message.epoch, message.seq)
            self._waiting.append((trio.current_time(), node, node.starts, name))

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
        """What was accepted ten seconds ago is covered by a mark on disk, and queues are short."""
        now = trio.current_time()
        while self._waiting and now - self._waiting[0][0] >= WRITTEN_WITHIN_S:
            accepted_at, node, life, (author, epoch, seq) = self._waiting.popleft()
            if node.starts != life or not node.is_running:
                continue  # a kill loses what was accepted within the commit's interval
            if self.faults.is_hampered(node) or self.faults.calm_s(node) < WRITTEN_WITHIN_S:
                continue
            if node.store.mark_of(author, Topic.PRICES) < (epoch, seq):
                told = f"accepted ({epoch}, {seq}) at {accepted_at:.1f} s"
                self.violated(node.name, f"{told}, and it is not on disk yet")

    def finish(self) -> None:
        """Nothing waits any more."""
        self.tick()
        for node in self.world.running():
            assert node.mesh is not None, "a node that runs has a mesh"
            queued = node.mesh.gossip.statistics().queued
            if queued > QUEUED_MAX:
                self.violated(node.name, f"{queued} accepted messages wait, {QUEUED_MAX} may")
