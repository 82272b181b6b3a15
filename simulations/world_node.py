"""One node of a world: what it is, what it keeps over a restart, and what it observed."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, TypeVar

import trio
from nacl.signing import SigningKey

from meshnode.config import NodeConfig
from meshnode.core.facts import Fact
from meshnode.ports import Mesh, Source
from protocols.ids import peer_id
from simulations.clock import VirtualClock
from simulations.stores import FaultyStore
from simulations.upstreams import SetPrices, Trouble

UPDATE_EVERY_S = 5.0
FACTS_MAX = 10_000  # a node's; the oldest half goes

F = TypeVar("F")


def key_seed(seed: int, name: str) -> bytes:
    """The seed of a node's key: of the same seed and name, the same node, simulated or real."""
    return hashlib.sha256(f"{seed} {name}".encode()).digest()


MakeSource: TypeAlias = Callable[["WorldNode"], Source]


@dataclass(frozen=True, slots=True)
class Part:
    """What a node is to be: the same again after a restart, unless told otherwise.

    `update_every_s` is how often prices move of a provider in a process of its own; a simulated one
    reads what `make_source` makes.
    """

    role: str = "consumer"
    prices: Mapping[str, str] = field(default_factory=dict)
    connect: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    make_source: MakeSource | None = None
    update_every_s: float = UPDATE_EVERY_S

    def config(self) -> NodeConfig:
        """The node's configuration."""
        return NodeConfig(
            role=self.role,  # type: ignore[arg-type]  # checked by the configuration itself
            sources=("set:",) if self.role == "provider" else (),
            connect=self.connect,
            allow=self.allow,
            data_dir=Path("/nowhere"),
        )


@dataclass(eq=False)
class WorldNode:
    """A node by its name. `seed` is its key's; clock and store are its own, and survive it.

    So does `trouble`, which is its upstream's. A node in a process of its own has the machine's
    clock and disk instead.
    """

    name: str
    seed: bytes
    place: str
    observe: Callable[[Fact], None]
    store: FaultyStore
    clock: VirtualClock = field(default_factory=VirtualClock)
    part: Part = field(default_factory=Part)
    facts: list[Fact] = field(default_factory=list)
    trouble: Trouble = field(default_factory=Trouble)
    source: SetPrices = field(init=False)
    starts: int = 0
    mesh: Mesh | None = None
    started_at: float | None = None
    ended_at: float | None = None
    stop: trio.Event = field(default_factory=trio.Event)
    ended: trio.Event = field(default_factory=trio.Event)
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    def __post_init__(self) -> None:
        self.key = bytes(SigningKey(self.seed).verify_key)
        self.peer_id = peer_id(self.key)

    @property
    def addr(self) -> str:
        """Where it is reached, whether it runs or not."""
        return f"{self.place}/p2p/{self.peer_id}"

    @property
    def is_running(self) -> bool:
        """Whether it is ready, and has not ended."""
        return self.started_at is not None

    @property
    def is_provider(self) -> bool:
        """Whether it provides prices, running or not."""
        return self.part.role == "provider"

    def observed(self, kind: type[F]) -> list[F]:
        """The facts of one kind, in their order."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def remember(self, fact: Fact) -> None:
        """Keep a fact for `observed`."""
        if len(self.facts) >= FACTS_MAX:
            del self.facts[: FACTS_MAX // 2]
        self.facts.append(fact)

    def begin(self, part: Part) -> None:
        """Get ready for another life."""
        self.part = part
        self.starts += 1
        self.source = SetPrices(part.prices, self.clock)
        self.stop, self.ended, self.scope = trio.Event(), trio.Event(), trio.CancelScope()

    def sources(self) -> Iterable[Source]:
        """What a provider reads."""
        if not self.is_provider:
            return ()
        return (self.part.make_source(self) if self.part.make_source else self.source,)
