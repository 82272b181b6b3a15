"""A transport of the library's whose connections lead through memory, over `Links`.

Its addresses look like those of a private network (`/ip4/10.0.0.1/tcp/4201`), so that whatever
checks or gossips addresses treats them like any other.
"""

import contextvars
from collections.abc import Callable
from typing import Any

import trio
from libp2p.abc import IListener, ITransport
from libp2p.connection_types import ConnectionType
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.transport.exceptions import OpenConnectionError
from multiaddr import Multiaddr

from simulations.links import Links
from simulations.pipe import END, RESET, UNDER_WAY_BYTES_MAX, Pipe
from simulations.timeline import Timeline

ACCEPT_QUEUE_MAX = 128  # connections that nobody has accepted yet; more are refused
PORT = 4201


class MemoryConnection(ReadWriteCloser):  # type: ignore[misc]  # the library is untyped to mypy
    """One end of a connection."""

    def __init__(
        self, inbound: Pipe, outbound: Pipe, remote: tuple[str, int], owner: "MemoryTransport"
    ) -> None:
        self._inbound = inbound
        self._outbound = outbound
        self._remote = remote
        self._owner = owner
        owner.connections[self] = None

    async def read(self, n: int | None = None) -> bytes:
        """At least one byte, `b""` at the end. Raises ConnectionClosedError when it was reset."""
        if n == 0:
            return b""
        try:
            return await self._inbound.read(n or UNDER_WAY_BYTES_MAX)
        except trio.BrokenResourceError as error:
            raise ConnectionClosedError(str(error), transport="memory") from error
        except trio.ClosedResourceError:
            return b""  # as over TCP, for the library's sake

    async def write(self, data: bytes) -> None:
        """Send all of it; waits while too much is under way."""
        try:
            await self._outbound.write(bytes(data))
        except trio.ClosedResourceError as error:
            raise ConnectionClosedError(str(error), transport="memory") from error

    async def close(self) -> None:
        """Close both directions; what was written still arrives."""
        self._end(END)

    def reset(self) -> None:
        """What a kernel does with the connections of a process that was killed."""
        self._end(RESET)

    def _end(self, last: bytes | None) -> None:
        self._outbound.end(last)
        self._inbound.abandon()
        self._owner.connections.pop(self, None)

    def get_remote_address(self) -> tuple[str, int]:
        """The other end's IP address and port."""
        return self._remote

    def get_transport_addresses(self) -> list[Any]:
        """The other end's address."""
        host, port = self._remote
        return [Multiaddr(f"/ip4/{host}/tcp/{port}")]

    def get_connection_type(self) -> Any:
        """Nothing is relayed here."""
        return ConnectionType.DIRECT


class MemoryNetwork:
    """Who listens where; every node has one address of its own, restarts included."""

    def __init__(self, links: Links, timeline: Timeline) -> None:
        self.links = links
        self.dialled: Callable[[str, str], None] = _untold
        self._timeline = timeline
        self._hosts: dict[str, str] = {}  # peer id → IP address
        self._owners: dict[str, str] = {}  # and back
        self._transports: dict[str, MemoryTransport] = {}  # of those that run

    def addr_of(self, node: str) -> str:
        """The multiaddr of a node, given when it is first asked for."""
        if node not in self._hosts:
            number = len(self._hosts) + 1
            self._hosts[node] = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
            self._owners[self._hosts[node]] = node
        return f"/ip4/{self._hosts[node]}/tcp/{PORT}"

    def transport(self, node: str) -> "MemoryTransport":
        """What a node that starts dials and listens with; one that ran before is dead."""
        self.crash(node)
        self.addr_of(node)
        self._transports[node] = made = MemoryTransport(self, node, self._hosts[node])
        return made

    def crash(self, node: str) -> None:
        """End a node's connections as those of a killed process: resets, and no last words."""
        if node in self._transports:
            self._transports.pop(node).die()

    def reset(self, one: str, other: str) -> None:
        """Break the connections between two nodes, at both ends."""
        for here, there in ((one, other), (other, one)):
            if here in self._transports and there in self._hosts:
                self._transports[here].reset(self._hosts[there])

    def pipe(self, sender: str, receiver: str) -> Pipe:
        """A way for bytes."""
        return Pipe(self.links, self._timeline, sender, receiver)

    def owner(self, host: str) -> str | None:
        """Whose an IP address is."""
        return self._owners.get(host)

    def listener(self, host: str, port: int) -> "MemoryListener | None":
        """Who listens there now."""
        transport = self._transports.get(self._owners.get(host, ""))
        return transport.listeners.get(port) if transport else None


