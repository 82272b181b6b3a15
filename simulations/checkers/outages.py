"""Invariant 4: the extended outage is flagged 600 to 605 s after the last sign of life, and ends.

The last sign of life is the last message of any provider that the node accepted, by the time of
its issue; who starts without any counts from its start.
"""

import trio

from meshnode.core.facts import Fact, OutageEnded, OutageExtended
from protocols.envelope import Envelope
from protocols.messages import PresenceUpdate, PriceUpdate, Role
from simulations.checkers.court import Checker, Court
from simulations.clock import START_NS
from simulations.faults import Faults
from simulations.world import Network, World
from simulations.world_node import WorldNode

EXTENDED_AFTER_S, LATE_MAX_S = 600.0, 5.0
EARLY_MAX_S = 0.2  # the sign was issued, then travelled
CLEARED_WITHIN_S = 10.0


class Outages(Checker):
    """Runs an outage clock of its own for every node that nothing else is wrong with."""

    rule = "an extended outage is flagged at ten minutes and cleared on return"
    hears_consumers = False

    def __init__(self, world: World[Network], faults: Faults, court: Court) -> None:
        super().__init__(world, faults, court)
        self._sign_at: dict[WorldNode, float] = {}
        self._returned_at: dict[WorldNode, float] = {}
        self._extended: set[WorldNode] = set()
        self._accused: set[WorldNode] = set()

    def started(self, node: WorldNode) -> None:
        """Who starts for the first time counts from now; who restarts, from what it knew."""
        self._sign_at.setdefault(node, trio.current_time())
        self._extended.discard(node)
        self._returned_at.pop(node, None)

    def accepted(self, node: WorldNode, envelope: Envelope) -> None:
        """A sign of life of a provider."""
        message = envelope.message
        match message.payload:
            case PriceUpdate() | PresenceUpdate(role=Role.PROVIDER):
                issued_at = (message.issued_ns - START_NS) / 1e9
                now = trio.current_time()
                said_at = min(issued_at, now)
                self._sign_at[node] = max(said_at, self._sign_at.get(node, said_at))
                self._accused.discard(node)
                if node in self._extended:
                    self._returned_at.setdefault(node, now)
            case _:
                pass

    def observed(self, node: WorldNode, fact: Fact) -> None:
        """The flag goes up at its time, or it is a false alarm."""
        match fact:
            case OutageExtended():
                self._extended.add(node)
                silent_s = trio.current_time() - self._sign_at.get(node, 0.0)
                if self._is_watched(node) and silent_s < EXTENDED_AFTER_S - EARLY_MAX_S:
                    self.violated(node.name, f"raised the flag after {silent_s:.1f} s of silence")
            case OutageEnded():
                self._extended.discard(node)
                self._returned_at.pop(node, None)
            case _:
                pass

    def tick(self) -> None:
        """The flag is up when it must be, and down when it must be."""
        now = trio.current_time()
        for node in self.world.running():
            silent_s = now - self._sign_at.get(node, now)
            back_s = now - self._returned_at.get(node, now)
            if silent_s > EXTENDED_AFTER_S + LATE_MAX_S and node not in self._extended:
                self._accuse(node, f"no flag after {silent_s:.1f} s of silence")
            elif back_s > CLEARED_WITHIN_S:
                self._accuse(node, f"the flag is up {back_s:.1f} s after a return")

    def _accuse(self, node: WorldNode, what: str) -> None:
        if node not in self._accused and self._is_watched(node):
            self._accused.add(node)
            self.violated(node.name, what)

    def _is_watched(self, node: WorldNode) -> bool:
        # A clock that is wrong, a process that stood still, or a new life explain other times.
        if self.faults.is_hampered(node):
            return False
        started_at = node.started_at
        return started_at is not None and trio.current_time() - started_at > EXTENDED_AFTER_S
