"""What the processes of a benchmark are made of: our mesh, the stock library, a bare socket.

Each says and hears sealed updates; each hears only what it has verified.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Protocol

import msgpack
import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr
from nacl.signing import SigningKey, VerifyKey

from meshnode.adapters.libp2p.host import open_mesh
from meshnode.adapters.libp2p.settings import MeshSettings, router_options
from meshnode.core.admission import Admission
from meshnode.core.book import Book
from meshnode.core.facts import Fact
from meshnode.core.names import Names
from meshnode.core.verdicts import Accepted, Verdict
from protocols.envelope import Envelope, seal
from protocols.ids import Topic, key_from_id_bytes
from protocols.messages import Message, PriceUpdate
from protocols.quotes import Quote

NETWORK = "main"
SIGNATURE_BYTES = 64


class Heard(NamedTuple):
    """What identifies an update; a second epoch tells what is measured from what warmed up."""

    epoch: int
    issued_ns: int


class Station(Protocol):
    """One end of what is measured."""

    addr: str

    async def connect(self, addr: str) -> None: ...

    async def say(self, update: Message) -> None: ...

    async def hear(self) -> Heard:
        """The next update, verified and applied."""
        ...

    async def flush(self) -> None: ...


def prices(quotes: int, *, tagged: bool = False) -> PriceUpdate:
    """So many quotes of 28 bytes; a tagged one alone makes an envelope of 200 bytes."""
    tags = {"twelve_bytes": "x" * 32} if tagged else None
    now_ns = time.time_ns()
    return PriceUpdate(
        tuple(
            Quote(f"A{number}-USD", 3_943_241 + 10 * number, -2, now_ns, 0, 1, tags)
            for number in range(quotes)
        )
    )


class Desk:
    """A verdict, and a book for what passed."""

    def __init__(self) -> None:
        self.book = Book(authors_max=64)
        names = Names(is_kept=self.book.holds)
        admission = Admission(NETWORK, allowlist=None, names=names, find_held=lambda _: None)
        self._judge, self.vouch = admission.judge, admission.vouch

    def judge(self, topic: Topic, sender: bytes, data: bytes) -> Verdict:
        return self._judge(topic, sender, data, time.time_ns())

    def apply(self, envelope: Envelope) -> Heard:
        self.book.apply(envelope, time.time_ns())
        return Heard(envelope.message.epoch, envelope.message.issued_ns)


class OurStation:
    """Our adapter."""

    def __init__(self, mesh: Any, desk: Desk, key: SigningKey) -> None:
        self._mesh = mesh
        self._desk = desk
        self._key = key
        self.addr: str = mesh.addrs()[0]

    async def connect(self, addr: str) -> None:
        await self._mesh.connect(addr)

    async def say(self, update: Message) -> None:
        envelope = seal(update, self._key)
        self._desk.vouch(envelope)
        await self._mesh.gossip.publish(Topic.PRICES, envelope.raw)

    async def hear(self) -> Heard:
        return self._desk.apply((await self._mesh.gossip.receive()).envelope)

    async def flush(self) -> None:
        await self._mesh.gossip.flush()


class _Deaf:
    def observe(self, fact: Fact) -> None:
        """Facts are not what is measured."""


@asynccontextmanager
async def our_station(key: SigningKey) -> AsyncIterator[Station]:
    desk = Desk()
    async with open_mesh(
        MeshSettings(), key_seed=bytes(key), judge=desk.judge, observer=_Deaf()
    ) as mesh:
        await mesh.listen()
        yield OurStation(mesh, desk, key)


class StockStation:
    """The library as it is, with our settings and our judge for a validator."""

    def __init__(self, host: Any, pubsub: Any, subscription: Any, desk: Desk, key: Any) -> None:
        self._host = host
        self._pubsub = pubsub
        self._subscription = subscription
        self._desk = desk
        self._key = key
        self._verdicts: dict[bytes, Envelope] = {}
        self.addr = str(host.get_addrs()[0])
        pubsub.set_topic_validator(
            Topic.PRICES.on(NETWORK), self._is_valid, is_async_validator=False
        )

    def _is_valid(self, forwarder: Any, message: Any) -> bool:
        key = key_from_id_bytes(message.from_id)
        verdict = self._desk.judge(Topic.PRICES, key, message.data)
        if isinstance(verdict, Accepted):
            self._verdicts[message.data] = verdict.envelope
            return True
        return False

    async def connect(self, addr: str) -> None:
        await self._host.connect(info_from_p2p_addr(Multiaddr(addr)))

    async def say(self, update: Message) -> None:
        await self._pubsub.publish(Topic.PRICES.on(NETWORK), seal(update, self._key).raw)

    async def hear(self) -> Heard:
        message = await self._subscription.get()
        return self._desk.apply(self._verdicts.pop(message.data))

    async def flush(self) -> None:
        await trio.sleep(1)


@asynccontextmanager
async def stock_station(key: SigningKey) -> AsyncIterator[Station]:
    host = new_host(key_pair=create_new_key_pair(bytes(key)))
    pubsub = Pubsub(host, GossipSub(**router_options()))
    async with host.run(listen_addrs=[Multiaddr("/ip4/127.0.0.1/tcp/0")]):
        async with background_trio_service(pubsub), background_trio_service(pubsub.router):
            await pubsub.wait_until_ready()
            subscription = await pubsub.subscribe(Topic.PRICES.on(NETWORK))
            yield StockStation(host, pubsub, subscription, Desk(), key)
            await host.close()
        pubsub.seen_messages.stop()


class BareStation:
    """Signed messages over TCP and nothing else: what this machine could do at most.

    A frame is four bytes of length, a signature, and quotes in msgpack; what is heard is verified,
    unpacked, and put into a dictionary where it is the newest of its author and asset.
    """

    def __init__(self, listener: trio.SocketListener, key: SigningKey) -> None:
        self._listener = listener
        self._key = key
        self._stream: trio.SocketStream | None = None
        self._pending = bytearray()
        self._book: dict[tuple[bytes, str], tuple[tuple[int, int], Any]] = {}
        self.addr = str(listener.socket.getsockname()[1])

    async def connect(self, addr: str) -> None:
        self._stream = await trio.open_tcp_stream("127.0.0.1", int(addr))

    async def say(self, update: Message) -> None:
        assert self._stream is not None
        assert isinstance(update.payload, PriceUpdate)
        body = msgpack.packb(
            (
                update.author,
                update.epoch,
                update.seq,
                update.issued_ns,
                update.payload.quotes,
            )
        )
        frame = self._key.sign(body)
        await self._stream.send_all(len(frame).to_bytes(4, "big") + frame)

    async def hear(self) -> Heard:
        if self._stream is None:
            self._stream = await self._listener.accept()
        size = int.from_bytes(await self._take(4), "big")
        frame = await self._take(size)
        body = msgpack.unpackb(frame[SIGNATURE_BYTES:], use_list=False)
        author, epoch, seq, issued_ns, quotes = body
        VerifyKey(author).verify(frame)
        book, order = self._book, (epoch, seq)
        for quote in quotes:
            key = (author, quote[0])
            standing = book.get(key)
            if standing is None or standing[0] < order:
                book[key] = (order, quote)
        return Heard(epoch, issued_ns)

    async def _take(self, size: int) -> bytes:
        assert self._stream is not None
        while len(self._pending) < size:
            part = await self._stream.receive_some(65536)
            if not part:
                raise trio.EndOfChannel
            self._pending += part
        taken = bytes(self._pending[:size])
        del self._pending[:size]
        return taken

    async def flush(self) -> None:
        """Sent is sent."""


@asynccontextmanager
async def bare_station(key: SigningKey) -> AsyncIterator[Station]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        yield BareStation(listener, key)


STATIONS: dict[str, Callable[[SigningKey], Any]] = {
    "ours": our_station,
    "stock": stock_station,
    "bare": bare_station,
}
