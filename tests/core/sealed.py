"""Envelopes as authors seal them and forgers alter them, and nodes that judge them."""

from dataclasses import replace

from nacl.signing import SigningKey

from meshnode.core.admission import Admission
from meshnode.core.names import Names
from meshnode.core.verdicts import Verdict
from protocols.codec import pack_envelope
from protocols.envelope import Envelope, seal
from protocols.limits import ISSUED_AHEAD_MAX_NS, ISSUED_BEHIND_MAX_NS
from protocols.messages import (
    Message,
    Name,
    Payload,
    Presence,
    PresenceUpdate,
    PriceUpdate,
    Role,
)
from protocols.quotes import Quote

ALICE, BOB, MALLORY = (SigningKey(bytes([number]) * 32) for number in (1, 2, 3))
NOW_NS = 1_767_225_600 * 10**9
EPOCH = NOW_NS // 10**9 - 600
TOO_LONG_AGO_NS = NOW_NS - ISSUED_BEHIND_MAX_NS - 1
TOO_FAR_AHEAD_NS = NOW_NS + ISSUED_AHEAD_MAX_NS + 1


def prices(mantissa: int = 3943247) -> PriceUpdate:
    return PriceUpdate((Quote("BTC-USD", mantissa, -2, NOW_NS, 0, 1, None),))


def presence() -> PresenceUpdate:
    return PresenceUpdate(Role.PROVIDER, Presence.ACTIVE, 5000, 15000, (), "meshnode/0.1.0", 1)


def said(
    payload: Payload | None = None,
    *,
    by: SigningKey = ALICE,
    network: str = "main",
    epoch: int = EPOCH,
    seq: int = 1,
    issued_ns: int = NOW_NS,
) -> Envelope:
    """An envelope that its author sealed."""
    message = Message(network, key_of(by), epoch, seq, issued_ns, payload or prices())
    return seal(message, by)


def forged(envelope: Envelope) -> Envelope:
    """The same body with a signature that is not its author's."""
    signature = MALLORY.sign(envelope.body).signature
    raw = pack_envelope(envelope.body, signature)
    return replace(envelope, raw=raw, signature=signature)


def key_of(key: SigningKey) -> bytes:
    return bytes(key.verify_key)


def admission(
    *,
    allowlist: frozenset[bytes] | None = None,
    names: Names | None = None,
    held: dict[Name, bytes] | None = None,
) -> Admission:
    return Admission(
        "main",
        allowlist=allowlist,
        names=names or Names(is_kept=lambda _: False),
        find_held=(held or {}).get,
    )


def heard(node: Admission, envelope: Envelope, now_ns: int = NOW_NS) -> Verdict:
    """What the node makes of an envelope that comes as it should."""
    message = envelope.message
    return node.judge(message.topic, message.author, envelope.raw, now_ns)
