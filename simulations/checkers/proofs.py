"""Invariants 3 and 9: what is accepted or stored is signed, allowed, timely and canonical."""

from meshnode.ports import Batch, EnvelopeKey
from protocols.codec import encode
from protocols.envelope import Envelope, open_envelope
from protocols.errors import Malformed
from protocols.ids import key_from_peer_id
from protocols.messages import PriceUpdate
from simulations.checkers.court import Checker
from simulations.world_node import WorldNode

NS_PER_S = 10**9
# Of SPEC.md's verdicts; written down here anew, so that the product's own may be wrong.
AHEAD_MAX_S, BEHIND_MAX_S = 10, 60
KNOWN_MAX = 50_000  # envelopes whose signature was found good; then all are forgotten


class Proofs(Checker):
    """Verifies every accepted message, and every price that reaches a disk."""

    rule = "only what is proven is kept"

    _good: frozenset[bytes] | set[bytes] = frozenset()

    def accepted(self, node: WorldNode, envelope: Envelope) -> None:
        """Signed by an author that the node admits, issued about now by the node's clock."""
        self._verify(node, envelope.raw, "accepted")
        age_s = (node.clock.now_ns() - envelope.message.issued_ns) / NS_PER_S
        if not -AHEAD_MAX_S <= age_s <= BEHIND_MAX_S:
            self.violated(node.name, f"accepted a message issued {age_s:.1f} s ago")

    def committed(self, node: WorldNode, batch: Batch) -> None:
        """Each price on disk stands in an envelope that is on disk, too."""
        for key, raw in batch.envelopes:
            self._verify(node, raw, "stored")
            message = open_envelope(raw).message
            if EnvelopeKey(message.author, message.epoch, message.seq) != key:
                self.violated(node.name, f"stored an envelope under another's name, {key}")
        proofs = dict(batch.envelopes)
        for stored in batch.latest:
            raw_proof = proofs.get(EnvelopeKey(stored.author, stored.epoch, stored.seq))
            if raw_proof is None:
                continue  # its proof was written before, or was let go of for want of room
            payload = open_envelope(raw_proof).message.payload
            if not isinstance(payload, PriceUpdate) or stored.quote not in payload.quotes:
                self.violated(node.name, f"stored {stored.quote} that its proof does not contain")

    def _verify(self, node: WorldNode, raw: bytes, deed: str) -> None:
        if raw not in self._good:
            if not _is_good(raw):
                self.violated(node.name, f"{deed} a message without a valid signature")
                return
            if not isinstance(self._good, set) or len(self._good) >= KNOWN_MAX:
                self._good = set()
            self._good.add(raw)
        if node.part.allow:
            author = open_envelope(raw).message.author
            allowed = {key_from_peer_id(peer) for peer in node.part.allow} | {node.key}
            if author not in allowed:
                self.violated(node.name, f"{deed} a message of an author not on its allowlist")


def _is_good(raw: bytes) -> bool:
    try:
        envelope = open_envelope(raw)
    except Malformed:
        return False
    body, _ = encode(envelope.message)
    return body == envelope.body and envelope.is_authentic()
