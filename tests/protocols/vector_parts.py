"""The parts that test vectors are made of.

Nothing here uses the project's codec: bodies are packed by a few lines of their own, so that the
vectors check the codec instead of repeating it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgpack
from nacl.signing import SigningKey

SIGNING_CONTEXT = b"meshprice/1\0"
NOW_S = 1_767_225_600  # 2026-01-01T00:00:00Z
NOW_NS = NOW_S * 10**9
EPOCH = NOW_S - 600
OBSERVED_NS = NOW_NS - 10**9
SECOND_NS = 10**9

Step: TypeAlias = "bytes | Times | Numbered"


@dataclass(frozen=True)
class Times:
    """Bytes that are repeated."""

    times: int
    data: bytes

    def expand(self) -> bytes:
        return self.data * self.times

    def to_json(self) -> dict[str, Any]:
        return {"times": self.times, "hex": self.data.hex()}


@dataclass(frozen=True)
class Numbered:
    """A decimal number of four ASCII digits, from `first` to `last`, between two byte strings."""

    first: int
    last: int
    before: bytes
    after: bytes

    def expand(self) -> bytes:
        return b"".join(
            self.before + b"%04d" % number + self.after
            for number in range(self.first, self.last + 1)
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "first": self.first,
            "last": self.last,
            "before": self.before.hex(),
            "after": self.after.hex(),
        }


@dataclass(frozen=True)
class Recipe:
    """Long bytes, written down as the steps that make them."""

    steps: tuple[Step, ...]

    def expand(self) -> bytes:
        return b"".join(step if isinstance(step, bytes) else step.expand() for step in self.steps)

    def to_json(self) -> list[Any]:
        return [step.hex() if isinstance(step, bytes) else step.to_json() for step in self.steps]


def recipe_of(*parts: "bytes | Recipe") -> "bytes | Recipe":
    """The parts in a row; plain bytes if all of them are."""
    steps: list[Step] = []
    for part in parts:
        steps.extend([part] if isinstance(part, bytes) else part.steps)
    if all(isinstance(step, bytes) for step in steps):
        return b"".join(step for step in steps if isinstance(step, bytes))
    return Recipe(tuple(steps))


def expanded(data: "bytes | Recipe") -> bytes:
    """The bytes themselves."""
    return data if isinstance(data, bytes) else data.expand()


class Raw(bytes):
    """Bytes that stand in msgpack as they are: what an honest packer would never write."""


def pack(value: Any) -> bytes:
    """msgpack, arrays and maps in the order given, with Raw bytes spliced in."""
    if isinstance(value, Raw):
        return bytes(value)
    if isinstance(value, list):
        header: bytes = msgpack.Packer().pack_array_header(len(value))
        return header + b"".join(pack(item) for item in value)
    if isinstance(value, dict):
        header = msgpack.Packer().pack_map_header(len(value))
        return header + b"".join(pack(key) + pack(item) for key, item in value.items())
    packed: bytes = msgpack.packb(value)
    return packed


@dataclass(frozen=True)
class Author:
    """A key made of one byte, 32 times over."""

    name: str
    seed: bytes

    @property
    def signing(self) -> SigningKey:
        return SigningKey(self.seed)

    @property
    def key(self) -> bytes:
        return bytes(self.signing.verify_key)

    def sign(self, body: bytes, context: bytes = SIGNING_CONTEXT) -> bytes:
        return self.signing.sign(context + body).signature


ALICE, BOB, MALLORY = (
    Author(name, bytes([number]) * 32) for number, name in enumerate(("alice", "bob", "mallory"), 1)
)
AUTHORS = (ALICE, BOB, MALLORY)


def quote(**fields: Any) -> list[Any]:
    """A quote's array: BTC-USD at 39432.48, other fields as given."""
    whole = {
        "asset": "BTC-USD",
        "mantissa": 3943248,
        "exponent": -2,
        "observed_ns": OBSERVED_NS,
        "confidence": 0,
        "sources": 1,
        "tags": None,
    }
    assert fields.keys() <= whole.keys()
    return list((whole | fields).values())


def presence(**fields: Any) -> list[Any]:
    """A presence payload: an active provider, other fields as given."""
    whole = {
        "role": 1,
        "state": 1,
        "interval_ms": 5000,
        "ttl_ms": 15000,
        "addrs": ["/ip4/192.0.2.7/tcp/4201"],
        "agent": "meshnode/0.1.0",
        "assets": 2,
        "extra": None,
    }
    assert fields.keys() <= whole.keys()
    return list((whole | fields).values())


