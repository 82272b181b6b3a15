"""How soon a node that starts has prices: those of every provider that was there before it."""

import trio

from meshnode.ports import Batch
from protocols.envelope import Envelope
from protocols.messages import PriceUpdate
from simulations.checkers.court import Checker, Court
from simulations.checkers.reach import Reach
from simulations.faults import Faults
from simulations.world import Network, World
from simulations.world_node import WorldNode

WITHIN_S = 15.0
SAID_BEFORE_S = 10.0  # what is said only now has as long as any update to arrive


class FirstPrices(Checker):
    """Fifteen seconds after each start, compares whose prices a node has with who had said any."""

    rule = "who starts has prices within fifteen seconds"
    hears_consumers = False

    def __init__(self, world: World[Network], faults: Faults, court: Court, reach: Reach) -> None:
        super().__init__(world, faults, court)
        self._reach = reach
        self._begun: dict[WorldNode, set[bytes]] = {}  # whose prices they have
        self._spoke_at: dict[WorldNode, float] = {}  # when each provider first said any, this life

    def started(self, node: WorldNode) -> None:
        """What it has on disk it has."""
        self._begun[node] = {stored.author for stored in node.store.latest()}
        if node.is_provider:
            self._spoke_at.pop(node, None)

    def ended(self, node: WorldNode) -> None:
        """Nothing is due of it any more."""
        self._begun.pop(node, None)
        self._spoke_at.pop(node, None)

    def accepted(self, node: WorldNode, envelope: Envelope) -> None:
        """Heard."""
        author = envelope.message.author
        if isinstance(envelope.message.payload, PriceUpdate):
            if author == node.key:
                self._spoke_at.setdefault(node, trio.current_time())
            if node in self._begun:
                self._begun[node].add(author)

    def committed(self, node: WorldNode, batch: Batch) -> None:
        """Told by a peer, and written."""
        if node in self._begun:
            self._begun[node].update(stored.author for stored in batch.latest)

    def tick(self) -> None:
        """Look at those that started a quarter of a minute ago."""
        for node in [node for node in self._begun if self._reach.up_s(node) >= WITHIN_S]:
            has = self._begun.pop(node)
            up_s = self._reach.up_s(node)
            if self._reach.untouched_s(node) < WITHIN_S - 1 or self._reach.alone_s(node) > 0:
                continue
            for provider, spoke_at in self._spoke_at.items():
                if (
                    provider.key not in has
                    and trio.current_time() - spoke_at >= SAID_BEFORE_S
                    and self._reach.untouched_s(provider) >= SAID_BEFORE_S
                    and self._reach.together_s(node, provider) >= up_s
                ):
                    self.violated(node.name, f"has no price of {provider.name} after {up_s:.1f} s")
