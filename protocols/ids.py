"""Names: peer ids and the keys inside them, networks, topics, stream protocols."""

import re
from enum import Enum
from functools import lru_cache
from sys import intern

from protocols.errors import Malformed

KEY_BYTES = 32
# An Ed25519 peer id is the identity multihash (00) of 36 bytes (24): a protobuf of key type 1
# (08 01) and the 32 bytes of the key (12 20).
_ID_PREFIX = bytes.fromhex("002408011220")
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_IDS_KEPT_MAX = 8_192  # in either direction; who floods us with ids makes us reckon, no more
_NO_DIGIT = 255
_DIGITS = bytes(max(-1, _BASE58.find(chr(char))) % 256 for char in range(256))
# Digits are taken so many at a time: numbers below 58^10 are quick to reckon with.
_LIMB_DIGITS = 10
_LIMB = 58**_LIMB_DIGITS
_NETWORK = re.compile(r"[a-z0-9-]{1,32}")

DEFAULT_NETWORK = "main"
STATUS_PROTOCOL = "/meshprice/status/1.0.0"
PRICES_PROTOCOL = "/meshprice/prices/1.0.0"
WATCH_PROTOCOL = "/meshprice/watch/1.0.0"


class Topic(Enum):
    """The two topics of a network; each numbers its messages for itself."""

    PRICES = "prices"
    PRESENCE = "presence"

    # Every message is looked up by its topic: by what it is, without a call in Python.
    __hash__ = object.__hash__

    def on(self, network: str) -> str:
        """The topic's name on the wire, such as `/meshprice/main/prices/1`."""
        return f"/meshprice/{network}/{self.value}/1"


def is_network(name: str) -> bool:
    """Whether the whole string may name a network."""
    return _NETWORK.fullmatch(name) is not None


def peer_id_bytes(key: bytes) -> bytes:
    """The binary peer id (38 bytes) of a raw Ed25519 public key (32 bytes)."""
    if len(key) != KEY_BYTES:
        raise Malformed(f"an Ed25519 public key has {KEY_BYTES} bytes, not {len(key)}")
    return _ID_PREFIX + key


def key_from_id_bytes(raw: bytes) -> bytes:
    """The raw public key inside a binary peer id.

    Raises Malformed for an id of another key type or a hashed one: it contains no Ed25519 key.
    """
    if len(raw) != len(_ID_PREFIX) + KEY_BYTES or not raw.startswith(_ID_PREFIX):
        raise Malformed("not the peer id of an Ed25519 key")
    return raw[len(_ID_PREFIX) :]


# Every message names its author, and neighbours name the same peers for hours.
@lru_cache(maxsize=_IDS_KEPT_MAX)
def peer_id(key: bytes) -> str:
    """The peer id (`12D3KooW…`) of a raw Ed25519 public key; equal ones are one object."""
    raw = peer_id_bytes(key)
    number = int.from_bytes(raw, "big")
    digits: list[str] = []
    while number:
        number, limb = divmod(number, _LIMB)
        for _ in range(_LIMB_DIGITS):
            limb, digit = divmod(limb, 58)
            digits.append(_BASE58[digit])
    zeros = len(raw) - len(raw.lstrip(b"\0"))
    return intern("1" * zeros + "".join(reversed(digits)).lstrip("1"))


@lru_cache(maxsize=_IDS_KEPT_MAX)
def key_from_peer_id(text: str) -> bytes:
    """The raw public key inside a peer id in base58. Raises Malformed."""
    if len(text) > 64:
        raise Malformed("not a peer id: too long")
    digits = text.encode("latin-1", "replace").translate(_DIGITS)
    if (at := digits.find(_NO_DIGIT)) >= 0:
        raise Malformed(f"not a peer id: {text[at]!r} is no base58 digit")
    number = 0
    for start in range(0, len(digits), _LIMB_DIGITS):
        limb = 0
        part = digits[start : start + _LIMB_DIGITS]
        for digit in part:
            limb = limb * 58 + digit
        number = number * 58 ** len(part) + limb
    zeros = len(text) - len(text.lstrip("1"))
    return key_from_id_bytes(b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big"))
