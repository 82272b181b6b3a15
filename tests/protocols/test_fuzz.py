"""Whatever the bytes, only the protocol's own errors come out."""

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgpack
import pytest
from nacl.signing import SigningKey

from protocols.codec import encode_body
from protocols.envelope import open_envelope, seal
from protocols.errors import ProtocolError
from protocols.framing import FrameReader, encode_frame
from protocols.ids import key_from_id_bytes, key_from_peer_id, peer_id_bytes
from protocols.messages import (
    Message,
    Payload,
    Presence,
    PresenceUpdate,
    PriceUpdate,
    Reserved,
    Role,
)
from protocols.queries import (
    ErrorReply,
    PriceAnswer,
    PricesReply,
    PricesRequest,
    ProofsHeader,
    WatchEvent,
    WatchRequest,
    reply_from_bytes,
)
from protocols.quotes import Quote
from protocols.status import ProviderStatus, StatusReply, StatusRequest
from protocols.timestamps import ns_from_rfc3339

ALICE = SigningKey(b"alice".ljust(32, b"\0"))
NOW = "2026-01-31T08:15:00.25Z"
PAYLOADS: list[Payload] = [
    PriceUpdate(
        (
            Quote("BTC-USD", 3943248, -2, 10**18, 5, 3, {"chain": "x"}),
            Quote("A", 1, 0, 0, 0, 0, None),
        )
    ),
    PresenceUpdate(
        Role.PROVIDER, Presence.ACTIVE, 5000, 15000, ("/ip4/1.2.3.4",), "m", 7, {"a": ""}
    ),
    Reserved(5, (1, b"x", ({"a": (None, True)},))),
]
ENVELOPES = [
    seal(Message("main", bytes(ALICE.verify_key), 1, 1, 1, payload), ALICE).raw
    for payload in PAYLOADS
]
PRICE = PriceAnswer("1.5", "alice", NOW, NOW, 3, "fresh", "0.1", 2, {"chain": "x"}, False)
FRAMES = [
    StatusRequest(("mode",)).to_bytes(),
    PricesRequest(("BTC-USD",), proofs=True, cursor="c").to_bytes(),
    WatchRequest(("A",), ("price",)).to_bytes(),
    PricesReply({"A": PRICE}, "c").to_bytes(),
    StatusReply(
        {"peers": (), "known_providers": (ProviderStatus("a", "left", NOW, 1, 1),)}
    ).to_bytes(),
    ProofsHeader(1, None).to_bytes(),
    ErrorReply("internal", "sorry").to_bytes(),
    WatchEvent("price", NOW, {"asset": "A", **PRICE.to_map()}).to_bytes(),
]
SEEDS = [*ENVELOPES, *FRAMES, *map(encode_frame, FRAMES), peer_id_bytes(bytes(32))]
WORDS = [
    "event",
    "time",
    "error",
    "prices",
    "A",
    "BTC-USD",
    "keys",
    "assets",
    "peers",
    "x\n",
    "",
    NOW,
]


def open_and_encode_again(raw: bytes) -> None:
    """What is taken is canonical: it has no other bytes."""
    envelope = open_envelope(raw)
    envelope.is_authentic()
    assert encode_body(envelope.message) == envelope.body


def read_frames(raw: bytes) -> None:
    list(FrameReader(1000).feed(raw))


def read_texts(raw: bytes) -> None:
    text = raw.decode("latin-1")
    with suppress(ProtocolError):
        key_from_peer_id(text)
    with suppress(ProtocolError):
        ns_from_rfc3339(text)
    key_from_id_bytes(raw)


READERS: list[Callable[[bytes], Any]] = [
    open_and_encode_again,
    read_frames,
    read_texts,
    StatusRequest.from_bytes,
    PricesRequest.from_bytes,
    WatchRequest.from_bytes,
    ErrorReply.from_bytes,
    *(
        lambda raw, kind=kind: reply_from_bytes(kind, raw)
        for kind in (StatusReply, PricesReply, ProofsHeader, WatchEvent)
    ),
]


def mutated(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(changed) + 1)
        match chance.randrange(4):
            case 0:
                changed[place : place + 1] = chance.randbytes(1)
            case 1:
                changed[place:place] = chance.randbytes(chance.randint(1, 5))
            case 2:
                del changed[place : place + chance.randint(1, 5)]
            case _:
                changed[place:place] = changed[: chance.randint(0, 20)]
    return bytes(changed)


def garbage(chance: random.Random, depth: int) -> Any:
    """A value such as msgpack can hold, allowed on this wire or not."""
    leaves: list[Callable[[], Any]] = [
        lambda: None,
        lambda: chance.random() < 0.5,
        lambda: chance.randint(-(2**63), 2**64 - 1) >> chance.randrange(64),
        lambda: chance.choice([0.0, -0.0, float("nan"), float("inf"), 1.5]),
        lambda: chance.choice(WORDS),
        lambda: "".join(chr(chance.randrange(0xD800)) for _ in range(chance.randrange(5))),
        lambda: chance.randbytes(chance.choice([0, 1, 32, 64])),
        lambda: msgpack.ExtType(chance.randrange(128), chance.randbytes(chance.randrange(3))),
    ]
    if depth and chance.random() < 0.5:
        size = chance.choice([0, 1, 2, 7, 8])
        if chance.random() < 0.5:
            return [garbage(chance, depth - 1) for _ in range(size)]
        key = leaves[4] if chance.random() < 0.9 else leaves[2]
        return {key(): garbage(chance, depth - 1) for _ in range(size)}
    return chance.choice(leaves)()


def structured(chance: random.Random) -> bytes:
    """Garbage at the place of a whole frame, or of one field of a good body."""
    value = garbage(chance, 6)
    if chance.random() < 0.5:
        body = msgpack.unpackb(msgpack.unpackb(chance.choice(ENVELOPES))[0])
        fields = chance.choice([body, body[6]])
        fields[chance.randrange(len(fields))] = value
        value = [msgpack.packb(body), bytes(64)]
    packed: bytes = msgpack.packb(value)
    return packed


def inputs(chance: random.Random) -> bytes:
    match chance.randrange(4):
        case 0:
            return chance.randbytes(chance.choice([0, 1, 2, 5, 20, 100]))
        case 1 | 2:
            return mutated(chance, chance.choice(SEEDS))
        case _:
            return structured(chance)


def fuzz(seed: int, count: int) -> None:
    chance = random.Random(seed)
    for number in range(count):
        raw = inputs(chance)
        for read in READERS:
            try:
                read(raw)
            except ProtocolError:
                pass
            except Exception as error:
                raise AssertionError(f"seed {seed}, input {number}: {raw.hex()}") from error


def test_ten_thousand_inputs() -> None:
    fuzz(seed=1, count=10_000)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_a_million_inputs(seed: int) -> None:
    fuzz(seed, count=100_000)


def test_the_inputs_get_past_the_first_check() -> None:
    """Fuzzing is worth something only if each reader takes some of it."""
    for read in READERS:
        assert any(is_taken(read, raw) for raw in SEEDS), read
    chance = random.Random(2)
    made = [inputs(chance) for _ in range(1000)]
    assert sum(is_taken(read, raw) for read in READERS for raw in made) > 200


def is_taken(read: Callable[[bytes], Any], raw: bytes) -> bool:
    try:
        read(raw)
    except ProtocolError:
        return False
    return True
