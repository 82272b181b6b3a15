"""The mesh over py-libp2p: opening it, leaving it, and what lies between."""

import errno
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import lru_cache, partial
from operator import attrgetter
from socket import gaierror
from typing import Any

import trio
from libp2p.custom_types import TProtocol
from libp2p.exceptions import BaseLibp2pError
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStoreError
from libp2p.security.noise.exceptions import PeerIDMismatchesPubkey
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr

from meshnode.adapters.libp2p.addresses import (
    check_free,
    concrete_addrs,
    parse,
    resolve,
    without_peer,
)
from meshnode.adapters.libp2p.connections import ConnectionEvents
from meshnode.adapters.libp2p.gossip import Intake, MeshGossip
from meshnode.adapters.libp2p.guards import StreamCap
from meshnode.adapters.libp2p.identify import MeshHost
from meshnode.adapters.libp2p.pubsub import MeshPubsub
from meshnode.adapters.libp2p.router import MeshRouter
from meshnode.adapters.libp2p.settings import (
    CLOSE_S,
    DIAL_TIMEOUT_S,
    FAREWELL_S,
    STREAM_TIMEOUT_S,
    MeshSettings,
    route_logging,
)
from meshnode.adapters.libp2p.streams import MeshStream, served
from meshnode.adapters.libp2p.swarm import build_host
from meshnode.core.verdicts import Verdict
from meshnode.errors import ConfigError, DialRefused, PeerUnreachable
from meshnode.ports import (
    PING_TIMEOUT_S,
    Answered,
    ConnectedPeer,
    ConnectionEvent,
    Gossip,
    Judge,
    Mesh,
    Observer,
    Stream,
    StreamHandler,
    TaskStatus,
)
from protocols.limits import ADDRS_MAX

_IS_CLOSED = attrgetter("is_closed")
IDS_KEPT_MAX = 1_024  # each peer is pinged six times a minute


