"""The few interfaces that have two implementations: the real thing, and one for virtual time."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol, TypeAlias

from meshnode.core.facts import Fact
from meshnode.core.records import Batch as Batch
from meshnode.core.records import EnvelopeKey as EnvelopeKey
from meshnode.core.records import KnownAddr as KnownAddr
from meshnode.core.records import KnownNode as KnownNode
from meshnode.core.records import Mark as Mark
from meshnode.core.records import Restored as Restored
from meshnode.core.records import Said as Said
from meshnode.core.records import StoredQuote as StoredQuote
from meshnode.core.verdicts import Accepted, Verdict
from protocols.ids import Topic

if TYPE_CHECKING:
    # The outdated stubs of trio that come with libp2p hide trio's own type.
    from trio_typing import TaskStatus as TaskStatus
else:
    from trio import TaskStatus as TaskStatus

# A frozen peer keeps its connection open; only silence tells. The time is generous because a
# busy node answers late, and cutting a healthy peer costs more than keeping a dead one.
PING_TIMEOUT_S = 10.0

# --- gossip ---------------------------------------------------------------------------------

# Given the topic, the public key that the gossip message came from, and its data. Total: it never
# raises. An accepted name is marked before it returns, so it is asked once a message.
Judge: TypeAlias = Callable[[Topic, bytes, bytes], Verdict]


@dataclass(frozen=True, slots=True)
class GossipStatistics:
    """Counts since the start, and queues as they are now.

    `duplicates` are copies of what we had: they are not judged, so neither ignored nor rejected.
    """

    accepted: int
    ignored: dict[str, int]
    rejected: dict[str, int]
    duplicates: int
    dropped_inbound: int
    dropped_outbound: int
    queued: int


class Gossip(Protocol):
    """The two topics of one network."""

    async def publish(self, topic: Topic, data: bytes) -> None:
        """Say something: it is judged and received like any other message, then sent.

        Raises PublishRefused for what is not accepted; it was not sent either.
        """
        ...

    async def receive(self) -> Accepted:
        """The next accepted message of either topic, our own included."""
        ...

    async def deliver(self, take: Callable[[Accepted], None]) -> None:
        """Hand over to `take` what `receive` would return, in the same order, for ever.

        `take` may be called while a message is judged or published: it must not wait, nor publish.
        What it raises is raised here. One task at a time receives or has delivered.
        """
        ...

    async def flush(self) -> None:
        """Wait until what was published has been handed to the network; the caller's deadline."""
        ...

    def statistics(self) -> GossipStatistics:
        """What went through."""
        ...


# --- mesh -----------------------------------------------------------------------------------


class Stream(Protocol):
    """A stream with one peer, bytes both ways. One task at a time reads, and one writes."""

    @property
    def peer_id(self) -> str:
        """Who is at the other end, authenticated."""
        ...

    async def read(self, max_bytes: int) -> bytes:
        """At least one byte, or `b""` when the peer has closed its side. Raises StreamBroken."""
        ...

    async def write(self, data: bytes) -> None:
        """Send all of it. Raises StreamBroken."""
        ...

    async def close(self) -> None:
        """Say that nothing more will be written; never raises."""
        ...

    async def reset(self) -> None:
        """End both directions at once; never raises."""
        ...


