"""Proofs of prices: each envelope verified here, without trust in the peer that handed it over."""

from dataclasses import asdict, dataclass

from protocols.envelope import open_envelope
from protocols.ids import peer_id
from protocols.messages import PriceUpdate
from protocols.timestamps import rfc3339


@dataclass(frozen=True, slots=True)
class Proof:
    """What an envelope says of itself; `verified` is whether its author really signed it.

    `issued` is RFC 3339 by the author's clock, `quotes` their number, `envelope` the whole of it
    in hex, so that others can verify it too.
    """

    author: str
    epoch: int
    seq: int
    issued: str
    quotes: int
    verified: bool
    envelope: str

    def to_map(self) -> dict[str, object]:
        """The proof as it stands in a JSON document."""
        return asdict(self)


def verify(raw: bytes) -> Proof:
    """Read an envelope and check its signature. Raises Malformed for what is no envelope."""
    envelope = open_envelope(raw)
    message = envelope.message
    payload = message.payload
    return Proof(
        author=peer_id(message.author),
        epoch=message.epoch,
        seq=message.seq,
        issued=rfc3339(message.issued_ns),
        quotes=len(payload.rows) if isinstance(payload, PriceUpdate) else 0,
        verified=envelope.is_authentic(),
        envelope=raw.hex(),
    )
