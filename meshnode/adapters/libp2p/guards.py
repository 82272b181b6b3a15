"""What keeps one peer's misbehaviour from ending the host, or from filling it."""

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from libp2p.exceptions import BaseLibp2pError

from meshnode.core.facts import PeerMisbehaved
from meshnode.ports import Observer
from protocols.limits import STREAMS_PER_PEER_MAX

ERROR_CHARS_MAX = 200

RawHandler = Callable[[Any], Awaitable[None]]


def misbehaved(peer: object, where: str, error: BaseException) -> PeerMisbehaved:
    """The fact of an exception that a peer caused, in one line of bounded length."""
    text = f"{type(error).__name__}: {error}".replace("\n", " ")
    return PeerMisbehaved(str(peer), where, text[:ERROR_CHARS_MAX])


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


def guarded(handle: RawHandler, cap: StreamCap, observer: Observer) -> RawHandler:
    """A handler of inbound streams that never raises: the stream is reset instead.

    In the library an exception of any stream handler, its own among them, ends the host.
    """

    async def contain(stream: Any) -> None:
        peer = stream.muxed_conn.peer_id
        if not cap.enter(peer):
            await stream.reset()
            return
        try:
            await handle(stream)
        except BaseLibp2pError:
            # Connections break in the middle of things; nobody misbehaved.
            await stream.reset()
        except Exception as error:  # noqa: BLE001 - the edge: it would end the host
            observer.observe(misbehaved(peer, "stream", error))
            await stream.reset()
        finally:
            cap.leave(peer)

    return contain
