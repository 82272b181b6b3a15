"""Streams with one peer, and how the library's are served and opened."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import trio
from libp2p.exceptions import BaseLibp2pError
from libp2p.network.stream.exceptions import StreamEOF

from meshnode.adapters.libp2p.conduct import Conduct
from meshnode.adapters.libp2p.guards import StreamCap
from meshnode.adapters.libp2p.settings import LINGER_S
from meshnode.errors import StreamBroken
from meshnode.ports import StreamHandler

DISCARD_BYTES = 4096


class MeshStream:
    """The port's Stream over a stream of the library."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._closed = False

    @property
    def peer_id(self) -> str:
        """Who is at the other end, as Noise authenticated it."""
        return str(self._raw.muxed_conn.peer_id)

    async def read(self, max_bytes: int) -> bytes:
        """At least one byte, or `b""` when the peer has closed its side. Raises StreamBroken."""
        try:
            return bytes(await self._raw.read(max_bytes))
        except StreamEOF:
            # The library says "end" of a reset and of a lost connection, too.
            if self._was_cut():
                raise StreamBroken(f"the stream with {self.peer_id} was reset") from None
            if self._closed:
                await self._raw.remove()
            return b""
        except (BaseLibp2pError, ValueError) as error:
            raise StreamBroken(f"reading from {self.peer_id}: {_reason(error)}") from error

    async def write(self, data: bytes) -> None:
        """Send all of it. Raises StreamBroken."""
        try:
            await self._raw.write(data)
        except (BaseLibp2pError, ValueError) as error:
            raise StreamBroken(f"writing to {self.peer_id}: {_reason(error)}") from error

    async def close(self) -> None:
        """Say that nothing more will be written; never raises."""
        self._closed = True
        await _quietly(self._raw.close_write)

    async def reset(self) -> None:
        """End both directions at once; never raises."""
        await _quietly(self._raw.reset)

    async def finish(self) -> None:
        """Close, and wait a little for the peer to do so; then nothing is left of the stream."""
        await self.close()
        with trio.move_on_after(LINGER_S):
            try:
                while await self.read(DISCARD_BYTES):
                    pass
                return
            except StreamBroken:
                pass
        await self.reset()

    def _was_cut(self) -> bool:
        muxed = self._raw.muxed_stream
        return bool(muxed.reset_received or muxed.conn.event_shutting_down.is_set())


def served(
    protocol: str, handler: StreamHandler, cap: StreamCap, conduct: Conduct
) -> Callable[[Any], Awaitable[None]]:
    """The library's kind of handler for one of ours.

    A peer has few streams at a time; an exception of the handler resets its stream, no more.
    """

    async def handle(raw: Any) -> None:
        stream = MeshStream(raw)
        peer = raw.muxed_conn.peer_id
        if not cap.enter(peer):
            conduct.refused["streams"] += 1
            await stream.reset()
            return
        try:
            await handler(stream)
            await stream.finish()
        except StreamBroken:
            await stream.reset()
        except Exception as error:  # noqa: BLE001 - the edge: it would end the host
            conduct.misbehaved(peer, protocol, error)
            await stream.reset()
        finally:
            cap.leave(peer)

    return handle


async def _quietly(end: Callable[[], Awaitable[None]]) -> None:
    with suppress(Exception):  # the edge: what is broken already cannot be ended
        await end()


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
