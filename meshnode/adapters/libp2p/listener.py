"""TCP connections taken from the kernel's queue by the dozen.

The library takes one in each turn of the event loop. In a flood, on a busy machine, there were
forty turns a second and hundreds of connections before an honest one: longer than its dial waits.
"""

import socket
from collections import Counter, deque
from errno import EMFILE, ENFILE, ENOBUFS, ENOMEM
from typing import Any

import trio
from libp2p.io.trio import TrioTCPStream
from libp2p.transport.exceptions import OpenConnectionError
from libp2p.transport.tcp.tcp import TCP, TCPListener, _open_reuseport_listeners
from libp2p.utils.multiaddr_utils import extract_ip_from_multiaddr

ACCEPT_QUEUE_MAX = 1024  # accepted by the kernel, not by us yet; the library has 128
# In one turn: each costs a third of a millisecond, and with 64 of them handshakes, which take some
# turns, stood still. To look at one and let it go costs a twentieth of that.
ACCEPT_BATCH_MAX = 8
LOOKED_AT_MAX = 256
OUT_OF_ROOM = frozenset({EMFILE, ENFILE, ENOBUFS, ENOMEM})  # trio's server waits, and goes on


class Door(trio.abc.Listener[trio.SocketStream]):
    """A listening socket that is emptied a batch at a time.

    Who has hung up while it waited is let go before any task is started for it: most of a flood has
    by then, and an honest peer does not close its side before it has said anything.
    """

    def __init__(self, listening: socket.socket, refused: Counter[str]) -> None:
        self.socket = listening
        self._refused = refused
        self._taken: deque[socket.socket] = deque()

    async def accept(self) -> trio.SocketStream:
        """The next connection; a turn of the loop passes only between two batches."""
        while not self._taken:
            await trio.lowlevel.wait_readable(self.socket.fileno())
            self._take_batch()
        return trio.SocketStream(trio.socket.from_stdlib_socket(self._taken.popleft()))

    async def aclose(self) -> None:
        """Close the socket, and whoever nobody has been told of yet."""
        if self.socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self.socket.fileno())
            self.socket.close()
        while self._taken:
            self._taken.popleft().close()
        await trio.lowlevel.checkpoint()

    def _take_batch(self) -> None:
        for _ in range(LOOKED_AT_MAX):
            if len(self._taken) >= ACCEPT_BATCH_MAX:
                return
            try:
                connection, _ = self.socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in OUT_OF_ROOM:
                    continue  # that connection's own trouble
                if self._taken:
                    return
                raise
            connection.settimeout(0)
            if has_hung_up(connection):
                connection.close()
                self._refused["hung_up"] += 1
            else:
                self._taken.append(connection)


def has_hung_up(connection: socket.socket) -> bool:
    """Whether the other side has closed, and left nothing to read."""
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True


class Incoming(TrioTCPStream):  # type: ignore[misc]  # the library is untyped to mypy
    """The library's stream, which tells the address of an IPv6 peer as well."""

    _cached_remote_address: tuple[str, int] | None

    def get_remote_address(self) -> tuple[str, int] | None:
        """The peer's IP address and port; None where it is gone already."""
        if self._cached_remote_address is None:
            try:
                host, port, *_ = self.stream.socket.getpeername()
            except OSError:
                return None
            self._cached_remote_address = host, port
        return self._cached_remote_address


class MeshListener(TCPListener):  # type: ignore[misc]  # the library is untyped to mypy
    """The library's listener with our doors in the place of trio's."""

    def __init__(self, handler: Any, refused: Counter[str]) -> None:
        super().__init__(handler)
        self._refused = refused

    async def listen(self, maddr: Any) -> None:
        """Let connections in from now on. Raises OpenConnectionError."""
        host, port = extract_ip_from_multiaddr(maddr), int(maddr.value_for_protocol("tcp"))
        async with self._lifecycle_lock:
            if self._closed:
                raise OpenConnectionError(f"cannot listen on {maddr}: it was closed")
            if self._nursery is None:
                await self._spawn_background_task()
            for bound in await _open_reuseport_listeners(host, port):
                listening = socket.socket(fileno=bound.socket.detach())
                listening.settimeout(0)
                listening.listen(ACCEPT_QUEUE_MAX)
                door = Door(listening, self._refused)
                self.listeners.append(door)
                self._nursery.start_soon(trio.serve_listeners, self._welcome, [door])

    async def _welcome(self, stream: trio.SocketStream) -> None:
        await self.handler(Incoming(stream))


class MeshTCP(TCP):  # type: ignore[misc]  # the library is untyped to mypy
    """The library's TCP, our listener."""

    def __init__(self, refused: Counter[str]) -> None:
        super().__init__()
        self._refused = refused

    def create_listener(self, handler_function: Any) -> MeshListener:
        """A listener that calls the function with each connection."""
        return MeshListener(handler_function, self._refused)