StreamHandler: TypeAlias = Callable[[Stream], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ConnectedPeer:
    """A peer with an open connection. `addrs` without `/p2p`; `rtt_ms` None until measured."""

    peer_id: str
    addrs: tuple[str, ...]
    rtt_ms: int | None


@dataclass(frozen=True, slots=True)
class PeerConnected:
    """The first connection to a peer opened."""

    peer_id: str


@dataclass(frozen=True, slots=True)
class PeerDisconnected:
    """The last connection to a peer closed; `displaced` if we needed its place ourselves."""

    peer_id: str
    displaced: bool = False


ConnectionEvent: TypeAlias = PeerConnected | PeerDisconnected

# Told what came of a ping: the round-trip time in seconds, None where the peer did not answer.
Answered: TypeAlias = Callable[[float | None], None]


class Mesh(Protocol):
    """Our host in the peer-to-peer network."""

    @property
    def peer_id(self) -> str:
        """Our own id."""
        ...

    @property
    def gossip(self) -> Gossip:
        """The network's topics."""
        ...

    def addrs(self) -> tuple[str, ...]:
        """Where we listen (or are announced), each ending in `/p2p/<our id>`."""
        ...

    def peers(self) -> tuple[ConnectedPeer, ...]:
        """The peers connected now."""
        ...

    def peer_ids(self) -> tuple[str, ...]:
        """Their ids alone, in the same order: cheap enough to be asked for all the time."""
        ...

    def refused(self) -> Mapping[str, int]:
        """How often each guard against hostile peers refused something, by the guard's name."""
        ...

    def serve(self, protocol: str, handler: StreamHandler) -> None:
        """Answer a stream protocol. An exception of the handler resets its stream, no more."""
        ...

    async def listen(self) -> None:
        """Let peers in. Once, after everything is served that they may ask for.

        Raises ConfigError for an address that cannot be listened on.
        """
        ...

    async def connect(self, addr: str) -> str:
        """Dial an address that ends in `/p2p/<id>`; returns the id.

        Raises PeerUnreachable; of these DialRefused where nothing listens at the address.
        """
        ...

    async def disconnect(self, peer_id: str) -> None:
        """Close every connection to a peer; never raises."""
        ...

    async def open_stream(self, peer_id: str, protocol: str) -> Stream:
        """A new stream to a connected peer; reset it, unless it was closed and read to its end.

        Raises PeerUnreachable.
        """
        ...

    def ping(self, peer_id: str, answered: Answered) -> None:
        """Ask a peer for a sign of life; never blocks.

        `answered` is called later, once: after PING_TIMEOUT_S at most, unless the mesh is closed.
        """
        ...

    async def next_connection_event(self) -> ConnectionEvent:
        """Wait for a peer to come or go."""
        ...


@dataclass(frozen=True, slots=True)
class FoundOnLan:
    """A node that somebody on the local network announced; `addrs` without `/p2p`."""

    peer_id: str
    addrs: tuple[str, ...]


class Lan(Protocol):
    """The local network, on which we are announced."""

    async def next_found(self) -> FoundOnLan:
        """Wait for a node to be found, or found again. Raises LanUnavailable."""
        ...


# Given our own id and addresses; raises LanUnavailable on entering.
OpenLan: TypeAlias = Callable[[str, Sequence[str]], AbstractAsyncContextManager[Lan]]


# --- store ----------------------------------------------------------------------------------


class Store(Protocol):
    """Where a node keeps what it must not forget."""

    @property
    def generation(self) -> int:
        """Grows whenever a new, empty store had to be begun in place of a damaged one.

        Marks and our epoch are carried over; quotes and envelopes have to be written again.
        """
        ...

    async def load(self) -> Restored:
        """Everything that was committed. Raises StoreUnavailable."""
        ...

    async def begin_epoch(self, now_s: int) -> int:
        """Our own next epoch, max(stored + 1, now_s), committed before it is returned.

        Raises StoreUnavailable.
        """
        ...

    async def commit(self, batch: Batch) -> None:
        """Write a batch in one transaction. Raises StoreUnavailable, and then wrote nothing."""
        ...

    async def prune(self, now_ns: int) -> int:
        """Delete history beyond its retention, in small steps; returns how many ticks went."""
        ...

    async def history(self, asset: str, limit: int) -> Sequence[StoredQuote]:
        """The newest ticks of an asset, newest received first. Raises StoreUnavailable."""
        ...


# --- sources --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Observation:
    """A price as an upstream gave it, not yet checked. `observed_ns` is Unix time."""

    asset: str
    price: Decimal
    observed_ns: int
    half_width: Decimal | None = None
    tags: tuple[tuple[str, str], ...] = ()


class Source(Protocol):
    """An upstream. Opened again after each failure."""

    @property
    def name(self) -> str:
        """What the operator called it."""
        ...

    def open(self) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Observation]]]:
        """Observations as they come, in batches; the iterator ends when the source is exhausted.

        Raises SourceUnavailable, on entering or while iterating.
        """
        ...


# --- clock, observer ------------------------------------------------------------------------


class WallClock(Protocol):
    """Unix time. Durations come from trio's clock, never from this one."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        ...


class Observer(Protocol):
    """Whoever wants to know: logs, metrics, tests."""

    def observe(self, fact: Fact) -> None:
        """Take note of a fact; quick, and never raises."""
        ...


class Service(Protocol):
    """A loop of the node: nothing starts in its constructor."""

    async def run(self, *, task_status: TaskStatus[None] = ...) -> None:
        """Work until cancelled; says that it has started once others may rely on it."""
        ...
