"""What keeps one peer's misbehaviour from ending the host, or from filling it."""

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import trio
from libp2p.exceptions import BaseLibp2pError

from meshnode.adapters.libp2p.budget import ERROR_BLAME, REFUSED_STREAM_BLAME
from meshnode.adapters.libp2p.conduct import Conduct
from meshnode.adapters.libp2p.settings import LINGER_S
from protocols.errors import Malformed
from protocols.limits import STREAMS_PER_PEER_MAX

DISCARD_BYTES = 4096

RawHandler = Callable[[Any], Awaitable[None]]


class StreamCap:
    """At most so many of a peer's inbound streams at once; the others are reset and counted."""

    def __init__(self, streams_max: int = STREAMS_PER_PEER_MAX) -> None:
        self._streams_max = streams_max
        self._open: Counter[Any] = Counter()
        self.refused = 0

    def enter(self, peer: Any) -> bool:
        """Take a slot; False where the peer holds all of its own."""
        if self._open[peer] >= self._streams_max:
            self.refused += 1
            return False
        self._open[peer] += 1
        return True

    def leave(self, peer: Any) -> None:
        """Give a slot back."""
        self._open[peer] -= 1
        if not self._open[peer]:
            del self._open[peer]


def guarded(handle: RawHandler, cap: StreamCap, conduct: Conduct, swarm: Any) -> RawHandler:
    """A handler of inbound streams that never raises: the stream is reset instead.

    In the library an exception of any stream handler, its own among them, ends the host.
    """

    async def blame(peer: Any, points: float, error: Exception) -> None:
        if conduct.blame(peer, points):
            conduct.condemn(peer, "streams", error)
            await swarm.close_connections(peer)

    async def contain(stream: Any) -> None:
        peer = stream.muxed_conn.peer_id
        if not cap.enter(peer):
            conduct.refused["streams"] += 1
            await stream.reset()
            await blame(peer, REFUSED_STREAM_BLAME, Malformed("too many streams at once"))
            return
        try:
            await handle(stream)
            await settle(stream)
        except (BaseLibp2pError, trio.TooSlowError):
            # Connections break, and stall, in the middle of things; nobody misbehaved.
            await stream.reset()
        except Exception as error:  # noqa: BLE001 - the edge: it would end the host
            conduct.misbehaved(peer, "stream", error)
            await stream.reset()
            await blame(peer, ERROR_BLAME, error)
        finally:
            cap.leave(peer)

    return contain


async def settle(stream: Any) -> None:
    """Wait a little for the peer to close a stream that we have closed; then nothing is left of it.

    Else a stream that its peer never closes stays with its buffer for as long as the connection.
    """
    with trio.move_on_after(LINGER_S), suppress(BaseLibp2pError):
        while await stream.read(DISCARD_BYTES):
            pass
    if not stream.muxed_stream.closed:
        await stream.reset()
