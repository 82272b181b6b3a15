"""What mallory tries gets through to nodes, and what they refuse they refuse for its reason."""

from collections import Counter

import pytest

from meshnode.core.verdicts import Reason
from protocols.envelope import Envelope
from simulations.runner import Setup, simulate
from simulations.scenario import load
from simulations.witness import Witness
from simulations.world_node import WorldNode

WITH_ALLOWLIST, WITHOUT = True, False
# On either stack: to say what is not canonical, what another has said, and what is only hers.
OPENLY = {Reason.MALFORMED, Reason.WRONG_AUTHOR, Reason.NOT_ALLOWED, Reason.KNOWN, Reason.FUTURE}
IN_OTHERS_NAMES = {Reason.BAD_SIGNATURE, Reason.EXPIRED}


class Reception(Witness):
    """What nodes made of what strangers said: how often it was admitted, and why it was not."""

    def __init__(self) -> None:
        self.admitted: Counter[bool] = Counter()
        self.refused: Counter[str] = Counter()
        self._members: set[bytes] = set()

    def accepted(self, node: WorldNode, envelope: Envelope) -> None:
        self._members.add(node.key)
        if envelope.message.author not in self._members:
            self.admitted[bool(node.part.allow)] += 1

    def ended(self, node: WorldNode) -> None:
        assert node.mesh is not None
        statistics = node.mesh.gossip.statistics()
        self.refused.update(statistics.ignored)
        self.refused.update(statistics.rejected)


@pytest.mark.parametrize(
    ("stack", "reasons"), [("model", OPENLY | IN_OTHERS_NAMES), ("libp2p", OPENLY)]
)
def test_whatever_mallory_tries_somebody_has_to_refuse(stack: str, reasons: set[Reason]) -> None:
    reception = Reception()
    outcome = simulate(Setup(load("liars"), 8, 1, 2.5, stack), witnesses=[reception])
    assert [str(violation) for violation in outcome.violations] == []
    assert {reason.value for reason in reasons} <= reception.refused.keys()
    assert reception.admitted[WITHOUT] > 20
    assert reception.admitted[WITH_ALLOWLIST] == 0
