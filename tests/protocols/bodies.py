"""Bodies of alice's, good and bad, packed as they are."""

from typing import Any

import msgpack
import pytest

from protocols.codec import decode_body, encode_body
from protocols.errors import Malformed
from protocols.messages import Message, Presence, PresenceUpdate, Role
from protocols.quotes import Quote

ALICE = bytes(range(32))
QUOTE = Quote("BTC-USD", 3943248, -2, 1_767_225_600_000_000_000, 5, 3, {"chain": "x", "d": ""})
PRESENCE = PresenceUpdate(
    Role.PROVIDER, Presence.ACTIVE, 5000, 15000, ("/ip4/1.2.3.4/tcp/1",), "meshnode/1", 7
)


def message(payload: Any) -> Message:
    return Message("main", ALICE, 1_767_225_600, 1, 1_767_225_600_000_000_000, payload)


def body_of(kind: Any, payload: Any, **fields: Any) -> bytes:
    """A body packed as it is, whatever it says."""
    head = {"network": "main", "author": ALICE, "epoch": 1, "seq": 1, "issued_ns": 1, **fields}
    packed: bytes = msgpack.packb([kind, *head.values(), payload])
    return packed


def price_body(*quotes: Any) -> bytes:
    return body_of(1, [list(quotes)])


def quote(**fields: Any) -> list[Any]:
    return list({**QUOTE._asdict(), **fields}.values())


def presence_body(**fields: Any) -> bytes:
    values: dict[str, Any] = {
        "role": 1,
        "state": 1,
        "interval_ms": 5000,
        "ttl_ms": 15000,
        "addrs": ["/ip4/1.2.3.4/tcp/1"],
        "agent": "meshnode/1",
        "assets": 7,
        "extra": None,
    }
    return body_of(2, list({**values, **fields}.values()))


def refused(body: bytes, saying: str = ".") -> None:
    with pytest.raises(Malformed, match=saying):
        decode_body(body)


def taken(body: bytes) -> Message:
    decoded = decode_body(body)
    assert encode_body(decoded) == body
    return decoded
