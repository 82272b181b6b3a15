"""StrictSign: whether a gossip message is signed by its author."""

from collections.abc import Callable
from typing import TypeAlias

from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.validators import PUBSUB_SIGNING_PREFIX
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from protocols.ids import peer_id_bytes

# Of a message's data, its topic and sequence number, its author's raw key, and the signature.
IsSigned: TypeAlias = Callable[[bytes, str, bytes, bytes, bytes], bool]

SIGNING_PREFIX = PUBSUB_SIGNING_PREFIX.encode()


def is_signed(data: bytes, topic: str, seqno: bytes, key: bytes, signature: bytes) -> bool:
    """Whether a gossip message bears the signature of its author's key."""
    signed = rpc_pb2.Message(data=data, topicIDs=[topic], from_id=peer_id_bytes(key), seqno=seqno)
    try:
        VerifyKey(key).verify(SIGNING_PREFIX + signed.SerializeToString(), signature)
    except (BadSignatureError, ValueError):
        return False
    return True