class LibP2PMesh:
    """The port's Mesh over a running host; made by `open_mesh` and `open_client`."""

    def __init__(
        self,
        host: MeshHost,
        settings: MeshSettings,
        gossip: Gossip | None,
        pinging: trio.Nursery,
    ) -> None:
        self._host = host
        self._swarm = host.get_network()
        self._settings = settings
        self._gossip = gossip
        self._pinging = pinging
        self._conduct = host.conduct
        self._served = StreamCap()
        self._rtt_ms: dict[Any, int] = {}
        # What each peer claims, and the same as text.
        self._claims: dict[Any, tuple[list[Any], tuple[str, ...]]] = {}
        self._events = ConnectionEvents(self._swarm.displaced)
        self._swarm.register_notifee(self._events)

    @property
    def peer_id(self) -> str:
        """Our own id."""
        return str(self._host.get_id())

    @property
    def gossip(self) -> Gossip:
        """The network's topics; a client has none."""
        if self._gossip is None:
            raise RuntimeError("a mesh that was opened without gossip has no topics")
        return self._gossip

    def refused(self) -> dict[str, int]:
        """How often each guard refused something, by the guard's name."""
        half_open = self._swarm.half_open
        return {
            **self._conduct.refused,
            "half_open_displaced": half_open.displaced,
            "half_open_timed_out": half_open.timed_out,
        }

    def addrs(self) -> tuple[str, ...]:
        """Where we listen (or are announced), each ending in `/p2p/<our id>`."""
        return tuple(
            str(concrete) for addr in self._host.get_addrs() for concrete in concrete_addrs(addr)
        )

    def peers(self) -> tuple[ConnectedPeer, ...]:
        """The peers connected now, with the addresses they claim to listen on."""
        connections = self._connected()
        self._rtt_ms = {p: rtt for p, rtt in self._rtt_ms.items() if p in connections}
        self._claims = {p: claim for p, claim in self._claims.items() if p in connections}
        return tuple(
            ConnectedPeer(str(peer), self._addrs_of(peer), self._rtt_ms.get(peer))
            for peer in connections
        )

    def peer_ids(self) -> tuple[str, ...]:
        """Their ids alone, in the same order."""
        return tuple(map(str, self._connected()))

    def _connected(self) -> list[Any]:
        # Asked several times at every beat: the library would copy the map for each.
        connections = self._swarm.connections
        return [peer for peer, conns in connections.items() if not all(map(_IS_CLOSED, conns))]

    def _addrs_of(self, peer: Any) -> tuple[str, ...]:
        try:
            claimed = self._host.get_peerstore().addrs(peer)[:ADDRS_MAX]
        except PeerStoreError:
            return ()
        known = self._claims.get(peer)
        if known is None or known[0] != claimed:
            # Writing addresses out takes longer than everything else that is asked of us here.
            known = self._claims[peer] = claimed, tuple(map(without_peer, claimed))
        return known[1]

    def serve(self, protocol: str, handler: StreamHandler) -> None:
        """Answer a stream protocol. An exception of the handler resets its stream, no more."""
        self._host.set_stream_handler(
            TProtocol(protocol), served(protocol, handler, self._served, self._conduct)
        )

    async def listen(self) -> None:
        """Let peers in. Raises ConfigError for an address that cannot be listened on."""
        for text in self._settings.listen:
            try:
                addr = Multiaddr(text)
            except ValueError as error:
                raise ConfigError(f"cannot listen on {text}: not a multiaddr") from error
            if self._settings.transports is None:
                await check_free(addr)
            if not await self._swarm.listen(addr):
                raise ConfigError(f"cannot listen on {text}: is it an address of this machine?")

    async def connect(self, addr: str) -> str:
        """Dial an address that ends in `/p2p/<id>`; returns the id.

        Raises PeerUnreachable, DialRefused where the machine answers and nothing listens.
        """
        target, peer = parse(addr)
        if peer == self._host.get_id():
            raise PeerUnreachable(f"{addr} is our own address: give another node's")
        if any(not conn.is_closed for conn in self._swarm.get_connections(peer)):
            return str(peer)
        if kept_out_s := self._conduct.kept_out_s(peer):
            raise PeerUnreachable(f"{peer} misbehaved and is kept out for {kept_out_s:.0f} s more")
        try:
            with trio.fail_after(DIAL_TIMEOUT_S):
                await self._swarm.dial_addr(await resolve(target), peer)
        except trio.TooSlowError:
            raise PeerUnreachable(
                f"{addr} does not answer within {DIAL_TIMEOUT_S:.0f} s: check the address and "
                "the firewalls between"
            ) from None
        except (BaseLibp2pError, ValueError, OSError) as error:
            kind = DialRefused if _was_refused(error) else PeerUnreachable
            raise kind(f"{addr} {_dial_failure(error)}") from error
        return str(peer)

    async def disconnect(self, peer_id: str) -> None:
        """Close every connection to a peer; never raises."""
        await self._swarm.close_connections(_id_of(peer_id))

    async def open_stream(self, peer_id: str, protocol: str) -> Stream:
        """A new stream to a connected peer. Raises PeerUnreachable."""
        try:
            with trio.fail_after(STREAM_TIMEOUT_S):
                raw = await self._host.new_stream(_id_of(peer_id), [TProtocol(protocol)])
        except trio.TooSlowError:
            raise PeerUnreachable(f"{peer_id} did not open {protocol} in time") from None
        except (BaseLibp2pError, ValueError) as error:
            raise PeerUnreachable(f"{peer_id} cannot be asked for {protocol}: {error}") from error
        return MeshStream(raw)

    def ping(self, peer_id: str, answered: Answered) -> None:
        """Ask a peer for a sign of life; `answered` is called later."""
        self._pinging.start_soon(self._ping, _id_of(peer_id), answered)

    async def _ping(self, peer: Any, answered: Answered) -> None:
        open_ones = [conn for conn in self._swarm.get_connections(peer) if not conn.is_closed]
        rtt_s: float | None = None
        if open_ones:
            asked_at = trio.current_time()
            with suppress(BaseLibp2pError), trio.move_on_after(PING_TIMEOUT_S):
                await open_ones[0].muxed_conn.ping()
                rtt_s = trio.current_time() - asked_at
                self._rtt_ms[peer] = round(rtt_s * 1000)
        answered(rtt_s)

    async def next_connection_event(self) -> ConnectionEvent:
        """Wait for a peer to come or go."""
        return await self._events.next()


