"""Invariant 2, second half: no honest update is lost to a node that nothing is wrong with."""

from collections import deque
from dataclasses import dataclass

import trio

from protocols.envelope import Envelope
from simulations.checkers.court import Checker, Court
from simulations.checkers.said import Said, Update
from simulations.faults import Faults, Kind
from simulations.world import Network, World
from simulations.world_node import WorldNode

UP_S = 10.0  # who has been up for so long is to get what is said
GRACE_S = 30.0  # and has so long to get it
CALM_S = 30.0  # after the last fault anywhere, nothing at all may be lost
# Whose ways all led to the other side knows after two pings, and finds new ones.
REROUTED_S = 45.0
EXCUSES = (Kind.FROZEN, Kind.CLOCK)  # while they last
TOUCHING = (*EXCUSES, Kind.CLOCK_A_LITTLE, Kind.PROCESS)  # as they begin and end
SHARE_MIN = 0.995  # of all deliveries, those under faults that befell others included


@dataclass(eq=False)
class _Expected:
    update: Update
    receivers: tuple[tuple[WorldNode, int], ...]  # and which of their lives it was
    in_calm: bool


class Delivery(Checker):
    """Compares what was said with who got it, half a minute later.

    Whoever stood still, had a wrong clock, or started or ended around that time, is excused, and
    nobody is expected to hear across a split; in each side of it all are, once they could find each
    other. A link that is cut explains nothing, for there are others; nor does a disk.
    `expected` and `delivered` count the rest.
    """

    rule = "every update reaches every node"
    hears_consumers = False

    def __init__(self, world: World[Network], faults: Faults, court: Court, said: Said) -> None:
        super().__init__(world, faults, court)
        self._said = said
        self._waiting: deque[_Expected] = deque()
        self._taken: Update | None = None
        self.expected = 0
        self.delivered = 0

    def accepted(self, node: WorldNode, envelope: Envelope) -> None:
        """Note who ought to get what was just said; `Said` has been told before us."""
        if envelope.message.author != node.key or not self._said.updates:
            return
        update = self._said.updates[-1]
        if update is self._taken:
            return
        self._taken = update
        now = trio.current_time()
        receivers = tuple(
            (other, other.starts)
            for other in self.world.by_name.values()
            if other is not node and other.started_at is not None and now - other.started_at >= UP_S
        )
        self._waiting.append(_Expected(update, receivers, now - self.faults.last_at_s >= CALM_S))

    def tick(self) -> None:
        """Settle what was said half a minute ago."""
        now = trio.current_time()
        while self._waiting and now - self._waiting[0].update.said_at >= GRACE_S:
            self._settle(self._waiting.popleft())

    def finish(self) -> None:
        """Enough was delivered in all."""
        self.tick()
        if self.delivered < SHARE_MIN * self.expected:
            share = self.delivered / self.expected
            self.violated("all nodes", f"{share:.2%} of {self.expected} deliveries were made")

    def _is_well(self, node: WorldNode, for_s: float) -> bool:
        faults = self.faults
        return (
            node.is_running
            and not faults.is_hampered(node, *EXCUSES)
            and faults.calm_s(node, *TOUCHING) >= for_s
        )

    def _settle(self, expected: _Expected) -> None:
        update, faults = expected.update, self.faults
        since_said_s = trio.current_time() - update.said_at
        window_s = since_said_s + UP_S
        if not self._is_well(update.author, window_s):
            return  # who is killed while it speaks is not heard by all
        split_at_s = faults.split_at_s
        if split_at_s is not None and -GRACE_S < update.said_at - split_at_s < REROUTED_S:
            return  # it was under way when the sides parted, or their ways led to the other side
        if faults.healed_at_s is not None and update.said_at < faults.healed_at_s + CALM_S:
            return  # the sides have yet to find each other again
        for node, life in expected.receivers:
            if node.starts != life or not self._is_well(node, window_s):
                continue
            if faults.are_apart(update.author, node):
                continue
            self.expected += 1
            if node in update.got_by:
                self.delivered += 1
            elif expected.in_calm and trio.current_time() - faults.last_at_s >= since_said_s:
                told = f"update {update.name} of {update.author.name}, said at"
                self.violated(node.name, f"{told} {update.said_at:.1f} s, never came")