def body(payload: Any = None, **fields: Any) -> bytes:
    """A packed body: alice's first update of an epoch, other fields as given."""
    whole = {
        "kind": 1,
        "network": "main",
        "author": ALICE.key,
        "epoch": EPOCH,
        "seq": 1,
        "issued_ns": NOW_NS,
        "payload": [[quote()]] if payload is None else payload,
    }
    assert fields.keys() <= whole.keys()
    return pack(list((whole | fields).values()))


def envelope_of(body_bytes: "bytes | Recipe", signature: bytes) -> "bytes | Recipe":
    """array(2) of two bins, each length in its shortest form."""
    length = len(expanded(body_bytes))
    header: bytes = b"\x92" + msgpack.packb(bytes(length))[: -length or None]
    return recipe_of(header, body_bytes, b"\xc4\x40" + signature)


@dataclass(frozen=True)
class Seen:
    """An envelope that the receiver accepted before, by its sender's gossip."""

    topic: str
    sender: bytes
    envelope: bytes

    def to_json(self) -> dict[str, Any]:
        return {
            "topic": self.topic,
            "sender": self.sender.hex(),
            "envelope": self.envelope.hex(),
        }


def seen(body_bytes: bytes, *, topic: str = "prices", author: Author = ALICE) -> Seen:
    """A well-formed envelope as the receiver heard it before."""
    envelope = envelope_of(body_bytes, author.sign(body_bytes))
    assert isinstance(envelope, bytes)
    return Seen(topic, author.key, envelope)


@dataclass(frozen=True)
class Receiver:
    """What the receiving node knows: its network, its time, its allowlist, and what it heard.

    `marks` are (topic, author, epoch, seq) as restored from disk.
    """

    network: str = "main"
    now_ns: int = NOW_NS
    allowlist: Sequence[Author] | None = None
    marks: Sequence[tuple[str, Author, int, int]] = ()
    seen: Sequence[Seen] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "network": self.network,
            "now_ns": str(self.now_ns),
            "allowlist": None
            if self.allowlist is None
            else [author.key.hex() for author in self.allowlist],
            "marks": [
                {"topic": topic, "author": author.key.hex(), "epoch": str(epoch), "seq": str(seq)}
                for topic, author, epoch, seq in self.marks
            ],
            "seen": [item.to_json() for item in self.seen],
        }


@dataclass(frozen=True)
class Vector:
    """One envelope, its receiver, and the verdict that must come out."""

    name: str
    rule: int | None
    verdict: str
    reason: str | None
    envelope: bytes | Recipe
    body: bytes | Recipe | None = None
    signature: bytes | None = None
    author: Author = ALICE
    topic: str | None = "prices"
    sender: bytes | None = None
    receiver: Receiver = field(default_factory=Receiver)

    def to_json(self) -> Mapping[str, Any]:
        return {
            "name": self.name,
            "rule": self.rule,
            "verdict": self.verdict,
            "reason": self.reason,
            "topic": self.topic,
            "sender": self.sender.hex() if self.sender is not None else None,
            "seed": self.author.seed.hex(),
            "body": _hex(self.body),
            "signature": _hex(self.signature),
            "envelope": _hex(self.envelope),
            "receiver": self.receiver.to_json(),
        }


def _hex(data: bytes | Recipe | None) -> Any:
    if data is None:
        return None
    return data.hex() if isinstance(data, bytes) else data.to_json()


RULES: Mapping[str, tuple[int | None, str]] = {
    "malformed": (1, "reject"),
    "wrong_network": (2, "reject"),
    "wrong_topic": (2, "reject"),
    "wrong_author": (2, "reject"),
    "unknown_kind": (3, "ignore"),
    "known": (4, "ignore"),
    "too_old": (4, "ignore"),
    "future_epoch": (5, "ignore"),
    "future": (5, "ignore"),
    "expired": (5, "ignore"),
    "not_allowed": (6, "ignore"),
    "bad_signature": (7, "reject"),
    "equivocation": (8, "ignore"),
}


def vector(
    name: str,
    reason: str | None,
    body_bytes: bytes | Recipe,
    *,
    author: Author = ALICE,
    topic: str = "prices",
    sender: bytes | None = None,
    signature: bytes | None = None,
    receiver: Receiver | None = None,
) -> Vector:
    """A gossiped envelope around a body; `reason` None is for what must be accepted."""
    rule, verdict = RULES[reason] if reason else (None, "accept")
    signature = author.sign(expanded(body_bytes)) if signature is None else signature
    return Vector(
        name,
        rule,
        verdict,
        reason,
        envelope_of(body_bytes, signature),
        body_bytes,
        signature,
        author,
        topic,
        author.key if sender is None else sender,
        receiver or Receiver(),
    )


def bare(name: str, envelope: bytes) -> Vector:
    """Bytes that are no envelope."""
    return Vector(name, 1, "reject", "malformed", envelope, sender=ALICE.key)
