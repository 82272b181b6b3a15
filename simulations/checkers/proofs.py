"""Invariants 3 and 9: what is accepted or stored is signed, allowed, timely and canonical."""

from meshnode.ports import Batch, EnvelopeKey
from protocols.codec import encode, pack_envelope
from protocols.envelope import Envelope, open_envelope
from protocols.errors import Malformed
from protocols.ids import key_from_peer_id
from protocols.messages import Message, PriceUpdate
from simulations.checkers.court import Checker, Court
from simulations.faults import Faults
from simulations.world import Network, World
from simulations.world_node import WorldNode

NS_PER_S = 10**9
# Of SPEC.md's verdicts; written down here anew, so that the product's own may be wrong.
AHEAD_MAX_S, BEHIND_MAX_S = 10, 60
CORRECTED_FROM_S = 1  # a clock that is off by less is left alone
PEERS_OFF_S = 6  # the clocks of peers that are a little wrong themselves
KNOWN_MAX = 50_000  # envelopes whose signature was found good; then all are forgotten


class Proofs(Checker):
    """Verifies every accepted message, and every price that reaches a disk."""

    rule = "only what is proven is kept"

    def __init__(self, world: World[Network], faults: Faults, court: Court) -> None:
        super().__init__(world, faults, court)
        self._good: dict[bytes, Message] = {}

    def accepted(self, node: WorldNode, envelope: Envelope) -> None:
        """Signed by an author that the node admits, issued about now."""
        if envelope.raw not in self._good or node.part.allow:  # most have come to others before
            self._verify(node, envelope.raw, "accepted")
        issued_ns = envelope.message.issued_ns
        age_s = (node.clock.now_ns() - issued_ns) / NS_PER_S
        if -AHEAD_MAX_S <= age_s <= BEHIND_MAX_S:
            return
        # A node whose clock is wrong judges by its peers', once three of them told it the time.
        true_age_s = (self.world.clock.now_ns() - issued_ns) / NS_PER_S
        by_peers = (
            abs(age_s - true_age_s) > CORRECTED_FROM_S
            and -AHEAD_MAX_S - PEERS_OFF_S <= true_age_s <= BEHIND_MAX_S + PEERS_OFF_S
        )
        if not by_peers:
            self.violated(node.name, f"accepted a message issued {age_s:.1f} s ago")

    def misattributed(self, node: WorldNode, envelope: Envelope) -> None:
        """Sent by its author, as nobody else may."""
        name = (envelope.message.epoch, envelope.message.seq)
        self.violated(node.name, f"accepted {name} from a sender who is not its author")

    def committed(self, node: WorldNode, batch: Batch) -> None:
        """Each price on disk stands in an envelope that is on disk, too."""
        proofs: dict[EnvelopeKey, Message] = {}
        for key, raw in batch.envelopes:
            message = self._verify(node, raw, "stored")
            if message is None:
                continue
            proofs[key] = message
            if (message.author, message.epoch, message.seq) != key:
                self.violated(node.name, f"stored an envelope under another's name, {key}")
        for stored in batch.latest:
            proof = proofs.get(EnvelopeKey(*stored.said[:3]))
            if proof is None:
                continue  # it was written before, or was let go of for want of room
            payload = proof.payload
            if not isinstance(payload, PriceUpdate) or stored.row not in payload.rows:
                self.violated(node.name, f"stored {stored.quote} that its proof does not contain")

    def _verify(self, node: WorldNode, raw: bytes, deed: str) -> Message | None:
        message = self._good.get(raw)
        if message is None:
            try:
                envelope = open_envelope(raw)
            except Malformed:
                self.violated(node.name, f"{deed} what cannot be read")
                return None
            if (fault := _fault(envelope)) is not None:
                self.violated(node.name, f"{deed} a message {fault}")
                return None
            if len(self._good) >= KNOWN_MAX:
                self._good.clear()
            self._good[raw] = message = envelope.message
        if node.part.allow:
            allowed = {key_from_peer_id(peer) for peer in node.part.allow} | {node.key}
            if message.author not in allowed:
                self.violated(node.name, f"{deed} a message of an author not on its allowlist")
        return message


def _fault(envelope: Envelope) -> str | None:
    """Why an envelope proves nothing, found out from its bytes anew: decoders may be lenient."""
    body, _ = encode(envelope.message)
    if body != envelope.body or pack_envelope(body, envelope.signature) != envelope.raw:
        return "that is not in canonical form"
    return None if envelope.is_authentic() else "without a valid signature"
