"""What a body can say: price updates, presence, and the reserved kinds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple, TypeAlias

from protocols.ids import Topic
from protocols.quotes import Quote, Row, as_quote

# What msgpack can hold on this wire; reserved payloads are carried without being understood.
Value: TypeAlias = "bool | int | str | bytes | tuple[Value, ...] | Mapping[str, Value] | None"


class Kind(IntEnum):
    """The kinds of message that have a name; 3 to 31 are reserved and relayed, not applied."""

    PRICES = 1
    PRESENCE = 2
    SUSPICION = 3
    EQUIVOCATION = 4
    PROVIDER_LIST = 5
    SOURCE_TURN = 6


class Role(IntEnum):
    """What a node says it is."""

    CONSUMER = 0
    PROVIDER = 1


class Presence(IntEnum):
    """What a node says of its own state."""

    ACTIVE = 1
    LEAVING = 2


@dataclass(frozen=True, slots=True)
class PriceUpdate:
    """1 to 1000 quotes, at most one an asset (kind 1).

    `rows` are their fields as they were read; who hears an update mostly needs no more of them.
    """

    rows: tuple[Row, ...]

    @property
    def quotes(self) -> tuple[Quote, ...]:
        """The quotes, made anew for each who asks."""
        return tuple(map(as_quote, self.rows))


@dataclass(frozen=True, slots=True)
class PresenceUpdate:
    """A node says that it is there, or that it leaves (kind 2).

    `addrs` are multiaddrs without `/p2p`, `assets` how many it provides; `ttl_ms` is information.
    """

    role: Role
    state: Presence
    interval_ms: int
    ttl_ms: int
    addrs: tuple[str, ...]
    agent: str
    assets: int
    extra: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Reserved:
    """A kind this version does not know: its form is checked, it is relayed, not applied."""

    kind: int
    fields: tuple[Value, ...]


Payload: TypeAlias = PriceUpdate | PresenceUpdate | Reserved


class Name(NamedTuple):
    """What makes a message unique: who said it, where, and its number there."""

    author: bytes
    topic: Topic
    epoch: int
    seq: int


@dataclass(frozen=True, slots=True)
class Message:
    """A decoded body. `author` is a raw Ed25519 key, `issued_ns` Unix time by its clock.

    `name` is the message's name, which no other message of its author may bear, `kind` the number
    of its kind, and `topic` where messages of this kind belong.
    """

    network: str
    author: bytes
    epoch: int
    seq: int
    issued_ns: int
    payload: Payload
    name: Name = field(init=False, compare=False, repr=False)
    kind: int = field(init=False, compare=False, repr=False)
    topic: Topic = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        kind, topic = _place_of(self.payload)
        # Made once: whoever judges, applies or keeps a message asks for it.
        object.__setattr__(self, "name", Name(self.author, topic, self.epoch, self.seq))
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "topic", topic)


def _place_of(payload: Payload) -> tuple[int, Topic]:
    match payload:
        case PriceUpdate():
            return Kind.PRICES, Topic.PRICES
        case PresenceUpdate():
            return Kind.PRESENCE, Topic.PRESENCE
        case Reserved(kind=kind):
            return kind, Topic.PRESENCE
