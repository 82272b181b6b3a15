"""A verifier of envelopes from SPEC.md alone, without memory: rules 4 to 6 and 8 are left out."""

import re
from dataclasses import dataclass
from typing import Any, Final

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from tests.interop.canonical import NotCanonical, pack, unpack

SIGNING_CONTEXT: Final = bytes.fromhex("6d65736870726963652f3100")
ENVELOPE_BYTES_MAX: Final = 131_072
INT63_MAX: Final = 2**63 - 1
UINT64_MAX: Final = 2**64 - 1
PEER_ID_PREFIX: Final = bytes.fromhex("002408011220")
BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
NETWORK: Final = re.compile(r"[a-z0-9-]{1,32}")
ASSET: Final = re.compile(r"[A-Z0-9][A-Z0-9._/-]{0,31}")


class Refused(Exception):
    """An envelope that must not pass; `reason` is SPEC.md's."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Opened:
    """What is in an envelope of good form."""

    kind: int
    network: str
    author: bytes
    epoch: int
    seq: int
    issued_ns: int
    payload: list[Any]
    body: bytes
    signature: bytes

    @property
    def peer_id(self) -> str:
        """The author's node id."""
        number = int.from_bytes(PEER_ID_PREFIX + self.author, "big")
        digits = ""
        while number:
            number, digit = divmod(number, 58)
            digits = BASE58[digit] + digits
        return "1" + digits  # for the leading zero byte

    @property
    def is_authentic(self) -> bool:
        """Whether the author signed it."""
        try:
            VerifyKey(self.author).verify(SIGNING_CONTEXT + self.body, self.signature)
        except (BadSignatureError, ValueError):
            return False
        return True


def sealed(
    key: SigningKey,
    kind: int,
    payload: list[Any],
    *,
    epoch: int,
    seq: int,
    issued_ns: int,
    network: str = "main",
) -> bytes:
    """An envelope under the author's signature."""
    author = bytes(key.verify_key)
    body = pack([kind, network, author, epoch, seq, issued_ns, payload])
    return pack([body, key.sign(SIGNING_CONTEXT + body).signature])


def verify(
    raw: bytes, *, topic: str | None = None, sender: bytes | None = None, network: str = "main"
) -> Opened:
    """Open an envelope that passes rules 1, 2, 3 and 7. Raises Refused.

    Without `topic` and `sender` it is one of a snapshot.
    """
    opened = open_envelope(raw)
    if opened.network != network:
        raise Refused("wrong_network")
    if topic != ("prices" if opened.kind == 1 else "presence") and (topic or opened.kind != 1):
        raise Refused("wrong_topic")
    if sender is not None and sender != opened.author:
        raise Refused("wrong_author")
    if opened.kind > 31:
        raise Refused("unknown_kind")
    if not opened.is_authentic:
        raise Refused("bad_signature")
    return opened


def open_envelope(raw: bytes) -> Opened:
    """Rule 1: form alone. Raises Refused."""
    if len(raw) > ENVELOPE_BYTES_MAX:
        raise Refused("malformed")
    try:
        body, signature = _items(unpack(raw, depth_max=1), 2)
        _need(isinstance(body, bytes) and isinstance(signature, bytes) and len(signature) == 64)
        fields = _items(unpack(body, depth_max=5), 7)
    except NotCanonical:
        raise Refused("malformed") from None
    kind, network, author, epoch, seq, issued_ns, payload = fields
    for number in (kind, epoch, seq, issued_ns):
        _need_int(number, 0, UINT64_MAX)
    _need(kind >= 1 and seq >= 1)
    _need(isinstance(network, str) and NETWORK.fullmatch(network) is not None)
    _need(isinstance(author, bytes) and len(author) == 32)
    _need(isinstance(payload, list))
    {1: _check_prices, 2: _check_presence}.get(kind, _check_reserved)(payload)
    return Opened(kind, network, author, epoch, seq, issued_ns, payload, body, signature)


def _check_prices(payload: list[Any]) -> None:
    (quotes,) = _items(payload, 1)
    _need(isinstance(quotes, list) and 1 <= len(quotes) <= 1000)
    assets = [_check_quote(quote) for quote in quotes]
    _need(len(set(assets)) == len(assets))


def _check_quote(quote: Any) -> str:
    asset, mantissa, exponent, observed_ns, confidence, sources, tags = _items(quote, 7)
    _need(isinstance(asset, str) and ASSET.fullmatch(asset) is not None)
    _need_int(mantissa, 1, INT63_MAX)
    _need_int(exponent, -18, 18)
    _need_int(observed_ns, 0, UINT64_MAX)
    _need_int(confidence, 0, INT63_MAX)
    _need_int(sources, 0, 255)
    _need(exponent == 18 or mantissa % 10 != 0 or confidence % 10 != 0)
    _check_map(tags, 32)
    return str(asset)


def _check_presence(payload: list[Any]) -> None:
    role, state, interval_ms, ttl_ms, addrs, agent, assets, extra = _items(payload, 8)
    _need_int(role, 0, 1)
    _need_int(state, 1, 2)
    if role == 1:
        _need_int(interval_ms, 1000, 10_000)
    else:
        _need_int(interval_ms, 1, INT63_MAX)
    _need_int(ttl_ms, 0, UINT64_MAX)
    _need(isinstance(addrs, list) and len(addrs) <= 10)
    for addr in addrs:
        _need(isinstance(addr, str) and len(addr) <= 256 and addr.startswith("/"))
        _need("p2p" not in addr.split("/"))
    _need(isinstance(agent, str) and len(agent) <= 64)
    _need_int(assets, 0, UINT64_MAX)
    _check_map(extra, 64)


def _check_reserved(value: Any) -> None:
    match value:
        case str():
            _need(len(value) <= 64)
        case list():
            for item in value:
                _check_reserved(item)
        case dict():
            for key, item in value.items():
                _need(len(key) <= 64)
                _check_reserved(item)


def _check_map(value: Any, bytes_max: int) -> None:
    if value is None:
        return
    _need(isinstance(value, dict) and len(value) <= 8)
    for key, item in value.items():
        _need(len(key) <= bytes_max and isinstance(item, str) and len(item) <= bytes_max)


def _items(value: Any, count: int) -> list[Any]:
    _need(isinstance(value, list) and len(value) == count)
    return list(value)


def _need_int(value: Any, least: int, most: int) -> None:
    _need(type(value) is int and least <= value <= most)


def _need(condition: bool) -> None:
    if not condition:
        raise Refused("malformed")
