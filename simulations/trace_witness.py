"""The fingerprint of a run, taken from what every node accepted and observed."""

from meshnode.core.facts import Fact
from protocols.envelope import Envelope
from simulations.trace import Trace
from simulations.witness import Witness
from simulations.world_node import WorldNode


class TraceWitness(Witness):
    """Hands everything to a `Trace`."""

    def __init__(self) -> None:
        self._trace = Trace()

    def accepted(self, node: WorldNode, envelope: Envelope) -> None:
        """Its signature is part of the fingerprint."""
        self._trace.add(node.name, envelope.signature)

    def observed(self, node: WorldNode, fact: Fact) -> None:
        """Part of the fingerprint; its `repr` tells it whole."""
        self._trace.add(node.name, f"{fact!r}\n".encode())

    def hexdigest(self) -> str:
        """The fingerprint so far."""
        return self._trace.hexdigest()