class MemoryTransport(ITransport):  # type: ignore[misc]  # the library is untyped to mypy
    """One node's way into a MemoryNetwork."""

    def __init__(self, network: MemoryNetwork, node: str, host: str) -> None:
        self.node = node
        self.host = host
        self.listeners: dict[int, MemoryListener] = {}
        self._network = network
        self._links = network.links
        self.connections: dict[MemoryConnection, None] = {}  # those open
        self._is_dead = False

    async def dial(self, maddr: Any) -> Any:
        """A connection; unanswered while the link is closed, and where no node ever was.

        Raises OpenConnectionError.
        """
        self._network.dialled(self.node, str(maddr))
        if self._is_dead:
            raise _refusal(maddr)
        host, port = _place(maddr) if self.can_listen(maddr) else ("", 0)
        peer = self._network.owner(host)
        if peer is None:
            await trio.sleep_forever()
        await self._travel(self.node, peer)
        out, back = self._network.pipe(self.node, peer), self._network.pipe(peer, self.node)
        ours = MemoryConnection(back, out, (host, port), self)
        listener = self._network.listener(host, port)
        refuses = self._links.refuses(self.node, peer)
        is_taken = (
            listener is not None and not refuses and listener.take(out, back, (self.host, PORT))
        )
        try:
            await self._travel(peer, self.node)
        except trio.Cancelled:
            ours.reset()
            raise
        if not is_taken or self._is_dead:
            ours.reset()
            raise _refusal(maddr)
        return RawConnection(ours, initiator=True, addresses=[maddr])

    async def _travel(self, sender: str, receiver: str) -> None:
        await self._links.wait_open(sender, receiver)
        await trio.sleep(self._links.delay_s(sender, receiver))

    def die(self) -> None:
        """Reset every connection, refuse every dial, for good."""
        self._is_dead = True
        self.listeners.clear()
        for connection in list(self.connections):
            connection.reset()

    def reset(self, host: str) -> None:
        """Reset the connections with one host."""
        for connection in list(self.connections):
            if connection.get_remote_address()[0] == host:
                connection.reset()

    def create_listener(self, handler_function: Any) -> Any:
        """A listener that hands each connection to the library."""
        return MemoryListener(self, handler_function)

    def can_dial(self, maddr: Any) -> bool:
        """Always: whom a node dials is no matter of its sockets."""
        del maddr
        return True

    def can_listen(self, maddr: Any) -> bool:
        """Whether it is TCP over IPv4."""
        return [protocol.name for protocol in maddr.protocols()][:2] == ["ip4", "tcp"]

    def protocols(self) -> list[str]:
        """What it stands in for."""
        return ["tcp"]


class MemoryListener(IListener):  # type: ignore[misc]  # the library is untyped to mypy
    """Takes connections to one port."""

    def __init__(self, transport: MemoryTransport, handler: Any) -> None:
        self._transport = transport
        self._handler = handler
        self._addrs: tuple[Any, ...] = ()
        self._arriving, self._arrived = trio.open_memory_channel[MemoryConnection](ACCEPT_QUEUE_MAX)
        self._scope = trio.CancelScope()

    async def listen(self, maddr: Any) -> None:
        """Let them in. Raises OpenConnectionError where the address is another node's or taken."""
        host, port = _place(maddr)
        if host != self._transport.host or port in self._transport.listeners:
            raise OpenConnectionError(f"{maddr} is not ours to listen on")
        self._transport.listeners[port] = self
        self._addrs = (maddr,)
        # The library gives a listener no nursery that would outlive this call. Its tasks are our
        # node's, not those of whoever dials it.
        trio.lowlevel.spawn_system_task(
            self._accept,
            context=contextvars.copy_context(),  # type: ignore[call-arg]  # the stubs are outdated
        )

    def take(self, inbound: Pipe, outbound: Pipe, remote: tuple[str, int]) -> bool:
        """A connection from a peer; False where too many wait already."""
        connection = MemoryConnection(inbound, outbound, remote, self._transport)
        try:
            self._arriving.send_nowait(connection)
        except (trio.WouldBlock, trio.BrokenResourceError):
            connection.reset()
            return False
        return True

    async def _accept(self) -> None:
        with self._scope:
            async with trio.open_nursery() as nursery, self._arrived:
                async for connection in self._arrived:
                    nursery.start_soon(self._handler, connection)

    def get_addrs(self) -> tuple[Any, ...]:
        """Where it listens."""
        return self._addrs

    async def close(self) -> None:
        """Stop, whoever is being served included."""
        for port in [port for port, it in self._transport.listeners.items() if it is self]:
            del self._transport.listeners[port]
        self._scope.cancel()


def _untold(_peer_id: str, _addr: str) -> None:
    """Nobody looks on."""


def _place(maddr: Any) -> tuple[str, int]:
    return maddr.value_for_protocol("ip4"), int(maddr.value_for_protocol("tcp"))


def _refusal(maddr: Any) -> OpenConnectionError:
    refusal = OpenConnectionError(f"{maddr} refuses connections")
    refusal.__cause__ = ConnectionRefusedError(f"nobody listens on {maddr}")
    return refusal
