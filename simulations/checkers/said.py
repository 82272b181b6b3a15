"""What was really said: the account that deliveries and books are compared with."""

from collections import deque
from dataclasses import dataclass, field

import trio

from protocols.envelope import Envelope
from protocols.messages import PriceUpdate
from protocols.quotes import Quote
from simulations.witness import Witness
from simulations.world_node import WorldNode

UPDATES_MAX = 100_000  # the oldest are forgotten


@dataclass(eq=False)
class Update:
    """A price update as its author said it, and who has got it since."""

    author: WorldNode
    name: tuple[int, int]
    quotes: tuple[Quote, ...]
    said_at: float
    got_by: set[WorldNode] = field(default_factory=set)


class Said(Witness):
    """Every price update of honest nodes, in the order in which they were said."""

    hears_consumers = False

    def __init__(self) -> None:
        self.updates: deque[Update] = deque(maxlen=UPDATES_MAX)
        self._by_signature: dict[bytes, Update] = {}

    def accepted(self, node: WorldNode, envelope: Envelope) -> None:
        """Said by its author, or got by another."""
        message = envelope.message
        if message.author == node.key:
            if isinstance(message.payload, PriceUpdate):
                name = (message.epoch, message.seq)
                update = Update(node, name, message.payload.quotes, trio.current_time())
                if len(self.updates) == UPDATES_MAX:
                    self._by_signature.pop(next(iter(self._by_signature)))
                self.updates.append(update)
                self._by_signature[envelope.signature] = update
            return
        got = self._by_signature.get(envelope.signature)
        if got is not None:
            got.got_by.add(node)
