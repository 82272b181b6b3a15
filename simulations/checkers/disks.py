"""Invariant 6: what a node accepts reaches its disk exactly once, and soon."""

from collections import deque

import trio

from meshnode.ports import Batch
from protocols.envelope import Envelope
from protocols.ids import Topic
from protocols.messages import PriceUpdate
from simulations.checkers.court import Checker, Court
from simulations.faults import Faults
from simulations.world import Network, World
from simulations.world_node import WorldNode

WRITTEN_WITHIN_S = 10.0  # of its acceptance, or of the disk's recovery
RESTARTED_S = 10.0
QUEUED_MAX = 4_096  # gossip's queue to the intake


class Disks(Checker):
    """Follows each accepted price update until it is written."""

    rule = "what is accepted is written once"

    def __init__(self, world: World[Network], faults: Faults, court: Court) -> None:
        super().__init__(world, faults, court)
        self._waiting: deque[tuple[float, WorldNode, int, tuple[bytes, int, int]]] = deque()
        self._heard: set[tuple[WorldNode, bytes, int, int]] = set()
        self._from_peers: set[tuple[WorldNode, bytes, int, int, str]] = set()
        self._written: set[tuple[WorldNode, bytes, int, int, str]] = set()

    def accepted(self, node: WorldNode, envelope: Envelope) -> None:
        """From now on it is due on disk."""
        message = envelope.message
        if isinstance(message.payload, PriceUpdate):
            name = (message.author, message.epoch, message.seq)
            self._heard.add((node, *name))
            self._waiting.append((trio.current_time(), node, node.starts, name))

    def committed(self, node: WorldNode, batch: Batch) -> None:
        """A tick is new to the disk, unless the file is."""
        for tick in batch.ticks:
            key = (node, tick.author, tick.epoch, tick.seq, tick.quote.asset)
            # Out of a peer's memory first, then heard late: the history has it of both.
            if key in self._written and key not in self._from_peers:
                self.violated(node.name, f"wrote tick {key[2:]} twice")
            self._from_peers.discard(key)
            if key not in self._written and key[:4] not in self._heard:
                self._from_peers.add(key)
            self._written.add(key)

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
