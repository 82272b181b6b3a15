"""RPCs on a meshsub stream: an unsigned varint length, and that many bytes."""

from typing import Any

import trio
from libp2p.network.stream.exceptions import StreamEOF
from libp2p.stream_muxer.exceptions import MuxedStreamEOF

from meshnode.adapters.libp2p.settings import RPC_BYTES_MAX, RPC_DEADLINE_S
from meshnode.adapters.libp2p.turn import FRAME_BYTES, Turn
from protocols.errors import FrameTooLarge

READ_BYTES = 64 * 1024
LENGTH_BYTES_MAX = 5


class FrameReader:
    """Cuts a stream into frames; one read of the stream may bring many."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._received = bytearray()
        self._turn = Turn(FRAME_BYTES)

    async def next(self) -> bytes:
        """The next frame; once it has begun, the rest of it has a deadline.

        Raises FrameTooLarge, TooSlowError, StreamEOF where no frame is complete, and the stream's
        own errors.
        """
        if not self._received:
            await self._receive()
        frame = self._cut()
        if frame is not None and self._turn.is_over(len(frame)):
            await trio.lowlevel.checkpoint()  # one read may have brought thousands
        if frame is None:
            with trio.fail_after(RPC_DEADLINE_S):
                while frame is None:
                    await self._receive()
                    frame = self._cut()
        return frame

    async def _receive(self) -> None:
        try:
            self._received += await self._stream.read(READ_BYTES)
        except MuxedStreamEOF:
            raise StreamEOF from None

    def _cut(self) -> bytes | None:
        received, length = self._received, 0
        for position in range(min(len(received), LENGTH_BYTES_MAX)):
            byte = received[position]
            length |= (byte & 0x7F) << 7 * position
            if length > RPC_BYTES_MAX:
                raise FrameTooLarge(f"an RPC of {length} bytes or more")
            if byte < 0x80:
                start = position + 1
                end = start + length
                if len(received) < end:
                    return None
                frame = bytes(received[start:end])
                del received[:end]
                return frame
        if len(received) >= LENGTH_BYTES_MAX:
            raise FrameTooLarge(f"a length of more than {LENGTH_BYTES_MAX} bytes")
        return None


def framed(rpc: Any) -> bytes:
    """An RPC with its length before it."""
    raw: bytes = rpc.SerializeToString()
    length, digits = len(raw), bytearray()
    while length > 0x7F:
        digits.append(length & 0x7F | 0x80)
        length >>= 7
    digits.append(length)
    return bytes(digits) + raw