@asynccontextmanager
async def open_mesh(
    settings: MeshSettings, *, key_seed: bytes, judge: Judge, observer: Observer
) -> AsyncIterator[Mesh]:
    """A running mesh that gossips, and listens once it is told to.

    `key_seed` is the 32-byte seed of our Ed25519 key. On leaving, peers are told, and nothing is
    left after CLOSE_S seconds, whatever they do.
    """
    route_logging()
    stop = trio.Event()
    alone: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                # Shielded: cancelled in the middle, nobody would be left to set `stop`.
                with trio.CancelScope(shield=True):
                    mesh = await nursery.start(
                        partial(_run, settings, key_seed, judge, observer, stop)
                    )
                yield mesh
            finally:
                stop.set()
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        # The nursery is no business of the caller's, who expects his own exceptions as they were.
        [alone] = group.exceptions
    if alone is not None:
        raise alone


@asynccontextmanager
async def open_client(observer: Observer, *, transports: Any = None) -> AsyncIterator[Mesh]:
    """A mesh for asking: under a key of its own, without gossip, never listening."""
    settings = MeshSettings(listen=(), gossip=False, transports=transports)

    def judge(*message: object) -> Verdict:
        raise AssertionError(f"nothing is judged without gossip: {message}")

    async with open_mesh(
        settings, key_seed=secrets.token_bytes(32), judge=judge, observer=observer
    ) as mesh:
        yield mesh


async def _run(
    settings: MeshSettings,
    key_seed: bytes,
    judge: Judge,
    observer: Observer,
    stop: trio.Event,
    *,
    task_status: TaskStatus[Mesh],
) -> None:
    # Shielded: a cancellation must not reach the connections before their peers were told, or the
    # same identity does not mesh again when it comes back.
    with trio.CancelScope(shield=True) as lifetime:
        host = build_host(settings, key_seed, observer)
        async with AsyncExitStack() as services:
            gossip: Gossip | None = None
            pubsub: MeshPubsub | None = None
            await services.enter_async_context(background_trio_service(host.get_network()))
            if settings.gossip:
                intake = Intake(settings.network, judge, settings.inbound_max)
                router = MeshRouter()
                pubsub = MeshPubsub(
                    host,
                    router,
                    intake=intake,
                    first_seqno=settings.first_seqno(),
                    is_signed=settings.is_signed,
                    conduct=host.conduct,
                )
                await services.enter_async_context(background_trio_service(pubsub))
                await services.enter_async_context(background_trio_service(router))
                await pubsub.wait_until_ready()
                for topic in intake.topics:
                    await pubsub.subscribe(topic)
                gossip = MeshGossip(pubsub, intake, settings.network)
            pinging = await services.enter_async_context(trio.open_nursery())
            task_status.started(LibP2PMesh(host, settings, gossip, pinging))
            await stop.wait()
            lifetime.deadline = trio.current_time() + CLOSE_S
            if pubsub is not None:
                with trio.move_on_after(FAREWELL_S):
                    await pubsub.depart()
            # Before the services: they must not meet connections that they no longer serve.
            await host.get_network().close_connections()
            await host.close()
            pinging.cancel_scope.cancel()


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came of; the system's are below the library's, some in groups."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for part in error.exceptions:
                yield from _causes(part)
        error = error.__cause__


def _was_refused(error: BaseException) -> bool:
    """Whether an operating system said so: somebody is there, and it is not a node."""
    return any(isinstance(cause, ConnectionRefusedError) for cause in _causes(error))


@lru_cache(IDS_KEPT_MAX)
def _id_of(peer_id: str) -> ID:
    """The library's form of an id. Raises ValueError."""
    return ID.from_string(peer_id)


def _dial_failure(error: BaseException) -> str:
    """What went wrong, and what to do about it."""
    for cause in _causes(error):
        match cause:
            case PeerIDMismatchesPubkey():
                return "answers under another peer id: was its key replaced? ask its operator"
            case ConnectionRefusedError():
                return "refuses connections: is a node running there?"
            case gaierror():
                return "cannot be resolved: check the name, and this machine's name servers"
            case OSError(errno=errno.ENETUNREACH | errno.EHOSTUNREACH):
                return "cannot be reached: check the address, and this machine's network"
            case OSError(errno=int(), strerror=str(reason)):
                return f"cannot be connected to: {reason}"
    return f"cannot be connected to: {error}"
