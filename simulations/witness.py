"""Who looks on at a world: checkers, metrics, the trace."""

from typing import TYPE_CHECKING, ClassVar

from meshnode.core.facts import Fact
from meshnode.ports import Batch
from protocols.envelope import Envelope

if TYPE_CHECKING:
    from simulations.world_node import WorldNode


class Witness:
    """Is told what every node does, as it does it; each method may be left as it is.

    A node's own messages are accepted by itself first: that is when they are said. Where there are
    many nodes, most of what is said is the word of consumers: not all `hears_consumers`.
    """

    hears_consumers: ClassVar[bool] = True

    def started(self, node: "WorldNode") -> None:
        """A node is ready, for the first time or again."""

    def ended(self, node: "WorldNode") -> None:
        """A node's process ended, in order or not."""

    def accepted(self, node: "WorldNode", envelope: Envelope) -> None:
        """A node accepted a message."""

    def misattributed(self, node: "WorldNode", envelope: Envelope) -> None:
        """A node accepted a message whose sender in gossip is not its author."""

    def observed(self, node: "WorldNode", fact: Fact) -> None:
        """A node made a fact known."""

    def committed(self, node: "WorldNode", batch: Batch) -> None:
        """A node's store wrote a batch."""

    def dialled(self, node: "WorldNode", addr: str) -> None:
        """A node dials an address, a multiaddr with or without `/p2p`."""
